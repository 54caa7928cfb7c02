/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/unpack_names.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"

/* Any order will do. */
static int by_path(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->length != y->length)
		return x->length < y->length ? -1 : 1;
	return memcmp(x->path, y->path, x->length);
}

struct named *names_find(const struct names *names, const char *path, size_t length)
{
	const struct named key = { .path = path, .length = length };
	struct named *const *found = tfind(&key, &names->tree, by_path);

	return found ? *found : NULL;
}

struct named *names_add(struct names *names, const char *path, bool directory)
{
	const size_t length = strlen(path);
	struct named *named = alloc_grow(NULL, 1, sizeof(*named) + length + 1);

	*named = (struct named){
		.directory = directory, .length = length, .path = named->text, .before = names->last
	};
	memcpy(named->text, path, length + 1);
	struct named *const *there = tsearch(named, &names->tree, by_path);
	if (!there)
		free(alloc_grow(NULL, SIZE_MAX, 1)); /* no memory: this says so, and ends */
	if (!there || *there != named) {
		free(named);
		return NULL;
	}
	names->last = named;
	return named;
}

static void keep_node(void *node)
{
	(void)node;
}

void names_release(struct names *names)
{
	tdestroy(names->tree, keep_node);
	for (struct named *named = names->last, *before; named; named = before) {
		before = named->before;
		free(named);
	}
	*names = (struct names)NAMES_NONE;
}

static void way_up(struct way *way)
{
	close(way->levels[--way->depth].fd);
}

void way_release(struct way *way)
{
	while (way->depth != 0)
		way_up(way);
}

/* Beyond WAY_OPEN the innermost level moves on: its own parent is then no longer open. */
static int way_down(struct way *way, size_t end)
{
	const size_t from = way->depth != 0 ? way->levels[way->depth - 1].end + 1 : 0;
	const int dir = way->depth != 0 ? way->levels[way->depth - 1].fd : way->root;
	const char was = way->path[end];

	way->path[end] = '\0';
	const int fd = openat(dir, way->path + from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	way->path[end] = was;
	if (fd < 0)
		return -1;
	if (way->depth == WAY_OPEN)
		way_up(way);
	way->levels[way->depth].fd = fd;
	way->levels[way->depth++].end = end;
	return 0;
}

int way_open(struct way *way, const char *path, size_t length)
{
	while (way->depth != 0) {
		const size_t end = way->levels[way->depth - 1].end;

		if (end <= length && memcmp(way->path, path, end) == 0 && (end == length || path[end] == '/'))
			break;
		way_up(way);
	}
	memcpy(way->path, path, length);
	way->path[length] = '\0';
	for (size_t at = way->depth != 0 ? way->levels[way->depth - 1].end + 1 : 0; at < length;) {
		const char *slash = memchr(path + at, '/', length - at);
		const size_t end = slash ? (size_t)(slash - path) : length;

		if (way_down(way, end) != 0)
			return -1;
		at = end + 1;
	}
	return way->depth != 0 ? way->levels[way->depth - 1].fd : way->root;
}

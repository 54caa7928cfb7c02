/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/changes.h"

#include <stdlib.h>
#include <string.h>

#include "helper/base/alloc.h"

/* Is text[0 .. length) names with one slash between each two, none of them ".", ".." or empty? */
static bool path_good(const char *text, size_t length)
{
	if (length == 0)
		return true;
	if (memchr(text, '\0', length) != NULL)
		return false;
	for (size_t at = 0; at <= length;) {
		const char *slash = memchr(text + at, '/', length - at);
		const size_t end = slash != NULL ? (size_t)(slash - text) : length;
		const size_t size = end - at;

		if (size == 0 || (text[at] == '.' && (size == 1 || (size == 2 && text[at + 1] == '.'))))
			return false;
		at = end + 1;
	}
	return true;
}

void changes_add(struct changes *changes, const char *path, size_t length)
{
	if (changes->unknown)
		return;
	while (length >= 2 && path[0] == '.' && path[1] == '/') {
		path += 2;
		length -= 2;
	}
	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length == 1 && path[0] == '.')
		length = 0;
	if (!path_good(path, length)) {
		changes_set_unknown(changes);
		return;
	}
	if (changes->count == changes->room) {
		changes->room = changes->room * 2 + 64;
		changes->paths = alloc_grow(changes->paths, changes->room, sizeof(*changes->paths));
	}
	char *copy = alloc_grow(NULL, length + 1, 1);
	memcpy(copy, path, length);
	copy[length] = '\0';
	changes->paths[changes->count++] = copy;
}

void changes_set_unknown(struct changes *changes)
{
	changes_release(changes);
	changes->unknown = true;
}

void changes_merge(struct changes *into, const struct changes *from)
{
	if (from->unknown)
		changes_set_unknown(into);
	for (size_t i = 0; i < from->count; i++)
		changes_add(into, from->paths[i], strlen(from->paths[i]));
}

/* A slash comes before every other byte, so that "a/b" is before "a-b". */
static int byte_rank(char byte)
{
	return byte == '\0' ? 0 : byte == '/' ? 1 : (unsigned char)byte + 1;
}

int path_order(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return byte_rank(*a) - byte_rank(*b);
}

bool path_below(const char *path, const char *dir)
{
	const size_t length = strlen(dir);

	if (length == 0)
		return path[0] != '\0';
	return strncmp(path, dir, length) == 0 && path[length] == '/';
}

static int by_path(const void *a, const void *b)
{
	return path_order(*(char *const *)a, *(char *const *)b);
}

void changes_sort(struct changes *changes)
{
	size_t kept = 0;

	if (changes->count > 1)
		qsort(changes->paths, changes->count, sizeof(*changes->paths), by_path);
	for (size_t i = 0; i < changes->count; i++) {
		if (kept != 0 && strcmp(changes->paths[kept - 1], changes->paths[i]) == 0)
			free(changes->paths[i]);
		else
			changes->paths[kept++] = changes->paths[i];
	}
	changes->count = kept;
}

bool changes_have(const struct changes *changes, const char *path)
{
	return changes->count != 0 &&
	       bsearch(&path, changes->paths, changes->count, sizeof(*changes->paths), by_path) != NULL;
}

/* What both begin with. */
static size_t path_common(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] != '\0' && a[length] == b[length])
		length++;
	return length;
}

/* What a path is in is added once, for the first of those that follow each other there: a chain of directories is long. */
void changes_directories(const struct changes *changes, struct changes *dirs)
{
	const char *before = "";

	for (size_t i = 0; i < changes->count; i++) {
		const char *path = changes->paths[i];
		const size_t common = path_common(before, path);
		const char *slash = strchr(path + common, '/');

		if (slash == path + common && before[common] == '\0')
			slash = strchr(slash + 1, '/');
		changes_add(dirs, path, strlen(path));
		for (; slash != NULL; slash = strchr(slash + 1, '/'))
			changes_add(dirs, path, (size_t)(slash - path));
		before = path;
	}
	if (changes->count != 0)
		changes_add(dirs, "", 0);
	changes_sort(dirs);
}

void changes_release(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		free(changes->paths[i]);
	free(changes->paths);
	*changes = (struct changes)CHANGES_NONE;
}

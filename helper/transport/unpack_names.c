/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/unpack_names.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

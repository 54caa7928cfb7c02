/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reach.h: the directories of a tree by paths below its root, component by component, none of which may be a link. The
 * last one is remembered, so that a sorted list of paths opens each directory about once.
 */
#ifndef HELPER_TREE_REACH_H
#define HELPER_TREE_REACH_H

#include <stddef.h>

struct reach {
	int root; /* the caller's */
	int fd;   /* of `path`; -1: none yet */
	char *path;
};
#define REACH_NONE                    \
	{                             \
		.root = -1, .fd = -1, \
	}

/*
 * The directory that `path` is in, and in *name its last component: both are valid until the next call. For "" it is the
 * root, and the name is empty. -1 and errno.
 */
int reach_parent(struct reach *reach, const char *path, const char **name);

/* The directory path[0 .. length) itself; of no length it is the root. The same otherwise. */
int reach_directory(struct reach *reach, const char *path, size_t length);
void reach_release(struct reach *reach);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * below.h: entries of a staged tree, by paths that somebody else wrote: no path leads out of the tree, and no
 * symbolic link in it is followed.
 */
#ifndef HELPER_TRANSPORT_BELOW_H
#define HELPER_TRANSPORT_BELOW_H

#include <stdbool.h>
#include <sys/stat.h>

#include "helper/base/err.h"

/* Is it a path that can be: relative, without empty components, "." and ".."? */
bool below_good(const char *path);

/* Opens the directory that the last component of a good path is in; *name is that component. -1 and errno. */
int below_open(int root, const char *path, const char **name);

/*
 * Deletes what has that path, whole, and then the directories on the way to it that are empty without it. Missing is
 * fine, and so is something else in the place of a directory on the way.
 */
int below_delete(int root, const char *path, struct err *err);

/* Deletes all that is in the tree, and leaves the tree itself. */
int below_clear(int root, struct err *err);

/* An entry of the tree. */
struct below_entry {
	int dir; /* the directory that it is in */
	const char *name, *path;
	const struct statx *st;
};

/*
 * Calls `one` for each entry below root, a directory before what is in it: 0 go on, 1 do not look into it (it may be
 * gone), -1.
 */
int below_each(int root, int (*one)(void *context, const struct below_entry *entry, struct err *err),
	       void *context, struct err *err);

#endif

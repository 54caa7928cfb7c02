/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * changes.h: what a writer may have changed in a tree: a set of paths below it, or "unknown".
 *
 * A path in the set says that this entry may have been added, removed or changed, in content or metadata. What is
 * below it is meant, too, where it is a directory in one of both versions only. The directories that it is in need not
 * be named: they are looked at anyway. So too much in the set costs time, and too little is an error, but for what is
 * in a directory that something else in the set is in.
 *
 * "" is the tree's root.
 */
#ifndef HELPER_TREE_CHANGES_H
#define HELPER_TREE_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

struct changes {
	char **paths; /* changes_sort() puts them in order */
	size_t count, room;
	bool unknown; /* anything may have changed; then there are no paths */
};
#define CHANGES_NONE          \
	{                     \
		.paths = NULL \
	}

/*
 * Adds path[0 .. length). "./" before it and slashes behind it are cut off. What is no path below a tree (absolute,
 * empty components, "..", a zero byte) makes the set unknown: who wrote that was misunderstood.
 */
void changes_add(struct changes *changes, const char *path, size_t length);
void changes_set_unknown(struct changes *changes);
void changes_merge(struct changes *into, const struct changes *from);

/* Puts the paths in order, each once. */
void changes_sort(struct changes *changes);
bool changes_have(const struct changes *changes, const char *path); /* sorted before */

/* Adds to `dirs` the directories that a look at `changes` has to read: each path itself, and all that it is in. */
void changes_directories(const struct changes *changes, struct changes *dirs);
void changes_release(struct changes *changes);

/*
 * The order of paths: as a tree is walked, with the names of a directory sorted by their bytes: what is in a directory
 * follows it at once, before its next sibling. Less than, equal to or greater than 0.
 */
int path_order(const char *a, const char *b);

/* Is `path` below the directory `dir`? All is below "". */
bool path_below(const char *path, const char *dir);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree.h: whole trees, by directory descriptors: copy, compare, share, delete, measure. No path is ever
 * built, so depth and length do not matter (10,000 levels, names of 255 bytes), and no symbolic link is
 * followed. No descriptor is kept per level beyond a bound: the parent is reached again by "..", checked by
 * identity.
 */
#ifndef HELPER_TREE_H
#define HELPER_TREE_H

#include <stdint.h>

#include "helper/err.h"

/*
 * Copies the directory from_dir/from to to_dir/to, which must not exist: contents (FICLONE where it works,
 * else bytes, holes kept), modes, owners, times (ns), ACLs and xattrs, hard links among the files, symbolic
 * links, fifos, sockets, device nodes. Shares no inode with the source.
 */
int tree_copy(int from_dir, const char *from, int to_dir, const char *to, struct err *err);

/* The same by hard links for everything but directories. For trees that nobody will write to. */
int tree_link(int from_dir, const char *from, int to_dir, const char *to, struct err *err);

/* 1 if both trees are the same in everything that tree_copy() copies (same inode: equal without a look at its
 * bytes), 0 if not. */
int tree_same(int a_dir, const char *a, int b_dir, const char *b, struct err *err);

/*
 * Replaces each file of the tree `mine` that equals the file of the same name in `theirs` in content and
 * metadata by a hard link to it. `theirs` is not changed but for link counts. A file that cannot be linked
 * (EMLINK, EXDEV) stays.
 */
int tree_share(int mine_dir, const char *mine, int theirs_dir, const char *theirs, struct err *err);

/* Deletes dir/name and all below it, also against somebody who still writes in it (bounded tries). Missing is
 * fine. */
int tree_delete(int dir, const char *name, struct err *err);

/* Counts; see struct measure in snapshot/storage.h. */
int tree_measure(int dir, const char *name, uint64_t *files, uint64_t *bytes, uint64_t *own, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree.h: whole trees, by directory descriptors: copy, compare, share, delete, measure. No path is ever
 * built, so depth and length do not matter (10,000 levels, names of 255 bytes), and no symbolic link is
 * followed. No descriptor is kept per level beyond a bound: the parent is reached again by "..", checked by
 * identity.
 *
 * A tree is named by (directory descriptor, name); of a name with slashes in it only the last part is looked at
 * with suspicion. A mount inside a tree is an error for all of them, for tree_delete() also one between dir and it. Needs Linux 5.8, and /proc for extended
 * attributes of what cannot be opened (symbolic links, fifos, sockets, device nodes).
 *
 * Failures name the place in the tree. None of these changes the trees that it only reads, but for access times
 * and (tree_share) link counts with the change time that comes with them.
 */
#ifndef HELPER_TREE_TREE_H
#define HELPER_TREE_TREE_H

#include <stdint.h>
#include <time.h>

#include "helper/base/err.h"
#include "helper/tree/changes.h"

/*
 * Copies the directory from_dir/from to to_dir/to, which must not exist: contents (FICLONE where it works,
 * else bytes, holes kept), modes, owners, times (ns), ACLs and xattrs (user, trusted, security), hard links
 * among the files, symbolic links, fifos, sockets, device nodes. Shares no inode with the source. What cannot
 * be kept (an owner, by a user who is not root) is an error. On failure a part of the copy is there.
 */
int tree_copy(int from_dir, const char *from, int to_dir, const char *to, struct err *err);

/*
 * The same tree without a copy: each file of from_dir/from (anything but a directory) has a second name in to_dir/to,
 * which must not exist; what cannot be linked (EMLINK, EXDEV, EPERM) is copied as tree_copy() does: names of one file
 * are names of one file in either case. Directories have modes, owners, times (ns), ACLs and xattrs as in
 * the source. By several threads; a tree that is deep and wide may need more descriptors than we may open (EMFILE).
 * Linked files get a new change time. On failure a part is there.
 */
int tree_clone(int from_dir, const char *from, int to_dir, const char *to, struct err *err);

enum tree_difference {
	TREE_ONLY_A, /* each name below such a directory is found, too */
	TREE_ONLY_B,
	TREE_CHANGED, /* another inode, where one of both is no directory; if one is, what is in it is found as
			  TREE_ONLY_A or TREE_ONLY_B, too */
	TREE_METADATA, /* a directory in both: mode, owner, modification time, xattrs or ACLs differ */
};

/*
 * Called once for each difference, by one thread at a time, in no order. `path` is below the roots, "" for them. What
 * it returns but 0 ends tree_diff() with that failure.
 */
typedef int (*tree_found)(void *context, const char *path, enum tree_difference difference, struct err *err);

/*
 * Compares two trees by name and inode number, as getdents64(2) gives it: a file that is one inode in both is the same,
 * and is not looked at; one that is not is a difference, whatever is in it. By several threads; some 10 microseconds a
 * directory. As tree_clone() it may need many descriptors.
 *
 * With `within` (sorted, known) directories that are in both are read only where a path of it is, or is in: the
 * cost is that of the set, not of the tree. With a NULL for `a` there is no such tree, and all is TREE_ONLY_B.
 */
int tree_diff(int a_dir, const char *a, int b_dir, const char *b, const struct changes *within,
	      tree_found found, void *context, struct err *err);

/*
 * Makes `mine` what `theirs` is: what differs by tree_diff() is deleted, linked and made, and directories get their
 * metadata. With `within` (sorted, known) only its paths, and the directories that they are in, are looked at, and the
 * cost is that of the set: what else differs stays so. A file that cannot be linked (EMLINK) is a failure, and on failure
 * `mine` is neither.
 */
int tree_forward(int mine_dir, const char *mine, int theirs_dir, const char *theirs,
		 const struct changes *within, struct err *err);

/*
 * 1 if both trees are the same in everything that tree_copy() copies but access times (same inode: equal
 * without a look at its bytes; a hole equals zeros), 0 if not.
 */
int tree_same(int a_dir, const char *a, int b_dir, const char *b, struct err *err);

/*
 * Replaces each file of the tree `mine` (anything but a directory) that equals the one of the same name in
 * `theirs` in content and metadata by a hard link to it. Names that are one file in `mine` stay one file, and
 * names that are two stay two: a file with several names is shared with all of them or not at all. A file that
 * cannot be linked (EMLINK, EXDEV, EPERM) stays. Times of directories stay.
 *
 * Each link is made under the name `spare` in mine_dir, outside the tree, and renamed: whatever kills us,
 * `mine` has the same names as before, each whole; `spare` may be left over, and the times of the one directory
 * that was being worked on may be new.
 */
int tree_share(int mine_dir, const char *mine, int theirs_dir, const char *theirs, const char *spare,
	       struct err *err);

/*
 * Deletes dir/name and all below it, also against somebody who still writes in it (bounded tries), and beside
 * a second copy of itself. Missing is fine, and so is what is no directory. Directories without permissions
 * get them first. What cannot be deleted stays, with an error for the first of it, and the rest goes.
 */
int tree_delete(int dir, const char *name, struct err *err);

/* The same, but ends at `until` (CLOCK_MONOTONIC; NULL: never): 1 then, and what is left is for another time. */
int tree_delete_until(int dir, const char *name, const struct timespec *until, struct err *err);

/*
 * Counts what is not a directory: *files names; *bytes allocated to them, those with several names once, and to the
 * directories; *own allocated to the files that have no names outside the tree, and to the directories, which is what
 * deleting it would give back.
 */
int tree_measure(int dir, const char *name, uint64_t *files, uint64_t *bytes, uint64_t *own, struct err *err);

#endif

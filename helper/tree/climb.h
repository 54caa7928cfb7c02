/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * climb.h: go through one directory tree, or through two side by side, by descriptors: what the rest of this folder is
 * built on, and of no use to anybody else.
 *
 *     climb_start(&climb, "snapshots/3");
 *     climb_enter(&climb, "3", fd_a, fd_b, err);
 *     while (climb.depth != 0)
 *             if ((name = climb_next(&climb)) != NULL)
 *                     ... look at climb_top(&climb)->fd[0] / name; climb_enter() it if it is a directory
 *             else
 *                     ... the directory is done; climb_leave(&climb, NULL, err)
 *     climb_release(&climb);
 *
 * A directory is entered by a descriptor that the caller opened (O_NOFOLLOW) and is read whole at once, in
 * the order of its bytes. Only the CLIMB_OPEN innermost levels, and the root, keep their descriptors; a level
 * further out is reached again by "..", and must then be the same inode, else somebody moved directories
 * about and the climb fails.
 *
 * Nothing here leaves the mount that the tree's root is on: climb_look() fails with EXDEV. Needs Linux 5.8
 * (STATX_MNT_ID); device numbers do not tell a bind mount from the tree around it.
 */
#ifndef HELPER_TREE_CLIMB_H
#define HELPER_TREE_CLIMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "helper/base/err.h"

#define CLIMB_OPEN 32

/* The names in a directory but "." and "..", sorted by their bytes. */
struct listing {
	char *text;
	char **names;
	size_t count;
};

/* Reads the directory from its beginning; one that was removed meanwhile is empty. -1 and errno. */
int listing_read(int fd, struct listing *listing);
void listing_release(struct listing *listing);

struct level {
	int fd[2];           /* -1: no such side, or far out (see above) */
	struct statx was[2]; /* the directories as they were when they were entered */
	char *name;
	struct listing list; /* of side 0 */
	size_t at;           /* the next of them */
	size_t mark;         /* the caller's: 0 at first */
	bool failed;         /* the caller's: something below could not be done */
};

struct climb {
	const char *root; /* what to call the tree in messages */
	struct level *levels;
	size_t depth, room;
	uint64_t mount[2];
};

void climb_start(struct climb *climb, const char *root);
void climb_release(struct climb *climb);

static inline struct level *climb_top(const struct climb *climb)
{
	return &climb->levels[climb->depth - 1];
}

/* Goes into a directory. Takes both descriptors (closed on failure); b may be -1. */
int climb_enter(struct climb *climb, const char *name, int a, int b, struct err *err);

/* The next name in the innermost directory, NULL after the last. Valid until climb_leave(). */
const char *climb_next(struct climb *climb);

/* Goes back to the parent. The descriptors of what was left are the caller's then (left[1] may be -1), or with
 * NULL closed. */
int climb_leave(struct climb *climb, int left[2], struct err *err);

/* Says before climb_enter() that the root must be on the mount that `dir` is on, for climb_look_fd(). -1 and
 * errno. */
int climb_mount(struct climb *climb, int dir);

/* lstat of `name` in the innermost directory of a side; "" is the directory itself. -1 and errno; EXDEV: something is
 * mounted there. */
int climb_look(const struct climb *climb, int side, const char *name, struct statx *st);

/* The same for what is open already. */
int climb_look_fd(const struct climb *climb, int side, int fd, struct statx *st);

/* Opens the directory `name` of a side, which must be what `st` says (climb_look). -1 and errno. */
int climb_open(const struct climb *climb, int side, const char *name, const struct statx *st);

/* Opens the directory dir/name, which is no link, to begin at. */
int climb_open_root(int dir, const char *name, struct err *err);

/* Starts a climb through two trees side by side. */
int climb_start_pair(struct climb *climb, int a_dir, const char *a, int b_dir, const char *b,
		     struct err *err);

/* Opens the directory `name` on both sides and goes in. */
int climb_enter_pair(struct climb *climb, const char *name, const struct statx *a, const struct statx *b,
		     struct err *err);

/* climb_fail() for the directory that was left last. */
int climb_fail_left(const struct climb *climb, const char *what, struct err *err);

/* err_errno() with the place in the tree: "snapshots/3: cannot read profiles/base/make.defaults: ...". A long
 * way is cut at its beginning. */
int climb_fail(const struct climb *climb, const char *what, const char *name, struct err *err);

bool statx_is_directory(const struct statx *st);

/* Same device and inode number? */
bool statx_same_inode(const struct statx *a, const struct statx *b);

dev_t statx_dev(const struct statx *st);

/*
 * A table of inodes: what was seen of each so far. An entry begins with zeros and stays where it is until the
 * next inode_table_add().
 */
struct inode_entry {
	uint64_t dev, ino;          /* ino 0: a free place */
	uint64_t a, b, count, done; /* the caller's */
};

struct inode_table {
	struct inode_entry *entries;
	size_t room, used;
};

struct inode_entry *inode_table_find(const struct inode_table *table, const struct statx *st); /* or NULL */
struct inode_entry *inode_table_add(struct inode_table *table, const struct statx *st); /* or what is there */

/* Notes that `st` belongs to `partner` (a, b: its device and number). False if it belongs to another one already. */
bool inode_table_pair(struct inode_table *table, const struct statx *st, const struct statx *partner);
void inode_table_release(struct inode_table *table);

#endif

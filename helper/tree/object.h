/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * object.h: one object of a tree, whatever its kind: its metadata and content, copied and compared. For
 * the rest of this folder.
 *
 * Regular files and directories are held by ordinary descriptors. Symbolic links, fifos, sockets and device
 * nodes cannot be opened without consequences: they are held by O_PATH descriptors, and their extended
 * attributes and mode are reached through /proc/self/fd, which leads to the object itself, a symbolic link
 * included.
 *
 * All functions return -1 and errno on failure.
 */
#ifndef HELPER_TREE_OBJECT_H
#define HELPER_TREE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct object {
	int fd;
	char proc[32]; /* "" for an ordinary descriptor */
};

/* Opens dir/name for reading; it must be the inode that `st` says (ESTALE). Never waits, never follows. */
int object_open(int dir, const char *name, const struct statx *st, struct object *object);
void object_close(struct object *object);

/* An object made of a descriptor that stays the caller's. */
struct object object_of(int fd);

/* Gives `to` the owner, extended attributes, ACLs, mode and times of `from`, which is `st`; in this order, for each
 * may undo a later one. */
int object_copy_metadata(const struct object *from, const struct statx *st, const struct object *to);

/*
 * For a process of its own that has no privileges, and copies what is not all its own: from now on owners, and attributes that
 * only root may set, are neither copied nor compared. What is made is the user's, as by rsync.
 */
void object_leave_owners(void);

/*
 * The same for `to` that is `now`, and nobody else's to change: what it has is not set again. `inherits` false: it was
 * made in a directory without a default ACL, so it has no ACL to be taken off.
 */
int object_give_metadata(const struct object *from, const struct statx *st, const struct object *to,
			 const struct statx *now, bool inherits);

/* Has what is made in this directory an ACL from the beginning? (Or that cannot be said.) */
bool object_inherits(const struct object *object);

/* Calls `each` for every extended attribute that object_copy_metadata() would copy, ACLs among them, in the order of
 * their names. */
int object_attrs(const struct object *object,
		 void (*each)(void *context, const char *name, const void *value, size_t size),
		 void *context);

/* Sets access and modification time to those of `st`. */
int object_set_times(const struct object *object, const struct statx *st);

/* The bytes of a regular file into an empty one, with its holes. */
int object_copy_content(const struct object *from, const struct statx *st, const struct object *to);

/*
 * Copies from_dir/name, which is no directory and what `st` says, to to_dir/name, which must not exist: content and
 * metadata. On failure it may be there, in part.
 */
int object_copy_named(int from_dir, int to_dir, const char *name, const struct statx *st);

/* The target of a symbolic link; the caller frees it. NULL and errno. */
char *object_target(const struct object *object);

/* Type, mode, owner, modification time, device number, and for files and links the size. */
bool object_same_stat(const struct statx *a, const struct statx *b);

/* 1 if extended attributes (ACLs among them), and content or target, are the same; 0 if not. For objects whose
 * stat is the same. */
int object_same(const struct object *a, const struct object *b, const struct statx *st);

/* The two halves of it: of regular files and links the content or target; of all the attributes. */
int object_same_content(const struct object *a, const struct object *b, const struct statx *st);
int object_same_attributes(const struct object *a, const struct object *b);

/* object_same() for a_dir/name and b_dir/name, which are what `a` and `b` say, and whose stat is the same. */
int object_same_named(int a_dir, int b_dir, const char *name, const struct statx *a, const struct statx *b);

#endif

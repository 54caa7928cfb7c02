/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.h: librcu-guard.so, which is loaded into what runs in a staging tree whose files are those of the snapshots.
 *
 * A staging tree that is a branch of the latest snapshot shares every inode with it: a write to one would be a write to the other. So
 * before a call that changes a file of the tree which has more names than one, the link is broken: the file is copied (content, holes, mode,
 * owner, times, extended attributes, ACLs), the copy takes the name, and then the call goes on, as it was, to the next definition. What
 * is below STORE/snapshots answers as a read-only file system does, EROFS.
 *
 *     state.c  what the environment said at start       next.c   the next definition of each call
 *     place.c  in the tree, in a snapshot, elsewhere?   copy.c   the copy, and how it takes the name
 *     own.c    the decision for one call                open.c change.c entry.c exec.c raw.c: the calls
 *
 * The rules are the shim's (preload/wrap.h): no output, no exit, no allocation, no lock of libc's, errno kept on success, nothing that a signal
 * handler or a vfork child may not do. Two processes that break the same link are kept apart by flock(2) on the scratch directory; while it
 * is held the thread takes no signals, so a handler never waits for what it interrupted.
 *
 * What it cannot see: system calls that are not made by libc's functions (static programs, Go, io_uring by liburing). An exec of a program
 * that loads no preload fails with EPERM; where such a program shall run, the kernel's way is there (helper/programs/guard.h).
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <utime.h>

#include "core/guard_text.h"

/* ---- state.c: set once, from the environment of the start; read-only afterwards ---- */

struct guard {
	bool active; /* false: every call goes straight on */
	struct guard_text ids;
	const char *text; /* RCU_REPO_GUARD as it was */
	const char *self; /* our own entry of LD_PRELOAD; NULL if we were not loaded by it */
};

extern struct guard guard;
extern int guard_started; /* written once, with release order */

void guard_start(void);

static inline bool guard_active(void)
{
	if (__builtin_expect(!__atomic_load_n(&guard_started, __ATOMIC_ACQUIRE), 0))
		guard_start();
	return guard.active;
}

/* ---- place.c ---- */

enum place {
	PLACE_ELSEWHERE,
	PLACE_STAGING,
	PLACE_SNAPSHOT, /* in STORE/snapshots */
	PLACE_UNSURE,   /* it cannot be found out: no descriptor left, no right to search */
};

/*
 * Where is this directory? It is gone up from until one of the two roots, or the end, is met: identities, no text. In PLACE_STAGING *scratch,
 * if wanted, is a descriptor of the scratch directory that can be locked, or -errno.
 */
enum place place_of(int dir, int *scratch);

/* (dir, name) of a path's last component. */
struct entry {
	int dir; /* O_PATH; -1 where there is no such directory */
	char *name;
};

/* `copy` has strlen(path) + 1 bytes. Slashes at the end are cut off. */
void entry_open(struct entry *entry, int dir, const char *path, char *copy);
void entry_close(struct entry *entry);

#define ENTRY(e, at, path)                                                    \
	__attribute__((cleanup(entry_close))) struct entry e = { .dir = -1 }; \
	entry_open(&(e), (at), (path), __builtin_alloca(strlen(path) + 1))

bool same_file(const struct stat *a, const struct stat *b);

/* ---- copy.c ---- */

/*
 * Gives dir/name an inode of its own if it has one with other names: 0 or -errno. Whatever kills us, dir/name is the whole old file or the whole
 * new one. The times of `dir` stay as they were.
 */
int link_break(int scratch, int dir, const char *name);

/* ---- own.c: before a call changes something. 0, or -1 and errno: then the call must not be made. ---- */

#define OWN_NOFOLLOW 0x1 /* the call does not follow a last link */
#define OWN_EMPTY 0x2    /* AT_EMPTY_PATH: "" is the descriptor */
#define OWN_CONTENT 0x4  /* only a regular file is changed by it (open for writing) */
#define OWN_CREATE 0x8   /* it makes the file where there is none */

int own_path(int dir, const char *path, unsigned flags);
int own_descriptor(int fd);

/* An open with these flags. */
int own_open(int dir, const char *path, int flags);

/* An entry is made or removed. */
int own_entry(int dir, const char *path);

/* The object of (dir, path) gets another name: what is shared must not leave the tree unseen. */
int own_link(int dir, const char *path, int flags, int to_dir, const char *to);
int own_rename(int dir, const char *path, int to_dir, const char *to, unsigned flags);

static inline int fail(int error)
{
	*__errno_location() = error;
	return -1;
}

#endif

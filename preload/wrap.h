/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wrap.h: what every family file includes: the prototypes of the bodies, their exported names, the next definitions.
 *
 * A body is an ordinary function, wrap_<id>. The row in calls.def makes its prototype here and, in the family's own
 * file, gives it libc's name and version: the file says `#define EXPORT_<family> EXPORT` before it includes this header.
 *
 * What a body may do: look at its arguments, map (map.h), refuse (refuse.h), call next()->id with the mapped path, set errno
 * where it refuses. What it may not: print, exit, allocate, lock, use thread-local storage, call libc other than by next(),
 * change errno on success, put a buffer of PATH_MAX on the stack (length-sized ones only: a vfork child may have two pages).
 */
#ifndef PRELOAD_WRAP_H
#define PRELOAD_WRAP_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <nl_types.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <utime.h>
#include <utmp.h>
#include <utmpx.h>
#include <wordexp.h>

#include "preload/map.h"
#include "preload/memory.h"
#include "preload/refuse.h"
#include "preload/state.h"

struct file_handle;
struct mount_attr;

/* i386's structures with 64 bits of time, as the files see them that have their own with 32. */
struct stat_time64 {
	uint64_t words[16];
};
struct utimbuf_time64;
struct timeval_time64;
struct timespec_time64;
struct rusage_time64;

/* Of struct stat in the __xstat family, which every glibc has. */
#ifdef __i386__
#define STAT_VERSION 3
#else
#define STAT_VERSION 1
#endif

/* Prototypes of all bodies. */
#define CALL(family, id, symbol, mark, version, result, parameters) \
	__attribute__((visibility("default"))) result wrap_##id parameters;
#include "preload/calls.def"
#undef CALL

/* libc's name and version for the bodies of one file. Set to nothing where they are linked into a program (tests/fuzz). */
#ifndef EXPORT
#define EXPORT(id, symbol, mark, version) __asm__(".symver wrap_" #id "," #symbol #mark #version);
#endif
#define EXPORT_NOT(id, symbol, mark, version)
#ifndef EXPORT_open
#define EXPORT_open EXPORT_NOT
#endif
#ifndef EXPORT_stat
#define EXPORT_stat EXPORT_NOT
#endif
#ifndef EXPORT_path
#define EXPORT_path EXPORT_NOT
#endif
#ifndef EXPORT_at
#define EXPORT_at EXPORT_NOT
#endif
#ifndef EXPORT_two_path
#define EXPORT_two_path EXPORT_NOT
#endif
#ifndef EXPORT_dir
#define EXPORT_dir EXPORT_NOT
#endif
#ifndef EXPORT_words
#define EXPORT_words EXPORT_NOT
#endif
#ifndef EXPORT_stdio
#define EXPORT_stdio EXPORT_NOT
#endif
#ifndef EXPORT_template
#define EXPORT_template EXPORT_NOT
#endif
#ifndef EXPORT_exec
#define EXPORT_exec EXPORT_NOT
#endif
#ifndef EXPORT_give_back
#define EXPORT_give_back EXPORT_NOT
#endif
#ifndef EXPORT_view
#define EXPORT_view EXPORT_NOT
#endif
#ifndef EXPORT_walk
#define EXPORT_walk EXPORT_NOT
#endif
#ifndef EXPORT_fts
#define EXPORT_fts EXPORT_NOT
#endif
#ifndef EXPORT_fts64
#define EXPORT_fts64 EXPORT_NOT
#endif
#ifndef EXPORT_fts_time64
#define EXPORT_fts_time64 EXPORT_NOT
#endif
#ifndef EXPORT_time64
#define EXPORT_time64 EXPORT_NOT
#endif
#ifndef EXPORT_raw
#define EXPORT_raw EXPORT_NOT
#endif
#ifndef EXPORT_socket
#define EXPORT_socket EXPORT_NOT
#endif
#ifndef EXPORT_load
#define EXPORT_load EXPORT_NOT
#endif
#ifndef EXPORT_mount
#define EXPORT_mount EXPORT_NOT
#endif
#ifndef EXPORT_named
#define EXPORT_named EXPORT_NOT
#endif
#define CALL(family, id, symbol, mark, version, result, parameters) EXPORT_##family(id, symbol, mark, version)
#include "preload/calls.def"
#undef CALL

/* The next definition of each call: the one that the program would have got without us. */
struct next {
#define CALL(family, id, symbol, mark, version, result, parameters) result(*id) parameters;
#include "preload/calls.def"
#undef CALL
	/* Not wrapped: glob() reads what our opendir has opened with them. */
	struct dirent *(*readdir)(DIR *directory);
	struct dirent64 *(*readdir64)(DIR *directory);
	int (*closedir)(DIR *directory);
	/* Not wrapped: for walks that libc would need memory for, too (walk.c, fts_walk.h, words.c). */
	DIR *(*fdopendir)(int fd);
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *memory, size_t size);
	void (*free)(void *memory);
	/* Not wrapped: they free what libc has made (words.c). */
	void (*globfree)(glob_t *result);
	void (*wordfree)(wordexp_t *result);
};

/*
 * Made ready by shim_start() (next.c): each slot then leads to code that finds the definition at the first call, without a lock, and puts it
 * there. No slot is NULL: what this libc does not have fails with ENOSYS.
 */
extern SHIM_OWN struct next next_slots;
void next_bind(void);

/*
 * Before a fork: finds execve(2) in the parent, once, rather than in each child, for which the pages of libc that say where it is would
 * have to be mapped first.
 */
void next_find_exec(void);

/*
 * Is it libc's own open(2) that we stand before, and no other library's, and has off_t 64 bits in all of its forms? Found out once. Then
 * openat2(2) may be called in its place (literal.h).
 */
bool next_open_is_libc(void);

/* Starts the shim if nothing has yet (somebody's constructor may run before ours), then the slots. */
static inline const struct next *next(void)
{
	shim_ready();
	return &next_slots;
}

/* How long the text of D/L is, as readlink() and lstat() shall say: "snapshots/N" (give_back.c). For MAP_ENTRY only. */
size_t entry_length(const struct mapped *m);

/*
 * For a call on a descriptor of a link itself (O_PATH | O_NOFOLLOW, and an empty path): if that is D/L, whichever number it named
 * when it was opened, `m` becomes MAP_ENTRY (give_back.c).
 */
void entry_opened(struct mapped *m);

/* What readlink() says, where the real call has said `result` (give_back.c). */
ssize_t entry_answer(const struct mapped *m, ssize_t result, char *to, size_t room);

/* How open() with these flags takes a last link, and whether it is refused: 0 or an errno (open.c). */
enum map_leaf open_leaf(const char *path, int flags);
int open_refused(const struct mapped *m, int flags);

/* The flags of open() that a mode of fopen() stands for (stdio.c). */
int stream_flags(const char *mode);

/* The same for calls that change an object, with flags of fchownat() (at.c). */
int change_refused(const struct mapped *m, int flags);

/* Is (dir, path) a symbolic link, whose removal map.c would have to know of? (path.c) */
bool names_link(int dir, const char *path);

/* For a call that is refused. */
static inline int fail(int error)
{
	errno = error;
	return -1;
}

#endif

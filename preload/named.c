/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that libc has for one purpose each and that take a path: watches, handles, keys, catalogues, tables of mounts and logins.
 */
#define EXPORT_named EXPORT
#include <errno.h>
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/sys.h"
#include "preload/exec_env.h"
#include "preload/wrap.h"

/* A watch on the location is one on the pinned snapshot, in which nothing happens: as in a view that the kernel freezes. */
int wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, mask & IN_DONT_FOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	return next()->inotify_add_watch(fd, m.path, mask);
}

int wrap_fanotify_mark(int fd, unsigned flags, uint64_t mask, int dir, const char *path)
{
	MAPPED(m);
	MAP(m, dir, path, flags & FAN_MARK_DONT_FOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	return next()->fanotify_mark(fd, flags, mask, m.dir, m.path);
}

int wrap_name_to_handle_at(int dir, const char *path, struct file_handle *handle, int *mount, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_FOLLOW ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	return next()->name_to_handle_at(m.dir, m.path, handle, mount, flags);
}

key_t wrap_ftok(const char *path, int project)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->ftok(m.path, project);
}

static bool has_slash(const char *text)
{
	for (; text && *text; text++)
		if (*text == '/')
			return true;
	return false;
}

/* A name without a slash is looked for along NLSPATH. */
nl_catd wrap_catopen(const char *name, int flag)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, has_slash(name) ? name : NULL, LEAF_FOLLOW);
	return next()->catopen(m.path ? m.path : name, flag);
}

/* libc keeps the directory and answers with what it keeps: like realpath(), it says the pinned snapshot's own path. */
char *wrap_bindtextdomain(const char *domain, const char *directory)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, directory, LEAF_FOLLOW);
	return next()->bindtextdomain(domain, m.path);
}

static FILE *table_open(FILE *(*call)(const char *, const char *), const char *path, const char *mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = open_refused(&m, stream_flags(mode));
	if (error == 0)
		return call(m.path, mode);
	errno = error;
	return NULL;
}

FILE *wrap_setmntent(const char *path, const char *mode)
{
	return table_open(next()->setmntent, path, mode);
}

FILE *wrap___setmntent(const char *path, const char *mode)
{
	return table_open(next()->__setmntent, path, mode);
}

/* They say nothing when they fail. */
void wrap_updwtmp(const char *path, const struct utmp *entry)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	if (refuse_open(m.dir, m.path, O_WRONLY) == 0)
		next()->updwtmp(m.path, entry);
}

void wrap_updwtmpx(const char *path, const struct utmpx *entry)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	if (refuse_open(m.dir, m.path, O_WRONLY) == 0)
		next()->updwtmpx(m.path, entry);
}

/*
 * libc keeps a copy, and opens it later: for reading, and to write, in pututline(), anew. That is refused there, with what opening it would
 * have said.
 */
static int table_refused; /* 0 or an errno */

static int table_name(int (*call)(const char *), const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_open(m.dir, m.path, O_RDWR);
	int result = call(m.path);
	if (result == 0)
		__atomic_store_n(&table_refused, error, __ATOMIC_RELAXED);
	return result;
}

int wrap_utmpname(const char *path)
{
	return table_name(next()->utmpname, path);
}

int wrap_utmpxname(const char *path)
{
	return table_name(next()->utmpxname, path);
}

struct utmp *wrap_pututline(const struct utmp *entry)
{
	int error = __atomic_load_n(&table_refused, __ATOMIC_RELAXED);

	if (error == 0)
		return next()->pututline(entry);
	errno = error;
	return NULL;
}

struct utmpx *wrap_pututxline(const struct utmpx *entry)
{
	int error = __atomic_load_n(&table_refused, __ATOMIC_RELAXED);

	if (error == 0)
		return next()->pututxline(entry);
	errno = error;
	return NULL;
}

/* NULL ends accounting. */
int wrap_acct(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = path ? refuse_open(m.dir, m.path, O_WRONLY | O_APPEND) : 0;
	return error ? fail(error) : next()->acct(m.path);
}

/* Attributes of a file can be set by whoever has it open for reading. */
static int ioctl_refused(int fd, unsigned long request)
{
	return request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR || request == FS_IOC_SETVERSION
		       ? refuse_descriptor(fd)
		       : 0;
}

int wrap_ioctl(int fd, unsigned long request, void *argument)
{
	int error = ioctl_refused(fd, request);
	return error ? fail(error) : next()->ioctl(fd, request, argument);
}

#ifdef __i386__
int wrap___ioctl_time64(int fd, unsigned long request, void *argument)
{
	int error = ioctl_refused(fd, request);
	return error ? fail(error) : next()->__ioctl_time64(fd, request, argument);
}
#endif

/* What is left of the C++ library that once shared its streams with libc. */
FILE *wrap__IO_file_fopen(FILE *stream, const char *path, const char *mode, int is32)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = open_refused(&m, stream_flags(mode));
	if (error == 0)
		return next()->_IO_file_fopen(stream, m.path, mode, is32);
	errno = error;
	return NULL;
}

FILE *wrap__IO_file_open(FILE *stream, const char *path, int flags, int mode, int can, int is32)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, open_leaf(path, flags));
	int error = open_refused(&m, flags);
	if (error == 0)
		return next()->_IO_file_open(stream, m.path, flags, mode, can, is32);
	errno = error;
	return NULL;
}

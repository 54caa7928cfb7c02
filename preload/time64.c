/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* i386's calls with structures that have 64 bits of time. (Those that differ in nothing else are beside their twins.) */
#define EXPORT_time64 EXPORT
#define _TIME_BITS 64
#include "preload/wrap.h"

_Static_assert(sizeof(struct stat) <= sizeof(struct stat_time64), "wrap.h");

/* --- what an object is (stat.c) --- */

int wrap___fstatat64_time64(int dir, const char *path, struct stat_time64 *status, int flags)
{
	struct stat *st = (void *)status;

	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	int result = next()->__fstatat64_time64(m.dir, m.path, status, flags);
	if (result == 0 && S_ISLNK(st->st_mode))
		entry_opened(&m);
	if (result == 0 && m.kind == MAP_ENTRY)
		st->st_size = (off_t)entry_length(&m);
	return result;
}

int wrap___stat64_time64(const char *path, struct stat_time64 *st)
{
	return wrap___fstatat64_time64(AT_FDCWD, path, st, 0);
}

int wrap___lstat64_time64(const char *path, struct stat_time64 *st)
{
	return wrap___fstatat64_time64(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

/* --- times (path.c, at.c) --- */

int wrap___utime64(const char *path, const struct utimbuf_time64 *times)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->__utime64(m.path, times);
}

int wrap___utimes64(const char *path, const struct timeval_time64 *times)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->__utimes64(m.path, times);
}

int wrap___lutimes64(const char *path, const struct timeval_time64 *times)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->__lutimes64(m.path, times);
}

int wrap___futimesat64(int dir, const char *path, const struct timeval_time64 *times)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_FOLLOW);
	int error = path ? change_refused(&m, 0) : refuse_descriptor(dir);
	return error ? fail(error) : next()->__futimesat64(m.dir, m.path, times);
}

int wrap___utimensat64(int dir, const char *path, const struct timespec_time64 *times, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	int error = change_refused(&m, flags);
	return error ? fail(error) : next()->__utimensat64(m.dir, m.path, times, flags);
}

int wrap___futimens64(int fd, const struct timespec_time64 *times)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->__futimens64(fd, times);
}

int wrap___futimes64(int fd, const struct timeval_time64 *times)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->__futimes64(fd, times);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_dir EXPORT
#include "core/sys.h"
#include "preload/wrap.h"

static DIR *list_opened(int fd)
{
	DIR *list = fd < 0 ? NULL : next()->fdopendir(fd);

	if (!list && fd < 0)
		errno = -fd;
	else if (!list)
		sys_close(fd);
	return list;
}

/* libc's opendir() is no cancellation point, so it does not matter how many threads there are (open.c). */
DIR *wrap_opendir(const char *path)
{
	const struct glance g = map_follow(AT_FDCWD, path);

	MAPPED(m);
	m.flags = O_RDONLY | O_NONBLOCK | O_DIRECTORY | O_CLOEXEC;
	MAP_ON(m, AT_FDCWD, path, next_open_is_libc() ? LEAF_OPEN_DIRECTORY : LEAF_FOLLOW, g);
	return m.kind == MAP_OPENED ? list_opened(m.opened) : next()->opendir(m.path);
}

int wrap_scandir(const char *path, struct dirent ***list, int (*pick)(const struct dirent *),
		 int (*compare)(const struct dirent **, const struct dirent **))
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->scandir(m.path, list, pick, compare);
}

int wrap_scandir64(const char *path, struct dirent64 ***list, int (*pick)(const struct dirent64 *),
		   int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->scandir64(m.path, list, pick, compare);
}

int wrap_scandirat(int dir, const char *path, struct dirent ***list, int (*pick)(const struct dirent *),
		   int (*compare)(const struct dirent **, const struct dirent **))
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_FOLLOW);
	return next()->scandirat(m.dir, m.path, list, pick, compare);
}

int wrap_scandirat64(int dir, const char *path, struct dirent64 ***list, int (*pick)(const struct dirent64 *),
		     int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_FOLLOW);
	return next()->scandirat64(m.dir, m.path, list, pick, compare);
}

/*
 * glob(3) builds names out of the pattern and looks at them inside libc. Its results must be spelled as the pattern is, so the
 * pattern cannot be mapped; but it can be told to look with other functions (GLOB_ALTDIRFUNC), and these are ours. A program that brings
 * its own functions keeps them: what they call comes to us anyway. stat() is taken in the form that every glibc has.
 */
static void *glob_opendir(const char *path)
{
	return wrap_opendir(path);
}

static void glob_closedir(void *directory)
{
	next()->closedir(directory);
}

static struct dirent *glob_readdir(void *directory)
{
	return next()->readdir(directory);
}

static struct dirent64 *glob_readdir64(void *directory)
{
	return next()->readdir64(directory);
}

static int glob_stat(const char *path, struct stat *st)
{
	return wrap___xstat(STAT_VERSION, path, st);
}

static int glob_lstat(const char *path, struct stat *st)
{
	return wrap___lxstat(STAT_VERSION, path, st);
}

/*
 * The old version has gl_stat for both, also where on its own it does not follow: a name that is a dangling link is there. A link
 * that leads nowhere is no directory, which is all else that it wants to know.
 */
static int glob_stat_old(const char *path, struct stat *st)
{
	return glob_stat(path, st) == 0 ? 0 : glob_lstat(path, st);
}

static int glob_stat64(const char *path, struct stat64 *st)
{
	return wrap___xstat64(STAT_VERSION, path, st);
}

static int glob_lstat64(const char *path, struct stat64 *st)
{
	return wrap___lxstat64(STAT_VERSION, path, st);
}

static int glob_stat64_old(const char *path, struct stat64 *st)
{
	return glob_stat64(path, st) == 0 ? 0 : glob_lstat64(path, st);
}

typedef int glob_call(const char *, int, int (*)(const char *, int), glob_t *);
typedef int glob64_call(const char *, int, int (*)(const char *, int), glob64_t *);

static int glob_pinned(glob_call *call, int (*look)(const char *, struct stat *), const char *pattern,
		       int flags, int (*on_error)(const char *, int), glob_t *result)
{
	if (!shim_active() || (flags & GLOB_ALTDIRFUNC) || !result)
		return call(pattern, flags, on_error, result);
	glob_t kept = *result;
	result->gl_opendir = glob_opendir;
	result->gl_closedir = glob_closedir;
	result->gl_readdir = glob_readdir;
	result->gl_stat = look;
	result->gl_lstat = glob_lstat;
	int error = call(pattern, flags | GLOB_ALTDIRFUNC, on_error, result);
	result->gl_opendir = kept.gl_opendir;
	result->gl_closedir = kept.gl_closedir;
	result->gl_readdir = kept.gl_readdir;
	result->gl_stat = kept.gl_stat;
	result->gl_lstat = kept.gl_lstat;
	result->gl_flags &= ~GLOB_ALTDIRFUNC;
	return error;
}

typedef int glob64_look(const char *path, struct stat64 *st);

static int glob64_pinned(glob64_call *call, glob64_look *follow, glob64_look *look, const char *pattern,
			 int flags, int (*on_error)(const char *, int), glob64_t *result)
{
	if (!shim_active() || (flags & GLOB_ALTDIRFUNC) || !result)
		return call(pattern, flags, on_error, result);
	glob64_t kept = *result;
	result->gl_opendir = glob_opendir;
	result->gl_closedir = glob_closedir;
	result->gl_readdir = glob_readdir64;
	result->gl_stat = follow;
	result->gl_lstat = look;
	int error = call(pattern, flags | GLOB_ALTDIRFUNC, on_error, result);
	result->gl_opendir = kept.gl_opendir;
	result->gl_closedir = kept.gl_closedir;
	result->gl_readdir = kept.gl_readdir;
	result->gl_stat = kept.gl_stat;
	result->gl_lstat = kept.gl_lstat;
	result->gl_flags &= ~GLOB_ALTDIRFUNC;
	return error;
}

int wrap_glob(const char *pattern, int flags, int (*on_error)(const char *, int), glob_t *result)
{
	return glob_pinned(next()->glob, glob_stat, pattern, flags, on_error, result);
}

int wrap_glob_old(const char *pattern, int flags, int (*on_error)(const char *, int), glob_t *result)
{
	return glob_pinned(next()->glob_old, glob_stat_old, pattern, flags, on_error, result);
}

int wrap_glob64(const char *pattern, int flags, int (*on_error)(const char *, int), glob64_t *result)
{
	return glob64_pinned(next()->glob64, glob_stat64, glob_lstat64, pattern, flags, on_error, result);
}

int wrap_glob64_old(const char *pattern, int flags, int (*on_error)(const char *, int), glob64_t *result)
{
	return glob64_pinned(next()->glob64_old, glob_stat64_old, glob_lstat64, pattern, flags, on_error,
			     result);
}

#ifdef __i386__
static int glob_stat_time64(const char *path, struct stat64 *st)
{
	return wrap___stat64_time64(path, (void *)st);
}

static int glob_lstat_time64(const char *path, struct stat64 *st)
{
	return wrap___lstat64_time64(path, (void *)st);
}

/* libc gives them what its own form of struct stat64 is. */
int wrap___glob64_time64(const char *pattern, int flags, int (*on_error)(const char *, int), glob64_t *result)
{
	return glob64_pinned(next()->__glob64_time64, glob_stat_time64, glob_lstat_time64, pattern, flags,
			     on_error, result);
}
#endif

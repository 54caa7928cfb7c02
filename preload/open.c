/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_open EXPORT
#include <string.h>

#include "preload/wrap.h"

/* Only then is there a fourth argument (a third of open()): reading one that was not passed is undefined. */
static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define TAKE_MODE(mode, last)                   \
	mode_t mode = 0;                        \
	if (takes_mode(last)) {                 \
		va_list list_;                  \
		va_start(list_, last);          \
		(mode) = va_arg(list_, mode_t); \
		va_end(list_);                  \
	}

/* O_PATH opens nothing, whatever else is asked. */
static bool open_writes(int flags)
{
	return !(flags & O_PATH) && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)));
}

/* The kernel makes no name with a slash behind it (EISDIR), and does not look what it is. */
static bool is_directory_made(const char *path, int flags)
{
	return (flags & (O_CREAT | O_PATH)) == O_CREAT && path && *path && path[strlen(path) - 1] == '/';
}

enum map_leaf open_leaf(const char *path, int flags)
{
	bool fresh = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);

	if (is_directory_made(path, flags))
		return LEAF_NAME;
	return (flags & O_NOFOLLOW) || fresh ? LEAF_NOFOLLOW : LEAF_FOLLOW;
}

/* With O_NOFOLLOW O_PATH would open the link itself; before a write the object is looked at anyway (refuse.h). */
static enum map_leaf first_leaf(const char *path, int flags)
{
	enum map_leaf leaf = open_leaf(path, flags);

	return leaf == LEAF_FOLLOW && !(flags & O_PATH) && !open_writes(flags) ? LEAF_TRY : leaf;
}

/*
 * With O_NOFOLLOW: did the kernel fail for a link at the end? It says ELOOP, also of too many on the way; and with O_DIRECTORY
 * ENOTDIR, also of what is neither. Then all is done again, which fails again where it was not that.
 */
static bool met_link(int fd)
{
	return fd < 0 && (errno == ELOOP || errno == ENOTDIR);
}

int open_refused(const struct mapped *m, int flags)
{
	return open_writes(flags) ? refuse_open(m->dir, m->path, flags) : 0;
}

static int open_path(int (*call)(const char *, int, ...), const char *path, int flags, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, first_leaf(path, flags));
	if (m.unsure) {
		int kept = errno, fd = call(m.path, flags | O_NOFOLLOW, mode);
		if (!met_link(fd))
			return fd;
		errno = kept;
		MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	}
	int error = open_refused(&m, flags);
	return error ? fail(error) : call(m.path, flags, mode);
}

static int open_at(int (*call)(int, const char *, int, ...), int dir, const char *path, int flags,
		   mode_t mode)
{
	MAPPED(m);
	MAP(m, dir, path, first_leaf(path, flags));
	if (m.unsure) {
		int kept = errno, fd = call(m.dir, m.path, flags | O_NOFOLLOW, mode);
		if (!met_link(fd))
			return fd;
		errno = kept;
		MAP(m, dir, path, LEAF_FOLLOW);
	}
	int error = open_refused(&m, flags);
	return error ? fail(error) : call(m.dir, m.path, flags, mode);
}

int wrap_open(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_path(next()->open, path, flags, mode);
}

int wrap_open64(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_path(next()->open64, path, flags, mode);
}

int wrap___open(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_path(next()->__open, path, flags, mode);
}

int wrap___open64(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_path(next()->__open64, path, flags, mode);
}

int wrap_openat(int dir, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_at(next()->openat, dir, path, flags, mode);
}

int wrap_openat64(int dir, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return open_at(next()->openat64, dir, path, flags, mode);
}

/* The forms of _FORTIFY_SOURCE end the program where a mode is missing: libc's own shall do that, before we refuse. */
static int open_2(int (*call)(const char *, int), const char *path, int flags)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, first_leaf(path, flags));
	if (m.unsure) {
		int kept = errno, fd = call(m.path, flags | O_NOFOLLOW);
		if (!met_link(fd))
			return fd;
		errno = kept;
		MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	}
	int error = takes_mode(flags) ? 0 : open_refused(&m, flags);
	return error ? fail(error) : call(m.path, flags);
}

static int open_at_2(int (*call)(int, const char *, int), int dir, const char *path, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, first_leaf(path, flags));
	if (m.unsure) {
		int kept = errno, fd = call(m.dir, m.path, flags | O_NOFOLLOW);
		if (!met_link(fd))
			return fd;
		errno = kept;
		MAP(m, dir, path, LEAF_FOLLOW);
	}
	int error = takes_mode(flags) ? 0 : open_refused(&m, flags);
	return error ? fail(error) : call(m.dir, m.path, flags);
}

int wrap___open_2(const char *path, int flags)
{
	return open_2(next()->__open_2, path, flags);
}

int wrap___open64_2(const char *path, int flags)
{
	return open_2(next()->__open64_2, path, flags);
}

int wrap___openat_2(int dir, const char *path, int flags)
{
	return open_at_2(next()->__openat_2, dir, path, flags);
}

int wrap___openat64_2(int dir, const char *path, int flags)
{
	return open_at_2(next()->__openat64_2, dir, path, flags);
}

static int create(int (*call)(const char *, mode_t), const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_open(m.dir, m.path, O_CREAT | O_WRONLY | O_TRUNC);
	return error ? fail(error) : call(m.path, mode);
}

int wrap_creat(const char *path, mode_t mode)
{
	return create(next()->creat, path, mode);
}

int wrap_creat64(const char *path, mode_t mode)
{
	return create(next()->creat64, path, mode);
}

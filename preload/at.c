/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_at EXPORT
#include <unistd.h>

#include "preload/wrap.h"

static enum map_leaf leaf_of(int flags)
{
	return flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW;
}

/* An empty path, where the call allows that, means what the descriptor is open on. */
int change_refused(const struct mapped *m, int flags)
{
	if (!m->path || m->path[0] || !(flags & AT_EMPTY_PATH))
		return refuse_change(m->dir, m->path, !(flags & AT_SYMLINK_NOFOLLOW));
	return m->dir == AT_FDCWD ? refuse_change(m->dir, ".", true) : refuse_opened(m->dir);
}

int wrap_faccessat(int dir, const char *path, int mode, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int error = mode & W_OK ? refuse_access(m.dir, m.path, mode, flags) : 0;
	return error ? fail(error) : next()->faccessat(m.dir, m.path, mode, flags);
}

int wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, true);
	return error ? fail(error) : next()->mkdirat(m.dir, m.path, mode);
}

int wrap_mknodat(int dir, const char *path, mode_t mode, dev_t device)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->mknodat(m.dir, m.path, mode, device);
}

int wrap___xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->__xmknodat(version, m.dir, m.path, mode, device);
}

int wrap_mkfifoat(int dir, const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->mkfifoat(m.dir, m.path, mode);
}

int wrap_unlinkat(int dir, const char *path, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = flags & AT_REMOVEDIR ? refuse_remove_directory(m.dir, m.path)
					 : refuse_remove(m.dir, m.path);
	if (error)
		return fail(error);
	bool link = !(flags & AT_REMOVEDIR) && names_link(m.dir, m.path);
	int result = next()->unlinkat(m.dir, m.path, flags);
	if (result == 0 && link)
		memory_forget();
	return result;
}

int wrap_fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int error = change_refused(&m, flags);
	return error ? fail(error) : next()->fchmodat(m.dir, m.path, mode, flags);
}

int wrap_fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int error = change_refused(&m, flags);
	return error ? fail(error) : next()->fchownat(m.dir, m.path, user, group, flags);
}

/* Here it is NULL that means the descriptor. */
int wrap_futimesat(int dir, const char *path, const struct timeval times[2])
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_FOLLOW);
	int error = path ? change_refused(&m, 0) : refuse_descriptor(dir);
	return error ? fail(error) : next()->futimesat(m.dir, m.path, times);
}

int wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int error = change_refused(&m, flags);
	return error ? fail(error) : next()->utimensat(m.dir, m.path, times, flags);
}

/* A descriptor that was opened for reading is enough to change what it is open on. */
int wrap_fchmod(int fd, mode_t mode)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->fchmod(fd, mode);
}

int wrap_fchown(int fd, uid_t user, gid_t group)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->fchown(fd, user, group);
}

int wrap_futimens(int fd, const struct timespec times[2])
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->futimens(fd, times);
}

int wrap_futimes(int fd, const struct timeval times[2])
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->futimes(fd, times);
}

int wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->fsetxattr(fd, name, value, size, flags);
}

int wrap_fremovexattr(int fd, const char *name)
{
	int error = refuse_descriptor(fd);
	return error ? fail(error) : next()->fremovexattr(fd, name);
}

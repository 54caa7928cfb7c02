/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_path EXPORT
#include "preload/as_libc.h"

#include <unistd.h>

#include "core/sys.h"
#include "preload/exec.h"
#include "preload/move.h"
#include "preload/wrap.h"

bool names_link(int dir, const char *path)
{
	char target[1];

	return shim_active() && sys_readlinkat(dir, path, target, sizeof(target)) >= 0;
}

__attribute__((noinline)) static int access_mapped(int (*call)(const char *, int), const char *path, int mode,
						   int flags, struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_FOLLOW, g);
	int error = mode & W_OK ? refuse_access(m.dir, m.path, mode, flags) : 0;
	return error ? fail(error) : call(m.path, mode);
}

__attribute__((noinline)) static int access_moved(int (*call)(const char *, int), const char *path, int mode,
						  struct glance g)
{
	MOVED(text, path, g);
	return call(text, mode);
}

static int access_path(int (*call)(const char *, int), const char *path, int mode, int flags)
{
	struct glance g = map_follow(AT_FDCWD, path);

	if (glance_known(g) == KNOWN_CLEAR && !(mode & W_OK))
		return call(path, mode);
	if (glance_moves(g) && !(mode & W_OK))
		return access_moved(call, path, mode, g);
	return access_mapped(call, path, mode, flags, g);
}

int wrap_access(const char *path, int mode)
{
	return access_path(next()->access, path, mode, 0);
}

int wrap_eaccess(const char *path, int mode)
{
	return access_path(next()->eaccess, path, mode, AT_EACCESS);
}

int wrap_euidaccess(const char *path, int mode)
{
	return access_path(next()->euidaccess, path, mode, AT_EACCESS);
}

int wrap_chdir(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	memory_cwd_begin();
	int result = next()->chdir(m.path);
	memory_cwd_end(result == 0);
	return result;
}

/* Afterwards the same text may mean another directory, and the stores may be out of sight. */
int wrap_chroot(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	exec_pins_keep();
	int result = next()->chroot(m.path);
	exec_pins_settle();
	if (result == 0)
		memory_root_changed();
	return result;
}

long wrap_pathconf(const char *path, int name)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->pathconf(m.path, name);
}

ssize_t wrap_getxattr(const char *path, const char *name, void *value, size_t size)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->getxattr(m.path, name, value, size);
}

ssize_t wrap_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	return next()->lgetxattr(m.path, name, value, size);
}

ssize_t wrap_listxattr(const char *path, char *list, size_t size)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->listxattr(m.path, list, size);
}

ssize_t wrap_llistxattr(const char *path, char *list, size_t size)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	return next()->llistxattr(m.path, list, size);
}

int wrap_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->setxattr(m.path, name, value, size, flags);
}

int wrap_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->lsetxattr(m.path, name, value, size, flags);
}

int wrap_removexattr(const char *path, const char *name)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->removexattr(m.path, name);
}

int wrap_lremovexattr(const char *path, const char *name)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->lremovexattr(m.path, name);
}

int wrap_mkdir(const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, true);
	return error ? fail(error) : next()->mkdir(m.path, mode);
}

int wrap_mknod(const char *path, mode_t mode, dev_t device)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->mknod(m.path, mode, device);
}

int wrap___xmknod(int version, const char *path, mode_t mode, dev_t *device)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->__xmknod(version, m.path, mode, device);
}

int wrap_mkfifo(const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : next()->mkfifo(m.path, mode);
}

/* What was remembered of a path through a link does not outlive the link. */
int wrap_unlink(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_remove(m.dir, m.path);
	if (error)
		return fail(error);
	bool link = names_link(m.dir, m.path);
	int result = next()->unlink(m.path);
	if (result == 0 && link)
		memory_forget();
	return result;
}

int wrap_rmdir(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_remove_directory(m.dir, m.path);
	return error ? fail(error) : next()->rmdir(m.path);
}

/* unlink(), and rmdir() for what that says is a directory. */
int wrap_remove(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_remove_directory(m.dir, m.path);
	if (error)
		return fail(error);
	bool link = names_link(m.dir, m.path);
	int result = next()->remove(m.path);
	if (result == 0 && link)
		memory_forget();
	return result;
}

int wrap_chmod(const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->chmod(m.path, mode);
}

/* A link has no mode to change: EOPNOTSUPP, on a read-only mount, too. */
int wrap_lchmod(const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = names_link(m.dir, m.path) ? 0 : refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->lchmod(m.path, mode);
}

int wrap_chown(const char *path, uid_t user, gid_t group)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->chown(m.path, user, group);
}

int wrap_lchown(const char *path, uid_t user, gid_t group)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->lchown(m.path, user, group);
}

int wrap_truncate(const char *path, off_t length)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = length < 0 ? 0 : refuse_truncate(m.dir, m.path);
	return error ? fail(error) : next()->truncate(m.path, length);
}

int wrap_truncate64(const char *path, off64_t length)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = length < 0 ? 0 : refuse_truncate(m.dir, m.path);
	return error ? fail(error) : next()->truncate64(m.path, length);
}

int wrap_utime(const char *path, const struct utimbuf *times)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->utime(m.path, times);
}

int wrap_utimes(const char *path, const struct timeval times[2])
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_change(m.dir, m.path, true);
	return error ? fail(error) : next()->utimes(m.path, times);
}

int wrap_lutimes(const char *path, const struct timeval times[2])
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int error = refuse_change(m.dir, m.path, false);
	return error ? fail(error) : next()->lutimes(m.path, times);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_change EXPORT
#include <linux/fs.h>

#include "core/sys.h"
#include "guard/next.h"

/* The flags of fchownat() and its kin. */
static unsigned leaf(int flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? OWN_NOFOLLOW : 0) | (flags & AT_EMPTY_PATH ? OWN_EMPTY : 0);
}

int wrap_truncate(const char *path, off_t length)
{
	return own_path(AT_FDCWD, path, OWN_CONTENT) ? -1 : NEXT(truncate)(path, length);
}

int wrap_truncate64(const char *path, off64_t length)
{
	return own_path(AT_FDCWD, path, OWN_CONTENT) ? -1 : NEXT(truncate64)(path, length);
}

/* ---- mode and owner ---- */

int wrap_chmod(const char *path, mode_t mode)
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(chmod)(path, mode);
}

int wrap_lchmod(const char *path, mode_t mode)
{
	return own_path(AT_FDCWD, path, OWN_NOFOLLOW) ? -1 : NEXT(lchmod)(path, mode);
}

int wrap_fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	return own_path(dir, path, leaf(flags)) ? -1 : NEXT(fchmodat)(dir, path, mode, flags);
}

int wrap_fchmod(int fd, mode_t mode)
{
	return own_descriptor(fd) ? -1 : NEXT(fchmod)(fd, mode);
}

int wrap_chown(const char *path, uid_t user, gid_t group)
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(chown)(path, user, group);
}

int wrap_lchown(const char *path, uid_t user, gid_t group)
{
	return own_path(AT_FDCWD, path, OWN_NOFOLLOW) ? -1 : NEXT(lchown)(path, user, group);
}

int wrap_fchownat(int dir, const char *path, uid_t user, gid_t group, int flags)
{
	return own_path(dir, path, leaf(flags)) ? -1 : NEXT(fchownat)(dir, path, user, group, flags);
}

int wrap_fchown(int fd, uid_t user, gid_t group)
{
	return own_descriptor(fd) ? -1 : NEXT(fchown)(fd, user, group);
}

/* ---- times ---- */

int wrap_utime(const char *path, const struct utimbuf *times)
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(utime)(path, times);
}

int wrap_utimes(const char *path, const struct timeval times[2])
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(utimes)(path, times);
}

int wrap_lutimes(const char *path, const struct timeval times[2])
{
	return own_path(AT_FDCWD, path, OWN_NOFOLLOW) ? -1 : NEXT(lutimes)(path, times);
}

/* Without a path both are about the descriptor itself. */
int wrap_futimesat(int dir, const char *path, const struct timeval times[2])
{
	return (path ? own_path(dir, path, 0) : own_descriptor(dir)) ? -1 : NEXT(futimesat)(dir, path, times);
}

int wrap_utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
	return (path ? own_path(dir, path, leaf(flags)) : own_descriptor(dir))
		       ? -1
		       : NEXT(utimensat)(dir, path, times, flags);
}

int wrap_futimens(int fd, const struct timespec times[2])
{
	return own_descriptor(fd) ? -1 : NEXT(futimens)(fd, times);
}

int wrap_futimes(int fd, const struct timeval times[2])
{
	return own_descriptor(fd) ? -1 : NEXT(futimes)(fd, times);
}

/* ---- extended attributes, and with them ACLs ---- */

int wrap_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(setxattr)(path, name, value, size, flags);
}

int wrap_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
	return own_path(AT_FDCWD, path, OWN_NOFOLLOW) ? -1 : NEXT(lsetxattr)(path, name, value, size, flags);
}

int wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return own_descriptor(fd) ? -1 : NEXT(fsetxattr)(fd, name, value, size, flags);
}

int wrap_removexattr(const char *path, const char *name)
{
	return own_path(AT_FDCWD, path, 0) ? -1 : NEXT(removexattr)(path, name);
}

int wrap_lremovexattr(const char *path, const char *name)
{
	return own_path(AT_FDCWD, path, OWN_NOFOLLOW) ? -1 : NEXT(lremovexattr)(path, name);
}

int wrap_fremovexattr(int fd, const char *name)
{
	return own_descriptor(fd) ? -1 : NEXT(fremovexattr)(fd, name);
}

/* ---- flags of an inode (chattr), which need no descriptor that can write ---- */

static bool changes_inode(unsigned long request)
{
	return request == FS_IOC_SETFLAGS || request == FS_IOC32_SETFLAGS || request == FS_IOC_SETVERSION ||
	       request == FS_IOC32_SETVERSION || request == FS_IOC_FSSETXATTR;
}

int wrap_ioctl(int fd, unsigned long request, void *argument)
{
	return changes_inode(request) && own_descriptor(fd) ? -1 : NEXT(ioctl)(fd, request, argument);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * refuse.h: a pinned snapshot is read-only: what would a read-only mount of it answer?
 *
 * Each function looks at one kind of operation on an already mapped (dir, path). It returns 0 where the
 * operation is not about anything in a pinned snapshot: the caller makes the real call. Else it returns the
 * errno that the same call gives on a read-only bind mount of the snapshot: the caller sets it and returns
 * its failure. An operation that fails anyway before the kernel looks at the mount (a missing parent, no
 * search permission, a name that exists) returns 0, too: the real call then fails by itself and changes
 * nothing. The order of the checks is that of Linux 6.18, measured: tests/preload/refuse.bats compares every
 * call with such a mount on the kernel that it runs on.
 *
 * What lies in a snapshot is decided by identity: some ancestor is the pinned snapshot's root (device,
 * inode). An object that a call follows a link to lies where it is, not where the link is. System calls are
 * those that a look-up needs: newfstatat, readlinkat, faccessat, openat (of a path too long to climb from; of
 * "" to ask about flags), close. No descriptor is needed, so a process that has none left is refused the
 * same. None sets errno, allocates or locks.
 */
#ifndef PRELOAD_REFUSE_H
#define PRELOAD_REFUSE_H

#include <stdbool.h>

/* open(2) with these flags. Reading is never refused; EROFS, or EACCES, EPERM where that comes first. */
int refuse_open(int dir, const char *path, int flags);

/*
 * mkdir (directory: a name with slashes behind it is good), mknod, mkfifo, symlink: EROFS where the name
 * could be made.
 */
int refuse_create(int dir, const char *path, bool directory);

/* unlink and rmdir: EROFS also for a missing name. */
int refuse_remove(int dir, const char *path);

/* rmdir: the same, and EBUSY for the root of a snapshot, where such a mount would be mounted. */
int refuse_remove_directory(int dir, const char *path);

/*
 * chmod, chown, utimes, setxattr, removexattr: EROFS where the object exists. `follow`: as the call treats a
 * last link.
 */
int refuse_change(int dir, const char *path, bool follow);

/* truncate: EROFS for a file, EACCES before that. */
int refuse_truncate(int dir, const char *path);

/*
 * rename and link over both names: EXDEV where they are not in one snapshot, EROFS where they are. link:
 * EROFS also into a snapshot; `flags` are those of linkat.
 */
int refuse_rename(int from_dir, const char *from, int to_dir, const char *to);
int refuse_link(int from_dir, const char *from, int to_dir, const char *to, int flags);

/*
 * fchmod, fchown, futimens, fsetxattr, fremovexattr on an open descriptor: EROFS. Not for one that is O_PATH:
 * those calls say EBADF. Without /proc only a directory's place can be found.
 */
int refuse_descriptor(int fd);

/* fchownat, utimensat, linkat ... with AT_EMPTY_PATH: the same, O_PATH or not. */
int refuse_opened(int fd);

/* access(2) and its kin with W_OK in `mode`: EROFS where the rest is granted. */
int refuse_access(int dir, const char *path, int mode, int flags);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * refuse.h: a pinned snapshot is read-only: what would a read-only mount of it answer?
 *
 * Each function looks at one kind of operation on an already mapped (dir, path). It returns 0 where the operation is not about
 * anything in a pinned snapshot: the caller makes the real call. Else it returns the errno that the same call gives on a read-only bind mount
 * of the snapshot (fs/namei.c and fs/open.c of Linux 6.1 were read for the order of the checks; tests/preload compares with such a mount):
 * the caller sets it and returns its failure. An operation that fails anyway before the kernel looks at the mount (a missing
 * parent, no search permission) returns 0, too: the real call then fails by itself and changes nothing.
 *
 * What lies in a snapshot is decided by identity: some ancestor is the pinned snapshot's root (device, inode).
 * System calls are those that a look-up needs: openat(O_PATH), newfstatat, readlinkat, faccessat, close. None sets errno, allocates or locks.
 */
#ifndef PRELOAD_REFUSE_H
#define PRELOAD_REFUSE_H

#include <stdbool.h>

/* open(2) with these flags. Reading is never refused; EROFS, EEXIST, EISDIR, EACCES. */
int refuse_open(int dir, const char *path, int flags);

/* mkdir, mknod, mkfifo, symlink, link's new name: EEXIST or EROFS. */
int refuse_create(int dir, const char *path);

/* unlink (rmdir = false) and rmdir: EROFS also for a missing name; EINVAL, ENOTEMPTY, EBUSY, EISDIR for . .. / as the kernel has it. */
int refuse_remove(int dir, const char *path, bool rmdir);

/* chmod, chown, utimes, setxattr, removexattr: EROFS where the object exists. `follow`: as the call treats a last link. */
int refuse_change(int dir, const char *path, bool follow);

/* truncate: EISDIR, EINVAL, EACCES or EROFS. */
int refuse_truncate(int dir, const char *path);

/* rename and link over both names: EXDEV where only one is inside, EROFS (or EBUSY, EEXIST) where both are. */
int refuse_rename(int from_dir, const char *from, int to_dir, const char *to);
int refuse_link(int from_dir, const char *from, bool follow, int to_dir, const char *to);

/* fchmod, fchown, futimens, fsetxattr, fremovexattr on an open descriptor: EROFS. */
int refuse_descriptor(int fd);

/* access(2) and its kin with W_OK in `mode`: EROFS (after EACCES, ENOENT). */
int refuse_access(int dir, const char *path, int mode, int flags);

#endif

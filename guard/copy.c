/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link is broken in five steps, under the lock: look (another process may have broken it meanwhile), copy into the scratch directory, look again
 * (somebody may have given the name to another file meanwhile: then that is what the call is about), rename over, put back the times of
 * the directory. If we die before the rename, the tree has the old file, whole, and the scratch directory a copy that its owner removes; after it,
 * the new one.
 */
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "core/names.h"
#include "core/sys.h"
#include "guard/guard.h"

#define NAME_ROOM (2 * SNAPSHOT_NUMBER_ROOM + 1)
#define NAME_TRIES 1000
#define ATTRS_ROOM 65536 /* XATTR_LIST_MAX, XATTR_SIZE_MAX */
#define PROC_ROOM (sizeof("/proc/self/fd//") + SNAPSHOT_NUMBER_ROOM)

/* The kernel's own; the compiler's headers have glibc's, which is larger. */
typedef uint64_t signal_set;

static int sys_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	return (int)sys_call(SYS_renameat, from_dir, (long)from, to_dir, (long)to, 0, 0);
}

static int sys_unlink(int dir, const char *name)
{
	return (int)sys_call(SYS_unlinkat, dir, (long)name, 0, 0, 0, 0);
}

static int set_times(int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	return (int)sys_call(SYS_utimensat, dir, (long)name, (long)times, name ? AT_SYMLINK_NOFOLLOW : 0, 0,
			     0);
}

/* ---- content ---- */

/* copy_file_range(2) does not go everywhere where sendfile(2) does. Neither needs memory of ours. */
static long copy_some(int from, int to, int64_t at, int64_t end)
{
	int64_t in = at, out = at;
	long count = sys_call(SYS_copy_file_range, from, (long)&in, to, (long)&out, end - at, 0);

	if (count > 0)
		return count;
	in = at;
	sys_call(SYS_lseek, to, at, SEEK_SET, 0, 0, 0);
	return sys_call(SYS_sendfile, to, from, (long)&in, end - at, 0, 0);
}

static int copy_range(int from, int to, int64_t at, int64_t end)
{
	while (at < end) {
		long count = copy_some(from, to, at, end);

		if (count <= 0)
			return count < 0 ? (int)count : -EIO;
		at += count;
	}
	return 0;
}

/* Holes stay holes. A file system that knows none says that all is data. */
static int copy_content(int from, int to, int64_t size)
{
	int64_t at = 0;

	if (sys_call(SYS_ioctl, to, FICLONE, from, 0, 0, 0) == 0)
		return 0;
	int result = (int)sys_call(SYS_ftruncate, to, size, 0, 0, 0, 0);
	while (result == 0 && at < size) {
		long data = sys_call(SYS_lseek, from, at, SEEK_DATA, 0, 0, 0);

		if (data == -ENXIO)
			break;
		if (data < 0)
			data = at;
		long end = sys_call(SYS_lseek, from, data, SEEK_HOLE, 0, 0, 0);
		if (end < 0 || end > size)
			end = size;
		result = copy_range(from, to, data, end);
		at = end;
	}
	return result;
}

/* ---- metadata ---- */

/*
 * Extended attributes are reached by a path, so that those of a symbolic link are, too: the paths end in the names, which are no links that are
 * followed.
 */
struct attrs {
	char *list, *value, *other; /* of ATTRS_ROOM */
	const char *from, *to;
};

static long get_attr(const char *path, const char *name, char *value)
{
	return sys_call(SYS_lgetxattr, (long)path, (long)name, (long)value, ATTRS_ROOM, 0, 0);
}

/* What the copy has already (a label that the system gave) need not be set, and perhaps may not. */
static int copy_attr(const struct attrs *attrs, const char *name)
{
	const long size = get_attr(attrs->from, name, attrs->value);

	if (size == -ENODATA || strcmp(name, "security.evm") == 0)
		return 0;
	if (size < 0)
		return (int)size;
	if (get_attr(attrs->to, name, attrs->other) == size &&
	    memcmp(attrs->value, attrs->other, (size_t)size) == 0)
		return 0;
	return (int)sys_call(SYS_lsetxattr, (long)attrs->to, (long)name, (long)attrs->value, size, 0, 0);
}

static const char acl[] = "system.posix_acl_access";

static int copy_listed(struct attrs *attrs, long size)
{
	int result = 0;

	/* one that came by its directory's default */
	if (get_attr(attrs->from, acl, attrs->value) < 0 && get_attr(attrs->to, acl, attrs->other) >= 0)
		result = (int)sys_call(SYS_lremovexattr, (long)attrs->to, (long)acl, 0, 0, 0, 0);
	for (const char *name = attrs->list; result == 0 && name < attrs->list + size;
	     name += strlen(name) + 1)
		result = copy_attr(attrs, name);
	return result;
}

/* "/proc/self/fd/DIR/NAME"; `to` has PROC_ROOM + strlen(name) bytes. */
static void door_write(char *to, int dir, const char *name)
{
	static const char begin[] = "/proc/self/fd/";

	memcpy(to, begin, sizeof(begin) - 1);
	to += sizeof(begin) - 1;
	to += snapshot_number_format((uint64_t)dir, to);
	*to++ = '/';
	memcpy(to, name, strlen(name) + 1);
}

static int copy_attrs(int dir, const char *name, int scratch, const char *fresh)
{
	char *from = __builtin_alloca(PROC_ROOM + strlen(name)),
	     *to = __builtin_alloca(PROC_ROOM + strlen(fresh));

	door_write(from, dir, name);
	door_write(to, scratch, fresh);
	/* Few files have any, on either side: then no memory is asked for. */
	long size = sys_call(SYS_llistxattr, (long)from, 0, 0, 0, 0, 0);
	if (size == -ENOTSUP || (size == 0 && sys_call(SYS_llistxattr, (long)to, 0, 0, 0, 0, 0) <= 0))
		return 0;
	if (size < 0)
		return (int)size;
	long room = sys_mmap(3 * ATTRS_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sys_failed(room))
		return (int)room;
	struct attrs attrs = { (char *)room, (char *)room + ATTRS_ROOM, (char *)room + 2 * ATTRS_ROOM, from,
			       to };
	size = sys_call(SYS_llistxattr, (long)from, (long)attrs.list, ATTRS_ROOM, 0, 0, 0);
	int result = size < 0 ? (int)size : copy_listed(&attrs, size);
	sys_munmap(attrs.list, 3 * ATTRS_ROOM);
	return result;
}

/* In this order: a change of owner takes away set-id bits and capabilities, an ACL changes the mode, everything the times. */
static int copy_metadata(int dir, const char *name, const struct stat *st, int scratch, const char *fresh)
{
	struct stat made;
	int result = sys_fstatat(scratch, fresh, &made, AT_SYMLINK_NOFOLLOW);

	if (result == 0 && (made.st_uid != st->st_uid || made.st_gid != st->st_gid))
		result = (int)sys_call(SYS_fchownat, scratch, (long)fresh, (long)st->st_uid, (long)st->st_gid,
				       AT_SYMLINK_NOFOLLOW, 0);
	if (result == 0)
		result = copy_attrs(dir, name, scratch, fresh);
	if (result == 0 && !S_ISLNK(st->st_mode))
		result = (int)sys_call(SYS_fchmodat, scratch, (long)fresh, st->st_mode & 07777, 0, 0, 0);
	return result != 0 ? result : set_times(scratch, fresh, st);
}

/* ---- the copy ---- */

static int copy_file(int dir, const char *name, const struct stat *st, int scratch, const char *fresh)
{
	static const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat opened;
	/* The snapshot's access time is none of ours to change, where we may not. */
	int from = sys_openat(dir, name, flags | O_NOATIME);

	if (from == -EPERM)
		from = sys_openat(dir, name, flags);
	if (from < 0)
		return from;
	int to = (int)sys_call(SYS_openat, scratch, (long)fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600,
			       0, 0);
	int result = to < 0 ? to : sys_fstat(from, &opened);
	if (result == 0)
		result = same_file(&opened, st) ? copy_content(from, to, st->st_size) : -ESTALE;
	if (to >= 0)
		sys_close(to);
	sys_close(from);
	return result;
}

static int copy_target(int dir, const char *name, const struct stat *st, int scratch, const char *fresh)
{
	char *target = __builtin_alloca((size_t)st->st_size + 1);
	ssize_t length = sys_readlinkat(dir, name, target, (size_t)st->st_size + 1);

	if (length < 0 || length > st->st_size)
		return length < 0 ? (int)length : -ESTALE;
	target[length] = '\0';
	return (int)sys_call(SYS_symlinkat, (long)target, scratch, (long)fresh, 0, 0, 0);
}

/* Apart from the caller, so that what it has on the stack is given back. */
__attribute__((noinline)) static int copy_object(int dir, const char *name, const struct stat *st,
						 int scratch, const char *fresh)
{
	if (S_ISREG(st->st_mode))
		return copy_file(dir, name, st, scratch, fresh);
	if (S_ISLNK(st->st_mode))
		return copy_target(dir, name, st, scratch, fresh);
	return (int)sys_call(SYS_mknodat, scratch, (long)fresh, (st->st_mode & S_IFMT) | 0600,
			     (long)st->st_rdev, 0, 0);
}

/* A name that no living thread uses; a dead one's copy may still have it. */
static int copy_make(int dir, const char *name, const struct stat *st, int scratch, char *fresh)
{
	static unsigned count;
	int result = -EEXIST;

	for (int tries = 0; result == -EEXIST && tries < NAME_TRIES; tries++) {
		size_t length = snapshot_number_format((uint64_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0),
						       fresh);

		fresh[length] = '.';
		snapshot_number_format(__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED), fresh + length + 1);
		result = copy_object(dir, name, st, scratch, fresh);
	}
	return result != 0 ? result : copy_metadata(dir, name, st, scratch, fresh);
}

static int break_once(int scratch, int dir, const char *name, const struct stat *st)
{
	char fresh[NAME_ROOM];
	struct stat parent, now;
	int result = copy_make(dir, name, st, scratch, fresh);

	if (result == 0)
		result = sys_fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW);
	if (result == 0 && !same_file(&now, st))
		result = -ESTALE;
	if (result == 0)
		result = sys_fstat(dir, &parent);
	if (result == 0)
		result = sys_rename(scratch, fresh, dir, name);
	if (result != 0) {
		sys_unlink(scratch, fresh);
		return result;
	}
	/* Who may write to a directory of somebody else's may not set its times: then they are as after any rename. */
	set_times(dir, ".", &parent);
	return 0;
}

static int break_locked(int scratch, int dir, const char *name)
{
	struct stat st;
	int result = -ESTALE;

	for (int tries = 0; result == -ESTALE && tries < NAME_TRIES; tries++) {
		result = sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
		/* Gone: the call itself shall say so. */
		if (result != 0 || st.st_nlink < 2 || S_ISDIR(st.st_mode))
			return 0;
		result = break_once(scratch, dir, name, &st);
	}
	return result;
}

int link_break(int scratch, int dir, const char *name)
{
	const signal_set all = ~(signal_set)0;
	signal_set before;

	/* Without signals a handler of this thread cannot come to wait for the lock that we hold. */
	int result = (int)sys_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&before, sizeof(all), 0,
				   0);
	if (result != 0)
		return result;
	result = (int)sys_call(SYS_flock, scratch, LOCK_EX, 0, 0, 0, 0);
	if (result == 0)
		result = break_locked(scratch, dir, name);
	/* By name: a child that another thread has just forked has this description, too. */
	sys_call(SYS_flock, scratch, LOCK_UN, 0, 0, 0, 0);
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(all), 0, 0);
	return result;
}

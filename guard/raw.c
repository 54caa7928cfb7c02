/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * syscall(2): calls by number. Those that change something are decided as the functions of their names are. io_uring_setup() fails with
 * ENOSYS, as on a kernel that was built without it: what a ring does passes by every wrapper, and whoever uses rings has a way without them.
 * By number no program is started: what does so is refused, as the environment is not put back.
 */
#define EXPORT_raw EXPORT
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "guard/next.h"

/* Newer than this libc's headers; the same on every machine. */
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define NUMBER_setxattrat 463
#define NUMBER_removexattrat 466

#define NONE (-1)

enum rule {
	OPEN,     /* the flags are those of open() */
	OPEN_HOW, /* they are behind a pointer */
	CREATE,
	CHANGE, /* the flags are those of fchownat() */
	CONTENT,
	DESCRIPTOR,
	NAME,
	LINK, /* the second path is two arguments behind the first */
	RENAME,
	PROGRAM,
	RING,
};

/* Which argument is what. */
struct raw_call {
	short number;
	signed char dir; /* NONE: AT_FDCWD */
	signed char path;
	signed char flags; /* NONE: there are none */
	enum rule rule;
	int always; /* flags that the call does not need to be told */
};

static const struct raw_call raw_calls[] = {
	{ SYS_open, NONE, 0, 1, OPEN, 0 },
	{ SYS_openat, 0, 1, 2, OPEN, 0 },
	{ SYS_openat2, 0, 1, 2, OPEN_HOW, 0 },
	{ SYS_creat, NONE, 0, NONE, CREATE, 0 },
	{ SYS_truncate, NONE, 0, NONE, CONTENT, 0 },
	{ SYS_chmod, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_fchmod, 0, NONE, NONE, DESCRIPTOR, 0 },
	{ SYS_fchmodat, 0, 1, NONE, CHANGE, 0 },
	{ SYS_fchmodat2, 0, 1, 3, CHANGE, 0 },
	{ SYS_chown, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lchown, NONE, 0, NONE, CHANGE, AT_SYMLINK_NOFOLLOW },
	{ SYS_fchown, 0, NONE, NONE, DESCRIPTOR, 0 },
	{ SYS_fchownat, 0, 1, 4, CHANGE, 0 },
	{ SYS_utime, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_utimes, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_futimesat, 0, 1, NONE, CHANGE, 0 },
	{ SYS_utimensat, 0, 1, 3, CHANGE, 0 },
	{ SYS_setxattr, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lsetxattr, NONE, 0, NONE, CHANGE, AT_SYMLINK_NOFOLLOW },
	{ SYS_fsetxattr, 0, NONE, NONE, DESCRIPTOR, 0 },
	{ SYS_removexattr, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lremovexattr, NONE, 0, NONE, CHANGE, AT_SYMLINK_NOFOLLOW },
	{ SYS_fremovexattr, 0, NONE, NONE, DESCRIPTOR, 0 },
	{ NUMBER_setxattrat, 0, 1, 2, CHANGE, 0 },
	{ NUMBER_removexattrat, 0, 1, 2, CHANGE, 0 },
	{ SYS_link, NONE, 0, NONE, LINK, 0 },
	{ SYS_linkat, 0, 1, 4, LINK, 0 },
	{ SYS_rename, NONE, 0, NONE, RENAME, 0 },
	{ SYS_renameat, 0, 1, NONE, RENAME, 0 },
	{ SYS_renameat2, 0, 1, 4, RENAME, 0 },
	{ SYS_unlink, NONE, 0, NONE, NAME, 0 },
	{ SYS_unlinkat, 0, 1, NONE, NAME, 0 },
	{ SYS_rmdir, NONE, 0, NONE, NAME, 0 },
	{ SYS_mkdir, NONE, 0, NONE, NAME, 0 },
	{ SYS_mkdirat, 0, 1, NONE, NAME, 0 },
	{ SYS_mknod, NONE, 0, NONE, NAME, 0 },
	{ SYS_mknodat, 0, 1, NONE, NAME, 0 },
	{ SYS_symlink, NONE, 1, NONE, NAME, 0 },
	{ SYS_symlinkat, 1, 2, NONE, NAME, 0 },
	{ SYS_execve, NONE, 0, NONE, PROGRAM, 0 },
	{ SYS_execveat, 0, 1, NONE, PROGRAM, 0 },
	{ SYS_io_uring_setup, NONE, NONE, NONE, RING, 0 },
};

static int two_names(const struct raw_call *c, const long at[6], int dir, const char *path, int flags)
{
	const bool has_dir = c->dir != NONE;
	const int to_dir = has_dir ? (int)at[c->path + 1] : AT_FDCWD;
	const char *to = (const char *)at[c->path + (has_dir ? 2 : 1)];

	return c->rule == LINK ? own_link(dir, path, flags, to_dir, to)
			       : own_rename(dir, path, to_dir, to, (unsigned)flags);
}

static int change(int dir, const char *path, int flags)
{
	const unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? OWN_NOFOLLOW : 0) |
			     (flags & AT_EMPTY_PATH ? OWN_EMPTY : 0);

	return path ? own_path(dir, path, how) : own_descriptor(dir);
}

static int own_raw(const struct raw_call *c, const long at[6])
{
	const int dir = c->dir == NONE ? AT_FDCWD : (int)at[c->dir];
	const char *path = c->path == NONE ? NULL : (const char *)at[c->path];
	const int flags = (c->flags == NONE ? 0 : (int)at[c->flags]) | c->always;

	switch (c->rule) {
	case OPEN:
		return own_open(dir, path, flags);
	case OPEN_HOW:
		return own_open(dir, path, (int)((const struct open_how *)at[c->flags])->flags);
	case CREATE:
		return own_open(dir, path, O_CREAT | O_WRONLY | O_TRUNC);
	case CHANGE:
		return change(dir, path, flags);
	case CONTENT:
		return own_path(dir, path, OWN_CONTENT);
	case DESCRIPTOR:
		return own_descriptor(dir);
	case NAME:
		return own_entry(dir, path);
	case LINK:
	case RENAME:
		return two_names(c, at, dir, path, flags);
	case PROGRAM:
		return fail(EPERM);
	case RING:
		return fail(ENOSYS);
	}
	return 0;
}

/*
 * Declared with as many arguments as a system call can have: those that the caller did not pass are registers with anything in
 * them, and go on as they came, as in libc's own.
 */
long wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	const long at[6] = { a, b, c, d, e, f };

	if (number != SYS_futex && guard_active())
		for (size_t i = 0; i < sizeof(raw_calls) / sizeof(raw_calls[0]); i++)
			if (raw_calls[i].number == number && own_raw(&raw_calls[i], at) != 0)
				return -1;
	return NEXT(syscall)(number, a, b, c, d, e, f);
}

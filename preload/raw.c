/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * syscall(2): system calls by number. Those that take a path are mapped and refused as the functions of their names are, and then
 * made by number: what is not in the table, and everything that is, stays the kernel's own call.
 *
 * io_uring_setup() fails with ENOSYS, as on a kernel that was built without it: what is opened through a ring passes by every
 * wrapper, and whoever uses rings has a way without them (libuv has). A program that insists can be pinned by a namespace.
 */
#define EXPORT_raw EXPORT
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/sys.h"
#include "preload/wrap.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6; the same on every machine */
#endif

/* As in linux/mount.h. */
#define FROM_FOLLOWS 0x1  /* MOVE_MOUNT_F_SYMLINKS */
#define TO_FOLLOWS 0x10   /* MOVE_MOUNT_T_SYMLINKS */
#define PICK_NOFOLLOW 0x2 /* FSPICK_SYMLINK_NOFOLLOW */

enum rule {
	LOOK,     /* nothing is changed */
	ENTRY,    /* it tells of a link: of D/L it is the pinned snapshot's name that has a length */
	ENTRY_X,  /* the same, for statx() */
	TEXT,     /* it tells what a link says */
	OPEN,     /* the flags are those of open() */
	OPEN_HOW, /* they are behind a pointer */
	CREATE,
	ACCESS,
	MAKE,
	MAKE_DIRECTORY,
	REMOVE, /* the flags are those of unlinkat() */
	REMOVE_DIRECTORY,
	CHANGE, /* the flags are those of fchownat() */
	TIMES,  /* the same; without a path it is the descriptor itself */
	TRUNCATE,
};

#define NONE (-1)
#define FOLLOW 0x10000   /* follows a last link only with AT_SYMLINK_FOLLOW */
#define NOFOLLOW 0x20000 /* never follows it */

/* Which argument is what. */
struct raw_call {
	short number;
	signed char dir; /* NONE: AT_FDCWD */
	signed char path;
	signed char flags; /* NONE: there are none */
	enum rule rule;
	unsigned nofollow; /* the flag with which a last link is not followed */
};

static const struct raw_call raw_calls[] = {
#ifdef SYS_open
	{ SYS_open, NONE, 0, 1, OPEN, 0 },
	{ SYS_creat, NONE, 0, NONE, CREATE, 0 },
	{ SYS_access, NONE, 0, NONE, ACCESS, 0 },
	{ SYS_readlink, NONE, 0, NONE, TEXT, NOFOLLOW },
	{ SYS_mkdir, NONE, 0, NONE, MAKE_DIRECTORY, 0 },
	{ SYS_mknod, NONE, 0, NONE, MAKE, 0 },
	{ SYS_unlink, NONE, 0, NONE, REMOVE, 0 },
	{ SYS_rmdir, NONE, 0, NONE, REMOVE_DIRECTORY, 0 },
	{ SYS_chmod, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_chown, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lchown, NONE, 0, NONE, CHANGE, NOFOLLOW },
	{ SYS_utime, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_utimes, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_futimesat, 0, 1, NONE, TIMES, 0 },
#endif
#ifdef __x86_64__
	{ SYS_stat, NONE, 0, NONE, LOOK, 0 },
	{ SYS_lstat, NONE, 0, NONE, ENTRY, NOFOLLOW },
	{ SYS_newfstatat, 0, 1, 3, ENTRY, AT_SYMLINK_NOFOLLOW },
#endif
#ifdef __i386__
	{ SYS_stat64, NONE, 0, NONE, LOOK, 0 },
	{ SYS_lstat64, NONE, 0, NONE, ENTRY, NOFOLLOW },
	{ SYS_fstatat64, 0, 1, 3, ENTRY, AT_SYMLINK_NOFOLLOW },
	{ SYS_statfs64, NONE, 0, NONE, LOOK, 0 },
	{ SYS_chown32, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lchown32, NONE, 0, NONE, CHANGE, NOFOLLOW },
	{ SYS_truncate64, NONE, 0, NONE, TRUNCATE, 0 },
	{ SYS_utimensat_time64, 0, 1, 3, TIMES, AT_SYMLINK_NOFOLLOW },
	{ SYS_fanotify_mark, 4, 5, 1, LOOK, FAN_MARK_DONT_FOLLOW }, /* its mask is two arguments */
#else
	{ SYS_fanotify_mark, 3, 4, 1, LOOK, FAN_MARK_DONT_FOLLOW },
#endif
	{ SYS_openat, 0, 1, 2, OPEN, 0 },
	{ SYS_openat2, 0, 1, NONE, OPEN_HOW, 0 },
	{ SYS_statx, 0, 1, 2, ENTRY_X, AT_SYMLINK_NOFOLLOW },
	{ SYS_statfs, NONE, 0, NONE, LOOK, 0 },
	{ SYS_faccessat, 0, 1, NONE, ACCESS, 0 },
	{ SYS_faccessat2, 0, 1, 3, ACCESS, AT_SYMLINK_NOFOLLOW },
	{ SYS_readlinkat, 0, 1, NONE, TEXT, NOFOLLOW },
	{ SYS_getxattr, NONE, 0, NONE, LOOK, 0 },
	{ SYS_lgetxattr, NONE, 0, NONE, LOOK, NOFOLLOW },
	{ SYS_listxattr, NONE, 0, NONE, LOOK, 0 },
	{ SYS_llistxattr, NONE, 0, NONE, LOOK, NOFOLLOW },
	{ SYS_setxattr, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lsetxattr, NONE, 0, NONE, CHANGE, NOFOLLOW },
	{ SYS_removexattr, NONE, 0, NONE, CHANGE, 0 },
	{ SYS_lremovexattr, NONE, 0, NONE, CHANGE, NOFOLLOW },
	{ SYS_mkdirat, 0, 1, NONE, MAKE_DIRECTORY, 0 },
	{ SYS_mknodat, 0, 1, NONE, MAKE, 0 },
	{ SYS_unlinkat, 0, 1, 2, REMOVE, 0 },
	{ SYS_fchmodat, 0, 1, NONE, CHANGE, 0 },
	{ SYS_fchmodat2, 0, 1, 3, CHANGE, AT_SYMLINK_NOFOLLOW },
	{ SYS_fchownat, 0, 1, 4, CHANGE, AT_SYMLINK_NOFOLLOW },
	{ SYS_utimensat, 0, 1, 3, TIMES, AT_SYMLINK_NOFOLLOW },
	{ SYS_truncate, NONE, 0, NONE, TRUNCATE, 0 },
	{ SYS_inotify_add_watch, NONE, 1, 2, LOOK, IN_DONT_FOLLOW },
	{ SYS_name_to_handle_at, 0, 1, 4, LOOK, FOLLOW },
	{ SYS_open_tree, 0, 1, 2, LOOK, AT_SYMLINK_NOFOLLOW },
	{ SYS_fspick, 0, 1, 2, LOOK, PICK_NOFOLLOW },
	{ SYS_mount_setattr, 0, 1, 2, LOOK, AT_SYMLINK_NOFOLLOW },
};

#define RAW_CALLS (sizeof(raw_calls) / sizeof(raw_calls[0]))

/* The arguments of a call, and those that it is made with. */
struct arguments {
	long number;
	long at[6];
};

static long make(const struct arguments *a)
{
	return next()->syscall(a->number, a->at[0], a->at[1], a->at[2], a->at[3], a->at[4], a->at[5]);
}

static int flags_of(const struct raw_call *c, const struct arguments *a)
{
	if (c->rule == OPEN_HOW) {
		const struct open_how *how = (const void *)a->at[2];

		return how ? (int)how->flags : 0;
	}
	return c->flags == NONE ? 0 : (int)a->at[c->flags];
}

static enum map_leaf leaf_of(const struct raw_call *c, const char *path, int flags)
{
	switch (c->rule) {
	case OPEN:
	case OPEN_HOW:
		return open_leaf(path, flags);
	case MAKE:
	case MAKE_DIRECTORY:
	case REMOVE:
	case REMOVE_DIRECTORY:
		return LEAF_NAME;
	default:
		break;
	}
	if (c->nofollow == NOFOLLOW)
		return LEAF_NOFOLLOW;
	if (c->nofollow == FOLLOW)
		return flags & AT_SYMLINK_FOLLOW ? LEAF_FOLLOW : LEAF_NOFOLLOW;
	return (unsigned)flags & c->nofollow ? LEAF_NOFOLLOW : LEAF_FOLLOW;
}

/* 0 or an errno. */
static int refused(const struct raw_call *c, const struct mapped *m, const struct arguments *a, int flags)
{
	switch (c->rule) {
	case OPEN:
	case OPEN_HOW:
		return open_refused(m, flags);
	case CREATE:
		return refuse_open(m->dir, m->path, O_CREAT | O_WRONLY | O_TRUNC);
	case ACCESS:
		return refuse_access(m->dir, m->path, (int)a->at[c->path + 1], flags);
	case MAKE:
		return refuse_create(m->dir, m->path, false);
	case MAKE_DIRECTORY:
		return refuse_create(m->dir, m->path, true);
	case REMOVE:
		return flags & AT_REMOVEDIR ? refuse_remove_directory(m->dir, m->path)
					    : refuse_remove(m->dir, m->path);
	case REMOVE_DIRECTORY:
		return refuse_remove_directory(m->dir, m->path);
	case TIMES:
		if (!m->path)
			return refuse_descriptor(m->dir);
		return change_refused(m, flags);
	case CHANGE:
		return change_refused(m, c->nofollow == NOFOLLOW ? AT_SYMLINK_NOFOLLOW : flags);
	case TRUNCATE:
		return a->at[1] < 0 ? 0 : refuse_truncate(m->dir, m->path);
	default:
		return 0;
	}
}

/* What the kernel has said, as it is for a pinned program. */
static long answer(const struct raw_call *c, struct mapped *m, const struct arguments *a, long result)
{
	if (c->rule == TEXT && result >= 0)
		entry_opened(m);
	if (c->rule == ENTRY && result == 0 && S_ISLNK(((struct stat *)a->at[c->path + 1])->st_mode))
		entry_opened(m);
	if (c->rule == ENTRY_X && result == 0 && S_ISLNK(((struct statx *)a->at[4])->stx_mode))
		entry_opened(m);
	if (c->rule == TEXT)
		return entry_answer(m, result, (char *)a->at[c->path + 1], (size_t)(int)a->at[c->path + 2]);
	if (result != 0 || m->kind != MAP_ENTRY)
		return result;
	if (c->rule == ENTRY)
		((struct stat *)a->at[c->path + 1])->st_size = (off_t)entry_length(m);
	if (c->rule == ENTRY_X)
		((struct statx *)a->at[4])->stx_size = entry_length(m);
	return result;
}

/* What the kernel finds by this path as the call has it resolved. */
static int open_alike(const struct mapped *m, const char *path, const struct open_how *how)
{
	const struct open_how look = { .flags = O_PATH | O_CLOEXEC | (how->flags & O_NOFOLLOW),
				       .resolve = how->resolve };

	return (int)sys_call(SYS_openat2, m->dir, (long)path, (long)&look, sizeof(look), 0, 0);
}

/*
 * A look that failed: the answer to the call, or 0 where the call fails alike, and says itself how. What may pass (somebody renamed
 * something, no descriptor was left) is answered at once: the call might succeed where the look did not, and would be unjudged.
 */
static int look_failed(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return error;
	default:
		return 0;
	}
}

/* A name that is to be made: in which directory? */
static int creation_refused(const struct mapped *m, const struct open_how *how)
{
	const char *slash = strrchr(m->path, '/'), *name = slash ? slash + 1 : m->path;
	const size_t length = (size_t)(name - m->path);
	char *directory = __builtin_alloca(length + 2);

	memcpy(directory, m->path, length);
	memcpy(directory + length, ".", 2);
	int fd = open_alike(m, directory, how);
	if (fd < 0)
		return look_failed(-fd);
	int error = refuse_open(fd, name, (int)how->flags);
	sys_close(fd);
	return error;
}

/* What would be written is opened first, as O_PATH. What cannot be opened for writing anyway is left to the kernel. */
static int open_is_refused(const struct mapped *m, const struct open_how *how)
{
	const bool makes = how->flags & O_CREAT, in_it = (how->flags & O_TMPFILE) == O_TMPFILE;
	struct stat st;

	if (!m->path || ((how->flags & O_ACCMODE) == O_RDONLY && !(how->flags & (O_CREAT | O_TRUNC))))
		return 0;
	int fd = open_alike(m, m->path, how);
	if (fd < 0)
		return fd == -ENOENT && makes ? creation_refused(m, how) : look_failed(-fd);
	bool matters = sys_fstat(fd, &st) == 0 && (in_it ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) &&
		       !(makes && (how->flags & O_EXCL)) &&
		       ((how->flags & O_ACCMODE) != O_RDONLY || (how->flags & O_TRUNC));
	int error = matters ? refuse_opened(fd) : 0;
	sys_close(fd);
	return error;
}

/*
 * openat2() without links, or with the directory as its root. No link: where there is one the kernel refuses, and a mapped path would have none.
 * In a root of its own a path's text is another one's, which those who know nothing but text (behind a filter) leave alone.
 */
static long open_resolved(struct arguments *a, const struct open_how *how)
{
	const char *path = (const char *)a->at[1];

	MAPPED(m);
	m.door = DOOR_IN_ROOT;
	m.dir = (int)a->at[0];
	m.path = path;
	if (!(how->resolve & RESOLVE_NO_SYMLINKS) && !map_is_confined())
		MAP_ON(m, m.dir, path, open_leaf(path, (int)how->flags), (struct glance){ KNOWN_NOT });
	int error = open_is_refused(&m, how);
	if (error)
		return fail(error);
	a->at[1] = (long)m.path;
	return make(a);
}

static long one_path(const struct raw_call *c, struct arguments *a)
{
	int flags = flags_of(c, a);
	const char *path = (const char *)a->at[c->path];

	MAPPED(m);
	MAP(m, c->dir == NONE ? AT_FDCWD : (int)a->at[c->dir], path, leaf_of(c, path, flags));
	int error = refused(c, &m, a, flags);
	if (error)
		return fail(error);
	a->at[c->path] = (long)m.path;
	bool link = c->rule == REMOVE && names_link(m.dir, m.path);
	long result = answer(c, &m, a, make(a));
	if (link && result == 0)
		memory_forget();
	return result;
}

/* rename and link; `flags` of linkat(), or NONE where it is a rename. */
static long two_paths(struct arguments *a, int from_dir, int from, int to_dir, int to, int flags)
{
	bool follow = flags != NONE && (flags & AT_SYMLINK_FOLLOW);

	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, (const char *)a->at[from],
	    flags == NONE ? LEAF_NAME
	    : follow      ? LEAF_FOLLOW
			  : LEAF_NOFOLLOW);
	MAP(t, to_dir, (const char *)a->at[to], LEAF_NAME);
	int error = flags == NONE ? refuse_rename(f.dir, f.path, t.dir, t.path)
				  : refuse_link(f.dir, f.path, t.dir, t.path, flags);
	if (error)
		return fail(error);
	a->at[from] = (long)f.path;
	a->at[to] = (long)t.path;
	long result = make(a);
	if (result == 0)
		memory_forget();
	return result;
}

/* The first path is text. */
static long make_symlink(struct arguments *a, int dir, int path)
{
	MAPPED(m);
	MAP(m, dir, (const char *)a->at[path], LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	if (error)
		return fail(error);
	a->at[path] = (long)m.path;
	long result = make(a);
	if (result == 0)
		memory_forget();
	return result;
}

/* move_mount() */
static long two_looks(struct arguments *a, int from_dir, int to_dir)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, (const char *)a->at[1], a->at[4] & FROM_FOLLOWS ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	MAP(t, to_dir, (const char *)a->at[3], a->at[4] & TO_FOLLOWS ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	a->at[1] = (long)f.path;
	a->at[3] = (long)t.path;
	long result = make(a);
	if (result == 0)
		memory_forget();
	return result;
}

static long open_how(const struct raw_call *c, struct arguments *a)
{
	const struct open_how *how = (const void *)a->at[2];

	if (!how)
		return make(a);
	return how->resolve & (RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT) ? open_resolved(a, how)
								      : one_path(c, a);
}

static long by_number(struct arguments *a)
{
	for (size_t i = 0; i < RAW_CALLS; i++)
		if (raw_calls[i].number == a->number)
			return raw_calls[i].rule == OPEN_HOW ? open_how(&raw_calls[i], a)
							     : one_path(&raw_calls[i], a);
	return make(a);
}

static long on_descriptor(struct arguments *a)
{
	int error = refuse_descriptor((int)a->at[0]);

	return error ? fail(error) : make(a);
}

/* A child may have ended, and may have moved links before (memory.h). */
static long after_child(long result)
{
	if (result >= 0 || errno == ECHILD)
		memory_forget();
	return result;
}

/* The first of struct clone_args, also in a child, whose memory it is in. */
static uint64_t clone3_flags(const struct arguments *a)
{
	const uint64_t *flags = (const void *)a->at[0];

	return flags ? *flags : 0;
}

static long after_clone(long result, long flags)
{
	if (result == 0 && !(flags & CLONE_VM))
		memory_own();
	return result;
}

/* Calls whose wrapper knows all that is to be known, and those that make a process. */
static long by_function(struct arguments *a)
{
	const int first = (int)a->at[0], third = (int)a->at[2];

	switch (a->number) {
	case SYS_clone:
		return after_clone(make(a), a->at[0]);
	case SYS_clone3:
		return after_clone(make(a), (long)clone3_flags(a));
#ifdef SYS_fork
	case SYS_fork:
		return after_clone(make(a), 0);
#endif
	case SYS_bind:
		return wrap_bind(first, (void *)a->at[1], (socklen_t)third);
	case SYS_connect:
		return wrap_connect(first, (void *)a->at[1], (socklen_t)third);
	case SYS_sendto:
		return wrap_sendto(first, (void *)a->at[1], (size_t)a->at[2], (int)a->at[3], (void *)a->at[4],
				   (socklen_t)a->at[5]);
	case SYS_sendmsg:
		return wrap_sendmsg(first, (void *)a->at[1], third);
	case SYS_sendmmsg:
		return wrap_sendmmsg(first, (void *)a->at[1], (unsigned)third, (int)a->at[3]);
	case SYS_mount:
		return wrap_mount((char *)a->at[0], (char *)a->at[1], (char *)a->at[2],
				  (unsigned long)a->at[3], (void *)a->at[4]);
	case SYS_umount2:
		return wrap_umount2((char *)a->at[0], (int)a->at[1]);
	case SYS_pivot_root:
		return wrap_pivot_root((char *)a->at[0], (char *)a->at[1]);
	case SYS_acct:
		return wrap_acct((char *)a->at[0]);
	case SYS_ioctl:
		return wrap_ioctl(first, (unsigned long)a->at[1], (void *)a->at[2]);
	default:
		return by_number(a);
	}
}

/* With a flag the kernel answers with a descriptor, or a thread's number where it could not be done for all. */
static long filter_calls(struct arguments *a)
{
	bool filters = a->at[0] == SECCOMP_SET_MODE_FILTER || a->at[0] == SECCOMP_SET_MODE_STRICT;

	if (filters)
		map_confine_prepare();
	long result = make(a);
	if (filters && result >= 0)
		map_confine();
	return result;
}

/* Calls with more than one path, or with another function's duties; the rest is found in the table. */
static long dispatch(struct arguments *a)
{
	const int first = (int)a->at[0], third = (int)a->at[2];

	switch (a->number) {
	case SYS_io_uring_setup:
		return fail(ENOSYS);
	case SYS_execve:
		return wrap_execve((char *)a->at[0], (char **)a->at[1], (char **)a->at[2]);
	case SYS_execveat:
		return wrap_execveat(first, (char *)a->at[1], (char **)a->at[2], (char **)a->at[3],
				     (int)a->at[4]);
	case SYS_chdir:
		return wrap_chdir((char *)a->at[0]);
	case SYS_chroot:
		return wrap_chroot((char *)a->at[0]);
	case SYS_fchdir:
		return wrap_fchdir(first);
	case SYS_unshare:
		return wrap_unshare(first);
	case SYS_setns:
		return wrap_setns(first, (int)a->at[1]);
	case SYS_prctl:
		return wrap_prctl(first, (unsigned long)a->at[1], (unsigned long)a->at[2],
				  (unsigned long)a->at[3], (unsigned long)a->at[4]);
	case SYS_seccomp:
		return filter_calls(a);
	case SYS_wait4:
	case SYS_waitid:
		return after_child(make(a));
#ifdef SYS_rename
	case SYS_rename:
		return two_paths(a, AT_FDCWD, 0, AT_FDCWD, 1, NONE);
	case SYS_link:
		return two_paths(a, AT_FDCWD, 0, AT_FDCWD, 1, 0);
	case SYS_symlink:
		return make_symlink(a, AT_FDCWD, 1);
#endif
	case SYS_renameat:
	case SYS_renameat2:
		return two_paths(a, first, 1, third, 3, NONE);
	case SYS_linkat:
		return two_paths(a, first, 1, third, 3, (int)a->at[4] & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH));
	case SYS_symlinkat:
		return make_symlink(a, (int)a->at[1], 2);
	case SYS_move_mount:
		return two_looks(a, first, third);
	case SYS_fchmod:
	case SYS_fchown:
	case SYS_fsetxattr:
	case SYS_fremovexattr:
		return on_descriptor(a);
	default:
		return by_function(a);
	}
}

/*
 * Declared with as many arguments as a system call can have: those that the caller did not pass are registers with anything in
 * them, and go on as they came, as in libc's own.
 */
long wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	/* Locks of languages without libc's are made of these: not even a look at the table. */
	if (number == SYS_futex || number == SYS_gettid || !shim_active())
		return next()->syscall(number, a, b, c, d, e, f);
	return dispatch(&(struct arguments){ number, { a, b, c, d, e, f } });
}

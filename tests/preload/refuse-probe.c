/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * refuse-probe HOW ROOT OUTSIDE: tries every way to change every kind of object in the tree ROOT (refuse.bats
 * makes it) and prints one line for each: what, to which, and what came of it. The test runs it on a
 * read-only mount of a snapshot and on the pinned location, and compares. HOW is how the tree is reached:
 * `path` (by ROOT/...), `cwd` (relative to it), `at` (relative to a descriptor of it). OUTSIDE is a directory
 * on the same file system, which may be changed: it is made anew after each success.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#ifdef BY_NUMBER /* the same by syscall(2); refuse-probe-raw */
#define mkdir(path, mode) (int)syscall(SYS_mkdir, path, mode)
#define mkdirat(dir, path, mode) (int)syscall(SYS_mkdirat, dir, path, mode)
#define mknod(path, mode, device) (int)syscall(SYS_mknod, path, mode, device)
#define mknodat(dir, path, mode, device) (int)syscall(SYS_mknodat, dir, path, mode, device)
#define symlink(text, path) (int)syscall(SYS_symlink, text, path)
#define symlinkat(text, dir, path) (int)syscall(SYS_symlinkat, text, dir, path)
#define unlink(path) (int)syscall(SYS_unlink, path)
#define unlinkat(dir, path, flags) (int)syscall(SYS_unlinkat, dir, path, flags)
#define rmdir(path) (int)syscall(SYS_rmdir, path)
#define chmod(path, mode) (int)syscall(SYS_chmod, path, mode)
#define fchmodat(dir, path, mode, flags) (int)syscall(SYS_fchmodat, dir, path, mode)
#define chown(path, user, group) (int)syscall(SYS_chown, path, user, group)
#define lchown(path, user, group) (int)syscall(SYS_lchown, path, user, group)
#define fchownat(dir, path, user, group, flags) (int)syscall(SYS_fchownat, dir, path, user, group, flags)
#define utime(path, times) (int)syscall(SYS_utime, path, times)
#define utimes(path, times) (int)syscall(SYS_utimes, path, times)
#define futimesat(dir, path, times) (int)syscall(SYS_futimesat, dir, path, times)
#define utimensat(dir, path, times, flags) (int)syscall(SYS_utimensat, dir, path, times, flags)
#define setxattr(path, name, value, size, flags) (int)syscall(SYS_setxattr, path, name, value, size, flags)
#define lsetxattr(path, name, value, size, flags) (int)syscall(SYS_lsetxattr, path, name, value, size, flags)
#define removexattr(path, name) (int)syscall(SYS_removexattr, path, name)
#define lremovexattr(path, name) (int)syscall(SYS_lremovexattr, path, name)
#define truncate(path, length) (int)syscall(SYS_truncate, path, length)
#define access(path, mode) (int)syscall(SYS_access, path, mode)
#define creat(path, mode) (int)syscall(SYS_creat, path, mode)
#define rename(from, to) (int)syscall(SYS_rename, from, to)
#define renameat(from_dir, from, to_dir, to) (int)syscall(SYS_renameat, from_dir, from, to_dir, to)
#define renameat2(from_dir, from, to_dir, to, flags) \
	(int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags)
#define link(from, to) (int)syscall(SYS_link, from, to)
#define linkat(from_dir, from, to_dir, to, flags) (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags)
#define open(path, ...) (int)syscall(SYS_open, path, __VA_ARGS__, 0644)
#define openat(dir, path, ...) (int)syscall(SYS_openat, dir, path, __VA_ARGS__, 0644)
#define fchmod(fd, mode) (int)syscall(SYS_fchmod, fd, mode)
#define fchown(fd, user, group) (int)syscall(SYS_fchown, fd, user, group)
#define fsetxattr(fd, name, value, size, flags) (int)syscall(SYS_fsetxattr, fd, name, value, size, flags)
#define fremovexattr(fd, name) (int)syscall(SYS_fremovexattr, fd, name)
#endif

static const char *root, *outside;
static int base = AT_FDCWD; /* relative to what the tree's paths are */
static const char *prefix;  /* what they begin with */

/* Beginning with @: below OUTSIDE. */
static const char *const targets[] = {
	"file",
	"missing",
	"nodir/x",
	"dir",
	"dir/file",
	"empty",
	"link",
	"dirlink",
	"dangling",
	"dangling-deep",
	"dangling-slash",
	"loop",
	"out",
	"out-missing",
	"out-dir",
	"out-dir/file",
	"out-dir/new",
	"relative-out",
	"relative-missing",
	"fifo",
	"device",
	"socket",
	"file/",
	"dir/",
	"missing/",
	"link/",
	"dirlink/",
	"dangling/",
	"dir/.",
	"dir/..",
	".",
	"..",
	"./file",
	"dir/../file",
	".//file",
	"file/x",
	"file/.",
	"secret",
	"mine",
	"mine-not",
	"closed",
	"closed/x",
	"closed/new",
	"dirlink/file",
	"dirlink/new",
	"out-dir/back",
	"out-dir/back-dir/file",
	"out-dir/back-dir/new",
	"out-dir/back-missing",
	"immutable",
	"@file",
	"@new",
	"@back",
	"@back-dir",
	"@back-dir/file",
	"@back-dir/new",
	"@back-missing",
	"@directory/..",
	"@",
	"LONG",
	"LONGER",
	"LONGEST",
	"EMPTY",
};

static void die(const char *what)
{
	fprintf(stderr, "refuse-probe: %s: %s\n", what, strerror(errno));
	exit(2);
}

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
	va_list list;
	char *made;

	va_start(list, format);
	if (vasprintf(&made, format, list) < 0)
		die("vasprintf");
	va_end(list);
	return made;
}

static char *repeated(char c, size_t count)
{
	char *made = malloc(count + 1);

	memset(made, c, count);
	made[count] = '\0';
	return made;
}

static char *path_of(const char *target)
{
	if (strcmp(target, "EMPTY") == 0)
		return text("%s", "");
	if (target[0] == '@')
		return text("%s/%s", outside, target + 1);
	if (strcmp(target, "LONG") == 0)
		return text("%s%s", prefix, repeated('n', 255));
	if (strcmp(target, "LONGER") == 0)
		return text("%s%s", prefix, repeated('n', 256));
	if (strcmp(target, "LONGEST") == 0)
		return text("%s%s/x", prefix, repeated('/', 5000));
	return text("%s%s", prefix, target);
}

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, "outside\n", 8) != 8)
		die(path);
	close(fd);
}

static void link_out(const char *name, const char *to)
{
	char *path = text("%s/%s", outside, name), *target = text("%s/%s", root, to);

	if (symlink(target, path) != 0)
		die(path);
	free(path);
	free(target);
}

static int clear_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	if (where->level == 0)
		return 0;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void outside_reset(void)
{
	if (nftw(outside, clear_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		die(outside);
	char *file = text("%s/file", outside), *directory = text("%s/directory", outside);
	put(file);
	if (chmod(outside, 0755) != 0 || mkdir(directory, 0755) != 0)
		die(directory);
	link_out("back", "file");
	link_out("back-dir", "dir");
	link_out("back-missing", "nothing");
	free(file);
	free(directory);
}

/* One attempt has been made. */
static void tell(const char *what, const char *target, long result)
{
	int error = errno;

	if (result < 0)
		printf("%s %s: %s\n", what, target, strerrorname_np(error));
	else
		printf("%s %s: done\n", what, target);
	if (result >= 0)
		outside_reset();
}

#define PLAIN(dir) ((dir) == AT_FDCWD)

static int do_mkdir(int dir, const char *path)
{
	return PLAIN(dir) ? mkdir(path, 0755) : mkdirat(dir, path, 0755);
}

static int do_mknod_file(int dir, const char *path)
{
	return PLAIN(dir) ? mknod(path, S_IFREG | 0644, 0) : mknodat(dir, path, S_IFREG | 0644, 0);
}

static int do_mknod_device(int dir, const char *path)
{
	return PLAIN(dir) ? mknod(path, S_IFCHR | 0644, 259) : mknodat(dir, path, S_IFCHR | 0644, 259);
}

static int do_mkfifo(int dir, const char *path)
{
	return PLAIN(dir) ? mkfifo(path, 0644) : mkfifoat(dir, path, 0644);
}

static int do_symlink(int dir, const char *path)
{
	return PLAIN(dir) ? symlink("somewhere", path) : symlinkat("somewhere", dir, path);
}

static int do_unlink(int dir, const char *path)
{
	return PLAIN(dir) ? unlink(path) : unlinkat(dir, path, 0);
}

static int do_rmdir(int dir, const char *path)
{
	return PLAIN(dir) ? rmdir(path) : unlinkat(dir, path, AT_REMOVEDIR);
}

static int do_remove(int dir, const char *path)
{
	return PLAIN(dir) ? remove(path) : unlinkat(dir, path, 0);
}

static int do_chmod(int dir, const char *path)
{
	return PLAIN(dir) ? chmod(path, 0700) : fchmodat(dir, path, 0700, 0);
}

static int do_chown(int dir, const char *path)
{
	return PLAIN(dir) ? chown(path, getuid(), getgid()) : fchownat(dir, path, getuid(), getgid(), 0);
}

static int do_lchown(int dir, const char *path)
{
	return PLAIN(dir) ? lchown(path, getuid(), getgid())
			  : fchownat(dir, path, getuid(), getgid(), AT_SYMLINK_NOFOLLOW);
}

static int do_utime(int dir, const char *path)
{
	return PLAIN(dir) ? utime(path, NULL) : futimesat(dir, path, NULL);
}

static int do_utimes(int dir, const char *path)
{
	return PLAIN(dir) ? utimes(path, NULL) : utimensat(dir, path, NULL, 0);
}

static int do_lutimes(int dir, const char *path)
{
	return PLAIN(dir) ? lutimes(path, NULL) : utimensat(dir, path, NULL, AT_SYMLINK_NOFOLLOW);
}

static int do_utimensat_set(int dir, const char *path)
{
	const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	return utimensat(dir, path, times, 0);
}

static int do_setxattr(int dir, const char *path)
{
	(void)dir;
	return setxattr(path, "user.probe", "x", 1, 0);
}

static int do_lsetxattr(int dir, const char *path)
{
	(void)dir;
	return lsetxattr(path, "user.probe", "x", 1, 0);
}

static int do_removexattr(int dir, const char *path)
{
	(void)dir;
	return removexattr(path, "user.probe");
}

static int do_lremovexattr(int dir, const char *path)
{
	(void)dir;
	return lremovexattr(path, "user.probe");
}

static int do_truncate(int dir, const char *path)
{
	(void)dir;
	return truncate(path, 1);
}

static int do_access_w(int dir, const char *path)
{
	return PLAIN(dir) ? access(path, W_OK) : faccessat(dir, path, W_OK, 0);
}

static int do_access_rw(int dir, const char *path)
{
	return PLAIN(dir) ? access(path, R_OK | W_OK) : faccessat(dir, path, R_OK | W_OK, AT_EACCESS);
}

static int do_access_wx(int dir, const char *path)
{
	return PLAIN(dir) ? access(path, X_OK | W_OK) : faccessat(dir, path, X_OK | W_OK, 0);
}

static int do_eaccess(int dir, const char *path)
{
	return PLAIN(dir) ? eaccess(path, W_OK) : faccessat(dir, path, W_OK, AT_SYMLINK_NOFOLLOW);
}

static int do_euidaccess(int dir, const char *path)
{
	return PLAIN(dir) ? euidaccess(path, W_OK) : faccessat(dir, path, F_OK, 0);
}

static int do_creat(int dir, const char *path)
{
	return PLAIN(dir) ? creat(path, 0644)
			  : openat(dir, path, O_CREAT | O_WRONLY | O_TRUNC | O_NONBLOCK, 0644);
}

static int close_stream(FILE *stream)
{
	return stream ? fclose(stream) : -1;
}

static int do_fopen_w(int dir, const char *path)
{
	(void)dir;
	return close_stream(fopen(path, "w"));
}

static int do_fopen_a(int dir, const char *path)
{
	(void)dir;
	return close_stream(fopen64(path, "a"));
}

static int do_fopen_update(int dir, const char *path)
{
	(void)dir;
	return close_stream(fopen(path, "r+"));
}

static int do_fopen_new(int dir, const char *path)
{
	(void)dir;
	return close_stream(fopen(path, "w+x"));
}

static int do_freopen(int dir, const char *path)
{
	FILE *stream = fopen("/dev/null", "r");

	(void)dir;
	return close_stream(freopen(path, "w", stream));
}

static int do_mkstemp(int dir, const char *path)
{
	char *template = text("%s/t.XXXXXX", path);
	int fd = mkstemp(template);

	(void)dir;
	free(template);
	return fd;
}

static int do_mkdtemp(int dir, const char *path)
{
	char *template = text("%s/t.XXXXXX", path);
	int result = mkdtemp(template) ? 0 : -1;

	(void)dir;
	free(template);
	return result;
}

/* Those that have two names: the other one is a good one inside, or outside. */
static char *other(const char *name)
{
	return path_of(name);
}

static int two(int (*call)(int, const char *, int, const char *), int from_dir, const char *from, int to_dir,
	       const char *to)
{
	return call(from_dir, from, to_dir, to);
}

static int call_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	return PLAIN(from_dir) ? rename(from, to) : renameat(from_dir, from, to_dir, to);
}

static int call_noreplace(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE);
}

static int call_exchange(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, RENAME_EXCHANGE);
}

static int call_link(int from_dir, const char *from, int to_dir, const char *to)
{
	return PLAIN(from_dir) ? link(from, to) : linkat(from_dir, from, to_dir, to, 0);
}

static int call_link_follow(int from_dir, const char *from, int to_dir, const char *to)
{
	return linkat(from_dir, from, to_dir, to, AT_SYMLINK_FOLLOW);
}

static const struct {
	const char *name;
	int (*call)(int, const char *, int, const char *);
} pairs[] = {
	{ "rename", call_rename },
	{ "rename-noreplace", call_noreplace },
	{ "rename-exchange", call_exchange },
	{ "link", call_link },
	{ "link-follow", call_link_follow },
};

static void try_pairs(const char *target, const char *path)
{
	static const char *const others[] = { "file", "new-name", "@file", "@new-name", "dir", "." };

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++) {
			char *name = other(others[j]), *what;

			what = text("%s to %s of", pairs[i].name, others[j]);
			tell(what, target, two(pairs[i].call, base, path, base, name));
			free(what);
			what = text("%s of %s to", pairs[i].name, others[j]);
			tell(what, target, two(pairs[i].call, base, name, base, path));
			free(what);
			free(name);
		}
	}
}

/* `plain`: the call has no form with a descriptor. */
static const struct {
	const char *name;
	int (*call)(int, const char *);
	bool plain;
} ones[] = {
	{ "mkdir", do_mkdir, false },
	{ "mknod-file", do_mknod_file, false },
	{ "mknod-device", do_mknod_device, false },
	{ "mkfifo", do_mkfifo, false },
	{ "symlink", do_symlink, false },
	{ "unlink", do_unlink, false },
	{ "rmdir", do_rmdir, false },
	{ "remove", do_remove, false },
	{ "chmod", do_chmod, false },
	{ "chown", do_chown, false },
	{ "lchown", do_lchown, false },
	{ "utime", do_utime, false },
	{ "utimes", do_utimes, false },
	{ "lutimes", do_lutimes, false },
	{ "utimensat-set", do_utimensat_set, false },
	{ "setxattr", do_setxattr, true },
	{ "lsetxattr", do_lsetxattr, true },
	{ "removexattr", do_removexattr, true },
	{ "lremovexattr", do_lremovexattr, true },
	{ "truncate", do_truncate, true },
	{ "access-w", do_access_w, false },
	{ "access-rw", do_access_rw, false },
	{ "access-wx", do_access_wx, false },
	{ "eaccess", do_eaccess, false },
	{ "euidaccess", do_euidaccess, false },
	{ "creat", do_creat, false },
	{ "fopen-w", do_fopen_w, true },
	{ "fopen-a", do_fopen_a, true },
	{ "fopen-r+", do_fopen_update, true },
	{ "fopen-w+x", do_fopen_new, true },
	{ "freopen", do_freopen, true },
	{ "mkstemp", do_mkstemp, true },
	{ "mkdtemp", do_mkdtemp, true },
};

/* Opening a FIFO for writing alone, or for reading through stdio, would wait for somebody. */
static bool would_wait(const char *name, const char *target)
{
	return strcmp(target, "fifo") == 0 &&
	       (strncmp(name, "fopen", 5) == 0 || strcmp(name, "freopen") == 0 || strcmp(name, "creat") == 0);
}

static void try_ones(const char *target, const char *path)
{
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
		if (!(ones[i].plain && base != AT_FDCWD) && !would_wait(ones[i].name, target))
			tell(ones[i].name, target, ones[i].call(base, path));
}

static const struct {
	const char *name;
	int flag;
} open_flags[] = {
	{ "TRUNC", O_TRUNC },       { "CREAT", O_CREAT },         { "EXCL", O_EXCL },
	{ "NOFOLLOW", O_NOFOLLOW }, { "DIRECTORY", O_DIRECTORY }, { "APPEND", O_APPEND },
	{ "TMPFILE", O_TMPFILE },   { "PATH", O_PATH },
};

#define OPEN_FLAGS (sizeof(open_flags) / sizeof(open_flags[0]))

static void try_open(const char *target, const char *path, int flags, const char *name)
{
	int fd = base == AT_FDCWD ? open(path, flags | O_NONBLOCK, 0644)
				  : openat(base, path, flags | O_NONBLOCK, 0644);
	int error = errno;
	bool changed = fd >= 0 && (flags & (O_CREAT | O_TRUNC)) && !(flags & O_PATH);

	if (fd >= 0)
		close(fd);
	printf("open %s %s: %s\n", name, target, fd >= 0 ? "done" : strerrorname_np(error));
	if (changed)
		outside_reset();
}

/* Every mix of flags. */
static void try_opens(const char *target, const char *path)
{
	static const char *const ways[] = { "RDONLY", "WRONLY", "RDWR", "ACCMODE" };

	for (int way = 0; way < 4; way++) {
		for (unsigned mix = 0; mix < 1u << OPEN_FLAGS; mix++) {
			char name[128];
			size_t used = (size_t)snprintf(name, sizeof(name), "%s", ways[way]);
			int flags = way;

			for (unsigned i = 0; i < OPEN_FLAGS; i++) {
				if (!(mix >> i & 1))
					continue;
				used += (size_t)snprintf(name + used, sizeof(name) - used, "|%s",
							 open_flags[i].name);
				flags |= open_flags[i].flag;
			}
			try_open(target, path, flags, name);
		}
	}
}

static const char *opened_how, *opened_target;

static void tell_opened(const char *what, int result)
{
	int error = errno;

	printf("%s on %s %s: %s\n", what, opened_how, opened_target,
	       result < 0 ? strerrorname_np(error) : "done");
}

static void try_descriptor(const char *target, const char *path, int flags, const char *how)
{
	const char *volatile no_path = NULL; /* the compiler shall not know */
	int fd = openat(base, path, flags | O_NONBLOCK);

	if (fd < 0)
		return;
	char *proc = text("/proc/self/fd/%d", fd);
	opened_how = how;
	opened_target = target;
	tell_opened("fchmod", fchmod(fd, 0700));
	tell_opened("fchown", fchown(fd, getuid(), getgid()));
	tell_opened("futimens", futimens(fd, NULL));
	tell_opened("futimes", futimes(fd, NULL));
	tell_opened("utimensat-null", utimensat(fd, no_path, NULL, 0));
	tell_opened("utimensat-empty", utimensat(fd, "", NULL, AT_EMPTY_PATH));
	tell_opened("fchownat-empty", fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH));
	tell_opened("fsetxattr", fsetxattr(fd, "user.probe", "x", 1, 0));
	tell_opened("fremovexattr", fremovexattr(fd, "user.probe"));
	tell_opened("chmod by /proc", chmod(proc, 0700));
	tell_opened("truncate by /proc", truncate(proc, 1));
	tell_opened("access by /proc", access(proc, W_OK));
	int again = open(proc, O_WRONLY | O_NONBLOCK);
	tell_opened("open by /proc", again);
	if (again >= 0)
		close(again);
	free(proc);
	close(fd);
	outside_reset();
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	root = argv[2];
	outside = argv[3];
	umask(022);
	prefix = "";
	if (strcmp(argv[1], "path") == 0)
		prefix = text("%s/", root);
	else if (strcmp(argv[1], "cwd") == 0 && chdir(root) != 0)
		die(root);
	else if (strcmp(argv[1], "at") == 0 && (base = open(root, O_RDONLY | O_DIRECTORY)) < 0)
		die(root);
	outside_reset();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char *path = path_of(targets[i]);

		try_ones(targets[i], path);
		try_pairs(targets[i], path);
		try_opens(targets[i], path);
		try_descriptor(targets[i], path, O_RDONLY, "read");
		try_descriptor(targets[i], path, O_PATH, "path");
		try_descriptor(targets[i], path, O_PATH | O_NOFOLLOW, "entry");
		free(path);
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * differential: every wrapped call that writes or starts a program, on one path, as text. (Those that read are probe's.)
 *
 *     differential [-r ROOT] [-c CWD] [-d DIR] [-o MODEL] PATH OUTSIDE
 *     differential --list
 *
 * For each call a line: its name, and for each way of making it the result and errno. What has been opened or started says of which version
 * it is. -r changes the root first; with -d only the calls with a directory descriptor are made. OUTSIDE is a directory that may be
 * written to, for calls with two names. With -o the tree MODEL may be written to as well: it is made anew before each call, and what is
 * there afterwards is printed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>
#include <utmp.h>
#include <utmpx.h>

int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
int __xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device);
FILE *_IO_popen(const char *command, const char *type);
int spawn_old(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	      char *const[], char *const[]);
int spawnp_old(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	       char *const[], char *const[]);
__asm__(".symver spawn_old,posix_spawn@GLIBC_2.2.5");
__asm__(".symver spawnp_old,posix_spawnp@GLIBC_2.2.5");
__asm__(".symver __xmknod,__xmknod@GLIBC_2.2.5");
__asm__(".symver __xmknodat,__xmknodat@GLIBC_2.4");

extern char **environ;

static const char *path;
static const char *model;
static int dir = AT_FDCWD, out = -1;
static char *fresh, *shaped; /* PATH-new, and PATH/nXXXXXX */
static dev_t no_device;
static const struct timespec both_now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
static const struct timespec both_one[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
static const struct timeval one_second[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
static const struct utimbuf one_one = { 1, 1 };

static void say(long result)
{
	printf(" %ld %s;", result, result < 0 ? strerrorname_np(errno) : "");
	errno = 0;
}

/* A new descriptor: whether it can be written to. */
static void opened(int fd)
{
	say(fd < 0 ? fd : (long)write(fd, "w", 1));
	if (fd >= 0)
		close(fd);
}

/* The name that libc has made up differs each time. */
static void made(long result)
{
	say(result < 0 ? result : 0);
	if (result > 2)
		close((int)result);
}

static char *shape(const char *end)
{
	sprintf(shaped, "%s/nXXXXXX%s", path, end);
	return shaped;
}

static void made_name(const char *name)
{
	say(!name || !*name ? -1 : 0);
}

/* A descriptor of the object, for the calls that take one. */
static int object(void)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	errno = 0;
	return fd;
}

static void on_object(int (*call)(int))
{
	int fd = object();

	if (fd < 0)
		return;
	say(call(fd));
	close(fd);
}

static int change_mode(int fd)
{
	return fchmod(fd, 0600);
}

static int change_owner(int fd)
{
	return fchown(fd, 0, 0);
}

static int change_times(int fd)
{
	return futimens(fd, both_one);
}

static int change_times_old(int fd)
{
	return futimes(fd, one_second);
}

static int change_attribute(int fd)
{
	return fsetxattr(fd, "user.new", "x", 1, 0);
}

static int remove_attribute(int fd)
{
	return fremovexattr(fd, "user.version");
}

/* What exec and posix_spawn take is not const. */
static char word_tell[] = "tell", word_cat[] = "cat", word_inner[] = "inner";
static char *const argv_tell[] = { word_tell, NULL };
static char *const argv_cat[] = { word_cat, NULL };
static char *const argv_inner[] = { word_cat, word_inner, NULL };

/* What a child with its output in a pipe has said, and how it ended. */
static void heard(int from, pid_t child)
{
	char text[512];
	ssize_t length;
	int status = 0;

	putchar(' ');
	while ((length = read(from, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < length; i++)
			putchar(text[i] == '\n' ? '/' : text[i]);
	close(from);
	waitpid(child, &status, 0);
	printf(" %x;", (unsigned)status);
	errno = 0;
}

/* In a child, the way that the function has; it returns only where that failed. */
static void started(void (*how)(void))
{
	int ends[2];

	fflush(stdout);
	if (pipe(ends) != 0)
		exit(3);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		how();
		dprintf(1, "%s", strerrorname_np(errno));
		_exit(99);
	}
	close(ends[1]);
	heard(ends[0], child);
}

static void by_execve(void)
{
	execve(path, argv_tell, environ);
}

static void by_execv(void)
{
	execv(path, argv_tell);
}

static void by_execvp(void)
{
	execvp(path, argv_tell);
}

static void by_execvpe(void)
{
	execvpe(path, argv_tell, environ);
}

static void by_execl(void)
{
	execl(path, "tell", NULL);
}

static void by_execle(void)
{
	execle(path, "tell", NULL, environ);
}

static void by_execlp(void)
{
	execlp(path, "tell", NULL);
}

static void by_fexecve(void)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		fexecve(fd, argv_tell, environ);
}

static void by_execveat(void)
{
	execveat(dir, path, argv_tell, environ, 0);
}

typedef int spawn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
		  char *const[], char *const[]);

static void spawned_with(spawn *call, const char *program, posix_spawn_file_actions_t *actions,
			 char *const argv[])
{
	int ends[2];
	pid_t child;

	fflush(stdout);
	if (pipe2(ends, O_CLOEXEC) != 0)
		exit(3);
	posix_spawn_file_actions_adddup2(actions, ends[1], 1);
	int error = call(&child, program, actions, NULL, argv, environ);
	close(ends[1]);
	if (error == 0)
		heard(ends[0], child);
	else
		printf(" %s;", strerrorname_np(error));
	if (error != 0)
		close(ends[0]);
	posix_spawn_file_actions_destroy(actions);
	errno = 0;
}

static void spawned(spawn *call)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	spawned_with(call, path, &actions, argv_tell);
}

static void spawned_reading(void)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0);
	spawned_with(posix_spawn, "/bin/cat", &actions, argv_cat);
}

static void spawned_there(void)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, path);
	spawned_with(posix_spawn, "/bin/cat", &actions, argv_inner);
}

/* The shell opens the path; its own message repeats the spelling. */
static const char *command(void)
{
	static char text[3 * 4096];

	snprintf(text, sizeof(text), "cat '%s' 2>/dev/null", path);
	return text;
}

static void by_system(void)
{
	int status = system(command());

	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

static void piped(FILE *(*call)(const char *, const char *))
{
	char text[512];
	FILE *from = call(command(), "r");
	size_t length = from ? fread(text, 1, sizeof(text) - 1, from) : 0;

	text[length] = '\0';
	if (strchr(text, '\n'))
		*strchr(text, '\n') = '/';
	printf(" %s %x;", text, from ? (unsigned)pclose(from) : 1);
	errno = 0;
}

static int change_flags(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* A socket at the path, and no longer than an address can be. */
static void bound(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(name) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, name);
		say(bind(end, (struct sockaddr *)&address, sizeof(address)));
	}
	close(end);
}

static void accounted(void)
{
	if (!model) /* there it would begin */
		say(acct(path));
}

static void written(void (*call)(void))
{
	struct stat st;

	call();
	say(stat(path, &st) == 0 ? (long)st.st_size : -1);
}

static void by_updwtmp(void)
{
	updwtmp(path, &(struct utmp){ .ut_type = EMPTY });
}

static void by_updwtmpx(void)
{
	updwtmpx(path, &(struct utmpx){ .ut_type = EMPTY });
}

static void by_utmpname(void)
{
	say(utmpname(path));
	say(pututline(&(struct utmp){ .ut_type = BOOT_TIME }) ? 0 : -1);
	endutent();
	utmpname("/var/run/utmp");
}

static void by_utmpxname(void)
{
	say(utmpxname(path));
	say(pututxline(&(struct utmpx){ .ut_type = BOOT_TIME }) ? 0 : -1);
	endutxent();
	utmpxname("/var/run/utmp");
}

/* OUTSIDE is put there, and taken away; what is seen there meanwhile. */
static void mounted(int (*undo)(void))
{
	char from[64];
	struct stat there, st;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", out);
	int result = mount(from, path, NULL, MS_BIND, NULL);

	say(result);
	say(fstat(out, &there) == 0 && stat(path, &st) == 0 ? st.st_ino == there.st_ino : -1);
	if (result == 0)
		say(undo());
	else
		say(undo() == 0);
}

static int by_umount(void)
{
	return umount(path);
}

static int by_umount2(void)
{
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static void picked(void)
{
	int fd = fspick(dir, path, 0);

	say(fd < 0 ? fd : 0);
	if (fd >= 0)
		close(fd);
}

static void set_mount(void)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOEXEC };

	say(mount_setattr(dir, path, 0, &attributes, sizeof(attributes)));
}

/* X(id of calls.def, has a descriptor, what is done) */
#define CASES(X)                                                                                         \
	X(creat, false, opened(creat(path, 0644)); opened(creat(fresh, 0644)))                           \
	X(creat64, false, opened(creat64(path, 0644)); opened(creat64(fresh, 0644)))                     \
	X(setxattr, false, say(setxattr(path, "user.new", "x", 1, 0)))                                   \
	X(lsetxattr, false, say(lsetxattr(path, "user.new", "x", 1, 0)))                                 \
	X(removexattr, false, say(removexattr(path, "user.version")))                                    \
	X(lremovexattr, false, say(lremovexattr(path, "user.version")))                                  \
	X(mkdir, false, say(mkdir(path, 0755)); say(mkdir(fresh, 0755)))                                 \
	X(mknod, false, say(mknod(path, S_IFREG | 0644, 0)); say(mknod(fresh, S_IFREG | 0644, 0)))       \
	X(__xmknod, false, say(__xmknod(0, path, S_IFREG | 0644, &no_device));                           \
	  say(__xmknod(0, fresh, S_IFREG | 0644, &no_device)))                                           \
	X(mkfifo, false, say(mkfifo(path, 0644)); say(mkfifo(fresh, 0644)))                              \
	X(unlink, false, say(unlink(path)))                                                              \
	X(rmdir, false, say(rmdir(path)))                                                                \
	X(remove, false, say(remove(path)))                                                              \
	X(chmod, false, say(chmod(path, 0600)))                                                          \
	X(lchmod, false, say(lchmod(path, 0600)))                                                        \
	X(chown, false, say(chown(path, 1, 1)))                                                          \
	X(lchown, false, say(lchown(path, 1, 1)))                                                        \
	X(truncate, false, say(truncate(path, 1)))                                                       \
	X(truncate64, false, say(truncate64(path, 1)))                                                   \
	X(utime, false, say(utime(path, &one_one)))                                                      \
	X(utimes, false, say(utimes(path, one_second)))                                                  \
	X(lutimes, false, say(lutimes(path, one_second)))                                                \
	X(mkstemp, false, made(mkstemp(shape(""))))                                                      \
	X(mkstemp64, false, made(mkstemp64(shape(""))))                                                  \
	X(mkostemp, false, made(mkostemp(shape(""), O_APPEND)))                                          \
	X(mkostemp64, false, made(mkostemp64(shape(""), O_APPEND)))                                      \
	X(mkstemps, false, made(mkstemps(shape(".end"), 4)))                                             \
	X(mkstemps64, false, made(mkstemps64(shape(".end"), 4)))                                         \
	X(mkostemps, false, made(mkostemps(shape(".end"), 4, O_APPEND)))                                 \
	X(mkostemps64, false, made(mkostemps64(shape(".end"), 4, O_APPEND)))                             \
	X(mkdtemp, false, made_name(mkdtemp(shape(""))))                                                 \
	X(mktemp, false, made_name(mktemp(shape(""))))                                                   \
	X(mkdirat, true, say(mkdirat(dir, path, 0755)); say(mkdirat(dir, fresh, 0755)))                  \
	X(mknodat, true, say(mknodat(dir, path, S_IFREG | 0644, 0));                                     \
	  say(mknodat(dir, fresh, S_IFREG | 0644, 0)))                                                   \
	X(__xmknodat, true, say(__xmknodat(0, dir, path, S_IFREG | 0644, &no_device));                   \
	  say(__xmknodat(0, dir, fresh, S_IFREG | 0644, &no_device)))                                    \
	X(mkfifoat, true, say(mkfifoat(dir, path, 0644)); say(mkfifoat(dir, fresh, 0644)))               \
	X(unlinkat, true, say(unlinkat(dir, path, 0)); say(unlinkat(dir, path, AT_REMOVEDIR)))           \
	X(fchmodat, true, say(fchmodat(dir, path, 0600, 0)))                                             \
	X(fchownat, true, say(fchownat(dir, path, 1, 1, 0));                                             \
	  say(fchownat(dir, path, 1, 1, AT_SYMLINK_NOFOLLOW)))                                           \
	X(futimesat, true, say(futimesat(dir, path, one_second)))                                        \
	X(utimensat, true, say(utimensat(dir, path, both_now, 0));                                       \
	  say(utimensat(dir, path, both_one, AT_SYMLINK_NOFOLLOW)))                                      \
	X(fchmod, false, on_object(change_mode))                                                         \
	X(fchown, false, on_object(change_owner))                                                        \
	X(futimens, false, on_object(change_times))                                                      \
	X(futimes, false, on_object(change_times_old))                                                   \
	X(fsetxattr, false, on_object(change_attribute))                                                 \
	X(fremovexattr, false, on_object(remove_attribute))                                              \
	X(rename, false, say(rename(path, fresh)); say(rename(fresh, path)))                             \
	X(renameat, true, say(renameat(dir, path, out, "to")); say(renameat(out, "from", dir, path));    \
	  say(renameat(out, "from", dir, fresh)))                                                        \
	X(renameat2, true, say(renameat2(dir, path, out, "to", RENAME_NOREPLACE));                       \
	  say(renameat2(out, "from", dir, path, RENAME_EXCHANGE));                                       \
	  say(renameat2(out, "from", dir, fresh, RENAME_NOREPLACE)))                                     \
	X(link, false, say(link(path, fresh)))                                                           \
	X(linkat, true, say(linkat(dir, path, out, "to", 0));                                            \
	  say(linkat(dir, path, out, "to", AT_SYMLINK_FOLLOW)); say(linkat(out, "from", dir, fresh, 0))) \
	X(symlink, false, say(symlink("x", path)); say(symlink("x", fresh)))                             \
	X(symlinkat, true, say(symlinkat("x", dir, path)); say(symlinkat("x", dir, fresh)))              \
	X(bind, false, bound(path); bound(fresh))                                                        \
	X(ioctl, false, on_object(change_flags))                                                         \
	X(acct, false, accounted())                                                                      \
	X(updwtmp, false, written(by_updwtmp))                                                           \
	X(updwtmpx, false, written(by_updwtmpx))                                                         \
	X(utmpname, false, written(by_utmpname))                                                         \
	X(utmpxname, false, written(by_utmpxname))                                                       \
	X(pututline, false, written(by_utmpname))                                                        \
	X(pututxline, false, written(by_utmpxname))                                                      \
	X(mount, false, mounted(by_umount2))                                                             \
	X(umount, false, mounted(by_umount))                                                             \
	X(umount2, false, mounted(by_umount2))                                                           \
	X(fspick, true, picked())                                                                        \
	X(mount_setattr, true, set_mount())                                                              \
	X(execve, false, started(by_execve))                                                             \
	X(execv, false, started(by_execv))                                                               \
	X(execvp, false, started(by_execvp))                                                             \
	X(execvpe, false, started(by_execvpe))                                                           \
	X(execl, false, started(by_execl))                                                               \
	X(execle, false, started(by_execle))                                                             \
	X(execlp, false, started(by_execlp))                                                             \
	X(fexecve, false, started(by_fexecve))                                                           \
	X(execveat, true, started(by_execveat))                                                          \
	X(posix_spawn, false, spawned(posix_spawn))                                                      \
	X(posix_spawn_old, false, spawned(spawn_old))                                                    \
	X(posix_spawnp, false, spawned(posix_spawnp))                                                    \
	X(posix_spawnp_old, false, spawned(spawnp_old))                                                  \
	X(posix_spawn_file_actions_addopen, false, spawned_reading())                                    \
	X(posix_spawn_file_actions_addchdir_np, false, spawned_there())                                  \
	X(system, false, started(by_system))                                                             \
	X(popen, false, piped(popen))                                                                    \
	X(_IO_popen, false, piped(_IO_popen))

#define MAKE(id, at, what)          \
	static void make_##id(void) \
	{                           \
		what;               \
	}
CASES(MAKE)

struct attempt {
	const char *id;
	bool at;
	void (*make)(void);
};

#define ATTEMPT(id, at, what) { #id, at, make_##id },
static const struct attempt attempts[] = { CASES(ATTEMPT) };
#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

/* --- what may be written to --- */

static void put(int at, const char *name)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, "#!/bin/sh\necho outside\n", 23) != 23)
		exit(3);
	close(fd);
}

static int drop(const char *name, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return model && strcmp(name, model) == 0 ? 0 : remove(name);
}

/* The targets that the tree has, too; by a descriptor, so that only the calls in question have a path. */
static void make_anew(void)
{
	if (model) {
		nftw(model, drop, 8, FTW_DEPTH | FTW_PHYS);
		int at = open(model, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		put(at, "file");
		put(at, "tell");
		if (mkdirat(at, "dir", 0755) != 0 || symlinkat("file", at, "link") != 0 ||
		    symlinkat("dir", at, "dirlink") != 0)
			exit(3);
		put(at, "dir/inner");
		close(at);
	}
	char to[64];
	snprintf(to, sizeof(to), "/proc/self/fd/%d/to", out);
	nftw(to, drop, 8, FTW_DEPTH | FTW_PHYS);
	unlinkat(out, "from", AT_REMOVEDIR);
	put(out, "from");
	errno = 0;
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void print_list(int at, const char *name)
{
	struct dirent **list;
	struct stat st;
	int count = scandirat(at, name, &list, is_shown, alphasort);

	for (int i = 0; i < count; i++) {
		const char *entry = list[i]->d_name;
		char whole[600];

		snprintf(whole, sizeof(whole), "%s/%s", name, entry);
		if (fstatat(at, whole, &st, AT_SYMLINK_NOFOLLOW) == 0)
			printf(" %s %o %ld %u %ld", entry[0] == 'n' ? "nXXXXXX" : entry, st.st_mode,
			       S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, st.st_uid,
			       (long)(st.st_mtime == 1));
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

static void print_left(void)
{
	printf(" |");
	print_list(out, ".");
	if (!model)
		return;
	printf(" |");
	int at = open(model, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	print_list(at, ".");
	print_list(at, "dir");
	close(at);
}

static void list(void)
{
	for (size_t i = 0; i < ATTEMPTS; i++)
		puts(attempts[i].id);
}

int main(int argc, char **argv)
{
	const char *cwd = NULL, *from = NULL;
	int option;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	while ((option = getopt(argc, argv, "r:c:d:o:")) != -1) {
		if (option == 'r' && (chroot(optarg) != 0 || chdir("/") != 0))
			return 3;
		else if (option == 'c')
			cwd = optarg;
		else if (option == 'd')
			from = optarg;
		else if (option == 'o')
			model = optarg;
	}
	if (argc - optind != 2)
		return 2;
	path = argv[optind];
	fresh = malloc(strlen(path) + 8);
	shaped = malloc(strlen(path) + 16);
	out = open(argv[optind + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out < 0 || !fresh || !shaped || (cwd && chdir(cwd) != 0) ||
	    (from &&
	     (dir = open(from, O_RDONLY | O_DIRECTORY)) < 0)) /* a script is opened by it after exec */
		return 3;
	sprintf(fresh, "%s-new", path);
	for (size_t i = 0; i < ATTEMPTS; i++) {
		if (from && !attempts[i].at)
			continue;
		make_anew();
		printf("%s", attempts[i].id);
		attempts[i].make();
		print_left();
		putchar('\n');
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * contexts: calls from places where little is allowed, and what the shim has to keep of a call's own rules.
 *
 *     contexts WHAT PATH
 *
 * Prints "ok" or what is wrong. PATH is a file; every look at it must give the same inode as the first.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <mntent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>
#include <utmpx.h>

/* What libc exports and no header declares. */
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
int __xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device);
FILE *_IO_fopen(const char *path, const char *mode);

static const char *path;
static ino_t expected;

static int wrong(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

/* One look by several calls; async-signal-safe. */
static bool look(void)
{
	struct stat st;
	char byte;
	int fd = open(path, O_RDONLY);
	bool good = fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == expected && read(fd, &byte, 1) == 1;

	if (fd >= 0)
		close(fd);
	return good && stat(path, &st) == 0 && st.st_ino == expected && access(path, R_OK) == 0;
}

#define LOOKS 2000

/* Returns its argument if all went well. */
static void *look_often(void *good)
{
	for (int i = 0; i < LOOKS; i++)
		if (!look())
			return NULL;
	return good;
}

static int threads(void)
{
	pthread_t ids[8];
	void *result;
	int bad = 0;

	for (size_t i = 0; i < 8; i++)
		if (pthread_create(&ids[i], NULL, look_often, ids) != 0)
			return wrong("pthread_create");
	for (size_t i = 0; i < 8; i++) {
		pthread_join(ids[i], &result);
		if (!result)
			bad = wrong("a thread saw another file");
	}
	return bad;
}

/* The child of vfork() works in the parent's memory: what it calls must not leave traces there. */
static int vfork_child(void)
{
	int status;

	for (int i = 0; i < 100; i++) {
		errno = EDOM;
		pid_t child = vfork();

		if (child == 0)
			_exit(look() ? 0 : 1);
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			return wrong("vfork");
		if (!look())
			return wrong("after vfork");
	}
	return 0;
}

static int tiny_child(void *unused)
{
	(void)unused;
	_exit(look() ? 0 : 1);
}

/* Two pages of stack, as some programs give to clone(), with a page behind them that may not be touched. */
static int tiny_stack(void)
{
	const size_t page = 4096;
	char *stack = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	if (stack == MAP_FAILED || mprotect(stack + page, 2 * page, PROT_READ | PROT_WRITE) != 0)
		return wrong("mmap");
	pid_t child = clone(tiny_child, stack + 3 * page, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return wrong("clone");
	if (status != 0) {
		printf("status %x\n", (unsigned)status);
		return 1;
	}
	return 0;
}

static volatile sig_atomic_t signals, signals_good;

static void on_signal(int number)
{
	int kept = errno;

	(void)number;
	signals++;
	signals_good += look();
	errno = kept;
}

/* A handler that runs in the middle of the same calls, on a stack of its own. */
static int signal_handler(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pid_t parent = getpid();

	sigaction(SIGUSR1, &action, NULL);
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < 500; i++) {
			usleep(100);
			kill(parent, SIGUSR1);
		}
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0)
		if (!look())
			return wrong("between signals");
	return signals == signals_good ? 0 : wrong("in a handler");
}

static int errno_kept(void)
{
	struct stat st;

	errno = EDOM;
	if (!look() || lstat(path, &st) != 0 || errno != EDOM)
		return wrong("errno after success");
	return 0;
}

/* The mode argument arrives where there is one. */
static int modes(void)
{
	char name[] = "made-XXXXXX";
	struct stat st;

	umask(0);
	for (mode_t mode = 0600; mode <= 0640; mode += 040) {
		int fd = open(mktemp(strcpy(name, "made-XXXXXX")), O_WRONLY | O_CREAT | O_EXCL, mode);

		if (fd < 0 || fstat(fd, &st) != 0 || (st.st_mode & 07777) != mode)
			return wrong("open with O_CREAT");
		close(fd);
		fd = openat(AT_FDCWD, ".", O_RDWR | O_TMPFILE, mode);
		if (fd >= 0 && (fstat(fd, &st) != 0 || (st.st_mode & 07777) != mode))
			return wrong("openat with O_TMPFILE");
		if (fd < 0 && errno != EOPNOTSUPP)
			return wrong("O_TMPFILE");
	}
	return 0;
}

/* libc ends a program that uses the checked form with O_CREAT. PATH is below the snapshot: no refusal may come before. */
static int checked_open(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		__open_2(path, O_RDWR | O_CREAT);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 0 : wrong("__open_2 did not abort");
}

/* Names made from a template, in a directory whose path leads through the location and out again. */
static int templates(void)
{
	char text[4096];
	size_t x = (size_t)snprintf(text, sizeof(text), "%s/name-XXXXXX.end", path) - 10;
	int fd = mkstemps(text, 4);
	struct stat st;

	if (fd < 0 || memcmp(text + x, "XXXXXX", 6) == 0 || strcmp(text + x + 6, ".end") != 0)
		return wrong("mkstemps");
	if (fstat(fd, &st) != 0)
		return wrong("fstat");
	expected = st.st_ino;
	if (stat(text, &st) != 0 || st.st_ino != expected)
		return wrong(text);
	snprintf(text, sizeof(text), "%s/name-XXXXXX", path);
	if (mkdtemp(text) != text || strstr(text, "XXXXXX") || rmdir(text) != 0)
		return wrong("mkdtemp");
	snprintf(text, sizeof(text), "%s/name-XXXXXX", path);
	if (mktemp(text) != text || strstr(text, "XXXXXX") || !text[0])
		return wrong("mktemp");
	strcpy(text, "no template");
	if (mkstemp(text) != -1 || errno != EINVAL || strcmp(text, "no template") != 0)
		return wrong("no template");
	return 0;
}

/* freopen() without a path opens the stream's own file once more: no way to write around the refusal. */
static int reopen(void)
{
	static const char *const modes_of_writing[] = { "w", "a", "r+", "w+" };
	struct stat before, after;

	if (stat(path, &before) != 0)
		return wrong("stat");
	for (size_t i = 0; i < 4; i++) {
		FILE *stream = fopen(path, "r");

		if (!stream || freopen(NULL, modes_of_writing[i], stream) || errno != EROFS)
			return wrong("freopen for writing");
		fclose(stream);
		stream = fopen(path, "r");
		if (!stream || !freopen(NULL, "r", stream) || fgetc(stream) == EOF)
			return wrong("freopen for reading");
		fclose(stream);
	}
	if (stat(path, &after) != 0 || after.st_size != before.st_size || after.st_ctime != before.st_ctime)
		return wrong("the file has changed");
	return 0;
}

/* A name from a template in the directory that PATH is in. */
static char *template_for(const char *tail)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s", path);
	strcpy(strrchr(text, '/') + 1, tail);
	return text;
}

static int refused(const char *name, bool failed)
{
	if (failed && errno == EROFS)
		return 0;
	printf("%s: %s\n", name, failed ? strerror(errno) : "done");
	return 1;
}

/* Calls of one purpose that write. */
static int others(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int flags = 0, bad = 0, reader = open(path, O_RDONLY), end = socket(AF_UNIX, SOCK_DGRAM, 0);

	updwtmp(path, &(struct utmp){ .ut_type = EMPTY });
	updwtmpx(path, &(struct utmpx){ .ut_type = EMPTY });
	bad += refused("pututline",
		       utmpname(path) == 0 && !pututline(&(struct utmp){ .ut_type = BOOT_TIME }));
	endutent();
	bad += refused("pututxline",
		       utmpxname(path) == 0 && !pututxline(&(struct utmpx){ .ut_type = BOOT_TIME }));
	endutxent();
	bad += refused("acct", acct(path) != 0);
	bad += refused("setmntent", !setmntent(path, "a"));
	bad += refused("ioctl", ioctl(reader, FS_IOC_SETFLAGS, &flags) != 0);
	bad += refused("ioctl by number", syscall(SYS_ioctl, reader, FS_IOC_SETFLAGS, &flags) != 0);
	/* through a directory's descriptor: 108 bytes are not much */
	snprintf(name.sun_path, sizeof(name.sun_path), "/proc/self/fd/%d/new-socket",
		 open(dirname(strdup(path)), O_PATH | O_DIRECTORY));
	bad += refused("bind", bind(end, (struct sockaddr *)&name, sizeof(name)) != 0);
	close(reader);
	close(end);
	return bad;
}

/* The calls that differ from a more common one in name or type only: each refuses by itself. */
static int variants(void)
{
	const int dir = AT_FDCWD;
	dev_t none = 0;
	int bad = 0;

	bad += refused("open64", open64(path, O_WRONLY) < 0);
	bad += refused("__open", __open(path, O_RDWR) < 0);
	bad += refused("__open64", __open64(path, O_WRONLY | O_TRUNC) < 0);
	bad += refused("__open_2", __open_2(path, O_WRONLY) < 0);
	bad += refused("__open64_2", __open64_2(path, O_RDWR) < 0);
	bad += refused("openat64", openat64(dir, path, O_WRONLY) < 0);
	bad += refused("__openat_2", __openat_2(dir, path, O_WRONLY) < 0);
	bad += refused("__openat64_2", __openat64_2(dir, path, O_RDONLY | O_TRUNC) < 0);
	bad += refused("creat64", creat64(path, 0600) < 0);
	bad += refused("truncate64", truncate64(path, 0) != 0);
	bad += refused("lchmod", lchmod(path, 0600) != 0);
	bad += refused("__xmknod", __xmknod(0, template_for("new"), S_IFREG | 0600, &none) != 0);
	bad += refused("__xmknodat", __xmknodat(0, dir, template_for("new"), S_IFREG | 0600, &none) != 0);
	bad += refused("fopen64", !fopen64(path, "r+"));
	bad += refused("_IO_fopen", !_IO_fopen(path, "a"));
	bad += refused("freopen64", !freopen64(path, "w", fopen("/dev/null", "r")));
	bad += refused("mkstemp64", mkstemp64(template_for("XXXXXX")) < 0);
	bad += refused("mkostemp", mkostemp(template_for("XXXXXX"), O_APPEND) < 0);
	bad += refused("mkostemp64", mkostemp64(template_for("XXXXXX"), 0) < 0);
	bad += refused("mkstemps", mkstemps(template_for("XXXXXX.c"), 2) < 0);
	bad += refused("mkstemps64", mkstemps64(template_for("XXXXXX.c"), 2) < 0);
	bad += refused("mkostemps", mkostemps(template_for("XXXXXX.c"), 2, 0) < 0);
	bad += refused("mkostemps64", mkostemps64(template_for("XXXXXX.c"), 2, O_APPEND) < 0);
	return bad + others();
}

/* A name without a slash is looked for along our RUNPATH (shim.mk), so ld.so has to see us as the caller. */
static int runpath(void)
{
	void *object = dlopen("libothers.so", RTLD_LAZY | RTLD_LOCAL);

	if (!object)
		return wrong(dlerror());
	dlclose(object);
	object = dlmopen(LM_ID_BASE, "libothers.so", RTLD_LAZY | RTLD_LOCAL);
	return object ? dlclose(object) : wrong(dlerror());
}

/* A link that this very process makes, removes or replaces is seen as it is, though its path was remembered. */
static int own_link(void)
{
	struct stat st;
	char here[2048], link[2100], text[2200], target[2048];

	snprintf(target, sizeof(target), "%s", path);
	*strrchr(target, '/') = '\0';
	if (!getcwd(here, sizeof(here)))
		return wrong("getcwd");
	snprintf(link, sizeof(link), "%s/own", here);
	snprintf(text, sizeof(text), "%s%s", link, strrchr(path, '/'));
	for (int i = 0; i < 3; i++) {
		if (symlink(target, link) != 0 || stat(text, &st) != 0 || st.st_ino != expected)
			return wrong("through our link");
		if (unlink(link) != 0 || stat(text, &st) == 0 || errno != ENOENT)
			return wrong("after unlink");
		if (mkdir(link, 0700) != 0 || stat(text, &st) == 0 || errno != ENOENT || rmdir(link) != 0)
			return wrong("after mkdir");
	}
	/* LOCATION itself, by each call that removes a name */
	ssize_t length = readlink(target, here, sizeof(here) - 1);
	if (length < 0)
		return wrong(target);
	here[length] = '\0';
	for (int i = 0; i < 3; i++) {
		if (!look())
			return wrong("LOCATION");
		if ((i == 0 ? unlink(target) : i == 1 ? remove(target) : unlinkat(AT_FDCWD, target, 0)) != 0)
			return wrong("removing LOCATION");
		if (stat(path, &st) == 0 || errno != ENOENT)
			return wrong("LOCATION is gone");
		if (symlink(here, target) != 0)
			return wrong("LOCATION again");
	}
	if (symlink(".", "other") != 0 || rename("other", link) != 0 || stat(text, &st) == 0 ||
	    errno != ENOENT)
		return wrong("after rename");
	return 0;
}

/* Asked twice: what is remembered of a name must not outlive what it led to, nor the working directory that it was asked in. */
static bool resolves(const char *name, ino_t to)
{
	char found[PATH_MAX];
	struct stat st;

	for (int i = 0; i < 2; i++) {
		const bool is = realpath(name, found) && stat(found, &st) == 0;

		if (to == 0 ? is || errno != ENOENT : !is || st.st_ino != to)
			return false;
	}
	return true;
}

/* One text, in one directory a file of ours, and in another, by a link, the location's. */
static bool differs_by_directory(const char *parent, const char *text)
{
	struct stat st;

	if (mkdir("link", 0700) != 0 || mkdir("sub", 0700) != 0 || symlink(parent, "sub/link") != 0 ||
	    close(creat(text, 0600)) != 0 || stat(text, &st) != 0 || !resolves(text, st.st_ino))
		return false;
	return chdir("sub") == 0 && resolves(text, expected) && chdir("..") == 0 && resolves(text, st.st_ino);
}

static int relative_realpath(void)
{
	const char *name = strrchr(path, '/') + 1;
	char here[2048], parent[2048], below[2100];
	struct stat st;

	snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	if (!getcwd(here, sizeof(here)) || chdir(parent) != 0 || !resolves(name, expected))
		return wrong("in the location");
	snprintf(below, sizeof(below), "%s/link/%s", here, name);
	if (chdir(here) != 0 || !resolves(name, 0) || !resolves(below + strlen(here) + 1, 0))
		return wrong("elsewhere");
	for (int i = 0; i < 3; i++) {
		if (symlink(parent, "link") != 0 || !resolves(below + strlen(here) + 1, expected))
			return wrong("through our link");
		if (unlink("link") != 0 || !resolves("link", 0))
			return wrong("after unlink");
		if (mkdir("link", 0700) != 0 || stat("link", &st) != 0 || !resolves("link", st.st_ino) ||
		    !resolves(below + strlen(here) + 1, 0) || rmdir("link") != 0)
			return wrong("as a directory");
	}
	return differs_by_directory(parent, below + strlen(here) + 1) ? 0 : wrong("in two directories");
}

#define ALLOW(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What the calls of confined() are, and not one more. */
static const struct sock_filter few_calls[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(openat),
	ALLOW(newfstatat),
	ALLOW(access),
	ALLOW(readlink),
	ALLOW(chdir),
	ALLOW(read),
	ALLOW(write),
	ALLOW(close),
	ALLOW(clone),
	ALLOW(set_robust_list),
	ALLOW(wait4),
	ALLOW(exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static bool say(const char *file)
{
	char text[256];
	int fd = open(file, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));

	close(fd);
	return length > 0 && write(STDOUT_FILENO, text, (size_t)length) == length;
}

static bool looks_confined(void)
{
	char text[64];
	struct stat st;

	return say(path) && stat(path, &st) == 0 && lstat(path, &st) == 0 && access(path, R_OK) == 0 &&
	       access("/nonexistent/file", R_OK) != 0 && readlink(path, text, sizeof(text)) < 0;
}

/* A program that gives up what it does not need looks at files in directories that nobody has looked at before. */
static int confine(bool by_number)
{
	const struct sock_fprog program = { sizeof(few_calls) / sizeof(few_calls[0]),
					    (struct sock_filter *)(uintptr_t)few_calls };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    (by_number ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
		       : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) != 0)
		return wrong("seccomp");
	bool good = looks_confined();
	pid_t child = fork();
	if (child == 0)
		_exit(!say(path));
	int status = -1;
	good = good && child > 0 && waitpid(child, &status, 0) == child && status == 0 && chdir("/") == 0 &&
	       say(path);
	_exit(!good);
}

static int confined(void)
{
	return confine(false);
}

static int confined_by_number(void)
{
	return confine(true);
}

/* What a program's start needs, and nothing more: what ld.so and libc ask for; execve, and what hands the pin on. */
static const struct sock_filter start_calls[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(execve),
	ALLOW(openat),
	ALLOW(fcntl),
	ALLOW(fstat),
	ALLOW(newfstatat),
	ALLOW(access),
	ALLOW(readlink),
	ALLOW(chdir),
	ALLOW(read),
	ALLOW(pread64),
	ALLOW(write),
	ALLOW(close),
	ALLOW(brk),
	ALLOW(mmap),
	ALLOW(munmap),
	ALLOW(mprotect),
	ALLOW(arch_prctl),
	ALLOW(set_tid_address),
	ALLOW(set_robust_list),
	ALLOW(rseq),
	ALLOW(prlimit64),
	ALLOW(getrandom),
	ALLOW(clone),
	ALLOW(wait4),
	ALLOW(exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

/* In a program that was started behind the filter: looks, and once more in one that it executes. */
static int confined_child(void)
{
	char *const argv[] = { (char *)"contexts", (char *)"confined-grandchild", (char *)(uintptr_t)path,
			       NULL };

	if (!looks_confined())
		return 1;
	execv("/proc/self/exe", argv);
	return 1;
}

static int confined_grandchild(void)
{
	_exit(!looks_confined());
}

static int confined_start(void)
{
	const struct sock_fprog program = { sizeof(start_calls) / sizeof(start_calls[0]),
					    (struct sock_filter *)(uintptr_t)start_calls };
	char *const argv[] = { (char *)"contexts", (char *)"confined-child", (char *)(uintptr_t)path, NULL };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return wrong("seccomp");
	execv("/proc/self/exe", argv);
	return 1;
}

/* What a program finds by name is the shim, in both versions. */
static int by_name(void)
{
	Dl_info ours, found;
	void *by_default = dlsym(RTLD_DEFAULT, "realpath");
	void *old = dlvsym(RTLD_DEFAULT, "realpath", "GLIBC_2.2.5");
	void *recent = dlvsym(RTLD_DEFAULT, "realpath", "GLIBC_2.3");

	if (!by_default || !old || !recent || old == recent)
		return wrong("dlvsym");
	if (!dladdr(dlsym(RTLD_DEFAULT, "librcu_exec_stand_aside"), &ours) || !dladdr(old, &found) ||
	    found.dli_fbase != ours.dli_fbase || !dladdr(recent, &found) ||
	    found.dli_fbase != ours.dli_fbase || !dladdr(by_default, &found) ||
	    found.dli_fbase != ours.dli_fbase)
		return wrong("not the shim's");
	return 0;
}

/* Pinned or not, nobody is redirected after this. */
static int stand_aside(void)
{
	struct stat st;
	void (*aside)(void);

	*(void **)&aside = dlsym(RTLD_DEFAULT, "librcu_exec_stand_aside");
	if (!aside || !look())
		return wrong("before");
	aside();
	return stat(path, &st) == 0 && st.st_ino != expected ? 0 : wrong("after");
}

static const struct context {
	const char *name;
	int (*run)(void);
	bool file; /* PATH is a file to look at */
} contexts[] = {
	{ "threads", threads, true },
	{ "vfork", vfork_child, true },
	{ "tiny-stack", tiny_stack, true },
	{ "signal-handler", signal_handler, true },
	{ "errno", errno_kept, true },
	{ "modes", modes, false },
	{ "checked-open", checked_open, false },
	{ "templates", templates, false },
	{ "own-link", own_link, true },
	{ "relative-realpath", relative_realpath, true },
	{ "reopen", reopen, false },
	{ "variants", variants, false },
	{ "by-name", by_name, false },
	{ "runpath", runpath, false },
	{ "stand-aside", stand_aside, true },
	{ "confined", confined, false },
	{ "confined-by-number", confined_by_number, false },
	{ "confined-start", confined_start, false },
	{ "confined-child", confined_child, false },
	{ "confined-grandchild", confined_grandchild, false },
};

int main(int argc, char **argv)
{
	struct stat st;

	if (argc != 3)
		return 2;
	path = argv[2];
	for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
		if (strcmp(argv[1], contexts[i].name) != 0)
			continue;
		if (contexts[i].file && stat(path, &st) != 0)
			return wrong(path);
		expected = st.st_ino;
		int result = contexts[i].run();
		if (result == 0)
			puts("ok");
		return result;
	}
	return 2;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec-probe: starts a program in every way that libc has, and looks at what arrived.
 *
 *     exec-probe CALL ENVIRONMENT COMMAND [ARG...]
 *             one way (`ways` below); the environment kept, empty, null, or rebuilt
 *     exec-probe look FILE [OUTPUT]
 *             FILE's line, whether a pin is held, and how many descriptors of pin files there are
 *     exec-probe look-later FILE OUTPUT GO
 *             the same when GO is there, and stays
 *     exec-probe again N FILE
 *             becomes itself N times, then looks and stays
 *     exec-probe show
 *             the environment
 *     exec-probe fail TEXT PROGRAM
 *             everything that fails, with a file that is not executable and one of no format
 *     exec-probe limit | full | none | closed | threads | daemon COMMAND [ARG...]
 *             starts COMMAND with few descriptors allowed, two left, none left, all closed, from threads, as a daemon
 *     exec-probe chroot | chroot-close ROOT COMMAND [ARG...]
 *             becomes COMMAND in another root; closes all descriptors but 0 to 2 before that
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

__asm__(".symver spawn_old,posix_spawn@GLIBC_2.2.5");
__asm__(".symver spawnp_old,posix_spawnp@GLIBC_2.2.5");
int spawn_old(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	      char *const[], char *const[]);
int spawnp_old(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	       char *const[], char *const[]);
FILE *_IO_popen(const char *, const char *);

static char *no_entries[] = { NULL };

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "exec-probe: %s: %s\n", what, strerror(errno));
	exit(99);
}

/* --- what arrived --- */

static int pin_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	if (!directory)
		die("/proc/self/fd");
	while ((entry = readdir(directory))) {
		char target[4096];
		ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		target[length < 0 ? 0 : length] = '\0';
		count += strstr(target, "/.rcu-repo/") != NULL;
	}
	closedir(directory);
	return count;
}

static bool pin_is_mapped(void)
{
	char line[4096];
	bool found = false;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		found = found || strstr(line, "/.rcu-repo/pins/");
	if (maps)
		fclose(maps);
	return found;
}

static int look(const char *file, const char *output)
{
	char line[256] = "?\n";
	FILE *stream = fopen(file, "r"), *to = output ? fopen(output, "w") : stdout;

	if (!to)
		return 99;
	if (stream && fgets(line, sizeof(line), stream))
		line[strcspn(line, "\n")] = '\0';
	if (stream)
		fclose(stream);
	int descriptors = pin_descriptors();
	bool mapped = pin_is_mapped();
	fprintf(to, "%s %s %d\n", line, mapped ? "held" : "not-held", descriptors);
	output ? fclose(to) : fflush(to);
	return strcmp(line, "one") == 0 && mapped && descriptors == 0 ? 0 : 1;
}

/* --- ways to start --- */

static int ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int spawned(int error, const pid_t *pid)
{
	errno = error;
	return error ? -1 : ended(*pid);
}

static char *joined(char **argv)
{
	size_t room = 1;
	char *text;

	for (char **a = argv; *a; a++)
		room += strlen(*a) + 3;
	text = calloc(1, room);
	for (char **a = argv; *a; a++) {
		strcat(text, "'");
		strcat(text, *a);
		strcat(text, a[1] ? "' " : "'");
	}
	return text;
}

static int piped(FILE *stream)
{
	char line[4096];

	if (!stream)
		return -1;
	while (fgets(line, sizeof(line), stream))
		fputs(line, stdout);
	int status = pclose(stream);
	return WEXITSTATUS(status);
}

static int way_execve(char **argv, char **envp)
{
	return execve(argv[0], argv, envp);
}

static int way_execv(char **argv, char **envp)
{
	(void)envp;
	return execv(argv[0], argv);
}

static int way_execvp(char **argv, char **envp)
{
	(void)envp;
	return execvp(argv[0], argv);
}

static int way_execvpe(char **argv, char **envp)
{
	return execvpe(argv[0], argv, envp);
}

static int way_execl(char **argv, char **envp)
{
	(void)envp;
	return execl(argv[0], argv[0], argv[1], argv[1] ? argv[2] : NULL, (char *)NULL);
}

static int way_execlp(char **argv, char **envp)
{
	(void)envp;
	return execlp(argv[0], argv[0], argv[1], argv[1] ? argv[2] : NULL, (char *)NULL);
}

static int way_execle(char **argv, char **envp)
{
	if (!argv[1])
		return execle(argv[0], argv[0], (char *)NULL, envp);
	return execle(argv[0], argv[0], argv[1], argv[2], (char *)NULL, envp);
}

static int way_fexecve(char **argv, char **envp)
{
	return fexecve(open(argv[0], O_RDONLY), argv, envp);
}

static int way_execveat(char **argv, char **envp)
{
	return execveat(AT_FDCWD, argv[0], argv, envp, 0);
}

static int way_execveat_empty(char **argv, char **envp)
{
	return execveat(open(argv[0], O_PATH | O_CLOEXEC), "", argv, envp, AT_EMPTY_PATH);
}

static int way_spawn(char **argv, char **envp)
{
	pid_t pid;

	return spawned(posix_spawn(&pid, argv[0], NULL, NULL, argv, envp), &pid);
}

static int way_spawnp(char **argv, char **envp)
{
	pid_t pid;

	return spawned(posix_spawnp(&pid, argv[0], NULL, NULL, argv, envp), &pid);
}

static int way_spawn_old(char **argv, char **envp)
{
	pid_t pid;

	return spawned(spawn_old(&pid, argv[0], NULL, NULL, argv, envp), &pid);
}

static int way_spawnp_old(char **argv, char **envp)
{
	pid_t pid;

	return spawned(spawnp_old(&pid, argv[0], NULL, NULL, argv, envp), &pid);
}

static int way_spawn_closefrom(char **argv, char **envp)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	int error = posix_spawn(&pid, argv[0], &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	return spawned(error, &pid);
}

static int way_vfork(char **argv, char **envp)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execve(argv[0], argv, envp);
		_exit(127);
	}
	return ended(pid);
}

static char **tiny_argv, **tiny_envp;

static int exec_on_tiny_stack(void *unused)
{
	(void)unused;
	execve(tiny_argv[0], tiny_argv, tiny_envp);
	_exit(127);
}

/* Two pages, and what is below them cannot be written to. */
static int way_clone(char **argv, char **envp)
{
	const size_t page = 4096;
	char *room = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED || mprotect(room, page, PROT_NONE) != 0)
		die("mmap");
	tiny_argv = argv;
	tiny_envp = envp;
	pid_t pid = clone(exec_on_tiny_stack, room + 3 * page, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	return pid < 0 ? -1 : ended(pid);
}

static int way_system(char **argv, char **envp)
{
	int status = system(joined(argv));

	(void)envp;
	return WEXITSTATUS(status);
}

static int way_popen(char **argv, char **envp)
{
	(void)envp;
	return piped(popen(joined(argv), "r"));
}

static int way_io_popen(char **argv, char **envp)
{
	(void)envp;
	return piped(_IO_popen(joined(argv), "re"));
}

static const struct {
	const char *name;
	int (*start)(char **argv, char **envp);
} ways[] = {
	{ "execve", way_execve },
	{ "execv", way_execv },
	{ "execvp", way_execvp },
	{ "execvpe", way_execvpe },
	{ "execl", way_execl },
	{ "execlp", way_execlp },
	{ "execle", way_execle },
	{ "fexecve", way_fexecve },
	{ "execveat", way_execveat },
	{ "execveat-empty", way_execveat_empty },
	{ "posix_spawn", way_spawn },
	{ "posix_spawnp", way_spawnp },
	{ "posix_spawn-old", way_spawn_old },
	{ "posix_spawnp-old", way_spawnp_old },
	{ "posix_spawn-closefrom", way_spawn_closefrom },
	{ "vfork", way_vfork },
	{ "clone", way_clone },
	{ "system", way_system },
	{ "popen", way_popen },
	{ "_IO_popen", way_io_popen },
};

/* For the calls that take no environment, `environ` itself is changed. */
static char **environment_of(const char *kind)
{
	static char *rebuilt[] = { NULL, (char *)(uintptr_t) "LANG=C", (char *)(uintptr_t) "HOME=/", NULL };
	char *path = getenv("PATH");

	if (strcmp(kind, "kept") == 0)
		return environ;
	if (asprintf(&rebuilt[0], "PATH=%s", path ? path : "") < 0)
		die("asprintf");
	environ = strcmp(kind, "rebuilt") == 0 ? rebuilt : no_entries;
	return strcmp(kind, "null") == 0 ? NULL : environ;
}

static int start(const char *name, const char *kind, char **argv)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, name) != 0)
			continue;
		int result = ways[i].start(argv, environment_of(kind));
		if (result < 0)
			die(argv[0]);
		return result;
	}
	return 97;
}

/* --- special cases --- */

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int expect(const char *what, int got, int want)
{
	if (got == want)
		return 0;
	fprintf(stderr, "%s: %s instead of %s\n", what, strerrorname_np(got), strerrorname_np(want));
	return 1;
}

/* What fails leaves nothing behind, and says what libc alone says. */
static int fail_all(const char *text_file, const char *program)
{
	char *argv[] = { (char *)(uintptr_t) "x", NULL };
	char *const *none = no_entries;
	int before = count_descriptors(), bad = 0;
	pid_t pid;

	for (int i = 0; i < 200; i++) {
		execve("/nonexistent", argv, none);
		bad += expect("execve", errno, ENOENT);
		execvp("no-such-program-anywhere", argv);
		bad += expect("execvp", errno, ENOENT);
		execvp("", argv);
		bad += expect("execvp of nothing", errno, ENOENT);
		execv(text_file, argv);
		bad += expect("execv of a text", errno, EACCES);
		execve(program, argv, none);
		bad += expect("execve of no format", errno, ENOEXEC);
		execl("/", "x", (char *)NULL);
		bad += expect("execl of a directory", errno, EACCES);
		fexecve(-1, argv, none);
		bad += expect("fexecve of nothing", errno, EINVAL);
		execveat(-1, "x", argv, none, 0);
		bad += expect("execveat of nothing", errno, EBADF);
		bad += expect("posix_spawn", posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, none),
			      ENOENT);
		bad += expect("posix_spawnp",
			      posix_spawnp(&pid, "no-such-program-anywhere", NULL, NULL, argv, none), ENOENT);
		bad += expect("posix_spawn of no format", posix_spawn(&pid, program, NULL, NULL, argv, none),
			      ENOEXEC);
	}
	bad += count_descriptors() != before;
	return bad ? 1 : 0;
}

static void limit_descriptors(rlim_t count)
{
	const struct rlimit limit = { count, count };

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		die("setrlimit");
}

static int use_up_descriptors(void)
{
	int last = 0, fd;

	limit_descriptors(20);
	while ((fd = dup(0)) >= 0)
		last = fd;
	return last;
}

static char **thread_argv;

static void *start_many(void *which)
{
	static int (*const starts[])(char **, char **) = { way_spawn, way_spawnp, way_vfork };
	intptr_t bad = 0;

	for (int i = 0; i < 40; i++) {
		pid_t pid = -1;
		int status;

		if (i % 2 == 0) {
			status = starts[i / 2 % 3](thread_argv, no_entries);
		} else {
			pid = fork();
			if (pid == 0) {
				execve(thread_argv[0], thread_argv, no_entries);
				_exit(127);
			}
			status = ended(pid);
		}
		bad += status != 0;
	}
	(void)which;
	return (void *)bad;
}

/* Each child finds its own pin and nothing that was meant for another. */
static int start_from_threads(char **argv)
{
	pthread_t threads[6];
	intptr_t bad = 0;

	thread_argv = argv;
	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
		if (pthread_create(&threads[i], NULL, start_many, NULL) != 0)
			die("pthread_create");
	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		void *result;

		pthread_join(threads[i], &result);
		bad += (intptr_t)result;
	}
	return bad ? 1 : 0;
}

static void close_everything(int from)
{
	close_range((unsigned)from, ~0u, 0);
	for (int fd = from; fd < 4096; fd++)
		close(fd);
}

__attribute__((noreturn)) static void become_in_root(const char *root, bool closes, char **argv)
{
	if (chroot(root) != 0 || chdir("/") != 0)
		die(root);
	if (closes)
		close_everything(3);
	execve(argv[0], argv, no_entries);
	die(argv[0]);
}

/*
 * The worst reader: closes all, forks twice, leaves the session, drops its environment. Its pid is
 * printed.
 */
static int become_daemon(char **argv)
{
	pid_t pid;

	close_everything(3);
	if ((pid = fork()) != 0)
		return ended(pid);
	setsid();
	if ((pid = fork()) != 0) {
		printf("%d\n", (int)pid);
		return 0;
	}
	close_everything(0);
	execve(argv[0], argv, no_entries);
	_exit(127);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "look") == 0 && argc > 2)
		return look(argv[2], argc > 3 ? argv[3] : NULL);
	if (strcmp(what, "look-later") == 0 && argc > 4) {
		while (access(argv[4], F_OK) != 0)
			usleep(10000);
		look(argv[2], argv[3]);
		for (;;)
			pause();
	}
	if (strcmp(what, "again") == 0 && argc > 3) {
		char left[16];
		char *next[] = { argv[0], argv[1], left, argv[3], NULL };

		snprintf(left, sizeof(left), "%d", atoi(argv[2]) - 1);
		if (atoi(argv[2]) > 0)
			execve(argv[0], next, no_entries);
		look(argv[3], NULL);
		for (;;)
			pause();
	}
	if (strcmp(what, "show") == 0) {
		for (char **entry = environ; *entry; entry++)
			puts(*entry);
		return 0;
	}
	if (strcmp(what, "fail") == 0 && argc > 3)
		return fail_all(argv[2], argv[3]);
	if ((strcmp(what, "chroot") == 0 || strcmp(what, "chroot-close") == 0) && argc > 3)
		become_in_root(argv[2], what[6] == '-', argv + 3);
	if (strcmp(what, "threads") == 0)
		return start_from_threads(argv + 2);
	if (strcmp(what, "daemon") == 0)
		return become_daemon(argv + 2);
	if (strcmp(what, "limit") == 0)
		limit_descriptors(20);
	else if (strcmp(what, "none") == 0)
		use_up_descriptors();
	else if (strcmp(what, "full") == 0) /* with none at all ld.so cannot load a program's libraries */
		close_everything(use_up_descriptors() - 1);
	else if (strcmp(what, "closed") == 0)
		close_everything(0);
	else
		return argc > 3 ? start(what, argv[2], argv + 3) : 2;
	execve(argv[2], argv + 2, no_entries);
	die(argv[2]);
}

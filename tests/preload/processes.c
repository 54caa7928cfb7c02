/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * processes PATH: a child by each way that there is to make one. For each a line of what the child sees and then a program that it
 * executes: what is in PATH, relative to its directory and as it is, whether a mapping holds a pin, and what posix_spawn's attributes did.
 *
 * vfork(2) by number is not among them: its child returns from syscall(2) before the parent does, over the parent's stack, shim or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t __fork(void);

extern char **environ;

static const char *path, *self;

static int is_held(void)
{
	char line[8192];
	FILE *maps = fopen("/proc/self/maps", "r");
	int held = 0;

	while (maps && fgets(line, sizeof(line), maps))
		held = held || strstr(line, "/.rcu-repo/pins/");
	if (maps)
		fclose(maps);
	return held;
}

static void say_file(const char *name)
{
	char text[64] = "?";
	int fd = open(name, O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	printf(" %.*s", length > 0 ? (int)strcspn(text, "\n") : 1, text);
	close(fd);
}

/* In a program that a child has executed. */
static int tell(void)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	say_file(path);
	printf("%s%s%s%s\n", is_held() ? " held" : "", getpgrp() == getpid() ? " group" : "",
	       getsid(0) == getpid() ? " session" : "", sigismember(&mask, SIGUSR1) ? " masked" : "");
	return 0;
}

static char *const *arguments(void)
{
	static char *list[] = { NULL, (char *)"-t", NULL, NULL };

	list[0] = (char *)self;
	list[2] = (char *)path;
	return list;
}

/* In a child that has memory of its own: looks there, by a relative path, then in a program. */
static void child(void)
{
	char *copy = strdup(path), *name = strdup(path);

	say_file(path);
	if (chdir(dirname(copy)) != 0)
		_exit(3);
	say_file(basename(name));
	printf("%s", is_held() ? " held" : "");
	fflush(stdout);
	execv(self, arguments());
	_exit(3);
}

static int child_on_stack(void *unused)
{
	(void)unused;
	execv(self, arguments());
	_exit(3);
}

static pid_t by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_on_stack(NULL);
	return pid;
}

static pid_t by_clone(int flags)
{
	static char stack[1 << 18] __attribute__((aligned(16)));

	return clone(child_on_stack, stack + sizeof(stack), flags | SIGCHLD, NULL);
}

static pid_t by_clone_fork(void)
{
	return by_clone(0);
}

static pid_t by_clone_vm(void)
{
	return by_clone(CLONE_VM | CLONE_VFORK);
}

static pid_t forked(pid_t pid)
{
	if (pid == 0)
		child();
	return pid;
}

static pid_t by_fork(void)
{
	return forked(fork());
}

static pid_t by_Fork(void)
{
	return forked(_Fork());
}

static pid_t by___fork(void)
{
	return forked(__fork());
}

static pid_t by_number_fork(void)
{
	return forked((pid_t)syscall(SYS_fork));
}

static pid_t by_number_clone(void)
{
	return forked((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L));
}

static pid_t by_number_clone3(void)
{
	struct clone_args how = { .exit_signal = SIGCHLD };

	return forked((pid_t)syscall(SYS_clone3, &how, sizeof(how)));
}

static pid_t spawned(short flags, pid_t group)
{
	const struct sched_param priority = { 0 };
	posix_spawnattr_t attributes;
	sigset_t set;
	pid_t pid = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, flags);
	posix_spawnattr_setpgroup(&attributes, group);
	posix_spawnattr_setsigmask(&attributes, &set);
	posix_spawnattr_setsigdefault(&attributes, &set);
	posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER);
	posix_spawnattr_setschedparam(&attributes, &priority);
	int error = posix_spawn(&pid, self, NULL, &attributes, arguments(), environ);
	if (error)
		printf(" %s", strerrorname_np(error));
	posix_spawnattr_destroy(&attributes);
	return error ? -1 : pid;
}

static void ended(const char *way, pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		printf("%s: pid %d, status %x, %s\n", way, (int)pid, (unsigned)status, strerror(errno));
	fflush(stdout);
}

static const struct {
	const char *name;
	pid_t (*start)(void);
} ways[] = {
	{ "fork", by_fork },
	{ "_Fork", by_Fork },
	{ "__fork", by___fork },
	{ "vfork", by_vfork },
	{ "clone", by_clone_fork },
	{ "clone CLONE_VM CLONE_VFORK", by_clone_vm },
	{ "SYS_fork", by_number_fork },
	{ "SYS_clone", by_number_clone },
	{ "SYS_clone3", by_number_clone3 },
};

static const struct {
	const char *name;
	short flags;
} attributes[] = {
	{ "none", 0 },
	{ "RESETIDS", POSIX_SPAWN_RESETIDS },
	{ "SETPGROUP", POSIX_SPAWN_SETPGROUP },
	{ "SETSIGDEF", POSIX_SPAWN_SETSIGDEF },
	{ "SETSIGMASK", POSIX_SPAWN_SETSIGMASK },
	{ "SETSCHEDPARAM", POSIX_SPAWN_SETSCHEDPARAM },
	{ "SETSCHEDULER", POSIX_SPAWN_SETSCHEDULER },
	{ "USEVFORK", POSIX_SPAWN_USEVFORK },
	{ "SETSID", POSIX_SPAWN_SETSID },
	{ "SETPGROUP SETSIGMASK SETSIGDEF",
	  POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF },
};

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "-t") == 0) {
		path = argv[2];
		return tell();
	}
	if (argc != 2)
		return 2;
	self = argv[0];
	path = argv[1];
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		printf("%s:", ways[i].name);
		fflush(stdout);
		ended(ways[i].name, ways[i].start());
	}
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		printf("posix_spawn %s:", attributes[i].name);
		fflush(stdout);
		ended(attributes[i].name, spawned(attributes[i].flags, 0));
	}
	/* nobody's child has moved this process */
	printf("parent:");
	say_file(path);
	printf("%s\n", is_held() ? " held" : "");
	return 0;
}

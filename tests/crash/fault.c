/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault: runs a program and lets one of its system calls go wrong, of those that can change something outside of it.
 * They are counted over all threads of the process; what it starts runs undisturbed.
 *
 *     fault list COMMAND...            prints "K NAME" on descriptor 9 for each such call
 *     fault before K COMMAND...        kill -9 just before call K
 *     fault after K COMMAND...         kill -9 just behind it
 *     fault ERRNO K COMMAND...         call K is not made, and fails so: 5, 28, ...
 *     fault step SCRIPT COMMAND...     before each call the process waits for `SCRIPT K NAME`
 *
 * Exits as the program does, or with 128 and the signal that ended it; 125 if call K was not reached.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define EXIT_NOT_REACHED 125
#define EXIT_OWN 127

static const struct call {
	long number;
	const char *name;
} calls[] = {
	{ SYS_rename, "rename" },
	{ SYS_renameat, "renameat" },
	{ SYS_renameat2, "renameat2" },
	{ SYS_link, "link" },
	{ SYS_linkat, "linkat" },
	{ SYS_symlink, "symlink" },
	{ SYS_symlinkat, "symlinkat" },
	{ SYS_unlink, "unlink" },
	{ SYS_unlinkat, "unlinkat" },
	{ SYS_mkdir, "mkdir" },
	{ SYS_mkdirat, "mkdirat" },
	{ SYS_rmdir, "rmdir" },
	{ SYS_mknodat, "mknodat" },
	{ SYS_fsync, "fsync" },
	{ SYS_fdatasync, "fdatasync" },
	{ SYS_syncfs, "syncfs" },
	{ SYS_sync, "sync" },
	{ SYS_write, "write" },
	{ SYS_writev, "writev" },
	{ SYS_pwrite64, "pwrite64" },
	{ SYS_ftruncate, "ftruncate" },
	{ SYS_fallocate, "fallocate" },
	{ SYS_chmod, "chmod" },
	{ SYS_fchmod, "fchmod" },
	{ SYS_fchmodat, "fchmodat" },
	{ SYS_chown, "chown" },
	{ SYS_fchown, "fchown" },
	{ SYS_fchownat, "fchownat" },
	{ SYS_utimensat, "utimensat" },
	{ SYS_fsetxattr, "fsetxattr" },
	{ SYS_lsetxattr, "lsetxattr" },
	{ SYS_setxattr, "setxattr" },
	{ SYS_copy_file_range, "copy_file_range" },
	{ SYS_sendfile, "sendfile" },
	{ SYS_ioctl, "ioctl" },
	{ SYS_openat, "openat" },
	{ SYS_flock, "flock" },
	{ SYS_fcntl, "fcntl" },
	{ SYS_mount, "mount" },
	{ SYS_umount2, "umount2" },
};

/* Of ioctl, fcntl, open and write only some change anything. */
static const char *changes(const struct ptrace_syscall_info *info)
{
	const __u64 *args = info->entry.args;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if ((__u64)calls[i].number != info->entry.nr)
			continue;
		switch (calls[i].number) {
		case SYS_openat:
			return args[2] & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR) ? calls[i].name : NULL;
		case SYS_write:
		case SYS_writev:
			return args[0] > 2 ? calls[i].name : NULL;
		case SYS_fcntl:
			return args[1] == F_SETLEASE ? "fcntl" : NULL;
		case SYS_ioctl: /* FICLONE */
			return args[1] == 0x40049409 ? "ioctl" : NULL;
		default:
			return calls[i].name;
		}
	}
	return NULL;
}

enum mode {
	LIST,
	BEFORE,
	AFTER,
	ERROR,
	STEP
};

struct fault {
	enum mode mode;
	long at; /* K */
	int error;
	const char *script;
	pid_t main;
	long count;
	bool reached;
	pid_t waits; /* the thread that is in call K; 0: none */
};

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(EXIT_OWN);
}

static void step(const struct fault *fault, const char *name)
{
	char number[24];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%ld", fault->count);
	pid = fork();
	if (pid == 0) {
		execl(fault->script, fault->script, number, name, (char *)NULL);
		_exit(EXIT_OWN);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "fault: %s failed\n", fault->script);
		kill(fault->main, SIGKILL);
		exit(EXIT_OWN);
	}
}

static void registers(pid_t thread, const struct fault *fault, bool entry)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, thread, NULL, &regs) != 0)
		return;
	if (entry)
		regs.orig_rax = (unsigned long long)-1;
	else
		regs.rax = (unsigned long long)-fault->error;
	ptrace(PTRACE_SETREGS, thread, NULL, &regs);
}

static void on_entry(struct fault *fault, pid_t thread, const struct ptrace_syscall_info *info)
{
	const char *name = changes(info);

	if (name == NULL)
		return;
	fault->count++;
	if (fault->mode == LIST)
		dprintf(9, "%ld %s\n", fault->count, name);
	if (fault->mode == STEP)
		step(fault, name);
	if (fault->mode == LIST || fault->mode == STEP || fault->count != fault->at)
		return;
	fault->reached = true;
	fault->waits = thread;
	if (fault->mode == BEFORE)
		kill(fault->main, SIGKILL);
	if (fault->mode == ERROR)
		registers(thread, fault, true);
}

static void on_return(struct fault *fault, pid_t thread)
{
	if (fault->waits != thread)
		return;
	fault->waits = 0;
	if (fault->mode == AFTER)
		kill(fault->main, SIGKILL);
	if (fault->mode == ERROR)
		registers(thread, fault, false);
}

static void on_stop(struct fault *fault, pid_t thread, int status)
{
	struct ptrace_syscall_info info;
	int deliver = 0;

	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof(info), &info) > 0) {
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				on_entry(fault, thread, &info);
			else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
				on_return(fault, thread);
		}
	} else if (status >> 16 == 0) {
		deliver = WSTOPSIG(status);
	}
	ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)deliver);
}

static int run(struct fault *fault, char **command)
{
	int status, end = 0;

	fault->main = fork();
	if (fault->main == 0) {
		raise(SIGSTOP);
		execvp(command[0], command);
		_exit(EXIT_OWN);
	}
	if (fault->main < 0 || waitpid(fault->main, &status, WUNTRACED) != fault->main)
		die("fork");
	/* Threads by TRACECLONE; a fork and a vfork are other events, and go their way. */
	if (ptrace(PTRACE_SEIZE, fault->main, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE) != 0)
		die("ptrace");
	kill(fault->main, SIGCONT);
	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);
		if (thread < 0 && errno == ECHILD)
			return end;
		if (thread == fault->main && (WIFEXITED(status) || WIFSIGNALED(status)))
			end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		else if (thread > 0 && WIFSTOPPED(status))
			on_stop(fault, thread, status);
	}
}

int main(int argc, char **argv)
{
	struct fault fault = { .mode = LIST };
	const char *mode = argc > 2 ? argv[1] : "";
	char **command = argv + 3;

	if (strcmp(mode, "list") == 0)
		command = argv + 2;
	else if (strcmp(mode, "before") == 0)
		fault.mode = BEFORE;
	else if (strcmp(mode, "after") == 0)
		fault.mode = AFTER;
	else if (strcmp(mode, "step") == 0)
		fault.mode = STEP;
	else if ((fault.error = atoi(mode)) > 0)
		fault.mode = ERROR;
	else
		return EXIT_OWN;
	if (fault.mode == STEP)
		fault.script = argv[2];
	else if (fault.mode != LIST)
		fault.at = atol(argv[2]);
	if (command >= argv + argc)
		return EXIT_OWN;
	const int end = run(&fault, command);
	return fault.at > 0 && !fault.reached ? EXIT_NOT_REACHED : end;
}

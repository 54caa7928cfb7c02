/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault: runs rcu-repo and lets one of its system calls go wrong. There are two kinds of them, each counted on its own over
 * all threads and processes of rcu-repo: those that can change something outside of it, and those that look. What it
 * executes runs undisturbed.
 *
 *     fault list COMMAND...            prints "KIND K NAME PATH" on descriptor 9 for each call; KIND is "change" or "look"
 *     fault before K COMMAND...        kill -9, just before change K, of the process that makes it
 *     fault after K COMMAND...         the same just behind it
 *     fault ERRNO K COMMAND...         change K is not made, and fails so: 5, 28, ...
 *     fault look ERRNO K COMMAND...    the same of look K
 *     fault step SCRIPT COMMAND...     before each change the process waits for `SCRIPT K NAME`
 *
 * Exits as the program does, or with 128 and the signal that ended it, when all that it started has ended; 125 if call K was
 * not reached. A filter in the kernel stops those calls alone, so that the others cost nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h> /* behind sys/ptrace.h */

#define EXIT_NOT_REACHED 125
#define EXIT_OWN 127
#define FICLONE_COMMAND 0x40049409
#define OPEN_CHANGES (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)
#define TASKS_MAX 512

enum kind {
	NEITHER,
	CHANGE,
	LOOK,
};

static const struct call {
	int number;
	enum kind kind;
	int path; /* which argument of it is the path that tells the calls apart, from 1; 0: none */
	const char *name;
} calls[] = {
	{ SYS_rename, CHANGE, 2, "rename" },
	{ SYS_renameat, CHANGE, 4, "renameat" },
	{ SYS_renameat2, CHANGE, 4, "renameat2" },
	{ SYS_link, CHANGE, 2, "link" },
	{ SYS_linkat, CHANGE, 4, "linkat" },
	{ SYS_symlink, CHANGE, 2, "symlink" },
	{ SYS_symlinkat, CHANGE, 3, "symlinkat" },
	{ SYS_unlink, CHANGE, 1, "unlink" },
	{ SYS_unlinkat, CHANGE, 2, "unlinkat" },
	{ SYS_mkdir, CHANGE, 1, "mkdir" },
	{ SYS_mkdirat, CHANGE, 2, "mkdirat" },
	{ SYS_rmdir, CHANGE, 1, "rmdir" },
	{ SYS_mknodat, CHANGE, 2, "mknodat" },
	{ SYS_fsync, CHANGE, 0, "fsync" },
	{ SYS_fdatasync, CHANGE, 0, "fdatasync" },
	{ SYS_syncfs, CHANGE, 0, "syncfs" },
	{ SYS_sync, CHANGE, 0, "sync" },
	{ SYS_write, CHANGE, 0, "write" },
	{ SYS_writev, CHANGE, 0, "writev" },
	{ SYS_pwrite64, CHANGE, 0, "pwrite64" },
	{ SYS_truncate, CHANGE, 1, "truncate" },
	{ SYS_ftruncate, CHANGE, 0, "ftruncate" },
	{ SYS_fallocate, CHANGE, 0, "fallocate" },
	{ SYS_chmod, CHANGE, 1, "chmod" },
	{ SYS_fchmod, CHANGE, 0, "fchmod" },
	{ SYS_fchmodat, CHANGE, 2, "fchmodat" },
	{ SYS_chown, CHANGE, 1, "chown" },
	{ SYS_lchown, CHANGE, 1, "lchown" },
	{ SYS_fchown, CHANGE, 0, "fchown" },
	{ SYS_fchownat, CHANGE, 2, "fchownat" },
	{ SYS_utimensat, CHANGE, 2, "utimensat" },
	{ SYS_setxattr, CHANGE, 1, "setxattr" },
	{ SYS_lsetxattr, CHANGE, 1, "lsetxattr" },
	{ SYS_fsetxattr, CHANGE, 0, "fsetxattr" },
	{ SYS_removexattr, CHANGE, 1, "removexattr" },
	{ SYS_lremovexattr, CHANGE, 1, "lremovexattr" },
	{ SYS_fremovexattr, CHANGE, 0, "fremovexattr" },
	{ SYS_copy_file_range, CHANGE, 0, "copy_file_range" },
	{ SYS_sendfile, CHANGE, 0, "sendfile" },
	{ SYS_ioctl, CHANGE, 0, "ioctl" },
	{ SYS_flock, CHANGE, 0, "flock" },
	{ SYS_fcntl, CHANGE, 0, "fcntl" },
	{ SYS_mount, CHANGE, 2, "mount" },
	{ SYS_umount2, CHANGE, 1, "umount2" },
	{ SYS_openat, LOOK, 2, "openat" }, /* or a change: by its flags */
	{ SYS_newfstatat, LOOK, 2, "newfstatat" },
	{ SYS_statx, LOOK, 2, "statx" },
	{ SYS_readlinkat, LOOK, 2, "readlinkat" },
	{ SYS_getdents64, LOOK, 0, "getdents64" },
	{ SYS_read, LOOK, 0, "read" },
	{ SYS_pread64, LOOK, 0, "pread64" },
	{ SYS_lseek, LOOK, 0, "lseek" },
	{ SYS_flistxattr, LOOK, 0, "flistxattr" },
	{ SYS_fgetxattr, LOOK, 0, "fgetxattr" },
	{ SYS_faccessat2, LOOK, 2, "faccessat2" },
	{ SYS_fstatfs, LOOK, 0, "fstatfs" },
	{ SYS_dup3, LOOK, 0, "dup3" },
	{ SYS_pipe2, LOOK, 0, "pipe2" },
	{ SYS_clone, LOOK, 0, "clone" },
	{ SYS_clone3, LOOK, 0, "clone3" },
	{ SYS_vfork, LOOK, 0, "vfork" },
	{ SYS_execve, LOOK, 1, "execve" },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* Of ioctl, fcntl, open and write only some change anything. */
static enum kind kind_of(const struct call *call, const __u64 *args)
{
	switch (call->number) {
	case SYS_openat:
		return args[2] & OPEN_CHANGES ? CHANGE : LOOK;
	case SYS_write:
	case SYS_writev:
		return args[0] > 2 ? CHANGE : NEITHER;
	case SYS_fcntl:
		return args[1] == F_SETLEASE                                 ? CHANGE
		       : args[1] == F_GETLEASE || args[1] == F_DUPFD_CLOEXEC ? LOOK
									     : NEITHER;
	case SYS_ioctl:
		return args[1] == FICLONE_COMMAND ? CHANGE : NEITHER;
	default:
		return call->kind;
	}
}

enum mode {
	LIST,
	BEFORE,
	AFTER,
	ERROR,
	STEP,
};

/* A thread that we have. What it executes is not ours any more: its calls are let through. */
struct task {
	pid_t id, process;
	bool known; /* who started it has told us; until then it waits */
	bool ours;
};

struct fault {
	enum mode mode;
	enum kind kind; /* of call K */
	long at;        /* K */
	int error;
	const char *script;
	pid_t main;
	bool started;         /* COMMAND is executed */
	long count[LOOK + 1]; /* by kind */
	bool reached;
	pid_t waits; /* the thread that is in call K; 0: none */
	struct task tasks[TASKS_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(EXIT_OWN);
}

/* ---- the filter ---- */

#define FIELD(name) offsetof(struct seccomp_data, name)
#define LOAD(field) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field))
#define UNLESS(test, value, skipped) \
	((struct sock_filter)BPF_JUMP(BPF_JMP | (test) | BPF_K, value, 0, skipped))
#define RETURN(what) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what))

/* Stops the calls of the table; without `looks` the changes alone. */
static void filter_install(bool looks)
{
	struct sock_filter filter[2 * CALLS + 16];
	unsigned short n = 0;

	filter[n++] = LOAD(FIELD(arch));
	filter[n++] = UNLESS(BPF_JEQ, AUDIT_ARCH_X86_64, 1);
	filter[n++] = LOAD(FIELD(nr)); /* another architecture's number is none of these */
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].kind == LOOK && !looks)
			continue;
		filter[n++] = UNLESS(BPF_JEQ, (__u32)calls[i].number, 1);
		filter[n++] = RETURN(SECCOMP_RET_TRACE);
	}
	filter[n++] = UNLESS(BPF_JEQ, SYS_openat, 3);
	filter[n++] = LOAD(FIELD(args[2]));
	filter[n++] = UNLESS(BPF_JSET, OPEN_CHANGES, 1);
	filter[n++] = RETURN(SECCOMP_RET_TRACE);
	filter[n++] = RETURN(SECCOMP_RET_ALLOW);

	const struct sock_fprog program = { .len = n, .filter = filter };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		die("seccomp");
}

/* ---- the tasks ---- */

static struct task *task_find(struct fault *fault, pid_t id)
{
	for (struct task *task = fault->tasks; task < fault->tasks + TASKS_MAX; task++)
		if (task->id == id)
			return task;
	return NULL;
}

static struct task *task_add(struct fault *fault, pid_t id)
{
	struct task *task = task_find(fault, 0);

	if (task == NULL) {
		errno = EAGAIN;
		die("more threads than there is room for");
	}
	*task = (struct task){ .id = id };
	return task;
}

/* `parent` has started another: it is ours where its parent is. It may have stopped already, and waits for this. */
static void task_born(struct fault *fault, const struct task *parent, bool thread)
{
	unsigned long id;

	if (ptrace(PTRACE_GETEVENTMSG, parent->id, NULL, &id) != 0)
		return;
	struct task *task = task_find(fault, (pid_t)id);
	const bool waits = task != NULL;
	if (!waits)
		task = task_add(fault, (pid_t)id);
	task->known = true;
	task->ours = parent->ours;
	task->process = thread ? parent->process : (pid_t)id;
	if (waits)
		ptrace(PTRACE_CONT, task->id, NULL, NULL);
}

/* ---- one call ---- */

static void step(const struct fault *fault, const char *name)
{
	char number[24];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%ld", fault->count[CHANGE]);
	pid = fork();
	if (pid == 0) {
		execl(fault->script, fault->script, number, name, (char *)NULL);
		_exit(EXIT_OWN);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "fault: %s failed\n", fault->script);
		exit(EXIT_OWN); /* PTRACE_O_EXITKILL ends the rest */
	}
}

/* The call is not made, and says `error`. */
static void fail(pid_t thread, int error)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, thread, NULL, &regs) != 0)
		return;
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, thread, NULL, &regs);
}

static void list(const struct fault *fault, pid_t thread, const struct call *call, enum kind kind,
		 const __u64 *args)
{
	char path[256] = "";

	if (call->path != 0) {
		struct iovec to = { path, sizeof(path) - 1 };
		struct iovec from = { (void *)args[call->path - 1],
				      sizeof(path) - 1 }; /* NOLINT: its pointer */

		/* Less than that may be readable behind a short one. */
		while (from.iov_len > 16 && process_vm_readv(thread, &to, 1, &from, 1, 0) < 0)
			from.iov_len /= 2;
	}
	path[strcspn(path, "\n")] = '\0';
	dprintf(9, "%s %ld %s %s\n", kind == CHANGE ? "change" : "look", fault->count[kind], call->name,
		path);
}

/* True: its return is of interest. */
static bool on_call(struct fault *fault, const struct task *task)
{
	struct ptrace_syscall_info info;
	const struct call *call = calls;
	enum kind kind = NEITHER;

	if (!task->ours || !fault->started ||
	    ptrace(PTRACE_GET_SYSCALL_INFO, task->id, (void *)sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	while (call < calls + CALLS && (__u64)call->number != info.seccomp.nr)
		call++;
	if (call < calls + CALLS)
		kind = kind_of(call, info.seccomp.args);
	if (kind == NEITHER)
		return false;
	fault->count[kind]++;
	if (fault->mode == LIST)
		list(fault, task->id, call, kind, info.seccomp.args);
	if (fault->mode == STEP && kind == CHANGE)
		step(fault, call->name);
	if (kind != fault->kind || fault->count[kind] != fault->at)
		return false;
	fault->reached = true;
	if (fault->mode == BEFORE)
		kill(task->process, SIGKILL);
	if (fault->mode == ERROR)
		fail(task->id, fault->error);
	return fault->mode == AFTER;
}

/* ---- the stops ---- */

static void on_event(struct fault *fault, struct task *task, int event)
{
	switch (event) {
	case PTRACE_EVENT_CLONE:
		task_born(fault, task, true);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		task_born(fault, task, false);
		break;
	case PTRACE_EVENT_EXEC:
		task->ours = !fault->started;
		fault->started = true;
		break;
	default:
		break;
	}
}

static void on_stop(struct fault *fault, struct task *task, int status)
{
	const int event = status >> 16;
	bool behind = false;
	int signal = 0;

	/* A new one. If nobody has told of it yet, it waits. */
	if (event == PTRACE_EVENT_STOP && !task->known)
		return;
	if (event == PTRACE_EVENT_SECCOMP)
		behind = on_call(fault, task);
	else if (WSTOPSIG(status) == (SIGTRAP | 0x80) && fault->waits == task->id)
		kill(task->process, SIGKILL);
	else if (event != 0)
		on_event(fault, task, event);
	else
		signal = WSTOPSIG(status);
	if (behind)
		fault->waits = task->id;
	ptrace(behind ? PTRACE_SYSCALL : PTRACE_CONT, task->id, NULL, (void *)(long)signal);
}

static void start(struct fault *fault, char **command)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
			     PTRACE_O_EXITKILL;
	int status;

	fault->main = fork();
	if (fault->main == 0) {
		close(9);
		raise(SIGSTOP);
		filter_install(fault->mode == LIST || fault->kind == LOOK);
		execvp(command[0], command);
		_exit(EXIT_OWN);
	}
	if (fault->main < 0 || waitpid(fault->main, &status, WUNTRACED) != fault->main)
		die("fork");
	if (ptrace(PTRACE_SEIZE, fault->main, NULL, options) != 0)
		die("ptrace");
	*task_add(fault, fault->main) = (struct task){
		.id = fault->main, .process = fault->main, .known = true, .ours = true
	};
	kill(fault->main, SIGCONT);
}

static int run(struct fault *fault, char **command)
{
	int status, end = 0;
	pid_t thread;

	start(fault, command);
	while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno != ECHILD) {
		struct task *task = thread > 0 ? task_find(fault, thread) : NULL;

		if (thread <= 0)
			continue;
		if (thread == fault->main && !WIFSTOPPED(status))
			end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (WIFSTOPPED(status))
			on_stop(fault, task != NULL ? task : task_add(fault, thread), status);
		else if (task != NULL)
			*task = (struct task){ .id = 0 };
	}
	return end;
}

/* The words before COMMAND; how many. */
static int mode_read(struct fault *fault, char **argv)
{
	fault->kind = CHANGE;
	if (strcmp(argv[0], "list") == 0) {
		fault->mode = LIST;
		return 1;
	}
	if (strcmp(argv[0], "step") == 0) {
		fault->mode = STEP;
		fault->script = argv[1];
		return 2;
	}
	const int look = strcmp(argv[0], "look") == 0;
	if (look)
		fault->kind = LOOK;
	if (strcmp(argv[look], "before") == 0)
		fault->mode = BEFORE;
	else if (strcmp(argv[look], "after") == 0)
		fault->mode = AFTER;
	else
		fault->mode = ERROR;
	fault->error = atoi(argv[look]);
	fault->at = atol(argv[look + 1]);
	return look + 2;
}

int main(int argc, char **argv)
{
	static struct fault fault;

	if (argc < 5 && (argc < 3 || strcmp(argv[1], "list") != 0) &&
	    (argc < 4 || strcmp(argv[1], "look") == 0))
		return EXIT_OWN;
	const int words = 1 + mode_read(&fault, argv + 1);
	if (words >= argc || (fault.mode == ERROR && fault.error <= 0))
		return EXIT_OWN;
	/* The same descriptors in each mode: a call that finds one more of them in /proc would have another number. */
	const int null = open("/dev/null", O_WRONLY);
	if (fault.mode != LIST)
		dup2(null, 9);
	close(null);
	const int end = run(&fault, argv + words);
	return fault.at > 0 && !fault.reached ? EXIT_NOT_REACHED : end;
}

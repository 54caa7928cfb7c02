/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/programs/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper/programs/guard.h"

/* How long one that was told to end may take for it, in seconds. */
#define GRACE 5

/* What the child could not do before its exec, for the parent. */
struct failure {
	const char *step; /* both are good in the parent as well: the child is a copy of it */
	const char *name;
	int error;
};

static struct sigaction pipe_at_start = { .sa_handler = SIG_DFL };

void run_ignore_pipe(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, &pipe_at_start);
}

/* What the caller had, put back at the end. */
struct signals {
	sigset_t mask;
	struct sigaction child;
	sigset_t taken; /* what we wait for meanwhile */
};

/*
 * Blocks the signals that we want to hear of, SIGCHLD among them; those that are ignored (nohup) stay so. A
 * blocked signal waits, so none is lost between the fork and the first sigwaitinfo().
 */
static void signals_take(struct signals *signals)
{
	static const int handed_on[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction plain = { .sa_handler = SIG_DFL };

	sigemptyset(&signals->taken);
	sigaddset(&signals->taken, SIGCHLD);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++) {
		struct sigaction now;

		if (sigaction(handed_on[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&signals->taken, handed_on[i]);
	}
	sigaction(SIGCHLD, &plain, &signals->child);
	sigprocmask(SIG_BLOCK, &signals->taken, &signals->mask);
}

static void signals_give_back(const struct signals *signals)
{
	sigaction(SIGCHLD, &signals->child, NULL);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

static void __attribute__((noreturn)) child_fail(int report, const char *step, const char *name)
{
	struct failure failure = { .step = step, .name = name, .error = errno };

	if (write(report, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

/* `report` is close-on-exec: where the exec works the parent reads nothing. */
static void __attribute__((noreturn))
child_start(const struct run *run, const struct signals *signals, pid_t parent, int report)
{
	/* As we are: who we become may not enter a namespace. */
	const char *step = run->guard ? guard_enter(run->guard) : NULL;

	if (step)
		child_fail(report, step, run->argv[0]);
	if (run->user && user_become(run->user) != 0)
		child_fail(report, "it cannot become another user", run->argv[0]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	signals_give_back(signals);
	sigaction(SIGPIPE, &pipe_at_start, NULL);
	/* Where one was closed there is /dev/null, for us alone: what the child opens must not take its place. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		fcntl(fd, F_SETFD, 0);
	if (run->umask != 0)
		umask(run->umask);
	if ((run->in > 0 && dup2(run->in, STDIN_FILENO) < 0) ||
	    dup2(run->out > 0 ? run->out : STDERR_FILENO, STDOUT_FILENO) < 0)
		child_fail(report, "its input and output cannot be redirected", run->argv[0]);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0 && errno != ENOSYS)
		child_fail(report, "descriptors cannot be closed", run->argv[0]);
	if (run->cwd && chdir(run->cwd) != 0)
		child_fail(report, "cannot enter its directory", run->cwd);
	for (const char *const *entry = run->env; entry && *entry; entry++)
		if (putenv((char *)*entry) != 0)
			child_fail(report, "environment", *entry);
	if (run->body) {
		/* `report` is one of them: all is well so far. */
		if (close_range(3, ~0U, 0) != 0)
			child_fail(report, "descriptors cannot be closed", run->argv[0]);
		_exit(run->body(run->context));
	}
	execvp(run->argv[0], (char *const *)run->argv);
	child_fail(report, "cannot be run", run->argv[0]);
}

/* How a child came to its end. */
struct ending {
	int status; /* as waitpid(2) has it; -1: not known */
	int sent;   /* the last signal that somebody sent us, or 0 */
	bool late;  /* its time was over */
};

/* The time from now until `end`, for sigtimedwait(). */
static struct timespec time_until(const struct timespec *end)
{
	struct timespec now, left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = end->tv_sec - now.tv_sec;
	left.tv_nsec = end->tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_nsec += 1000000000;
		left.tv_sec--;
	}
	return left.tv_sec < 0 ? (struct timespec){ .tv_sec = 0 } : left;
}

/* The next signal, 0 where none could be taken, or -1: `end` has come (NULL: it never comes). */
static int signal_next(const struct signals *signals, const struct timespec *end)
{
	siginfo_t info;
	struct timespec left = end ? time_until(end) : (struct timespec){ .tv_sec = 0 };
	int got = end ? sigtimedwait(&signals->taken, &info, &left) : sigwaitinfo(&signals->taken, &info);

	if (got < 0)
		return end && errno == EAGAIN ? -1 : 0;
	/* Those of the terminal reach it without us. */
	return info.si_signo == SIGCHLD || info.si_code == SI_KERNEL ? 0 : info.si_signo;
}

static void wait_for(pid_t pid, unsigned timeout, const struct signals *signals, struct ending *ending)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += timeout;
	for (;;) {
		pid_t ended = waitpid(pid, &ending->status, WNOHANG);

		if (ended == pid)
			return;
		if (ended < 0 && errno != EINTR) {
			ending->status = -1;
			return;
		}
		int signal = signal_next(signals, timeout != 0 ? &end : NULL);
		if (signal < 0) {
			signal = ending->late ? SIGKILL : SIGTERM;
			ending->late = true;
			end.tv_sec += GRACE;
		} else if (signal > 0) {
			ending->sent = signal;
		}
		if (signal != 0)
			kill(pid, signal);
	}
}

static int judge(const struct run *run, const struct ending *ending, struct err *err)
{
	const int status = ending->status;
	const char *why = NULL;

	if (ending->sent)
		return err_fail(err, STATUS_FAILED, run->subject, "ended by signal %d (%s)", ending->sent,
				strsignal(ending->sent));
	if (ending->late)
		return err_fail(err, STATUS_FAILED, run->subject, "not done after %u second%s", run->timeout,
				run->timeout == 1 ? "" : "s");
	if (WIFSIGNALED(status))
		return err_fail(err, STATUS_FAILED, run->subject, "killed by signal %d (%s)",
				WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == 0)
		return 0;
	if (run->explain)
		why = run->explain(WEXITSTATUS(status));
	return err_fail(err, STATUS_FAILED, run->subject, why ? "exit status %d: %s" : "exit status %d",
			WEXITSTATUS(status), why);
}

int run(const struct run *run, struct err *err)
{
	const pid_t ourselves = getpid();
	struct failure failure;
	struct signals signals;
	struct ending ending = { .status = -1 };
	int report[2];

	if (pipe2(report, O_CLOEXEC) != 0)
		return err_errno(err, STATUS_FAILED, run->subject, "pipe");
	signals_take(&signals);
	pid_t pid = fork();
	if (pid == 0)
		child_start(run, &signals, ourselves, report[1]);
	const int error = errno;
	close(report[1]);
	ssize_t got = pid < 0 ? 0 : read(report[0], &failure, sizeof(failure));
	if (pid > 0)
		wait_for(pid, run->timeout, &signals, &ending);
	close(report[0]);
	signals_give_back(&signals);
	errno = error;
	if (pid < 0 || ending.status == -1)
		return err_errno(err, STATUS_FAILED, run->subject, "fork");
	if (got != (ssize_t)sizeof(failure))
		return judge(run, &ending, err);
	errno = failure.error;
	if (errno == ENOENT)
		return err_fail(err, STATUS_FAILED, run->subject, "%s: %s: not found", failure.step,
				failure.name);
	return err_errno(err, STATUS_FAILED, run->subject, "%s: %s", failure.step, failure.name);
}

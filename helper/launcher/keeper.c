/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/names.h"
#include "helper/base/alloc.h"

#define EVENT_ROOM 4096

/* The pins, the events, the pipe; each of the numbers below 3 */
#define KEPT_MAX (PIN_COUNT_MAX + 2)

static int compare_fds(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/*
 * Whoever waits for the end of a pipe or a terminal, or wants to unmount something, must not have to wait
 * for us.
 */
static void let_go(int fds[], size_t count)
{
	unsigned from = 0;

	qsort(fds, count, sizeof(*fds), compare_fds);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)fds[i] > from)
			close_range(from, (unsigned)fds[i] - 1, 0);
		from = (unsigned)fds[i] + 1;
	}
	close_range(from, UINT_MAX, 0);
	setsid();
	if (chdir("/") != 0)
		_exit(1);
}

/* Until so many watches have ended; the kernel says IN_IGNORED for each, also behind IN_UNMOUNT. */
static void wait_for_end(int events, unsigned left)
{
	char room[EVENT_ROOM] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (left > 0) {
		ssize_t got = read(events, room, sizeof(room));

		if (got <= 0)
			return;
		for (ssize_t at = 0; at < got;) {
			const struct inotify_event *event = (const void *)(room + at);

			if (event->mask & IN_Q_OVERFLOW)
				return;
			if (event->mask & IN_IGNORED)
				left--;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

__attribute__((noreturn)) static void keep(int events, int told, const struct pin *pins, size_t count)
{
	int fds[KEPT_MAX] = { events, told };
	size_t kept = 2;
	unsigned char watches;
	sigset_t all;

	for (size_t i = 0; i < count && kept < KEPT_MAX; i++)
		if (pins[i].fd >= 0)
			fds[kept++] = pins[i].fd;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	let_go(fds, kept);
	if (read(told, &watches, 1) == 1)
		wait_for_end(events, watches);
	_exit(0);
}

/* Would a grandchild become our child? Of a process that is the first of its pid namespace, or asked for it (prctl(2)). */
static bool is_reaper(void)
{
	int asked = 0;

	return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &asked, 0, 0, 0) == 0 && asked);
}

/* A grandchild: the command shall have no child that it does not know. Of a reaper it is one that wait(2) leaves out, having no signal. */
static bool keeper_fork(struct keeper *keeper, int told, const struct pin *pins, size_t count)
{
	if (is_reaper()) {
		long pid = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);

		if (pid == 0)
			keep(keeper->events, told, pins, count);
		return pid > 0;
	}
	pid_t child = fork();

	if (child == 0) {
		child = fork();
		if (child == 0)
			keep(keeper->events, told, pins, count);
		_exit(child < 0 ? errno : 0);
	}
	if (child < 0)
		return false;
	int status = 0;
	/* ECHILD: somebody ignores SIGCHLD for us; then the pipe tells. */
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno == ECHILD;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno == 0;
}

int keeper_start(struct keeper *keeper, const struct pin *pins, size_t count, struct err *err)
{
	int ends[2];

	*keeper = (struct keeper)KEEPER_NONE;
	keeper->events = inotify_init1(IN_CLOEXEC);
	if (keeper->events < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(err, STATUS_FAILED, "keeper of the pins", "cannot be started");
	keeper->done = ends[1];
	bool started = keeper_fork(keeper, ends[0], pins, count);
	int error = errno;
	close(ends[0]);
	errno = error;
	if (!started)
		return err_errno(err, STATUS_FAILED, "keeper of the pins", "cannot be started");
	return 0;
}

/* By procfs, so that we stay in a working directory that we could not enter again; there may be none. */
static int add_watch(int events, int root)
{
	char *path = alloc_printf("/proc/self/fd/%d", root);
	int watch = inotify_add_watch(events, path, IN_DELETE_SELF);

	free(path);
	if (watch < 0 && fchdir(root) == 0)
		watch = inotify_add_watch(events, ".", IN_DELETE_SELF);
	return watch;
}

int keeper_watch(struct keeper *keeper, int root, struct err *err)
{
	if (keeper->watches == UCHAR_MAX || add_watch(keeper->events, root) < 0)
		return err_errno(err, STATUS_FAILED, "keeper of the pins", "cannot watch the namespace");
	keeper->watches++;
	return 0;
}

int keeper_done(struct keeper *keeper, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	ssize_t written;

	/* If somebody has killed it, that is an error to be told. */
	sigaction(SIGPIPE, &ignore, &before);
	written = write(keeper->done, &keeper->watches, 1);
	int error = errno;
	sigaction(SIGPIPE, &before, NULL);
	errno = error;
	if (written != 1)
		return err_errno(err, STATUS_FAILED, "keeper of the pins", "has ended");
	return 0;
}

void keeper_release(struct keeper *keeper)
{
	if (keeper->events >= 0)
		close(keeper->events);
	if (keeper->done >= 0)
		close(keeper->done);
	*keeper = (struct keeper)KEEPER_NONE;
}

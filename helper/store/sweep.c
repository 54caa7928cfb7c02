/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioprio.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/files.h"
#include "helper/snapshot/storage.h"

#define SOON_NS 250000000L
#define NEARLY_FULL 20 /* one part in so many */
#define SWEEPER_NAME "rcu-repo-trash"

static int sweep(struct store *store, time_t seconds, long ns, struct err *err)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds + (until.tv_nsec + ns) / 1000000000L;
	until.tv_nsec = (until.tv_nsec + ns) % 1000000000L;
	return store->storage->empty_trash(store, &until, err);
}

/* Closes all but one, and gives 0 to 2 to /dev/null. */
static void leave_descriptors(int keep)
{
	if (keep > 0)
		close_range(0, (unsigned)keep - 1, 0);
	close_range((unsigned)keep + 1, UINT_MAX, 0);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fd != keep)
			open("/dev/null", O_RDWR);
}

/* False: also where it cannot be read. */
static bool is_empty(const struct store *store)
{
	DIR *trash = directory_open(store->dir, STORE_TRASH);
	const bool empty = trash == NULL || directory_next(trash) == NULL;

	if (trash != NULL)
		closedir(trash);
	return empty;
}

/*
 * Until trash is empty: what comes while we are at it is ours, too, since who brings it finds us here. Only one of us
 * is needed.
 */
static void sweeper(struct store *store)
{
	struct err ignored = ERR_NONE;

	leave_descriptors(store->dir);
	store->lock = -1;
	if (chdir("/") != 0)
		return;
	prctl(PR_SET_NAME, SWEEPER_NAME);
	(void)!nice(19);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	int trash = openat(store->dir, STORE_TRASH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (trash < 0 || flock(trash, LOCK_EX | LOCK_NB) != 0)
		return;
	while (!is_empty(store) && store->storage->empty_trash(store, NULL, &ignored) == 0)
		;
}

/* The child between us ends at once, so that nobody has to wait for the other. */
static void sweeper_start(struct store *store)
{
	const pid_t between = fork();

	if (between == 0) {
		setsid();
		if (fork() == 0)
			sweeper(store);
		_exit(0);
	}
	if (between > 0)
		while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
			;
}

int sweep_soon(struct store *store, struct err *err)
{
	const int result = sweep(store, 0, SOON_NS, err);

	if (result <= 0)
		return result;
	sweeper_start(store);
	return 0;
}

int sweep_now(struct store *store, unsigned seconds, struct err *err)
{
	return seconds == 0 ? store->storage->empty_trash(store, NULL, err) : sweep(store, seconds, 0, err);
}

int sweep_if_full(struct store *store, struct err *err)
{
	struct statvfs fs;

	/* f_files is 0 where there is no such limit (btrfs). */
	if (fstatvfs(store->dir, &fs) == 0 && fs.f_bavail > fs.f_blocks / NEARLY_FULL &&
	    (fs.f_files == 0 || fs.f_favail > fs.f_files / NEARLY_FULL))
		return 0;
	return store->storage->empty_trash(store, NULL, err);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/climb.h"
#include "helper/tree/crew.h"
#include "helper/tree/swarm.h"

/*
 * How often tree_delete() looks again, in all, at directories that did not get empty; and how many names more than
 * the last time say that somebody makes them faster than they are deleted, so that each time would take longer.
 */
#define DELETE_TRIES 20
#define DELETE_GROWTH 100

/*
 * unlink(2) follows nothing and removes no directory, rmdir(2) only an empty one: whatever somebody puts
 * in the place of a name, nothing goes but names in directories that were entered, and those are on our mount.
 */

struct delete
{
	struct climb climb;
	const struct timespec *until;
	unsigned tries;
	bool again;  /* the next directory is one that did not get empty, */
	size_t last; /* with so many names then */
	bool failed; /* something at the root could not be deleted */
};

/* A directory that we own but may not read: -1 and errno. */
static int delete_unlock(const struct climb *climb, int dir, const char *name)
{
	int held = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;
	char proc[32];
	int fd = -1;

	if (held < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", held);
	if (climb_look_fd(climb, 0, held, &st) == 0 && chmod(proc, (st.stx_mode & 07777) | 0700) == 0)
		fd = openat(held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(held);
	return fd;
}

/* Opens a directory to delete what is in it. -1 and errno; EXDEV: something is mounted there. */
static int delete_open(const struct climb *climb, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (fd < 0 && errno == EACCES)
		fd = delete_unlock(climb, dir, name);
	if (fd < 0)
		return -1;
	if (climb_look_fd(climb, 0, fd, &st) == 0) {
		/* Where this fails, what needs it says why. */
		if ((st.stx_mode & 0700) != 0700)
			fchmod(fd, (st.stx_mode & 07777) | 0700);
		return fd;
	}
	close(fd);
	return -1;
}

/* Goes into a directory, by a descriptor that is taken. */
static int delete_enter(struct delete *delete, const char *name, int fd, struct err *err)
{
	if (climb_enter(&delete->climb, name, fd, -1, err) != 0)
		return -1;
	if (delete->again && climb_top(&delete->climb)->list.count > delete->last + DELETE_GROWTH)
		delete->tries = 0;
	delete->again = false;
	return 0;
}

/* Deletes what is no directory, goes into what is. What cannot be done does not stop the rest. */
static int delete_entry(struct delete *delete, const char *name, struct err *err)
{
	struct climb *climb = &delete->climb;
	struct level *top = climb_top(climb);

	if (unlinkat(top->fd[0], name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR) {
		int fd = delete_open(climb, top->fd[0], name);

		if (fd >= 0)
			return delete_enter(delete, name, fd, err);
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return 0; /* somebody was faster; what is there now shows when this directory is not empty */
	}
	climb_fail(climb, "cannot delete", name, err);
	top->failed = true;
	return 0;
}

/* Removes an emptied directory: 1 if it is gone, 0 to try it again, -1 and errno. */
static int delete_emptied(struct delete *delete, int dir, const char *name)
{
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	if ((errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) || delete->tries == 0)
		return -1;
	delete->tries--;
	delete->again = true;
	return 0;
}

static int delete_leave(struct delete *delete, struct err *err)
{
	struct climb *climb = &delete->climb;
	const bool failed = climb_top(climb)->failed;

	delete->last = climb_top(climb)->list.count;
	if (climb_leave(climb, NULL, err) != 0)
		return -1;
	if (climb->depth == 0) {
		delete->failed = failed;
		return 0;
	}
	struct level *top = climb_top(climb);
	const char *name = top->list.names[top->at - 1];
	int gone = failed ? -1 : delete_emptied(delete, top->fd[0], name);
	if (gone == 0)
		top->at--;
	if (gone < 0) {
		climb_fail(climb, "cannot delete", name, err);
		top->failed = true;
	}
	return 0;
}

static bool is_late(const struct timespec *until)
{
	struct timespec now;

	if (until == NULL)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* Deletes what is in the directory that `fd` (taken) is. */
static int delete_content(struct delete *delete, const char *name, int fd, struct err *err)
{
	struct climb *climb = &delete->climb;
	int result = delete_enter(delete, name, fd, err);

	while (result == 0 && climb->depth != 0) {
		const char *entry = climb_next(climb);

		if (is_late(delete->until))
			result = 1;
		else
			result = entry != NULL ? delete_entry(delete, entry, err) : delete_leave(delete, err);
	}
	climb_release(climb);
	return result != 0 ? result : delete->failed ? -1 : 0;
}

/*
 * ---- the most of it, by several threads ----
 *
 * A directory is read, what is no directory in it goes, and each directory in it is a job of its own. It is removed by
 * whoever is done with the last thing in it, by its parent's descriptor, which is open until then: so open are the
 * directories on the way to what is being worked on, DEPTH_MAX in each thread at most.
 *
 * Whatever is not as it should be is left alone, with all that it is in: deep trees, directories without permissions, mounts,
 * somebody who still writes. What is left then is for the one thread behind, which knows about all that, and says why
 * something stays.
 */
#define DEPTH_MAX 48

struct doomed {
	struct doomed *up; /* NULL: the root */
	int fd;            /* -1: not open */
	unsigned depth;
	atomic_uint undone; /* itself, and each directory in it */
	atomic_bool stays;  /* something is left in it */
	char name[];
};

struct most {
	int dir; /* that the root is in */
	uint64_t mount;
	const struct timespec *until;
};

static struct doomed *doomed_new(struct doomed *up, const char *name)
{
	const size_t length = strlen(name) + 1;
	struct doomed *doomed = alloc_grow(NULL, sizeof(*doomed) + length, 1);

	memset(doomed, 0, sizeof(*doomed));
	memcpy(doomed->name, name, length);
	doomed->up = up;
	doomed->fd = -1;
	doomed->depth = up != NULL ? up->depth + 1 : 0;
	atomic_init(&doomed->undone, 1);
	if (up != NULL)
		atomic_fetch_add(&up->undone, 1);
	return doomed;
}

/* One thing less is to be done in it; it was the last: it goes, and so it is one less in what that is in. */
static void doomed_done(const struct most *most, struct doomed *doomed)
{
	while (doomed != NULL && atomic_fetch_sub(&doomed->undone, 1) == 1) {
		struct doomed *up = doomed->up;
		const int in = up != NULL ? up->fd : most->dir;

		if (doomed->fd >= 0)
			close(doomed->fd);
		if (atomic_load(&doomed->stays) || unlinkat(in, doomed->name, AT_REMOVEDIR) != 0)
			if (up != NULL)
				atomic_store(&up->stays, true);
		free(doomed);
		doomed = up;
	}
}

/* Opens it, unless something is mounted on it. */
static int doomed_open(const struct most *most, struct doomed *doomed)
{
	const int in = doomed->up != NULL ? doomed->up->fd : most->dir;
	struct statx st;

	doomed->fd = openat(in, doomed->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (doomed->fd < 0)
		return -1;
	return statx(doomed->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 && st.stx_mnt_id == most->mount
		       ? 0
		       : -1;
}

/* What a worker adds last it takes first. */
static void doomed_clear(struct worker *worker, struct doomed *doomed)
{
	const struct most *most = crew_context(worker);
	struct dents dents = { .data = NULL };
	size_t count = 0;
	const bool read = dents_read(doomed->fd, &dents) == 0;
	const struct dirent64 **list = read ? dents_by_inode(&dents, doomed->fd, &count) : NULL;

	if (!read)
		atomic_store(&doomed->stays, true);
	for (size_t i = count; i-- > 0;)
		if (is_late(most->until))
			atomic_store(&doomed->stays, true);
		else if (list[i]->d_type == DT_DIR)
			crew_add(worker, doomed_new(doomed, list[i]->d_name));
		else if (unlinkat(doomed->fd, list[i]->d_name, 0) != 0 && errno != ENOENT)
			atomic_store(&doomed->stays, true);
	free(list);
	dents_release(&dents);
}

static void doomed_work(struct worker *worker, void *job)
{
	const struct most *most = crew_context(worker);
	struct doomed *doomed = job;

	if (doomed->depth < DEPTH_MAX && !is_late(most->until) && doomed_open(most, doomed) == 0)
		doomed_clear(worker, doomed);
	else
		atomic_store(&doomed->stays, true);
	doomed_done(most, doomed);
}

static void delete_most(int dir, const char *name, const struct timespec *until)
{
	struct most most = { .dir = dir, .until = until };
	struct statx st;

	if (statx(dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) != 0)
		return;
	most.mount = st.stx_mnt_id;
	crew_run(doomed_work, &most, doomed_new(NULL, name));
}

int tree_delete(int dir, const char *name, struct err *err)
{
	return tree_delete_until(dir, name, NULL, err);
}

int tree_delete_until(int dir, const char *name, const struct timespec *until, struct err *err)
{
	struct delete delete = { .tries = DELETE_TRIES, .until = until };

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR)
		delete_most(dir, name, until);
	for (;;) {
		if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR)
			break;
		climb_start(&delete.climb, name);
		int fd = climb_mount(&delete.climb, dir) == 0 ? delete_open(&delete.climb, dir, name) : -1;
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd < 0)
			return climb_fail(&delete.climb, "cannot open", "", err);
		const int result = delete_content(&delete, name, fd, err);
		if (result != 0)
			return result;
		int gone = delete_emptied(&delete, dir, name);
		if (gone != 0)
			return gone > 0 ? 0 : err_errno(err, STATUS_FAILED, name, "cannot delete it");
	}
	return err_errno(err, STATUS_FAILED, name, "cannot delete it");
}

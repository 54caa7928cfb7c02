/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/climb.h"

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

/* Deletes what is in the directory that `fd` (taken) is. */
static int delete_content(struct delete *delete, const char *name, int fd, struct err *err)
{
	struct climb *climb = &delete->climb;
	int result = delete_enter(delete, name, fd, err);

	while (result == 0 && climb->depth != 0) {
		const char *entry = climb_next(climb);

		result = entry != NULL ? delete_entry(delete, entry, err) : delete_leave(delete, err);
	}
	climb_release(climb);
	return result != 0 || delete->failed ? -1 : 0;
}

int tree_delete(int dir, const char *name, struct err *err)
{
	struct delete delete = { .tries = DELETE_TRIES };

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
		if (delete_content(&delete, name, fd, err) != 0)
			return -1;
		int gone = delete_emptied(&delete, dir, name);
		if (gone != 0)
			return gone > 0 ? 0 : err_errno(err, STATUS_FAILED, name, "cannot delete it");
	}
	return err_errno(err, STATUS_FAILED, name, "cannot delete it");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/swarm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define DENTS_ROOM 32768

static struct spot *spot_new(struct spot *up, const char *name)
{
	const size_t size = strlen(name) + 1;
	struct spot *spot = alloc_grow(NULL, sizeof(*spot) + size, 1);

	memset(spot, 0, sizeof(*spot));
	spot->fd[0] = spot->fd[1] = -1;
	spot->up = up;
	atomic_init(&spot->kept, 1);
	atomic_init(&spot->open, 1);
	memcpy(spot->name, name, size);
	return spot;
}

/* A chain of parents, each with one directory, goes in one round: no recursion, however deep. */
static void spot_put(struct spot *spot)
{
	while (spot != NULL && atomic_fetch_sub(&spot->kept, 1) == 1) {
		struct spot *up = spot->up;

		free(spot);
		spot = up;
	}
}

static void swarm_fail(struct swarm *swarm, const struct err *err)
{
	pthread_mutex_lock(&swarm->lock);
	if (swarm->err.status == STATUS_DONE)
		swarm->err = *err;
	pthread_mutex_unlock(&swarm->lock);
	atomic_store(&swarm->failed, true);
}

static void spot_close(struct swarm *swarm, struct spot *spot)
{
	struct err err = ERR_NONE;

	if (atomic_fetch_sub(&spot->open, 1) != 1)
		return;
	if (swarm->leave != NULL && !spot->failed && !atomic_load(&swarm->failed) &&
	    swarm->leave(swarm, spot, &err) != 0)
		swarm_fail(swarm, &err);
	for (int side = 0; side < 2; side++)
		if (spot->fd[side] >= 0)
			close(spot->fd[side]);
	spot_put(spot);
}

static int spot_look(const struct swarm *swarm, struct spot *spot, int side)
{
	struct statx *st = &spot->st[side];

	if (statx(spot->fd[side], "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID,
		  st) != 0)
		return -1;
	if ((st->stx_mask & STATX_MNT_ID) == 0) {
		errno = ENOSYS;
		return -1;
	}
	if (spot->up == NULL || st->stx_mnt_id == swarm->mount[side])
		return 0;
	errno = EXDEV;
	return -1;
}

/* A side that spot_add() named has AT_FDCWD until it is open. */
static int spot_open(const struct swarm *swarm, struct spot *spot)
{
	for (int side = 0; side < 2; side++) {
		if (spot->up != NULL && spot->fd[side] == AT_FDCWD)
			spot->fd[side] = openat(spot->up->fd[side], spot->name,
						O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else if (spot->fd[side] < 0)
			continue;
		if (spot->fd[side] < 0 || spot_look(swarm, spot, side) != 0)
			return -1;
	}
	return 0;
}

static void spot_work(struct worker *worker, void *job)
{
	struct swarm *swarm = swarm_of(worker);
	struct err err = ERR_NONE;
	struct spot *spot = job;
	int result = -1;

	if (!atomic_load(&swarm->failed)) {
		result = spot_open(swarm, spot);
		if (result != 0)
			spot_fail(swarm, spot, "cannot open", "", &err);
		if (result == 0 && spot->up == NULL)
			for (int side = 0; side < 2; side++)
				swarm->mount[side] = spot->st[side].stx_mnt_id;
	}
	if (spot->up != NULL)
		spot_close(swarm, spot->up);
	if (result == 0)
		result = swarm->visit(worker, spot, &err);
	if (result != 0) {
		spot->failed = true;
		if (err.status != STATUS_DONE)
			swarm_fail(swarm, &err);
	}
	spot_close(swarm, spot);
}

void spot_add(struct worker *worker, struct spot *up, const char *name, bool a, bool b)
{
	struct spot *spot = spot_new(up, name);

	spot->fd[0] = a ? AT_FDCWD : -1;
	spot->fd[1] = b ? AT_FDCWD : -1;
	atomic_fetch_add(&up->kept, 1);
	atomic_fetch_add(&up->open, 1);
	crew_add(worker, spot);
}

/* As many descriptors as we may have: a tree that is deep and wide takes two for each level. What it was before. */
static rlim_t descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	const rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return before;
}

/* What we run gets the limit of before: there are programs that close as many as there may be, one by one. */
static void descriptors_restore(rlim_t before)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || before == 0)
		return;
	limit.rlim_cur = before;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int swarm_run(struct swarm *swarm, int a, int b, struct err *err)
{
	struct spot *root = spot_new(NULL, "");

	root->fd[0] = a;
	root->fd[1] = b;
	const rlim_t before = descriptors_raise();

	pthread_mutex_init(&swarm->lock, NULL);
	swarm->err = (struct err)ERR_NONE;
	atomic_init(&swarm->failed, false);
	crew_run(spot_work, swarm, root);
	pthread_mutex_destroy(&swarm->lock);
	descriptors_restore(before);
	if (!atomic_load(&swarm->failed))
		return 0;
	if (err->status == STATUS_DONE)
		*err = swarm->err;
	return -1;
}

char *spot_path(const struct spot *spot, const char *name)
{
	size_t size = strlen(name) + 1;

	for (const struct spot *at = spot; at->up != NULL; at = at->up)
		size += strlen(at->name) + 1;
	char *path = alloc_grow(NULL, size, 1);
	size_t left = size - strlen(name) - 1;
	memcpy(path + left, name, strlen(name) + 1);
	for (const struct spot *at = spot; at->up != NULL; at = at->up) {
		const size_t length = strlen(at->name);

		path[--left] = '/';
		left -= length;
		memcpy(path + left, at->name, length);
	}
	if (name[0] == '\0' && size > 1)
		path[size - 2] = '\0'; /* the slash behind the directory itself */
	return path;
}

int spot_fail(const struct swarm *swarm, const struct spot *spot, const char *what, const char *name,
	      struct err *err)
{
	const int error = errno;
	char *path = spot_path(spot, name);
	const char *place = path[0] == '\0' ? "it" : path;

	errno = error;
	if (error == EXDEV)
		err_fail(err, STATUS_FAILED, swarm->root, "something is mounted on %s", place);
	else
		err_errno(err, STATUS_FAILED, swarm->root, "%s %s", what, place);
	free(path);
	errno = error;
	return -1;
}

/* ---- raw entries ---- */

int dents_read(int fd, struct dents *dents)
{
	ssize_t got;

	dents->size = 0;
	do {
		if (dents->room - dents->size < DENTS_ROOM) {
			dents->room = dents->room * 2 + DENTS_ROOM;
			dents->data = alloc_grow(dents->data, dents->room, 1);
		}
		got = getdents64(fd, dents->data + dents->size, dents->room - dents->size);
		if (got > 0)
			dents->size += (size_t)got;
	} while (got > 0);
	return got == 0 || errno == ENOENT ? 0 : -1;
}

void dents_release(struct dents *dents)
{
	free(dents->data);
	memset(dents, 0, sizeof(*dents));
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static bool type_find(int fd, struct dirent64 *entry)
{
	struct stat st;

	if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	entry->d_type = (unsigned char)IFTODT(st.st_mode);
	return true;
}

const struct dirent64 *dents_next(const struct dents *dents, int fd, size_t *at)
{
	while (*at < dents->size) {
		struct dirent64 *entry = (void *)(dents->data + *at);

		*at += entry->d_reclen;
		if (!is_dot(entry->d_name) && (entry->d_type != DT_UNKNOWN || type_find(fd, entry)))
			return entry;
	}
	return NULL;
}

static int by_inode(const void *a, const void *b)
{
	const struct dirent64 *const *x = a, *const *y = b;

	return (*x)->d_ino < (*y)->d_ino ? -1 : (*x)->d_ino > (*y)->d_ino;
}

const struct dirent64 **dents_by_inode(const struct dents *dents, int fd, size_t *count)
{
	const struct dirent64 **list = NULL, *entry;
	size_t at = 0, room = 0;
	bool sorted = true;

	*count = 0;
	while ((entry = dents_next(dents, fd, &at)) != NULL) {
		if (*count == room) {
			room = room * 2 + 32;
			list = alloc_grow(list, room, sizeof(*list));
		}
		sorted = sorted && (*count == 0 || by_inode(&list[*count - 1], &entry) <= 0);
		list[(*count)++] = entry;
	}
	if (!sorted)
		qsort(list, *count, sizeof(*list), by_inode);
	return list;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Of a pair of directories the raw entries are read. A clone nearly always has them in its source's order, so both
 * lists are gone through in step as long as they agree; what is left is sorted by name and merged.
 *
 * An inode number from getdents64() is that of the file only where the file system says so: overlayfs and others
 * (FUSE) do not, so there each file is looked at. Numbers are compared only between directories of one device.
 */
#include "helper/tree/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/swarm.h"

#define XFS_MAGIC 0x58465342

struct diff {
	tree_found found;
	void *context;
	pthread_mutex_t lock;       /* of `found` */
	bool by_dents;              /* the numbers in directory entries can be relied on */
	const struct changes *dirs; /* those to read of the directories that are in both; NULL: all */
};

/* What one thread works with in one directory. */
struct pairing {
	struct worker *worker;
	struct spot *spot;
	struct err *err;
	struct dents dents[2];
	size_t at[2];
};

struct name {
	const char *name;
	uint64_t ino;
	bool directory;
};

struct names {
	struct name *list;
	size_t count, room;
};

static int diff_found(struct pairing *pairing, const char *name, enum tree_difference difference)
{
	struct diff *diff = swarm_of(pairing->worker)->context;
	char *path = spot_path(pairing->spot, name);

	pthread_mutex_lock(&diff->lock);
	int result = diff->found(diff->context, path, difference, pairing->err);
	pthread_mutex_unlock(&diff->lock);
	free(path);
	return result;
}

static struct name name_of(const struct diff *diff, int fd, const struct dirent64 *entry)
{
	struct name name = { entry->d_name, entry->d_ino, entry->d_type == DT_DIR };
	struct statx st;

	if (diff->by_dents || name.directory)
		return name;
	/* Gone meanwhile, or not to be looked at: no other file has this number. */
	name.ino = 0;
	if (statx(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_INO, &st) == 0)
		name.ino = st.stx_ino;
	return name;
}

static bool is_wanted(const struct diff *diff, const struct spot *up, const char *name)
{
	if (diff->dirs == NULL)
		return true;
	char *path = spot_path(up, name);
	const bool wanted = changes_have(diff->dirs, path);
	free(path);
	return wanted;
}

/* A name that is in both. */
static int diff_both(struct pairing *pairing, const struct name *a, const struct name *b)
{
	const struct spot *spot = pairing->spot;

	if (a->directory && b->directory) {
		if (is_wanted(swarm_of(pairing->worker)->context, spot, a->name))
			spot_add(pairing->worker, pairing->spot, a->name, true, true);
		return 0;
	}
	if (!a->directory && !b->directory && a->ino == b->ino && a->ino != 0 &&
	    statx_dev(&spot->st[0]) == statx_dev(&spot->st[1]))
		return 0;
	if (a->directory || b->directory)
		spot_add(pairing->worker, pairing->spot, a->name, a->directory, b->directory);
	return diff_found(pairing, a->name, TREE_CHANGED);
}

/* A name that is in one: side 0 or 1. */
static int diff_one(struct pairing *pairing, const struct name *name, int side)
{
	if (name->directory)
		spot_add(pairing->worker, pairing->spot, name->name, side == 0, side == 1);
	return diff_found(pairing, name->name, side == 0 ? TREE_ONLY_A : TREE_ONLY_B);
}

/* In step, as long as the names agree. */
static int diff_in_step(struct pairing *pairing, const struct diff *diff)
{
	const int *fd = pairing->spot->fd;
	int result = 0;

	while (result == 0) {
		size_t at[2] = { pairing->at[0], pairing->at[1] };
		const struct dirent64 *a = dents_next(&pairing->dents[0], fd[0], &at[0]);
		const struct dirent64 *b = dents_next(&pairing->dents[1], fd[1], &at[1]);

		if (a == NULL || b == NULL || strcmp(a->d_name, b->d_name) != 0)
			return 0;
		const struct name of_a = name_of(diff, fd[0], a), of_b = name_of(diff, fd[1], b);
		result = diff_both(pairing, &of_a, &of_b);
		memcpy(pairing->at, at, sizeof(at));
	}
	return result;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* What is left of one side, sorted. */
static void names_sort(struct names *names, struct pairing *pairing, int side, const struct diff *diff)
{
	const int fd = pairing->spot->fd[side];
	const struct dirent64 *entry;

	memset(names, 0, sizeof(*names));
	if (fd < 0)
		return;
	while ((entry = dents_next(&pairing->dents[side], fd, &pairing->at[side])) != NULL) {
		if (names->count == names->room) {
			names->room = names->room * 2 + 16;
			names->list = alloc_grow(names->list, names->room, sizeof(*names->list));
		}
		names->list[names->count++] = name_of(diff, fd, entry);
	}
	if (names->count > 1)
		qsort(names->list, names->count, sizeof(*names->list), by_name);
}

static int diff_merge(struct pairing *pairing, const struct names *a, const struct names *b)
{
	int result = 0;

	for (size_t i = 0, j = 0; result == 0 && (i < a->count || j < b->count);) {
		const int order = i == a->count   ? 1
				  : j == b->count ? -1
						  : strcmp(a->list[i].name, b->list[j].name);

		if (order < 0)
			result = diff_one(pairing, &a->list[i++], 0);
		else if (order > 0)
			result = diff_one(pairing, &b->list[j++], 1);
		else
			result = diff_both(pairing, &a->list[i++], &b->list[j++]);
	}
	return result;
}

/* 1, 0, or -1 and errno. */
static int same_metadata(const struct spot *spot)
{
	const struct object a = object_of(spot->fd[0]), b = object_of(spot->fd[1]);

	return object_same_stat(&spot->st[0], &spot->st[1]) ? object_same(&a, &b, &spot->st[0]) : 0;
}

static int diff_visit(struct worker *worker, struct spot *spot, struct err *err)
{
	const struct swarm *swarm = swarm_of(worker);
	const struct diff *diff = swarm->context;
	struct pairing pairing = { .worker = worker, .spot = spot, .err = err };
	const bool both = spot->fd[0] >= 0 && spot->fd[1] >= 0, alone = spot->up == NULL && !both;
	int same = both ? same_metadata(spot) : 1, result = same < 0 ? -1 : 0;

	for (int side = 0; result == 0 && side < 2; side++)
		if (spot->fd[side] >= 0)
			result = dents_read(spot->fd[side], &pairing.dents[side]);
	if (result != 0)
		spot_fail(swarm, spot, "cannot compare", "", err);
	if (result == 0 && (same == 0 || alone))
		result = diff_found(&pairing, "", alone ? TREE_ONLY_B : TREE_METADATA);
	if (result == 0 && both)
		result = diff_in_step(&pairing, diff);
	if (result == 0) {
		struct names names[2];

		names_sort(&names[0], &pairing, 0, diff);
		names_sort(&names[1], &pairing, 1, diff);
		result = diff_merge(&pairing, &names[0], &names[1]);
		free(names[0].list);
		free(names[1].list);
	}
	dents_release(&pairing.dents[0]);
	dents_release(&pairing.dents[1]);
	return result;
}

/* File systems whose directory entries have the numbers of the inodes, all of them. */
static bool dents_reliable(int fd)
{
	static const long long known[] = { EXT4_SUPER_MAGIC, XFS_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
					   F2FS_SUPER_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if ((long long)fs.f_type == known[i])
			return true;
	return false;
}

/* Opens both roots; `a` may be NULL. */
static int open_roots(int a_dir, const char *a, int b_dir, const char *b, int fd[2], struct err *err)
{
	fd[0] = a != NULL ? climb_open_root(a_dir, a, err) : -1;
	if (a != NULL && fd[0] < 0)
		return -1;
	fd[1] = climb_open_root(b_dir, b, err);
	if (fd[1] < 0 && fd[0] >= 0)
		close(fd[0]);
	return fd[1] < 0 ? -1 : 0;
}

int tree_diff(int a_dir, const char *a, int b_dir, const char *b, const struct changes *within,
	      tree_found found, void *context, struct err *err)
{
	struct changes dirs = CHANGES_NONE;
	struct diff diff = { .found = found, .context = context, .dirs = within != NULL ? &dirs : NULL };
	struct swarm swarm = { .root = b, .visit = diff_visit, .context = &diff };
	int fd[2];

	if (open_roots(a_dir, a, b_dir, b, fd, err) != 0)
		return -1;
	if (within != NULL)
		changes_directories(within, &dirs);
	diff.by_dents = dents_reliable(fd[1]) && (fd[0] < 0 || dents_reliable(fd[0]));
	pthread_mutex_init(&diff.lock, NULL);
	int result = swarm_run(&swarm, fd[0], fd[1], err);
	pthread_mutex_destroy(&diff.lock);
	changes_release(&dirs);
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 is the base, side 1 the staging tree. First the differences by name and inode (tree_diff), then, for each file
 * that is another inode in both, whether it is the same all the same; then the digests of what is new.
 */
#include "helper/snapshot/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/climb.h"
#include "helper/tree/crew.h"
#include "helper/tree/object.h"
#include "helper/tree/reach.h"
#include "helper/tree/tree.h"

#define DIGESTS_A_JOB 64

struct seal {
	const struct seal_trees *trees;
	struct record *record;
	struct reach reach[2];
	bool several;   /* the base may have files with several names */
	bool share;     /* equal files are to be linked */
	bool entangled; /* that takes a look at all names of the tree */
};

static int seal_fail(const struct seal *seal, const char *what, const char *path, struct err *err)
{
	return err_errno(err, STATUS_FAILED, seal->trees->staging, "cannot %s %s", what,
			 path[0] != '\0' ? path : "it");
}

/* An empty name is the directory itself. */
static int look(int dir, const char *name, struct statx *st)
{
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);

	return statx(dir, name, flags, STATX_BASIC_STATS, st);
}

/* ---- what differs ---- */

static int note_difference(void *context, const char *path, enum tree_difference difference, struct err *err)
{
	static const enum record_op ops[] = {
		[TREE_ONLY_A] = RECORD_REMOVED,
		[TREE_ONLY_B] = RECORD_ADDED,
		[TREE_CHANGED] = RECORD_CHANGED,
		[TREE_METADATA] = RECORD_CHANGED,
	};

	(void)err;
	record_add(context, alloc_copy(path))->op = ops[difference];
	return 0;
}

static int find_differences(struct seal *seal, const struct changes *hint, struct err *err)
{
	const struct seal_trees *trees = seal->trees;

	if (tree_diff(trees->base_dir, trees->base, trees->staging_dir, trees->staging,
		      trees->base != NULL ? hint : NULL, note_difference, seal->record, err) != 0)
		return -1;
	record_sort(seal->record);
	return 0;
}

/* ---- what is the same all the same ---- */

/* A file of both trees. */
struct twins {
	int dir[2];
	const char *name;
	struct statx st[2];
};

static int twins_find(struct seal *seal, const char *path, struct twins *twins)
{
	for (int side = 0; side < 2; side++) {
		twins->dir[side] = reach_parent(&seal->reach[side], path, &twins->name);
		if (twins->dir[side] < 0 || look(twins->dir[side], twins->name, &twins->st[side]) != 0)
			return -1;
	}
	return 0;
}

/* Staging's becomes a link to the base's: 1; 0: it cannot be, and is as before; -1 and errno. */
static int twins_link(const struct seal *seal, const struct twins *twins)
{
	const struct seal_trees *trees = seal->trees;
	const struct object dir = object_of(twins->dir[1]);
	struct statx was;

	if (statx(twins->dir[1], "", AT_EMPTY_PATH, STATX_BASIC_STATS, &was) != 0)
		return -1;
	if (linkat(twins->dir[0], twins->name, trees->staging_dir, trees->spare, 0) != 0)
		return errno == EMLINK || errno == EXDEV || errno == EPERM ? 0 : -1;
	if (renameat(trees->staging_dir, trees->spare, twins->dir[1], twins->name) != 0)
		return -1;
	return object_set_times(&dir, &was) == 0 ? 1 : -1;
}

/*
 * Does the entry go, since its file is shared now? 1, 0, or -1 and errno. Where either side has files with several
 * names, which become one file and which do not is not seen from here.
 */
static int share_entry(struct seal *seal, struct record_entry *entry)
{
	struct twins twins;

	if (twins_find(seal, entry->path, &twins) != 0)
		return -1;
	if (S_ISDIR(twins.st[0].stx_mode) || S_ISDIR(twins.st[1].stx_mode) ||
	    !object_same_stat(&twins.st[0], &twins.st[1]))
		return 0;
	if (seal->share && (seal->several || twins.st[1].stx_nlink > 1)) {
		seal->entangled = true;
		return 0;
	}
	int same = object_same_named(twins.dir[0], twins.dir[1], twins.name, &twins.st[0], &twins.st[1]);
	if (same == 1 && seal->share)
		same = twins_link(seal, &twins);
	else if (same == 1)
		same = 0;
	else
		return same;
	if (same == 0)
		entry->op = RECORD_INODE;
	return same;
}

static int share_equal(struct seal *seal, struct err *err)
{
	struct record *record = seal->record;
	size_t kept = 0;
	int result = 0;

	for (size_t i = 0; i < record->count; i++) {
		struct record_entry *entry = &record->entries[i];
		int shared = 0;

		if (result == 0 && entry->op == RECORD_CHANGED)
			shared = share_entry(seal, entry);
		if (shared < 0)
			result = seal_fail(seal, "share", entry->path, err);
		if (shared == 1)
			free(entry->path);
		else
			record->entries[kept++] = *entry;
	}
	record->count = kept;
	return result;
}

static void record_restart(struct record *record)
{
	const struct record fresh = { .number = record->number, .base = record->base };

	record_release(record);
	*record = fresh;
}

/*
 * Twice where files have several names: tree_share() looks at all of them, and what is left to differ is found anew.
 */
static int find_and_share(struct seal *seal, const struct changes *hint, struct err *err)
{
	const struct seal_trees *trees = seal->trees;

	if (find_differences(seal, hint, err) != 0)
		return -1;
	if (trees->base == NULL)
		return 0;
	seal->share = true;
	if (share_equal(seal, err) != 0 || !seal->entangled)
		return err->status == STATUS_DONE ? 0 : -1;
	if (tree_share(trees->staging_dir, trees->staging, trees->base_dir, trees->base, trees->spare, err) !=
	    0)
		return -1;
	seal->share = false;
	record_restart(seal->record);
	return find_differences(seal, hint, err) != 0 ? -1 : share_equal(seal, err);
}

/* Only names that could not be shared are left: is it one tree, also in which names are one file? */
static int judge_inodes(const struct seal *seal, struct err *err)
{
	const struct seal_trees *trees = seal->trees;

	if (seal->record->count == 0 || !record_empty(seal->record))
		return 0;
	const int same = tree_same(trees->staging_dir, trees->staging, trees->base_dir, trees->base, err);
	for (size_t i = 0; same == 0 && i < seal->record->count; i++)
		seal->record->entries[i].op = RECORD_CHANGED;
	return same < 0 ? -1 : 0;
}

/* ---- what it is now ---- */

struct digesting {
	struct record *record;
	int root;
	pthread_mutex_t lock; /* of what follows */
	struct err err;
	bool several;
};

static int entry_fill(struct reach *reach, struct record_entry *entry, bool *several)
{
	const char *name;
	struct statx st;
	const int dir = reach_parent(reach, entry->path, &name);

	if (dir < 0 || look(dir, name, &st) != 0)
		return -1;
	entry->mode = st.stx_mode;
	entry->uid = st.stx_uid;
	entry->gid = st.stx_gid;
	entry->rdev = (uint64_t)st.stx_rdev_major << 32 | st.stx_rdev_minor;
	entry->mtime = st.stx_mtime.tv_sec;
	entry->mtime_ns = st.stx_mtime.tv_nsec;
	entry->size = S_ISREG(st.stx_mode) || S_ISLNK(st.stx_mode) ? st.stx_size : 0;
	entry->ino = st.stx_ino;
	*several = *several || (!S_ISDIR(st.stx_mode) && st.stx_nlink > 1);
	if (S_ISDIR(st.stx_mode) && name[0] != '\0') {
		const int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		const int result = fd < 0 ? -1 : digest_object(fd, "", &st, &entry->content, &entry->attrs);

		if (fd >= 0)
			close(fd);
		return result;
	}
	return digest_object(dir, name, &st, &entry->content, &entry->attrs);
}

/* Entries [from .. from + DIGESTS_A_JOB). */
static void digest_some(struct digesting *digesting, size_t from)
{
	struct record *record = digesting->record;
	struct reach reach = { .root = digesting->root, .fd = -1 };
	struct err err = ERR_NONE;
	bool several = false;

	for (size_t i = from; err.status == STATUS_DONE && i < record->count && i < from + DIGESTS_A_JOB; i++)
		if (record->entries[i].op != RECORD_REMOVED &&
		    entry_fill(&reach, &record->entries[i], &several) != 0)
			err_errno(&err, STATUS_FAILED, "staging", "cannot read %s", record->entries[i].path);
	reach_release(&reach);
	pthread_mutex_lock(&digesting->lock);
	digesting->several = digesting->several || several;
	if (digesting->err.status == STATUS_DONE)
		digesting->err = err;
	pthread_mutex_unlock(&digesting->lock);
}

/* The job is the number of the first entry, as a pointer into the list; the first one deals out the others. */
static void digest_job(struct worker *worker, void *job)
{
	struct digesting *digesting = crew_context(worker);
	struct record *record = digesting->record;
	const size_t from = (size_t)((struct record_entry *)job - record->entries);

	for (size_t at = DIGESTS_A_JOB; from == 0 && at < record->count; at += DIGESTS_A_JOB)
		crew_add(worker, &record->entries[at]);
	digest_some(digesting, from);
}

/* In a whole record: is there an inode that two names have? */
static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool has_several(const struct record *record)
{
	uint64_t *inos = alloc_grow(NULL, record->count, sizeof(*inos));
	bool several = false;
	size_t count = 0;

	for (size_t i = 0; i < record->count; i++)
		if (record->entries[i].op != RECORD_REMOVED && !S_ISDIR(record->entries[i].mode))
			inos[count++] = record->entries[i].ino;
	if (count > 1)
		qsort(inos, count, sizeof(*inos), by_number);
	for (size_t i = 1; i < count; i++)
		several = several || inos[i] == inos[i - 1];
	free(inos);
	return several;
}

static int fill(struct seal *seal, struct err *err)
{
	struct record *record = seal->record;
	struct digesting digesting = { .record = record, .root = seal->reach[1].root };

	pthread_mutex_init(&digesting.lock, NULL);
	if (record->count != 0)
		crew_run(digest_job, &digesting, record->entries);
	pthread_mutex_destroy(&digesting.lock);
	record->several = record->whole ? has_several(record) : seal->several || digesting.several;
	if (digesting.err.status == STATUS_DONE)
		return 0;
	*err = digesting.err;
	return -1;
}

/* All names of the staging tree, with what is known to differ on top. */
static int make_whole(struct seal *seal, struct err *err)
{
	const struct seal_trees *trees = seal->trees;
	struct record all = RECORD_NONE;

	if (tree_diff(-1, NULL, trees->staging_dir, trees->staging, NULL, note_difference, &all, err) != 0) {
		record_release(&all);
		return -1;
	}
	record_sort(&all);
	record_fold(&all, seal->record);
	record_release(&all);
	seal->record->whole = true;
	return 0;
}

/* ---- */

/* Can this one be built on the base's record? Whether all of that is there is asked only after a boot that it may not have
 * outlived. */
static bool base_known(struct seal *seal, const struct store *store)
{
	struct record base;
	const uint64_t number = seal->record->base;
	bool known = seal->trees->base != NULL && record_head(store, number, &base) == RECORD_GOOD;

	seal->several = !known || base.several;
	if (known && record_unsure(&base)) {
		known = record_read(store, number, &base) == RECORD_GOOD;
		record_release(&base);
	}
	return known;
}

static int seal_opened(struct seal *seal, const struct store *store, const struct changes *hint,
		       struct err *err)
{
	struct record *record = seal->record;
	const bool known = base_known(seal, store);

	if (hint != NULL && hint->unknown)
		hint = NULL;
	if (find_and_share(seal, hint, err) != 0 ||
	    (seal->trees->base != NULL && judge_inodes(seal, err) != 0))
		return -1;
	if (seal->trees->base != NULL && record_empty(record))
		return 0;
	if ((!known && make_whole(seal, err) != 0) || fill(seal, err) != 0)
		return -1;
	record_follow(store, record);
	if (record_root_of(seal->reach[1].root, &record->root) != 0)
		return seal_fail(seal, "look at", "", err);
	return 0;
}

int seal_tree(const struct store *store, const struct seal_trees *trees, uint64_t number,
	      const struct changes *hint, struct record *record, struct err *err)
{
	struct seal seal = { .trees = trees, .record = record, .reach = { REACH_NONE, REACH_NONE } };
	int result = -1;

	record->base = number;
	seal.reach[1].root = climb_open_root(trees->staging_dir, trees->staging, err);
	if (seal.reach[1].root >= 0 && trees->base != NULL)
		seal.reach[0].root = climb_open_root(trees->base_dir, trees->base, err);
	if (seal.reach[1].root >= 0 && (trees->base == NULL || seal.reach[0].root >= 0))
		result = seal_opened(&seal, store, hint, err);
	for (int side = 0; side < 2; side++) {
		reach_release(&seal.reach[side]);
		if (seal.reach[side].root >= 0)
			close(seal.reach[side].root);
	}
	if (result != 0)
		record_release(record);
	return result;
}

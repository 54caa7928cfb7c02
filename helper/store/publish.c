/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/store/meta.h"

#define LATEST_NEW STORE_OURS "/latest.new"

/* How often another writer, who does not know our lock (Portage), may take the number that we chose. */
#define NUMBER_TRIES 10

/*
 * The order of publish(), and what a crash (of ours or of the machine) behind each step leaves. (Steps 1 to 8 are P1 to
 * P8 of tests/model/rcu.pml.)
 *
 *  1 The number is in high-water, on disk. Leaves a number that nobody uses: it is skipped. The number goes
 *    before the name, so that no number is ever given to two trees, not even when the first of them is
 *    reclaimed at once. The staged tree is one that nobody reserved: store_lock() throws it away; or one that
 *    `begin` reserved: commit can be done again (reservation.h).
 *  2 meta/N says when. Leaves a file for a snapshot that is not there: never read, since N is
 *    skipped, and swept away by reclaim(). The other way round there would be a snapshot of unknown age.
 *    record/N is there, too. Leaves the same, or half of a record, which its digest shows. If somebody else takes N now,
 *    the record is seen to be of another tree.
 *  3 All of this and the staged tree is on disk (settle): one flush for everything. Leaves the same. Nothing that is named
 *    later can be empty after a power loss (P20).
 *  4 snapshots/N is there, by one rename that replaces nothing. Leaves a whole snapshot that was never
 *    latest. It must not become latest by itself: who died may have failed and said so, and its successor publishes
 *    newer content. meta_settle() marks it, the next reclaim() takes it, and it does not count as a spare. But what
 *    `begin` reserved exists only once, and is not for gc: the next store_lock() undoes this rename, and the tree is staged
 *    and reserved as before, for commit to do all of it again. Undone rather than ended, so that a commit has one state
 *    before the swap and one behind it, whatever killed it or failed where. Its meta/N says which tree it is
 *    (reservation.h). The tree was whole before the rename: no half snapshot is ever seen under a number (P21).
 *  5 The directory snapshots/ is on disk. Leaves the same as 4. latest, which comes next, can never be on
 *    disk before its target is.
 *  6 pins/N is there. Leaves the same as 4. A reader that finds the new latest finds its pin file.
 *  7 latest.new names N. Leaves a link in .rcu-repo that the next publish removes.
 *  8 latest.new is renamed over latest: published, for every reader at the same moment, and there is no
 *    moment without latest. After a power loss latest is the old or the new one, and both are whole. Leaves
 *    the old one without a retired time: meta_settle() gives it one, later than the true one, never earlier.
 *  9 STORE is on disk: published for good. Leaves the same as 8.
 *  10 The old one's meta says retired. Done.
 *
 * In a store that is not durable 3, 5 and 9 are left out, and 1 nearly always (high_water.c): nothing is flushed. Killed
 * anywhere it leaves the same. After a loss of power, besides what is missing in the tree (rcu-repo(7)), meta/N may be
 * empty (meta.h) and record/N torn, which it tells itself.
 *
 * A failure up to 8 is reported and latest is as before. 7 to 9 are publish_swap(). A failure in 9 is
 * PUBLISH_UNSURE: published, and whether for good nobody can say. A failure in 10 is none: the next
 * store_lock() does it.
 */

static int prepare(struct store *store, const struct staging *staging, struct record *record,
		   const struct meta *meta, uint64_t *number, struct err *err)
{
	if (store_next_number(store, number, err) != 0 || meta_prepare(store, *number, meta, err) != 0 ||
	    (record != NULL && record_write(store, record, *number, err) != 0))
		return -1;
	return store->durable ? store->storage->settle(store, staging, err) : 0;
}

/* Steps 1 to 4, again where somebody took the number meanwhile. */
static int take_number(struct store *store, const struct staging *staging, struct record *record,
		       uint64_t *number, struct err *err)
{
	struct meta meta = { .published = time(NULL) };
	char name[STORE_NAME_ROOM];

	snprintf(meta.staged, sizeof(meta.staged), "%s", staging->id);
	if (store_latest(store, &meta.before, err) != 0)
		return -1;
	for (int try = 1;; try++) {
		struct err failed = ERR_NONE, ignored = ERR_NONE;
		if (prepare(store, staging, record, &meta, number, err) != 0)
			return -1;
		if (store->storage->publish(store, staging, *number, &failed) == 0)
			return 0;
		snapshot_name(*number, name);
		meta_remove(store, *number, &ignored);
		if (try == NUMBER_TRIES || !store_has(store, name)) {
			*err = failed;
			return -1;
		}
	}
}

enum publish_result publish(struct store *store, const struct staging *staging, struct record *record,
			    uint64_t *number, struct err *err)
{
	struct err late = ERR_NONE;

	if (take_number(store, staging, record, number, err) != 0 ||
	    store_sync_dir(store, STORE_SNAPSHOTS, err) != 0 || store_make_pins(store, err) != 0)
		return PUBLISH_FAILED;
	if (store->gate != NULL && store->gate(store, *number, err) != 0)
		return PUBLISH_FAILED;
	const enum publish_result result = publish_swap(store, *number, err);
	if (result != PUBLISH_FAILED)
		meta_settle(store, &late);
	return result;
}

/* Step 7: latest.new, and who has it in the end owns it. */
static int make_link(const struct store *store, const char *target)
{
	if (unlinkat(store->dir, LATEST_NEW, 0) != 0 && errno != ENOENT)
		return -1;
	if (symlinkat(target, store->dir, LATEST_NEW) != 0)
		return -1;
	if (geteuid() != 0 || store->uid == 0)
		return 0;
	return fchownat(store->dir, LATEST_NEW, store->uid, store->gid, AT_SYMLINK_NOFOLLOW);
}

enum publish_result publish_swap(struct store *store, uint64_t number, struct err *err)
{
	char target[STORE_NAME_ROOM];
	struct stat st;

	snapshot_name(number, target);
	if (fstatat(store->dir, target, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, STATUS_FAILED, store->path, "%s", target);
	if (!S_ISDIR(st.st_mode))
		return err_fail(err, STATUS_FAILED, store->path, "%s is no snapshot", target);
	if (make_link(store, target) != 0)
		return err_errno(err, STATUS_FAILED, store->path, LATEST_NEW);
	if (renameat(store->dir, LATEST_NEW, store->dir, STORE_LATEST) != 0)
		return err_errno(err, STATUS_FAILED, store->path, STORE_LATEST);
	return store_sync_dir(store, ".", err) == 0 ? PUBLISH_DONE : PUBLISH_UNSURE;
}

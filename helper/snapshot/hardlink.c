/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots as ordinary directories, whose equal files are one inode. Works on every file system with hard
 * links.
 */
#include "helper/snapshot/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/identity.h"
#include "helper/snapshot/seal.h"
#include "helper/store/meta.h"
#include "helper/store/occupants.h"
#include "helper/tree/climb.h"
#include "helper/tree/tree.h"

/* A name in staging/ for the link that seal_tree() is making; no ID ends like this. */
#define SPARE_SUFFIX ".link"

/*
 * An ID is never used twice: seconds, pid and 64 random bits. A clock that was set back and a pid that came
 * round again (or is one of another pid namespace) leave the random bits, which then would have to be the same
 * as those of the one tree made by that pid in that second. The time comes first so that a list of what was left
 * over is sorted by age.
 */
static char *new_id(void)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		random = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
	}
	return alloc_printf("%" PRIx64 ".%d.%016" PRIx64, (uint64_t)time(NULL), (int)getpid(), random);
}

/* Names one entry of staging/: nothing that leads out of it. */
static bool id_good(const char *id)
{
	return id[0] != '\0' && id[0] != '.' &&
	       id[strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz.-_")] == '\0';
}

/* A directory of the store, by its name's parts, none of which may be a link. */
static int open_below(const struct store *store, const char *name, struct err *err)
{
	int dir = fcntl(store->dir, F_DUPFD_CLOEXEC, 0);
	const char *rest = name;

	while (dir >= 0 && *rest != '\0') {
		const size_t length = strcspn(rest, "/");
		char *part = alloc_printf("%.*s", (int)length, rest);
		int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		free(part);
		close(dir);
		dir = next;
		rest += length + (rest[length] == '/');
	}
	if (dir < 0)
		err_errno(err, STATUS_FAILED, store->path, "cannot open %s", name);
	return dir;
}

/*
 * from/old becomes to/fresh in one step, or nothing happens. A directory changes its parent, and so "..", only
 * for one who may write to it: ours may lack that. 1: it is not there.
 */
static int move(int from, const char *old, int to, const char *fresh)
{
	struct stat st;

	for (bool again = true;; again = false) {
		if (renameat2(from, old, to, fresh, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno == ENOENT)
			return 1;
		if (errno != EACCES || !again)
			return -1;
		if (fstatat(from, old, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode) ||
		    fchmodat(from, old, (st.st_mode & 07777) | 0700, 0) != 0) {
			errno = EACCES;
			return -1;
		}
	}
}

/* dir/name goes to trash under a name of its own. 1: it is not there. */
static int to_trash(const struct store *store, const char *dir, const char *name, struct err *err)
{
	int from = open_below(store, dir, err);
	int trash = from >= 0 ? open_below(store, STORE_TRASH, err) : -1;
	int result = -1;

	if (trash >= 0) {
		char *id = new_id();

		result = move(from, name, trash, id);
		if (result < 0)
			err_errno(err, STATUS_FAILED, store->path, "cannot move %s/%s to trash", dir, name);
		free(id);
		close(trash);
	}
	if (from >= 0)
		close(from);
	return result;
}

static void staging_set(const struct store *store, struct staging *staging, char *id)
{
	staging->id = id;
	staging->path = alloc_printf("%s/%s/%s", store->path, STORE_STAGING, id);
}

/* An empty directory that everybody may read, whatever the umask. */
static int stage_empty(int dir, const char *id)
{
	if (mkdirat(dir, id, 0700) != 0)
		return -1;
	int fd = openat(dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = fd >= 0 ? fchmod(fd, 0755) : -1;
	if (fd >= 0)
		close(fd);
	return result;
}

static int stage_latest(struct store *store, enum stage_kind kind, int dir, const char *id, uint64_t number,
			struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	int snapshots = open_below(store, STORE_SNAPSHOTS, err);

	if (snapshots < 0)
		return -1;
	snapshot_number_format(number, name);
	int result = kind == STAGE_BRANCH ? tree_clone(snapshots, name, dir, id, err)
					  : tree_copy(snapshots, name, dir, id, err);
	close(snapshots);
	return result;
}

/* ---- the spare ----
 *
 * spare/N@BOOT is a whole tree that is as snapshot N and shares its files, put there under the boot BOOT, by one rename.
 * Nothing is ever changed in it under that name. So whatever kills us leaves it good, or it is in staging/, where it is
 * swept away. Under another boot it is good, too, unless the machine lost power: then all of it is compared.
 *
 * It was a snapshot that no reader had pinned, or a staged tree. Who is still in it without a pin (the ttl is over for
 * him) would see the new version come: he is looked for behind the rename, since nobody but root can enter a directory
 * of mode 0700 by its name, and then the tree goes to trash, as without all this.
 *
 * spare/N@BOOT@clear is one in which that look found nobody: no snapshot's reader can be in it any more, for it has had no
 * name under snapshots/ since, and who had nothing in it then can get in only as root and by this very name. It need not
 * be looked for again. It was brought forward before it got this name (ready_spare), by way of staging/.
 */

#define SPARE_BOOT "@"
#define SPARE_CLEAR "@clear"

static char *spare_name(uint64_t number, bool clear)
{
	char boot[BOOT_ID_ROOM];

	identity_boot(boot);
	return alloc_printf("%" PRIu64 SPARE_BOOT "%s%s", number, boot, clear ? SPARE_CLEAR : "");
}

/* The first name in spare/; NULL: there is none. The caller frees it. */
static char *spare_find(const struct store *store)
{
	DIR *list = directory_open(store->dir, STORE_SPARE);
	const struct dirent *entry = list != NULL ? directory_next(list) : NULL;
	char *name = entry != NULL ? alloc_copy(entry->d_name) : NULL;

	if (list != NULL)
		closedir(list);
	return name;
}

/* Is there a snapshot that we did not publish? Then Portage works here, and what we take it may be deleting. */
static bool is_shared_store(const struct store *store)
{
	struct err ignored = ERR_NONE;
	struct numbers numbers;
	struct meta meta;
	bool shared = false;

	if (store_numbers(store, &numbers, NULL, NULL, &ignored) != 0)
		return true;
	for (size_t i = 0; i < numbers.count; i++)
		shared = shared || meta_read(store, numbers.list[i], &meta, &ignored) != 0 ||
			 meta.published == 0;
	numbers_release(&numbers);
	return shared;
}

/* dir/name becomes the spare. 1: there is one. */
static int spare_put(const struct store *store, const char *dir, const char *name, uint64_t number,
		     bool clear, struct err *err)
{
	char *there = spare_find(store);

	free(there);
	if (there != NULL)
		return 1;
	int from = open_below(store, dir, err);
	int spares = from >= 0 ? open_below(store, STORE_SPARE, err) : -1;
	int result = -1;
	if (spares >= 0) {
		char *spare = spare_name(number, clear);

		result = move(from, name, spares, spare);
		if (result != 0)
			result = err_errno(err, STATUS_FAILED, store->path, "cannot keep %s/%s as the spare",
					   dir, name);
		free(spare);
		close(spares);
	}
	if (from >= 0)
		close(from);
	return result;
}

static int hardlink_recycle(struct store *store, uint64_t number, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];

	if (is_shared_store(store))
		return 1;
	snapshot_number_format(number, name);
	return spare_put(store, STORE_SNAPSHOTS, name, number, false, err);
}

static int hardlink_put_back(struct store *store, const struct staging *staging, uint64_t number,
			     struct err *err)
{
	int result = spare_put(store, STORE_STAGING, staging->id, number, false, err);

	return result == 1 ? to_trash(store, STORE_STAGING, staging->id, err) < 0 ? -1 : 0 : result;
}

static int hardlink_drop_spare(struct store *store, struct err *err)
{
	int result = 0;
	char *name;

	while (result == 0 && (name = spare_find(store)) != NULL) {
		result = to_trash(store, STORE_SPARE, name, err);
		free(name);
	}
	return result < 0 ? -1 : 0;
}

static int hardlink_look_spare(const struct store *store, uint64_t *number, struct measure *measure,
			       struct err *err)
{
	char *name = spare_find(store);
	int result = 1;

	if (name == NULL)
		return 0;
	if (!snapshot_number_parse(name, strcspn(name, SPARE_BOOT), number))
		*number = 0;
	int dir = measure != NULL ? open_below(store, STORE_SPARE, err) : -1;
	if (measure != NULL &&
	    (dir < 0 || tree_measure(dir, name, &measure->files, &measure->bytes, &measure->own, err) != 0))
		result = -1;
	if (dir >= 0)
		close(dir);
	free(name);
	return result;
}

/* Of which snapshot it is, if it was put there under this boot: then *clear, too, can be relied on. */
static bool spare_parse(const char *name, uint64_t *number, bool *clear)
{
	if (!snapshot_number_parse(name, strcspn(name, SPARE_BOOT), number))
		return false;
	char *occupied = spare_name(*number, false), *empty = spare_name(*number, true);
	*clear = strcmp(name, empty) == 0;
	const bool ours = *clear || strcmp(name, occupied) == 0;
	free(occupied);
	free(empty);
	return ours;
}

/* staging/ID, which was the spare, becomes as snapshots/N. */
static int spare_forward(const struct store *store, int dir, const char *id, uint64_t number,
			 const struct changes *changes, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	int snapshots = open_below(store, STORE_SNAPSHOTS, err);

	if (snapshots < 0)
		return -1;
	snapshot_number_format(number, name);
	int result = tree_forward(dir, id, snapshots, name, changes->unknown ? NULL : changes, err);
	close(snapshots);
	return result;
}

/* The spare becomes staging/ID, as snapshot `number`: 0. 1: it does not, and is gone. `looked`: nobody is in it. */
static int spare_take(struct store *store, int dir, const char *id, uint64_t number, bool looked)
{
	struct changes changes = CHANGES_NONE;
	struct err ignored = ERR_NONE;
	char *name = spare_find(store);
	bool clear = false;
	uint64_t from;

	if (name == NULL)
		return 1;
	const bool ours = spare_parse(name, &from, &clear);
	char *old = alloc_printf(STORE_SPARE "/%s", name), *path = alloc_printf("%s/%s", store->path, old);
	int result = !is_shared_store(store) && (looked || clear || occupants_none(path)) ? 0 : -1;
	if (result == 0) {
		if (ours)
			record_changes(store, from, number, &changes);
		else
			changes_set_unknown(&changes);
		changes_sort(&changes);
		result = renameat2(store->dir, old, dir, id, RENAME_NOREPLACE);
	}
	if (result != 0)
		to_trash(store, STORE_SPARE, name, &ignored);
	else if (spare_forward(store, dir, id, number, &changes, &ignored) != 0)
		result = to_trash(store, STORE_STAGING, id, &ignored) < 0 ? -1 : 1;
	changes_release(&changes);
	free(path);
	free(old);
	free(name);
	return result == 0 ? 0 : 1;
}

static int hardlink_ready_spare(struct store *store, struct err *err)
{
	uint64_t from, latest;
	bool clear;
	char *name = spare_find(store);
	const bool wanted = name != NULL && !(spare_parse(name, &from, &clear) && clear);
	char *path = wanted ? alloc_printf("%s/" STORE_SPARE "/%s", store->path, name) : NULL;
	const bool free_of_all = wanted && occupants_none(path);

	free(name);
	free(path);
	if (!free_of_all)
		return 0;
	if (store_latest(store, &latest, err) != 0)
		return -1;
	int dir = open_below(store, STORE_STAGING, err), result = dir < 0 ? -1 : 0;
	char *id = new_id();
	if (dir >= 0 && latest != 0 && spare_take(store, dir, id, latest, true) == 0)
		result = spare_put(store, STORE_STAGING, id, latest, true, err);
	if (dir >= 0)
		close(dir);
	free(id);
	return result;
}

/* ---- staging ---- */

#define LOOK_SECONDS (24 * 60 * 60)

/* What is known of snapshot `number`, from which the tree was made. */
static void staging_learn(const struct store *store, uint64_t number, struct staging *staging)
{
	const int64_t now = time(NULL);
	struct record record;

	staging->looked = 0;
	staging->plain = false;
	if (number == 0 || record_head(store, number, &record) != RECORD_GOOD)
		return;
	staging->looked = record.looked;
	/* A time in the future is none: the clock was set back. */
	staging->plain = !record.several && !record.attrs && !record_unsure(&record) &&
			 record.looked <= now && now - record.looked < LOOK_SECONDS;
}

/* What latest names; 0 where somebody has deleted that: there is nothing to begin with, then. */
static int latest_present(const struct store *store, uint64_t *number, struct err *err)
{
	char name[STORE_NAME_ROOM];

	if (store_latest(store, number, err) != 0)
		return -1;
	snapshot_name(*number, name);
	if (*number != 0 && !store_has(store, name))
		*number = 0;
	return 0;
}

static int stage_into(struct store *store, enum stage_kind kind, int dir, const char *id, uint64_t number,
		      struct err *err)
{
	int result;

	if (kind == STAGE_BRANCH && number != 0 && spare_take(store, dir, id, number, false) == 0)
		return 0;
	if (number != 0)
		result = stage_latest(store, kind, dir, id, number, err);
	else if ((result = stage_empty(dir, id)) != 0)
		err_errno(err, STATUS_FAILED, store->path, "cannot make " STORE_STAGING "/%s", id);
	if (result != 0) {
		/* Half a copy on a full disk would be what is in the way of everything else. The error is the first
		 * one; if this fails, too, the next lock sweeps it away. */
		struct err ignored = ERR_NONE;

		tree_delete(dir, id, &ignored);
	}
	return result;
}

static int hardlink_stage(struct store *store, enum stage_kind kind, struct staging *staging, struct err *err)
{
	uint64_t number = 0;

	if (kind != STAGE_EMPTY && latest_present(store, &number, err) != 0)
		return -1;
	int dir = open_below(store, STORE_STAGING, err);
	char *id = new_id();

	if (dir < 0 || stage_into(store, kind, dir, id, number, err) != 0) {
		if (dir >= 0)
			close(dir);
		free(id);
		return -1;
	}
	close(dir);
	staging_set(store, staging, id);
	staging_learn(store, number, staging);
	return 0;
}

static int hardlink_find(struct store *store, const char *id, struct staging *staging, struct err *err)
{
	int dir = open_below(store, STORE_STAGING, err);
	struct stat st;

	if (dir < 0)
		return -1;
	int missing = !id_good(id) || fstatat(dir, id, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode);
	close(dir);
	if (missing)
		return err_fail(err, STATUS_FAILED, store->path, "there is no staging tree %s", id);
	staging_set(store, staging, alloc_copy(id));
	return 0;
}

/* staging/ and snapshots/, for what works on both. */
struct sides {
	int staging, snapshots;
};

static int sides_open(const struct store *store, struct sides *sides, struct err *err)
{
	sides->staging = open_below(store, STORE_STAGING, err);
	if (sides->staging < 0)
		return -1;
	sides->snapshots = open_below(store, STORE_SNAPSHOTS, err);
	if (sides->snapshots >= 0)
		return 0;
	close(sides->staging);
	return -1;
}

static void sides_close(const struct sides *sides)
{
	close(sides->staging);
	close(sides->snapshots);
}

static int hardlink_same(struct store *store, const struct staging *staging, uint64_t number, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	struct sides sides;

	if (sides_open(store, &sides, err) != 0)
		return -1;
	snapshot_number_format(number, name);
	int result = tree_same(sides.staging, staging->id, sides.snapshots, name, err);
	sides_close(&sides);
	return result;
}

static int hardlink_seal(struct store *store, const struct staging *staging, uint64_t base,
			 const struct changes *hint, struct record *record, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	struct sides sides;

	if (sides_open(store, &sides, err) != 0)
		return -1;
	snapshot_number_format(base, name);
	char *spare = alloc_printf("%s" SPARE_SUFFIX, staging->id);
	const struct seal_trees trees = { .staging_dir = sides.staging,
					  .staging = staging->id,
					  .base_dir = sides.snapshots,
					  .base = base != 0 ? name : NULL,
					  .spare = spare };
	int result = seal_tree(store, &trees, base, hint, record, err);
	record->looked = staging->looked;
	free(spare);
	sides_close(&sides);
	return result;
}

static int hardlink_settle(struct store *store, const struct staging *staging, struct err *err)
{
	int result = 0;

	if (!store->durable)
		return 0;
	int dir = open_below(store, STORE_STAGING, err);
	if (dir < 0)
		return -1;
	/* Of all ways to have a tree on disk the only one that misses nothing, and the fastest for many files. */
	if (syncfs(dir) != 0)
		result = err_errno(err, STATUS_FAILED, staging->path, "cannot write it to disk");
	close(dir);
	return result;
}

static int hardlink_publish(struct store *store, const struct staging *staging, uint64_t number,
			    struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	struct sides sides;

	if (sides_open(store, &sides, err) != 0)
		return -1;
	snapshot_number_format(number, name);
	int result = renameat2(sides.staging, staging->id, sides.snapshots, name, RENAME_NOREPLACE);
	if (result != 0)
		err_errno(err, STATUS_FAILED, staging->path, "cannot become " STORE_SNAPSHOTS "/%s", name);
	sides_close(&sides);
	return result;
}

static int hardlink_withdraw(struct store *store, uint64_t number, const char *id, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	struct sides sides;

	if (sides_open(store, &sides, err) != 0)
		return -1;
	snapshot_number_format(number, name);
	int result = move(sides.snapshots, name, sides.staging, id);
	if (result != 0)
		result = err_errno(err, STATUS_FAILED, store->path,
				   "cannot move " STORE_SNAPSHOTS "/%s back to " STORE_STAGING, name);
	sides_close(&sides);
	return result;
}

static int hardlink_discard(struct store *store, const struct staging *staging, struct err *err)
{
	return to_trash(store, STORE_STAGING, staging->id, err) < 0 ? -1 : 0;
}

static int hardlink_reclaim(struct store *store, uint64_t number, struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];

	snapshot_number_format(number, name);
	int result = to_trash(store, STORE_SNAPSHOTS, name, err);
	if (result == 1)
		return err_fail(err, STATUS_FAILED, store->path, "there is no snapshot %s", name);
	return result;
}

static int hardlink_empty_trash(struct store *store, const struct timespec *until, struct err *err)
{
	struct listing listing;
	int result = 0;
	int trash = open_below(store, STORE_TRASH, err);

	if (trash < 0)
		return -1;
	if (listing_read(trash, &listing) != 0)
		result = err_errno(err, STATUS_FAILED, store->path, "cannot read " STORE_TRASH);
	for (size_t i = 0; i < listing.count && result != 1; i++) {
		const int one = tree_delete_until(trash, listing.names[i], until, err);

		if (one != 0)
			result = one;
	}
	listing_release(&listing);
	close(trash);
	return result;
}

static int hardlink_measure(const struct store *store, uint64_t number, struct measure *measure,
			    struct err *err)
{
	char name[SNAPSHOT_NUMBER_ROOM];
	int snapshots = open_below(store, STORE_SNAPSHOTS, err);

	if (snapshots < 0)
		return -1;
	snapshot_number_format(number, name);
	int result = tree_measure(snapshots, name, &measure->files, &measure->bytes, &measure->own, err);
	close(snapshots);
	return result;
}

const struct storage storage_hardlink = {
	.name = "hardlink",
	.stage = hardlink_stage,
	.find = hardlink_find,
	.same = hardlink_same,
	.seal = hardlink_seal,
	.settle = hardlink_settle,
	.publish = hardlink_publish,
	.withdraw = hardlink_withdraw,
	.discard = hardlink_discard,
	.reclaim = hardlink_reclaim,
	.recycle = hardlink_recycle,
	.put_back = hardlink_put_back,
	.ready_spare = hardlink_ready_spare,
	.look_spare = hardlink_look_spare,
	.drop_spare = hardlink_drop_spare,
	.empty_trash = hardlink_empty_trash,
	.measure = hardlink_measure,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/reclaim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/store/meta.h"
#include "helper/store/readers.h"

#define DAY_SECONDS (24 * 60 * 60)
#define DEAD_NAME_ROOM (STORE_NAME_ROOM + sizeof(PIN_DEAD))

/* ---- the pin of one snapshot ----
 *
 * seize() makes sure that nobody holds the pin of N and that nobody can take it any more; then the snapshot
 * may be moved; then bury() or give_back(). The reader's half is core/hold.c: open pins/N (O_NONBLOCK), then
 * require that the name pins/N still has the opened inode, and that snapshots/N is there.
 *
 * Argument, against a reader at every point:
 *  - It opened before the lease: the lease is refused (the kernel counts open descriptions of the inode,
 *    mappings included). PINNED.
 *  - It opens while the lease is held: the kernel tells it EWOULDBLOCK; it retries, and begins with latest.
 *    It has also begun to break our lease: if that came before the look (F_GETLEASE) we rename back; if it
 *    came after, it does not matter, since that reader has nothing.
 *  - It looks the name up behind the rename: there is no pins/N, so it has nothing.
 *  - The lease was broken by force, because we were stopped for lease-break-time (45 s) somewhere in here,
 *    and it opened the inode that it had looked up before. Before the rename: it has a good pin, and the
 *    look says that the lease is gone: renamed back, PINNED. (Where it checked the name between the two
 *    renames, it retries.) Behind the rename: its check finds no pins/N and it retries, however long we are
 *    stopped before the snapshot moves.
 * So after the look no reader can come to hold N, and none does. The lease is kept until the snapshot is
 * moved, though from the look on the missing name is what protects us.
 *
 * On overlayfs (the root of most containers) that first point does not hold: a mapping there keeps the file of the
 * layer below open, not the overlay's own, and the lease counts only the latter. So there the lease sees who has a
 * descriptor, over an exec or before the mapping is made, and for the mappings all processes are looked at:
 * before the lease, since a reader that execs must find the name pins/N, and again behind the look, when no new
 * reader can come. Processes in another pid namespace are not seen, which rcu-repo(7) says.
 *
 * If we die, the kernel drops the lease, and what is left is
 *  - before the rename: nothing.
 *  - behind it: pins/N.dead and the snapshot. Nobody holds it. reclaim_recover() renames it back.
 *  - behind the snapshot's move: pins/N.dead alone. reclaim_recover() unlinks it.
 *  - behind the unlink: a file in meta/ for a number that is never used again. sweep() unlinks it.
 * None of this has to be on disk: after a power loss nobody holds a pin, and any mixture of the old and the
 * new names is one of these cases, or a missing pin file, which store_make_pins() makes.
 *
 * tests/model/rcu.pml has all this as a model, whose every state spin looks at. Its steps: C1 the open and C2 the
 * lease (lease_take), C3 the rename and C4 the look (seize), C5 latest again and C6 the move (take), C7 the unlink and
 * C8 the end of the lease (bury; or give_back); L1 is reclaim_recover(). What is moved to be used again, rather than to
 * trash, is moved at C6, too; so is what goes back to be published once more (reclaim_unpublished(), L2). What changes here
 * changes there.
 */

static void dead_name(uint64_t number, char *to)
{
	memcpy(to + pin_name(number, to), PIN_DEAD, sizeof(PIN_DEAD));
}

/*
 * A reader that opens a leased file makes the kernel send SIGIO to the lease's holder, which would end us. It
 * is ignored as long as there is a lease: no owner or other signal is set (F_SETOWN, F_SETSIG), since
 * F_SETLEASE itself makes us the owner and a real-time signal would queue. One that is pending because SIGIO
 * is blocked is dropped by ignoring it once more before the old handling comes back (sigaction(2): POSIX says
 * that it is discarded).
 */
static void sigio_ignore(struct sigaction *old)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGIO, &ignore, old);
}

static void sigio_restore(const struct sigaction *old)
{
	struct sigaction ignored;

	sigio_ignore(&ignored);
	sigaction(SIGIO, old, NULL);
}

/* Where a lease does not see mappings: has a process one of the pin? Anything but a clear no sets *why. */
static bool is_mapped(int pin, uint64_t number, enum reclaim_why *why)
{
	struct err ignored = ERR_NONE;
	struct statfs fs;
	struct stat st;

	if (fstatfs(pin, &fs) != 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return false;
	int any = fstat(pin, &st) == 0 ? readers_any(number, &st, &ignored) : -1;
	if (any != 0)
		*why = any > 0 ? RECLAIM_PINNED : RECLAIM_UNKNOWN;
	return any != 0;
}

/* Opens the pin file and takes the lease. A descriptor, or -1 and *why. */
static int lease_take(const struct store *store, uint64_t number, enum reclaim_why *why)
{
	char name[STORE_NAME_ROOM];

	pin_name(number, name);
	*why = RECLAIM_UNKNOWN;
	int fd = openat(store->dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == EWOULDBLOCK)
			*why = RECLAIM_PINNED; /* somebody else is asking: not free for the moment */
		return -1;
	}
	if (is_mapped(fd, number, why)) {
		close(fd);
		return -1;
	}
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
		return fd;
	/* EACCES: the file is not ours; EINVAL: no leases here. Then nobody can say, and it stays. */
	if (errno == EAGAIN || errno == EBUSY)
		*why = RECLAIM_PINNED;
	close(fd);
	return -1;
}

static void lease_give_back(int fd)
{
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
}

/* pins/N.dead becomes pins/N again. It cannot be there: pin files are made under the lock, which we have. */
static int pin_restore(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM], dead[DEAD_NAME_ROOM];

	pin_name(number, name);
	dead_name(number, dead);
	if (renameat2(store->dir, dead, store->dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	/* Somebody made one by hand, which rcu-repo never does: readers take that one from now on. */
	return errno == EEXIST ? unlinkat(store->dir, dead, 0) : -1;
}

/* See above. A descriptor with the lease, or -1 and *why. */
static int seize(const struct store *store, uint64_t number, enum reclaim_why *why)
{
	char name[STORE_NAME_ROOM], dead[DEAD_NAME_ROOM];
	int fd = lease_take(store, number, why);

	if (fd < 0)
		return -1;
	pin_name(number, name);
	dead_name(number, dead);
	int has;
	if (renameat(store->dir, name, store->dir, dead) != 0) {
		*why = RECLAIM_UNKNOWN;
	} else if ((has = fcntl(fd, F_GETLEASE)) != F_WRLCK) {
		*why = has < 0 ? RECLAIM_UNKNOWN : RECLAIM_PINNED;
		pin_restore(store, number);
	} else if (is_mapped(fd, number, why)) {
		pin_restore(store, number);
	} else {
		return fd;
	}
	lease_give_back(fd);
	return -1;
}

/* --force: whoever holds the pin goes on holding a file that means nothing. -1 and errno. */
static int seize_by_force(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM], dead[DEAD_NAME_ROOM];

	pin_name(number, name);
	dead_name(number, dead);
	return renameat(store->dir, name, store->dir, dead);
}

static void give_back(const struct store *store, uint64_t number, int fd)
{
	pin_restore(store, number);
	if (fd >= 0)
		lease_give_back(fd);
}

static int bury(const struct store *store, uint64_t number, int fd)
{
	char dead[DEAD_NAME_ROOM];

	dead_name(number, dead);
	int result = unlinkat(store->dir, dead, 0);
	if (fd >= 0)
		lease_give_back(fd);
	return result;
}

int reclaim_pinned(struct store *store, uint64_t number, struct err *err)
{
	struct sigaction old;
	enum reclaim_why why;

	sigio_ignore(&old);
	int fd = lease_take(store, number, &why);
	if (fd >= 0)
		lease_give_back(fd);
	sigio_restore(&old);
	if (fd >= 0)
		return 0;
	if (why == RECLAIM_PINNED)
		return 1;
	return err_fail(err, STATUS_FAILED, store->path, "the pin of snapshot %ju cannot be asked about",
			(uintmax_t)number);
}

/* ---- one snapshot goes ---- */

/* Portage, which does not know our lock, may have swapped latest since we looked. */
static bool is_latest(const struct store *store, uint64_t number, struct err *err)
{
	uint64_t latest;

	return store_latest(store, &latest, err) != 0 || latest == number;
}

/* Where it goes: to trash, unless something else is said. */
struct where {
	bool recycle;        /* to be the spare, if it can be */
	const char *staging; /* to staging, by this name */
};

static int move_away(struct store *store, uint64_t number, const struct where *where, struct err *err)
{
	if (where->staging != NULL)
		return store->storage->withdraw(store, number, where->staging, err);
	const int gone = where->recycle ? store->storage->recycle(store, number, err) : 1;
	return gone == 1 ? store->storage->reclaim(store, number, err) : gone;
}

/* What becomes of it; the lease protocol in full. -1 where the storage failed: it stays, and is good. */
static int take(struct store *store, uint64_t number, bool force, const struct where *where,
		enum reclaim_why *why, struct err *err)
{
	int fd = force ? -1 : seize(store, number, why);

	if (fd < 0 && !force)
		return 0;
	if (force && seize_by_force(store, number) != 0) {
		*why = RECLAIM_UNKNOWN;
		return err_errno(err, STATUS_FAILED, store->path, "the pin of snapshot %ju",
				 (uintmax_t)number);
	}
	if (is_latest(store, number, err)) {
		give_back(store, number, fd);
		*why = RECLAIM_LATEST;
		return err->status == STATUS_DONE ? 0 : -1;
	}
	if (move_away(store, number, where, err) != 0) {
		give_back(store, number, fd);
		*why = RECLAIM_UNKNOWN;
		return -1;
	}
	*why = RECLAIM_GONE;
	if (bury(store, number, fd) != 0)
		return err_errno(err, STATUS_FAILED, store->path, "the pin of snapshot %ju",
				 (uintmax_t)number);
	return meta_remove(store, number, err);
}

int reclaim_unpublished(struct store *store, uint64_t number, const char *id, struct err *err)
{
	const struct where where = { .staging = id };
	struct sigaction old;
	enum reclaim_why why;

	sigio_ignore(&old);
	int result = take(store, number, false, &where, &why, err);
	sigio_restore(&old);
	if (result == 0 && why == RECLAIM_UNKNOWN) {
		struct err ignored = ERR_NONE;

		/* Where leases are granted and nobody has it, what failed was something else, and may not the next time. */
		if (reclaim_pinned(store, number, &ignored) == 0)
			result = err_fail(err, STATUS_FAILED, store->path,
					  "snapshot %ju cannot be taken back", (uintmax_t)number);
	}
	return result != 0 ? -1 : why != RECLAIM_GONE;
}

/* ---- all, live, difference ---- */

struct candidate {
	uint64_t number;
	struct meta meta;
	bool unpublished;     /* it was never the latest */
	enum reclaim_why why; /* GONE: in the difference */
};

struct candidates {
	struct candidate *list;
	size_t count;
};

/* First step: all that there are, and what is known of them. */
static void all_find(struct store *store, struct candidates *all, struct err *err)
{
	struct numbers numbers;

	*all = (struct candidates){ NULL, 0 };
	if (store_numbers(store, &numbers, NULL, NULL, err) != 0)
		return;
	all->count = numbers.count;
	all->list = alloc_grow(NULL, numbers.count, sizeof(*all->list));
	for (size_t i = 0; i < numbers.count; i++) {
		struct candidate *this = &all->list[i];
		*this = (struct candidate){ .number = numbers.list[i], .why = RECLAIM_GONE };
		/* It may be a kept one: it stays, and the others do not stay with it. */
		if (meta_read(store, this->number, &this->meta, err) != 0)
			this->why = RECLAIM_DAMAGED;
	}
	numbers_release(&numbers);
}

static bool is_forced(const struct candidate *candidate, const struct reclaim_rules *rules)
{
	return rules->force != 0 && candidate->number == rules->force;
}

/* The most recently retired of those that are not spoken for. */
static struct candidate *newest_retired(const struct candidates *all, const struct reclaim_rules *rules)
{
	struct candidate *best = NULL;

	for (size_t i = 0; i < all->count; i++) {
		struct candidate *this = &all->list[i];
		if (this->why != RECLAIM_GONE || this->unpublished || is_forced(this, rules))
			continue;
		if (best == NULL || this->meta.retired >= best->meta.retired)
			best = this; /* the list ascends: of two with one time the higher number */
	}
	return best;
}

/* Also in a dry run, which settles nothing. */
static void unpublished_mark(const struct candidates *all, uint64_t latest)
{
	struct meta_latest of = { .number = latest };

	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].number == latest && all->list[i].why != RECLAIM_DAMAGED) {
			of.meta = all->list[i].meta;
			of.known = true;
		}
	for (size_t i = 0; i < all->count; i++)
		all->list[i].unpublished = meta_unpublished(&all->list[i].meta, &of);
}

/*
 * Second step: the live set. What latest names is in it whatever else is said (P4); then the kept; then as
 * many spares; then the young. A time in the future (the clock went back) is young. Pinned ones are found
 * last, by take().
 */
static void live_mark(const struct candidates *all, const struct reclaim_rules *rules, uint64_t latest)
{
	const int64_t now = time(NULL), ttl = (int64_t)rules->ttl_days * DAY_SECONDS;
	struct candidate *spare;

	unpublished_mark(all, latest);
	for (size_t i = 0; i < all->count; i++) {
		struct candidate *this = &all->list[i];
		/* It could not be written down, or this is a dry run. */
		if (this->meta.retired == 0)
			this->meta.retired = now;
		if (this->number == latest)
			this->why = RECLAIM_LATEST;
		else if (this->why == RECLAIM_GONE && this->meta.kept)
			this->why = RECLAIM_KEPT;
	}
	for (unsigned i = 0; i < rules->spares && (spare = newest_retired(all, rules)) != NULL; i++)
		spare->why = RECLAIM_SPARE;
	for (size_t i = 0; i < all->count; i++) {
		struct candidate *this = &all->list[i];
		if (this->why == RECLAIM_GONE && !this->unpublished && !is_forced(this, rules) && ttl > 0 &&
		    now - this->meta.retired < ttl)
			this->why = RECLAIM_YOUNG;
	}
}

/* A dry run asks, and changes nothing. A pin file that is still to be made is held by nobody. */
static void ask(struct store *store, struct candidate *candidate, bool force)
{
	struct err ignored = ERR_NONE;
	char name[STORE_NAME_ROOM];

	pin_name(candidate->number, name);
	if (force || !store_has(store, name))
		return;
	int pinned = reclaim_pinned(store, candidate->number, &ignored);
	if (pinned != 0)
		candidate->why = pinned > 0 ? RECLAIM_PINNED : RECLAIM_UNKNOWN;
}

/* Third step: the difference goes. One that cannot be taken does not stop the others. */
static void difference_take(struct store *store, struct candidates *all, const struct reclaim_rules *rules,
			    struct err *err)
{
	struct sigaction old;

	sigio_ignore(&old);
	for (size_t i = 0; i < all->count; i++) {
		struct err failed = ERR_NONE;
		struct candidate *this = &all->list[i];
		if (this->why != RECLAIM_GONE)
			continue;
		const bool forced = is_forced(this, rules);
		const struct where where = { .recycle = rules->recycle && !forced };
		if (rules->dry_run)
			ask(store, this, forced);
		else if (take(store, this->number, forced, &where, &this->why, &failed) != 0)
			*err = err->status == STATUS_DONE ? failed : *err;
	}
	sigio_restore(&old);
}

/* What was asked for by number and cannot be: an answer, not silence. */
static int force_check(const struct store *store, const struct candidates *all, uint64_t force,
		       struct err *err)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->list[i].number != force)
			continue;
		if (all->list[i].why == RECLAIM_LATEST)
			return err_fail(err, STATUS_FAILED, store->path,
					"snapshot %ju is the latest: it cannot be reclaimed",
					(uintmax_t)force);
		if (all->list[i].why == RECLAIM_KEPT)
			return err_fail(err, STATUS_FAILED, store->path,
					"snapshot %ju is kept: release it first", (uintmax_t)force);
		return 0;
	}
	return err_fail(err, STATUS_FAILED, store->path, "there is no snapshot %ju", (uintmax_t)force);
}

/*
 * Where latest is missing, or names what is not there, nobody can say which one is live (P4): nothing goes before a
 * publish has made a new latest.
 */
static int latest_check(const struct store *store, const struct candidates *all, uint64_t latest,
			struct err *err)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].number == latest)
			return 0;
	if (all->count == 0)
		return 0;
	return err_fail(err, STATUS_FAILED, store->path,
			"latest names no snapshot that is there: nothing is reclaimed");
}

/* ---- what is left of those that are gone ---- */

static bool snapshot_there(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(number, name);
	return store_has(store, name);
}

/*
 * Once more the protocol, since Portage may publish that number again while we look: then the pin file stays.
 */
static void pin_sweep(struct store *store, uint64_t number)
{
	enum reclaim_why why;
	int fd = seize(store, number, &why);

	if (fd < 0)
		return;
	if (snapshot_there(store, number))
		give_back(store, number, fd);
	else
		bury(store, number, fd);
}

/*
 * Pin files and meta files of snapshots that are gone: numbers that were skipped, those that Portage took,
 * those that we took before we died. Nobody misses them: what cannot be removed now stays for the next time.
 */
static void sweep(struct store *store)
{
	struct err ignored = ERR_NONE;
	struct numbers pins, metas;
	struct sigaction old;
	uint64_t highest;

	if (store_highest(store, &highest, &ignored) != 0)
		return;
	sigio_ignore(&old);
	if (store_names(store, STORE_PINS, "", &pins, &ignored) == 0)
		for (size_t i = 0; i < pins.count; i++)
			if (pins.list[i] <= highest && !snapshot_there(store, pins.list[i]))
				pin_sweep(store, pins.list[i]);
	sigio_restore(&old);
	if (store_names(store, STORE_META, "", &metas, &ignored) == 0)
		for (size_t i = 0; i < metas.count; i++)
			if (!snapshot_there(store, metas.list[i]))
				meta_remove(store, metas.list[i], &ignored);
	record_sweep(store, &ignored);
	numbers_release(&pins);
	numbers_release(&metas);
}

int reclaim_recover(struct store *store, struct err *err)
{
	struct numbers dead;
	int result = 0;

	if (store_names(store, STORE_PINS, PIN_DEAD, &dead, err) != 0)
		return -1;
	for (size_t i = 0; result == 0 && i < dead.count; i++) {
		if (snapshot_there(store, dead.list[i]))
			result = pin_restore(store, dead.list[i]);
		else
			result = bury(store, dead.list[i], -1);
		if (result != 0)
			err_errno(err, STATUS_FAILED, store->path, "the pin of snapshot %ju",
				  (uintmax_t)dead.list[i]);
	}
	numbers_release(&dead);
	return result;
}

int reclaim(struct store *store, const struct reclaim_rules *rules,
	    void (*report)(void *context, uint64_t number, enum reclaim_why why), void *context,
	    struct err *err)
{
	struct candidates all;
	struct err late = ERR_NONE;
	uint64_t latest;

	/*
	 * What Portage published since the lock was taken gets its times and pin files. On a full disk it may
	 * not: then it counts as retired just now, or as one that cannot be asked about. Then what there is,
	 * then what is latest: one that is published after the list was made is not in it.
	 */
	if (!rules->dry_run) {
		meta_settle(store, &late);
		store_make_pins(store, &late);
	}
	all_find(store, &all, err);
	const bool known = store_latest(store, &latest, err) == 0 &&
			   latest_check(store, &all, latest, err) == 0;
	if (known) {
		live_mark(&all, rules, latest);
		if (rules->force != 0)
			force_check(store, &all, rules->force, err);
		difference_take(store, &all, rules, err);
	}
	for (size_t i = 0; known && report != NULL && i < all.count; i++)
		report(context, all.list[i].number, all.list[i].why);
	free(all.list);
	if (!rules->dry_run)
		sweep(store);
	return err->status == STATUS_DONE ? 0 : -1;
}

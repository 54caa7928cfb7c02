/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.h: a store on disk: the directory, its layout, what is in it.
 *
 * Everything below STORE is reached as (store->dir, relative name): the path is resolved and checked once, at
 * store_open(), so that nobody can exchange a component under us. Names are core/names.h's. The layout of
 * .rcu-repo is in rcu-repo(7):
 *
 *     lock             the writers' lock (helper/store/lock.h)
 *     location         the LOCATION that this store belongs to
 *     high-water       the highest number ever published
 *     pin.new          a pin file being made
 *     reservation      what `begin` staged and for whom (helper/store/reservation.h)
 *     migration        a migration under way (helper/store/migrate.h)
 *     pins/N           empty; held open by N's readers (core/hold.h)
 *     record/N         what N changed, and all that is in it (helper/store/record.h)
 *     meta/N           when N was published and retired, kept or not (helper/store/meta.h)
 *     staging/ID/      a tree being made; ID is never used twice
 *     spare/N@BOOT/    a tree as snapshot N, for the next staging (helper/snapshot/storage.h)
 *     trash/ID/        trees on their way out
 *     id, set, sets/N  what is published together with other stores (helper/store/set.h)
 */
#ifndef HELPER_STORE_STORE_H
#define HELPER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/names.h"
#include "helper/base/err.h"

#define STORE_LOCK STORE_OURS "/lock"
#define STORE_LOCATION STORE_OURS "/location"
#define STORE_HIGH_WATER STORE_OURS "/high-water"
#define STORE_RESERVATION STORE_OURS "/reservation"
#define STORE_MIGRATION STORE_OURS "/migration"
#define STORE_META STORE_OURS "/meta"
#define STORE_RECORD STORE_OURS "/record"
#define STORE_STAGING STORE_OURS "/staging"
#define STORE_SPARE STORE_OURS "/spare"
#define STORE_TRASH STORE_OURS "/trash"

struct storage;

struct store {
	char *path;      /* canonical and absolute */
	int dir;         /* STORE, O_RDONLY | O_DIRECTORY | O_CLOEXEC */
	int lock;        /* -1: not held */
	bool durable;    /* what is published is on disk first */
	uid_t sync_user; /* may write to the store, too; (uid_t)-1: nobody. Set it before store_open() */
	uid_t uid;       /* of STORE: what root makes below it is given to them, so that they can go on */
	gid_t gid;
	char *lapsed; /* store_lock(): why what `begin` staged is not reserved any more, or NULL */
	const struct storage *storage;
	/*
	 * Where it is not NULL: publish() asks it before it swaps latest, when snapshots/N is there, whole and on disk. -1 and
	 * *err: N is not to be published.
	 */
	int (*gate)(struct store *store, uint64_t number, struct err *err);
};

#define STORE_CLOSED                                           \
	{                                                      \
		.dir = -1, .lock = -1, .sync_user = (uid_t)-1, \
	}

enum store_use {
	STORE_LOOK,   /* reads only; works for any user; a missing store is an error */
	STORE_CHANGE, /* makes what is missing (0755), after trust_path() has accepted the way to it */
};

/*
 * Opens the store at `path` (absolute). The struct was STORE_CLOSED before, but for sync_user. On failure the
 * store is closed.
 */
int store_open(struct store *store, const char *path, enum store_use use, bool durable, struct err *err);
void store_close(struct store *store); /* gives the lock back, too */

/*
 * Opens the directory `path`, making what is missing of it (0755, each entry on disk before what is in it).
 * The way there was accepted by trust_path(). Also for the way to a location.
 */
int store_make_path(const char *path, struct err *err);

/* What latest names: *number, or 0 where there is no latest. A latest of another form is an error. */
int store_latest(const struct store *store, uint64_t *number, struct err *err);

/* "STORE/snapshots/N", canonical; the caller frees it. Never NULL (memory that runs out ends the program: see
 * alloc.h). */
char *store_snapshot_path(const struct store *store, uint64_t number);

struct numbers {
	uint64_t *list; /* ascending */
	size_t count;
};
void numbers_release(struct numbers *numbers);
void numbers_add(struct numbers *numbers, uint64_t number); /* at the end */

/*
 * The snapshots that there are. Names in snapshots/ that are no numbers are left alone; each is handed to
 * `foreign` (may be NULL), which the command files use to report it.
 */
int store_numbers(const struct store *store, struct numbers *numbers,
		  void (*foreign)(void *context, const char *name), void *context, struct err *err);

/*
 * The numbers N among the names `N` + `suffix` of the directory `name` below STORE, whatever they are, ascending.
 */
int store_names(const struct store *store, const char *name, const char *suffix, struct numbers *numbers,
		struct err *err);

/*
 * The highest number that was ever used here by anyone we know of: high-water, snapshots/ (whatever it is),
 * latest.
 */
int store_highest(const struct store *store, uint64_t *highest, struct err *err);

/*
 * Under the lock: the number for the next snapshot, one above store_highest(). It is written down, durably,
 * before it is returned, so a crash skips it and nobody uses it again (high_water.c).
 */
int store_next_number(struct store *store, uint64_t *number, struct err *err);

/*
 * Under the lock, always: pin files for the present numbers and PINS_AHEAD beyond; never for a number that
 * was reclaimed. (Made without the lock, a pin file could come back while its snapshot is being reclaimed,
 * and a reader would trust it.) They belong to the store's owner, who may then take leases on them.
 */
int store_make_pins(struct store *store, struct err *err);

/* Flushes the directory `name` below STORE ("." for STORE itself) if the store is durable. */
int store_sync_dir(const struct store *store, const char *name, struct err *err);

/* True if there is an entry `name` below STORE, of any kind. */
bool store_has(const struct store *store, const char *name);

/* What root makes belongs to the store's owner, who must be able to go on with it. -1 and errno. */
int store_give(const struct store *store, int fd);

/* Writes a small file below STORE so that it is whole in the old or in the new version, whatever happens:
 * temporary, fsync, rename, fsync (also where the store is not durable: they are few). Under the lock. */
int store_write_file(const struct store *store, const char *name, const char *text, mode_t mode,
		     struct err *err);

/* The same, not flushed: whatever kills us it is whole, in the old or in the new version; after a loss of power it may also
 * be empty. */
int store_write_soon(const struct store *store, const char *name, const char *text, mode_t mode,
		     struct err *err);

/*
 * Reads a small file below STORE; the caller frees *text, which is NULL where there is no such file. 1: what is there is no
 * file of ours. -1: it could not be read, this time.
 */
int store_read_file(const struct store *store, const char *name, char **text, struct err *err);

/*
 * Which LOCATION the store belongs to: fails (STATUS_USAGE) if another one that still leads here has it (P6).
 * Under the lock it writes down `location` as the owner where there is none, or the one written down has gone
 * elsewhere.
 */
int store_claim(struct store *store, const char *location, struct err *err);

#endif

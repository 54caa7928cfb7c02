/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migrate.h: LOCATION becomes a link into the store, without a moment at which it is missing.
 *
 * LOCATION may be absent (the link is made, after the first snapshot is published), the right link already
 * (nothing to do), a link elsewhere (refused), or an ordinary directory: then a link is made beside it and
 * both are exchanged in one step (renameat2 RENAME_EXCHANGE, rename(2), Linux 3.15); the tree that was there
 * becomes a retired snapshot. What was begun is written to STORE_MIGRATION before, so that the next command
 * ends it after a crash.
 */
#ifndef HELPER_STORE_MIGRATE_H
#define HELPER_STORE_MIGRATE_H

#include "helper/config/repos.h"
#include "helper/store/store.h"

enum location_state {
	LOCATION_ABSENT,
	LOCATION_LINKED,    /* leads to STORE/latest */
	LOCATION_DIRECTORY, /* to be migrated */
};

/*
 * Looks at LOCATION and refuses (STATUS_USAGE), before anything is made, what could lose data: a mount point,
 * mounts inside it, a store inside the location, a location inside the store, a link elsewhere, a file; for a
 * repository with Portage's excludes a location with distfiles/, packages/ or local/ in it (the new tree
 * would not have them: P25); a place that others may write to (trust_path()). And a location that leads to a store that is not
 * there (STATUS_FAILED): its file system may not be mounted.
 */
int migrate_check(const struct repo *repo, enum location_state *state, struct err *err);

/*
 * Under the lock, before anything is staged: for LOCATION_DIRECTORY exchanges a directory and a link of its own
 * beside the location, and refuses (STATUS_USAGE) a file system that cannot. Nothing for the other states.
 */
int migrate_try(const struct repo *repo, enum location_state state, struct err *err);

/*
 * Under the lock, before the first publish: where the location is a directory, takes the number for the tree
 * that is in it (lower than that of its successor) and opens the journal. Nothing for the other states. What
 * follows may fail: the journal is then ended by the next store_lock().
 *
 *     migrate_check();  store_lock();  migrate_check();  migrate_try();  stage, fetch ...;
 *     migrate_prepare();  publish();  migrate_finish();
 */
int migrate_prepare(struct store *store, const struct repo *repo, enum location_state state, struct err *err);

/*
 * Under the lock, after publish(): make or exchange the link; the old tree becomes a retired snapshot. Where
 * it is on another file system than the store it stays beside the location, and *beside is its path, for a
 * note (the caller frees it; NULL otherwise). Safe to call when there is nothing to do. The way to the
 * location is judged by trust_path() once more, with the store's sync-user: STATUS_USAGE where it is not good now.
 *
 * -1: the location is as it was. 1: it is the link now, and what comes behind that failed, for which *err says
 * why: it may be as it was after a loss of power, or the old tree is still beside it; the next store_lock() ends
 * what is open. 0: all is done.
 */
int migrate_finish(struct store *store, const struct repo *repo, enum location_state state, char **beside,
		   struct err *err);

/*
 * Part of store_lock(): ends what a crash interrupted. Where the directory that the location was in is not
 * there now (its file system is not mounted) that is left for later, without an error: other commands go on,
 * and only migrate_prepare() refuses to begin anew. One that others may write to now is an error, as everywhere:
 * what is under our name there may be theirs.
 */
int migrate_recover(struct store *store, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h: one writer a store.
 *
 * The lock is flock(2) on STORE/.rcu-repo/lock, a file that only the store's owner can open (0600): the
 * kernel gives it back at any death, so there is no stale lock and no pid to guess. The descriptor is
 * close-on-exec: a transport that outlives us does not hold it. Inside the file stands who has it, for the
 * message of those who do not get it.
 *
 * Order of locks: a process takes at most one store's lock at a time, then at most one lease on a pin at a
 * time. (set_recover() asks for another store's lock as well, without waiting for it, while it undoes a set.)
 */
#ifndef HELPER_STORE_LOCK_H
#define HELPER_STORE_LOCK_H

#include "helper/store/store.h"

/*
 * Takes the lock without waiting, then mends what a dead writer left: pin files that were renamed away,
 * staging trees that nobody reserved (to trash: they are never published or used), a migration half done,
 * latest missing a meta file, pin files to come. Fails with STATUS_BUSY, naming pid, host, command and start
 * of the owner, if another process has the lock, or if `begin` reserved the store and its owner lives
 * (helper/store/reservation.h): pass `reserved` = true to accept that (commit, abort, look-only commands).
 * `command` is what to write into the file, e.g. "rcu-repo sync gentoo".
 */
int store_lock(struct store *store, const char *command, bool reserved, struct err *err);
void store_unlock(struct store *store);

/* Does somebody have the lock? By /proc/locks, since to try it would keep a writer out. */
bool store_is_locked(const struct store *store);

#endif

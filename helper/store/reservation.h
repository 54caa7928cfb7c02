/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reservation.h: what `begin` staged, kept for `commit` or `abort` by another process.
 *
 * A kernel lock ends with its process, and `begin` ends at once; so a reservation is written down, with the
 * identity of whom it is for: boot id, pid namespace, pid and start time of --owner, never a bare pid. It is
 * void when the machine was rebooted, when the owner has ended, when its tree is gone, or, without an owner,
 * a day after it was made. An owner in a pid namespace that we cannot see counts as alive for that day. All
 * functions are called under the lock, but for reservation_look().
 *
 * `commit` seals the tree before it lets it share files with a snapshot: a rename in staging, by which nobody reaches it
 * any more by the path that `begin` printed. It stays reserved until it is the latest snapshot, so a commit that fails or is
 * killed can be done again. Between its renames to snapshots/N and of latest it is a snapshot that is not published; then
 * meta/N says what it was called in staging, and who takes the lock next takes it back (publish.c, step 4), unless somebody
 * has pinned that number: then it stays, kept until it is released, and the reservation is void.
 */
#ifndef HELPER_STORE_RESERVATION_H
#define HELPER_STORE_RESERVATION_H

#include <sys/types.h>

#include "helper/snapshot/storage.h"

#define RESERVATION_SECONDS (24 * 60 * 60)

struct reservation {
	char *staging; /* its name below STORE_STAGING; NULL: there is no reservation */
	char *id;      /* the one that `begin` printed: the same until the tree is sealed */
	char *text;    /* who has it, for messages: "pid 12 on host, since ..." */
};

/*
 * Reads it, and stages again what a commit left on its way; one that is void is removed (its staging goes to trash) and
 * reads as none. Why it is void is then in store->lapsed, whole sentences for a person.
 */
int reservation_read(struct store *store, struct reservation *reservation, struct err *err);
/* The same, without the lock: changes nothing. */
int reservation_look(const struct store *store, struct reservation *reservation, struct err *err);
void reservation_release(struct reservation *reservation);

/* Writes it, durably, for the process `owner` (0: nobody, a day). The process must be there. */
int reservation_write(struct store *store, const char *staging, pid_t owner, struct err *err);
int reservation_remove(struct store *store, struct err *err);

/* Seals the tree that it names, `staging`, which gets its new name. One that is sealed stays as it is. */
int reservation_seal(struct store *store, struct staging *staging, struct err *err);

#endif

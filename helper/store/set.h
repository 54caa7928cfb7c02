/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * set.h: several stores published as one (sync --together; P22): who pins some of them gets all old or all new.
 *
 * Each store has its own latest, and no rename swaps two. So what a reader takes is not what the links say at some moment,
 * but a combination that fits:
 *
 *     - A store that was ever in a set has a name of its own, STORE/.rcu-repo/id.
 *     - STORE/.rcu-repo/sets/N says which snapshots of other stores belong to N and to all that is published here after
 *       it: lines "ID NUMBER", that number or a later one. It is written before N can be seen, and never changed.
 *     - STORE/.rcu-repo/set is there while a set is under way here. It says which number this store is about to publish,
 *       and who leads: one store of the set. THE SET IS PUBLISHED WHEN THE LEADER'S LATEST IS SWAPPED, for every reader at
 *       the same moment; the other stores follow, and nobody waits for them.
 *
 * The order, with what a crash behind each step leaves:
 *
 *     1  each store has its new snapshot, sealed and on disk, not the latest. Leaves snapshots that were not published.
 *     2  each has `set`. Leaves a set that is not published: the next store_lock() of each store undoes it.
 *     3  each has sets/N. Leaves the same. In this order, since sets/N of the leader without its `set` says that the set was
 *        published, to a store that asks when all is over; so who undoes it removes sets/N first.
 *     4  the leader's latest is swapped, and is on disk. Leaves a set that is published: the next store_lock() of each other
 *        store swaps there, too. A reader who finds the new one of the leader takes the number that `set` says of the others.
 *     5  in each other store, masters first: latest is swapped, on disk. Leaves a `set` that says what is so already.
 *     6  `set` is removed. Done.
 *
 * A reader takes the latest of each store. Where what he has of one needs more of another than he has of it, he asks that
 * other store again: its `set`, if that says the very number that is needed, which is then sealed and there; else its latest,
 * which was swapped before `set` went. He goes on until nothing is missing. Numbers only grow in this, and each is one of a
 * set that was published or of a single publish, so it ends, and with a combination that fits. Where the latest is lower
 * than what is needed and there is no `set`, somebody rolled that store back, and means it.
 *
 * Argument that nothing is mixed. Let A and B be of one set with numbers a and b, and a reader end with A >= a and B < b. Then
 * the needs of what he has of A (sets/a, or of a later number, which includes them) name b of B, and the loop was not over.
 * The same the other way round.
 *
 * A store is in one set at a time, by its lock. To undo a set one must know that nobody will swap the leader's latest: that
 * is so while one has the leader's lock, which is taken without waiting and only while the store's own is held (so there is
 * no circle: a leader asks nobody).
 */
#ifndef HELPER_STORE_SET_H
#define HELPER_STORE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/store/store.h"

#define STORE_ID STORE_OURS "/id"
#define STORE_SETS STORE_OURS "/sets"
#define STORE_SET STORE_OURS "/set"

#define SET_ID_ROOM 33 /* 32 hexadecimal digits, terminated */

struct set_need {
	char id[SET_ID_ROOM];
	uint64_t number;
};

struct set_needs {
	struct set_need *list;
	size_t count;
};
void set_needs_release(struct set_needs *needs);

/* "ID NUMBER" lines as one text, and back (-1 where it is none). The caller frees the text. */
char *set_needs_format(const struct set_needs *needs);
int set_needs_parse(const char *text, struct set_needs *needs);

/* ---- readers: no lock; nothing is written ---- */

/* The store's name; "" where it never was in a set. */
int set_id(const struct store *store, char id[SET_ID_ROOM], struct err *err);

/* What belongs to snapshot `number`. Release it, also after a failure. */
int set_needs_of(const struct store *store, uint64_t number, struct set_needs *needs, struct err *err);

/* The number that fits where `needed` is needed of this store: see above. */
int set_number(const struct store *store, uint64_t needed, uint64_t *number, struct err *err);

/* ---- writers: under the store's lock ---- */

/* set_id(), and gives the store one if it has none. */
int set_id_make(struct store *store, char id[SET_ID_ROOM], struct err *err);

struct set_leader {
	const char *path; /* of its store */
	char id[SET_ID_ROOM];
	uint64_t number;
};

/* Steps 2 and 3, for the snapshot `number` of this store: `members` are all of the set, this one included or not. */
int set_begin(struct store *store, uint64_t number, const struct set_needs *members,
	      const struct set_leader *leader, struct err *err);

/* Step 6. */
int set_end(struct store *store, struct err *err);

/* In the place of steps 4 to 6, where the set is not to be: removes its files. The snapshot stays, unpublished. */
int set_undo(struct store *store, uint64_t number, struct err *err);

/*
 * Was the set that is under way here published? 1, 0, or -1: STATUS_BUSY where it cannot be said yet, since the leader's
 * store is locked. With 0 the leader's lock is held by *held (a descriptor to close when the set is undone; else -1).
 */
int set_decided(const struct store *store, int *held, struct err *err);

/* Part of store_lock(): ends or undoes what is under way here. */
int set_recover(struct store *store, struct err *err);

#endif

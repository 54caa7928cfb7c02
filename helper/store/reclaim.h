/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reclaim.h: let go of snapshots after their grace period. The reclaimer's half of the pin protocol (the
 * reader's: core/hold.h).
 *
 * Three visible steps: all snapshots; the live set (what latest names, kept, pinned, the spares, those
 * younger than the ttl); the difference goes. A snapshot whose pin cannot be asked about is live. One that was never the
 * latest is no spare and needs no grace period: no reader can have it, but by its number, with a pin.
 */
#ifndef HELPER_STORE_RECLAIM_H
#define HELPER_STORE_RECLAIM_H

#include "helper/snapshot/storage.h"

enum reclaim_why {
	RECLAIM_GONE,   /* taken (or would be, in a dry run) */
	RECLAIM_LATEST, /* the rest: why it stays */
	RECLAIM_KEPT,
	RECLAIM_SPARE,
	RECLAIM_YOUNG,
	RECLAIM_PINNED,
	RECLAIM_UNKNOWN, /* its pin could not be asked: not ours, or no leases on this file system */
	RECLAIM_DAMAGED, /* its meta file cannot be read: it may be a kept one */
};

struct reclaim_rules {
	unsigned spares;
	unsigned ttl_days;
	uint64_t force; /* this number goes though it is pinned, a spare or young; never the latest or a kept
			   one. 0: none */
	bool dry_run;
	bool recycle; /* the first that goes is kept as the spare for the next staging, if it can be */
};

/*
 * Under the lock, but for a dry run, which changes nothing and needs none: what it says may be otherwise a moment
 * later. Calls `report` (may be NULL) once for each snapshot with what became of it. Trees go to
 * trash only; storage->empty_trash() deletes them, best after the lock was given back. A snapshot that could
 * not be taken does not stop the others; -1 then, at the end.
 */
int reclaim(struct store *store, const struct reclaim_rules *rules,
	    void (*report)(void *context, uint64_t number, enum reclaim_why why), void *context,
	    struct err *err);

/*
 * Snapshot N, which was not published after all, goes back to staging as `id`, to be published again; with NULL to trash. 1: it
 * stays, since somebody has it pinned, or since that cannot be asked, or it is the latest.
 */
int reclaim_unpublished(struct store *store, uint64_t number, const char *id, struct err *err);

/* Is anybody holding the pin of N? 1, 0, or -1 where it could not be asked. Takes the lease for a moment:
 * readers that start then retry. */
int reclaim_pinned(struct store *store, uint64_t number, struct err *err);

/* Part of store_lock(): puts back the pin files that a reclaimer had renamed away when it died. */
int reclaim_recover(struct store *store, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.h: what is known of a snapshot beside its tree, in STORE/.rcu-repo/meta/N: `key = value` lines, read
 * by inih.
 *
 * A snapshot that Portage made has no file: it reads as zeros. Times are CLOCK_REALTIME in whole seconds. Age
 * counts from `retired` (P9), which is written when another snapshot becomes latest, or, where we did not see
 * that happen, when we first find it so.
 */
#ifndef HELPER_STORE_META_H
#define HELPER_STORE_META_H

#include "helper/store/store.h"

struct meta {
	int64_t published; /* 0: not known */
	int64_t retired;   /* 0: latest, or not seen yet */
	uint64_t before;   /* what was latest when it was published; 0: nothing, or not known */
	bool unpublished;  /* it was never the latest; `retired` is when that was found */
	bool kept;         /* protected from reclaim until released */
	char name[64];     /* of a kept one, "" for none */
	char staged[64];   /* what it was called in staging: reservation.h; "" where we did not publish it */
};

/* 1: it is damaged; -1: it could not be read, this time, and may be good. *meta is zeros then. */
int meta_read(const struct store *store, uint64_t number, struct meta *meta, struct err *err);

/*
 * On disk where the store is durable, or the snapshot is kept. Else a loss of power may leave an empty file: that of
 * a snapshot whose times are not known, which is young again.
 */
int meta_write(const struct store *store, uint64_t number, const struct meta *meta, struct err *err);

/* The same for publish(), which has it on disk, together with the tree, before the snapshot has its number. */
int meta_prepare(const struct store *store, uint64_t number, const struct meta *meta, struct err *err);
int meta_remove(const struct store *store, uint64_t number, struct err *err); /* missing is fine */

/*
 * May a kept snapshot be called so? Letters, digits and "._+@:-", at most 63, with a letter or one of "_+@:" first: so that no
 * name is a number, an option, or a part of REPO=NAME, and no shell needs quotes for it.
 */
bool meta_name_good(const char *name);

/* The kept snapshot of that name that is there: *number, or 0 for none. What is damaged has no name. */
int meta_find(const struct store *store, const char *name, uint64_t *number, struct err *err);

/* The snapshot that latest names, for the next. */
struct meta_latest {
	uint64_t number;
	struct meta meta;
	bool known; /* its file is good, or it has none; else `meta` is zeros */
};
int meta_latest_read(const struct store *store, struct meta_latest *latest, struct err *err);

/*
 * Was it never the latest? That is so of what publish() left between its rename to snapshots/N and the one of latest, or of
 * a set that was undone. It was settled as such (meta_settle()), or will be: `before` of N is what is latest still. That
 * alone would be so, too, of what a rollback to `before` has just left; but then the latest was retired once, and is so
 * until it is settled, after all others. So the latest must not be, and be known (of Portage's it is zeros). Where Portage has
 * published since, it is taken for one that was the latest.
 */
bool meta_unpublished(const struct meta *meta, const struct meta_latest *latest);

/*
 * Under the lock: makes the files agree with latest. Every other snapshot that has no retired time is retired
 * now, and marked where it was never the latest; the latest is neither, and comes last (meta_unpublished()). This
 * ends what a crash between the swap of latest and the file left open, and takes in what Portage published; it
 * never makes anything older than it is. A retired time in the future, from a clock that was ahead for a while,
 * becomes now, once the latest snapshot was published by a clock that agrees with the present one.
 */
int meta_settle(const struct store *store, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * held.h: a rollback that is to stay: until it is lifted nothing new is published (rcu-repo rollback --hold).
 *
 * STORE/.rcu-repo/hold names the snapshot, and it counts only as long as latest names that one. So it is written before
 * latest is swapped: if we die in between, it holds nothing. And what publishes all the same (sync --force, a Portage that
 * does not know it) ends it by that.
 */
#ifndef HELPER_STORE_HELD_H
#define HELPER_STORE_HELD_H

#include <stdint.h>

#include "helper/store/store.h"

#define STORE_HOLD STORE_OURS "/hold"

struct held {
	uint64_t number; /* 0: nothing is held */
	int64_t since;   /* CLOCK_REALTIME, seconds */
};

/* Needs no lock. A file that is damaged holds whatever is latest: nobody said that it may go. */
int held_read(const struct store *store, struct held *held, struct err *err);

/* Under the lock, durably. */
int held_write(const struct store *store, uint64_t number, struct err *err);
int held_remove(const struct store *store, struct err *err); /* missing is fine */

#endif

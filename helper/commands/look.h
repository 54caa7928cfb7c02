/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * look.h: what the commands that look at a store (list, readers, status, gc) have in common: who holds a snapshot, and
 * words for it. Strings are the caller's to free.
 */
#ifndef HELPER_COMMANDS_LOOK_H
#define HELPER_COMMANDS_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/config/repos.h"
#include "helper/store/readers.h"
#include "helper/store/store.h"

/* The name of a user, or the number as text. */
char *look_user(uid_t uid);

/* "12s", "5m", "3h", "17d" for people, seconds for programs; NULL where `since` is 0, "0s" where it is to come. */
char *look_age(int64_t since, bool json);

/* "1.5G" for people, bytes for programs. */
char *look_size(uint64_t bytes, bool json);

/*
 * Who holds `number`: "pid 12 (root) since 2026-11-22 16:00:00: emerge -u @world", the next behind "; ", and how many
 * more after the third. NULL: nobody that can be seen.
 */
char *look_holders(const struct readers *readers, uint64_t number);
size_t look_count(const struct readers *readers, uint64_t number);

/*
 * Is the pin all that has kept `number`, retired at `retired`, for longer than a job may be expected to last:
 * sync-rcu-ttl-days, at least a day? What sync, gc and status warn of.
 */
bool look_is_stuck(const struct repo *repo, int64_t retired);

/* Warns of each of `pinned` that is stuck, and names who holds it. */
void look_warn_stuck(const struct repo *repo, const struct store *store, const struct numbers *pinned);

#endif

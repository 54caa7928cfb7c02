/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deletions.h: an upstream that lost most of its tree is a mistake more often than news (sync-rcu-max-delete).
 */
#ifndef HELPER_COMMANDS_DELETIONS_H
#define HELPER_COMMANDS_DELETIONS_H

#include "helper/config/repos.h"
#include "helper/store/record.h"

/*
 * `record` says what a staged tree changes of snapshot `base`. -1 if more than the repository's share of the base's files
 * (everything but directories) is not in it any more. The cost grows with what was removed.
 */
int deletions_check(const struct store *store, const struct repo *repo, uint64_t base,
		    const struct record *record, struct err *err);

/* The same at a migration: what is staged in the directory `staging`, against the tree at the location. */
int deletions_check_location(const struct repo *repo, int staging, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks.h: programs of the administrator around a publish: sync-rcu-verify and sync-rcu-hooks, which judge or complete
 * a staged tree before it is published, and Portage's repo.postsync.d and postsync.d, which run after.
 */
#ifndef HELPER_PROGRAMS_HOOKS_H
#define HELPER_PROGRAMS_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "helper/config/repos.h"

struct guard;

/* What is about to be published. */
struct hooks {
	const struct repo *repo;
	const char *staging;       /* absolute */
	const struct guard *guard; /* of that tree, or NULL */
	uint64_t old;              /* the number that is the latest now; 0: none */
	uint64_t next; /* the one that the tree will have, unless a writer who knows no lock takes it first */
};

/* Is there anything that hooks_run() would run? */
bool hooks_any(const struct repo *repo);

/*
 * Before anything is touched: sync-rcu-hooks must be a directory that nobody else may write to
 * (trust.h), for what is in it is run with our rights. STATUS_USAGE if it is not.
 */
int hooks_check(const struct repo *repo, struct err *err);

/*
 * Runs sync-rcu-verify, and then the programs in sync-rcu-hooks by the bytes of their names, one after the other, each
 * with the staged tree as its working directory and in its environment
 *
 *     RCU_REPO_STAGING    the tree              RCU_REPO_OLD    the latest number, or 0
 *     RCU_REPO_LOCATION   where readers look    RCU_REPO_NEW    the tree's number, once it is published
 *     RCU_REPO_NAME       the repository
 *
 * Files that are not executable, hidden ones and backups (NAME~) are passed over. -1 at the first that fails or takes
 * longer than sync-rcu-hook-timeout.
 */
int hooks_run(const struct hooks *hooks, struct err *err);

/*
 * The same for what Portage runs when a repository was synced, for those that are configured in its files: the
 * programs in repo.postsync.d, with the repository's name, sync-uri and location. All of them are run; *err is the
 * first failure. What is published stays.
 */
int hooks_after(const struct repo *repo, struct err *err);

/* And when all of them were: the programs in postsync.d, without arguments. */
int hooks_after_all(struct err *err);

#endif

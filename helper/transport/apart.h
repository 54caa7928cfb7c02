/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apart.h: for transports whose fetching is not one program: what they do themselves is done as the sync-user as well,
 * by a process of its own (P8). It has none of our descriptors but one to be read, so what it can reach is what he can.
 *
 * That process is his: what it says it changed is as good as the tree itself, and no better. If we die it is killed, and
 * what it was filling is never used.
 */
#ifndef HELPER_TRANSPORT_APART_H
#define HELPER_TRANSPORT_APART_H

#include <stdbool.h>

#include "helper/config/repos.h"
#include "helper/config/user.h"
#include "helper/tree/changes.h"

struct apart {
	const struct repo *repo;
	const struct user *user; /* user_of_fetch() */
	int in;                  /* 0, or a descriptor that is wanted there: it is number 0 then */
	/* As the fetch() of a transport. What it changes in *context is not seen here. */
	int (*work)(void *context, struct changes *changes, struct err *err);
	void *context;
};

/* Calls `work`: here, where we are that user, else there, for at most sync-rcu-timeout. */
int apart_run(const struct apart *apart, struct changes *changes, struct err *err);

/*
 * Gives the tree `tree`, which is at `path`, to that user, where it is another's: each directory of it, with `files` the files, too. (A file of
 * a branch may be that of a snapshot: he can replace it.) The tree itself comes last: he is not there before all of it is his,
 * and if we die before, all of it is given again. `changes`, if not NULL, gets what was given.
 */
int apart_give(const struct user *user, int tree, const char *path, bool files, struct changes *changes,
	       struct err *err);

/*
 * Sees to it that the directory `path`, which the fetching keeps from one time to the next, is there and belongs to who
 * fetches. What it is in is ours. What was ours is given to him, whole. What was anybody else's is refused: whoever could write to it must not
 * decide what another user runs.
 */
int apart_own(const struct user *user, const char *path, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pinning.h: from what rcu-exec was asked for, and the pins that it was started under, to the pins that its
 * command gets.
 *
 *     pinning_repo, pinning_location, pinning_snapshot    as the command line says, in its order
 *     pinning_take                                       all pins are held now, by descriptors
 *     ... pins, count ...
 *     pinning_release
 *
 * Errors have any status: rcu-exec ends with 125 whatever it is.
 */
#ifndef HELPER_LAUNCHER_PINNING_H
#define HELPER_LAUNCHER_PINNING_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/store/pin.h"

struct pinning_request;

struct pinning {
	const char *outer; /* RCU_EXEC_PINS that we were started under, or NULL */
	bool fresh;        /* what is asked for is pinned anew though an outer pin has it */
	bool outer_only;   /* nothing but the outer pins; no configuration is read */

	struct pinning_request *requests;
	size_t request_count;
	const char **snapshots; /* "N" and "REPO=N", as given */
	size_t snapshot_count;

	struct pin *pins;
	size_t count;
};
#define PINNING_NONE          \
	{                     \
		.outer = NULL \
	}

void pinning_repo(struct pinning *pinning, const char *name);
void pinning_location(struct pinning *pinning, const char *path);
void pinning_snapshot(struct pinning *pinning,
		      const char *text); /* N, NAME, REPO=N or REPO=NAME; must outlive the pinning */

/*
 * Takes every pin, of each store one; of stores that are published together (helper/store/set.h) numbers that belong together, but
 * for those that were asked for by number, and an outer pin that stays. Without a request: each repository of the configuration with sync-rcu. An outer pin of a
 * store that is not asked for stays; of one that is, too, unless a number or `fresh` says otherwise. Nothing
 * to pin at all is an error, with count 0 and *nothing set.
 */
int pinning_take(struct pinning *pinning, bool *nothing, struct err *err);

/*
 * A working directory that is in a snapshot of a pinned store, and not in the pinned one, is exchanged for the same one there:
 * what is relative to it and what is absolute shall be of one version. An error if the pinned snapshot has no such directory.
 */
int pinning_enter(const struct pinning *pinning, struct err *err);
void pinning_release(struct pinning *pinning);

#endif

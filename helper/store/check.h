/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.h: is everything in a store's own directory, and around its snapshots, as it should be? (What is in the
 * snapshots: verify.h.)
 */
#ifndef HELPER_STORE_CHECK_H
#define HELPER_STORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/config/repos.h"
#include "helper/store/store.h"

/* One line each: "subject: what is wrong". */
struct problems {
	char **list;
	size_t count;
	bool busy; /* a writer is at work: what it has under way was not judged */
};
#define PROBLEMS_NONE        \
	{                    \
		.list = NULL \
	}

void problem_add(struct problems *problems, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool problem_is(const struct problems *problems, const char *line);
void problems_release(struct problems *problems);

/* Looks, without the lock, and changes nothing. */
void check_store(const struct store *store, const struct repo *repo, struct problems *problems);

/*
 * Under the lock (whose taking mends much already: helper/store/lock.h): mends what can be mended without losing anything. What cannot is
 * left for check_store() to find again.
 */
void check_repair(struct store *store);

#endif

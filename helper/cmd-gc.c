/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "helper/alloc.h"
#include "helper/command.h"
#include "helper/lock.h"
#include "helper/reclaim.h"
#include "helper/snapshot/storage.h"
#include "helper/text.h"

struct report {
	const struct repo *repo;
	bool dry_run;
};

static void tell(void *context, uint64_t number, enum reclaim_why why)
{
	static const char *const reasons[] = {
		[RECLAIM_LATEST] = "it is the latest",
		[RECLAIM_KEPT] = "it is kept",
		[RECLAIM_SPARE] = "it is a spare (sync-rcu-spare-snapshots)",
		[RECLAIM_YOUNG] = "it is younger than sync-rcu-ttl-days",
		[RECLAIM_PINNED] = "it is pinned (rcu-repo readers)",
		[RECLAIM_UNKNOWN] = "whether it is pinned cannot be asked",
	};
	const struct report *report = context;
	char *name = text_line(report->repo->name);
	const uintmax_t n = number;

	if (why == RECLAIM_GONE)
		printf("%s: %ju %s\n", name, n, report->dry_run ? "would be reclaimed" : "is reclaimed");
	else if (report->dry_run || why == RECLAIM_UNKNOWN)
		printf("%s: %ju stays: %s\n", name, n, reasons[why]);
	free(name);
}

/* Under the lock, but for a dry run, which writes nothing at all: it looks as `list` does. */
static int gc_store(const struct options *options, const struct repo *repo, struct store *store,
		    struct err *err)
{
	const struct reclaim_rules rules = { .spares = repo->spares,
					     .ttl_days = repo->ttl_days,
					     .force = options->force,
					     .dry_run = options->dry_run };
	struct report report = { .repo = repo, .dry_run = options->dry_run };
	struct numbers numbers;
	int result = command_numbers(store, &numbers, err);

	numbers_release(&numbers);
	return result == 0 ? reclaim(store, &rules, tell, &report, err) : -1;
}

static int gc_locked(const struct options *options, const struct repo *repo, struct store *store,
		     struct err *err)
{
	int result = gc_store(options, repo, store, err);

	store_unlock(store);
	return store->storage->empty_trash(store, err) != 0 ? -1 : result;
}

static int gc_dry(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0)
		result = gc_store(options, repo, &store, err);
	store_close(&store);
	return result;
}

static int gc_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;

	if (options->dry_run)
		return gc_dry(options, repo, err);
	int result = command_lock(&store, repo, "gc", err);
	if (result == 0)
		result = gc_locked(options, repo, &store, err);
	store_close(&store);
	return result;
}

int cmd_gc(const struct options *options)
{
	/* A number means another snapshot in each store. */
	return command_each(options, options->force != 0, gc_repo);
}

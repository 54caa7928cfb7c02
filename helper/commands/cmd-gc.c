/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/base/text.h"
#include "helper/commands/command.h"
#include "helper/commands/look.h"
#include "helper/commands/progress.h"
#include "helper/store/lock.h"
#include "helper/store/reclaim.h"
#include "helper/store/sweep.h"

struct report {
	const struct options *options;
	const struct repo *repo;
	char *holders;         /* of the one that is forced; NULL: nobody's */
	struct numbers pinned; /* what stays for that alone */
};

static const char *const reasons[] = {
	[RECLAIM_LATEST] = "it is the latest",
	[RECLAIM_KEPT] = "it is kept",
	[RECLAIM_SPARE] = "it is a spare (sync-rcu-spare-snapshots)",
	[RECLAIM_YOUNG] = "it is younger than sync-rcu-ttl-days",
	[RECLAIM_PINNED] = "it is pinned (rcu-repo readers)",
	[RECLAIM_UNKNOWN] = "whether it is pinned cannot be asked",
	[RECLAIM_DAMAGED] = "its file in meta is damaged: it may be a kept one",
};

static void tell_gone(const struct report *report, uint64_t number)
{
	const bool dry = report->options->dry_run, forced = number == report->options->force;
	char *name = text_line(report->repo->name);
	char *holders = forced && report->holders ? text_line(report->holders) : NULL;

	printf("%s: %ju %s", name, (uintmax_t)number, dry ? "would be reclaimed" : "is reclaimed");
	if (holders)
		printf(", though it %s pinned by %s", dry ? "is" : "was", holders);
	putchar('\n');
	free(name);
	free(holders);
}

static void tell(void *context, uint64_t number, enum reclaim_why why)
{
	struct report *report = context;

	if (why == RECLAIM_PINNED)
		numbers_add(&report->pinned, number);
	if (why == RECLAIM_GONE) {
		tell_gone(report, number);
	} else if (report->options->dry_run || why == RECLAIM_UNKNOWN || why == RECLAIM_DAMAGED) {
		char *name = text_line(report->repo->name);

		printf("%s: %ju stays: %s\n", name, (uintmax_t)number, reasons[why]);
		free(name);
	}
}

/* Who will lose his files. A pin that nobody can be seen to hold is named, too. */
static char *holders_of(struct store *store, uint64_t number)
{
	struct readers readers = { .list = NULL };
	struct err ignored = ERR_NONE;
	char *holders = NULL;

	if (number == 0)
		return NULL;
	if (readers_find(store, &readers, &ignored) == 0)
		holders = look_holders(&readers, number);
	if (!holders && reclaim_pinned(store, number, &ignored) == 1)
		holders = alloc_copy("a process that cannot be seen from here");
	readers_release(&readers);
	return holders;
}

/* Under the lock, but for a dry run, which writes nothing at all: it looks as `list` does. */
static int gc_store(const struct options *options, const struct repo *repo, struct store *store,
		    struct err *err)
{
	const struct reclaim_rules rules = { .spares = repo->spares,
					     .ttl_days = repo->ttl_days,
					     .force = options->force,
					     .dry_run = options->dry_run };
	struct report report = { .options = options, .repo = repo };
	struct numbers numbers;
	int result = command_numbers(store, &numbers, err);

	numbers_release(&numbers);
	if (result == 0) {
		report.holders = holders_of(store, options->force);
		result = reclaim(store, &rules, tell, &report, err);
		look_warn_stuck(repo, store, &report.pinned);
	}
	free(report.holders);
	numbers_release(&report.pinned);
	return result;
}

static int gc_locked(const struct options *options, const struct repo *repo, struct store *store,
		     struct err *err)
{
	int result = gc_store(options, repo, store, err);

	/* It is there for speed alone, and gc is asked for room. */
	if (store->storage->drop_spare(store, err) != 0)
		result = -1;
	store_unlock(store);
	progress_step("deleting what is in trash");
	const int swept = sweep_now(store, options->budget, err);
	progress_end();
	if (swept > 0)
		note(repo->name, "time is up: what is left in trash is for the next gc or sync");
	return swept < 0 ? -1 : result;
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

	if (command_unsynced(repo))
		return 0;
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

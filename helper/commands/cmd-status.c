/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One row for each snapshot, with all that keeps it: the rules' reason by way of reclaim()'s dry run, and the pins that
 * there are besides. Then one row for each thing of the store's own that takes space or holds writers up.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/commands/command.h"
#include "helper/commands/look.h"
#include "helper/commands/progress.h"
#include "helper/commands/table.h"
#include "helper/programs/guard.h"
#include "helper/snapshot/storage.h"
#include "helper/store/held.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/reclaim.h"
#include "helper/store/reservation.h"
#include "helper/tree/tree.h"

enum {
	REPO,
	ITEM,
	NUMBER,
	STATE,
	UNTIL,
	PINS,
	SIZE,
	BY
};

static const struct table_column columns[] = {
	[REPO] = { "REPO", SCOLS_JSON_STRING },     [ITEM] = { "ITEM", SCOLS_JSON_STRING },
	[NUMBER] = { "NUMBER", SCOLS_JSON_NUMBER }, [STATE] = { "STATE", SCOLS_JSON_STRING },
	[UNTIL] = { "UNTIL", SCOLS_JSON_STRING },   [PINS] = { "PINS", SCOLS_JSON_NUMBER },
	[SIZE] = { "SIZE", SCOLS_JSON_NUMBER },     [BY] = { "BY", SCOLS_JSON_STRING },
};

/* One table for all repositories. */
static struct libscols_table *table;

struct look {
	const struct options *options;
	const struct repo *repo;
	struct store store;
	struct readers readers;
	struct numbers stuck;
	struct meta_latest latest;
	bool foreign; /* Portage makes snapshots here */
	bool pinned;  /* some snapshot is */
};

static struct libscols_line *add_row(const struct look *look, const char *item, const char *state)
{
	struct libscols_line *line = table_line(table);

	table_set_foreign(line, REPO, look->repo->name, look->options->json);
	table_set(line, ITEM, alloc_copy(item));
	table_set(line, STATE, alloc_copy(state));
	return line;
}

static void set_by(const struct look *look, struct libscols_line *line, char *text)
{
	if (text)
		table_set_foreign(line, BY, text, look->options->json);
	free(text);
}

/* ---- snapshots ---- */

static const char *const states[] = {
	[RECLAIM_GONE] = "free",       [RECLAIM_LATEST] = "latest",   [RECLAIM_KEPT] = "kept",
	[RECLAIM_SPARE] = "spare",     [RECLAIM_YOUNG] = "young",     [RECLAIM_PINNED] = "pinned",
	[RECLAIM_UNKNOWN] = "unknown", [RECLAIM_DAMAGED] = "damaged",
};

/* What is behind the state: the name of a kept one, who has it pinned, what cannot be said. */
static char *reason_text(const struct look *look, uint64_t number, enum reclaim_why why,
			 const struct meta *meta)
{
	char *holders = look_holders(&look->readers, number);

	if (why == RECLAIM_KEPT && meta->name[0]) {
		char *both = alloc_printf("keep --name %s%s%s", meta->name, holders ? "; " : "",
					  holders ? holders : "");

		free(holders);
		return both;
	}
	if (holders)
		return holders;
	if (why == RECLAIM_PINNED)
		return alloc_copy("a process that cannot be seen from here");
	if (why == RECLAIM_UNKNOWN)
		return alloc_copy("only the store's owner may ask for its pin");
	if (why == RECLAIM_DAMAGED)
		return alloc_printf(STORE_META "/%ju is damaged: it may be a kept one", (uintmax_t)number);
	if (why != RECLAIM_GONE)
		return NULL;
	const bool never = meta_unpublished(meta, &look->latest);
	return alloc_copy(never ? "it was never the latest: the next gc takes it" : "the next gc takes it");
}

static void add_snapshot(void *context, uint64_t number, enum reclaim_why why)
{
	const int64_t ttl = (int64_t)24 * 60 * 60;
	struct err damaged = ERR_NONE;
	struct look *look = context;
	struct meta meta;

	if (meta_read(&look->store, number, &meta, &damaged) != 0)
		meta = (struct meta){ .published = 0 };
	struct libscols_line *line = add_row(look, "snapshot", states[why]);
	table_set(line, NUMBER, alloc_printf("%" PRIu64, number));
	if (why == RECLAIM_YOUNG && meta.retired != 0)
		table_set(line, UNTIL,
			  command_time(meta.retired + ttl * look->repo->ttl_days, look->options->json));
	table_set(line, PINS, alloc_printf("%zu", look_count(&look->readers, number)));
	set_by(look, line, reason_text(look, number, why, &meta));
	look->foreign |= meta.published == 0 && damaged.status == STATUS_DONE;
	look->pinned |= why == RECLAIM_PINNED || look_count(&look->readers, number) != 0;
	if (why == RECLAIM_PINNED)
		numbers_add(&look->stuck, number);
}

/* ---- what else there is ---- */

static void add_hold(const struct look *look)
{
	struct err ignored = ERR_NONE;
	struct held held;

	if (held_read(&look->store, &held, &ignored) != 0 || held.number == 0)
		return;
	struct libscols_line *line = add_row(look, "hold", "held");
	char *since = command_time(held.since, false);
	table_set(line, NUMBER, alloc_printf("%" PRIu64, held.number));
	set_by(look, line,
	       alloc_printf("rollback --hold, since %s: until sync --force", since ? since : "?"));
	free(since);
}

/* Space that it takes, of what no snapshot has; nothing where we may not look. */
static void set_size(const struct look *look, struct libscols_line *line, const char *name)
{
	uint64_t files, bytes, own;
	struct err ignored = ERR_NONE;

	progress_step("measuring %s", name);
	if (tree_measure(look->store.dir, name, &files, &bytes, &own, &ignored) == 0)
		table_set(line, SIZE, look_size(own, look->options->json));
}

static void add_trash(const struct look *look)
{
	DIR *trash = directory_open(look->store.dir, STORE_TRASH);

	if (trash && directory_next(trash)) {
		struct libscols_line *line = add_row(look, "trash", "free");

		set_size(look, line, STORE_TRASH);
		set_by(look, line, alloc_copy("the next gc or sync deletes it"));
	}
	if (trash)
		closedir(trash);
}

/* What a guard has beside its tree: the one row that is no tree. */
static bool is_scratch(const char *id)
{
	const size_t length = strlen(id), cut = strlen(GUARD_SCRATCH_SUFFIX);

	return length > cut && strcmp(id + length - cut, GUARD_SCRATCH_SUFFIX) == 0;
}

static void add_staged(const struct look *look, const char *id, const struct reservation *reservation)
{
	/* Whose name was there before we asked: a writer that has ended meanwhile has left it, or it is gone. */
	const bool writing = store_is_locked(&look->store);
	const bool reserved = reservation->staging && strcmp(id, reservation->staging) == 0;
	struct libscols_line *line = add_row(look, "staging",
					     reserved  ? "reserved"
					     : writing ? "in use"
						       : "left");
	char *name = alloc_printf(STORE_STAGING "/%s", id);

	if (look->options->measure)
		set_size(look, line, name);
	if (reserved)
		set_by(look, line, alloc_printf("begin, for %s", reservation->text));
	else if (!writing)
		set_by(look, line,
		       alloc_printf("by a writer that died or was refused: the next takes it away: %s",
				    name));
	else
		set_by(look, line,
		       alloc_printf("%s: %s",
				    is_scratch(id) ? "what its guard holds apart" : "a writer at work",
				    name));
	free(name);
}

static void add_staging(const struct look *look)
{
	struct reservation reservation = { .staging = NULL };
	struct err ignored = ERR_NONE;
	const struct dirent *entry;
	DIR *staging = directory_open(look->store.dir, STORE_STAGING);

	reservation_look(&look->store, &reservation, &ignored);
	while (staging && (entry = directory_next(staging)))
		add_staged(look, entry->d_name, &reservation);
	if (staging)
		closedir(staging);
	reservation_release(&reservation);
}

/* What would have been deleted, and is kept for the next staging tree. */
static void add_spare(const struct look *look)
{
	const struct store *store = &look->store;
	struct err ignored = ERR_NONE;
	struct measure measured;
	uint64_t number;

	if (store->storage->look_spare(store, &number, NULL, &ignored) != 1)
		return;
	struct libscols_line *line = add_row(look, "spare", "ready");
	if (number != 0)
		table_set(line, NUMBER, alloc_printf("%" PRIu64, number));
	if (look->options->measure) {
		progress_step("measuring the spare");
		if (store->storage->look_spare(store, &number, &measured, &ignored) == 1)
			table_set(line, SIZE, look_size(measured.own, look->options->json));
	}
	set_by(look, line, alloc_copy("the next tree is made from it; gc deletes it"));
}

/*
 * Portage collects by its own rules. It is taken for one that does where the repository is from its files, or it has
 * published here.
 */
static void add_portage(const struct look *look)
{
	if (!look->pinned || (!look->foreign && !look->repo->from_portage))
		return;
	set_by(look, add_row(look, "portage", "warning"),
	       alloc_copy("an emerge --sync that does not use rcu-repo may delete pinned snapshots"));
}

static int status_store(struct look *look, struct err *err)
{
	const struct reclaim_rules rules = { .spares = look->repo->spares,
					     .ttl_days = look->repo->ttl_days,
					     .dry_run = true };
	struct numbers numbers = { .list = NULL };
	struct err ignored = ERR_NONE;
	int result = readers_find(&look->store, &look->readers, err);

	meta_latest_read(&look->store, &look->latest, &ignored);
	if (result == 0)
		result = command_numbers(&look->store, &numbers, err);
	numbers_release(&numbers);
	if (result != 0)
		return -1;
	/* What it cannot say of one snapshot does not keep it from the rest. */
	result = reclaim(&look->store, &rules, add_snapshot, look, err);
	add_hold(look);
	add_staging(look);
	add_spare(look);
	add_trash(look);
	add_portage(look);
	progress_end();
	if (look->readers.hidden)
		note(look->repo->name, "processes that we may not look into: %zu", look->readers.hidden);
	look_warn_stuck(look->repo, &look->store, &look->stuck);
	return result;
}

static int status_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct look look = { .options = options, .repo = repo, .store = STORE_CLOSED };

	if (command_unsynced(repo))
		return 0;
	int result = store_open(&look.store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0)
		result = status_store(&look, err);
	readers_release(&look.readers);
	numbers_release(&look.stuck);
	store_close(&look.store);
	return result;
}

int cmd_status(const struct options *options)
{
	table = table_new("status", columns, sizeof(columns) / sizeof(columns[0]), options->json);
	int status = command_each(options, false, status_repo);

	table_print(table);
	return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/commands/look.h"
#include "helper/commands/progress.h"
#include "helper/commands/table.h"
#include "helper/snapshot/storage.h"
#include "helper/store/meta.h"

enum {
	NUMBER,
	STATE,
	NAME,
	PUBLISHED,
	RETIRED,
	AGE,
	PINS,
	FILES,
	SIZE,
	OWN,
	SHARED,
	COLUMNS
};

static const struct table_column columns[] = {
	[NUMBER] = { "NUMBER", SCOLS_JSON_NUMBER },   [STATE] = { "STATE", SCOLS_JSON_STRING },
	[NAME] = { "NAME", SCOLS_JSON_STRING },       [PUBLISHED] = { "PUBLISHED", SCOLS_JSON_STRING },
	[RETIRED] = { "RETIRED", SCOLS_JSON_STRING }, [AGE] = { "AGE", SCOLS_JSON_NUMBER },
	[PINS] = { "PINS", SCOLS_JSON_NUMBER },       [FILES] = { "FILES", SCOLS_JSON_NUMBER },
	[SIZE] = { "SIZE", SCOLS_JSON_NUMBER },       [OWN] = { "OWN", SCOLS_JSON_NUMBER },
	[SHARED] = { "SHARED", SCOLS_JSON_NUMBER },
};

struct listing {
	const struct store *store;
	struct libscols_table *table;
	const struct readers *readers;
	struct meta_latest latest;
	bool json, measure;
};

/* Works without the lock: a snapshot that is reclaimed meanwhile is left out. */
static bool is_gone(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(number, name);
	return !store_has(store, name);
}

/*
 * What cannot be measured, such as a directory that is not ours to read, is no reason not to list the snapshot. False:
 * it is gone.
 */
static bool measure(const struct listing *listing, uint64_t number, struct measure *measured, bool *known)
{
	struct err err = ERR_NONE;

	listing->store->storage->measure(listing->store, number, measured, &err);
	*known = err.status == STATUS_DONE;
	if (*known)
		return true;
	if (is_gone(listing->store, number))
		return false;
	progress_end();
	warn(listing->store->path, "snapshot %" PRIu64 " cannot be measured: %s", number, err.text);
	return true;
}

static void set_measure(const struct listing *listing, struct libscols_line *line,
			const struct measure *measured)
{
	table_set(line, FILES, alloc_printf("%" PRIu64, measured->files));
	table_set(line, SIZE, look_size(measured->bytes, listing->json));
	table_set(line, OWN, look_size(measured->own, listing->json));
	table_set(line, SHARED, look_size(measured->bytes - measured->own, listing->json));
}

static const char *state_of(const struct listing *listing, uint64_t number, const struct meta *meta,
			    bool damaged)
{
	if (number == listing->latest.number)
		return "latest";
	if (damaged || meta->kept)
		return damaged ? "damaged" : "kept";
	return meta_unpublished(meta, &listing->latest) ? "unpublished" : "retired";
}

static void list_one(const struct listing *listing, uint64_t number)
{
	struct err damaged = ERR_NONE;
	struct measure measured;
	struct meta meta;
	bool known = false;

	if (meta_read(listing->store, number, &meta, &damaged) != 0) {
		meta = (struct meta){ .published = 0 };
		err_print(&damaged);
	}
	if (listing->measure && !measure(listing, number, &measured, &known))
		return;
	struct libscols_line *line = table_line(listing->table);
	table_set(line, NUMBER, alloc_printf("%" PRIu64, number));
	table_set(line, STATE, alloc_copy(state_of(listing, number, &meta, damaged.status != STATUS_DONE)));
	if (meta.kept && meta.name[0])
		table_set_foreign(line, NAME, meta.name, listing->json);
	if (number == listing->latest.number || !meta_unpublished(&meta, &listing->latest)) {
		table_set(line, PUBLISHED, command_time(meta.published, listing->json));
		table_set(line, RETIRED, command_time(meta.retired, listing->json));
		table_set(line, AGE, look_age(meta.published, listing->json));
	}
	table_set(line, PINS, alloc_printf("%zu", look_count(listing->readers, number)));
	if (known)
		set_measure(listing, line, &measured);
}

static int list_store(const struct options *options, const struct store *store, struct err *err)
{
	/* For programs there is one form: what was not measured is null. */
	const size_t shown = options->json || options->measure ? COLUMNS : FILES;
	struct listing listing = { .store = store, .json = options->json, .measure = options->measure };
	struct readers readers = { .list = NULL };
	struct numbers numbers = { .list = NULL };
	int result = -1;

	if (meta_latest_read(store, &listing.latest, err) == 0 &&
	    command_numbers(store, &numbers, err) == 0 && readers_find(store, &readers, err) == 0) {
		listing.readers = &readers;
		listing.table = table_new("snapshots", columns, shown, options->json);
		for (size_t i = 0; i < numbers.count; i++) {
			if (options->measure)
				progress_step("measuring snapshot %ju", (uintmax_t)numbers.list[i]);
			list_one(&listing, numbers.list[i]);
		}
		progress_end();
		table_print(listing.table);
		result = 0;
	}
	readers_release(&readers);
	numbers_release(&numbers);
	return result;
}

static int list_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0)
		result = list_store(options, &store, err);
	store_close(&store);
	return result;
}

int cmd_list(const struct options *options)
{
	return command_each(options, true, list_repo);
}

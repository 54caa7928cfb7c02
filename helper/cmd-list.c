/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper/alloc.h"
#include "helper/command.h"
#include "helper/meta.h"
#include "helper/readers.h"
#include "helper/snapshot/storage.h"
#include "helper/table.h"

enum {
	NUMBER,
	PUBLISHED,
	RETIRED,
	FILES,
	SIZE,
	OWN,
	PINS,
	STATE
};

static const struct table_column columns[] = {
	[NUMBER] = { "NUMBER", SCOLS_JSON_NUMBER },   [PUBLISHED] = { "PUBLISHED", SCOLS_JSON_STRING },
	[RETIRED] = { "RETIRED", SCOLS_JSON_STRING }, [FILES] = { "FILES", SCOLS_JSON_NUMBER },
	[SIZE] = { "SIZE", SCOLS_JSON_NUMBER },       [OWN] = { "OWN", SCOLS_JSON_NUMBER },
	[PINS] = { "PINS", SCOLS_JSON_NUMBER },       [STATE] = { "STATE", SCOLS_JSON_STRING },
};

struct listing {
	const struct store *store;
	struct libscols_table *table;
	const struct readers *readers;
	uint64_t latest;
	bool json;
};

/* "1.5G" for people, bytes for programs. */
static char *size_text(uint64_t bytes, bool json)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	if (json || bytes < 1024)
		return alloc_printf("%" PRIu64 "%s", bytes, json ? "" : "B");
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	return alloc_printf("%.1f%c", value, units[unit]);
}

static size_t pins_of(const struct readers *readers, uint64_t number)
{
	size_t count = 0;

	for (size_t i = 0; i < readers->count; i++)
		count += readers->list[i].number == number;
	return count;
}

/* Works without the lock: a snapshot that is reclaimed meanwhile is left out. */
static bool is_gone(const struct store *store, uint64_t number)
{
	struct numbers numbers;
	struct err unused = ERR_NONE;
	bool found = store_numbers(store, &numbers, NULL, NULL, &unused) != 0;

	for (size_t i = 0; i < numbers.count; i++)
		found |= numbers.list[i] == number;
	numbers_release(&numbers);
	return !found;
}

static void set_measure(const struct listing *listing, struct libscols_line *line,
			const struct measure *measure)
{
	table_set(line, FILES, alloc_printf("%" PRIu64, measure->files));
	table_set(line, SIZE, size_text(measure->bytes, listing->json));
	table_set(line, OWN, size_text(measure->own, listing->json));
}

/* What cannot be measured, such as a directory that is not ours to read, is no reason not to list the snapshot. */
static int list_one(const struct listing *listing, uint64_t number, struct err *err)
{
	struct err unmeasured = ERR_NONE;
	struct libscols_line *line;
	struct measure measure;
	struct meta meta;

	if (meta_read(listing->store, number, &meta, err) != 0)
		return -1;
	listing->store->storage->measure(listing->store, number, &measure, &unmeasured);
	if (unmeasured.status != STATUS_DONE && is_gone(listing->store, number))
		return 0;
	line = table_line(listing->table);
	if (unmeasured.status == STATUS_DONE)
		set_measure(listing, line, &measure);
	else
		warn(listing->store->path, "snapshot %" PRIu64 " cannot be measured: %s", number,
		     unmeasured.text);
	table_set(line, NUMBER, alloc_printf("%" PRIu64, number));
	table_set(line, PUBLISHED, command_time(meta.published, listing->json));
	table_set(line, RETIRED, command_time(meta.retired, listing->json));
	table_set(line, PINS, alloc_printf("%zu", pins_of(listing->readers, number)));
	table_set(line, STATE,
		  alloc_copy(number == listing->latest ? "latest"
			     : meta.kept               ? "kept"
						       : "retired"));
	return 0;
}

static int list_all(struct listing *listing, const struct numbers *numbers, struct err *err)
{
	for (size_t i = 0; i < numbers->count; i++)
		if (list_one(listing, numbers->list[i], err) != 0)
			return -1;
	return 0;
}

static int list_store(const struct options *options, const struct store *store, struct err *err)
{
	struct listing listing = { .store = store, .json = options->json };
	struct readers readers = { .list = NULL };
	struct numbers numbers = { .list = NULL };
	int result = -1;

	if (store_latest(store, &listing.latest, err) == 0 && command_numbers(store, &numbers, err) == 0 &&
	    readers_find(store, &readers, err) == 0) {
		listing.readers = &readers;
		listing.table = table_new("snapshots", columns, sizeof(columns) / sizeof(columns[0]),
					  options->json);
		result = list_all(&listing, &numbers, err);
		table_print(listing.table);
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

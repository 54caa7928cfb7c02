/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/commands/look.h"
#include "helper/commands/table.h"

enum {
	REPO,
	SNAPSHOT,
	PID,
	NSPID,
	USER,
	SINCE,
	VIA,
	COMMAND
};

static const struct table_column columns[] = {
	[REPO] = { "REPO", SCOLS_JSON_STRING }, [SNAPSHOT] = { "SNAPSHOT", SCOLS_JSON_NUMBER },
	[PID] = { "PID", SCOLS_JSON_NUMBER },   [NSPID] = { "NSPID", SCOLS_JSON_NUMBER },
	[USER] = { "USER", SCOLS_JSON_STRING }, [SINCE] = { "SINCE", SCOLS_JSON_STRING },
	[VIA] = { "VIA", SCOLS_JSON_STRING },   [COMMAND] = { "COMMAND", SCOLS_JSON_STRING },
};

/* One table for all repositories: it is made before the first and printed after the last. */
static struct libscols_table *table;

static const char *const ways[] = {
	[READER_MAPPED] = "mapping",
	[READER_OPEN] = "descriptor",
	[READER_NAMESPACE] = "namespace",
};

static void add_reader(const struct options *options, const struct repo *repo, const struct reader *reader)
{
	struct libscols_line *line = table_line(table);

	char *user = look_user(reader->uid);

	table_set_foreign(line, REPO, repo->name, options->json);
	table_set(line, SNAPSHOT, alloc_printf("%" PRIu64, reader->number));
	table_set(line, PID, alloc_printf("%jd", (intmax_t)reader->pid));
	if (reader->inner != 0)
		table_set(line, NSPID, alloc_printf("%jd", (intmax_t)reader->inner));
	table_set_foreign(line, USER, user, options->json);
	table_set(line, SINCE, command_time(reader->since, options->json));
	table_set(line, VIA, alloc_copy(ways[reader->via]));
	table_set_foreign(line, COMMAND, reader->command, options->json);
	free(user);
}

static int readers_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct readers readers = { .list = NULL };
	struct store store = STORE_CLOSED;

	if (command_unsynced(repo))
		return 0;
	int result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0)
		result = readers_find(&store, &readers, err);
	for (size_t i = 0; result == 0 && i < readers.count; i++)
		add_reader(options, repo, &readers.list[i]);
	if (result == 0 && readers.hidden)
		note(repo->name, "processes that we may not look into: %zu", readers.hidden);
	readers_release(&readers);
	store_close(&store);
	return result;
}

int cmd_readers(const struct options *options)
{
	table = table_new("readers", columns, sizeof(columns) / sizeof(columns[0]), options->json);
	int status = command_each(options, false, readers_repo);

	table_print(table);
	return status;
}

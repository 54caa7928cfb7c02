/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/held.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ini.h>

#include "helper/base/alloc.h"

/* For inih: 1 is good. */
static int held_line(void *user, const char *section, const char *key, const char *value)
{
	struct held *held = user;
	int used = 0;

	(void)section;
	if (strcmp(key, "number") == 0)
		return snapshot_number_parse(value, strlen(value), &held->number);
	if (strcmp(key, "since") == 0)
		return sscanf(value, "%" SCNd64 "%n", &held->since, &used) == 1 && value[used] == '\0';
	return 1;
}

int held_read(const struct store *store, struct held *held, struct err *err)
{
	uint64_t latest;
	char *text;

	*held = (struct held){ .number = 0 };
	if (store_latest(store, &latest, err) != 0 || store_read_file(store, STORE_HOLD, &text, err) != 0)
		return -1;
	if (text == NULL)
		return 0;
	if (ini_parse_string(text, held_line, held) != 0 || held->number == 0)
		held->number = latest;
	free(text);
	if (held->number != latest)
		*held = (struct held){ .number = 0 };
	return 0;
}

int held_write(const struct store *store, uint64_t number, struct err *err)
{
	char *text = alloc_printf("number = %" PRIu64 "\nsince = %" PRId64 "\n", number, (int64_t)time(NULL));
	int result = store_write_file(store, STORE_HOLD, text, 0644, err);

	free(text);
	return result;
}

int held_remove(const struct store *store, struct err *err)
{
	if (unlinkat(store->dir, STORE_HOLD, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, STORE_HOLD ": unlink");
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/look.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>

#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/store/meta.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define HOLDERS_NAMED 3

char *look_user(uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);

	return entry ? alloc_copy(entry->pw_name) : alloc_printf("%ju", (uintmax_t)uid);
}

char *look_age(int64_t since, bool json)
{
	const int64_t now = time(NULL), age = now > since ? now - since : 0;

	if (since == 0)
		return NULL;
	if (json || age < 2 * MINUTE)
		return alloc_printf("%" PRId64 "%s", age, json ? "" : "s");
	if (age < 2 * HOUR)
		return alloc_printf("%" PRId64 "m", age / MINUTE);
	if (age < 2 * DAY)
		return alloc_printf("%" PRId64 "h", age / HOUR);
	return alloc_printf("%" PRId64 "d", age / DAY);
}

char *look_size(uint64_t bytes, bool json)
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

size_t look_count(const struct readers *readers, uint64_t number)
{
	size_t count = 0;

	for (size_t i = 0; i < readers->count; i++)
		count += readers->list[i].number == number;
	return count;
}

static char *append(char *text, char *more)
{
	char *both = text ? alloc_printf("%s; %s", text, more) : alloc_copy(more);

	free(text);
	free(more);
	return both;
}

char *look_holders(const struct readers *readers, uint64_t number)
{
	const size_t all = look_count(readers, number);
	size_t named = 0;
	char *text = NULL;

	for (size_t i = 0; i < readers->count && named < HOLDERS_NAMED; i++) {
		const struct reader *reader = &readers->list[i];

		if (reader->number != number)
			continue;
		char *user = look_user(reader->uid), *since = command_time(reader->since, false);
		text = append(text, alloc_printf("pid %jd (%s) since %s: %s", (intmax_t)reader->pid, user,
						 since ? since : "?", reader->command));
		free(user);
		free(since);
		named++;
	}
	return all > named ? append(text, alloc_printf("and %zu more", all - named)) : text;
}

bool look_is_stuck(const struct repo *repo, int64_t retired)
{
	const int64_t days = repo->ttl_days > 0 ? repo->ttl_days : 1;

	return retired != 0 && time(NULL) - retired > days * DAY;
}

void look_warn_stuck(const struct repo *repo, const struct store *store, const struct numbers *pinned)
{
	struct readers readers = { .list = NULL };
	struct err ignored = ERR_NONE;
	bool looked = false;
	struct meta meta;

	for (size_t i = 0; i < pinned->count; i++) {
		const uint64_t number = pinned->list[i];

		if (meta_read(store, number, &meta, &ignored) != 0 || !look_is_stuck(repo, meta.retired))
			continue;
		/* All processes are looked at: only where there is something to be said. */
		if (!looked)
			readers_find(store, &readers, &ignored);
		looked = true;
		char *age = look_age(meta.retired, false), *by = look_holders(&readers, number);
		warn(repo->name,
		     "snapshot %ju, retired %s ago, is still pinned by %s (gc --force %ju overrules that)",
		     (uintmax_t)number, age, by ? by : "a process that cannot be seen from here",
		     (uintmax_t)number);
		free(age);
		free(by);
	}
	readers_release(&readers);
}

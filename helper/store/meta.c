/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ini.h>

#include "helper/base/alloc.h"

#define META_NAME_ROOM (sizeof(STORE_META) + SNAPSHOT_NUMBER_ROOM)

static void meta_name(uint64_t number, char *to)
{
	memcpy(to, STORE_META "/", sizeof(STORE_META));
	snapshot_number_format(number, to + sizeof(STORE_META));
}

static int time_parse(const char *value, int64_t *to)
{
	char *end;

	errno = 0;
	intmax_t number = strtoimax(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0)
		return 0;
	*to = number;
	return 1;
}

/* For inih: 1 is good. A key of a later version is passed over. */
static int meta_line(void *user, const char *section, const char *key, const char *value)
{
	struct meta *meta = user;

	(void)section;
	if (strcmp(key, "published") == 0)
		return time_parse(value, &meta->published);
	if (strcmp(key, "retired") == 0)
		return time_parse(value, &meta->retired);
	if (strcmp(key, "before") == 0)
		return strcmp(value, "0") == 0 || snapshot_number_parse(value, strlen(value), &meta->before);
	if (strcmp(key, "unpublished") == 0)
		meta->unpublished = strcmp(value, "yes") == 0;
	if (strcmp(key, "kept") == 0)
		meta->kept = strcmp(value, "yes") == 0;
	if (strcmp(key, "name") == 0)
		return snprintf(meta->name, sizeof(meta->name), "%s", value) < (int)sizeof(meta->name);
	if (strcmp(key, "staged") == 0)
		snprintf(meta->staged, sizeof(meta->staged), "%s", value);
	return 1;
}

static bool meta_parse(const char *text, struct meta *meta)
{
	*meta = (struct meta){ .published = 0 };
	return ini_parse_string(text, meta_line, meta) == 0;
}

int meta_read(const struct store *store, uint64_t number, struct meta *meta, struct err *err)
{
	char name[META_NAME_ROOM], *text;
	int result;

	*meta = (struct meta){ .published = 0 };
	meta_name(number, name);
	if ((result = store_read_file(store, name, &text, err)) != 0)
		return result;
	if (text != NULL && !meta_parse(text, meta)) {
		err_fail(err, STATUS_FAILED, store->path, "%s is damaged", name);
		*meta = (struct meta){ .published = 0 };
		result = 1;
	}
	free(text);
	return result;
}

static int write_flushed(const struct store *store, uint64_t number, const struct meta *meta, bool flush,
			 struct err *err)
{
	char name[META_NAME_ROOM];
	struct meta back;
	int result;

	meta_name(number, name);
	char *text = alloc_printf("published = %" PRId64 "\nretired = %" PRId64 "\nbefore = %" PRIu64
				  "\nunpublished = %s\nkept = %s\nname = %s\nstaged = %s\n",
				  meta->published, meta->retired, meta->before,
				  meta->unpublished ? "yes" : "no", meta->kept ? "yes" : "no", meta->name,
				  meta->staged);
	/* The format has comments and drops blanks: a name that would not come back is refused. */
	if (!meta_parse(text, &back) || strcmp(back.name, meta->name) != 0 || back.kept != meta->kept ||
	    back.published != meta->published || back.retired != meta->retired || back.before != meta->before)
		result = err_fail(err, STATUS_USAGE, store->path, "\"%s\" cannot be the name of a snapshot",
				  meta->name);
	else if (flush)
		result = store_write_file(store, name, text, 0644, err);
	else
		result = store_write_soon(store, name, text, 0644, err);
	free(text);
	return result;
}

int meta_write(const struct store *store, uint64_t number, const struct meta *meta, struct err *err)
{
	return write_flushed(store, number, meta, store->durable || meta->kept, err);
}

int meta_prepare(const struct store *store, uint64_t number, const struct meta *meta, struct err *err)
{
	return write_flushed(store, number, meta, false, err);
}

int meta_remove(const struct store *store, uint64_t number, struct err *err)
{
	char name[META_NAME_ROOM];

	meta_name(number, name);
	if (unlinkat(store->dir, name, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, "%s: unlink", name);
	return 0;
}

bool meta_name_good(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_+@:";
	const size_t length = strlen(name);

	return length > 0 && length < sizeof(((struct meta *)NULL)->name) && strchr(letters, name[0]) &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+@:-")] ==
		       '\0';
}

int meta_find(const struct store *store, const char *name, uint64_t *number, struct err *err)
{
	struct numbers numbers;

	*number = 0;
	if (store_numbers(store, &numbers, NULL, NULL, err) != 0)
		return -1;
	for (size_t i = 0; i < numbers.count && *number == 0; i++) {
		struct err damaged = ERR_NONE;
		struct meta meta;

		if (meta_read(store, numbers.list[i], &meta, &damaged) == 0 && meta.kept &&
		    strcmp(meta.name, name) == 0)
			*number = numbers.list[i];
	}
	numbers_release(&numbers);
	return 0;
}

/*
 * A snapshot cannot have been retired before it was published: this holds against a clock that was set back.
 */
static int meta_retire(const struct store *store, uint64_t number, struct meta *meta, struct err *err)
{
	const int64_t now = time(NULL);

	meta->retired = now > meta->published ? now : meta->published;
	return meta_write(store, number, meta, err);
}

int meta_latest_read(const struct store *store, struct meta_latest *latest, struct err *err)
{
	struct err damaged = ERR_NONE;

	*latest = (struct meta_latest){ .number = 0 };
	if (store_latest(store, &latest->number, err) != 0)
		return -1;
	latest->known = meta_read(store, latest->number, &latest->meta, &damaged) == 0;
	return 0;
}

bool meta_unpublished(const struct meta *meta, const struct meta_latest *latest)
{
	if (meta->unpublished || meta->published == 0 || meta->retired != 0)
		return meta->unpublished;
	return latest->number != 0 && meta->before == latest->number && latest->known &&
	       latest->meta.retired == 0;
}

/* What settling goes by: the same for all snapshots of one run. */
struct settling {
	struct meta_latest latest;
	int64_t now;
	/*
	 * Was the latest snapshot published before now? If not, either the clock was ahead then or it is
	 * behind now, as on a machine without a battery before it has asked the network. Nothing is judged by
	 * such a clock: it would make snapshots old that are not.
	 */
	bool clock_agrees;
};

static int settle_one(const struct store *store, const struct settling *settling, uint64_t number,
		      struct err *err)
{
	struct err damaged = ERR_NONE;
	struct meta meta;

	/* One damaged file does not stop every writer: reclaim() leaves its snapshot alone and reports it. */
	if (meta_read(store, number, &meta, &damaged) != 0)
		return 0;
	if (number == settling->latest.number) {
		if (meta.retired == 0 && !meta.unpublished)
			return 0;
		meta.retired = 0;
		meta.unpublished = false;
		return meta_write(store, number, &meta, err);
	}
	meta.unpublished = meta_unpublished(&meta, &settling->latest);
	if (meta.retired == 0)
		return meta_retire(store, number, &meta, err);
	if (meta.retired <= settling->now || !settling->clock_agrees)
		return 0;
	/* The clock was ahead when it was retired: it would stay young for as long as that. */
	meta.retired = settling->now;
	return meta_write(store, number, &meta, err);
}

int meta_settle(const struct store *store, struct err *err)
{
	struct settling settling = { .now = time(NULL) };
	struct numbers numbers;

	if (store_numbers(store, &numbers, NULL, NULL, err) != 0)
		return -1;
	/* After the list: what another writer publishes in between is not in it, so it is not retired. */
	const struct meta_latest *latest = &settling.latest;
	int result = meta_latest_read(store, &settling.latest, err);
	settling.clock_agrees = latest->known && latest->meta.published <= settling.now;
	for (size_t i = 0; result == 0 && i < numbers.count; i++)
		if (numbers.list[i] != latest->number)
			result = settle_one(store, &settling, numbers.list[i], err);
	/* Killed before this we judge the others by the same the next time: meta_unpublished(). */
	for (size_t i = 0; result == 0 && i < numbers.count; i++)
		if (numbers.list[i] == latest->number)
			result = settle_one(store, &settling, numbers.list[i], err);
	numbers_release(&numbers);
	return result;
}

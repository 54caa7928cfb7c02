/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/pin.h"
#include "helper/store/reservation.h"
#include "helper/store/trust.h"

#define TEXT_MAX 1024

void problem_add(struct problems *problems, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	problems->list = alloc_grow(problems->list, problems->count + 1, sizeof(*problems->list));
	problems->list[problems->count++] = alloc_copy(text);
}

bool problem_is(const struct problems *problems, const char *line)
{
	for (size_t i = 0; i < problems->count; i++)
		if (strcmp(problems->list[i], line) == 0)
			return true;
	return false;
}

void problems_release(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		free(problems->list[i]);
	free(problems->list);
	*problems = (struct problems)PROBLEMS_NONE;
}

/* ---- the directories ---- */

static const struct {
	const char *name;
	mode_t mode; /* 0: as it is */
} layout[] = {
	{ STORE_SNAPSHOTS, 0 }, { STORE_OURS, 0755 },    { STORE_PINS, 0755 },  { STORE_META, 0755 },
	{ STORE_RECORD, 0755 }, { STORE_STAGING, 0755 }, { STORE_TRASH, 0700 },
};

static void check_layout(const struct store *store, struct problems *problems)
{
	struct err err = ERR_NONE;
	struct stat st;

	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++) {
		const char *name = layout[i].name;

		if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			problem_add(problems, "%s: %s", name, strerror(errno));
		else if (!S_ISDIR(st.st_mode))
			problem_add(problems, "%s: is no directory", name);
		else if (layout[i].mode != 0 && (st.st_mode & 07777) != layout[i].mode)
			problem_add(problems, "%s: has mode %04o, not %04o", name,
				    (unsigned)st.st_mode & 07777, (unsigned)layout[i].mode);
	}
	if (trust_path(store->path, store->sync_user, &err) != 0)
		problem_add(problems, "%s", err.text);
}

static void report_foreign(void *context, const char *name)
{
	problem_add(context, "%s/%s: is no snapshot: Portage takes every name here for a number",
		    STORE_SNAPSHOTS, name);
}

/* ---- what is published ---- */

static void check_latest(const struct store *store, const struct numbers *numbers, struct problems *problems)
{
	struct err err = ERR_NONE;
	uint64_t latest;

	if (store_latest(store, &latest, &err) != 0) {
		problem_add(problems, STORE_LATEST ": is no link to " STORE_SNAPSHOTS "/N");
		return;
	}
	for (size_t i = 0; i < numbers->count; i++)
		if (numbers->list[i] == latest)
			return;
	if (latest != 0)
		problem_add(problems,
			    STORE_LATEST ": names snapshot %" PRIu64
					 ", which is not there (rcu-repo rollback REPO N)",
			    latest);
	else if (numbers->count != 0)
		problem_add(problems, STORE_LATEST ": is missing (rcu-repo rollback REPO N)");
}

static void check_location(const struct store *store, const struct repo *repo, struct problems *problems)
{
	struct err err = ERR_NONE;
	char *path = NULL;

	if (pin_find_store(repo->location, &path, &err) != 0)
		problem_add(problems, "%s", err.text);
	else if (strcmp(path, store->path) != 0)
		problem_add(problems, "%s: leads to the store %s", repo->location, path);
	free(path);
}

/* ---- files of ours ---- */

static void check_meta(const struct store *store, const struct numbers *numbers, struct problems *problems)
{
	struct meta meta;

	for (size_t i = 0; i < numbers->count; i++) {
		struct err err = ERR_NONE;

		if (meta_read(store, numbers->list[i], &meta, &err) != 0)
			problem_add(problems, STORE_META "/%" PRIu64 ": cannot be read as what it is",
				    numbers->list[i]);
	}
}

/* "" if it is as it should be. A missing one is what a snapshot of Portage has until our next command. */
static const char *pin_fault(const struct store *store, uint64_t number, struct stat *st)
{
	char name[STORE_NAME_ROOM];

	pin_name(number, name);
	if (fstatat(store->dir, name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? "is missing: nobody can pin that snapshot" : strerror(errno);
	if (!S_ISREG(st->st_mode) || st->st_size != 0)
		return "is no empty file";
	if ((st->st_mode & 07777) != 0644)
		return "has not mode 0644";
	return st->st_uid != store->uid ? "does not belong to the store's owner" : "";
}

static void check_pins(const struct store *store, const struct numbers *numbers, struct problems *problems)
{
	struct stat st;

	for (size_t i = 0; i < numbers->count; i++) {
		const char *fault = pin_fault(store, numbers->list[i], &st);

		if (fault[0])
			problem_add(problems, STORE_PINS "/%" PRIu64 ": %s", numbers->list[i], fault);
	}
}

static void check_high_water(const struct store *store, struct problems *problems)
{
	struct err err = ERR_NONE;
	uint64_t highest;

	if (store_highest(store, &highest, &err) != 0 && strstr(err.text, STORE_HIGH_WATER))
		problem_add(problems, STORE_HIGH_WATER ": is no number");
}

/* ---- what a writer left that died ---- */

static bool ends_with(const char *text, const char *end)
{
	const size_t length = strlen(text), cut = strlen(end);

	return length > cut && strcmp(text + length - cut, end) == 0;
}

static void find_left(const struct store *store, const char *dir, const char *end, const char *but,
		      struct problems *problems)
{
	DIR *list = directory_open(store->dir, dir);
	const struct dirent *entry;

	while (list && (entry = directory_next(list)))
		if ((!end || ends_with(entry->d_name, end)) && (!but || strcmp(entry->d_name, but) != 0))
			problem_add(problems, "%s/%s: was left by a writer that died", dir, entry->d_name);
	if (list)
		closedir(list);
}

static void check_left(const struct store *store, struct problems *problems)
{
	struct reservation reservation = { .staging = NULL };
	struct problems left = PROBLEMS_NONE;
	struct err ignored = ERR_NONE;

	problems->busy = store_is_locked(store);
	reservation_look(store, &reservation, &ignored);
	find_left(store, STORE_OURS, ".new", NULL, &left);
	find_left(store, STORE_META, ".new", NULL, &left);
	find_left(store, STORE_PINS, PIN_DEAD, NULL, &left);
	find_left(store, STORE_STAGING, NULL, reservation.staging, &left);
	if (store_has(store, STORE_MIGRATION))
		problem_add(&left, STORE_MIGRATION ": a migration is half done");
	reservation_release(&reservation);
	/* Both before and behind the look: what a writer has under way is no fault. */
	problems->busy |= store_is_locked(store);
	for (size_t i = 0; !problems->busy && i < left.count; i++)
		problem_add(problems, "%s", left.list[i]);
	problems_release(&left);
}

void check_store(const struct store *store, const struct repo *repo, struct problems *problems)
{
	struct err err = ERR_NONE;
	struct numbers numbers;

	check_layout(store, problems);
	if (store_numbers(store, &numbers, report_foreign, problems, &err) != 0)
		problem_add(problems, "%s", err.text);
	check_latest(store, &numbers, problems);
	check_location(store, repo, problems);
	check_meta(store, &numbers, problems);
	check_pins(store, &numbers, problems);
	check_high_water(store, problems);
	check_left(store, problems);
	numbers_release(&numbers);
}

/* ---- mending ---- */

/*
 * A number above all that were ever used here, as far as anything shows: pin files are made 64 ahead, so the highest of
 * them is one.
 */
static void repair_high_water(struct store *store)
{
	static const char *const places[] = { STORE_SNAPSHOTS, STORE_PINS, STORE_META, STORE_RECORD };
	struct problems found = PROBLEMS_NONE;
	uint64_t highest = 0;
	bool known = true;

	check_high_water(store, &found);
	for (size_t i = 0; found.count != 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		struct err ignored = ERR_NONE;
		struct numbers numbers;

		if (store_names(store, places[i], "", &numbers, &ignored) != 0)
			known = false;
		else if (numbers.count != 0 && numbers.list[numbers.count - 1] > highest)
			highest = numbers.list[numbers.count - 1];
		numbers_release(&numbers);
	}
	if (highest != 0 && known) {
		struct err ignored = ERR_NONE;
		char *text = alloc_printf("%" PRIu64 "\n", highest);

		store_write_file(store, STORE_HIGH_WATER, text, 0644, &ignored);
		free(text);
	}
	problems_release(&found);
}

/* What it said is lost; that it may have been a kept one is not. */
static void repair_meta(const struct store *store, uint64_t number, uint64_t latest)
{
	const struct meta kept = { .kept = true, .retired = number == latest ? 0 : time(NULL) };
	struct err damaged = ERR_NONE, ignored = ERR_NONE;
	struct meta meta;

	if (meta_read(store, number, &meta, &damaged) == 1)
		meta_write(store, number, &kept, &ignored);
}

/*
 * A pin file keeps its inode: readers may have it. What is none has no reader, and store_make_pins() makes one in its
 * place.
 */
static void repair_pin(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];
	struct stat st;

	if (pin_fault(store, number, &st)[0] == '\0')
		return;
	pin_name(number, name);
	int fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		if (fchmod(fd, 0644) == 0 && st.st_uid != store->uid)
			(void)!fchown(fd, store->uid, store->gid);
	} else if (fd < 0 && errno == ELOOP) {
		unlinkat(store->dir, name, 0);
	}
	if (fd >= 0)
		close(fd);
}

void check_repair(struct store *store)
{
	struct err ignored = ERR_NONE;
	struct numbers numbers;
	uint64_t latest = 0;

	unlinkat(store->dir, STORE_OURS "/latest.new", 0);
	unlinkat(store->dir, STORE_OURS "/pin.new", 0);
	repair_high_water(store);
	store_latest(store, &latest, &ignored);
	if (store_numbers(store, &numbers, NULL, NULL, &ignored) != 0)
		return;
	for (size_t i = 0; i < numbers.count; i++) {
		repair_meta(store, numbers.list[i], latest);
		repair_pin(store, numbers.list[i]);
	}
	numbers_release(&numbers);
	store_make_pins(store, &ignored);
}

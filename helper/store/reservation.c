/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/reservation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <ini.h>

#include "helper/base/alloc.h"
#include "helper/base/identity.h"
#include "helper/snapshot/storage.h"
#include "helper/store/meta.h"
#include "helper/store/reclaim.h"

/* What a sealed tree has behind its ID; no ID ends like this. */
#define SEALED_SUFFIX ".sealed"

/* What the file says. */
struct reserved {
	char staging[128];
	char host[128];
	struct identity owner;
	int64_t since; /* CLOCK_REALTIME, for people */
	int64_t made;  /* CLOCK_BOOTTIME, to count by: void after a reboot anyway, and nobody sets it */
	bool good;     /* owner and both times were there */
	bool left;     /* it holds, but its tree is not in staging any more */
};

static int64_t seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec;
}

/* For inih: 1 is good. */
static int record_line(void *user, const char *section, const char *key, const char *value)
{
	struct reserved *record = user;
	int used = 0;

	(void)section;
	if (strcmp(key, "staging") == 0)
		return snprintf(record->staging, sizeof(record->staging), "%s", value) <
		       (int)sizeof(record->staging);
	if (strcmp(key, "host") == 0)
		snprintf(record->host, sizeof(record->host), "%s", value);
	if (strcmp(key, "owner") == 0)
		return record->good = identity_parse(value, &record->owner);
	if (strcmp(key, "since") == 0)
		return sscanf(value, "%" SCNd64 "%n", &record->since, &used) == 1 && value[used] == '\0';
	if (strcmp(key, "made") == 0)
		return sscanf(value, "%" SCNd64 "%n", &record->made, &used) == 1 && value[used] == '\0';
	return 1;
}

/* NULL: it is still good. Else why not. A file that cannot be read is not: then nobody can say whom it is for. */
static const char *record_void(const struct reserved *record)
{
	if (!record->good || record->staging[0] == '\0')
		return "its file is damaged";
	switch (identity_state(&record->owner)) {
	case IDENTITY_ALIVE:
		return NULL;
	case IDENTITY_ENDED:
		return record->owner.pid == 0 ? "the machine was started anew" : "that process has ended";
	case IDENTITY_UNSEEN:
		break;
	}
	const int64_t age = seconds(CLOCK_BOOTTIME) - record->made;
	return age >= 0 && age < RESERVATION_SECONDS ? NULL : "the day is over";
}

/*
 * Is there no tree of this name? Then it was published or thrown away, by somebody who died before he took the reservation
 * off; or somebody has put another thing in its place. It holds nothing any more, and kept alive it would keep every writer
 * out. -1 where that cannot be said: whoever took that for an answer would throw the tree away.
 */
static int is_left(const struct store *store, const char *staging, struct err *err)
{
	struct stat st;
	char *name = alloc_printf(STORE_STAGING "/%s", staging);
	int left;

	if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		left = !S_ISDIR(st.st_mode);
	else if (errno == ENOENT)
		left = 1;
	else
		left = err_errno(err, STATUS_FAILED, store->path, "%s", name);
	free(name);
	return left;
}

/* Its name, sealed or as `begin` made it; *name is NULL where it is left. The caller frees it. */
static int record_staging(const struct store *store, const struct reserved *record, char **name,
			  struct err *err)
{
	char *sealed = alloc_printf("%s" SEALED_SUFFIX, record->staging);
	int left = is_left(store, sealed, err);

	*name = left == 0 ? sealed : NULL;
	if (left == 0)
		return 0;
	free(sealed);
	if (left > 0)
		left = is_left(store, record->staging, err);
	if (left == 0)
		*name = alloc_copy(record->staging);
	return left < 0 ? -1 : 0;
}

static char *record_text(const struct reserved *record)
{
	char when[64] = "?";
	const time_t since = record->since;
	struct tm tm;

	if (localtime_r(&since, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &tm);
	if (record->owner.pid == 0)
		return alloc_printf("nobody in particular on %s, since %s, for a day", record->host, when);
	return alloc_printf("pid %jd on %s, since %s", (intmax_t)record->owner.pid, record->host, when);
}

/* 1: there is a file, which holds nothing, and *why. */
static int look(const struct store *store, struct reservation *reservation, struct reserved *record,
		const char **why, struct err *err)
{
	char *text;

	*reservation = (struct reservation){ .staging = NULL };
	*why = NULL;
	if (store_read_file(store, STORE_RESERVATION, &text, err) != 0)
		return -1;
	if (text == NULL)
		return 0;
	if (ini_parse_string(text, record_line, record) != 0)
		record->good = false;
	free(text);
	*why = record_void(record);
	char *staging;
	if (record_staging(store, record, &staging, err) != 0)
		return -1;
	record->left = *why == NULL && staging == NULL;
	if (record->left)
		*why = "a commit or an abort was cut short behind the end of the tree";
	if (*why != NULL) {
		free(staging);
		return 1;
	}
	reservation->staging = staging;
	reservation->id = alloc_copy(record->staging);
	reservation->text = record_text(record);
	return 0;
}

int reservation_look(const struct store *store, struct reservation *reservation, struct err *err)
{
	struct reserved record = { .good = false };
	const char *why;

	return look(store, reservation, &record, &why, err) < 0 ? -1 : 0;
}

/* The snapshot that the tree has become, and what is known of it; *number is 0 where there is none. */
static int find_published(const struct store *store, const struct reserved *record, uint64_t *number,
			  struct meta *meta, struct err *err)
{
	char *sealed = alloc_printf("%s" SEALED_SUFFIX, record->staging);
	struct numbers numbers;
	int result = store_numbers(store, &numbers, NULL, NULL, err);

	*number = 0;
	for (size_t i = result == 0 ? numbers.count : 0; result == 0 && *number == 0 && i > 0; i--) {
		struct err damaged = ERR_NONE;
		const int known = meta_read(store, numbers.list[i - 1], meta, &damaged);

		if (known == 0 && strcmp(meta->staged, sealed) == 0)
			*number = numbers.list[i - 1];
		/* A damaged one is no answer either, but reclaim() leaves its snapshot alone. */
		if (known < 0) {
			*err = damaged;
			result = -1;
		}
	}
	numbers_release(&numbers);
	free(sealed);
	return result;
}

static void lapse(struct store *store, const struct reserved *record, const char *why, uint64_t number)
{
	struct err ignored = ERR_NONE;
	uint64_t latest = 0;
	char *who = record->good ? record_text(record) : alloc_copy("somebody"), *there = NULL;

	store_latest(store, &latest, &ignored);
	if (number != 0 && number == latest)
		there = alloc_printf("it is published, as snapshot %ju", (uintmax_t)number);
	else if (number != 0)
		there = alloc_printf("%s; it is snapshot %ju, which was never the latest: see rollback", why,
				     (uintmax_t)number);
	free(store->lapsed);
	store->lapsed = alloc_printf("what begin staged for %s is not reserved any more: %s", who,
				     there ? there : why);
	free(there);
	free(who);
}

/*
 * A commit ended between its rename to snapshots/N and the one of latest: the tree becomes what it was before, if nobody has
 * pinned N. Else it stays a snapshot, but one that gc does not take: it exists once. 0: it is staged again.
 *
 * If we die in here, that is one of the cases of reclaim.c, and the next store_lock() does it again.
 */
static int take_back(struct store *store, const struct reserved *record, uint64_t number, struct meta *meta,
		     struct err *err)
{
	uint64_t latest;

	if (store_latest(store, &latest, err) != 0)
		return -1;
	if (number == 0 || number == latest)
		return 1;
	/* Killed before it made the last of them, it may have left none for N. */
	if (store_make_pins(store, err) != 0)
		return -1;
	char *sealed = alloc_printf("%s" SEALED_SUFFIX, record->staging);
	int result = reclaim_unpublished(store, number, sealed, err);
	free(sealed);
	if (result == 1) {
		meta->kept = true;
		if (meta_write(store, number, meta, err) != 0)
			result = -1;
	}
	return result;
}

int reservation_read(struct store *store, struct reservation *reservation, struct err *err)
{
	struct reserved record = { .good = false };
	struct err unknown = ERR_NONE;
	struct meta meta;
	uint64_t number;
	const char *why;
	int found = look(store, reservation, &record, &why, err);

	if (found <= 0)
		return found;
	if (find_published(store, &record, &number, &meta, &unknown) != 0 && record.left) {
		*err = unknown;
		return -1;
	}
	if (record.left && (found = take_back(store, &record, number, &meta, err)) != 1)
		return found == 0 ? look(store, reservation, &record, &why, err) : -1;
	lapse(store, &record, why, number);
	/*
	 * If we die behind this, the tree is one that nobody reserved: the next store_lock() throws it away.
	 */
	if (reservation_remove(store, err) != 0)
		return -1;
	struct staging staging = STAGING_NONE;
	struct err gone = ERR_NONE;
	char *name = NULL;
	int result = record.staging[0] != '\0' ? record_staging(store, &record, &name, err) : 0;
	if (name != NULL && store->storage->find(store, name, &staging, &gone) == 0)
		result = store->storage->discard(store, &staging, err);
	free(name);
	staging_release(&staging);
	return result;
}

void reservation_release(struct reservation *reservation)
{
	free(reservation->staging);
	free(reservation->id);
	free(reservation->text);
	*reservation = (struct reservation){ .staging = NULL };
}

int reservation_write(struct store *store, const char *staging, pid_t owner, struct err *err)
{
	char identity[IDENTITY_ROOM], host[65] = "";
	struct identity who;

	if (identity_of(owner, &who, err) != 0)
		return -1;
	identity_format(&who, identity);
	gethostname(host, sizeof(host) - 1);
	char *text = alloc_printf("staging = %s\nowner = %s\nhost = %s\nsince = %" PRId64 "\nmade = %" PRId64
				  "\n",
				  staging, identity, host, seconds(CLOCK_REALTIME), seconds(CLOCK_BOOTTIME));
	int result = store_write_file(store, STORE_RESERVATION, text, 0644, err);
	free(text);
	return result;
}

int reservation_remove(struct store *store, struct err *err)
{
	if (unlinkat(store->dir, STORE_RESERVATION, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, STORE_RESERVATION ": unlink");
	return 0;
}

/* If we die behind the rename, record_staging() finds the tree by its new name. */
int reservation_seal(struct store *store, struct staging *staging, struct err *err)
{
	const size_t length = strlen(staging->id), suffix = strlen(SEALED_SUFFIX);

	if (length >= suffix && strcmp(staging->id + length - suffix, SEALED_SUFFIX) == 0)
		return 0;
	struct staging sealed = STAGING_NONE;
	char *id = alloc_printf("%s" SEALED_SUFFIX, staging->id);
	char *old = alloc_printf(STORE_STAGING "/%s", staging->id);
	char *fresh = alloc_printf(STORE_STAGING "/%s", id);
	int result = renameat2(store->dir, old, store->dir, fresh, RENAME_NOREPLACE);
	if (result != 0)
		err_errno(err, STATUS_FAILED, staging->path, "cannot be sealed");
	else
		result = store->storage->find(store, id, &sealed, err);
	if (result == 0) {
		staging_release(staging);
		*staging = sealed;
	}
	free(old);
	free(fresh);
	free(id);
	return result;
}

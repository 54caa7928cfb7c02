/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/reservation.h"

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

#include "helper/alloc.h"
#include "helper/identity.h"
#include "helper/snapshot/storage.h"

/* What the file says. */
struct reserved {
	char staging[128];
	char host[128];
	struct identity owner;
	int64_t since; /* CLOCK_REALTIME, for people */
	int64_t made;  /* CLOCK_BOOTTIME, to count by: void after a reboot anyway, and nobody sets it */
	bool good;     /* owner and both times were there */
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

/* Is it still good? A file that cannot be read is not: then nobody can say whom it is for. */
static bool record_holds(const struct reserved *record)
{
	if (!record->good || record->staging[0] == '\0')
		return false;
	switch (identity_state(&record->owner)) {
	case IDENTITY_ALIVE:
		return true;
	case IDENTITY_ENDED:
		return false;
	case IDENTITY_UNSEEN:
		break;
	}
	const int64_t age = seconds(CLOCK_BOOTTIME) - record->made;
	return age >= 0 && age < RESERVATION_SECONDS;
}

/*
 * Published or thrown away, by somebody who died before he took the reservation off; or somebody has put
 * another thing in its place. It holds nothing any more, and kept alive it would keep every writer out.
 */
static bool record_is_left(const struct store *store, const struct reserved *record)
{
	struct stat st;
	char *name = alloc_printf(STORE_STAGING "/%s", record->staging);
	bool left = fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? !S_ISDIR(st.st_mode)
									     : errno == ENOENT;

	free(name);
	return left;
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

/* 1: there is a file, which holds nothing. */
static int look(const struct store *store, struct reservation *reservation, struct reserved *record,
		struct err *err)
{
	char *text;

	*reservation = (struct reservation){ NULL, NULL };
	if (store_read_file(store, STORE_RESERVATION, &text, err) != 0)
		return -1;
	if (text == NULL)
		return 0;
	const bool holds = ini_parse_string(text, record_line, record) == 0 && record_holds(record) &&
			   !record_is_left(store, record);
	free(text);
	if (!holds)
		return 1;
	reservation->staging = alloc_copy(record->staging);
	reservation->text = record_text(record);
	return 0;
}

int reservation_look(const struct store *store, struct reservation *reservation, struct err *err)
{
	struct reserved record = { .good = false };

	return look(store, reservation, &record, err) < 0 ? -1 : 0;
}

int reservation_read(struct store *store, struct reservation *reservation, struct err *err)
{
	struct reserved record = { .good = false };
	const int found = look(store, reservation, &record, err);

	if (found <= 0)
		return found;
	/*
	 * If we die behind this, the tree is one that nobody reserved: the next store_lock() throws it away.
	 */
	if (reservation_remove(store, err) != 0)
		return -1;
	struct staging staging = STAGING_NONE;
	struct err gone = ERR_NONE;
	int result = 0;
	if (record.staging[0] != '\0' && store->storage->find(store, record.staging, &staging, &gone) == 0)
		result = store->storage->discard(store, &staging, err);
	staging_release(&staging);
	return result;
}

void reservation_release(struct reservation *reservation)
{
	free(reservation->staging);
	free(reservation->text);
	*reservation = (struct reservation){ NULL, NULL };
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

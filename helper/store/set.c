/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/store/publish.h"

#define SETS_KEPT 64

/* The leader's lock is asked for again for a second: who takes it to mend his own store has it for a moment. */
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 10000000L

#define SETS_NAME_ROOM (sizeof(STORE_SETS) + SNAPSHOT_NUMBER_ROOM)

static void sets_name(uint64_t number, char *to)
{
	memcpy(to, STORE_SETS "/", sizeof(STORE_SETS));
	snapshot_number_format(number, to + sizeof(STORE_SETS));
}

/* ---- what belongs together, as text ---- */

void set_needs_release(struct set_needs *needs)
{
	free(needs->list);
	*needs = (struct set_needs){ .list = NULL };
}

/* Of one store the higher number counts. */
static void needs_add(struct set_needs *needs, const struct set_need *need)
{
	for (size_t i = 0; i < needs->count; i++)
		if (strcmp(needs->list[i].id, need->id) == 0) {
			if (needs->list[i].number < need->number)
				needs->list[i].number = need->number;
			return;
		}
	needs->list = alloc_grow(needs->list, needs->count + 1, sizeof(*needs->list));
	needs->list[needs->count++] = *need;
}

char *set_needs_format(const struct set_needs *needs)
{
	char *text = alloc_copy("");

	for (size_t i = 0; i < needs->count; i++) {
		char *longer = alloc_printf("%s%s %" PRIu64 "\n", text, needs->list[i].id,
					    needs->list[i].number);

		free(text);
		text = longer;
	}
	return text;
}

static bool id_parse(const char *text, char id[SET_ID_ROOM])
{
	if (strspn(text, "0123456789abcdef") != SET_ID_ROOM - 1)
		return false;
	memcpy(id, text, SET_ID_ROOM - 1);
	id[SET_ID_ROOM - 1] = '\0';
	return true;
}

int set_needs_parse(const char *text, struct set_needs *needs)
{
	*needs = (struct set_needs){ .list = NULL };
	while (*text) {
		struct set_need need;
		const char *digits = text + SET_ID_ROOM;

		if (!id_parse(text, need.id) || digits[-1] != ' ' ||
		    !snapshot_number_parse(digits, strcspn(digits, "\n"), &need.number) ||
		    digits[strcspn(digits, "\n")] != '\n') {
			set_needs_release(needs);
			return -1;
		}
		needs_add(needs, &need);
		text = digits + strcspn(digits, "\n") + 1;
	}
	return 0;
}

static int damaged(const struct store *store, const char *name, struct err *err)
{
	return err_fail(err, STATUS_FAILED, store->path, "%s is damaged", name);
}

/* ---- readers ---- */

int set_id(const struct store *store, char id[SET_ID_ROOM], struct err *err)
{
	char *text;
	int result = 0;

	id[0] = '\0';
	if (store_read_file(store, STORE_ID, &text, err) != 0)
		return -1;
	if (text && (!id_parse(text, id) || strcmp(text + SET_ID_ROOM - 1, "\n") != 0))
		result = damaged(store, STORE_ID, err);
	free(text);
	return result;
}

/* The highest file of sets/ that is not above `number`; 0: none. */
static int sets_before(const struct store *store, uint64_t number, uint64_t *found, struct err *err)
{
	struct numbers numbers = { .list = NULL };

	*found = 0;
	if (!store_has(store, STORE_SETS))
		return 0;
	if (store_names(store, STORE_SETS, "", &numbers, err) != 0)
		return -1;
	for (size_t i = 0; i < numbers.count && numbers.list[i] <= number; i++)
		*found = numbers.list[i];
	numbers_release(&numbers);
	return 0;
}

int set_needs_of(const struct store *store, uint64_t number, struct set_needs *needs, struct err *err)
{
	char name[SETS_NAME_ROOM], *text;
	uint64_t found;
	int result = 0;

	*needs = (struct set_needs){ .list = NULL };
	if (sets_before(store, number, &found, err) != 0)
		return -1;
	if (found == 0)
		return 0;
	sets_name(found, name);
	if (store_read_file(store, name, &text, err) != 0)
		return -1;
	if (text && set_needs_parse(text, needs) != 0)
		result = damaged(store, name, err);
	free(text);
	return result;
}

/* ---- what is under way ---- */

struct intent {
	uint64_t number;
	struct set_leader leader;
	char *text; /* what leader.path is in; NULL: nothing is under way */
};

/* "NUMBER\nLEADER'S NUMBER\nLEADER'S ID\nLEADER'S PATH\n": a path may have newlines, and is the last. */
static bool intent_parse(struct intent *intent)
{
	char *at = intent->text;
	size_t length = strcspn(at, "\n");

	if (!snapshot_number_parse(at, length, &intent->number) || at[length] != '\n')
		return false;
	at += length + 1;
	length = strcspn(at, "\n");
	if (!snapshot_number_parse(at, length, &intent->leader.number) || at[length] != '\n')
		return false;
	at += length + 1;
	if (!id_parse(at, intent->leader.id) || at[SET_ID_ROOM - 1] != '\n')
		return false;
	at += SET_ID_ROOM;
	length = strlen(at);
	if (at[0] != '/' || at[length - 1] != '\n')
		return false;
	at[length - 1] = '\0';
	intent->leader.path = at;
	return true;
}

static int intent_read(const struct store *store, struct intent *intent, struct err *err)
{
	*intent = (struct intent){ .number = 0 };
	if (store_read_file(store, STORE_SET, &intent->text, err) != 0)
		return -1;
	if (intent->text && !intent_parse(intent)) {
		free(intent->text);
		intent->text = NULL;
		return damaged(store, STORE_SET, err);
	}
	return 0;
}

int set_number(const struct store *store, uint64_t needed, uint64_t *number, struct err *err)
{
	struct intent intent;

	/* In this order: who ends a set swaps latest before he removes the file. */
	if (intent_read(store, &intent, err) != 0)
		return -1;
	const bool same = intent.text && intent.number == needed;
	free(intent.text);
	*number = needed;
	return same ? 0 : store_latest(store, number, err);
}

/* ---- writers ---- */

int set_id_make(struct store *store, char id[SET_ID_ROOM], struct err *err)
{
	unsigned char random[(SET_ID_ROOM - 1) / 2];

	if (set_id(store, id, err) != 0)
		return -1;
	if (id[0] != '\0')
		return 0;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(err, STATUS_FAILED, store->path, "getrandom");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	char *text = alloc_printf("%s\n", id);
	int result = store_write_file(store, STORE_ID, text, 0644, err);
	free(text);
	return result;
}

/*
 * Nobody asks for what is below the lowest snapshot, but for the one file that still says what belongs to it; some more
 * are kept for those who ask whether a set was published (leader_decided()).
 */
static void sets_trim(const struct store *store)
{
	struct err ignored = ERR_NONE;
	struct numbers present = { .list = NULL }, sets = { .list = NULL };
	char name[SETS_NAME_ROOM];

	if (store_numbers(store, &present, NULL, NULL, &ignored) == 0 && present.count != 0 &&
	    store_names(store, STORE_SETS, "", &sets, &ignored) == 0)
		for (size_t i = 0; i + SETS_KEPT < sets.count && sets.list[i + 1] <= present.list[0]; i++) {
			sets_name(sets.list[i], name);
			unlinkat(store->dir, name, 0);
		}
	numbers_release(&present);
	numbers_release(&sets);
}

static int sets_make(const struct store *store, struct err *err)
{
	if (mkdirat(store->dir, STORE_SETS, 0755) == 0) {
		int fd = openat(store->dir, STORE_SETS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int result = fd < 0 ? -1 : fchmod(fd, 0755);

		if (result == 0 && geteuid() == 0 && store->uid != 0)
			result = fchown(fd, store->uid, store->gid);
		if (fd >= 0)
			close(fd);
		if (result == 0)
			return store_sync_dir(store, STORE_OURS, err);
	} else if (errno == EEXIST) {
		return 0;
	}
	return err_errno(err, STATUS_FAILED, store->path, STORE_SETS);
}

/* What belongs to the latest belongs to its successor, too. */
static int sets_write(struct store *store, uint64_t number, const struct set_needs *members, struct err *err)
{
	char name[SETS_NAME_ROOM], own[SET_ID_ROOM];
	struct set_needs needs = { .list = NULL };
	uint64_t latest;

	if (sets_make(store, err) != 0 || set_id(store, own, err) != 0 ||
	    store_latest(store, &latest, err) != 0 || set_needs_of(store, latest, &needs, err) != 0) {
		set_needs_release(&needs);
		return -1;
	}
	for (size_t i = 0; i < members->count; i++)
		if (strcmp(members->list[i].id, own) != 0)
			needs_add(&needs, &members->list[i]);
	char *text = set_needs_format(&needs);
	sets_name(number, name);
	int result = store_write_file(store, name, text, 0644, err);
	free(text);
	set_needs_release(&needs);
	return result;
}

int set_begin(struct store *store, uint64_t number, const struct set_needs *members,
	      const struct set_leader *leader, struct err *err)
{
	char *text = alloc_printf("%" PRIu64 "\n%" PRIu64 "\n%s\n%s\n", number, leader->number, leader->id,
				  leader->path);
	int result = store_write_file(store, STORE_SET, text, 0644, err);

	free(text);
	if (result == 0)
		result = sets_write(store, number, members, err);
	if (result == 0)
		sets_trim(store);
	return result;
}

int set_end(struct store *store, struct err *err)
{
	if (unlinkat(store->dir, STORE_SET, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, STORE_SET);
	return store_sync_dir(store, STORE_OURS, err);
}

int set_undo(struct store *store, uint64_t number, struct err *err)
{
	char name[SETS_NAME_ROOM];

	/* sets/N first: where it is there and `set` is not, the set was published (leader_decided()). */
	sets_name(number, name);
	if (unlinkat(store->dir, name, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, "%s", name);
	return store_has(store, STORE_SETS) && store_sync_dir(store, STORE_SETS, err) != 0
		       ? -1
		       : set_end(store, err);
}

/* The leader's lock without its recovery: only that nobody else has it now. -1 and *err where somebody has. */
static int leader_lock(const struct store *store, const struct store *leader, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	int fd = openat(leader->dir, STORE_LOCK, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	for (int try = 0; fd >= 0 && try < LOCK_TRIES; try++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&pause, NULL);
		errno = EWOULDBLOCK;
	}
	const bool busy = fd >= 0 && errno == EWOULDBLOCK;
	if (busy)
		err_fail(err, STATUS_BUSY, store->path, "is being published together with %s", leader->path);
	else
		err_errno(err, STATUS_FAILED, leader->path, STORE_LOCK);
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * The same question of a leader whose store is open. As long as it has a `set` of that number its own latest says it; but
 * that it is not swapped is only true while nobody else has its lock. Without `set` the set is over: published if sets/ has
 * its file, for who undoes it removes that first.
 */
static int leader_decided(const struct store *store, const struct intent *intent, const struct store *leader,
			  int *held, struct err *err)
{
	const uint64_t number = intent->leader.number;
	char id[SET_ID_ROOM], name[SETS_NAME_ROOM];
	struct intent own;
	uint64_t latest;

	if (set_id(leader, id, err) != 0)
		return -1;
	/* Another store in its place: the one that led is gone, and nobody has its snapshots. */
	if (strcmp(id, intent->leader.id) != 0)
		return 0;
	if (intent_read(leader, &own, err) != 0)
		return -1;
	const bool open = own.text && own.number == number;
	free(own.text);
	sets_name(number, name);
	if (!open)
		return store_has(leader, name);
	if (store_latest(leader, &latest, err) != 0)
		return -1;
	if (latest >= number)
		return 1;
	*held = leader_lock(store, leader, err);
	if (*held < 0)
		return -1;
	/* Who had the lock before us may have ended the set, one way or the other. */
	if (store_latest(leader, &latest, err) != 0)
		return -1;
	return latest >= number;
}

static int intent_decided(const struct store *store, const struct intent *intent, int *held, struct err *err)
{
	struct store leader = STORE_CLOSED;
	struct stat st;
	char id[SET_ID_ROOM];
	uint64_t latest;

	*held = -1;
	if (store_latest(store, &latest, err) != 0 || set_id(store, id, err) != 0)
		return -1;
	/* Who leads has swapped, or has not; and what another writer (Portage) published meanwhile is newer than the set. */
	if (latest >= intent->number)
		return 1;
	if (strcmp(id, intent->leader.id) == 0)
		return 0;
	if (stat(intent->leader.path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (store_open(&leader, intent->leader.path, STORE_LOOK, false, err) != 0)
		return -1;
	const int result = leader_decided(store, intent, &leader, held, err);
	store_close(&leader);
	return result;
}

int set_decided(const struct store *store, int *held, struct err *err)
{
	struct intent intent;

	*held = -1;
	if (intent_read(store, &intent, err) != 0)
		return -1;
	const int result = intent.text ? intent_decided(store, &intent, held, err) : 0;
	free(intent.text);
	return result;
}

int set_recover(struct store *store, struct err *err)
{
	struct intent intent;
	char name[STORE_NAME_ROOM];
	uint64_t latest;
	int held = -1, result;

	if (intent_read(store, &intent, err) != 0)
		return -1;
	if (!intent.text)
		return 0;
	const int decided = intent_decided(store, &intent, &held, err);
	snapshot_name(intent.number, name);
	if (decided == 0 || (decided == 1 && !store_has(store, name))) {
		result = set_undo(store, intent.number, err);
	} else {
		result = decided < 0 || store_latest(store, &latest, err) != 0 ? -1 : 0;
		if (result == 0 && latest < intent.number &&
		    publish_swap(store, intent.number, err) != PUBLISH_DONE)
			result = -1;
		if (result == 0)
			result = set_end(store, err);
	}
	if (held >= 0)
		close(held);
	free(intent.text);
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/hold.h"
#include "core/names.h"
#include "helper/base/alloc.h"
#include "helper/base/walk.h"
#include "helper/store/lock.h"

/* ---- which store? ---- */

static int report_end(const char *location, const struct walk *walk, struct err *err)
{
	if (walk->links > 0)
		return err_fail(err, STATUS_USAGE, location, "is a link that leads elsewhere, to %s",
				walk->at[0] == '\0' ? "/" : walk->at);
	return err_fail(err, STATUS_USAGE, location, "is a directory, not an RCU location");
}

static int report_missing(const char *location, const struct walk *walk, struct err *err)
{
	if (errno == ENOENT && walk->links > 0)
		return err_fail(err, STATUS_USAGE, location, "is a dangling link");
	if (errno == ENOENT)
		return err_fail(err, STATUS_USAGE, location, "does not exist");
	return err_errno(err, STATUS_USAGE, location, "cannot be looked up");
}

/* Is nothing but slashes left of the path? */
static bool walk_ends(const struct walk *walk)
{
	return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* One component. 1: go on; 0: it is STORE/latest, and the walk is in STORE; -1. */
static int find_step(const char *location, struct walk *walk, const char *name, struct err *err)
{
	struct stat st;
	uint64_t number;

	if (fstatat(walk->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return report_missing(location, walk, err);
	if (!S_ISLNK(st.st_mode)) {
		if (!S_ISDIR(st.st_mode) && walk_ends(walk))
			return err_fail(err, STATUS_USAGE, location, "is a file, not an RCU location");
		return walk_enter(walk, name) != 0 ? report_missing(location, walk, err) : 1;
	}
	char *target = walk_target(walk, name);
	if (target == NULL)
		return report_missing(location, walk, err);
	int result = strcmp(name, STORE_LATEST) == 0 && latest_target_parse(target, strlen(target), &number)
			     ? 0
			     : 1;
	if (result == 0 && !walk_ends(walk))
		result = err_fail(err, STATUS_USAGE, location, "is inside a snapshot, not an RCU location");
	else if (result == 1 && walk_follow(walk, target) != 0)
		result = report_missing(location, walk, err);
	free(target);
	return result;
}

int pin_find_store(const char *location, char **store, struct err *err)
{
	struct walk walk;
	char *name;
	int result = 1;

	*store = NULL;
	if (walk_start(&walk, location) != 0)
		result = err_errno(err, STATUS_FAILED, location, "/");
	while (result == 1 && (name = walk_next(&walk)) != NULL) {
		result = find_step(location, &walk, name, err);
		free(name);
	}
	if (result == 0)
		*store = alloc_copy(walk.at[0] == '\0' ? "/" : walk.at);
	else if (result == 1)
		result = report_end(location, &walk, err);
	walk_release(&walk);
	return result;
}

/* ---- which snapshot, and hold it ---- */

/*
 * How often is tried. At first without a pause: who was beaten by a reclaimer finds a new latest at once.
 * Then every 10 ms for a minute: longer than the kernel lets a stopped reclaimer keep a lease (45 s,
 * /proc/sys/fs/lease-break-time).
 */
#define TRIES_AT_ONCE 50
#define TRIES_MAX (TRIES_AT_ONCE + 6000)
#define TRY_PAUSE_NS 10000000L
/*
 * A pin file is missing for a moment while a reclaimer changes its mind; that is not the same as none being
 * made.
 */
#define TRIES_MISSING 20

static void pause_before(unsigned try)
{
	const struct timespec pause = { .tv_nsec = TRY_PAUSE_NS };

	if (try < TRIES_AT_ONCE)
		sched_yield();
	else
		nanosleep(&pause, NULL);
}

static bool snapshot_there(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(number, name);
	return store_has(store, name);
}

static int report_gone(const struct store *store, const char *location, uint64_t number, struct err *err)
{
	struct numbers numbers;
	char *list = alloc_copy("");

	if (store_numbers(store, &numbers, NULL, NULL, err) != 0) {
		free(list);
		return -1;
	}
	for (size_t i = 0; i < numbers.count; i++) {
		char *longer = alloc_printf("%s%s%ju", list, i == 0 ? "" : ", ", (uintmax_t)numbers.list[i]);
		free(list);
		list = longer;
	}
	err_fail(err, STATUS_FAILED, location, "there is no snapshot %ju; there are: %s", (uintmax_t)number,
		 numbers.count == 0 ? "none" : list);
	numbers_release(&numbers);
	free(list);
	return -1;
}

/*
 * As somebody who may write to the store: taking the lock makes the pin files and puts back what a dead
 * reclaimer left. Where another writer has the lock, it has just done so. False: we may not (also: root does
 * not write to somebody else's store, which store_open() refuses), or it did not work.
 */
static bool pins_made(const struct store *look)
{
	struct store store = STORE_CLOSED;
	struct err ignored = ERR_NONE;

	if (geteuid() != 0 && geteuid() != look->uid)
		return false;
	bool made = store_open(&store, look->path, STORE_CHANGE, true, &ignored) == 0 &&
		    store_lock(&store, "rcu-exec", true, &ignored) == 0;
	store_close(&store);
	return made || ignored.status == STATUS_BUSY;
}

/*
 * hold_take() said -ENOENT. 1: try again; 0: redirect without a hold (this store has no pin file for the
 * number, and we cannot make one); -1.
 */
static int pin_missing(const struct store *store, const char *location, uint64_t number, bool asked,
		       unsigned *missing, struct err *err)
{
	char dead[STORE_NAME_ROOM + sizeof(PIN_DEAD)];

	if (!snapshot_there(store, number) && asked)
		return report_gone(store, location, number, err);
	if (++*missing == 1 && !store_has(store, STORE_PINS) && !pins_made(store))
		return snapshot_there(store, number) ? 0 : 1;
	if (*missing < TRIES_MISSING)
		return 1;
	if (*missing == TRIES_MISSING && pins_made(store))
		return 1;
	if (!snapshot_there(store, number))
		return err_fail(err, STATUS_FAILED, location,
				"snapshot %ju, which " STORE_LATEST " names, is missing", (uintmax_t)number);
	memcpy(dead + pin_name(number, dead), PIN_DEAD, sizeof(PIN_DEAD));
	if (store_has(store, dead))
		return err_fail(err, STATUS_FAILED, location, "snapshot %ju is being reclaimed",
				(uintmax_t)number);
	return 0;
}

/* Sets pin->number and pin->fd. */
static int pin_hold(struct pin *pin, const struct store *store, uint64_t asked, struct err *err)
{
	unsigned missing = 0;
	uint64_t number = 0;

	for (unsigned try = 0; try < TRIES_MAX; try++) {
		const uint64_t before = number;
		number = asked;
		if (asked == 0 && store_latest(store, &number, err) != 0)
			return -1;
		if (number == 0)
			return err_fail(err, STATUS_FAILED, pin->location, "nothing is published yet");
		if (number != before)
			missing = 0;
		int fd = hold_take(store->dir, number);
		pin->number = number;
		pin->fd = fd < 0 ? -1 : fd;
		if (fd >= 0)
			return 0;
		if (fd == -ENOENT) {
			int again = pin_missing(store, pin->location, number, asked != 0, &missing, err);
			if (again != 1)
				return again;
		} else if (fd != -EAGAIN) {
			errno = -fd;
			return err_errno(err, STATUS_FAILED, pin->location, "cannot pin snapshot %ju",
					 (uintmax_t)number);
		}
		pause_before(missing > 1 ? TRIES_AT_ONCE : try);
	}
	return err_fail(err, STATUS_FAILED, pin->location,
			"snapshot %ju is held by a reclaimer that does not move", (uintmax_t)number);
}

/* The caller's name for it, absolute and without trailing slashes. */
static char *absolute(const char *location, struct err *err)
{
	char *path;

	if (location[0] == '/') {
		path = alloc_copy(location);
	} else {
		char *cwd = getcwd(NULL, 0);
		if (cwd == NULL) {
			err_errno(err, STATUS_FAILED, location, "cannot tell the current directory");
			return NULL;
		}
		path = alloc_printf("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, location);
		free(cwd);
	}
	for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
	return path;
}

int pin_take(struct pin *pin, const char *location, uint64_t number, struct err *err)
{
	struct store store = STORE_CLOSED;
	char *path = NULL;
	int result = -1;

	*pin = (struct pin)PIN_NONE;
	pin->location = absolute(location, err);
	if (pin->location != NULL && pin_find_store(pin->location, &path, err) == 0 &&
	    store_open(&store, path, STORE_LOOK, false, err) == 0) {
		result = pin_hold(pin, &store, number, err);
		if (result == 0)
			pin->snapshot = store_snapshot_path(&store, pin->number);
		store_close(&store);
	}
	free(path);
	if (result != 0)
		pin_release(pin);
	return result;
}

void pin_release(struct pin *pin)
{
	hold_drop(pin->fd);
	free(pin->location);
	free(pin->snapshot);
	*pin = (struct pin)PIN_NONE;
}

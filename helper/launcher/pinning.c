/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/pinning.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hold.h"
#include "core/names.h"
#include "core/pin_text.h"
#include "helper/base/alloc.h"
#include "helper/config/repos.h"
#include "helper/store/meta.h"
#include "helper/store/set.h"
#include "helper/store/store.h"

/*
 * A reclaimer's lease on a pin that somebody holds is refused at once: this is only for the moment of
 * asking.
 */
#define RETAKE_TRIES 10000

struct pinning_request {
	char *name;         /* as the command line names it, for -s REPO=N */
	char *location;     /* NULL: to be looked up in the configuration */
	uint64_t number;    /* 0: the latest, or the outer pin */
	const char *chosen; /* what -s says of it; NULL: nothing */
	char *kept;         /* the name of a kept snapshot, still to be looked up; NULL: none */
};

static void add_request(struct pinning *pinning, const char *name, const char *location)
{
	pinning->requests = alloc_grow(pinning->requests, pinning->request_count + 1,
				       sizeof(*pinning->requests));
	pinning->requests[pinning->request_count++] = (struct pinning_request){
		.name = alloc_copy(name), .location = location ? alloc_copy(location) : NULL
	};
}

void pinning_repo(struct pinning *pinning, const char *name)
{
	add_request(pinning, name, NULL);
}

void pinning_location(struct pinning *pinning, const char *path)
{
	add_request(pinning, path, path);
}

void pinning_snapshot(struct pinning *pinning, const char *text)
{
	pinning->snapshots = alloc_grow(pinning->snapshots, pinning->snapshot_count + 1,
					sizeof(*pinning->snapshots));
	pinning->snapshots[pinning->snapshot_count++] = text;
}

/* ---- what is asked for ---- */

static int look_up(struct pinning_request *request, const struct repos *repos, struct err *err)
{
	const struct repo *repo = repos_find(repos, request->name);

	if (!repo)
		return err_fail(err, STATUS_USAGE, request->name, "no such repository in %s", repos->source);
	if (!repo->rcu)
		return err_fail(err, STATUS_USAGE, request->name, "does not have sync-rcu in %s",
				repos->source);
	request->location = alloc_copy(repo->location);
	return 0;
}

/* Every request gets its location; where there was none, the configuration makes them. */
static int resolve(struct pinning *pinning, struct err *err)
{
	const bool all = pinning->request_count == 0 && !pinning->outer_only;
	bool needed = all;
	struct repos repos;
	int result = 0;

	for (size_t i = 0; i < pinning->request_count; i++)
		needed |= !pinning->requests[i].location;
	if (!needed)
		return 0;
	result = repos_read(&repos, NULL, NULL, err);
	for (size_t i = 0; result == 0 && all && i < repos.count; i++)
		if (repos.list[i].rcu)
			add_request(pinning, repos.list[i].name, repos.list[i].location);
	for (size_t i = 0; result == 0 && !all && i < pinning->request_count; i++)
		if (!pinning->requests[i].location)
			result = look_up(&pinning->requests[i], &repos, err);
	repos_release(&repos);
	return result;
}

/* One -s: finds the request that it is for, and sets the number. */
static int choose_number(struct pinning *pinning, const char *text, struct err *err)
{
	const char *equals = strrchr(text, '='), *digits = equals ? equals + 1 : text;
	struct pinning_request *found = NULL;
	uint64_t number;

	const bool is_number = snapshot_number_parse(digits, strlen(digits), &number);
	if (!is_number && !meta_name_good(digits))
		return err_fail(err, STATUS_USAGE, "--snapshot", "%s: neither a snapshot's number nor a name",
				text);
	if (!equals && pinning->request_count == 1)
		found = pinning->requests;
	else if (!equals)
		return err_fail(err, STATUS_USAGE, "--snapshot", "%s: say of which repository: REPO=%s", text,
				text);
	for (size_t i = 0; !found && i < pinning->request_count; i++)
		if (strlen(pinning->requests[i].name) == (size_t)(equals - text) &&
		    strncmp(pinning->requests[i].name, text, (size_t)(equals - text)) == 0)
			found = &pinning->requests[i];
	if (!found)
		return err_fail(err, STATUS_USAGE, "--snapshot", "%s: that repository is not asked for",
				text);
	if (found->chosen && strcmp(found->chosen, digits) != 0)
		return err_fail(err, STATUS_USAGE, "--snapshot", "both %s and %s of %s", found->chosen,
				digits, found->name);
	found->chosen = digits;
	free(found->kept);
	found->kept = is_number ? NULL : alloc_copy(digits);
	found->number = is_number ? number : 0;
	return 0;
}

/* The number that has a kept name now. */
static int look_up_kept(struct pinning_request *request, struct err *err)
{
	struct store store = STORE_CLOSED;
	char *path = NULL;

	if (!request->kept)
		return 0;
	if (pin_find_store(request->location, &path, err) == 0 &&
	    store_open(&store, path, STORE_LOOK, false, err) == 0 &&
	    meta_find(&store, request->kept, &request->number, err) == 0 && request->number == 0)
		err_fail(err, STATUS_FAILED, request->name, "no snapshot is kept as %s", request->kept);
	store_close(&store);
	free(path);
	return request->number != 0 ? 0 : -1;
}

/* ---- the pins that we were started under ---- */

struct outer {
	char *room; /* what the two point into */
	struct pin_text text;
	char *store;
	uint64_t number;
	bool replaced;
};

struct outers {
	struct outer *list;
	size_t count;
};

static void outers_read(struct outers *outers, const char *text)
{
	*outers = (struct outers){ .list = NULL };
	while (text) {
		const size_t room = strlen(text) + 1;
		struct outer outer = { .room = alloc_grow(NULL, room, 1) };
		size_t store_length;
		enum pin_text_result got = pin_text_next(&text, outer.room, room, &outer.text);

		if (got == PIN_TEXT_PIN &&
		    snapshot_path_split(outer.text.snapshot, &store_length, &outer.number)) {
			outer.store = alloc_printf("%.*s", (int)store_length, outer.text.snapshot);
			outers->list = alloc_grow(outers->list, outers->count + 1, sizeof(*outers->list));
			outers->list[outers->count++] = outer;
			continue;
		}
		free(outer.room);
		if (got == PIN_TEXT_END)
			return;
	}
}

static void outers_release(struct outers *outers)
{
	for (size_t i = 0; i < outers->count; i++) {
		free(outers->list[i].room);
		free(outers->list[i].store);
	}
	free(outers->list);
}

/* The outer pin of the store that LOCATION leads to. A location that leads nowhere has none. */
static struct outer *outer_of(const struct outers *outers, const char *location)
{
	struct err unused = ERR_NONE;
	char *store = NULL;

	if (outers->count == 0 || pin_find_store(location, &store, &unused) != 0)
		return NULL;
	struct outer *found = NULL;
	for (size_t i = 0; !found && i < outers->count; i++)
		if (strcmp(outers->list[i].store, store) == 0)
			found = &outers->list[i];
	free(store);
	return found;
}

/*
 * Pins again what is pinned already: whoever started us holds it until our exec, so nothing can take it in
 * between. Where the outer pin could not be held, ours is not either: fd is -1.
 */
static int retake(struct pin *pin, const struct outer *outer, struct err *err)
{
	int store = open(outer->store, O_PATH | O_DIRECTORY | O_CLOEXEC), tries = RETAKE_TRIES;
	int fd = store < 0 ? -errno : hold_take(store, outer->number);

	while (fd == -EAGAIN && tries-- > 0) {
		sched_yield();
		fd = hold_take(store, outer->number);
	}
	if (store >= 0)
		close(store);
	*pin = (struct pin){ .location = alloc_copy(outer->text.location),
			     .snapshot = alloc_copy(outer->text.snapshot),
			     .number = outer->number,
			     .fd = fd < 0 ? -1 : fd };
	if (fd < 0 && access(outer->text.snapshot, F_OK) != 0)
		return err_errno(err, STATUS_FAILED, outer->text.location,
				 "the pin that we were started under is lost: %s", outer->text.snapshot);
	return 0;
}

/* ---- all of them ---- */

static struct pin *add_pin(struct pinning *pinning)
{
	pinning->pins = alloc_grow(pinning->pins, pinning->count + 1, sizeof(*pinning->pins));
	pinning->pins[pinning->count] = (struct pin)PIN_NONE;
	return &pinning->pins[pinning->count++];
}

/* Where the number begins in STORE/snapshots/N. */
static size_t number_at(const struct pin *pin)
{
	return (size_t)(strrchr(pin->snapshot, '/') + 1 - pin->snapshot);
}

/* The pin of the same store that is there already; NULL if there is none. */
static const struct pin *find_store(const struct pinning *pinning, const struct pin *pin)
{
	const size_t length = number_at(pin);

	for (size_t i = 0; i < pinning->count; i++)
		if (number_at(&pinning->pins[i]) == length &&
		    strncmp(pinning->pins[i].snapshot, pin->snapshot, length) == 0)
			return &pinning->pins[i];
	return NULL;
}

/* What is asked for; an outer pin that is kept is taken with the others afterwards. */
static int take_requests(struct pinning *pinning, struct outers *outers, struct err *err)
{
	for (size_t i = 0; i < pinning->request_count; i++) {
		const struct pinning_request *request = &pinning->requests[i];
		struct outer *outer = outer_of(outers, request->location);

		if (outer && request->number == 0 && !pinning->fresh)
			continue;
		if (outer)
			outer->replaced = true;
		struct pin pin = PIN_NONE;
		if (pin_take(&pin, request->location, request->number, err) != 0) {
			pin_release(&pin);
			return -1;
		}
		const struct pin *same = find_store(pinning, &pin);
		/* The latest of two moments is the first one's, as long as nobody asked for another number. */
		const bool conflict = same && same->number != pin.number && request->number != 0;
		if (conflict)
			err_fail(err, STATUS_USAGE, request->name,
				 "snapshot %ju: %ju of the same store is asked for, too",
				 (uintmax_t)pin.number, (uintmax_t)same->number);
		pin.chosen = request->number != 0;
		if (same)
			pin_release(&pin);
		else
			*add_pin(pinning) = pin;
		if (conflict)
			return -1;
	}
	return 0;
}

/*
 * Where none is named, -s and --fresh are also about what we were started under, of which the configuration need not know; it is named
 * by its location then.
 */
static void request_outers(struct pinning *pinning, const struct outers *outers)
{
	for (size_t i = 0; i < outers->count; i++) {
		bool asked = false;

		for (size_t r = 0; !asked && r < pinning->request_count; r++)
			asked = outer_of(outers, pinning->requests[r].location) == &outers->list[i];
		if (!asked)
			add_request(pinning, outers->list[i].text.location, outers->list[i].text.location);
	}
}

/* ---- several that are published as one: helper/store/set.h ---- */

/* Each round ends with a number that grew, and those that publish are much slower than this. */
#define AGREE_ROUNDS 1000

/* The store of a pin; its path is the beginning of the snapshot's. */
static int pin_store(const struct pin *pin, struct store *store, struct err *err)
{
	char *path = alloc_printf("%.*s", (int)(number_at(pin) - sizeof("/" STORE_SNAPSHOTS)), pin->snapshot);
	int result;

	*store = (struct store)STORE_CLOSED;
	result = store_open(store, *path ? path : "/", STORE_LOOK, false, err);
	free(path);
	return result;
}

/* Takes another number in the place of what is pinned. Where that is gone already, the latest. */
static int repin(struct pin *pin, uint64_t number, struct err *err)
{
	struct err gone = ERR_NONE;
	struct pin other = PIN_NONE;

	if (pin_take(&other, pin->location, number, &gone) != 0 &&
	    pin_take(&other, pin->location, 0, err) != 0)
		return -1;
	pin_release(pin);
	*pin = other;
	return 0;
}

/* One thing that is needed. 1: a pin was exchanged for it. */
static int satisfy(struct pinning *pinning, const struct set_need *need, char (*ids)[SET_ID_ROOM],
		   struct err *err)
{
	for (size_t i = 0; i < pinning->count; i++) {
		struct pin *pin = &pinning->pins[i];
		struct store store;
		uint64_t number;

		if (strcmp(ids[i], need->id) != 0 || pin->chosen || pin->number >= need->number)
			continue;
		if (pin_store(pin, &store, err) != 0)
			return -1;
		int result = set_number(&store, need->number, &number, err);
		store_close(&store);
		if (result == 0 && number > pin->number)
			result = repin(pin, number, err) == 0 ? 1 : -1;
		return result;
	}
	return 0;
}

/* 1: something was exchanged. */
static int agree_once(struct pinning *pinning, char (*ids)[SET_ID_ROOM], struct err *err)
{
	int changed = 0, result = 0;

	for (size_t i = 0; result >= 0 && i < pinning->count; i++) {
		struct set_needs needs = { .list = NULL };
		struct store store;

		if (ids[i][0] == '\0')
			continue;
		result = pin_store(&pinning->pins[i], &store, err);
		if (result == 0) {
			result = set_needs_of(&store, pinning->pins[i].number, &needs, err);
			store_close(&store);
		}
		for (size_t j = 0; result >= 0 && j < needs.count; j++) {
			result = satisfy(pinning, &needs.list[j], ids, err);
			changed |= result > 0;
		}
		set_needs_release(&needs);
	}
	return result < 0 ? -1 : changed;
}

/* The pins were taken one after the other: exchanges what does not fit with the others. */
static int agree(struct pinning *pinning, struct err *err)
{
	char(*ids)[SET_ID_ROOM] = alloc_grow(NULL, pinning->count + 1, sizeof(*ids));
	size_t named = 0;
	int result = 0, rounds = 0;

	for (size_t i = 0; result == 0 && i < pinning->count; i++) {
		struct store store;

		result = pin_store(&pinning->pins[i], &store, err);
		if (result == 0) {
			result = set_id(&store, ids[i], err);
			named += ids[i][0] != '\0';
			store_close(&store);
		}
	}
	while (result == 0 && named >= 2 && (result = agree_once(pinning, ids, err)) == 1 &&
	       rounds++ < AGREE_ROUNDS)
		result = 0;
	free(ids);
	return result == 1 ? err_fail(err, STATUS_FAILED, "rcu-exec",
				      "what is published together changes all the time")
			   : result;
}

int pinning_take(struct pinning *pinning, bool *nothing, struct err *err)
{
	const bool all = pinning->request_count == 0 && !pinning->outer_only;
	struct outers outers;
	int result = resolve(pinning, err);

	outers_read(&outers, pinning->outer);
	if (result == 0 && all && (pinning->fresh || pinning->snapshot_count > 0))
		request_outers(pinning, &outers);
	for (size_t i = 0; result == 0 && i < pinning->snapshot_count; i++)
		result = choose_number(pinning, pinning->snapshots[i], err);
	for (size_t i = 0; result == 0 && i < pinning->request_count; i++)
		result = look_up_kept(&pinning->requests[i], err);
	*nothing = result == 0 && pinning->request_count == 0 && outers.count == 0;
	if (*nothing)
		result = err_fail(err, STATUS_USAGE, "configuration",
				  "no repository has sync-rcu: nothing to pin (use -l)");
	if (result == 0)
		result = take_requests(pinning, &outers, err);
	if (result == 0 && pinning->count >= 2)
		result = agree(pinning, err);
	for (size_t i = 0; result == 0 && i < outers.count; i++) {
		struct pin pin = PIN_NONE;

		if (outers.list[i].replaced)
			continue;
		result = retake(&pin, &outers.list[i], err);
		/* The environment may have two of one store; nobody has made it so. */
		if (result == 0 && !find_store(pinning, &pin))
			*add_pin(pinning) = pin;
		else
			pin_release(&pin);
	}
	outers_release(&outers);
	return result;
}

int pinning_enter(const struct pinning *pinning, struct err *err)
{
	char *cwd = getcwd(NULL, 0);
	int result = 0;

	for (size_t i = 0; cwd && result == 0 && i < pinning->count; i++) {
		const struct pin *pin = &pinning->pins[i];
		const size_t store = number_at(pin), length = strcspn(cwd + strnlen(cwd, store), "/");
		uint64_t number;

		if (strncmp(cwd, pin->snapshot, store) != 0 ||
		    !snapshot_number_parse(cwd + store, length, &number) || number == pin->number)
			continue;
		char *same = alloc_printf("%s%s", pin->snapshot, cwd + store + length);
		if (chdir(same) != 0)
			result = err_errno(err, STATUS_FAILED, cwd,
					   "the working directory is in snapshot %ju, not in %ju",
					   (uintmax_t)number, (uintmax_t)pin->number);
		free(same);
	}
	free(cwd);
	return result;
}

void pinning_release(struct pinning *pinning)
{
	for (size_t i = 0; i < pinning->count; i++)
		pin_release(&pinning->pins[i]);
	for (size_t i = 0; i < pinning->request_count; i++) {
		free(pinning->requests[i].name);
		free(pinning->requests[i].location);
		free(pinning->requests[i].kept);
	}
	free(pinning->pins);
	free(pinning->requests);
	free(pinning->snapshots);
	*pinning = (struct pinning)PINNING_NONE;
}

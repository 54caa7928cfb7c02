/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/together.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/config/order.h"
#include "helper/store/reclaim.h"
#include "helper/store/set.h"

/* ---- in a job ---- */

/* A set is under way in this store, and we have its lock. */
static bool in_set;

/* "set NUMBER ID PATH\n" of the leader, whose path may hold a newline and is the last, behind the members. */
static int set_take(struct store *store, uint64_t number, char *message, struct err *err)
{
	struct set_needs members = { .list = NULL };
	struct set_leader leader;
	char *path = strchr(message, '/');
	int end = 0;

	if (!path || sscanf(message, "set %" SCNu64 " %32[0-9a-f]\n%n", &leader.number, leader.id, &end) != 2)
		return err_fail(err, STATUS_FAILED, store->path, "not understood: %s", message);
	leader.path = path;
	char *list = alloc_printf("%.*s", (int)(path - message) - end, message + end);
	int result = set_needs_parse(list, &members);
	if (result != 0)
		err_fail(err, STATUS_FAILED, store->path, "not understood: %s", message);
	else
		result = set_begin(store, number, &members, &leader, err);
	in_set = true;
	free(list);
	set_needs_release(&members);
	return result;
}

/* The leader has died. 0: it had swapped, and so do we. */
static int resolve(struct store *store, struct err *err)
{
	int held;
	const int decided = set_decided(store, &held, err);

	if (held >= 0)
		close(held);
	if (decided == 0)
		err_fail(err, STATUS_FAILED, store->path, "not published: what leads its set has died");
	return decided == 1 ? 0 : -1;
}

/* What was not published of a set is gone at once, unless somebody has asked for that very number. */
static void take_back(struct store *store, uint64_t number)
{
	struct err ignored = ERR_NONE;

	reclaim_unpublished(store, number, NULL, &ignored);
}

static int gate_answers(struct store *store, uint64_t number, char *message, struct err *err)
{
	if (job_hear(message) != 0)
		return err_fail(err, STATUS_FAILED, store->path,
				"not published: the others of its set are gone");
	if (strcmp(message, "alone") == 0)
		return 0;
	if (strncmp(message, "set ", 4) == 0) {
		if (set_take(store, number, message, err) != 0)
			return -1;
		job_say("ready");
		if (job_hear(message) != 0)
			return resolve(store, err);
		if (strcmp(message, "go") == 0)
			return 0;
		if (strcmp(message, "resolve") == 0)
			return resolve(store, err);
	}
	/* Its own failure is none: of all, only the status of who failed counts (command_worse()). */
	return err_fail(err, STATUS_BUSY, store->path, "not published: another repository of its set failed");
}

int together_gate(struct store *store, uint64_t number, struct err *err)
{
	char id[SET_ID_ROOM], *message = alloc_grow(NULL, JOB_MESSAGE_MAX, 1);
	struct err late = ERR_NONE;
	int result = set_id_make(store, id, err);

	if (result == 0) {
		job_step("waiting for the others");
		snprintf(message, JOB_MESSAGE_MAX, "prepared %" PRIu64 " %s %s", number, id, store->path);
		result = job_say(message);
		if (result != 0)
			err_fail(err, STATUS_FAILED, store->path, "the others of its set are gone");
		else
			result = gate_answers(store, number, message, err);
	}
	free(message);
	if (result != 0) {
		/* Undone, unless the leader is just about to swap: then the next one who takes the lock ends it. */
		if (!in_set || set_recover(store, &late) == 0) {
			uint64_t latest;
			if (store_latest(store, &latest, &late) == 0 && latest < number)
				take_back(store, number);
		}
		in_set = false;
	}
	return result;
}

void together_end(struct store *store, bool published)
{
	struct err late = ERR_NONE;

	if (!in_set)
		return;
	in_set = false;
	if ((published ? set_end(store, &late) : set_recover(store, &late)) == 0 && published)
		job_say("done");
}

/* ---- in the parent ---- */

enum {
	PHASE_GATHER,
	PHASE_WRITE,
	PHASE_SWAP,
	PHASE_OVER
};

enum member_state {
	MEMBER_WORKS,
	MEMBER_PREPARED,
	MEMBER_READY,
	MEMBER_DONE,
	MEMBER_ENDED
};

struct member {
	enum member_state state;
	bool failed;
	uint64_t number;
	char id[SET_ID_ROOM];
	char *path;
};

void together_init(struct together *together, const struct jobs *jobs, const struct repos *repos)
{
	*together = (struct together){ .jobs = jobs,
				       .order = order_masters_first(repos),
				       .phase = PHASE_GATHER };
	together->members = alloc_grow(NULL, jobs->count, sizeof(*together->members));
	memset(together->members, 0, jobs->count * sizeof(*together->members));
}

void together_release(struct together *together)
{
	for (size_t i = 0; together->members && i < together->jobs->count; i++)
		free(together->members[i].path);
	free(together->members);
	free(together->order);
}

static size_t count_of(const struct together *together, enum member_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < together->jobs->count; i++)
		count += together->members[i].state == state;
	return count;
}

static void tell_all(const struct together *together, const char *message)
{
	for (size_t i = 0; i < together->jobs->count; i++)
		if (together->members[i].state == MEMBER_PREPARED ||
		    together->members[i].state == MEMBER_READY)
			jobs_tell(together->jobs, i, message);
}

static bool one_failed(const struct together *together)
{
	for (size_t i = 0; i < together->jobs->count; i++)
		if (together->members[i].failed)
			return true;
	return false;
}

/* The next in the order that has something to swap; count where there is none. */
static size_t next_member(const struct together *together, enum member_state state)
{
	for (size_t i = together->next; i < together->jobs->count; i++)
		if (together->members[together->order[i]].state == state)
			return i;
	return together->jobs->count;
}

static void send_set(struct together *together)
{
	struct set_needs needs = { .list = alloc_grow(NULL, together->jobs->count, sizeof(*needs.list)) };
	const struct member
		*leader = &together->members[together->order[next_member(together, MEMBER_PREPARED)]];

	for (size_t i = 0; i < together->jobs->count; i++) {
		const struct member *member = &together->members[i];
		struct set_need *need = &needs.list[needs.count];

		if (member->state != MEMBER_PREPARED)
			continue;
		memcpy(need->id, member->id, sizeof(need->id));
		need->number = member->number;
		needs.count++;
	}
	char *members = set_needs_format(&needs);
	char *message = alloc_printf("set %" PRIu64 " %s\n%s%s", leader->number, leader->id, members,
				     leader->path);
	tell_all(together, message);
	free(message);
	free(members);
	set_needs_release(&needs);
}

/* All have said what they have. */
static void gathered(struct together *together)
{
	const size_t prepared = count_of(together, MEMBER_PREPARED);

	if (one_failed(together)) {
		tell_all(together, "abort");
		together->phase = PHASE_OVER;
	} else if (prepared < 2) {
		tell_all(together, "alone");
		together->phase = PHASE_OVER;
	} else {
		send_set(together);
		together->phase = PHASE_WRITE;
	}
}

/* Tells the next one to go. */
static void swap_next(struct together *together)
{
	const size_t next = next_member(together, MEMBER_READY);

	if (next == together->jobs->count) {
		together->phase = PHASE_OVER;
		return;
	}
	together->next = next;
	jobs_tell(together->jobs, together->order[next], "go");
}

/* Something changed: what follows from it. */
static void go_on(struct together *together, size_t job)
{
	const struct member *member = &together->members[job];

	if (together->phase == PHASE_GATHER && count_of(together, MEMBER_WORKS) == 0) {
		gathered(together);
	} else if (together->phase == PHASE_WRITE && one_failed(together)) {
		tell_all(together, "abort");
		together->phase = PHASE_OVER;
	} else if (together->phase == PHASE_WRITE && count_of(together, MEMBER_PREPARED) == 0) {
		together->phase = PHASE_SWAP;
		swap_next(together);
	} else if (together->phase == PHASE_SWAP && job == together->order[together->next]) {
		/* The first that goes leads. */
		if (member->failed && count_of(together, MEMBER_DONE) == 0) {
			tell_all(together, "resolve");
			together->phase = PHASE_OVER;
		} else {
			swap_next(together);
		}
	}
}

static void prepared(struct member *member, const char *message)
{
	int end = 0;

	if (sscanf(message, "prepared %" SCNu64 " %32[0-9a-f] %n", &member->number, member->id, &end) == 2 &&
	    end != 0) {
		member->path = alloc_copy(message + end);
		member->state = MEMBER_PREPARED;
	}
}

bool together_heard(struct together *together, size_t job, const char *message, int status)
{
	struct member *member = &together->members[job];

	if (!message) {
		/* One that is done has ended well enough, whatever comes behind it; its place in the count stays. */
		if (member->state != MEMBER_DONE) {
			member->failed = status != STATUS_DONE;
			member->state = MEMBER_ENDED;
		}
	} else if (strncmp(message, "prepared ", 9) == 0) {
		prepared(member, message);
		jobs_rest(together->jobs, job);
	} else if (strcmp(message, "ready") == 0) {
		member->state = MEMBER_READY;
		jobs_rest(together->jobs, job);
	} else if (strcmp(message, "done") == 0) {
		member->state = MEMBER_DONE;
	} else {
		return false;
	}
	go_on(together, job);
	return message != NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hold.h"
#include "helper/base/alloc.h"
#include "helper/base/text.h"
#include "helper/commands/command.h"
#include "helper/commands/progress.h"
#include "helper/config/user.h"
#include "helper/store/check.h"
#include "helper/store/verify.h"

/* Of one snapshot so many differences are named, and how many more there are. */
#define NAMED_MAX 20

struct checking {
	const struct repo *repo;
	struct problems problems;
	size_t differences; /* of the present snapshot */
	size_t unverified;  /* snapshots without a record */
};

static void difference(void *context, uint64_t number, const char *path, const char *what)
{
	struct checking *checking = context;

	if (++checking->differences <= NAMED_MAX)
		problem_add(&checking->problems, "snapshots/%ju%s%s: %s", (uintmax_t)number, *path ? "/" : "",
			    path, what);
}

static void check_snapshot(struct checking *checking, struct verify *verify, const struct store *store,
			   uint64_t number)
{
	char name[STORE_NAME_ROOM];
	struct err err = ERR_NONE;
	enum record_state state;
	int pin;

	/* Pinned as by any reader, so that it is not reclaimed meanwhile. */
	while ((pin = hold_take(store->dir, number)) == -EAGAIN)
		;
	checking->differences = 0;
	const int result = verify_snapshot(verify, store, number, &state, &err);
	snapshot_name(number, name);
	if (!store_has(store, name))
		checking->differences = 0; /* Portage has no pins */
	else if (result != 0)
		problem_add(&checking->problems, "%s", err.text);
	else if (state == RECORD_MISSING)
		checking->unverified++;
	else if (state != RECORD_GOOD)
		problem_add(&checking->problems, "snapshots/%ju: %s", (uintmax_t)number,
			    state == RECORD_FOREIGN
				    ? "is not the tree that was published, or one before it is not"
				    : "its record, or one that it builds on, is damaged");
	if (checking->differences > NAMED_MAX)
		problem_add(&checking->problems, "snapshots/%ju: %zu more differences", (uintmax_t)number,
			    checking->differences - NAMED_MAX);
	hold_drop(pin < 0 ? -1 : pin);
}

static void check_snapshots(struct checking *checking, const struct store *store)
{
	struct verify verify = { .found = difference, .context = checking };
	struct err ignored = ERR_NONE;
	struct numbers numbers;

	if (store_numbers(store, &numbers, NULL, NULL, &ignored) != 0)
		return;
	for (size_t i = 0; i < numbers.count; i++) {
		progress_step("checking snapshot %ju", (uintmax_t)numbers.list[i]);
		check_snapshot(checking, &verify, store, numbers.list[i]);
	}
	progress_end();
	numbers_release(&numbers);
	verify_release(&verify);
}

static void print(const struct repo *repo, const char *line, const char *more)
{
	char *name = text_line(repo->name), *text = text_line(line);

	printf("%s: %s%s\n", name, text, more);
	free(name);
	free(text);
}

/* What was found before and is not any more was mended. */
static int mend(const struct repo *repo, struct store *look, const struct problems *before, struct err *err)
{
	struct store store = STORE_CLOSED;
	struct problems after = PROBLEMS_NONE;
	int result = command_lock(&store, repo, "check", err);

	if (result == 0) {
		check_repair(&store);
		check_store(look, repo, &after);
	}
	store_close(&store);
	for (size_t i = 0; result == 0 && i < before->count; i++)
		if (!problem_is(&after, before->list[i]))
			print(repo, before->list[i], " (mended)");
	problems_release(&after);
	return result;
}

static int check_open(const struct options *options, const struct repo *repo, struct store *store,
		      struct err *err)
{
	struct checking checking = { .repo = repo };

	if (options->repair) {
		check_store(store, repo, &checking.problems);
		const int result = mend(repo, store, &checking.problems, err);
		problems_release(&checking.problems);
		if (result != 0)
			return -1;
	}
	check_store(store, repo, &checking.problems);
	check_snapshots(&checking, store);
	for (size_t i = 0; i < checking.problems.count; i++)
		print(repo, checking.problems.list[i], "");
	if (checking.unverified)
		note(repo->name, "snapshots without a record, whose content cannot be checked: %zu",
		     checking.unverified);
	if (checking.problems.busy)
		note(repo->name, "another process is writing: what it has under way was not checked");
	const size_t count = checking.problems.count;
	problems_release(&checking.problems);
	return count == 0 ? 0 : err_fail(err, STATUS_FAILED, repo->name, "%zu things are wrong", count);
}

static int check_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;

	if (command_unsynced(repo))
		return 0;
	int result = user_trusted(repo, &store.sync_user, err);

	if (result == 0)
		result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);
	if (result == 0)
		result = check_open(options, repo, &store, err);
	store_close(&store);
	return result;
}

int cmd_check(const struct options *options)
{
	return command_each(options, false, check_repo);
}

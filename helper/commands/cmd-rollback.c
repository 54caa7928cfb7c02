/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/command.h"
#include "helper/store/held.h"
#include "helper/store/meta.h"
#include "helper/store/publish.h"

/*
 * What was latest before: as the present latest's meta file says, or, where that one is gone or nobody wrote it down
 * (Portage), the highest number below that was not left unpublished.
 */
static int number_before(const struct store *store, uint64_t latest, uint64_t *number, struct err *err)
{
	struct err damaged = ERR_NONE;
	struct numbers numbers;
	struct meta meta;

	*number = 0;
	if (latest == 0)
		return err_fail(err, STATUS_FAILED, store->path, "nothing is published: say which number");
	if (store_numbers(store, &numbers, NULL, NULL, err) != 0)
		return -1;
	if (meta_read(store, latest, &meta, &damaged) != 0 || meta.before == 0)
		meta.before = latest - 1;
	for (size_t i = numbers.count; i > 0 && *number == 0; i--) {
		const uint64_t this = numbers.list[i - 1];
		struct meta of_this;

		if (this <= meta.before && this != latest &&
		    (meta_read(store, this, &of_this, &damaged) != 0 || !of_this.unpublished))
			*number = this;
	}
	numbers_release(&numbers);
	if (*number != 0)
		return 0;
	return err_fail(err, STATUS_FAILED, store->path, "there is no snapshot before %ju",
			(uintmax_t)latest);
}

/*
 * The order, and what a crash behind each step leaves:
 *  - Its pin file is there: a reader that finds the new latest finds that.
 *  - The hold is written down. It is void as long as latest names another one (held.h).
 *  - latest is swapped, by one rename: published. The times in meta/ are those of before.
 *  - meta_settle(): the next store_lock() does it otherwise.
 * Without --hold an old hold is void from the swap on, and removed behind it.
 */
static int swap(const struct options *options, const struct repo *repo, struct store *store, uint64_t number,
		struct err *err)
{
	struct err late = ERR_NONE;

	if (store_make_pins(store, err) != 0 || (options->hold && held_write(store, number, err) != 0))
		return -1;
	switch (publish_swap(store, number, err)) {
	case PUBLISH_FAILED:
		return -1;
	case PUBLISH_UNSURE:
		warn(repo->name, "snapshot %ju is published, but: %s", (uintmax_t)number, err->text);
		err_clear(err);
		break;
	case PUBLISH_DONE:
		break;
	}
	meta_settle(store, &late);
	if (!options->hold)
		held_remove(store, &late);
	if (late.status != STATUS_DONE)
		warn(repo->name, "snapshot %ju is published, but: %s", (uintmax_t)number, late.text);
	return 0;
}

/* It is the latest already: only what is held may change. */
static int stay(const struct options *options, struct store *store, uint64_t number, struct err *err)
{
	return options->hold ? held_write(store, number, err) : held_remove(store, err);
}

static int rollback_store(const struct options *options, const struct repo *repo, struct store *store,
			  struct err *err)
{
	uint64_t latest, number;

	if (store_latest(store, &latest, err) != 0)
		return -1;
	const int found = options->words[0] ? command_snapshot(store, options->words[0], &number, err)
					    : number_before(store, latest, &number, err);
	if (found != 0)
		return -1;
	const bool changed = number != latest;
	if ((changed ? swap(options, repo, store, number, err) : stay(options, store, number, err)) != 0)
		return -1;
	note(repo->name, changed ? "snapshot %ju is published again%s" : "snapshot %ju is the latest%s",
	     (uintmax_t)number,
	     options->hold ? ", and held: sync publishes nothing before sync --force" : "");
	return 0;
}

static int rollback_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = command_lock(&store, repo, "rollback", err);

	if (result == 0)
		result = rollback_store(options, repo, &store, err);
	store_close(&store);
	return result;
}

int cmd_rollback(const struct options *options)
{
	return command_words(options, "REPO is needed, and at most one N", 0, 1, rollback_repo);
}

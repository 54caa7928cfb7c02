/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/command.h"
#include "helper/store/meta.h"

/* Its age counts from when it was retired, as ever: an old one goes with the next gc. */
static int release_store(const struct options *options, struct store *store, struct err *err)
{
	struct meta meta;
	uint64_t number;

	if (command_snapshot(store, options->words[0], &number, err) != 0 ||
	    meta_read(store, number, &meta, err) != 0)
		return -1;
	meta.kept = false;
	meta.name[0] = '\0';
	return meta_write(store, number, &meta, err);
}

static int release_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = command_lock(&store, repo, "release", err);

	if (result == 0)
		result = release_store(options, &store, err);
	store_close(&store);
	return result;
}

int cmd_release(const struct options *options)
{
	return command_words(options, "REPO and N are needed", 1, 1, release_repo);
}

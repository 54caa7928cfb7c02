/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "helper/commands/command.h"
#include "helper/store/meta.h"

static int name_check(const struct options *options, const struct store *store, uint64_t number,
		      struct err *err)
{
	uint64_t other;

	if (!options->name)
		return 0;
	if (!meta_name_good(options->name))
		return err_fail(err, STATUS_USAGE, "--name",
				"%s: a name has at most 63 of letters, digits and . _ + @ : -, and no digit, "
				". or - first",
				options->name);
	if (meta_find(store, options->name, &other, err) != 0)
		return -1;
	if (other == 0 || other == number)
		return 0;
	return err_fail(err, STATUS_FAILED, store->path, "snapshot %ju has the name %s already",
			(uintmax_t)other, options->name);
}

/* Without --name it keeps the one that it has. */
static int keep_store(const struct options *options, struct store *store, struct err *err)
{
	struct meta meta;
	uint64_t number;

	if (command_snapshot(store, options->words[0], &number, err) != 0 ||
	    name_check(options, store, number, err) != 0 || meta_read(store, number, &meta, err) != 0)
		return -1;
	meta.kept = true;
	if (options->name)
		snprintf(meta.name, sizeof(meta.name), "%s", options->name);
	return meta_write(store, number, &meta, err);
}

static int keep_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = command_lock(&store, repo, "keep", err);

	if (result == 0)
		result = keep_store(options, &store, err);
	store_close(&store);
	return result;
}

int cmd_keep(const struct options *options)
{
	return command_words(options, "REPO and N are needed", 1, 1, keep_repo);
}

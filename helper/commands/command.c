/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "helper/base/alloc.h"
#include "helper/config/user.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"

/*
 * Moves the repository `name` of `all` to the end of `repos`; what was moved has no name in `all` any more.
 */
static int take_named(struct repos *repos, struct repos *all, const char *name, struct err *err)
{
	struct repo *found = (struct repo *)repos_find(all, name);

	if (repos_find(repos, name))
		return 0;
	if (!found)
		return err_fail(err, STATUS_USAGE, name, "no such repository in %s", all->source);
	if (!found->rcu)
		return err_fail(err, STATUS_USAGE, name, "does not have sync-rcu in %s", all->source);
	repos->list = alloc_grow(repos->list, repos->count + 1, sizeof(*repos->list));
	repos->list[repos->count++] = *found;
	*found = all->list[--all->count];
	return 0;
}

static int take_all(struct repos *repos, struct repos *all, struct err *err)
{
	size_t others = 0;

	repos->list = alloc_grow(NULL, all->count, sizeof(*repos->list));
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i].rcu)
			repos->list[repos->count++] = all->list[i];
		else
			all->list[others++] = all->list[i];
	all->count = others;
	if (repos->count == 0)
		return err_fail(err, STATUS_USAGE, "configuration", "no repository with sync-rcu in %s",
				all->source);
	return 0;
}

static void tell_odd(const struct repos *repos)
{
	for (size_t i = 0; i < repos->warnings.count; i++)
		warn("configuration", "%s", repos->warnings.list[i]);
}

static int repos_of_config(const struct options *options, struct repos *repos, struct err *err)
{
	struct repos all;
	int result = repos_read(&all, options->config, &options->override, err);

	if (result == 0)
		tell_odd(&all);
	if (result == 0 && !options->rest[0])
		result = take_all(repos, &all, err);
	for (char **name = options->rest; result == 0 && *name; name++)
		result = take_named(repos, &all, *name, err);
	repos_release(&all);
	return result;
}

int command_repos(const struct options *options, bool need_one, struct repos *repos, struct err *err)
{
	*repos = (struct repos)REPOS_NONE;
	if (options->location && options->rest[0])
		return err_fail(err, STATUS_USAGE, options->rest[0], "--location stands for a repository");
	if (!options->location && (options->store || options->type || options->uri))
		return err_fail(err, STATUS_USAGE, "--location",
				"is missing beside --store, --type or --uri");
	if (options->location) {
		const int result = repos_from_options(repos, options->location, options->store, options->type,
						      options->uri, &options->override, err);
		if (result == 0)
			tell_odd(repos);
		return result;
	}
	if (need_one && (!options->rest[0] || options->rest[1]))
		return err_fail(err, STATUS_USAGE, "usage", "exactly one REPO is needed");
	return repos_of_config(options, repos, err);
}

/* "NAME: text", unless the text begins so already, or says [NAME] itself: "FILE:LINE: [NAME] KEY = VALUE: ...". */
static void print_failure(const struct repo *repo, const struct err *err)
{
	const size_t length = strlen(repo->name);
	char *section = alloc_printf(": [%s] ", repo->name);

	if ((strncmp(err->text, repo->name, length) == 0 && err->text[length] == ':') ||
	    strstr(err->text, section))
		err_print(err);
	else
		warn(repo->name, "%s", err->text);
	free(section);
}

int command_one(const struct options *options, const struct repo *repo,
		int (*one)(const struct options *options, const struct repo *repo, struct err *err))
{
	struct err err = ERR_NONE;

	if (one(options, repo, &err) == 0)
		return STATUS_DONE;
	print_failure(repo, &err);
	return err.status;
}

int command_worse(int so_far, int status)
{
	if (status == STATUS_DONE || (status == STATUS_BUSY && so_far != STATUS_DONE))
		return so_far;
	return status == STATUS_BUSY ? STATUS_BUSY : STATUS_FAILED;
}

int command_each(const struct options *options, bool need_one,
		 int (*one)(const struct options *options, const struct repo *repo, struct err *err))
{
	struct err err = ERR_NONE;
	struct repos repos;
	int status = STATUS_DONE;

	if (command_repos(options, need_one, &repos, &err) != 0) {
		repos_release(&repos);
		return err_print(&err);
	}
	for (size_t i = 0; i < repos.count; i++) {
		const int got = command_one(options, &repos.list[i], one);

		status = repos.count == 1 ? got : command_worse(status, got);
	}
	repos_release(&repos);
	return status;
}

int command_words(const struct options *options, const char *usage, size_t least, size_t most,
		  int (*one)(const struct options *options, const struct repo *repo, struct err *err))
{
	const bool named = !options->location && options->rest[0];
	char *repo[] = { named ? options->rest[0] : NULL, NULL };
	struct options own = *options;
	struct err err = ERR_NONE;
	size_t count = 0;

	own.rest = repo;
	own.words = options->rest + named;
	while (own.words[count])
		count++;
	if ((named || options->location) && count >= least && count <= most)
		return command_each(&own, true, one);
	err_fail(&err, STATUS_USAGE, "usage", "%s", usage);
	return err_print(&err);
}

bool command_unsynced(const struct repo *repo)
{
	struct stat st;

	if (lstat(repo->store, &st) == 0 || errno != ENOENT ||
	    (lstat(repo->location, &st) == 0 && S_ISLNK(st.st_mode)))
		return false;
	note(repo->name, "not synced yet: %s is not there", repo->store);
	return true;
}

int command_check_store(const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	uint64_t latest;
	int result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0 && !store_has(&store, STORE_OURS) &&
	    (store_latest(&store, &latest, err) != 0 || latest == 0))
		result = err_fail(err, STATUS_FAILED, repo->store, "is no store");
	store_close(&store);
	return result;
}

int command_lock(struct store *store, const struct repo *repo, const char *name, struct err *err)
{
	if (command_check_store(repo, err) != 0 || user_trusted(repo, &store->sync_user, err) != 0 ||
	    store_open(store, repo->store, STORE_CHANGE, repo->durable, err) != 0)
		return -1;
	char *command = alloc_printf("rcu-repo %s %s", name, repo->name);
	const int result = store_lock(store, command, true, err);
	free(command);
	return result;
}

int command_snapshot(const struct store *store, const char *word, uint64_t *number, struct err *err)
{
	char name[STORE_NAME_ROOM];

	if (snapshot_number_parse(word, strlen(word), number)) {
		snapshot_name(*number, name);
		if (store_has(store, name))
			return 0;
	} else if (!meta_name_good(word)) {
		return err_fail(err, STATUS_USAGE, word, "neither a snapshot's number nor a name");
	} else if (meta_find(store, word, number, err) != 0 || *number != 0) {
		return *number != 0 ? 0 : -1;
	}
	return err_fail(err, STATUS_FAILED, store->path, "there is no snapshot %s", word);
}

static void report_foreign(void *context, const char *name)
{
	const struct store *store = context;

	warn(store->path, "%s/%s: not a snapshot's number: left alone", STORE_SNAPSHOTS, name);
}

int command_numbers(const struct store *store, struct numbers *numbers, struct err *err)
{
	*numbers = (struct numbers){ .list = NULL };
	return store_numbers(store, numbers, report_foreign, (void *)store, err);
}

char *command_time(int64_t seconds, bool json)
{
	const time_t time = (time_t)seconds;
	struct tm parts;
	char text[64];

	if (seconds == 0 || !(json ? gmtime_r(&time, &parts) : localtime_r(&time, &parts)))
		return NULL;
	if (strftime(text, sizeof(text), json ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &parts) == 0)
		return NULL;
	return alloc_copy(text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/programs/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/config/places.h"
#include "helper/programs/run.h"
#include "helper/store/trust.h"

bool hooks_any(const struct repo *repo)
{
	return repo->hooks || (repo->verify && repo->verify[0]);
}

int hooks_check(const struct repo *repo, struct err *err)
{
	struct stat st;

	if (!repo->hooks)
		return 0;
	if (stat(repo->hooks, &st) != 0)
		return repo_refuse(repo, REPO_HOOKS, strerror(errno), err);
	if (!S_ISDIR(st.st_mode))
		return repo_refuse(repo, REPO_HOOKS, "not a directory", err);
	return trust_path(repo->hooks, (uid_t)-1, err);
}

static int is_candidate(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && entry->d_name[strlen(entry->d_name) - 1] != '~';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/*
 * Is it a program? 1, 0 or -1. The directory is trusted, but a file in it may be somebody else's: what they write into
 * it would be run with our rights.
 */
static int is_program(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_errno(err, STATUS_FAILED, path, "stat");
	if (!S_ISREG(st.st_mode) || access(path, X_OK) != 0)
		return 0;
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH) != 0 ||
	    ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0))
		return err_fail(err, STATUS_FAILED, path, "not run: others may write to it");
	return 1;
}

/* Calls `one` for each program of the directory, which may be missing; with `all` also after a failure. */
static int for_each(const char *dir, bool all,
		    int (*one)(const char *path, const void *context, struct err *err), const void *context,
		    struct err *err)
{
	struct dirent **entries;
	int count = scandir(dir, &entries, is_candidate, by_bytes), result = 0;

	if (count < 0)
		return errno == ENOENT ? 0 : err_errno(err, STATUS_FAILED, dir, "cannot be read");
	for (int i = 0; i < count; i++) {
		if (result == 0 || all) {
			char *path = alloc_printf("%s/%s", dir, entries[i]->d_name);
			const int program = is_program(path, err);

			if (program < 0 || (program == 1 && one(path, context, err) != 0))
				result = -1;
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	return result;
}

struct before {
	struct run run;
	const char *env[6];
	char *texts[5];
};

static void before_init(struct before *before, const struct hooks *hooks)
{
	*before = (struct before){
		.texts = { alloc_printf("RCU_REPO_STAGING=%s", hooks->staging),
			   alloc_printf("RCU_REPO_LOCATION=%s", hooks->repo->location),
			   alloc_printf("RCU_REPO_NAME=%s", hooks->repo->name),
			   alloc_printf("RCU_REPO_OLD=%" PRIu64, hooks->old),
			   alloc_printf("RCU_REPO_NEW=%" PRIu64, hooks->next) },
	};
	for (size_t i = 0; i < sizeof(before->texts) / sizeof(before->texts[0]); i++)
		before->env[i] = before->texts[i];
	before->run = (struct run){ .cwd = hooks->staging,
				    .env = before->env,
				    .guard = hooks->guard,
				    .timeout = hooks->repo->hook_timeout };
}

static void before_release(struct before *before)
{
	for (size_t i = 0; i < sizeof(before->texts) / sizeof(before->texts[0]); i++)
		free(before->texts[i]);
}

static int run_before(const char *path, const void *context, struct err *err)
{
	const struct before *before = context;
	const char *const argv[] = { path, NULL };
	struct run hook = before->run;

	hook.argv = argv;
	hook.subject = path;
	return run(&hook, err);
}

int hooks_run(const struct hooks *hooks, struct err *err)
{
	const struct repo *repo = hooks->repo;
	struct before before;
	int result = 0;

	before_init(&before, hooks);
	if (repo->verify && repo->verify[0]) {
		before.run.argv = (const char *const *)repo->verify;
		before.run.subject = repo->verify[0];
		result = run(&before.run, err);
	}
	if (result == 0 && repo->hooks)
		result = for_each(repo->hooks, false, run_before, &before, err);
	before_release(&before);
	return result;
}

static int run_after(const char *path, const void *context, struct err *err)
{
	const struct repo *repo = context;
	const char *const of_repo[] = { path, repo ? repo->name : NULL,
					repo && repo->sync_uri ? repo->sync_uri : "",
					repo ? repo->location : NULL, NULL };
	const char *const of_all[] = { path, NULL };
	const struct run hook = { .argv = repo ? of_repo : of_all, .subject = path, .cwd = "/" };

	return run(&hook, err);
}

static int after(const char *name, const struct repo *repo, struct err *err)
{
	char *dir = place_of_portage(name);
	int result = for_each(dir, true, run_after, repo, err);

	free(dir);
	return result;
}

int hooks_after(const struct repo *repo, struct err *err)
{
	return repo->from_portage ? after("repo.postsync.d", repo, err) : 0;
}

int hooks_after_all(struct err *err)
{
	return after("postsync.d", NULL, err);
}

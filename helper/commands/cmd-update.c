/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/commands/session.h"
#include "helper/programs/guard.h"
#include "helper/programs/run.h"

static int run_in_staging(const struct options *options, const struct session *session,
			  const struct guard *guard, struct err *err)
{
	char *staging = alloc_printf("RCU_REPO_STAGING=%s", session->staging.path);
	char *location = alloc_printf("RCU_REPO_LOCATION=%s", session->repo->location);
	const char *const env[] = { staging, location, NULL };
	const struct run command = { .argv = (const char *const *)options->command,
				     .cwd = session->staging.path,
				     .env = env,
				     .guard = guard,
				     .subject = options->command[0] };
	int result = run(&command, err);

	free(staging);
	free(location);
	return result;
}

/* COMMAND is anybody's: on a tree that shares its files with the snapshots only where it can be held. */
static int fill(const struct options *options, struct session *session, struct changes *changes,
		struct err *err)
{
	const enum guard_way way = guard_choose(&session->store, options->command[0], GUARD_FOREIGN);
	struct guard guard = GUARD_OFF;
	int result = session_stage(session, way == GUARD_NONE ? STAGE_COPY : STAGE_BRANCH, err);

	if (result == 0)
		result = guard_start(&guard, &session->staging, way, err);
	if (result == 0)
		result = run_in_staging(options, session, &guard, err);
	if (result == 0)
		result = guard_finish(&guard, changes, err);
	guard_release(&guard);
	return result;
}

static int update_locked(const struct options *options, struct session *session, struct err *err)
{
	struct changes changes = CHANGES_NONE;
	uint64_t number;
	bool changed;
	int result = fill(options, session, &changes, err);

	if (result == 0)
		result = session_publish(session, OCCUPANTS_ANY, &changes, &number, &changed, err);
	changes_release(&changes);
	if (result != 0)
		return -1;
	session_tell(session, number, changed);
	session_reclaim(session);
	return 0;
}

static int update_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	return session_run(options, repo, "update", SESSION_WRITE, update_locked, err);
}

int cmd_update(const struct options *options)
{
	struct err err = ERR_NONE;

	if (options->command && options->command[0])
		return command_each(options, true, update_repo);
	err_fail(&err, STATUS_USAGE, "update", "no COMMAND: rcu-repo update REPO -- COMMAND [ARG...]");
	return err_print(&err);
}

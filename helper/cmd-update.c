/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "helper/alloc.h"
#include "helper/command.h"
#include "helper/run.h"
#include "helper/session.h"

static int run_in_staging(const struct options *options, const struct session *session, struct err *err)
{
	char *staging = alloc_printf("RCU_REPO_STAGING=%s", session->staging.path);
	char *location = alloc_printf("RCU_REPO_LOCATION=%s", session->repo->location);
	const char *const env[] = { staging, location, NULL };
	const struct run command = { .argv = (const char *const *)options->command,
				     .cwd = session->staging.path,
				     .env = env,
				     .subject = options->command[0] };
	int result = run(&command, err);

	free(staging);
	free(location);
	return result;
}

static int update_locked(const struct options *options, struct session *session, struct err *err)
{
	uint64_t number;
	bool changed;

	if (session_stage(session, STAGE_COPY, err) != 0 || run_in_staging(options, session, err) != 0 ||
	    session_publish(session, OCCUPANTS_ANY, &number, &changed, err) != 0)
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

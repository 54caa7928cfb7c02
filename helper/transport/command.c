/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command: any program of the administrator's brings the tree up to date. It may write in place: behind the guard no
 * write of it reaches a snapshot, and by the kernel's guard we know what it changed.
 */
#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/base/words.h"
#include "helper/config/user.h"
#include "helper/programs/run.h"
#include "helper/transport/transport.h"

static int command_check(const struct repo *repo, struct err *err)
{
	return repo->command && repo->command[0] ? 0 : repo_refuse(repo, REPO_COMMAND, "not set", err);
}

static int command_fetch(const struct repo *repo, const struct staging *staging, const char *base,
			 struct changes *changes, struct err *err)
{
	struct words env = WORDS_NONE;
	struct user user;
	int result = user_of_fetch(repo, &user, err);

	(void)changes;
	words_add(&env, alloc_printf("RCU_REPO_STAGING=%s", staging->path));
	words_add(&env, alloc_printf("RCU_REPO_LOCATION=%s", repo->location));
	words_add(&env, alloc_printf("RCU_REPO_NAME=%s", repo->name));
	words_add(&env, alloc_printf("RCU_REPO_BASE=%s", base ? base : ""));
	words_add(&env, alloc_printf("RCU_REPO_URI=%s", repo->sync_uri ? repo->sync_uri : ""));
	const struct run command = { .argv = (const char *const *)repo->command,
				     .cwd = staging->path,
				     .env = (const char *const *)env.list,
				     .user = &user,
				     .guard = staging->guard,
				     .subject = repo->command[0],
				     .timeout = repo->timeout };
	if (result == 0)
		result = run(&command, err);
	words_release(&env);
	user_release(&user);
	return result;
}

static const char *command_program(const struct repo *repo)
{
	return repo->command[0];
}

const struct transport transport_command = { .type = "command",
					     .check = command_check,
					     .stage = STAGE_BRANCH,
					     .program = command_program,
					     .kind = GUARD_FOREIGN,
					     .fetch = command_fetch };

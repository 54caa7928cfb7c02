/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "helper/commands/command.h"
#include "helper/commands/session.h"
#include "helper/store/reservation.h"

/*
 * The reservation is written before the path is printed, and the lock ends after both: if we die in between,
 * either nobody has reserved the tree, and the next writer drops it, or it is reserved and `abort` finds it.
 */
static int begin_locked(const struct options *options, struct session *session, struct err *err)
{
	if (session_stage(session, STAGE_COPY, err) != 0 ||
	    reservation_write(&session->store, session->staging.id, options->owner, err) != 0)
		return -1;
	if (printf("%s\n", session->staging.path) < 0 || fflush(stdout) != 0) {
		err_errno(err, STATUS_FAILED, "stdout", "cannot be written");
		reservation_remove(&session->store, err);
		return -1;
	}
	session_keep(session);
	return 0;
}

static int begin_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	return session_run(options, repo, "begin", SESSION_WRITE, begin_locked, err);
}

int cmd_begin(const struct options *options)
{
	return command_each(options, true, begin_repo);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/command.h"
#include "helper/commands/session.h"
#include "helper/store/reservation.h"

static int abort_locked(const struct options *options, struct session *session, struct err *err)
{
	if (session_find(session, options->staging, err) != 0 || session_drop(session, err) != 0)
		return -1;
	return reservation_remove(&session->store, err);
}

static int abort_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	return session_run(options, repo, "abort", SESSION_ABORT, abort_locked, err);
}

int cmd_abort(const struct options *options)
{
	return command_each(options, true, abort_repo);
}

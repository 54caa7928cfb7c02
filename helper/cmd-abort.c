/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "helper/alloc.h"
#include "helper/command.h"
#include "helper/reservation.h"
#include "helper/session.h"

static int abort_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct session session = SESSION_CLOSED;
	char *command = alloc_printf("rcu-repo abort %s", repo->name);
	int result = session_open(&session, repo, command, SESSION_ABORT, err);

	if (result == 0)
		result = session_find(&session, options->staging, err);
	if (result == 0)
		result = session_drop(&session, err);
	if (result == 0)
		result = reservation_remove(&session.store, err);
	if (result == 0)
		session_finish(&session);
	free(command);
	session_close(&session);
	return result;
}

int cmd_abort(const struct options *options)
{
	return command_each(options, true, abort_repo);
}

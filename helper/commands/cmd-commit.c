/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "helper/commands/command.h"
#include "helper/commands/session.h"

/*
 * What is not published stays staged and reserved, for another try or for `abort`. Behind its sealing nobody writes to
 * it any more (reservation.h).
 */
static int commit_locked(const struct options *options, struct session *session, struct err *err)
{
	uint64_t number;
	bool changed;

	if (session_find(session, options->staging, err) != 0)
		return -1;
	if (session_publish(session, OCCUPANTS_WRITING, NULL, &number, &changed, err) != 0) {
		if (session->reserved)
			session_keep(session);
		return -1;
	}
	session_tell(session, number, changed);
	/*
	 * Not by way of stdio: that the number cannot be written is no reason to say at the end that all is as before.
	 */
	if (dprintf(STDOUT_FILENO, "%ju\n", (uintmax_t)number) < 0)
		warn(session->repo->name, "snapshot %ju is the latest, but stdout cannot be written: %s",
		     (uintmax_t)number, strerror(errno));
	return 0;
}

static int commit_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	return session_run(options, repo, "commit", SESSION_COMMIT, commit_locked, err);
}

int cmd_commit(const struct options *options)
{
	return command_each(options, true, commit_repo);
}

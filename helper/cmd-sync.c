/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "helper/alloc.h"
#include "helper/command.h"
#include "helper/session.h"
#include "helper/transport/transport.h"

static int fetch(const struct options *options, const struct transport *transport,
		 const struct session *session, struct err *err)
{
	char *base = session_base(session);

	if (options->verbose)
		note(session->repo->name, "fetching %s, on top of %s", session->repo->sync_uri,
		     base ? base : "nothing");
	int result = transport->fetch(session->repo, &session->staging, base, err);
	free(base);
	return result;
}

static int sync_locked(const struct options *options, const struct transport *transport,
		       struct session *session, struct err *err)
{
	uint64_t number;
	bool changed;

	if (session_stage(session, STAGE_EMPTY, err) != 0 || fetch(options, transport, session, err) != 0 ||
	    session_publish(session, OCCUPANTS_ANY, &number, &changed, err) != 0)
		return -1;
	session_tell(session, number, changed);
	session_reclaim(session);
	session_finish(session);
	return 0;
}

static int sync_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct session session = SESSION_CLOSED;
	if (!options->rest[0] && !options->location && !repo->auto_sync)
		return 0;
	const struct transport *transport = transport_find(repo, err);
	if (!transport || transport->check(repo, err) != 0 || session_check(repo, err) != 0)
		return -1;
	char *command = alloc_printf("rcu-repo sync %s", repo->name);
	int result = session_open(&session, repo, command, SESSION_WRITE, err);
	if (result == 0)
		result = sync_locked(options, transport, &session, err);
	free(command);
	session_close(&session);
	return result;
}

int cmd_sync(const struct options *options)
{
	return command_each(options, false, sync_repo);
}

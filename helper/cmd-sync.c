/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "helper/command.h"
#include "helper/session.h"
#include "helper/transport/transport.h"

static int fetch(const struct options *options, const struct session *session,
		 const struct transport *transport, struct changes *changes, struct err *err)
{
	char *base = session_base(session);

	if (options->verbose)
		note(session->repo->name, "fetching %s, on top of %s", session->repo->sync_uri,
		     base ? base : "nothing");
	int result = transport->fetch(session->repo, &session->staging, base, changes, err);
	free(base);
	return result;
}

static int sync_locked(const struct options *options, struct session *session, struct err *err)
{
	const struct transport *transport = transport_find(session->repo, err);
	struct changes changes = CHANGES_NONE;
	uint64_t number;
	bool changed;
	int result = -1;

	if (transport && session_stage(session, transport->stage, err) == 0 &&
	    fetch(options, session, transport, &changes, err) == 0)
		result = session_publish(session, OCCUPANTS_ANY, &number, &changed, err);
	changes_release(&changes);
	if (result != 0)
		return -1;
	session_tell(session, number, changed);
	session_reclaim(session);
	return 0;
}

static int sync_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	if (!options->rest[0] && !options->location && !repo->auto_sync)
		return 0;
	const struct transport *transport = transport_find(repo, err);
	if (!transport || transport->check(repo, err) != 0)
		return -1;
	return session_run(options, repo, "sync", SESSION_WRITE, sync_locked, err);
}

int cmd_sync(const struct options *options)
{
	return command_each(options, false, sync_repo);
}

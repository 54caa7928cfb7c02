/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <unistd.h>

#include "helper/command.h"
#include "helper/hooks.h"
#include "helper/session.h"
#include "helper/transport/transport.h"
#include "helper/user.h"

/* The tree that is filled belongs to whom the repository is fetched as; its place in the store stays ours. */
static int give_away(const struct session *session, struct err *err)
{
	struct user user;
	int result = user_of_fetch(session->repo, &user, err);

	if (result == 0 && geteuid() == 0 && (user.uid != (uid_t)-1 || user.gid != (gid_t)-1) &&
	    fchown(session->staging_dir, user.uid, user.gid) != 0)
		result = err_errno(err, STATUS_FAILED, session->staging.path, "cannot be given to %s",
				   session->repo->sync_user ? session->repo->sync_user : user.name);
	user_release(&user);
	return result;
}

/* Was a repository of Portage's files synced? Then its hooks for all of them run in the end. */
static bool synced_for_portage;

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

	if (transport && session_stage(session, transport->stage, err) == 0 && give_away(session, err) == 0 &&
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
	/* As with emerge --sync: what is not to be synced of itself, and what has nothing to sync from, is left alone. */
	if (!options->rest[0] && !options->location && (!repo->auto_sync || !repo->sync_type))
		return 0;
	const struct transport *transport = transport_find(repo, err);
	if (!transport || transport->check(repo, err) != 0)
		return -1;
	if (session_run(options, repo, "sync", SESSION_WRITE, sync_locked, err) != 0)
		return -1;
	struct err late = ERR_NONE;
	if (hooks_after(repo, &late) != 0)
		warn(repo->name, "a hook failed after the sync: %s", late.text);
	synced_for_portage = synced_for_portage || repo->from_portage;
	return 0;
}

int cmd_sync(const struct options *options)
{
	struct err late = ERR_NONE;
	int status = command_each(options, false, sync_repo);

	if (synced_for_portage && hooks_after_all(&late) != 0)
		warn("sync", "a hook failed after the sync: %s", late.text);
	return status;
}

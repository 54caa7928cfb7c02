/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/commands/jobs.h"
#include "helper/commands/session.h"
#include "helper/commands/together.h"
#include "helper/config/user.h"
#include "helper/programs/guard.h"
#include "helper/programs/hooks.h"
#include "helper/transport/apart.h"
#include "helper/transport/transport.h"

/*
 * The tree that is filled belongs to whom the repository is fetched as; its place in the store stays ours. That is each
 * directory of it, whoever made it: a hook or an update, as who we are.
 */
static int give_away(const struct session *session, const struct user *user, enum stage_kind kind,
		     struct changes *changes, struct err *err)
{
	if (geteuid() != 0 || !user_is_other(user))
		return 0;
	return apart_give(user, session->staging_dir, session->staging.path, kind == STAGE_COPY, changes,
			  err);
}

/*
 * Was the version that readers see fetched by somebody else? Its files cannot be changed by him, nor be given to him,
 * for they are those of that version: he needs a copy of his own.
 */
static bool is_foreign(const struct session *session, const struct user *user)
{
	char *base = session_base(session);
	struct stat st;
	const bool foreign = base && user->uid != (uid_t)-1 && stat(base, &st) == 0 && st.st_uid != user->uid;

	free(base);
	return foreign;
}

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

/* What was fetched, judged by the transport. */
static int verify(struct session *session, const struct transport *transport, struct err *err)
{
	struct words notes = WORDS_NONE;
	struct err why = ERR_NONE;
	char *base = session_base(session);
	int result = 0;

	job_step("verifying");
	if (transport->verify)
		result = transport->verify(session->repo, session->staging.path, base, &notes, &why);
	free(base);
	for (size_t i = 0; i < notes.count; i++)
		warn(session->repo->name, "%s", notes.list[i]);
	words_release(&notes);
	return result == 0 ? 0 : session_refuse(session, &why, err);
}

/* A tree as the transport and who fetches want it, and how what they run in it is to be held. */
static int stage(struct session *session, const struct transport *transport, enum guard_way *way,
		 struct changes *changes, struct err *err)
{
	enum stage_kind kind = transport->stage;
	struct user user;
	int result = user_of_fetch(session->repo, &user, err);
	const bool foreign = is_foreign(session, &user);

	if (transport->program && !foreign)
		*way = guard_choose(&session->store, transport->program(session->repo), transport->kind);
	if (kind == STAGE_BRANCH && (foreign || (transport->program && *way == GUARD_NONE)))
		kind = STAGE_COPY;
	if (result == 0)
		result = session_stage(session, kind, err);
	if (result == 0)
		result = give_away(session, &user, kind, changes, err);
	/* Each file has another owner. */
	if (foreign)
		changes_set_unknown(changes);
	user_release(&user);
	return result;
}

static int stage_and_fetch(const struct options *options, struct session *session,
			   const struct transport *transport, struct changes *changes, struct err *err)
{
	struct changes unused = CHANGES_NONE;
	struct guard guard = GUARD_OFF;
	enum guard_way way = GUARD_NONE;

	job_step("staging");
	int result = stage(session, transport, &way, changes, err);
	if (result == 0)
		result = guard_start(&guard, &session->staging, way, err);
	if (result == 0) {
		job_step("fetching");
		session->staging.guard = way != GUARD_NONE ? &guard : NULL;
		result = fetch(options, session, transport, changes, err);
		session->staging.guard = NULL;
		if (!session->staging.plain)
			session->staging.looked = time(NULL);
	}
	/* Where the program is our own transport's, that knows better what changed. */
	if (result == 0 && transport->program)
		result = guard_finish(&guard, transport->kind == GUARD_FOREIGN ? changes : &unused, err);
	changes_release(&unused);
	guard_release(&guard);
	return result;
}

/* What became of one, for the hooks behind it. */
static bool news;

/* We are one of several that are published as a set. */
static bool in_together;

static int sync_locked(const struct options *options, struct session *session, struct err *err)
{
	const struct transport *transport = transport_find(session->repo, err);
	struct changes changes = CHANGES_NONE;
	uint64_t number;

	if (!transport)
		return -1;
	if (in_together)
		session->store.gate = together_gate;
	int result = stage_and_fetch(options, session, transport, &changes, err);
	if (result == 0)
		result = verify(session, transport, err);
	if (result == 0) {
		job_step("publishing");
		session->limited = true;
		result = session_publish(session, OCCUPANTS_OURS, &changes, &number, &news, err);
		together_end(&session->store, result == 0);
	}
	changes_release(&changes);
	if (result != 0)
		return -1;
	session_tell(session, number, news);
	job_step("reclaiming");
	session_reclaim(session);
	return 0;
}

static int sync_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	const struct transport *transport = transport_find(repo, err);
	struct user user;

	if (!transport || transport->check(repo, err) != 0)
		return -1;
	const int result = user_of_fetch(repo, &user, err);
	user_release(&user);
	if (result != 0)
		return -1;
	return session_run(options, repo, "sync", SESSION_WRITE, sync_locked, err);
}

/* One repository with what runs behind it: its status. *hooked says whether hooks were due. */
static int sync_one(const struct options *options, const struct repo *repo, bool *hooked)
{
	const int status = command_one(options, repo, sync_repo);
	struct err late = ERR_NONE;

	*hooked = status == STATUS_DONE && repo->from_portage && (news || !repo->hooks_only_on_change);
	if (!*hooked)
		return status;
	job_step("hooks");
	if (hooks_after(repo, &late) != 0)
		warn(repo->name, "a hook failed after the sync: %s", late.text);
	return status;
}

/* ---- several ---- */

#define JOBS_DEFAULT 8
#define HOOKED "hooked"

struct several {
	const struct options *options;
	const struct repos *repos;
	int *status;
	bool hooked; /* Portage's hooks for all of them are due */
	struct together together;
};

static const char *several_name(const void *context, size_t job)
{
	return ((const struct several *)context)->repos->list[job].name;
}

static int several_work(void *context, size_t job)
{
	const struct several *several = context;
	bool hooked;

	in_together = several->options->together;
	const int status = sync_one(several->options, &several->repos->list[job], &hooked);

	if (hooked)
		job_say(HOOKED);
	return status;
}

static void several_heard(void *context, size_t job, const char *message, int status)
{
	struct several *several = context;

	if (several->options->together && together_heard(&several->together, job, message, status))
		return;
	if (message) {
		several->hooked = several->hooked || strcmp(message, HOOKED) == 0;
		return;
	}
	if (status > 128)
		warn(several_name(several, job), "killed by signal %d (%s)", status - 128,
		     strsignal(status - 128));
	several->status[job] = status > 128 ? STATUS_FAILED : status;
}

/* The one line that says which, below what each has said itself. */
static int several_judge(const struct several *several)
{
	char *failed = NULL;
	int status = STATUS_DONE;

	for (size_t i = 0; i < several->repos->count; i++) {
		status = command_worse(status, several->status[i]);
		if (several->status[i] == STATUS_DONE)
			continue;
		char *longer = failed ? alloc_printf("%s, %s", failed, several_name(several, i))
				      : alloc_copy(several_name(several, i));
		free(failed);
		failed = longer;
	}
	if (failed)
		warn("sync", "not synced: %s", failed);
	free(failed);
	return status;
}

static int sync_several(const struct options *options, const struct repos *repos, bool *hooked)
{
	struct several several = { .options = options, .repos = repos };
	struct jobs jobs = { .count = repos->count,
			     .limit = options->jobs ? options->jobs : JOBS_DEFAULT,
			     .name = several_name,
			     .work = several_work,
			     .heard = several_heard,
			     .context = &several };
	struct err err = ERR_NONE;

	several.status = alloc_grow(NULL, repos->count, sizeof(*several.status));
	for (size_t i = 0; i < repos->count; i++)
		several.status[i] = STATUS_FAILED;
	if (options->together)
		together_init(&several.together, &jobs, repos);
	if (jobs_run(&jobs, &err) != 0)
		err_print(&err);
	if (options->together)
		together_release(&several.together);
	const int status = several_judge(&several);
	*hooked = several.hooked;
	free(several.status);
	return status;
}

/* As with emerge --sync: what is not to be synced of itself, and what has nothing to sync from, is left alone. */
static void leave_out(const struct options *options, struct repos *repos)
{
	size_t others = 0;

	for (size_t i = 0; i < repos->count; i++) {
		const struct repo repo = repos->list[i];

		if (options->rest[0] || options->location || (repo.auto_sync && repo.sync_type)) {
			repos->list[i] = repos->list[others];
			repos->list[others++] = repo;
		}
	}
	repos_shrink(repos, others);
}

int cmd_sync(const struct options *options)
{
	struct err err = ERR_NONE;
	struct repos repos;
	bool hooked = false;
	int status = STATUS_DONE;

	if (command_repos(options, false, &repos, &err) != 0) {
		repos_release(&repos);
		return err_print(&err);
	}
	leave_out(options, &repos);
	if (repos.count == 1)
		status = sync_one(options, &repos.list[0], &hooked);
	else if (repos.count != 0)
		status = sync_several(options, &repos, &hooked);
	if (hooked && hooks_after_all(&err) != 0)
		warn("sync", "a hook failed after the sync: %s", err.text);
	repos_release(&repos);
	return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/commands/command.h"
#include "helper/commands/deletions.h"
#include "helper/commands/look.h"
#include "helper/config/user.h"
#include "helper/programs/guard.h"
#include "helper/programs/hooks.h"
#include "helper/store/held.h"
#include "helper/store/lock.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "helper/store/reservation.h"
#include "helper/store/space.h"
#include "helper/store/sweep.h"
#include "helper/tree/tree.h"

int session_check(const struct repo *repo, struct err *err)
{
	return hooks_check(repo, err);
}

/*
 * A latest whose snapshot is gone (somebody deleted it) is no tree to go on from, and no reason to publish no new
 * one.
 */
static int latest_find(struct session *session, struct err *err)
{
	char name[STORE_NAME_ROOM];

	if (store_latest(&session->store, &session->latest, err) != 0)
		return -1;
	if (session->latest == 0)
		return 0;
	snapshot_name(session->latest, name);
	if (!store_has(&session->store, name)) {
		warn(session->repo->name, "latest names %s, which is not there: starting from nothing", name);
		session->latest = 0;
	}
	return 0;
}

static int store_take(struct session *session, const char *command, enum session_use use, struct err *err)
{
	const struct repo *repo = session->repo;
	struct err late = ERR_NONE;

	if (user_trusted(repo, &session->store.sync_user, err) != 0 ||
	    store_open(&session->store, repo->store, STORE_CHANGE, repo->durable, err) != 0 ||
	    store_lock(&session->store, command, use != SESSION_WRITE, err) != 0)
		return -1;
	if (use == SESSION_WRITE && session->store.lapsed)
		warn(repo->name, "%s", session->store.lapsed);
	/* What a failed run left there may be what fills the disk. */
	if (use == SESSION_WRITE && sweep_if_full(&session->store, &late) != 0)
		warn(repo->name, "the trash could not be emptied: %s", late.text);
	return 0;
}

int session_open(struct session *session, const struct repo *repo, const char *command, enum session_use use,
		 struct err *err)
{
	session->repo = repo;
	if (use == SESSION_ABORT)
		return command_check_store(repo, err) != 0 ? -1 : store_take(session, command, use, err);
	if (migrate_check(repo, &session->location, err) != 0 ||
	    store_take(session, command, use, err) != 0 ||
	    migrate_check(repo, &session->location, err) != 0 ||
	    migrate_try(repo, session->location, err) != 0 ||
	    store_claim(&session->store, repo->location, err) != 0)
		return -1;
	return latest_find(session, err);
}

/* Below the store, so that nobody on the way to it can exchange it. The caller frees it. */
static char *staging_name(const struct session *session)
{
	return alloc_printf("%s/%s", STORE_STAGING, session->staging.id);
}

static int staging_hold(struct session *session, struct err *err)
{
	char *name = staging_name(session);

	session->staging_dir = openat(session->store.dir, name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	free(name);
	if (session->staging_dir < 0)
		return err_errno(err, STATUS_FAILED, session->staging.path, "cannot be opened");
	return 0;
}

/*
 * What filled the tree may also have moved it away, or put another directory or a link in its place. (We hold
 * the directory open, so its inode number cannot have been given to another one.)
 */
static int staging_check(const struct session *session, struct err *err)
{
	char *name = staging_name(session);
	const bool ours = file_is_named(session->staging_dir, session->store.dir, name);

	free(name);
	if (ours)
		return 0;
	if (errno != 0)
		return err_errno(err, STATUS_FAILED, session->staging.path, "the staging directory is gone");
	return err_fail(err, STATUS_FAILED, session->staging.path,
			"something else is in the place of the staging directory");
}

/* 1, 0, or -1. */
static int staging_is_empty(const struct session *session, struct err *err)
{
	DIR *dir = directory_open(session->staging_dir, ".");

	if (!dir)
		return err_errno(err, STATUS_FAILED, session->staging.path, "cannot be read");
	const bool empty = directory_next(dir) == NULL;
	closedir(dir);
	return empty;
}

static void staging_let_go(struct session *session)
{
	if (session->staging_dir >= 0)
		close(session->staging_dir);
	session->staging_dir = -1;
	staging_release(&session->staging);
	session->staging = (struct staging)STAGING_NONE;
}

/*
 * A staging tree that is as another directory. But for a branch it shares no file with anything, and a branch of what is
 * on another file system cannot: tree_copy() keeps which names are one file, and tree_clone() then would not.
 */
static int stage_from(struct session *session, enum stage_kind kind, int dir, const char *from,
		      struct err *err)
{
	struct stat there, store;
	char *name;
	int result;

	if (session->store.storage->stage(&session->store, STAGE_EMPTY, &session->staging, err) != 0)
		return -1;
	name = staging_name(session);
	const bool near = fstat(session->store.dir, &store) == 0 && fstatat(dir, from, &there, 0) == 0 &&
			  there.st_dev == store.st_dev;
	result = unlinkat(session->store.dir, name, AT_REMOVEDIR);
	if (result != 0)
		err_errno(err, STATUS_FAILED, session->staging.path, "cannot be made anew");
	else if (kind == STAGE_BRANCH && near)
		result = tree_clone(dir, from, session->store.dir, name, err);
	else
		result = tree_copy(dir, from, session->store.dir, name, err);
	free(name);
	return result;
}

/* Is there room for it? A branch shares its files; what else it takes nobody can say beforehand. */
static int room_check(const struct session *session, enum stage_kind kind, struct err *err)
{
	char name[STORE_NAME_ROOM];

	if (session->latest == 0 && session->location == LOCATION_DIRECTORY && kind != STAGE_EMPTY)
		return space_for_copy(&session->store, AT_FDCWD, session->repo->location, err);
	if (session->latest == 0 || kind != STAGE_COPY)
		return 0;
	snapshot_name(session->latest, name);
	return space_for_copy(&session->store, session->store.dir, name, err);
}

int session_stage(struct session *session, enum stage_kind kind, struct err *err)
{
	int result;

	if (room_check(session, kind, err) != 0)
		return -1;
	if (kind != STAGE_EMPTY && session->latest == 0 && session->location == LOCATION_DIRECTORY)
		/* Nothing is published: what is to be changed is what readers see there. */
		result = stage_from(session, kind, AT_FDCWD, session->repo->location, err);
	else
		result = session->store.storage->stage(&session->store, kind, &session->staging, err);
	session->linked = kind != STAGE_COPY;
	return result != 0 ? -1 : staging_hold(session, err);
}

/* By the path that `begin` printed, where the caller says one. */
static int staging_is_asked(const struct session *session, const struct reservation *reservation,
			    const char *path, struct err *err)
{
	char *printed = alloc_printf("%s/%s/%s", session->store.path, STORE_STAGING, reservation->id);
	int result = 0;

	if (path != NULL && strcmp(path, printed) != 0)
		result = err_fail(err, STATUS_FAILED, path, "is not what is staged now: that is %s", printed);
	free(printed);
	return result;
}

int session_find(struct session *session, const char *path, struct err *err)
{
	struct reservation reservation = { .staging = NULL };
	int result = reservation_read(&session->store, &reservation, err);

	if (result == 0 && !reservation.staging)
		result = err_fail(err, STATUS_FAILED, session->store.path, "nothing is staged: %s",
				  session->store.lapsed ? session->store.lapsed : "begin first");
	if (result == 0)
		result = staging_is_asked(session, &reservation, path, err);
	if (result == 0)
		result = session->store.storage->find(&session->store, reservation.staging, &session->staging,
						      err);
	session->sealed = result == 0 && strcmp(reservation.staging, reservation.id) != 0;
	reservation_release(&reservation);
	if (result != 0)
		return -1;
	if (staging_hold(session, err) != 0) {
		staging_let_go(session);
		return -1;
	}
	session->reserved = true;
	return 0;
}

char *session_base(const struct session *session)
{
	if (session->latest != 0)
		return store_snapshot_path(&session->store, session->latest);
	return session->location == LOCATION_DIRECTORY ? alloc_copy(session->repo->location) : NULL;
}

/* Readers see the new version, and then something failed: there is no way back, and no reason to say 1. */
static void tell_unsure(struct session *session, struct err *err)
{
	warn(session->repo->name, "the new version is published, but: %s", err->text);
	err_clear(err);
	session->unsure = true;
}

static int publish_staged(struct session *session, struct record *record, uint64_t *number, struct err *err)
{
	switch (publish(&session->store, &session->staging, record, number, err)) {
	case PUBLISH_FAILED:
		return -1;
	case PUBLISH_UNSURE:
		tell_unsure(session, err);
		break;
	case PUBLISH_DONE:
		break;
	}
	return 0;
}

static int link_location(struct session *session, struct err *err)
{
	char *beside = NULL;
	int result = migrate_finish(&session->store, session->repo, session->location, &beside, err);

	if (beside)
		note(session->repo->name, "the tree that was there is on another file system: it stays as %s",
		     beside);
	free(beside);
	if (result > 0)
		tell_unsure(session, err);
	return result < 0 ? -1 : 0;
}

/* What a hook writes in place must reach no snapshot: it gets a copy where a transport may have linked. */
static int staging_unlink_shared(struct session *session, struct err *err)
{
	struct staging linked = session->staging;
	char *name = staging_name(session);
	int result;

	close(session->staging_dir);
	session->staging_dir = -1;
	session->staging = (struct staging)STAGING_NONE;
	result = stage_from(session, STAGE_COPY, session->store.dir, name, err);
	session->staging.looked = linked.looked;
	if (session->store.storage->discard(&session->store, &linked, err) != 0)
		result = -1;
	free(name);
	staging_release(&linked);
	session->linked = false;
	return result != 0 ? -1 : staging_hold(session, err);
}

/* Why it was not published is for a person to find out: the tree stays until the next writer takes the lock. */
int session_refuse(struct session *session, const struct err *why, struct err *err)
{
	err_fail(err, why->status, session->repo->name, "%s; the tree stays for a look: %s", why->text,
		 session->staging.path);
	staging_let_go(session);
	return -1;
}

/* `guard` is theirs as well, for hooks_run() runs all of them; what they changed joins `hint`, if there is one. */
static int staging_judge_guarded(struct session *session, struct guard *guard, struct changes *hint,
				 struct err *err)
{
	struct hooks hooks = { .repo = session->repo,
			       .staging = session->staging.path,
			       .guard = guard,
			       .old = session->latest };
	struct changes changes = CHANGES_NONE;
	struct err why = ERR_NONE;

	if (store_highest(&session->store, &hooks.next, err) != 0)
		return -1;
	hooks.next++;
	if (hooks_run(&hooks, &why) != 0 || guard_finish(guard, &changes, &why) != 0) {
		changes_release(&changes);
		/* Before its name is let go: the guard knows it by that. */
		guard_release(guard);
		return session_refuse(session, &why, err);
	}
	if (hint != NULL)
		changes_merge(hint, &changes);
	changes_release(&changes);
	return 0;
}

/*
 * Any program may be a hook, so nothing but the kernel holds them all (the shell stands for them: to the kernel it is the same). Where it
 * cannot they get a copy.
 */
static int staging_judge(struct session *session, struct changes *hint, struct err *err)
{
	struct guard guard = GUARD_OFF;
	enum guard_way way = GUARD_NONE;

	if (session->linked && guard_choose(&session->store, "sh", GUARD_FOREIGN) == GUARD_KERNEL)
		way = GUARD_KERNEL;
	else if (session->linked && staging_unlink_shared(session, err) != 0)
		return -1;
	int result = guard_start(&guard, &session->staging, way, err);
	if (result == 0)
		result = staging_judge_guarded(session, &guard, hint, err);
	guard_release(&guard);
	return result;
}

/* Is the staged tree fit to be published as far as we can see? */
static int staging_fit(const struct session *session, enum occupants_of occupants, struct err *err)
{
	if (staging_check(session, err) != 0 || occupants_wait(session->staging.path, occupants, err) != 0)
		return -1;
	const int empty = staging_is_empty(session, err);
	if (empty > 0)
		return err_fail(err, STATUS_FAILED, session->repo->name,
				"the new tree is empty: not published");
	return empty;
}

static int staging_changed(struct session *session, bool *changed, struct err *err)
{
	struct store *store = &session->store;
	int same = 0;

	if (session->latest != 0)
		same = store->storage->same(store, &session->staging, session->latest, err);
	*changed = same == 0;
	return same < 0 ? -1 : 0;
}

/*
 * The hooks' turn, before anything is shared: a tree that they refuse is as it was. What is no news needs no judgement;
 * what a hook adds may make it the same as latest, or another tree.
 */
static int staging_hooks(struct session *session, enum occupants_of occupants, struct changes *hint,
			 struct err *err)
{
	bool changed;

	if (staging_changed(session, &changed, err) != 0)
		return -1;
	if (!changed)
		return 0;
	return staging_judge(session, hint, err) != 0 ? -1 : staging_fit(session, occupants, err);
}

/* The staged tree is ready: it becomes what readers see, or is dropped where nothing differs. */
static int publish_or_drop(struct session *session, struct record *record, uint64_t *number, bool *changed,
			   struct err *err)
{
	*number = session->latest;
	*changed = session->latest == 0 || !record_empty(record);
	if (migrate_prepare(&session->store, session->repo, session->location, err) != 0)
		return -1;
	if (*changed)
		return publish_staged(session, record, number, err);
	/* A branch that was not needed is as latest, and shares all with it: the next sync begins with it. */
	if (!session->linked || session->latest == 0 || record->count != 0)
		return session_drop(session, err);
	int result = session->store.storage->put_back(&session->store, &session->staging, session->latest,
						      err);
	staging_let_go(session);
	return result;
}

/* The tree is gone from staging. If the file cannot be removed it is void all the same: reservation_read() sees that. */
static void reservation_end(struct session *session)
{
	struct err ignored = ERR_NONE;

	if (session->reserved)
		reservation_remove(&session->store, &ignored);
	session->reserved = false;
}

int session_publish(struct session *session, enum occupants_of occupants, struct changes *hint,
		    uint64_t *number, bool *changed, struct err *err)
{
	struct store *store = &session->store;
	struct record record = RECORD_NONE;

	if (staging_fit(session, occupants, err) != 0)
		return -1;
	/* What is sealed was judged before it was. */
	if (hooks_any(session->repo) && !session->sealed && staging_hooks(session, occupants, hint, err) != 0)
		return -1;
	/*
	 * From here on the tree may share files with latest: nobody else may write to it any more. What was reserved stays
	 * so, sealed, until it is a snapshot or is dropped: hours of work may be in it, and commit can be done again.
	 */
	if (session->reserved && reservation_seal(store, &session->staging, err) != 0)
		return -1;
	if (hint != NULL)
		changes_sort(hint);
	int result = store->storage->seal(store, &session->staging, session->latest, hint, &record, err);
	if (result == 0 && session->limited)
		result = session->location == LOCATION_DIRECTORY
				 ? deletions_check_location(session->repo, session->staging_dir, err)
				 : deletions_check(store, session->repo, session->latest, &record, err);
	if (result == 0)
		result = publish_or_drop(session, &record, number, changed, err);
	record_release(&record);
	if (result != 0)
		return -1;
	reservation_end(session);
	staging_let_go(session);
	return link_location(session, err);
}

void session_tell(const struct session *session, uint64_t number, bool changed)
{
	note(session->repo->name,
	     changed ? "snapshot %ju is published" : "nothing changed: snapshot %ju stays the latest",
	     (uintmax_t)number);
}

int session_drop(struct session *session, struct err *err)
{
	int result = session->store.storage->discard(&session->store, &session->staging, err);
	struct err late = ERR_NONE;

	staging_let_go(session);
	/* It may be what has filled the disk, and nobody knows when the next writer comes. What cannot be deleted now, he deletes. */
	sweep_soon(&session->store, &late);
	return result;
}

void session_keep(struct session *session)
{
	staging_let_go(session);
}

/* What nothing but a pin keeps. */
static void note_pinned(void *context, uint64_t number, enum reclaim_why why)
{
	if (why == RECLAIM_PINNED)
		numbers_add(context, number);
}

void session_reclaim(struct session *session)
{
	const struct reclaim_rules rules = { .spares = session->repo->spares,
					     .ttl_days = session->repo->ttl_days,
					     .recycle = true };
	struct numbers numbers, pinned = { .list = NULL };
	struct err err = ERR_NONE, late = ERR_NONE;

	/* The tree that was exchanged out holds what exists once: it is there to be looked at, whatever the rules.
	 * After an unsure publish the version before this one may come back: it must be there then. */
	if (session->location == LOCATION_DIRECTORY || session->unsure)
		return;
	if (command_numbers(&session->store, &numbers, &err) != 0 ||
	    reclaim(&session->store, &rules, note_pinned, &pinned, &err) != 0)
		warn(session->repo->name, "not all could be reclaimed: %s", err.text);
	if (session->store.storage->ready_spare(&session->store, &late) != 0)
		warn(session->repo->name, "the spare could not be kept: %s", late.text);
	look_warn_stuck(session->repo, &session->store, &pinned);
	numbers_release(&numbers);
	numbers_release(&pinned);
}

void session_finish(struct session *session)
{
	struct err err = ERR_NONE;

	store_unlock(&session->store);
	if (sweep_soon(&session->store, &err) != 0)
		warn(session->repo->name, "the trash could not be emptied: %s", err.text);
}

/* The trash is for the next run: why this one failed must be said without more delay. */
void session_close(struct session *session)
{
	struct err unused = ERR_NONE;

	if (session->staging.id)
		session_drop(session, &unused);
	store_close(&session->store);
}

/*
 * A rollback that was to stay: 0 go on, 1 nothing is done (one of all repositories, which a timer syncs), -1 refused.
 * What `begin` staged stays staged.
 */
static int session_held(const struct options *options, struct session *session, struct err *err)
{
	struct held held;

	if (held_read(&session->store, &held, err) != 0)
		return -1;
	if (held.number == 0 || options->unhold)
		return 0;
	char *since = command_time(held.since, false);
	char *why = alloc_printf("snapshot %ju is held since %s (rcu-repo rollback --hold)",
				 (uintmax_t)held.number, since ? since : "?");
	const bool all = !options->rest[0] && !options->location;
	if (all)
		warn(session->repo->name, "%s: skipped", why);
	else
		err_fail(err, STATUS_FAILED, session->repo->name,
			 "%s: nothing is published before sync --force", why);
	free(since);
	free(why);
	return all ? 1 : -1;
}

int session_run(const struct options *options, const struct repo *repo, const char *name,
		enum session_use use,
		int (*body)(const struct options *options, struct session *session, struct err *err),
		struct err *err)
{
	struct session session = SESSION_CLOSED;
	char *command = alloc_printf("rcu-repo %s %s", name, repo->name);
	int result = use == SESSION_ABORT ? 0 : session_check(repo, err);

	if (result == 0)
		result = session_open(&session, repo, command, use, err);
	if (result == 0 && use != SESSION_ABORT)
		result = session_held(options, &session, err);
	if (result == 0)
		result = body(options, &session, err);
	/* If we die here and something was published, the hold is void (held.h). */
	if (result == 0 && options->unhold)
		result = held_remove(&session.store, err);
	if (result == 0)
		session_finish(&session);
	free(command);
	session_close(&session);
	return result < 0 ? -1 : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session.h: what sync, update, begin, commit and abort have in common: one writer's work on one repository.
 *
 *     session_open -> session_stage -> (somebody fills session.staging) -> session_publish
 *                  -> session_reclaim -> session_finish
 *     session_open -> session_find  -> session_publish or session_drop -> session_finish
 *
 * and session_close() at the end of each, also after a failure: what is still staged then is dropped.
 */
#ifndef HELPER_COMMANDS_SESSION_H
#define HELPER_COMMANDS_SESSION_H

#include "helper/config/repos.h"
#include "helper/snapshot/storage.h"
#include "helper/store/migrate.h"
#include "helper/store/occupants.h"

struct session {
	const struct repo *repo;
	struct store store;
	enum location_state location;
	uint64_t latest; /* 0: nothing is published yet */
	struct staging staging;
	bool reserved; /* `begin` staged it, and it is not published yet: session_keep() may leave it */
	bool sealed;   /* by a commit that failed, which had judged it: nobody could write to it since */
	bool linked;   /* its files may be those of a snapshot: a transport made it */
	bool unsure; /* it is published, and may not be after a loss of power: session_reclaim() takes nothing */
	bool limited;    /* a sync: sync-rcu-max-delete applies */
	int staging_dir; /* the directory that was staged: its name is in the hands of whoever fills it */
};
#define SESSION_CLOSED                                                             \
	{                                                                          \
		.store = STORE_CLOSED, .staging = STAGING_NONE, .staging_dir = -1, \
	}

enum session_use {
	SESSION_WRITE,  /* a new tree */
	SESSION_COMMIT, /* what `begin` reserved is published */
	SESSION_ABORT,  /* it is dropped, whatever LOCATION is like */
};

struct options;

/*
 * The frame of all five: session_check() (but not to abort), session_open(), `body`, and where that returns 0
 * session_finish(); then session_close(). `name` is the command's, for the lock.
 */
int session_run(const struct options *options, const struct repo *repo, const char *name,
		enum session_use use,
		int (*body)(const struct options *options, struct session *session, struct err *err),
		struct err *err);

/*
 * For commands that publish, before anything is touched: can what is to judge the tree be run?
 */
int session_check(const struct repo *repo, struct err *err);

/*
 * Checks LOCATION (before anything is made, and again under the lock: another copy may have migrated it
 * meanwhile), opens and locks the store. `command` is store_lock()'s.
 */
int session_open(struct session *session, const struct repo *repo, const char *command, enum session_use use,
		 struct err *err);

/*
 * A new staging tree. STAGE_COPY and STAGE_BRANCH are what readers see now: latest, or the ordinary directory that is
 * still to be migrated.
 */
int session_stage(struct session *session, enum stage_kind kind, struct err *err);

/* What another process staged. `path`, where it is not NULL, must be its path. */
int session_find(struct session *session, const char *path, struct err *err);

/* The tree that readers see now, which a transport may link to: its path, or NULL. The caller frees it. */
char *session_base(const struct session *session);

/*
 * Publishes what is staged, unless nothing changed, and makes LOCATION lead to it. `hint` says what may have changed
 * since it was staged from latest; NULL is anything. *number is the snapshot that readers get now, *changed whether it
 * is new. An empty tree is never published (P26), nor one that is
 * not the directory that was staged, nor one that a process is still at work in (`occupants` says what counts).
 *
 * A tree that is not the same as latest is judged first by sync-rcu-verify and sync-rcu-hooks (hooks.h). One that
 * they refuse stays where it is, for a look, until the next writer takes the lock; *err says where.
 *
 * -1: readers of LOCATION see what they saw before. What fails when they see the new version already is a
 * warning, and done here (publish.h, migrate.h); the result is 0.
 */
int session_publish(struct session *session, enum occupants_of occupants, struct changes *hint,
		    uint64_t *number, bool *changed, struct err *err);

/* Notes what session_publish() said. */
void session_tell(const struct session *session, uint64_t number, bool changed);

/* What is staged shall not be published, for *why: it stays for a look, as what hooks refuse. Always -1. */
int session_refuse(struct session *session, const struct err *why, struct err *err);

/* Drops what is staged. */
int session_drop(struct session *session, struct err *err);

/* Keeps what is staged for another process (begin): session_close() leaves it. */
void session_keep(struct session *session);

/*
 * Reclaims by the repository's rules; gives the lock back and empties the trash. What fails here is a
 * warning: the exit status says whether the new tree is published, and the next run, or gc, tries again.
 */
void session_reclaim(struct session *session);
void session_finish(struct session *session);

void session_close(struct session *session);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage.h: how snapshots are kept: one struct of functions, one file a backend in this folder.
 *
 * Nothing above this interface knows about hardlinks. All functions are called under the store's lock unless
 * said otherwise, work with names below store->dir, and leave either what was there or the whole result,
 * whatever kills them.
 */
#ifndef HELPER_SNAPSHOT_STORAGE_H
#define HELPER_SNAPSHOT_STORAGE_H

#include "helper/store/record.h"
#include "helper/store/store.h"

struct guard;

/* A tree being made: STORE/.rcu-repo/staging/ID. */
struct staging {
	char *id;
	char *path;                /* absolute */
	const struct guard *guard; /* what runs in it is held by this (guard.h); NULL: it need not be */
	int64_t looked; /* when this tree, or what it was made from, was compared with its source also in links and
			   attributes (record.h); who does so sets it */
	bool plain; /* that was within a day, and there were none: no file with several names, no extended
		       attribute, no ACL */
};
#define STAGING_NONE       \
	{                  \
		.id = NULL \
	}
void staging_release(struct staging *staging);

enum stage_kind {
	STAGE_EMPTY,  /* for who writes everything */
	STAGE_COPY,   /* latest's content for a foreign writer; shares no inode with any snapshot, so no write
			can reach one */
	STAGE_BRANCH, /* latest's content, sharing every inode with it that can be shared: for a writer who
			 replaces files and never changes one in place (P15), or is held to that (guard) */
};

struct measure {
	uint64_t files; /* everything that is not a directory */
	uint64_t bytes; /* allocated, of all files and directories */
	uint64_t own;   /* of these, what deleting it would give back: not what has a name outside */
};

struct storage {
	const char *name;

	/*
	 * Makes a new staging tree under a name that was never used. A failure leaves none. A STAGE_BRANCH is the
	 * spare, where there is one that nobody is in, brought forward by what changed since (record.h), or all of
	 * which was compared with latest where that is not known; else a clone.
	 */
	int (*stage)(struct store *store, enum stage_kind kind, struct staging *staging, struct err *err);

	/* Takes up again what another process staged (commit, abort). What is no name of a staging tree, or of
	 * none that is there, is an error. */
	int (*find)(struct store *store, const char *id, struct staging *staging, struct err *err);

	/*
	 * Is the staged tree the same as snapshot `number`: names, contents, modes, owners, times, links? 1,
	 * 0 or -1. Ends at the first difference, and changes neither.
	 */
	int (*same)(struct store *store, const struct staging *staging, uint64_t number, struct err *err);

	/*
	 * The end of the staged tree's making: finds what differs from snapshot `base` (0: there is none), lets it
	 * share with that what is the same, and writes all this up in *record (RECORD_NONE before): record_empty() where
	 * nothing differs in names, contents, modes, owners, times or links. `hint` (sorted; NULL or unknown: anything)
	 * says what may differ: with it, and a good record of the base, the cost is that of the change. The base is not
	 * touched. From here on nobody else may write to the staged tree.
	 */
	int (*seal)(struct store *store, const struct staging *staging, uint64_t base,
		    const struct changes *hint, struct record *record, struct err *err);

	/* The staged tree, whole, is on disk, and with it all that was written in the store before. */
	int (*settle)(struct store *store, const struct staging *staging, struct err *err);

	/* The staged tree becomes snapshots/N in one step; fails if there is such a name. */
	int (*publish)(struct store *store, const struct staging *staging, uint64_t number, struct err *err);

	/* The other way round: snapshots/N becomes a staging tree of that name again. Nobody has it pinned. */
	int (*withdraw)(struct store *store, uint64_t number, const char *id, struct err *err);

	/* The staged tree, or what else has that name in staging, goes to trash in one step. Missing is fine. */
	int (*discard)(struct store *store, const struct staging *staging, struct err *err);

	/* snapshots/N goes to trash in one step: no half snapshot is ever seen under its number. */
	int (*reclaim)(struct store *store, uint64_t number, struct err *err);

	/*
	 * The same, but the tree is kept as the spare, from which the next STAGE_BRANCH is made: in one step it is
	 * spare/N@BOOT, where nobody can enter it any more. 1: it cannot be, and is where it was (there is a spare;
	 * or snapshots that we did not publish, so that somebody else, Portage, may be deleting some).
	 */
	int (*recycle)(struct store *store, uint64_t number, struct err *err);

	/* The staged tree, which is as snapshot `number`, becomes the spare; else as discard. */
	int (*put_back)(struct store *store, const struct staging *staging, uint64_t number, struct err *err);

	/*
	 * Brings the spare forward to latest, now that nobody waits for it, so that the next STAGE_BRANCH costs next to
	 * nothing. None is fine; one that somebody may be in stays as it is, for the next staging to judge.
	 */
	int (*ready_spare)(struct store *store, struct err *err);

	/*
	 * Is there a spare? 1, and which snapshot it is as (0: not known); 0, or -1. Where `measure` is not NULL it is
	 * measured. Works without the lock.
	 */
	int (*look_spare)(const struct store *store, uint64_t *number, struct measure *measure,
			  struct err *err);

	/* The spare goes to trash. None is fine. */
	int (*drop_spare)(struct store *store, struct err *err);

	/* Deletes what is in trash; needs no lock; what cannot be deleted now is left for the next time and
	 * is an error. Ends at `until` (CLOCK_MONOTONIC; NULL: never): 1 then. */
	int (*empty_trash)(struct store *store, const struct timespec *until, struct err *err);

	/* Works without the lock; a snapshot that goes meanwhile gives -1. */
	int (*measure)(const struct store *store, uint64_t number, struct measure *measure, struct err *err);
};

extern const struct storage storage_hardlink;

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.h: a program runs in a staged tree whose files are those of the snapshots (STAGE_BRANCH), and no write of it reaches one (P15, P16).
 *
 *     way = guard_choose(&store, argv[0], GUARD_FOREIGN);
 *     ... stage: STAGE_COPY where the way is GUARD_NONE, else STAGE_BRANCH ...
 *     guard_start(&guard, &staging, way, err);
 *     run(&(struct run){ ..., .guard = &guard }, err);       as often as needed
 *     guard_finish(&guard, &changes, err);                   only where the tree shall be used
 *     guard_release(&guard);                                 in any case
 *
 * GUARD_PRELOAD: librcu-guard.so is loaded into the program and all that it starts (guard/guard.h). A file with several names is copied
 * before it is written to. Needs no privileges and costs next to nothing; holds what calls libc. A program in it that would not load
 * the library is not started (EPERM).
 *
 * In both ways two names of one file that are both in the tree become two files when one of them is written to, and what is not
 * written to stays shared.
 *
 * Beside the tree is STAGING.guard, a directory for what is half done. guard_release() removes it, and if we are killed before, the next
 * writer who takes the lock does, together with the tree.
 */
#ifndef HELPER_GUARD_H
#define HELPER_GUARD_H

#include "helper/changes.h"
#include "helper/snapshot/storage.h"

enum guard_way {
	GUARD_NONE,    /* nothing is held: for a tree that shares nothing */
	GUARD_PRELOAD, /* librcu-guard.so */
};

enum guard_program {
	GUARD_KNOWN,   /* one that we start ourselves, and that writes by libc: rsync, git */
	GUARD_FOREIGN, /* anything */
};

struct guard {
	enum guard_way way;
	char *scratch; /* the directory beside the tree, absolute */
	char *text;    /* "RCU_REPO_GUARD=..." */
	char *preload; /* "LD_PRELOAD=..." */
};
#define GUARD_OFF                 \
	{                         \
		.way = GUARD_NONE \
	}

/* For an installation that is not installed: where librcu-guard.so is. */
#define ENV_GUARD_LIBRARY "RCU_REPO_GUARD_LIBRARY"

/* In which way can this command (argv[0]: a path, or a name for PATH) be held in a staged tree of the store? Nothing changes. */
enum guard_way guard_choose(const struct store *store, const char *command, enum guard_program program);

/* Makes ready what the way needs. The guard was GUARD_OFF. GUARD_NONE does nothing. */
int guard_start(struct guard *guard, const struct staging *staging, enum guard_way way, struct err *err);

/*
 * The programs have ended, and the tree shall have what they did. *changes gets what the guard knows of it: of GUARD_PRELOAD
 * and GUARD_NONE nothing, so that is "unknown"; what was in *changes stays. On failure the tree holds anything.
 */
int guard_finish(struct guard *guard, struct changes *changes, struct err *err);

void guard_release(struct guard *guard);

/* For run(): in the child, before its exec. NULL, or what could not be done, with errno. */
const char *guard_enter(const struct guard *guard);

#endif

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
 * GUARD_KERNEL: a mount namespace of the command's own, in which an overlay stands in the place of the tree, and the rest of the store is read-only
 * (guard_kernel.h). Holds every program, whatever calls it makes. What it wrote is moved into the tree afterwards, in O(change), and is known
 * exactly. Needs root, or a user namespace for the tree's owner (in which no program gains privileges and files of others
 * cannot be changed), and a file system that carries an overlay. What the command mounts is not seen outside, and
 * whether somebody is left behind at work in the tree is known for sure.
 *
 * In both ways two names of one file that are both in the tree become two files when one of them is written to, and what is not
 * written to stays shared.
 *
 * Beside the tree is STAGING.guard, a directory for what is half done. guard_release() removes it, and if we are killed before, the next
 * writer who takes the lock does, together with the tree.
 */
#ifndef HELPER_PROGRAMS_GUARD_H
#define HELPER_PROGRAMS_GUARD_H

#include "helper/programs/guard_kernel.h"
#include "helper/snapshot/storage.h"
#include "helper/tree/changes.h"

enum guard_way {
	GUARD_NONE,    /* nothing is held: for a tree that shares nothing */
	GUARD_PRELOAD, /* librcu-guard.so */
	GUARD_KERNEL,  /* an overlay in a mount namespace */
};

enum guard_program {
	GUARD_KNOWN, /* one that we start ourselves, and that writes by libc (rsync, git): the library, where it can be */
	GUARD_FOREIGN, /* anything: the kernel, where it can be */
};

struct guard {
	enum guard_way way;
	char *scratch; /* the directory beside the tree, absolute */
	char *text;    /* "RCU_REPO_GUARD=..." */
	char *preload; /* "LD_PRELOAD=..." */
	struct guard_kernel kernel;
	const struct staging *staging; /* the caller's */
};
#define GUARD_OFF                                              \
	{                                                      \
		.way = GUARD_NONE, .kernel = GUARD_KERNEL_OFF, \
	}

/* Behind the name of the staging tree: the directory beside it. */
#define GUARD_SCRATCH_SUFFIX ".guard"

/* For an installation that is not installed: where librcu-guard.so is. */
#define ENV_GUARD_LIBRARY "RCU_REPO_GUARD_LIBRARY"

/* "kernel", "preload" or "copy" (GUARD_NONE): the one way that is tried; where it is not possible, GUARD_NONE. */
#define ENV_GUARD_WAY "RCU_REPO_GUARD_WAY"

/* In which way can this command (argv[0]: a path, or a name for PATH) be held in a staged tree of the store? Under the lock. */
enum guard_way guard_choose(const struct store *store, const char *command, enum guard_program program);

/* Makes ready what the way needs. The guard was GUARD_OFF. GUARD_NONE does nothing. */
int guard_start(struct guard *guard, const struct staging *staging, enum guard_way way, struct err *err);

/*
 * The programs have ended, and the tree shall have what they did. *changes gets what may have changed: by GUARD_PRELOAD and
 * GUARD_NONE that is "unknown", by GUARD_KERNEL exactly what did. Fails, by GUARD_KERNEL, where somebody who was left behind is still at work in the
 * tree. On failure the tree holds anything.
 */
int guard_finish(struct guard *guard, struct changes *changes, struct err *err);

void guard_release(struct guard *guard);

/* For run(): in the child, before its exec. NULL, or what could not be done, with errno. */
const char *guard_enter(const struct guard *guard);

#endif

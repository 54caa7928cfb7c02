/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run.h: run another program and wait for it.
 */
#ifndef HELPER_PROGRAMS_RUN_H
#define HELPER_PROGRAMS_RUN_H

#include <sys/types.h>

#include "helper/base/err.h"
#include "helper/config/user.h"

struct guard;

struct run {
	const char *const *argv; /* argv[0] is looked up in PATH */
	/*
	 * Not NULL: this is called in its place, in a copy of us with no other descriptor, and returns the exit status.
	 * argv[0] is its name in messages.
	 */
	int (*body)(const void *context);
	const void *context;
	const char *cwd; /* NULL: ours */
	const char *const
		*env; /* NULL-terminated "NAME=value" to add or replace, "NAME" to remove; or NULL */
	int in, out;  /* its stdin and stdout; 0: ours, and our stderr (stdout is for results) */
	const struct user *user;   /* as whom, with which umask; NULL: as we are */
	mode_t umask;              /* 0: ours, or the user's */
	unsigned timeout;          /* seconds; 0: none */
	const struct guard *guard; /* what it writes does not reach a snapshot; NULL: it is not held */
	const char *subject;       /* for the message: "rsync" */
	/* What an exit status means, or NULL where the number must do; NULL: nothing is known. */
	const char *(*explain)(int status);
};

/*
 * Runs it with stdin, stdout and stderr and no other descriptor of ours; it gets SIGKILL if we die (prctl(2), PR_SET_PDEATHSIG), which reaches that process alone, so nobody
 * relies on it. Fails with STATUS_FAILED where it cannot be run, exits non-zero or is killed: "subject: exit
 * status 23: why", "subject: killed by signal 9 (Killed)".
 *
 * SIGINT, SIGTERM and SIGHUP that somebody sends us meanwhile are handed on to it, and make this fail
 * whatever it answers: "subject: ended by signal 15". The same from the terminal reach it without us, and it
 * decides what they mean, as in system(3).
 *
 * One that is not done in time gets SIGTERM, so that it can end what it started itself, and, where it does not go,
 * SIGKILL: "subject: not done after 5 seconds".
 */
int run(const struct run *run, struct err *err);

/*
 * From now on a reader of our output that has gone is an error (EPIPE) where we write, and not our end in the middle of something. What we
 * run gets the disposition of before.
 */
void run_ignore_pipe(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jobs.h: several pieces of work at once, each in a child process.
 *
 * Processes, not threads: each has at most one store's lock, and the kernel gives it back when that one dies; a
 * transport's signals, children and umask are its own; what crashes is one of them. The parent holds no lock and does
 * nothing but listen, so that it can be killed at any moment: its children get SIGTERM then, and what that does to one
 * in the middle of its work is what it does to a sync alone.
 *
 * What a child writes to stderr goes through the parent, by whole lines, so that two do not mix; a line that does not begin
 * with our name is some program's, and gets the job's name before it. Where stderr is a terminal, each job that runs has
 * a line at its bottom: name, what it is at, for how long. SIGINT, SIGTERM and SIGHUP that somebody sends us are handed
 * on; then no job is begun any more.
 */
#ifndef HELPER_COMMANDS_JOBS_H
#define HELPER_COMMANDS_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/base/err.h"

#define JOB_MESSAGE_MAX 65536

struct jobs {
	size_t count;
	unsigned limit;                                       /* so many at a time, at least 1 */
	const char *(*name)(const void *context, size_t job); /* for lines and messages */
	int (*work)(void *context, size_t job);               /* in the child: its exit status */
	/*
	 * In the parent, a message of job_say(), or with NULL: the job has ended with `status`, 128 + N where signal N
	 * killed it; STATUS_FAILED also for one that was never begun. May be NULL.
	 */
	void (*heard)(void *context, size_t job, const char *message, int status);
	void *context;

	struct jobs_state *state; /* its own */
};

/* Runs them all. -1 and *err where that cannot even begin, or a signal ended it; what became of each is heard(). */
int jobs_run(struct jobs *jobs, struct err *err);

/* In the parent, in heard(): sends a message (a string) to a job; to one that has ended, nothing. */
void jobs_tell(const struct jobs *jobs, size_t job, const char *message);

/* The same: the job waits for others, and does not count among those that run; jobs_tell() makes it run again. */
void jobs_rest(const struct jobs *jobs, size_t job);

/*
 * In a child; in a process that is none, job_step() does nothing and the others fail.
 *     job_step    what it is at now, one word
 *     job_say     a message to heard()
 *     job_hear    waits for the next jobs_tell(): `to` has JOB_MESSAGE_MAX. -1 where the parent is gone
 */
void job_step(const char *what);
int job_say(const char *message);
int job_hear(char *to);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crew.h: a few threads that do jobs which make further jobs, as a walk through a tree does. Each takes its own newest
 * job first, so few are open at a time, and steals the oldest of another's when it has none, which is the largest part
 * of a tree.
 *
 *     crew_run(work, context, first);       returns when `first`, and all that came of it, is done
 *     work(worker, job):                    crew_add(worker, further);
 *
 * The caller is the first of the crew. The others are started when there is enough to do, as many as there are
 * processors for us, and have ended when crew_run() returns; where none can be started, the caller does it all.
 */
#ifndef HELPER_TREE_CREW_H
#define HELPER_TREE_CREW_H

struct worker;

typedef void (*crew_work)(struct worker *worker, void *job);

void crew_run(crew_work work, void *context, void *first);

/* For the work function, in its own thread. */
void crew_add(struct worker *worker, void *job);
void *crew_context(const struct worker *worker);

#endif

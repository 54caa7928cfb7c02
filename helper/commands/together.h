/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * together.h: sync --together: who says what to whom while several repositories are published as one set. What is on disk
 * meanwhile, and why nobody sees a mixture, stands in helper/store/set.h.
 *
 * Each repository is a job (helper/commands/jobs.h), with its store's lock. The parent has none, and writes nothing:
 *
 *     job: "prepared N ID STORE"      its snapshot is sealed. It waits.
 *     parent, when each has said so, or ended because nothing changed:
 *          "set ..."                  the members and who leads: the first in the order, masters first
 *     job: "ready"                    its sets/N and `set` are written. It waits.
 *     parent, when each has said so:
 *          "go"                       to the leader, and after its "done" to the next ...
 *     job: "done"                     its latest is swapped.
 *
 * One that fails before the leader is told to go: "abort" to all others, and nothing is published. One that dies behind that
 * is mended by the next who takes its store's lock; if the leader dies, the others are told to "resolve": they look whether
 * it swapped. A single one that changed is told to go "alone". A job whose parent is gone resolves as well.
 */
#ifndef HELPER_COMMANDS_TOGETHER_H
#define HELPER_COMMANDS_TOGETHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/commands/jobs.h"
#include "helper/config/repos.h"
#include "helper/store/store.h"

/* ---- in a job ---- */

/* store->gate. */
int together_gate(struct store *store, uint64_t number, struct err *err);

/* Behind the publish, still under the lock, whether it went well or not. */
void together_end(struct store *store, bool published);

/* ---- in the parent ---- */

struct member;

struct together {
	const struct jobs *jobs;
	struct member *members; /* as the jobs */
	size_t *order;          /* which come first */
	size_t next;            /* in the order: who is told to go */
	int phase;
};

void together_init(struct together *together, const struct jobs *jobs, const struct repos *repos);
void together_release(struct together *together);

/* jobs.heard() for it. True: the message was for it. */
bool together_heard(struct together *together, size_t job, const char *message, int status);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep.h: what is in trash is deleted where nobody waits for it.
 *
 * A tree of 100,000 files takes seconds to delete, and who published a new version should not have to wait. So sweep_soon()
 * deletes for a quarter of a second itself, which is enough where trees are recycled, and leaves the rest to a process of its own at
 * idle priority: it has no descriptor but that of the store, no terminal, and no parent; so no pipe, harness or shell waits for it.
 * What ends it (systemd ends what a service left behind, a container all that was in it) leaves trash as it is, for the next time. A
 * file system that the store is on is busy as long as it lives: sweep_now(), which gc does, waits until all is gone.
 *
 * None of these needs the lock. One such process works at a time in each store.
 */
#ifndef HELPER_STORE_SWEEP_H
#define HELPER_STORE_SWEEP_H

#include "helper/store/store.h"

/* 0, or -1 where something could not be deleted. What is left to the other process is no failure. */
int sweep_soon(struct store *store, struct err *err);

/* For `seconds` at most; 0: as long as it takes. 1: time was up. */
int sweep_now(struct store *store, unsigned seconds, struct err *err);

/*
 * Before a new tree is made: where the file system is nearly full (less than a twentieth of its space or inodes is left) what is in
 * trash goes first.
 */
int sweep_if_full(struct store *store, struct err *err);

#endif

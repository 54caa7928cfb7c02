/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publish.h: make a staged tree the latest snapshot. The order and its argument stand in publish.c.
 */
#ifndef HELPER_PUBLISH_H
#define HELPER_PUBLISH_H

#include "helper/snapshot/storage.h"

/*
 * Under the lock. Publishes `staging` as a new snapshot and sets *number. The snapshot that was latest is
 * marked retired. Until the one rename that swaps latest, readers see the old version; after it, the new. On
 * failure latest is as before and the tree is still in staging, or, where the failure came late, an
 * unpublished snapshot that the next publish passes over and gc takes. (One failure comes later still: where
 * the last fsync fails, readers see the new version, and a loss of power may bring back the old one.)
 */
int publish(struct store *store, const struct staging *staging, uint64_t *number, struct err *err);

/* Points latest at `number`, which must be there: one rename, durable. Part of publish(); on its own for
 * recovery and rollback. */
int publish_swap(struct store *store, uint64_t number, struct err *err);

#endif

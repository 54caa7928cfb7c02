/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publish.h: make a staged tree the latest snapshot. The order and its argument stand in publish.c.
 */
#ifndef HELPER_STORE_PUBLISH_H
#define HELPER_STORE_PUBLISH_H

#include "helper/snapshot/storage.h"

/*
 * What publish() and publish_swap() return: what readers see now.
 *
 * PUBLISH_UNSURE is no failure: there is no way back from the swap, since readers may have the new version
 * already. It is a warning, and the exit status is 0: 1 says that the published state is as before. Nothing may
 * be reclaimed on the strength of such a publish, or the version that comes back might be gone.
 */
enum publish_result {
	PUBLISH_FAILED = -1, /* the old version: latest is as before, and *err says why */
	PUBLISH_DONE = 0,    /* the new one, for good (durable: whatever happens to the machine) */
	PUBLISH_UNSURE =
		1, /* the new one, but *err says why the swap may not be on disk: after a loss of power
				it may be the old one again, whole */
};

/*
 * Under the lock. Publishes `staging` as a new snapshot and sets *number. `record` is what seal said of the tree; without
 * one (NULL) the snapshot is in doubt (record.h). The snapshot that was latest is
 * marked retired. Until the one rename that swaps latest, readers see the old version; after it, the new. On
 * failure latest is as before and the tree is still in staging, or, where the failure came late, an
 * unpublished snapshot that the next publish passes over and gc takes; one that was reserved goes back to staging with the
 * next store_lock().
 */
enum publish_result publish(struct store *store, const struct staging *staging, struct record *record,
			    uint64_t *number, struct err *err);

/* Points latest at `number`, which must be there: one rename, durable. Part of publish(); on its own for
 * rollback. */
enum publish_result publish_swap(struct store *store, uint64_t number, struct err *err);

#endif

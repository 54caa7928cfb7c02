/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify.h: is a snapshot still what was published? Its tree is compared with its manifest (record.h): names, kinds,
 * metadata, content, attributes.
 *
 *     struct verify verify = VERIFY_NONE;
 *     verify_snapshot(&verify, ...);          for each snapshot of one store
 *     verify_release(&verify);
 *
 * A file that several snapshots share is read once.
 */
#ifndef HELPER_STORE_VERIFY_H
#define HELPER_STORE_VERIFY_H

#include "helper/store/record.h"
#include "helper/tree/climb.h"

struct verify {
	struct inode_table seen; /* of a file: where its digests are, and one more */
	struct verify_digests {
		struct digest content, attrs;
	} * digests;
	size_t count;

	/* Called for each difference; `path` is below the snapshot, "" for itself. */
	void (*found)(void *context, uint64_t number, const char *path, const char *what);
	void *context;
};
#define VERIFY_NONE             \
	{                       \
		.digests = NULL \
	}

/*
 * 0: it was compared. *state, where it is not RECORD_GOOD, says why there is nothing to compare it with. -1: it cannot
 * be read. Somebody should see to it that it is not reclaimed meanwhile (a pin, the lock).
 */
int verify_snapshot(struct verify *verify, const struct store *store, uint64_t number,
		    enum record_state *state, struct err *err);
void verify_release(struct verify *verify);

#endif

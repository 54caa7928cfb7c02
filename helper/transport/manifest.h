/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * manifest.h: the signed Manifest of a whole tree (GLEP 74), judged by the real gemato(1). For rsync.c.
 *
 * gemato runs as who we are, and not as the sync-user: what it says decides what is published. It writes nothing.
 * If we die meanwhile nothing was published, and nothing is left but what gemato has in TMPDIR.
 */
#ifndef HELPER_TRANSPORT_MANIFEST_H
#define HELPER_TRANSPORT_MANIFEST_H

#include "helper/base/words.h"
#include "helper/config/repos.h"

/* Before anything is fetched: where the tree is to be judged there must be who can. STATUS_USAGE. */
int manifest_check(const struct repo *repo, struct err *err);

/*
 * Is the tree at `path`, to the last file, what somebody has signed whose key is in sync-openpgp-key-path (or, where
 * that is not set, in our own key ring), and no older than the one at `base` (NULL: there is none)? The keys are
 * refreshed first, as sync-openpgp-key-refresh says. `notes` gets what the administrator should know all the same.
 * Does nothing unless sync-rsync-verify-metamanifest is set.
 */
int manifest_verify(const struct repo *repo, const char *path, const char *base, struct words *notes,
		    struct err *err);

#endif

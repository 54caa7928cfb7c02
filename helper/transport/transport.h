/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * transport.h: how a tree is fetched: one struct of functions, one file a transport in this folder.
 */
#ifndef HELPER_TRANSPORT_TRANSPORT_H
#define HELPER_TRANSPORT_TRANSPORT_H

#include "helper/base/words.h"
#include "helper/config/repos.h"
#include "helper/programs/guard.h"
#include "helper/snapshot/storage.h"
#include "helper/tree/changes.h"

struct transport {
	const char *type; /* sync-type */

	/* Is the repository's configuration good for this transport? STATUS_USAGE if not; touches nothing. */
	int (*check)(const struct repo *repo, struct err *err);

	/* The tree that fetch() wants: it is staged so before. */
	enum stage_kind stage;

	/*
	 * The program that writes to the tree and may change files in place; NULL: there is none. In a STAGE_BRANCH it is held by
	 * staging->guard; where it cannot be the tree is a STAGE_COPY.
	 */
	const char *(*program)(const struct repo *repo);

	/* Of a GUARD_FOREIGN program the guard says what may have changed, and fetch() does not. */
	enum guard_program kind;

	/*
	 * Fetches into the staging tree, as the sync-user (user.h): what it runs by run(), what it does itself by apart.h.
	 * `base` is the absolute path of the tree that readers see now, or NULL: files that are equal to it in content and
	 * all metadata may be linked to it, and it is never written to. `changes` (of the staging, before) gets what it
	 * may have changed in a STAGE_BRANCH or STAGE_COPY; who cannot tell says changes_set_unknown(). Where the tree is
	 * not `plain` (storage.h) links and attributes are compared, too. On failure the staging tree and `changes` hold
	 * anything.
	 */
	int (*fetch)(const struct repo *repo, const struct staging *staging, const char *base,
		     struct changes *changes, struct err *err);

	/*
	 * Is what was fetched to `path` fit to follow `base`? Called when nothing that we run holds it any more; NULL: it
	 * is. What is refused stays for a look. `notes` gets what the administrator should know all the same.
	 */
	int (*verify)(const struct repo *repo, const char *path, const char *base, struct words *notes,
		      struct err *err);
};

extern const struct transport transport_archive;
extern const struct transport transport_command;
extern const struct transport transport_git;
extern const struct transport transport_local;
extern const struct transport transport_rsync;

/* The transport of the repository's sync-type; NULL and *err (STATUS_USAGE) if there is none. */
const struct transport *transport_find(const struct repo *repo, struct err *err);

#endif

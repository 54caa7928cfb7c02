/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * source.h: what the transports ask of sync-uri and sync-user alike.
 */
#ifndef HELPER_TRANSPORT_SOURCE_H
#define HELPER_TRANSPORT_SOURCE_H

#include "helper/config/repos.h"

/* The path of a source on this machine, or NULL. As in Portage file:// is cut off, and no %XX means anything. */
const char *source_path(const char *uri);

/*
 * A source on this machine that holds the store would be copied into itself, again and again; one in the store is a
 * snapshot; neither may it be the location. STATUS_USAGE if it is such a one.
 */
int source_check_place(const struct repo *repo, struct err *err);

/* For transports whose fetching is done by us: a sync-user that is somebody else is refused, with STATUS_USAGE. */
int source_check_user(const struct repo *repo, struct err *err);

#endif

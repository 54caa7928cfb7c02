/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/transport.h"

#include <string.h>

static const struct transport *const transports[] = { &transport_rsync };

const struct transport *transport_find(const struct repo *repo, struct err *err)
{
	if (!repo->sync_type) {
		repo_refuse(repo, REPO_SYNC_TYPE, "not set", err);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i]->type, repo->sync_type) == 0)
			return transports[i];
	repo_refuse(repo, REPO_SYNC_TYPE, "this version knows only rsync", err);
	return NULL;
}

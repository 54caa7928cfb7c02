/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/transport.h"

#include <stdlib.h>
#include <string.h>

#include "helper/base/alloc.h"

static const struct transport *const transports[] = { &transport_command, &transport_git, &transport_local,
						      &transport_rsync, &transport_archive };

static int refuse_type(const struct repo *repo, struct err *err)
{
	char *known = alloc_copy("none of");

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		char *more = alloc_printf("%s%s %s", known, i == 0 ? "" : ",", transports[i]->type);

		free(known);
		known = more;
	}
	int result = repo_refuse(repo, REPO_SYNC_TYPE, known, err);
	free(known);
	return result;
}

const struct transport *transport_find(const struct repo *repo, struct err *err)
{
	if (!repo->sync_type) {
		repo_refuse(repo, REPO_SYNC_TYPE, "not set", err);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i]->type, repo->sync_type) == 0)
			return transports[i];
	refuse_type(repo, err);
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/snapshot/storage.h"

#include <stdlib.h>

void staging_release(struct staging *staging)
{
	free(staging->id);
	free(staging->path);
	staging->id = staging->path = NULL;
}

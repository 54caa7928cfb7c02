/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/unpack.h"

#include <stdbool.h>
#include <string.h>

int unpack_count(const struct unpack *unpack, struct unpack_sum *sum, uint64_t bytes, struct err *err)
{
	const uint64_t most = (uint64_t)unpack->repo->max_size << 20;

	sum->files++;
	if (sum->files > unpack->repo->max_files)
		return err_fail(err, STATUS_FAILED, "the archive",
				"more than %u entries (sync-rcu-max-files)", unpack->repo->max_files);
	if (bytes > most || sum->bytes > most - bytes)
		return err_fail(err, STATUS_FAILED, "the archive", "more than %u MiB (sync-rcu-max-size)",
				unpack->repo->max_size);
	sum->bytes += bytes;
	return 0;
}

/*
 * Up first, and then down: the way up is through directories that are none but themselves, and whatever link the way
 * down meets was held to the same. A ".." behind a link could lead anywhere.
 */
int unpack_check_link(const char *path, const char *target, struct err *err)
{
	long depth = 0;
	bool down = false, good = target[0] != '/';

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
		depth++;
	for (const char *at = target; good && *at != '\0';) {
		const size_t length = strcspn(at, "/");

		if (length == 2 && strncmp(at, "..", 2) == 0)
			good = !down && --depth >= 0;
		else if (length != 0 && !(length == 1 && at[0] == '.'))
			down = true;
		at += length + strspn(at + length, "/");
	}
	if (good)
		return 0;
	return err_fail(err, STATUS_FAILED, "the archive", "%s: a link out of the tree, to %s", path, target);
}

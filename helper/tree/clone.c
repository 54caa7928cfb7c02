/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 of the swarm is the source, side 1 the clone. A directory is made by the one who reads its parent, and gets
 * its metadata when all in it is made and open: the mode may forbid both, and each name that is made sets the time.
 */
#include "helper/tree/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/swarm.h"

static int clone_leaf(const struct spot *spot, const char *name)
{
	struct statx st;

	if (linkat(spot->fd[0], name, spot->fd[1], name, 0) == 0)
		return 0;
	if (errno != EMLINK && errno != EXDEV && errno != EPERM)
		return -1;
	if (statx(spot->fd[0], name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st) != 0)
		return -1;
	return object_copy_named(spot->fd[0], spot->fd[1], name, &st);
}

static int clone_visit(struct worker *worker, struct spot *spot, struct err *err)
{
	struct dents dents = { .data = NULL };
	const struct dirent64 *entry;
	const char *what = "cannot read", *name = "";
	size_t at = 0;
	int result = dents_read(spot->fd[0], &dents);

	while (result == 0 && (entry = dents_next(&dents, spot->fd[0], &at)) != NULL) {
		name = entry->d_name;
		if (entry->d_type == DT_DIR) {
			what = "cannot make";
			result = mkdirat(spot->fd[1], name, 0700);
			if (result == 0)
				spot_add(worker, spot, name, true, true);
		} else {
			what = "cannot link";
			result = clone_leaf(spot, name);
		}
	}
	if (result != 0)
		spot_fail(swarm_of(worker), spot, what, name, err);
	dents_release(&dents);
	return result;
}

static int clone_leave(struct spot *spot, struct err *err)
{
	const struct object from = object_of(spot->fd[0]), to = object_of(spot->fd[1]);

	if (object_copy_metadata(&from, &spot->st[0], &to) == 0)
		return 0;
	char *path = spot_path(spot, "");
	err_errno(err, STATUS_FAILED, path, "cannot copy the metadata of this directory");
	free(path);
	return -1;
}

int tree_clone(int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
	struct swarm swarm = { .root = from, .visit = clone_visit, .leave = clone_leave };
	int source = climb_open_root(from_dir, from, err);

	if (source < 0)
		return -1;
	if (mkdirat(to_dir, to, 0700) != 0) {
		close(source);
		return err_errno(err, STATUS_FAILED, to, "cannot make this directory");
	}
	int clone = climb_open_root(to_dir, to, err);
	if (clone < 0) {
		close(source);
		return -1;
	}
	return swarm_run(&swarm, source, clone, err);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 of the swarm is the source, side 1 the clone. A directory is made by the one who reads its parent, and gets
 * its metadata when all in it is made and open: the mode may forbid both, and each name that is made sets the time.
 *
 * It is made with the mode of its parent, which is nearly always its own: then there is no other call for that. Where
 * it would be too much it is closed to others before anything is made in it.
 *
 * A file that cannot be linked is copied. If it has several names, another thread may be at one of them, and some may have been
 * linked before there were too many: then no name of it is made here any more, and in the end, by one thread, all of
 * them become names of one copy.
 */
#include "helper/tree/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/tree/climb.h"
#include "helper/tree/copy.h"
#include "helper/tree/object.h"
#include "helper/tree/swarm.h"

struct clone {
	bool inherits;            /* the clone's root has a default ACL, and what is made in it one, too */
	pthread_mutex_t lock;     /* of `apart` */
	struct inode_table apart; /* with several names, to be copied in the end */
};

static int clone_leaf(struct clone *clone, const struct spot *spot, const char *name)
{
	struct statx st;

	if (linkat(spot->fd[0], name, spot->fd[1], name, 0) == 0)
		return 0;
	if (errno != EMLINK && errno != EXDEV && errno != EPERM)
		return -1;
	if (statx(spot->fd[0], name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st) != 0)
		return -1;
	if (st.stx_nlink == 1)
		return object_copy_named(spot->fd[0], spot->fd[1], name, &st);
	pthread_mutex_lock(&clone->lock);
	inode_table_add(&clone->apart, &st);
	pthread_mutex_unlock(&clone->lock);
	return 0;
}

/* Nobody may do more in it than in what it is to become. */
static int clone_close(struct spot *spot)
{
	const struct statx *from = &spot->st[0];
	struct statx *made = &spot->st[1];
	const bool owned = from->stx_uid == made->stx_uid && from->stx_gid == made->stx_gid;
	const unsigned given = made->stx_mode & 077;

	if ((given & ~from->stx_mode) == 0 && (owned || given == 0))
		return 0;
	made->stx_mode = S_IFDIR | 0700;
	return fchmod(spot->fd[1], 0700);
}

/* The newest is what a worker takes next: so they are added from the last to the first. */
static int clone_directories(struct worker *worker, struct spot *spot, const struct dirent64 *const *list,
			     size_t count, const char **name)
{
	const mode_t mode = (spot->st[0].stx_mode & 0777) | 0700;

	for (size_t i = 0; i < count; i++) {
		*name = list[i]->d_name;
		if (list[i]->d_type == DT_DIR && mkdirat(spot->fd[1], *name, mode) != 0)
			return -1;
	}
	for (size_t i = count; i-- > 0;)
		if (list[i]->d_type == DT_DIR)
			spot_add(worker, spot, list[i]->d_name, true, true);
	return 0;
}

static int clone_visit(struct worker *worker, struct spot *spot, struct err *err)
{
	struct dents dents = { .data = NULL };
	const struct dirent64 **list = NULL;
	const char *what = "cannot read", *name = "";
	size_t count = 0;
	int result = clone_close(spot) == 0 ? dents_read(spot->fd[0], &dents) : -1;

	if (result == 0) {
		list = dents_by_inode(&dents, spot->fd[0], &count);
		what = "cannot make";
		result = clone_directories(worker, spot, list, count, &name);
	}
	for (size_t i = 0; result == 0 && i < count; i++) {
		what = "cannot link";
		name = list[i]->d_name;
		if (list[i]->d_type != DT_DIR)
			result = clone_leaf(swarm_of(worker)->context, spot, name);
	}
	if (result != 0)
		spot_fail(swarm_of(worker), spot, what, name, err);
	free(list);
	dents_release(&dents);
	return result;
}

static int clone_leave(const struct swarm *swarm, struct spot *spot, struct err *err)
{
	const struct clone *clone = swarm->context;
	const struct object from = object_of(spot->fd[0]), to = object_of(spot->fd[1]);

	if (object_give_metadata(&from, &spot->st[0], &to, &spot->st[1], clone->inherits) == 0)
		return 0;
	char *path = spot_path(spot, "");
	err_errno(err, STATUS_FAILED, path, "cannot copy the metadata of this directory");
	free(path);
	return -1;
}

/* Begins with the roots' descriptors, which it closes. */
static int clone_links(struct clone *clone, const char *name, int source, int root, struct err *err)
{
	struct swarm swarm = { .root = name, .visit = clone_visit, .leave = clone_leave, .context = clone };
	const struct object made = object_of(root);

	clone->inherits = object_inherits(&made);
	pthread_mutex_init(&clone->lock, NULL);
	int result = swarm_run(&swarm, source, root, err);
	pthread_mutex_destroy(&clone->lock);
	return result;
}

int tree_clone(int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
	struct clone clone = { .inherits = true };
	int source = climb_open_root(from_dir, from, err);

	if (source < 0)
		return -1;
	if (mkdirat(to_dir, to, 0700) != 0) {
		close(source);
		return err_errno(err, STATUS_FAILED, to, "cannot make this directory");
	}
	int root = climb_open_root(to_dir, to, err);
	if (root < 0) {
		close(source);
		return -1;
	}
	int result = clone_links(&clone, from, source, root, err);
	if (result == 0 && clone.apart.used != 0)
		result = copy_apart(from_dir, from, to_dir, to, &clone.apart, err);
	inode_table_release(&clone.apart);
	return result;
}

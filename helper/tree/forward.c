/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 is mine, side 1 theirs. The differences come in the order of a walk, a directory before what is in it: so what
 * is made has a place, and what is deleted takes what is in it along. Times and modes of directories come last, from the
 * inside out.
 *
 * It is not compared again: each difference is gone when its calls have succeeded, and nobody else is in the tree. What
 * tree_diff() finds is what there is on disk, whatever the set said: in its directories a name that the set forgot is found,
 * too.
 */
#include "helper/tree/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/reach.h"

struct difference {
	char *path;
	enum tree_difference kind;
};

struct forward {
	struct reach reach[2];
	struct difference *list;
	size_t count, room;
	struct changes dirs; /* whose metadata is to be set */
};

static int note_difference(void *context, const char *path, enum tree_difference kind, struct err *err)
{
	struct forward *forward = context;

	(void)err;
	if (forward->count == forward->room) {
		forward->room = forward->room * 2 + 64;
		forward->list = alloc_grow(forward->list, forward->room, sizeof(*forward->list));
	}
	forward->list[forward->count++] = (struct difference){ alloc_copy(path), kind };
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return path_order(((const struct difference *)a)->path, ((const struct difference *)b)->path);
}

/* What theirs has of this name, in mine: a link, or an empty directory. */
static int forward_make(struct forward *forward, const char *path, int mine, const char *name)
{
	const char *same_name;
	struct stat st;
	const int theirs = reach_parent(&forward->reach[1], path, &same_name);

	if (theirs < 0 || fstatat(theirs, same_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return linkat(theirs, same_name, mine, name, 0);
	changes_add(&forward->dirs, path, strlen(path));
	return mkdirat(mine, name, 0700);
}

static int forward_one(struct forward *forward, const struct difference *this, struct err *err)
{
	const char *path = this->path, *name;

	if (this->kind == TREE_METADATA) {
		changes_add(&forward->dirs, path, strlen(path));
		return 0;
	}
	const int mine = reach_parent(&forward->reach[0], path, &name);
	if (mine < 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be reached");
	const size_t above = strlen(path) - strlen(name);
	changes_add(&forward->dirs, path, above > 0 ? above - 1 : 0);
	if (this->kind != TREE_ONLY_B && tree_delete(mine, name, err) != 0)
		return -1;
	if (this->kind != TREE_ONLY_A && forward_make(forward, path, mine, name) != 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be made");
	return 0;
}

static int forward_all(struct forward *forward, struct err *err)
{
	const char *deleted = NULL;

	if (forward->count > 1)
		qsort(forward->list, forward->count, sizeof(*forward->list), by_path);
	for (size_t i = 0; i < forward->count; i++) {
		const struct difference *this = &forward->list[i];

		if (this->kind == TREE_ONLY_A && deleted != NULL && path_below(this->path, deleted))
			continue;
		if (forward_one(forward, this, err) != 0)
			return -1;
		if (this->kind == TREE_ONLY_A || this->kind == TREE_CHANGED)
			deleted = this->path;
	}
	return 0;
}

static int directory_open_at(struct reach *reach, const char *path)
{
	const char *name;
	const int dir = reach_parent(reach, path, &name);

	return dir < 0 ? -1
		       : openat(dir, name[0] != '\0' ? name : ".",
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int forward_metadata(struct forward *forward, const char *path)
{
	struct object mine = object_of(directory_open_at(&forward->reach[0], path));
	struct object theirs = object_of(directory_open_at(&forward->reach[1], path));
	struct statx st;
	int result = -1;

	if (mine.fd >= 0 && theirs.fd >= 0 &&
	    statx(theirs.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0)
		result = object_copy_metadata(&theirs, &st, &mine);
	object_close(&mine);
	object_close(&theirs);
	return result;
}

static int forward_opened(struct forward *forward, struct err *err)
{
	if (forward_all(forward, err) != 0)
		return -1;
	changes_sort(&forward->dirs);
	for (size_t i = forward->dirs.count; i-- > 0;)
		if (forward_metadata(forward, forward->dirs.paths[i]) != 0)
			return err_errno(err, STATUS_FAILED, forward->dirs.paths[i],
					 "cannot have the metadata that it should");
	return 0;
}

int tree_forward(int mine_dir, const char *mine, int theirs_dir, const char *theirs,
		 const struct changes *within, struct err *err)
{
	struct forward forward = { .reach = { REACH_NONE, REACH_NONE } };
	int result = -1;

	forward.reach[0].root = climb_open_root(mine_dir, mine, err);
	if (forward.reach[0].root >= 0)
		forward.reach[1].root = climb_open_root(theirs_dir, theirs, err);
	if (forward.reach[1].root >= 0)
		result = tree_diff(mine_dir, mine, theirs_dir, theirs, within, note_difference, &forward,
				   err);
	if (result == 0 && forward.count != 0)
		result = forward_opened(&forward, err);
	for (int side = 0; side < 2; side++) {
		reach_release(&forward.reach[side]);
		if (forward.reach[side].root >= 0)
			close(forward.reach[side].root);
	}
	while (forward.count != 0)
		free(forward.list[--forward.count].path);
	free(forward.list);
	changes_release(&forward.dirs);
	return result;
}

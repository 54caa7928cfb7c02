/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 is mine, side 1 theirs. Where it is known what may differ, each name of that is looked at on both sides, and what
 * is another inode is made the same at once; else the differences are those of tree_diff(). Both come in the order of a
 * walk, a directory before what is in it: so what is made has a place, and what is deleted takes what is in it along. A
 * directory in which names changed gets its time back when we leave it; what else of directories differs comes last,
 * from the inside out.
 *
 * It is not compared again: each difference is gone when its calls have succeeded, and nobody else is in the tree.
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
	char *touched;       /* the directory whose names changed last: its time is to be set; NULL: none */
};

static int times_set(struct forward *forward)
{
	const char *path = forward->touched;
	const struct object mine = object_of(reach_directory(&forward->reach[0], path, strlen(path)));
	const int theirs = reach_directory(&forward->reach[1], path, strlen(path));
	struct statx st;

	if (mine.fd < 0 || theirs < 0 || statx(theirs, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) != 0)
		return -1;
	return object_set_times(&mine, &st);
}

/* Done with the names of the directory that was touched last. */
static int touched_leave(struct forward *forward, struct err *err)
{
	int result = 0;

	if (forward->touched != NULL && times_set(forward) != 0)
		result = err_errno(err, STATUS_FAILED, forward->touched,
				   "cannot have the time that it should");
	free(forward->touched);
	forward->touched = NULL;
	return result;
}

/* The next names are those of the directory that `path` is in. */
static int leave_unless_in(struct forward *forward, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/'), *touched = forward->touched;
	const size_t length = slash != NULL ? (size_t)(slash - path) : 0;

	if (touched == NULL || (strncmp(touched, path, length) == 0 && touched[length] == '\0'))
		return 0;
	return touched_leave(forward, err);
}

/* Names in the directory that `path` is in are about to change. */
static int touch_parent(struct forward *forward, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');

	if (leave_unless_in(forward, path, err) != 0)
		return -1;
	if (forward->touched == NULL)
		forward->touched = alloc_printf("%.*s", slash != NULL ? (int)(slash - path) : 0, path);
	return 0;
}

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

static int forward_delete(int mine, const char *name, struct err *err)
{
	return unlinkat(mine, name, 0) == 0 || errno == ENOENT ? 0 : tree_delete(mine, name, err);
}

static int forward_one(struct forward *forward, const struct difference *this, struct err *err)
{
	const char *path = this->path, *name;

	if (this->kind == TREE_METADATA) {
		changes_add(&forward->dirs, path, strlen(path));
		return 0;
	}
	if (touch_parent(forward, path, err) != 0)
		return -1;
	const int mine = reach_parent(&forward->reach[0], path, &name);
	if (mine < 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be reached");
	if (this->kind != TREE_ONLY_B && forward_delete(mine, name, err) != 0)
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

/* ---- what is named ---- */

/* What is below a directory of theirs that was just made. */
struct below {
	struct forward *forward;
	const char *path;
};

static int note_below(void *context, const char *path, enum tree_difference kind, struct err *err)
{
	const struct below *below = context;
	char *whole = alloc_printf("%s/%s", below->path, path);
	const int result = path[0] != '\0' ? note_difference(below->forward, whole, kind, err) : 0;

	free(whole);
	return result;
}

static void list_clear(struct forward *forward)
{
	while (forward->count != 0)
		free(forward->list[--forward->count].path);
}

static int forward_below(struct forward *forward, const char *path, struct err *err)
{
	struct below below = { .forward = forward, .path = path };
	const char *name;
	const int theirs = reach_parent(&forward->reach[1], path, &name);

	if (tree_diff(-1, NULL, theirs, name, NULL, note_below, &below, err) != 0 ||
	    forward_all(forward, err) != 0)
		return -1;
	list_clear(forward);
	return 0;
}

/* 1, 0: there is nothing of that name, or -1 and errno. */
static int side_look(struct reach *reach, const char *path, struct statx *st)
{
	const char *name;
	const int dir = reach_parent(reach, path, &name);
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);

	if (dir >= 0 && statx(dir, name, flags, STATX_BASIC_STATS, st) == 0)
		return 1;
	/* ELOOP: a link is in the place of a directory. */
	return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
}

/* What differs in a name, and what is there. */
struct verdict {
	bool differs;
	enum tree_difference kind;
	struct statx st[2];
};

static int judge(struct forward *forward, const char *path, struct verdict *verdict, struct err *err)
{
	int is[2];

	for (int side = 0; side < 2; side++) {
		is[side] = side_look(&forward->reach[side], path, &verdict->st[side]);
		if (is[side] < 0)
			return err_errno(err, STATUS_FAILED, path, "cannot be looked at");
	}
	verdict->differs = is[0] || is[1];
	if (!is[0] || !is[1])
		verdict->kind = is[0] ? TREE_ONLY_A : TREE_ONLY_B;
	else if (statx_is_directory(&verdict->st[0]) && statx_is_directory(&verdict->st[1]))
		verdict->kind = TREE_METADATA;
	else if (statx_same_inode(&verdict->st[0], &verdict->st[1]))
		verdict->differs = false;
	else
		verdict->kind = TREE_CHANGED;
	return 0;
}

/* Makes one name the same. *done: and so is all that is below it. */
static int forward_name(struct forward *forward, const char *path, bool *done, struct err *err)
{
	struct verdict verdict = { .differs = false };

	if (judge(forward, path, &verdict, err) != 0)
		return -1;
	const struct difference difference = { (char *)path, verdict.kind };
	*done = verdict.differs && verdict.kind != TREE_METADATA;
	if (verdict.differs && forward_one(forward, &difference, err) != 0)
		return -1;
	return *done && verdict.kind != TREE_ONLY_A && statx_is_directory(&verdict.st[1])
		       ? forward_below(forward, path, err)
		       : 0;
}

/* Where the directory that a name is in is missing on one side: what makes the difference is further up. */
static int forward_above(struct forward *forward, const char *path, bool *done, struct err *err)
{
	int result = 0;

	for (const char *slash = strchr(path, '/'); result == 0 && !*done && slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		char *above = alloc_printf("%.*s", (int)(slash - path), path);

		result = forward_name(forward, above, done, err);
		free(above);
	}
	return result;
}

static int forward_named(struct forward *forward, const struct changes *within, struct err *err)
{
	const char *last = NULL, *name; /* what was made the same with all that is below it */
	int result = 0;

	for (size_t i = 0; result == 0 && i < within->count; i++) {
		const char *path = within->paths[i];
		bool done = false;

		if (last != NULL && path_below(path, last))
			continue;
		if (leave_unless_in(forward, path, err) != 0)
			return -1;
		if (reach_parent(&forward->reach[0], path, &name) < 0 ||
		    reach_parent(&forward->reach[1], path, &name) < 0)
			result = forward_above(forward, path, &done, err);
		else if ((result = forward_name(forward, path, &done, err)) == 0 && done)
			last = path;
	}
	return result;
}

/* ---- */

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

static int forward_opened(struct forward *forward, const struct changes *within, struct err *err)
{
	const int result = within != NULL ? forward_named(forward, within, err) : forward_all(forward, err);

	if (result != 0 || touched_leave(forward, err) != 0)
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
		result = within != NULL ? 0
					: tree_diff(mine_dir, mine, theirs_dir, theirs, NULL, note_difference,
						    &forward, err);
	if (result == 0)
		result = forward_opened(&forward, within, err);
	for (int side = 0; side < 2; side++) {
		reach_release(&forward.reach[side]);
		if (forward.reach[side].root >= 0)
			close(forward.reach[side].root);
	}
	list_clear(&forward);
	free(forward.list);
	free(forward.touched);
	changes_release(&forward.dirs);
	return result;
}

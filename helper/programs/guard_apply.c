/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 of the climb is the layer, side 1 the tree. What an overlay writes into its layer is described in the kernel's
 * Documentation/filesystems/overlayfs.rst: a removed name is a character device 0/0 (whiteout); a directory in the place of another has an
 * attribute (opaque); other attributes of the same prefix are notes of its own, which must not come into a snapshot.
 */
#include "helper/programs/guard_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/tree.h"

static const char *const prefixes[] = { "trusted.overlay.", "user.overlay." };
#define PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

struct apply {
	struct climb climb;
	struct changes *changes;
	const char *layer;
};

/* ---- the layer's notes ---- */

/* "/proc/self/fd/DIR/NAME": for the calls on extended attributes, of which none takes a descriptor and a name. */
static char *door_to(int dir, const char *name)
{
	return dir == AT_FDCWD ? alloc_copy(name) : alloc_printf("/proc/self/fd/%d/%s", dir, name);
}

static bool is_note(const char *attribute)
{
	for (size_t i = 0; i < PREFIXES; i++)
		if (strncmp(attribute, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The names of all attributes of what `path` names; the caller frees them. 0 where it can have none. */
static ssize_t attributes_of(const char *path, char **list)
{
	ssize_t size = llistxattr(path, NULL, 0), got = 0;

	*list = NULL;
	if (size <= 0)
		return size < 0 && errno == ENOTSUP ? 0 : size;
	*list = alloc_grow(NULL, (size_t)size, 1);
	got = llistxattr(path, *list, (size_t)size);
	if (got < 0)
		free(*list);
	return got;
}

static int drop_notes(int dir, const char *name)
{
	char *path = door_to(dir, name), *list;
	ssize_t size = attributes_of(path, &list);
	int result = size < 0 ? -1 : 0;

	for (char *at = list; size > 0 && result == 0 && at < list + size; at += strlen(at) + 1)
		if (is_note(at))
			result = lremovexattr(path, at);
	if (size > 0)
		free(list);
	free(path);
	return result;
}

/* "y": what was there before is not seen. ("x" only says that there may be whiteouts of another form.) */
static bool is_opaque(int dir, const char *name)
{
	char *path = door_to(dir, name);
	bool opaque = false;

	for (size_t i = 0; i < PREFIXES && !opaque; i++) {
		char *attribute = alloc_printf("%sopaque", prefixes[i]), value;

		opaque = lgetxattr(path, attribute, &value, 1) == 1 && value == 'y';
		free(attribute);
	}
	free(path);
	return opaque;
}

static bool is_whiteout(const struct statx *st)
{
	return S_ISCHR(st->stx_mode) && st->stx_rdev_major == 0 && st->stx_rdev_minor == 0;
}

/* ---- what changed ---- */

/* The place of `name` in the innermost directory, below the tree. */
static void note_change(struct apply *apply, const char *name)
{
	const struct climb *climb = &apply->climb;
	char *path = alloc_copy("");

	for (size_t i = 1; i < climb->depth; i++) {
		char *longer = alloc_printf("%s%s/", path, climb->levels[i].name);

		free(path);
		path = longer;
	}
	char *whole = alloc_printf("%s%s", path, name);
	changes_add(apply->changes, whole, strlen(whole));
	free(path);
	free(whole);
}

/* ---- a tree that is new as a whole ---- */

static int clean_entry(struct climb *climb, const char *name, struct err *err)
{
	struct statx st;
	const int dir = climb_top(climb)->fd[0];

	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot look up", name, err);
	if (is_whiteout(&st))
		return unlinkat(dir, name, 0) == 0 ? 0 : climb_fail(climb, "cannot remove", name, err);
	if (drop_notes(dir, name) != 0)
		return climb_fail(climb, "cannot change", name, err);
	if (!statx_is_directory(&st))
		return 0;
	int fd = climb_open(climb, 0, name, &st);
	return fd < 0 ? climb_fail(climb, "cannot open", name, err) : climb_enter(climb, name, fd, -1, err);
}

/* Where a whiteout goes, the directory's times go with it: they are put back. */
static int clean_leave(struct climb *climb, struct err *err)
{
	const struct statx was = climb_top(climb)->was[0];
	int left[2];

	if (climb_leave(climb, left, err) != 0)
		return -1;
	struct object object = object_of(left[0]);
	int result = object_set_times(&object, &was);
	object_close(&object);
	return result == 0 ? 0 : climb_fail_left(climb, "cannot set the times of", err);
}

static int clean_tree(const char *layer, int dir, const char *name, struct err *err)
{
	struct climb climb;
	const char *next;
	int fd = climb_open_root(dir, name, err), result = fd < 0 ? -1 : 0;

	climb_start(&climb, layer);
	if (result == 0)
		result = climb_enter(&climb, name, fd, -1, err);
	while (result == 0 && climb.depth != 0) {
		next = climb_next(&climb);
		result = next ? clean_entry(&climb, next, err) : clean_leave(&climb, err);
	}
	climb_release(&climb);
	return result;
}

/* ---- one entry ---- */

static int remove_entry(struct apply *apply, const char *name, struct err *err)
{
	note_change(apply, name);
	return tree_delete(climb_top(&apply->climb)->fd[1], name, err);
}

/* A directory cannot be renamed over anything but an empty one, and nothing over a directory. */
static int move_entry(struct apply *apply, const char *name, const struct statx *st,
		      const struct statx *before, struct err *err)
{
	const struct level *top = climb_top(&apply->climb);
	const bool directory = statx_is_directory(st);

	note_change(apply, name);
	if (drop_notes(top->fd[0], name) != 0)
		return climb_fail(&apply->climb, "cannot change", name, err);
	if (directory && clean_tree(apply->layer, top->fd[0], name, err) != 0)
		return -1;
	if (before && (directory || statx_is_directory(before)) && tree_delete(top->fd[1], name, err) != 0)
		return -1;
	if (renameat(top->fd[0], name, top->fd[1], name) != 0)
		return climb_fail(&apply->climb, "cannot move into the tree", name, err);
	return 0;
}

/* In a directory that hides what was there before all that is not in the layer goes. */
static int remove_hidden(struct apply *apply, struct err *err)
{
	const struct level *top = climb_top(&apply->climb);
	struct listing listing;
	int result = 0;

	if (listing_read(top->fd[1], &listing) != 0)
		return climb_fail(&apply->climb, "cannot read", "", err);
	for (size_t i = 0; i < listing.count && result == 0; i++) {
		struct statx st;

		if (climb_look(&apply->climb, 0, listing.names[i], &st) != 0)
			result = errno == ENOENT
					 ? remove_entry(apply, listing.names[i], err)
					 : climb_fail(&apply->climb, "cannot look up", listing.names[i], err);
	}
	listing_release(&listing);
	return result;
}

/* The mark of a level: what was there before is hidden, here and below. */
static int enter(struct apply *apply, const char *name, const struct statx *st, const struct statx *before,
		 struct err *err)
{
	const struct level *top = climb_top(&apply->climb);
	const bool opaque = top->mark || is_opaque(top->fd[0], name);

	note_change(apply, name);
	if (drop_notes(top->fd[0], name) != 0)
		return climb_fail(&apply->climb, "cannot change", name, err);
	if (climb_enter_pair(&apply->climb, name, st, before, err) != 0)
		return -1;
	climb_top(&apply->climb)->mark = opaque;
	return opaque ? remove_hidden(apply, err) : 0;
}

static int apply_entry(struct apply *apply, const char *name, struct err *err)
{
	struct climb *climb = &apply->climb;
	struct statx st, before;

	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot look up", name, err);
	const bool had = climb_look(climb, 1, name, &before) == 0;
	if (!had && errno != ENOENT)
		return climb_fail(climb, "cannot look up", name, err);
	if (is_whiteout(&st))
		return had ? remove_entry(apply, name, err) : 0;
	if (had && statx_is_directory(&st) && statx_is_directory(&before))
		return enter(apply, name, &st, &before, err);
	return move_entry(apply, name, &st, had ? &before : NULL, err);
}

/* ---- a directory ---- */

/* What the directory lost: object_copy_metadata() only adds. */
static int drop_attributes(int from, int to)
{
	char *path = door_to(to, "."), *list;
	ssize_t size = attributes_of(path, &list);
	int result = size < 0 ? -1 : 0;

	for (char *at = list; size > 0 && result == 0 && at < list + size; at += strlen(at) + 1)
		if (strncmp(at, "security.", strlen("security.")) != 0 && fgetxattr(from, at, NULL, 0) < 0 &&
		    errno == ENODATA)
			result = lremovexattr(path, at);
	if (size > 0)
		free(list);
	free(path);
	return result;
}

/* Last, as what was done in it changed its times; in the layer, too: those of before count. */
static int apply_leave(struct apply *apply, struct err *err)
{
	const struct statx was = climb_top(&apply->climb)->was[0];
	int left[2];

	if (climb_leave(&apply->climb, left, err) != 0)
		return -1;
	struct object from = object_of(left[0]), to = object_of(left[1]);
	int result = drop_attributes(from.fd, to.fd);
	if (result == 0)
		result = object_copy_metadata(&from, &was, &to);
	if (result != 0)
		result = climb_fail_left(&apply->climb, "cannot copy the metadata of", err);
	object_close(&from);
	object_close(&to);
	return result;
}

int layer_apply(int upper_dir, const char *upper, int tree_dir, const char *tree, struct changes *changes,
		struct err *err)
{
	struct apply apply = { .changes = changes, .layer = upper };
	const char *name;
	int result = 0;

	if (drop_notes(upper_dir, upper) != 0)
		return err_errno(err, STATUS_FAILED, upper, "cannot be changed");
	if (climb_start_pair(&apply.climb, upper_dir, upper, tree_dir, tree, err) != 0)
		result = -1;
	changes_add(changes, "", 0);
	while (result == 0 && apply.climb.depth != 0) {
		name = climb_next(&apply.climb);
		result = name ? apply_entry(&apply, name, err) : apply_leave(&apply, err);
	}
	climb_release(&apply.climb);
	return result;
}

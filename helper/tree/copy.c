/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/tree/object.h"
#include "helper/tree/tree.h"

/*
 * Side 0 of the climb is the source, side 1 the copy.
 *
 * The second name of a file is a link to the first, which may be far away. Its place is kept as (directory,
 * name), where a directory is (its parent directory, its name) in turn, and is gone to step by step.
 */

struct place {
	size_t directory; /* among the places; 0: the root */
	char *name;
};

struct copy {
	struct climb climb;
	struct place *places; /* [0] is the root */
	size_t count, room;
	struct inode_table files;        /* with several names: `a` is where the copy's first one is */
	const struct inode_table *apart; /* the files to copy, into directories that are there; NULL: all */
};

static size_t place_add(struct copy *copy, size_t directory, const char *name)
{
	if (copy->count == copy->room) {
		copy->room = copy->room * 2 + 64;
		copy->places = alloc_grow(copy->places, copy->room, sizeof(*copy->places));
	}
	copy->places[copy->count] = (struct place){ .directory = directory, .name = alloc_copy(name) };
	return copy->count++;
}

/* The directory of the copy that is place `at`, opened anew from the root down. -1 and errno. */
static int place_open(const struct copy *copy, size_t at)
{
	size_t *way = NULL, steps = 0, room = 0;

	for (; at != 0; at = copy->places[at].directory) {
		if (steps == room) {
			room = room * 2 + 16;
			way = alloc_grow(way, room, sizeof(*way));
		}
		way[steps++] = at;
	}
	int fd = fcntl(copy->climb.levels[0].fd[1], F_DUPFD_CLOEXEC, 0);
	while (fd >= 0 && steps > 0) {
		const char *name = copy->places[way[--steps]].name;
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	free(way);
	return fd;
}

/* Another name for what was copied before. */
static int copy_link(struct copy *copy, const char *name, size_t first)
{
	const struct level *top = climb_top(&copy->climb);
	const struct place *place = &copy->places[first];

	if (place->directory == top->mark)
		return linkat(top->fd[1], place->name, top->fd[1], name, 0);
	int directory = place_open(copy, place->directory);
	if (directory < 0)
		return -1;
	int result = linkat(directory, place->name, top->fd[1], name, 0);
	close(directory);
	return result;
}

/* What is in its place goes; the directory's mode may forbid that, and comes again when it is left. */
static int copy_make_room(const struct level *top, const char *name)
{
	if ((top->was[1].stx_mode & 0700) != 0700 && fchmod(top->fd[1], 0700) != 0)
		return -1;
	return unlinkat(top->fd[1], name, 0) == 0 || errno == ENOENT ? 0 : -1;
}

static int copy_leaf(struct copy *copy, const char *name, const struct statx *st)
{
	if (copy->apart != NULL) {
		if (inode_table_find(copy->apart, st) == NULL)
			return 0;
		if (copy_make_room(climb_top(&copy->climb), name) != 0)
			return -1;
	}
	if (st->stx_nlink > 1) {
		struct inode_entry *file = inode_table_add(&copy->files, st);

		if (file->a != 0)
			return copy_link(copy, name, (size_t)file->a);
		file->a = place_add(copy, climb_top(&copy->climb)->mark, name);
	}
	const struct level *top = climb_top(&copy->climb);
	return object_copy_named(top->fd[0], top->fd[1], name, st);
}

static int copy_enter(struct copy *copy, const char *name, const struct statx *st, struct err *err)
{
	struct climb *climb = &copy->climb;
	const size_t parent = climb_top(climb)->mark;
	struct statx made;

	if (copy->apart == NULL && mkdirat(climb_top(climb)->fd[1], name, 0700) != 0)
		return climb_fail(climb, "cannot make", name, err);
	if (climb_look(climb, 1, name, &made) != 0)
		return climb_fail(climb, "cannot make", name, err);
	if (climb_enter_pair(climb, name, st, &made, err) != 0)
		return -1;
	climb_top(climb)->mark = place_add(copy, parent, name);
	return 0;
}

/*
 * The directory's own metadata comes last, when nothing in it is made any more and the way back was taken: the
 * mode may forbid both.
 */
static int copy_leave(struct copy *copy, struct err *err)
{
	const struct statx was = climb_top(&copy->climb)->was[0];
	int left[2];

	if (climb_leave(&copy->climb, left, err) != 0)
		return -1;
	struct object from = object_of(left[0]), to = object_of(left[1]);
	int result = object_copy_metadata(&from, &was, &to);
	if (result != 0)
		result = climb_fail_left(&copy->climb, "cannot copy the metadata of", err);
	object_close(&from);
	object_close(&to);
	return result;
}

static int copy_step(struct copy *copy, struct err *err)
{
	const char *name = climb_next(&copy->climb);
	struct statx st;

	if (name == NULL)
		return copy_leave(copy, err);
	if (climb_look(&copy->climb, 0, name, &st) != 0)
		return climb_fail(&copy->climb, "cannot read", name, err);
	if (statx_is_directory(&st))
		return copy_enter(copy, name, &st, err);
	if (copy_leaf(copy, name, &st) != 0)
		return climb_fail(&copy->climb, "cannot copy", name, err);
	return 0;
}

static int copy_all(struct copy *copy, int from_dir, const char *from, int to_dir, const char *to,
		    struct err *err)
{
	place_add(copy, 0, "");
	int result = climb_start_pair(&copy->climb, from_dir, from, to_dir, to, err);
	while (result == 0 && copy->climb.depth != 0)
		result = copy_step(copy, err);
	climb_release(&copy->climb);
	inode_table_release(&copy->files);
	while (copy->count != 0)
		free(copy->places[--copy->count].name);
	free(copy->places);
	return result;
}

int tree_copy(int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
	struct copy copy = { .count = 0 };

	if (mkdirat(to_dir, to, 0700) != 0)
		return err_errno(err, STATUS_FAILED, to, "cannot make this directory");
	return copy_all(&copy, from_dir, from, to_dir, to, err);
}

int copy_apart(int from_dir, const char *from, int to_dir, const char *to, const struct inode_table *apart,
	       struct err *err)
{
	struct copy copy = { .apart = apart };

	return copy_all(&copy, from_dir, from, to_dir, to, err);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two rounds: the first by names and stat, which nearly always shows what differs, and reads no file; the second reads
 * the files whose stat is the same and whose inode is not. There are none in a tree that rsync made: one round does.
 *
 * Which names are one file must agree, too: each inode of one side has one partner on the other.
 */
#include "helper/tree/tree.h"

#include <string.h>

#include "helper/tree/climb.h"
#include "helper/tree/object.h"

struct same {
	struct climb climb;
	struct inode_table partners[2]; /* `a`, `b`: device and number on the other side */
	bool within;                    /* the second round */
	size_t unread;                  /* files whose stat is the same, and their inode is not */
};

static bool are_partners(struct same *same, const struct statx *a, const struct statx *b)
{
	if (a->stx_nlink == 1 && b->stx_nlink == 1)
		return true;
	return inode_table_pair(&same->partners[0], a, b) && inode_table_pair(&same->partners[1], b, a);
}

static bool same_names(const struct listing *a, const struct listing *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return true;
}

/* The directory that was just entered: metadata and names. */
static int same_directory(const struct same *same, struct err *err)
{
	const struct climb *climb = &same->climb;
	const struct level *top = climb_top(climb);
	const struct object a = object_of(top->fd[0]), b = object_of(top->fd[1]);
	struct listing of_b;

	if (same->within)
		return 1;
	if (!object_same_stat(&top->was[0], &top->was[1]))
		return 0;
	int result = object_same(&a, &b, &top->was[0]);
	if (result == 1 && (result = listing_read(top->fd[1], &of_b)) == 0) {
		result = same_names(&top->list, &of_b);
		listing_release(&of_b);
	}
	return result < 0 ? climb_fail(climb, "cannot compare", "", err) : result;
}

static int same_step(struct same *same, struct err *err)
{
	struct climb *climb = &same->climb;
	const char *name = climb_next(climb);
	struct statx a, b;
	int result;

	if (name == NULL)
		return climb_leave(climb, NULL, err) != 0 ? -1 : 1;
	if (climb_look(climb, 0, name, &a) != 0 || climb_look(climb, 1, name, &b) != 0)
		return climb_fail(climb, "cannot read", name, err);
	if (statx_is_directory(&a) && statx_is_directory(&b))
		return climb_enter_pair(climb, name, &a, &b, err) != 0 ? -1 : same_directory(same, err);
	if (statx_is_directory(&a) || statx_is_directory(&b) || !are_partners(same, &a, &b))
		return 0;
	if (statx_same_inode(&a, &b))
		return 1;
	if (!same->within && object_same_stat(&a, &b)) {
		same->unread++;
		return 1;
	}
	result = object_same_stat(&a, &b)
			 ? object_same_named(climb_top(climb)->fd[0], climb_top(climb)->fd[1], name, &a, &b)
			 : 0;
	return result < 0 ? climb_fail(climb, "cannot compare", name, err) : result;
}

/* 1, 0, or -1. */
static int same_round(struct same *same, int a_dir, const char *a, int b_dir, const char *b, struct err *err)
{
	int result = climb_start_pair(&same->climb, a_dir, a, b_dir, b, err);

	if (result == 0)
		result = same_directory(same, err);
	while (result == 1 && same->climb.depth != 0)
		result = same_step(same, err);
	climb_release(&same->climb);
	return result;
}

int tree_same(int a_dir, const char *a, int b_dir, const char *b, struct err *err)
{
	struct same same = { .within = false };
	int result = same_round(&same, a_dir, a, b_dir, b, err);

	if (result == 1 && same.unread != 0) {
		same.within = true;
		result = same_round(&same, a_dir, a, b_dir, b, err);
	}
	inode_table_release(&same.partners[0]);
	inode_table_release(&same.partners[1]);
	return result;
}

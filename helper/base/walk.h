/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walk.h: a path resolved by hand, component by component and link by link, for those who must look at what
 * is on the way (trust.h, pin.h).
 *
 *     struct walk walk;
 *     walk_start(&walk, "/a/b");                   at the root
 *     while ((name = walk_next(&walk)) != NULL)    fstatat(walk.dir, name), then one of
 *             walk_enter(&walk, name);             a directory
 *             walk_follow(&walk, target);          a link, with its target from walk_target()
 *     walk_release(&walk);                         in any case
 *
 * Each component is reached by a descriptor of its parent, so what was looked at is what is entered.
 * Functions that fail return -1 or NULL and errno; a message is the caller's.
 */
#ifndef HELPER_BASE_WALK_H
#define HELPER_BASE_WALK_H

struct walk {
	int dir;        /* where we are, O_PATH */
	char *at;       /* its canonical path without a last slash: "" is the root */
	char *rest;     /* what is still to be walked */
	unsigned links; /* that were followed */
};

int walk_start(struct walk *walk, const char *path); /* absolute */
void walk_release(struct walk *walk);

/* Cuts off the next component ("." is passed over); NULL at the end. The caller frees it. */
char *walk_next(struct walk *walk);

/* Goes into the directory `name`, which is no link; ".." works. */
int walk_enter(struct walk *walk, const char *name);

/* What the link `name` says; the caller frees it. */
char *walk_target(const struct walk *walk, const char *name);

/*
 * Puts the target of a link before what is still to be walked, and goes to the root where it is absolute.
 * ELOOP after as many links as the kernel follows.
 */
int walk_follow(struct walk *walk, const char *target);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * swarm.h: go through one tree, or through two side by side, by several threads (crew.h): climb.h's fast sibling, for
 * what has so much to do in each directory that its order does not matter.
 *
 *     int visit(struct worker *worker, struct spot *spot, struct err *err)
 *             ... reads the directory spot->fd[0] (and [1]); for each directory in it spot_add()
 *     int leave(const struct swarm *swarm, struct spot *spot, struct err *err)
 *             ... all directories in it have been opened; it is closed after this
 *     swarm_run(&swarm, a, b, err);
 *
 * A directory is opened by its parent's descriptor (O_NOFOLLOW), which stays open until all in it were. So the open
 * ones are those on the way to what is being worked on: a deep tree of which each level has several directories needs
 * as many descriptors (EMFILE is the error; the soft limit is raised to the hard one meanwhile). A mount inside a tree is an error, as in climb.h.
 *
 * The first failure ends it: what was added by then is let go of without a visit.
 */
#ifndef HELPER_TREE_SWARM_H
#define HELPER_TREE_SWARM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "helper/base/err.h"
#include "helper/tree/crew.h"

/* A directory. */
struct spot {
	int fd[2];          /* -1: it is not on that side */
	struct statx st[2]; /* as it was when it was opened */
	struct spot *up;    /* what it is in; NULL: the root. Only up->name and up->up can be relied on */
	bool failed;        /* leave() is not called */
	atomic_uint kept;   /* itself, until it is left, and each in it: then it is freed */
	atomic_uint open;   /* itself, until it was visited, and each in it that is not open yet */
	char name[];
};

struct swarm {
	const char *root; /* what to call the tree in messages */
	int (*visit)(struct worker *worker, struct spot *spot, struct err *err);
	int (*leave)(const struct swarm *swarm, struct spot *spot, struct err *err); /* or NULL */
	void *context;

	/* its own */
	uint64_t mount[2];
	pthread_mutex_t lock;
	struct err err;
	atomic_bool failed;
};

static inline struct swarm *swarm_of(const struct worker *worker)
{
	return crew_context(worker);
}

/* Begins with the root's descriptors, which it closes; one may be -1. */
int swarm_run(struct swarm *swarm, int a, int b, struct err *err);

/* The directory `name` in `up` is to be visited, too, on one side or both. */
void spot_add(struct worker *worker, struct spot *up, const char *name, bool a, bool b);

/* The way from the root: "dir/name", without a slash at its ends; of the directory itself with "". The caller frees it.
 */
char *spot_path(const struct spot *spot, const char *name);

/* err_errno() with the place: "snapshots/3: cannot read profiles/base: ...". */
int spot_fail(const struct swarm *swarm, const struct spot *spot, const char *what, const char *name,
	      struct err *err);

/* A directory's raw entries, as getdents64(2) gives them. */
struct dents {
	char *data;
	size_t size, room;
};
int dents_read(int fd, struct dents *dents); /* of one just opened; -1 and errno */
void dents_release(struct dents *dents);

/*
 * The next entry but "." and "..", NULL at the end; *at is 0 at first. Its d_type is never DT_UNKNOWN (`fd` is looked
 * at then; what is gone is passed over).
 */
const struct dirent64 *dents_next(const struct dents *dents, int fd, size_t *at);

/*
 * All of them by inode number, which is how they lie on a disk: who takes them so reads it from one end to the other, and
 * has what is in one block after the other. The caller frees the list; it points into `dents`.
 */
const struct dirent64 **dents_by_inode(const struct dents *dents, int fd, size_t *count);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mounts.h: what is mounted where, as /proc/self/mountinfo says (proc(5)).
 */
#ifndef HELPER_BASE_MOUNTS_H
#define HELPER_BASE_MOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "helper/base/err.h"

struct mount_entry {
	uint64_t id;
	char *device; /* major:minor */
	char *root;   /* of what is mounted, in its file system */
	char *at;     /* the mount point, in our root directory's view */
	char *type;
	char *source;
};

struct mounts {
	struct mount_entry *list; /* as the kernel lists them: what is on top of another comes later */
	size_t count;
};
#define MOUNTS_NONE          \
	{                    \
		.list = NULL \
	}

int mounts_read(struct mounts *mounts, struct err *err);

/* The same of the process whose directory in /proc is open; paths are in its root directory's view. */
int mounts_read_of(struct mounts *mounts, int process, struct err *err);
void mounts_release(struct mounts *mounts);

/*
 * Where `path` (canonical; `id`: its mount's, from statx(2)) is in its file system, and what it is mounted by: *on points
 * into `mounts`. NULL where that is not known. The caller frees it.
 */
char *mounts_place(const struct mounts *mounts, uint64_t id, const char *path, const struct mount_entry **on);

/*
 * The other paths at which the directory `path` (canonical; `id`: its mount's, from statx(2)) may be seen
 * through other mounts of its file system. What is mounted on top may hide it there: the caller compares.
 * The array ends with NULL; it and the paths are the caller's to free.
 */
char **mounts_aliases(const struct mounts *mounts, uint64_t id, const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard_kernel.h: the guard that the kernel keeps: for guard.c alone.
 *
 * A process of ours, the holder, makes a mount namespace (unprivileged: a user namespace with it) in which an overlay is mounted over
 * the staging tree, its upper layer in SCRATCH/upper, and all else of the store is read-only. The command enters that namespace before its exec.
 * At the end the holder takes the overlay out of the namespace: whoever of the command's offspring is still there finds the read-only
 * tree under the same path, and has the overlay only where it holds something of it open. The kernel tells us when the last of it is gone
 * (inotify(7), IN_UNMOUNT), so that nobody writes to a layer that we then apply.
 */
#ifndef HELPER_PROGRAMS_GUARD_KERNEL_H
#define HELPER_PROGRAMS_GUARD_KERNEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "helper/snapshot/storage.h"

struct guard_kernel {
	pid_t holder;
	int control;      /* to tell it that it is over */
	int events;       /* of the overlay's end */
	int users;        /* the user namespace; -1: ours */
	int mounts, root; /* the mount namespace, and our root directory in it */
	char *cwd;        /* our working directory, to be entered again in there */
};

/* The upper layer, below the scratch directory. */
#define GUARD_UPPER "upper"
#define GUARD_KERNEL_OFF                                                                        \
	{                                                                                       \
		.control = -1, .events = -1, .users = -1, .mounts = -1, .root = -1, .cwd = NULL \
	}

/*
 * Can an overlay be mounted in the store's staging directory, by us? It is tried, in a process that ends at once, in a directory that
 * is removed again.
 */
bool kernel_guard_possible(const struct store *store);

/* `scratch` is there, for us alone. After a failure, too, kernel_guard_release(). */
int kernel_guard_start(struct guard_kernel *kernel, const struct staging *staging, const char *scratch,
		       struct err *err);

/* In the command's process. NULL, or what could not be done, with errno. */
const char *kernel_guard_enter(const struct guard_kernel *kernel);

/* The overlay is gone: its upper layer is still. -1, naming him, where somebody does not let go of it for a second. */
int kernel_guard_end(struct guard_kernel *kernel, const struct staging *staging, struct err *err);

void kernel_guard_release(struct guard_kernel *kernel);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keeper.h: a process that holds pins for as long as some file systems are mounted anywhere
 * (helper/launcher/namespace.h has the reason).
 *
 *     keeper_start    outside of the namespace that it shall watch: it would keep that alive
 *     keeper_watch    for each file system
 *     keeper_done     from now on it is on its own
 *     keeper_release
 *
 * If we die between keeper_start and keeper_done it ends, by the end of the pipe between us; the
 * watches are ours until then, as the inotify instance is one for both.
 */
#ifndef HELPER_LAUNCHER_KEEPER_H
#define HELPER_LAUNCHER_KEEPER_H

#include <stddef.h>

#include "helper/store/pin.h"

struct keeper {
	int events;            /* inotify(7) */
	int done;              /* the pipe's end to write to */
	unsigned char watches; /* so many will end */
};
#define KEEPER_NONE                      \
	{                                \
		.events = -1, .done = -1 \
	}

/* The process has a copy of each pin's descriptor, and nothing else of ours. */
int keeper_start(struct keeper *keeper, const struct pin *pins, size_t count, struct err *err);

/* `root`: the file system's root, any descriptor of it. Without /proc it changes the working directory to it. */
int keeper_watch(struct keeper *keeper, int root, struct err *err);
int keeper_done(struct keeper *keeper, struct err *err);
void keeper_release(struct keeper *keeper);

#endif

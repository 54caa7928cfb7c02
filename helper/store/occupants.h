/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * occupants.h: is anybody still at work in a staged tree? What is published is never written again, so a process that
 * COMMAND left behind must not go on writing into it under its new name.
 *
 * From the kernel's own state in /proc: descriptors, shared writable mappings, working and root directories. A file is
 * known by its path; a directory also by itself, whatever path it was reached by: from each that a process holds we go up
 * to see whether the tree is on the way. A part of the tree that is mounted elsewhere has other directories above it: so the
 * mounts of each process are looked at, and such a one counts as somebody in it.
 *
 * A process that we may not look into is not seen; one that has let go of the tree and knows its path finds nothing
 * there after the publish.
 */
#ifndef HELPER_STORE_OCCUPANTS_H
#define HELPER_STORE_OCCUPANTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "helper/base/err.h"

enum occupants_of {
	OCCUPANTS_WRITING, /* descriptors open for writing, shared writable mappings */
	OCCUPANTS_ANY, /* and any other descriptor, working or root directory in it, and mounts of a part of it */
	OCCUPANTS_OURS, /* the same, of processes that were started after us: what we ran may have left them */
};

/*
 * 0 if nobody is in the tree at `path` (canonical), as soon as that is so; -1 and *err, which names one, if somebody
 * stays for longer than processes take to end (a second).
 */
int occupants_wait(const char *path, enum occupants_of which, struct err *err);

/*
 * -1, and *err names a process that has something of the file system `device` open, which was the tree at `path` for those
 * who are at work in it (an overlay, in a mount namespace of theirs); or none, where none is found.
 */
int occupants_fail(const char *path, dev_t device, struct err *err);

/*
 * True if there is surely nobody in the tree: no process has a descriptor, a working or a root directory in it, or a mount of a part of it. False
 * where that cannot be said: who is not root, or sees the processes of one PID namespace only, does not see all; and
 * reading failed. A process that not even root may look into is not seen.
 */
bool occupants_none(const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard_text.h: what the helper tells librcu-guard.so, the value of RCU_REPO_GUARD.
 *
 *     :DEVICE:INODE:DEVICE:INODE:NAME     hex: the root of the staging tree, then STORE/snapshots
 *
 * Both are said as identities, so that they hold wherever the process is (chroot(2), another spelling). NAME is a directory beside the
 * staging tree, on its file system, in which copies are made before they take a name in the tree: one that was interrupted is never seen.
 *
 * Pure: no I/O, no allocation, no globals. The text is data from an environment, so it may be anything.
 */
#ifndef CORE_GUARD_TEXT_H
#define CORE_GUARD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/handover.h"

#define ENV_GUARD "RCU_REPO_GUARD"

/* More than any name of a scratch directory needs. */
#define GUARD_SCRATCH_MAX 128
#define GUARD_TEXT_ROOM (2 * FILE_ID_ROOM + 1 + GUARD_SCRATCH_MAX + 1)

struct guard_text {
	struct file_id staging;
	struct file_id snapshots;
	char scratch[GUARD_SCRATCH_MAX + 1]; /* one name: no slash, not "", "." or ".." */
};

/* Writes it with a terminating zero; returns the length. `to` has GUARD_TEXT_ROOM. */
size_t guard_text_format(const struct guard_text *guard, char *to);

/* False for what is malformed; *guard is anything then. */
bool guard_text_parse(const char *text, struct guard_text *guard);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * within.h: does what a command executes lie in a pinned store?
 *
 * The kernel looks a program up before any shim is there, in the version that is published now. So where the program, the interpreter of its script,
 * or a directory in which it is searched is within the store of a pin, rcu-exec starts itself once more with the shim, and lets that look.
 */
#ifndef HELPER_LAUNCHER_WITHIN_H
#define HELPER_LAUNCHER_WITHIN_H

#include <stdbool.h>

#include "helper/launcher/pinning.h"

/* `command` as execvp(3) takes it. What is not there now may be in the pinned version: then its directory decides. */
bool within_pinned(const struct pinning *pinning, const char *command);

#endif

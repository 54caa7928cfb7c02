/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec.h: what start-up needs of the exec family.
 */
#ifndef PRELOAD_EXEC_H
#define PRELOAD_EXEC_H

#include "preload/state.h"

/*
 * Begins the program anew through rcu-exec, which pins what the configuration says: for LD_PRELOAD without
 * the launcher. Returns only if that is not possible; the program then runs unpinned.
 */
void exec_through_launcher(char **argv, char **envp);

/*
 * Closes what has come over an exec without being named to us: another thread was between exec_pins_take()
 * and its end when this process was forked, or it was popen(3), which has no way to name it.
 */
void exec_pins_sweep(const struct shim_pin *pin);

/*
 * Around a call that may take the stores out of sight (chroot, pivot_root, setns): before it a descriptor of each held
 * pin is kept, so that a later exec has something to hand on; after it, whether it failed or not, those are closed again whose
 * store can still be reached by its path. A kept one has FD_CLOEXEC and a number from 100 up; a program that closes it loses
 * the pin at its next exec, not before.
 */
void exec_pins_keep(void);
void exec_pins_settle(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec.h: what start-up needs of the exec family.
 */
#ifndef PRELOAD_EXEC_H
#define PRELOAD_EXEC_H

#include <stdint.h>

/*
 * Begins the program anew through rcu-exec, which pins what the configuration says: for LD_PRELOAD without
 * the launcher. Returns only if that is not possible; the program then runs unpinned.
 */
void exec_through_launcher(int argc, char **argv, char **envp);

/*
 * Closes what has come over an exec without being named to us: another thread was between exec_pins_take()
 * and its end when this process was forked, or it was popen(3), which has no way to name it. `store` is the
 * store's directory.
 */
void exec_pins_sweep(int store, uint64_t number);

#endif

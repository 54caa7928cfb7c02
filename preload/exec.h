/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec.h: what start-up needs of the exec family.
 */
#ifndef PRELOAD_EXEC_H
#define PRELOAD_EXEC_H

/*
 * Begins the program anew through rcu-exec, which pins what the configuration says: for LD_PRELOAD without the launcher. Returns only
 * if that is not possible; the program then runs unpinned.
 */
void exec_through_launcher(int argc, char **argv, char **envp);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * launch.h: programs that cannot load the shim are handed to rcu-exec, which pins them in a mount namespace. The
 * shim itself never changes a namespace: its process is somebody else's.
 *
 *     case EXEC_LAUNCHED: {
 *             char **longer = __builtin_alloca(launcher_room(argv));
 *
 *             launcher_arguments(LAUNCHER_ENTER, path, argv, longer);
 *             return next()->execve(launcher_path(), longer, e->envp);
 *     }
 *
 * It is one exec more in the same process, so pid, signals, descriptors, working directory and argv[0] are as they
 * would have been; the environment is what a shim would have got, and rcu-exec takes its own part out of it. Where the kernel then refuses
 * the namespace, rcu-exec runs the program as it is, without a word; under --strict it ends with 125.
 */
#ifndef PRELOAD_LAUNCH_H
#define PRELOAD_LAUNCH_H

#include <stddef.h>

/* What rcu-exec is told; both are followed by the program, -- and its arguments, argv[0] first. */
#define LAUNCHER_ENTER "--enter"
#define LAUNCHER_REEXEC "--reexec"

/* NULL where no namespace is to be made: RCU_EXEC_LAUNCHER was set, and empty, when this program started. */
const char *launcher_path(void);

/* The size in bytes of the array that launcher_arguments() writes. */
size_t launcher_room(char *const argv[]);
void launcher_arguments(const char *option, const char *program, char *const argv[], char **to);

#endif

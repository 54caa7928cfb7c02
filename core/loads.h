/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loads.h: will ld.so load a preload into this program? Asked at an exec, by the shim and by the guard.
 *
 * It looks at files: like core/hold.h an exception in core, on raw system calls alone. No errno, no allocation, no lock; a file is opened
 * without blocking. What cannot be looked at is judged by whether it may be executed.
 */
#ifndef CORE_LOADS_H
#define CORE_LOADS_H

#include <stdbool.h>

/* As the kernel: a script's interpreter may be a script, so deep (exec_binprm() in fs/exec.c). */
#define LOADS_SCRIPTS_MAX 5

enum loads {
	LOADS,            /* or execve(2) shall say what is wrong */
	LOADS_OTHER_SIZE, /* of this machine's other word size: it loads what LD_PRELOAD has for that ($LIB) */
	LOADS_NOT, /* static, for another loader or machine, not readable; of a script, its interpreter */
	LOADS_GAINS, /* it gains privileges, so ld.so is in secure mode; nor would it in a user namespace be what it is outside */
};

/* `flags`: those of execveat(2). *script, unless NULL: may the file itself be a script? False where it was read, and is none. */
enum loads loads_preload(int dir, const char *path, int flags, bool *script);

#endif

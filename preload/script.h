/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * script.h: scripts whose interpreter the kernel would look for by itself.
 *
 * execve(2) of a script starts the program that its first line names, and the kernel walks that path past us: through latest as it is
 * at that moment. Where the path passes through a pinned latest, the interpreter is therefore started in the script's place, by the mapped
 * path, with the arguments that the kernel would have made (fs/binfmt_script.c, Linux 6.1): the interpreter as the line
 * spells it, the line's argument, the script, and the caller's arguments from the second on.
 *
 *     if (depth < SCRIPTS_MAX && script_read(&script, path)) {
 *             char **longer = __builtin_alloca(script_arguments_room(argv));
 *             script_arguments(&script, path, argv, longer);
 *             ... start script.interpreter with `longer`; it may be such a script, too ...
 *     }
 *
 * One difference is left: /proc/PID/comm is the interpreter's name, not the script's.
 */
#ifndef PRELOAD_SCRIPT_H
#define PRELOAD_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/loads.h"

#define SCRIPTS_MAX LOADS_SCRIPTS_MAX

/* What the kernel reads of a file: BINPRM_BUF_SIZE, Linux 5.1. */
#define SCRIPT_ROOM 256

struct script {
	char *interpreter; /* terminated; both in `bytes` */
	char *argument;    /* NULL if the line has none */
	char bytes[SCRIPT_ROOM];
};

/* Is the file a script that we may execute, and does its interpreter's path pass through a pinned latest? */
bool script_read(struct script *script, const char *path);

/* The size in bytes of the array that script_arguments() writes. */
size_t script_arguments_room(char *const argv[]);
void script_arguments(const struct script *script, const char *path, char *const argv[], char **to);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loadable.h: will the program that a command names load the shim? If not, rcu-exec pins it in a namespace,
 * or says in one line at start that it cannot.
 */
#ifndef HELPER_LAUNCHER_LOADABLE_H
#define HELPER_LAUNCHER_LOADABLE_H

#include "core/elf_kind.h"

/*
 * The file that execvp(3) would run: `command` itself if it has a slash, else the first executable of that
 * name in PATH. NULL if there is none. The caller frees it.
 */
char *loadable_find(const char *command);

/*
 * What kind of program it is (core/elf_kind.h); ELF_UNKNOWN where it cannot be read. *interpreter is a script's, which the caller frees; else
 * NULL.
 */
enum elf_kind loadable_look(const char *path, char **interpreter);

enum loadable {
	LOADABLE_YES, /* or it cannot be told: a program that may be executed and not read */
	LOADABLE_OTHER_SIZE, /* of this machine's other word size: if LD_PRELOAD has a library for that, too ($LIB) */
	LOADABLE_NOT,        /* static, for another machine, or for another C library */
	LOADABLE_PRIVILEGED, /* it gains privileges, so ld.so ignores LD_PRELOAD; not so in a user namespace */
};

/*
 * Will ld.so load a preload into it? Where not, *why is the end of a sentence that begins with the program's
 * name. A script is judged by its interpreter, and that one's, as deep as execve(2) goes.
 */
enum loadable loadable_judge(const char *path, const char **why);

#endif

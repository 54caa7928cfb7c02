/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loadable.h: will the program that a command names load the shim? For the one line that rcu-exec says at
 * start.
 */
#ifndef HELPER_LOADABLE_H
#define HELPER_LOADABLE_H

/*
 * The file that execvp(3) would run: `command` itself if it has a slash, else the first executable of that
 * name in PATH. NULL if there is none. The caller frees it.
 */
char *loadable_find(const char *command);

/*
 * NULL if ld.so will load a preload into it, or if that cannot be told (a program that may be executed and
 * not read); else why not, as the end of a sentence that begins with the program's name. A script is judged
 * by its interpreter, and that one's, as deep as execve(2) goes.
 */
const char *loadable_why_not(const char *path);

#endif

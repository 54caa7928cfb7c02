/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * actions.h: what a relative path means to the child of posix_spawn(3), which uses it inside libc, after the file actions that stand before
 * it. Those of them that change its directory are known before it starts, so the path can be mapped before, too.
 *
 *     size_t room = actions_room(actions, path);
 *     const char *text = room ? actions_text(actions, path, __builtin_alloca(room), room) : path;
 *     MAP(m, AT_FDCWD, text, leaf);
 *     ... if m.kind == MAP_MOVED the child is given m.path, else its own ...
 *
 * Where nothing changes the directory it is ours at the time of the call. An action that is added is mapped then and there: whoever changes
 * his own directory between that and posix_spawn() gives relative paths another meaning, which is not seen.
 *
 * libc's list of actions is its own affair, but has looked the same since glibc 2.2 (posix/spawn_int.h); kinds were added at its end.
 */
#ifndef PRELOAD_ACTIONS_H
#define PRELOAD_ACTIONS_H

#include <spawn.h>
#include <stddef.h>

/* 0: the path means what it means to us. Both may be NULL. */
size_t actions_room(const posix_spawn_file_actions_t *actions, const char *path);

/*
 * The path by an absolute text. NULL where it cannot be told: the directory comes by a descriptor that an action makes or closes, or
 * ours has no path.
 */
const char *actions_text(const posix_spawn_file_actions_t *actions, const char *path, char *room, size_t size);

#endif

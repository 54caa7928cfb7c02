/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * move.h: a path that a glance (map.h) has shown to lead into a snapshot, written out at once: what MAP_ON() would come to, for the
 * wrappers that are called most.
 *
 *     struct glance g = map_try(AT_FDCWD, path);
 *     if (glance_moves(g)) {
 *             MOVED(text, path, g);
 *             ... the call with `text`, not following; return its result unless it met a link ...
 *     }
 *
 * The text lives in the calling function's frame.
 */
#ifndef PRELOAD_MOVE_H
#define PRELOAD_MOVE_H

#include <stdint.h>

#include "preload/copy.h"
#include "preload/map.h"
#include "preload/memory.h"
#include "preload/state.h"

static inline bool glance_moves(struct glance g)
{
	return glance_known(g) >= KNOWN_ALIAS;
}

static inline const struct shim_alias *move_alias(struct glance g)
{
	return alias_of(glance_known(g) - KNOWN_ALIAS);
}

/* With its zero. */
static inline size_t move_tail(struct glance g)
{
	return (size_t)(g.word >> GLANCE_LENGTH) + 1 - move_alias(g)->length;
}

__attribute__((always_inline)) static inline const char *move_write(const char *path, struct glance g,
								    char *room)
{
	const struct shim_alias *alias = move_alias(g);

	copy_bytes(room, alias->snapshot, alias->snapshot_length);
	copy_bytes(room + alias->snapshot_length, path + alias->length, move_tail(g));
	return room;
}

#define MOVED(text, path, g)                         \
	const char *(text) = move_write((path), (g), \
					__builtin_alloca(move_alias(g)->snapshot_length + move_tail(g)))

#endif

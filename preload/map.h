/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map.h: from the path that a program names to the one that the kernel shall walk.
 *
 * A swap changes one directory entry: L = "latest" of the directory D = STORE. So a path means another thing after
 * a swap if, and only if, the kernel's walk of it passes through D's entry L. The mapping finds out, and then names the pinned
 * snapshot, D/snapshots/N, in its place. D is known by its identity (device, inode), so it does not matter how the path gets there:
 * by LOCATION, by another link to it, through a bind mount, by "..", relative to any directory.
 *
 *     map(dir, path) = (dir, path)                         if the walk does not pass through D/L
 *                    = (dir, D as walked/snapshots/N/rest) if it does; rest is everything behind the last passage
 *
 * How it walks. Component by component it asks readlinkat(2) whether the name so far is a symbolic link. `..` is never folded: the
 * text so far is free of links, so the kernel understands it as we do. A link's target takes the component's place. Only a
 * link whose name is "latest" needs a look at its directory's identity. Links of procfs that are absolute are doors, not texts (/proc/PID/cwd,
 * /proc/PID/fd/N): they are walked through, not read. Where anything cannot be looked at, or links go more than 40 deep, the path is handed on as
 * it came, and the kernel gives its own answer.
 *
 * What is remembered. That an absolute directory text leads past every D/L, or to a pin's snapshot, is kept in a table (a hash of the text; no
 * lock; overwritten at will), so that a directory is walked once. That somebody changes one of the links on the way afterwards is not
 * noticed (librcu-exec(7), CAVEATS). A last component that is to be followed is looked at each time.
 *
 * Neither allocates, locks, sets errno nor uses more stack than the lengths at hand ask for.
 */
#ifndef PRELOAD_MAP_H
#define PRELOAD_MAP_H

#include <stdbool.h>
#include <stddef.h>

enum map_leaf {
	LEAF_FOLLOW,   /* the call follows a last component that is a link */
	LEAF_NOFOLLOW, /* it acts on the link itself, unless a slash stands behind it (lstat, readlink) */
	LEAF_NAME,     /* it acts on the entry, whatever stands behind it (rename, unlink, mkdir, symlink ...) */
};

enum map_kind {
	MAP_SAME,  /* dir and path are the caller's */
	MAP_MOVED, /* path is ours; absolute, or relative to dir as the caller's was */
	MAP_ENTRY, /* not followed, and the last component is D/L itself; what it says is "snapshots/N" of pin */
};

struct mapped {
	int dir;
	const char *path;
	enum map_kind kind;
	unsigned pin; /* index in shim.pins, for MAP_MOVED and MAP_ENTRY */
	int door; /* -1, or a descriptor that a path longer than PATH_MAX begins with; closed at the end of scope */
	bool by_alias; /* between map_quick() and map_walk() */
};

/*
 * MAP(m, dir, path, leaf): maps into the variable `m`, declared by MAPPED(m). The text lives in the calling function's frame: do not
 * leave the frame with it. `path` may be NULL or empty: the same.
 *
 *     MAPPED(m);
 *     MAP(m, dir, path, LEAF_FOLLOW);
 *     return next()->openat(m.dir, m.path, flags);
 */
#define MAPPED(m) __attribute__((cleanup(map_close_door))) struct mapped m = { .door = -1 }
#define MAP(m, at, name, leaf)                                                                      \
	do {                                                                                        \
		size_t map_room_ = map_quick(&(m), (at), (name), (leaf));                           \
		while (__builtin_expect(map_room_ != 0, 0))                                         \
			map_room_ = map_walk(&(m), (leaf), __builtin_alloca(map_room_), map_room_); \
	} while (0)

/* Decides without a walk where it can and returns 0; else returns how much room map_walk() should be given. */
size_t map_quick(struct mapped *m, int dir, const char *path, enum map_leaf leaf);

/* Walks in room[0 .. size). Returns 0, or the larger room that it needs. */
size_t map_walk(struct mapped *m, enum map_leaf leaf, char *room, size_t size);

/* Keeps errno. */
void map_close_door(struct mapped *m);

/* Forgets what is remembered: after chroot(2), and when a call of this process made or moved a link. */
void map_forget(void);

#endif

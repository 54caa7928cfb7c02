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
 * Three ways to the answer, each for what the one before leaves open:
 *
 * 1. To remember (map_quick(), no system call). A text is *known* if its walk, a last link followed, passes through no D/L; or
 *    through one only, at the end of an alias (LOCATION as the pin names it, STORE/latest, or another text that was seen to lead there), which
 *    the snapshot's path then replaces.
 *    A path is decided if its directory is known and its last component
 *      - is not followed by the call, and is not named L;
 *      - or the whole is known, too;
 *      - or the caller tries first (LEAF_TRY, below).
 *    A mere name, relative, has no directory: only its last component is to be decided.
 * 2. To learn. Of a text that is known, and one more component which readlinkat(2) says is no link (EINVAL), the longer text is known. A
 *    component that cannot be looked at stops the kernel in the same place. Several components are looked at by one openat2(2) that passes no
 *    link (literal.h), where that can be asked for. So a new directory costs one system call; for open(2) none, as then it is that call.
 * 3. To walk, once a link is met. From the longest text that is known, component by component, as the kernel does: readlinkat(2) of the text
 *    so far; a link's target takes the component's place. `..` is never folded: the kernel gets the text so far as it is. Only a link
 *    whose name is "latest" needs a look at its directory's identity. Links of procfs that are absolute are doors, not texts
 *    (/proc/PID/cwd, /proc/PID/fd/N): they are walked through, not read, and nothing behind them is remembered. Where links go more than 40
 *    deep, or something cannot be looked at, the path is handed on as it came, and the kernel gives its own answer.
 *
 * To try. A last component that is followed would cost a look at each call, as anybody may put a link there. Where the call itself can be
 * made without following, it is the look: stat(2) as lstat(2), open(2) for reading with O_NOFOLLOW. If it then was no link, as nearly
 * always, the answer is that of the real call, and as new; if it was, the caller maps again with LEAF_FOLLOW. Calls that cannot tell (access,
 * opendir, fopen, chdir, getxattr ...) use LEAF_FOLLOW, which remembers names that are no links. (O_NOFOLLOW stays to be seen
 * in fcntl(F_GETFL); a stat() of a dangling link has written to the buffer: librcu-exec(7), CAVEATS.)
 *
 * What is remembered, for how long, and what may make it wrong: memory.h.
 *
 * Neither allocates, locks, sets errno nor uses more stack than the lengths at hand ask for.
 */
#ifndef PRELOAD_MAP_H
#define PRELOAD_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum map_leaf {
	LEAF_FOLLOW, /* the call follows a last component that is a link */
	LEAF_LINK,   /* it does, and it was seen that there is one */
	LEAF_TRY,    /* it does, but can be made without first: see `unsure` */
	LEAF_OPEN,   /* the same, and the call is open(2) with `flags`: see MAP_OPENED */
	LEAF_OPEN_DIRECTORY, /* it follows, and is open(2) with `flags`, which opens directories alone: see MAP_OPENED */
	LEAF_NOFOLLOW, /* it acts on the link itself, unless a slash stands behind it (lstat, readlink) */
	LEAF_NAME, /* it acts on the entry, whatever stands behind it (rename, unlink, mkdir, symlink ...) */
};

enum map_kind {
	MAP_SAME,   /* dir and path are the caller's */
	MAP_MOVED,  /* path is ours; absolute, or relative to dir as the caller's was */
	MAP_OPENED, /* LEAF_OPEN, LEAF_OPEN_DIRECTORY: the call has been made by literal.h, and has passed no link. `opened` is a descriptor or -errno */
	MAP_ENTRY, /* not followed, and the last component is D/L itself; what it says is "snapshots/N" of pin */
};

struct mapped {
	int dir;
	const char *path;
	enum map_kind kind;
	unsigned pin; /* index in shim.pins, for MAP_MOVED and MAP_ENTRY */
	bool unsure; /* LEAF_TRY, LEAF_OPEN: the last component was not looked at; do not follow it, or map again with LEAF_LINK */
	int flags;  /* LEAF_OPEN, LEAF_OPEN_DIRECTORY: set by the caller */
	int opened; /* MAP_OPENED */
	int door; /* -1, or a descriptor that a path longer than PATH_MAX begins with; closed at the end of scope */
#define DOOR_IN_ROOT (-3) /* before MAP_ON() with nothing known: `dir` is the root of the walk (RESOLVE_IN_ROOT) */
#define DOOR_IS_TEXT (-2) /* before MAP(): a door of procfs is the text that readlink(2) says (realpath) */

	/* between map_quick() and map_place() */
	size_t length;
	size_t directory; /* the directory's text is path[0 .. directory) */
	unsigned known;   /* what is known of it (memory.h) */
	bool walk;        /* neither memory nor learning will do */
};

/*
 * MAP(m, dir, path, leaf): maps into the variable `m`, declared by MAPPED(m). The text lives in the calling function's frame: do not
 * leave the frame with it. `path` may be NULL or empty: the same.
 *
 *     MAPPED(m);
 *     MAP(m, dir, path, LEAF_FOLLOW);
 *     return next()->chdir(m.path);
 *
 * With LEAF_TRY:
 *
 *     MAP(m, dir, path, LEAF_TRY);
 *     if (m.unsure) {
 *             ... the call, not following; return its result unless it met a link ...
 *             MAP(m, dir, path, LEAF_LINK);
 *     }
 *     ... the call as it is
 */
#define MAPPED(m)                                              \
	__attribute__((cleanup(map_release))) struct mapped m; \
	(m).door = -1
#define MAP(m, at, name, leaf)                                                                       \
	do {                                                                                         \
		for (size_t map_room_ = map_quick(&(m), (at), (name), (leaf)); map_room_ != 0;)      \
			map_room_ = map_place(&(m), (leaf), __builtin_alloca(map_room_), map_room_); \
	} while (0)

/*
 * What memory says of a path at a glance: in a register, for the wrappers that are called most. It is KNOWN_CLEAR where the
 * path is the caller's, as it came; with map_try() the call is then to be made without following first, as with `unsure`. It is an alias's
 * where the path leads into a snapshot, by a text that the kernel takes: move.h. KNOWN_NOT: map_quick() has to look closer. Where it is not
 * KNOWN_NOT the shim is started and active.
 *
 *     struct glance g = map_try(AT_FDCWD, path);
 *     if (glance_known(g) == KNOWN_CLEAR) {
 *             ... the call, not following; return its result unless it met a link ...
 *     }
 *     ... in another function, whose frame has the room: MAP_ON(m, dir, path, LEAF_TRY, g); and so on as above
 */
struct glance {
	uint64_t word; /* what is known, and for an alias the path's length above it */
};

#define GLANCE_LENGTH 32 /* where in the word */

static inline unsigned glance_known(struct glance g)
{
	return (unsigned)g.word;
}

struct glance map_try(int dir, const char *path);
struct glance map_follow(int dir, const char *path);
struct glance map_nofollow(int dir, const char *path);

/* MAP() where the first glance has been had. */
#define MAP_ON(m, at, name, leaf, g)                                                                 \
	do {                                                                                         \
		for (size_t map_room_ = map_go_on(&(m), (at), (name), (leaf), (g)); map_room_ != 0;) \
			map_room_ = map_place(&(m), (leaf), __builtin_alloca(map_room_), map_room_); \
	} while (0)

/* Decides by memory. 0: done; else how much room map_place() should be given. */
size_t map_quick(struct mapped *m, int dir, const char *path, enum map_leaf leaf);
size_t map_go_on(struct mapped *m, int dir, const char *path, enum map_leaf leaf, struct glance g);

/* Writes the mapped text to room[0 .. size), after it has learned or walked if need be. Returns 0, or the larger room that it needs. */
size_t map_place(struct mapped *m, enum map_leaf leaf, char *room, size_t size);

/*
 * For a process that is about to install a seccomp(2) filter, which may end it for a system call that the program itself never makes.
 * From map_confine() on nothing is asked of the kernel: an absolute path that begins with the text of an alias leads to the snapshot, any
 * other is the same. map_confine_prepare(), before the filter, looks which aliases still lead to their pin. A vfork child, whose memory is its
 * parent's, is not confined. Other threads are, though the filter may not be theirs.
 */
void map_confine_prepare(void);
void map_confine(void);

/* A program that was started behind such a filter (core/handover.h): from the beginning, and all aliases are believed to lead to their pin. */
void map_confine_start(void);
bool map_is_confined(void);

/* Keeps errno. */
void map_close_door(struct mapped *m);

static inline void map_release(struct mapped *m)
{
	if (__builtin_expect(m->door >= 0, 0))
		map_close_door(m);
}

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world.h: the little file system that paths are tried in.
 *
 * It is made once, with directories and files that stay, and with slots: names at which an input puts a symbolic link, a file, a directory or
 * nothing. Between two inputs only the slots that differ are touched, so an input costs microseconds.
 *
 *     TOP/w/                    the world; may become the root of the process
 *       s1/ s2/ c/s3/           three stores; the last two below directories that move
 *       loc a/loc2 c/loc3       their locations: slots, that lead there unless the input says otherwise; the second is
 *                               pinned as b/m/loc2, below a mount
 *       b/m b/n                 a and s1 once more, by bind mounts (plain directories where we may not mount)
 *       b/o                     a directory that something was mounted over after it was opened
 *       x0/                     may not be entered
 *       proc                    procfs, and TOP/w once more within itself, for when the world is the root
 *     TOP/hold/                 for the frozen links; something is mounted over it
 *
 * The oracle is the kernel: world_freeze() exchanges each pinned store's `latest` with a link to the pinned number, world_thaw()
 * exchanges them back. Inodes stay what they are, so what a path reaches then and what a wrapped call reaches now can be compared.
 *
 * Whatever cannot be done ends the program with a message: it is the test that is broken then.
 */
#ifndef TESTS_FUZZ_WORLD_H
#define TESTS_FUZZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define WORLD_PINS 3
#define WORLD_SLOTS 27
#define WORLD_DIRS 21 /* that a descriptor or the working directory may begin at */
#define WORLD_TARGET_ROOM 1024

enum slot_kind {
	SLOT_NONE,
	SLOT_LINK,
	SLOT_FILE,
	SLOT_DIR,
};

struct slot_content {
	enum slot_kind kind;
	char target[WORLD_TARGET_ROOM]; /* of a link */
};

struct world_slot {
	const char *parent; /* below TOP/w */
	const char *name;
	int dir;           /* a descriptor of the parent */
	const char *usual; /* the link that stands there unless an input says otherwise; %s is TOP/w */
	struct slot_content now;
};

struct world_pin {
	const char *store;    /* below TOP/w */
	const char *location; /* below TOP/w, as the pin names it */
	int numbers[4];       /* the first is the pinned one; 0 ends them */
	int dir;              /* a descriptor of the store */
	int live;             /* the number that `latest` names now */
	struct stat frozen;   /* lstat of the link that names the pinned one */
};

struct world {
	const char *root; /* TOP/w */
	bool mounts;      /* b/m and b/n are mounts */
	bool chroots;     /* we may chroot */
	int hold;         /* TOP/hold */
	int root_dir;     /* / as it was */
	int started_in;   /* the working directory of whoever started us */
	int dirs[WORLD_DIRS];
	struct world_slot slots[WORLD_SLOTS];
	struct world_pin pins[WORLD_PINS];
};

extern struct world world;
extern const char *const world_dirs[WORLD_DIRS];

/*
 * world_enter() makes it and starts the program again in it, with the environment that pins; when it returns, that has happened.
 * The process that was started first waits, removes what is left, and ends as the other one did.
 */
void world_enter(char **argv);

/* The descriptor of one of world_dirs. */
int world_dir(const char *path);

/* A slot's content becomes `want`, past the shim. */
void world_put(struct world_slot *slot, const struct slot_content *want);

/* `latest` of a pin names the number, as after a publication by another process. */
void world_publish(struct world_pin *pin, int number);

void world_freeze(unsigned pins);
void world_thaw(unsigned pins);

/* The pin whose frozen link this is, among the first `pins`; NULL if none. */
struct world_pin *world_frozen(const struct stat *st, unsigned pins);

/* Does a directory lie in the pinned snapshot of one of the first `pins`? */
bool world_in_snapshot(int dir, unsigned pins);

/* Without the right to pass by the permissions (as root has it), and with it again. */
void world_humble(bool humble);

__attribute__((noreturn, format(printf, 1, 2))) void world_broken(const char *format, ...);

#endif

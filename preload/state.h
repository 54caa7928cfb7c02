/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * state.h: what the shim knows in this process: the pins, and what it puts back at exec.
 *
 * Set once, at the first use, from the environment that the program was started with, and copied out of it: a program may overwrite
 * that memory (setproctitle), and what was known at start wins over what its environment says later. Read-only afterwards (but for
 * `kept`, one word), so threads, signal handlers, vfork children need no lock.
 */
#ifndef PRELOAD_STATE_H
#define PRELOAD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/handover.h"
#include "core/names.h"

/* More are ignored: the launcher refuses them, so only a forged environment has them. */
#define SHIM_PINS_MAX PIN_COUNT_MAX

/*
 * Texts whose walk ends in D/L, so many of each pin: LOCATION as the pin names it, and STORE/latest. And others that are met (a link to
 * LOCATION, a relative path): of those only the length is kept, which is set once; which texts they are is remembered (memory.h).
 */
#define SHIM_ALIASES 4
#define ALIAS_LATEST 1
#define ALIAS_OTHER 2 /* the first */

#define SHIM_ROOM 1024

struct shim_alias {
	const char *text;     /* NULL: another */
	size_t length;        /* 0: of none yet */
	const char *snapshot; /* what takes its place: the pin's */
	size_t snapshot_length;
};

/* A power of two long: found by its number in each call (alias_of()). */
struct shim_pin {
	const char *snapshot; /* canonical STORE/snapshots/N, as the launcher saw it */
	size_t snapshot_length;
	size_t store_length; /* the part of it that is STORE */
	uint64_t number;
	struct file_id store; /* directory D, whose entry L = "latest" is what a swap changes */
	struct file_id root;  /* STORE/snapshots/N, below which nothing can be written */
	struct file_id file;  /* the pin file */
	bool held;            /* by a mapping; by `kept` where that could not be made */
	int kept; /* -1, or a descriptor of the pin file, for an exec from where the store cannot be reached by its path (exec.h) */
	struct shim_alias alias[SHIM_ALIASES];
} __attribute__((aligned(256)));

struct shim {
	unsigned count;        /* pins; 0: every call goes straight to the next definition */
	bool strict;           /* an exec that cannot be pinned fails with EPERM */
	const char *launcher;  /* RCU_EXEC_LAUNCHER as it was at start; NULL if it was not set */
	const char *pins_text; /* RCU_EXEC_PINS as it was at start; NULL if it was not set */
	const char *self;  /* our own entry of LD_PRELOAD, to be put back; NULL if we were not loaded by it */
	size_t longest;    /* of the pins' texts: for sizes of rooms */
	uint64_t hash_key; /* of this process; map.c */
	char room[SHIM_ROOM];                /* of the texts, if they fit */
	struct shim_pin pins[SHIM_PINS_MAX]; /* last: few are used, and the rest is then never touched */
};

/* Looked at in each call: by its distance from the code, without a way round by a table of addresses. */
#define SHIM_OWN __attribute__((visibility("hidden")))

extern SHIM_OWN struct shim shim;

/* By how many it is among the aliases of all pins. */
static inline const struct shim_alias *alias_of(unsigned index)
{
	return &shim.pins[index / SHIM_ALIASES].alias[index % SHIM_ALIASES];
}

/* Idempotent; called by the constructor, and by whatever needs the shim earlier. Keeps errno. */
void shim_start(void);

extern SHIM_OWN int shim_started; /* written once, with release order */

static inline void shim_ready(void)
{
	if (__builtin_expect(!__atomic_load_n(&shim_started, __ATOMIC_ACQUIRE), 0))
		shim_start();
}

/* True where paths may have to be changed. */
static inline bool shim_active(void)
{
	shim_ready();
	return shim.count != 0;
}

/*
 * Ends redirection in this process: no path is mapped, no write refused, nothing put back at exec. Exported for rcu-repo and rcu-exec, which must see the
 * store as it is though they are started under a pin; they declare it weak. The pin itself stays held until the next exec.
 */
__attribute__((visibility("default"))) void librcu_exec_stand_aside(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * names.h: what things are called inside a store, and how a snapshot's number is written.
 *
 *     STORE/latest              -> snapshots/N
 *     STORE/snapshots/N/           one published version; N = 1, 2, 3 ...
 *     STORE/update/                Portage's, never touched
 *     STORE/.rcu-repo/             everything that is ours (rcu-repo(7))
 *
 * Launcher, shim and helper read these names and no others; Portage reads and writes the first three. Pure:
 * no I/O, no allocation, no globals. All paths below are relative to STORE.
 */
#ifndef CORE_NAMES_H
#define CORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_LATEST "latest"
#define STORE_SNAPSHOTS "snapshots"
#define STORE_UPDATE "update"
#define STORE_OURS ".rcu-repo"
#define STORE_PINS STORE_OURS "/pins"
#define PIN_DEAD ".dead" /* pins/N.dead: a pin file that a reclaimer has renamed away (helper/store/reclaim.c) */

/* Pin files are made for the present numbers and as many beyond, so that readers can pin what Portage
 * publishes. */
#define PINS_AHEAD 64

/* As many pins as a process can have: the launcher refuses more, the shim's tables hold so many. */
#define PIN_COUNT_MAX 32

/* The environment that a pinned program carries (rcu-exec(1), ENVIRONMENT). */
#define ENV_PINS "RCU_EXEC_PINS"     /* location=snapshot-path, one a line; core/pin_text.h */
#define ENV_FDS "RCU_EXEC_FDS"       /* the descriptors that carry the pins over one exec; core/handover.h */
#define ENV_STRICT "RCU_EXEC_STRICT" /* 1 under --strict */
#define ENV_LAUNCHER \
	"RCU_EXEC_LAUNCHER" /* rcu-exec, if not the installed one; empty: no namespace is to be made */

/*
 * The largest number: a pin maps its file at the offset number * 4096, and off_t has 63 bits. The smallest
 * is 1.
 */
#define SNAPSHOT_NUMBER_MAX ((uint64_t)1 << 50)

/* Room for any number in decimal with its terminating zero. */
#define SNAPSHOT_NUMBER_ROOM 20

/* Room for "snapshots/N" and for ".rcu-repo/pins/N", terminated. */
#define STORE_NAME_ROOM 48

/*
 * True if text[0 .. length) is a snapshot number as Portage and we write it: decimal, no sign, no leading
 * zero, 1 ... SNAPSHOT_NUMBER_MAX. Anything else in snapshots/ is a foreign name. *number is set only then.
 */
bool snapshot_number_parse(const char *text, size_t length, uint64_t *number);

/* Writes the number and a terminating zero; returns its length. `to` has SNAPSHOT_NUMBER_ROOM. */
size_t snapshot_number_format(uint64_t number, char *to);

/* "snapshots/N", the target of latest. `to` has STORE_NAME_ROOM; returns the length. */
size_t snapshot_name(uint64_t number, char *to);

/* ".rcu-repo/pins/N". `to` has STORE_NAME_ROOM; returns the length. */
size_t pin_name(uint64_t number, char *to);

/* True if target[0 .. length) is "snapshots/N" with a good N (a trailing slash is not). */
bool latest_target_parse(const char *target, size_t length, uint64_t *number);

/*
 * Splits an absolute canonical snapshot path "STORE/snapshots/N": *store_length is the length of STORE (at
 * least 1). False if the path has another form.
 */
bool snapshot_path_split(const char *path, size_t *store_length, uint64_t *number);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * identity.h: which process is meant, for as long as something on disk names it. A pid alone names another
 * one sooner or later, and in another container at once. An identity is the boot (random/boot_id), the pid
 * namespace whose number the pid is (device and inode of /proc/self/ns/pid), the pid, and the start of that
 * process in clock ticks (field 22 of /proc/PID/stat, proc(5)).
 */
#ifndef HELPER_BASE_IDENTITY_H
#define HELPER_BASE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/base/err.h"

#define BOOT_ID_ROOM 40

struct identity {
	char boot[BOOT_ID_ROOM];
	uint64_t namespace_dev, namespace_ino;
	pid_t pid; /* 0: nobody; boot is set all the same */
	uint64_t start;
};

/*
 * Of a process that is there now, or, for pid 0, of nobody in this boot. A pid that is not there:
 * STATUS_USAGE.
 */
int identity_of(pid_t pid, struct identity *identity, struct err *err);

/* This boot's name, as in an identity; "" where there is none. */
void identity_boot(char boot[BOOT_ID_ROOM]);

enum identity_state {
	IDENTITY_ALIVE,
	IDENTITY_ENDED,  /* also: the machine was rebooted, the pid is another process, it is a zombie */
	IDENTITY_UNSEEN, /* nobody, or in a pid namespace or behind a hidepid that we cannot look into */
};
enum identity_state identity_state(const struct identity *identity);

/*
 * As one line without newline: "BOOT DEV:INO PID START"; `to` has IDENTITY_ROOM. Parsing fails on anything
 * else.
 */
#define IDENTITY_ROOM 160
void identity_format(const struct identity *identity, char *to);
bool identity_parse(const char *text, struct identity *identity);

/*
 * Finds state (field 3) and start time (field 22) in the text of /proc/PID/stat. The name in field 2 may hold
 * blanks, newlines and parentheses: the fields are counted from the last ')'.
 */
bool identity_stat_parse(const char *text, char *state, uint64_t *start);

#endif

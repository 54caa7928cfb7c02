/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * handover.h: what goes along with a held pin over one exec, the value of RCU_EXEC_FDS.
 *
 * An exec drops the mapping that holds the pin. A descriptor without FD_CLOEXEC carries it over, and the new
 * program must know two things: that it is the pin's, and not something else that has its number (the
 * environment may be another program's, or of another day), and which directories the pin is about. Both are
 * said as identities (device, inode), not as paths: after chroot(2), or in a container's mount namespace, the
 * store may be at another path or at none, and the pin holds all the same.
 *
 *     RCU_EXEC_FDS = [!]ENTRY,ENTRY,...    in the order of RCU_EXEC_PINS
 *     ENTRY        = -                     nobody holds this pin, or no descriptor was left
 *                  | [+]FD:PIN:STORE:ROOT  FD decimal; the rest DEVICE:INODE each, in hex
 *
 * `+`: whoever made this exec could not reach the store by its path, so the descriptor is all that there is
 * to make the next one from.
 * `!`: whoever made this exec had installed a seccomp(2) filter, which goes along and may end the new program for a system call that it
 * does not make itself (preload/map.h).
 *
 * Pure: no I/O, no allocation, no globals. The text is data from an environment, so it may be anything. What
 * looks at the files is in core/hold.h.
 */
#ifndef CORE_HANDOVER_H
#define CORE_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_id {
	uint64_t device;
	uint64_t inode; /* 0: unknown */
};

struct handover {
	int fd;               /* -1: none */
	bool far;             /* the store could not be reached by its path */
	struct file_id pin;   /* STORE/.rcu-repo/pins/N */
	struct file_id store; /* STORE */
	struct file_id root;  /* STORE/snapshots/N */
};

/*
 * One identity, as it stands in an entry: ":DEVICE:INODE". The first writes it, without a terminating zero, and returns its end; the second
 * reads it at *text and moves behind it, or returns false.
 */
char *file_id_format(const struct file_id *id, char *to);
bool file_id_parse(const char **text, struct file_id *id);
#define FILE_ID_ROOM 34

/* Room for one entry and a comma. */
#define HANDOVER_ROOM 128

/* Writes one entry and a terminating zero; returns its length. `to` has HANDOVER_ROOM. */
size_t handover_format(const struct handover *handover, char *to);

/* Is the list marked so? Then *list is moved behind the mark. */
#define HANDOVER_CONFINED "!"
bool handover_confined(const char **list);

/* Reads the entry at *list and moves behind it. NULL, the end and what is malformed give fd -1. */
void handover_parse(struct handover *handover, const char **list);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * readers.h: who pins what, from the kernel's own state: /proc/PID/maps (a mapping of pins/N at the offset N
 * * 4096) and /proc/PID/fd (a pin on its way over an exec, or kept by a program that did not load the shim).
 * No registry, so nothing to go stale. Of a process in a namespace of rcu-exec, which holds nothing itself, mountinfo tells what it
 * sees. For people; reclaim asks the lease, and this only where a lease does not
 * see mappings (overlayfs).
 */
#ifndef HELPER_STORE_READERS_H
#define HELPER_STORE_READERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "helper/store/store.h"

enum reader_via {
	READER_MAPPED, /* the pin file, as a pinned program has it */
	READER_OPEN,   /* a descriptor of it, as over an exec, or rcu-exec's keeper */
	READER_NAMESPACE, /* none: its view is frozen (helper/launcher/namespace.h), and a keeper holds the pin for it */
};

struct reader {
	pid_t pid;
	pid_t inner; /* in the pid namespace that it lives in, where that is not ours; else 0 */
	enum reader_via via;
	uid_t uid;
	char *command; /* the argument list with blanks, or comm; cut at 200 bytes, else as it is: anything */
	int64_t since; /* start of the process, CLOCK_REALTIME seconds */
	uint64_t number;
};

struct readers {
	struct reader *list; /* by number, then pid */
	size_t count;
	size_t hidden; /* processes that we may not look into */
};

int readers_find(const struct store *store, struct readers *readers, struct err *err);
void readers_release(struct readers *readers);

/*
 * Has another process the pin file of `number`, which `pin` is the stat of, mapped or open? 1, 0, or -1 where
 * that cannot be said: there is a process that we may not look into. O(processes).
 */
int readers_any(uint64_t number, const struct stat *pin, struct err *err);

#endif

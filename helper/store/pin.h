/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pin.h: choose a snapshot and pin it, for rcu-exec. What a pin is stands in core/hold.h.
 */
#ifndef HELPER_STORE_PIN_H
#define HELPER_STORE_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "helper/base/err.h"

struct pin {
	char *location; /* as the caller named it, made absolute; trailing slashes dropped */
	char *snapshot; /* canonical STORE/snapshots/N */
	uint64_t number;
	bool chosen; /* the caller asked for this number (helper/launcher/pinning.c) */
	int fd;      /* holds the pin (FD_CLOEXEC); -1: the store has no pin files and we may not make any:
		   redirected, not held */
};
#define PIN_NONE         \
	{                \
		.fd = -1 \
	}

/*
 * Finds the store that LOCATION leads to, by following links one by one until one named "latest" whose target
 * is snapshots/N. The canonical path of the store goes to *store (the caller frees it). Errors say which of
 * these it is: missing, a dangling link, a file, a directory that is no RCU location, a link that leads
 * elsewhere.
 */
int pin_find_store(const char *location, char **store, struct err *err);

/*
 * Pins `number` of the store that LOCATION leads to, or the latest for 0: reads latest, takes the pin, and
 * where a reclaimer was faster begins again with the new latest. On success the snapshot exists and stays,
 * unless pin->fd is -1. A number that is gone is an error that names the ones that exist. Tries for a minute
 * at most. Where pin files are missing and we may write to the store, the lock is taken for a moment and they
 * are made.
 */
int pin_take(struct pin *pin, const char *location, uint64_t number, struct err *err);
void pin_release(struct pin *pin);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namespace_cover.h: one store in a namespace that is entered (helper/launcher/namespace.h has the argument).
 */
#ifndef HELPER_LAUNCHER_NAMESPACE_COVER_H
#define HELPER_LAUNCHER_NAMESPACE_COVER_H

#include <stdbool.h>

#include "helper/launcher/keeper.h"
#include "helper/store/pin.h"

/* What mountinfo calls the tmpfs that covers a store, beside its type. */
#define COVER_SOURCE "rcu-exec"

/*
 * Covers the store of this pin, wherever it can be seen in this mount namespace, so that its `latest` is the
 * pin's snapshot: read-only, or under an overlay. The keeper watches what was mounted. Changes the working
 * directory.
 */
int cover_store(const struct pin *pin, bool writable, struct keeper *keeper, struct err *err);

#endif

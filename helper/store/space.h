/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * space.h: is there room for what is about to be made? Asked before anything is touched, so that a full disk is one
 * clear message, and not half a copy.
 */
#ifndef HELPER_STORE_SPACE_H
#define HELPER_STORE_SPACE_H

#include "helper/store/store.h"

/*
 * For a full copy of the tree dir/name in the store. -1: it needs more than there is (for root also what is reserved
 * for him). Where a copy may share blocks with its source (btrfs, xfs, bcachefs), and where the tree cannot be measured, nothing
 * can be said: 0.
 */
int space_for_copy(const struct store *store, int dir, const char *name, struct err *err);

#endif

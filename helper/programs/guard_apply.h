/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard_apply.h: the upper layer of an overlay becomes part of its lower one: for guard.c alone.
 */
#ifndef HELPER_PROGRAMS_GUARD_APPLY_H
#define HELPER_PROGRAMS_GUARD_APPLY_H

#include "helper/base/err.h"
#include "helper/tree/changes.h"

/*
 * Applies the upper layer upper_dir/upper to the tree tree_dir/tree, with which it was mounted (metacopy=off, redirect_dir=off,
 * index=off) and is no longer. What was written is moved, what was removed is removed, a directory gets its metadata; the cost grows with
 * the change. *changes gets each path that may be another now.
 *
 * If we die here the tree is neither the old nor the new one: it is a staging tree, and nobody takes it up again.
 */
int layer_apply(int upper_dir, const char *upper, int tree_dir, const char *tree, struct changes *changes,
		struct err *err);

#endif

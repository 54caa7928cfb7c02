/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.h: for tree_clone(): the files that cannot be linked.
 */
#ifndef HELPER_TREE_COPY_H
#define HELPER_TREE_COPY_H

#include "helper/base/err.h"
#include "helper/tree/climb.h"

/*
 * to_dir/to has all directories of from_dir/from. Each file there that is in `apart` gets a copy in it, with all its
 * names; what has such a name already goes. Directories have the metadata of the source afterwards.
 */
int copy_apart(int from_dir, const char *from, int to_dir, const char *to, const struct inode_table *apart,
	       struct err *err);

#endif

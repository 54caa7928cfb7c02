/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * seal.h: the end of a staging tree's making, for storages that keep snapshots as ordinary trees: what differs from the
 * base is found, what is equal is shared again, and the rest is written up as a record.
 */
#ifndef HELPER_SNAPSHOT_SEAL_H
#define HELPER_SNAPSHOT_SEAL_H

#include "helper/store/record.h"

struct seal_trees {
	int staging_dir; /* the tree is (directory, name), as in tree.h */
	const char *staging;
	int base_dir;
	const char *base; /* NULL: there is none */
	const char
		*spare; /* a name in staging_dir that is not used: for links being made, as in tree_share() */
};

/*
 * Under the lock. `number` is the base's, 0 where there is none. With a hint that is known (sorted), and a good record
 * of the base, the cost is that of the hint: each path of it, and the directories that those are in, compared name by
 * name and inode by inode. A hint that leaves out what it should have named is noticed only in those directories.
 *
 * Files that were written anew and are the same in all respects become links to the base's (names that are one file stay
 * one, names that are two stay two). No inode that the tree shares with the base already is touched (P17).
 *
 * *record (RECORD_NONE before) is fit for record_write(), but for the number; where it is record_empty() nothing differs,
 * and no digests were made. Killed anywhere, it leaves the staging tree with the same names and contents, and perhaps
 * `spare`.
 */
int seal_tree(const struct store *store, const struct seal_trees *trees, uint64_t number,
	      const struct changes *hint, struct record *record, struct err *err);

#endif

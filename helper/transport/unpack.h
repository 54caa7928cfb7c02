/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unpack.h: an archive that somebody else made becomes the staged tree. For archive.c.
 *
 * What is made are directories, regular files, and symbolic and hard links that stay in the tree. Anything else,
 * absolute names, "..", a name twice, and more than sync-rcu-max-size or sync-rcu-max-files is an error. Files
 * belong to us; set-id and sticky bits, and others' right to write, are taken off; times are the archive's.
 */
#ifndef HELPER_TRANSPORT_UNPACK_H
#define HELPER_TRANSPORT_UNPACK_H

#include <stdint.h>

#include "helper/config/repos.h"
#include "helper/tree/changes.h"

struct unpack {
	const struct repo *repo;
	int archive;      /* open for reading, at its beginning */
	int tree;         /* the staged tree, a branch of latest */
	const char *path; /* and its path */
	struct changes *changes;
};

/*
 * tar, plain or by gzip, bzip2, xz or zstd, with sync-rcu-strip leading directories cut off. A file that is in the tree
 * already with this content and metadata stays, and what is not in the archive goes.
 */
int unpack_tar(const struct unpack *unpack, struct err *err);

/* squashfs, by unsquashfs(1), into the tree made empty. */
int unpack_squashfs(const struct unpack *unpack, struct err *err);

/* What both hold to: how much there was so far. */
struct unpack_sum {
	uint64_t files, bytes;
};
int unpack_count(const struct unpack *unpack, struct unpack_sum *sum, uint64_t bytes, struct err *err);

/* Does a link `path` to `target` stay in the tree, by its text? */
int unpack_check_link(const char *path, const char *target, struct err *err);

#endif

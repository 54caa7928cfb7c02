/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/space.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "helper/tree/tree.h"

#define XFS_MAGIC 0x58465342
#define BCACHEFS_MAGIC 0xca451a4e

static bool shares_blocks(int dir)
{
	struct statfs fs;

	if (fstatfs(dir, &fs) != 0)
		return true;
	const unsigned long type = (unsigned long)fs.f_type;
	return type == BTRFS_SUPER_MAGIC || type == XFS_MAGIC || type == BCACHEFS_MAGIC;
}

int space_for_copy(const struct store *store, int dir, const char *name, struct err *err)
{
	const bool root = geteuid() == 0;
	struct err ignored = ERR_NONE;
	uint64_t files, bytes, own;
	struct statvfs fs;

	if (shares_blocks(store->dir) || fstatvfs(store->dir, &fs) != 0 ||
	    tree_measure(dir, name, &files, &bytes, &own, &ignored) != 0)
		return 0;
	const uint64_t room = (uint64_t)(root ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	const uint64_t inodes = root ? fs.f_ffree : fs.f_favail;
	if (bytes > room)
		return err_fail(err, STATUS_FAILED, store->path,
				"no room for a copy: it needs %" PRIu64 " KiB, and %" PRIu64 " KiB are free",
				bytes / 1024, room / 1024);
	if (fs.f_files != 0 && files > inodes)
		return err_fail(err, STATUS_FAILED, store->path,
				"no room for a copy: it needs %" PRIu64 " inodes, and %" PRIu64 " are free",
				files, inodes);
	return 0;
}

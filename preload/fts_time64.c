/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fts(3) with 64 bits of off_t and of time, on i386. */
#define EXPORT_fts_time64 EXPORT
#define _TIME_BITS 64
#include <fts.h>

#define STREAM FTS
#define ENTRY FTSENT
#define STATUS struct stat
#define LOOK(dir, path, status, flags) \
	wrap___fstatat64_time64(dir, path, (struct stat_time64 *)(void *)(status), flags)
#include "preload/fts_walk.h"

FTS *wrap___fts64_open_time64(char *const *paths, int options,
			      int (*compare)(const FTSENT **, const FTSENT **))
{
	return shim_active() && paths ? stream_open(paths, options, compare)
				      : next()->__fts64_open_time64(paths, options, compare);
}

FTSENT *wrap___fts64_read_time64(FTS *fts)
{
	return has(fts, OURS) ? stream_read(fts) : next()->__fts64_read_time64(fts);
}

FTSENT *wrap___fts64_children_time64(FTS *fts, int how)
{
	return has(fts, OURS) ? stream_children(fts, how) : next()->__fts64_children_time64(fts, how);
}

int wrap___fts64_close_time64(FTS *fts)
{
	return has(fts, OURS) ? stream_close(fts) : next()->__fts64_close_time64(fts);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fts(3) with 64 bits of off_t and 32 of time, on i386: without as_libc.h struct stat and FTSENT are these. */
#define EXPORT_fts64 EXPORT
#include <fts.h>

#define STREAM FTS
#define ENTRY FTSENT
#define STATUS struct stat
#define LOOK(dir, path, status, flags) \
	wrap___fxstatat64(STAT_VERSION, dir, path, (struct stat64 *)(void *)(status), flags)
#include "preload/fts_walk.h"

FTS *wrap_fts64_open(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
	return shim_active() && paths ? stream_open(paths, options, compare)
				      : next()->fts64_open(paths, options, compare);
}

FTSENT *wrap_fts64_read(FTS *fts)
{
	return has(fts, OURS) ? stream_read(fts) : next()->fts64_read(fts);
}

FTSENT *wrap_fts64_children(FTS *fts, int how)
{
	return has(fts, OURS) ? stream_children(fts, how) : next()->fts64_children(fts, how);
}

int wrap_fts64_close(FTS *fts)
{
	return has(fts, OURS) ? stream_close(fts) : next()->fts64_close(fts);
}

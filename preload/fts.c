/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_fts EXPORT
#include "preload/as_libc.h"

#include <fts.h>

#define STREAM FTS
#define ENTRY FTSENT
#define STATUS struct stat
#define LOOK(dir, path, status, flags) wrap___fxstatat(STAT_VERSION, dir, path, status, flags)
#include "preload/fts_walk.h"

FTS *wrap_fts_open(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
	return shim_active() && paths ? stream_open(paths, options, compare)
				      : next()->fts_open(paths, options, compare);
}

FTSENT *wrap_fts_read(FTS *fts)
{
	return has(fts, OURS) ? stream_read(fts) : next()->fts_read(fts);
}

FTSENT *wrap_fts_children(FTS *fts, int how)
{
	return has(fts, OURS) ? stream_children(fts, how) : next()->fts_children(fts, how);
}

int wrap_fts_close(FTS *fts)
{
	return has(fts, OURS) ? stream_close(fts) : next()->fts_close(fts);
}

/* Where off_t is 64 bits wide anyway both forms have the same structures; for others there is fts64.c. */
#if __WORDSIZE == 64
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
#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * literal.h: openat2(2) with RESOLVE_NO_SYMLINKS: a walk of the kernel's that fails with ELOOP rather than pass through a link, and so
 * cannot pass through a D/L (map.h). It looks at all components of a path in one call; and open(2) made so needs no look at all.
 *
 * It is none of the calls that the wrapped function makes. So it is not made where a filter of system calls is in force, own or inherited:
 * that may answer anything, or end the process. Linux 5.6.
 */
#ifndef PRELOAD_LITERAL_H
#define PRELOAD_LITERAL_H

#include <errno.h>
#include <stdbool.h>

/* Asks the kernel once in a process; and no more where it does not know the call. Not for a confined process (map.h): it asks nothing. */
bool literal_allowed(void);

/*
 * A descriptor or -errno, as openat(2) would return it for a walk without links. LITERAL_LINK: it met a link. LITERAL_NOT: the call says
 * nothing about the path; ask in another way.
 */
int literal_open(int dir, const char *path, int flags);
#define LITERAL_LINK (-ELOOP)
#define LITERAL_NOT (-4096)

#endif

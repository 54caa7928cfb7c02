/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dlopen(3). ld.so knows by the return address who asks: his RUNPATH is searched for a name without a slash, his $ORIGIN is put in, his
 * namespace is used. So what is not mapped is handed on by a jump, and libc sees the program as the caller. A path that is mapped has
 * a slash and no $; of the caller only a DT_RPATH, where one is searched for what the object needs, is then not seen.
 *
 * ld.so opens inside itself: an object that is needed by another, and that a RUNPATH leads to through a link, is not mapped.
 */
#define EXPORT_load EXPORT
#include <dlfcn.h>

#include "preload/wrap.h"

#if defined(__clang__)
#define JUMPS
#define JUMP __attribute__((musttail)) return
#else
#define JUMPS __attribute__((optimize("O2", "optimize-sibling-calls")))
#define JUMP return
#endif

static bool is_mappable(const char *path)
{
	bool slash = false;

	for (; path && *path && *path != '$'; path++)
		slash = slash || *path == '/';
	return slash && *path == '\0' && shim_active();
}

typedef void *open_call(const char *path, int mode);
typedef void *open_in_call(Lmid_t space, const char *path, int mode);

__attribute__((noinline)) static void *open_mapped(const char *path, int mode, open_call *call)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return call(m.path, mode);
}

__attribute__((noinline)) static void *open_mapped_in(Lmid_t space, const char *path, int mode,
						      open_in_call *call)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return call(space, m.path, mode);
}

/* Does the path lead elsewhere? The text of where is made again by whoever opens it. */
__attribute__((noinline)) static bool is_moved(const char *path)
{
	if (!is_mappable(path))
		return false;
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return m.kind == MAP_MOVED;
}

JUMPS void *wrap_dlopen(const char *path, int mode)
{
	if (is_moved(path))
		return open_mapped(path, mode, next()->dlopen);
	JUMP next()->dlopen(path, mode);
}

JUMPS void *wrap_dlopen_old(const char *path, int mode)
{
	if (is_moved(path))
		return open_mapped(path, mode, next()->dlopen_old);
	JUMP next()->dlopen_old(path, mode);
}

JUMPS void *wrap_dlmopen(Lmid_t space, const char *path, int mode)
{
	if (is_moved(path))
		return open_mapped_in(space, path, mode, next()->dlmopen);
	JUMP next()->dlmopen(space, path, mode);
}

JUMPS void *wrap_dlmopen_old(Lmid_t space, const char *path, int mode)
{
	if (is_moved(path))
		return open_mapped_in(space, path, mode, next()->dlmopen_old);
	JUMP next()->dlmopen_old(space, path, mode);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_give_back EXPORT
#include <string.h>

#include "core/names.h"
#include "preload/wrap.h"

size_t entry_length(const struct mapped *m)
{
	char text[STORE_NAME_ROOM];

	return snapshot_name(shim.pins[m->pin].number, text);
}

/*
 * What readlink says of D/L: the pinned snapshot. The real call has been made before, so everything that can be wrong with the
 * arguments has been said by the kernel; only the text and its length remain.
 */
ssize_t entry_answer(const struct mapped *m, ssize_t result, char *to, size_t room)
{
	char text[STORE_NAME_ROOM];

	if (m->kind != MAP_ENTRY || result < 0)
		return result;
	size_t length = snapshot_name(shim.pins[m->pin].number, text);
	if (length > room)
		length = room;
	memcpy(to, text, length);
	return (ssize_t)length;
}

ssize_t wrap_readlink(const char *path, char *to, size_t room)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	return entry_answer(&m, next()->readlink(m.path, to, room), to, room);
}

ssize_t wrap___readlink_chk(const char *path, char *to, size_t room, size_t known)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	return entry_answer(&m, next()->__readlink_chk(m.path, to, room, known), to, room);
}

ssize_t wrap_readlinkat(int dir, const char *path, char *to, size_t room)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NOFOLLOW);
	return entry_answer(&m, next()->readlinkat(m.dir, m.path, to, room), to, room);
}

ssize_t wrap___readlinkat_chk(int dir, const char *path, char *to, size_t room, size_t known)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NOFOLLOW);
	return entry_answer(&m, next()->__readlinkat_chk(m.dir, m.path, to, room, known), to, room);
}

/* realpath() walks inside libc; a mapped path passes through no D/L, so what it finds is the pinned snapshot's own path. */
char *wrap_realpath(const char *path, char *resolved)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->realpath(m.path, resolved);
}

char *wrap_realpath_old(const char *path, char *resolved)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->realpath_old(m.path, resolved);
}

char *wrap___realpath_chk(const char *path, char *resolved, size_t known)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->__realpath_chk(m.path, resolved, known);
}

char *wrap_canonicalize_file_name(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->canonicalize_file_name(m.path);
}

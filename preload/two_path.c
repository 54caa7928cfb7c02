/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A name that has been moved, replaced or made a link by this process: what was remembered of paths through it may be wrong now, hence
 * memory_forget() after each success.
 */
#define EXPORT_two_path EXPORT
#include "preload/wrap.h"

static int moved(int result)
{
	if (result == 0 && shim_active())
		memory_forget();
	return result;
}

int wrap_rename(const char *from, const char *to)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, AT_FDCWD, from, LEAF_NAME);
	MAP(t, AT_FDCWD, to, LEAF_NAME);
	int error = refuse_rename(f.dir, f.path, t.dir, t.path);
	return error ? fail(error) : moved(next()->rename(f.path, t.path));
}

int wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, from, LEAF_NAME);
	MAP(t, to_dir, to, LEAF_NAME);
	int error = refuse_rename(f.dir, f.path, t.dir, t.path);
	return error ? fail(error) : moved(next()->renameat(f.dir, f.path, t.dir, t.path));
}

int wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, from, LEAF_NAME);
	MAP(t, to_dir, to, LEAF_NAME);
	int error = refuse_rename(f.dir, f.path, t.dir, t.path);
	return error ? fail(error) : moved(next()->renameat2(f.dir, f.path, t.dir, t.path, flags));
}

int wrap_link(const char *from, const char *to)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, AT_FDCWD, from, LEAF_NOFOLLOW);
	MAP(t, AT_FDCWD, to, LEAF_NAME);
	int error = refuse_link(f.dir, f.path, t.dir, t.path, 0);
	return error ? fail(error) : moved(next()->link(f.path, t.path));
}

int wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	bool follow = flags & AT_SYMLINK_FOLLOW;
	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, from, follow ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	MAP(t, to_dir, to, LEAF_NAME);
	int error = refuse_link(f.dir, f.path, t.dir, t.path, flags);
	return error ? fail(error) : moved(next()->linkat(f.dir, f.path, t.dir, t.path, flags));
}

/* The target is text: it is never mapped. */
int wrap_symlink(const char *target, const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : moved(next()->symlink(target, m.path));
}

int wrap_symlinkat(const char *target, int dir, const char *path)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	return error ? fail(error) : moved(next()->symlinkat(target, m.dir, m.path));
}

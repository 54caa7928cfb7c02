/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_entry EXPORT
#include "guard/next.h"

int wrap_link(const char *from, const char *to)
{
	return own_link(AT_FDCWD, from, 0, AT_FDCWD, to) ? -1 : NEXT(link)(from, to);
}

int wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return own_link(from_dir, from, flags, to_dir, to) ? -1
							   : NEXT(linkat)(from_dir, from, to_dir, to, flags);
}

int wrap_rename(const char *from, const char *to)
{
	return own_rename(AT_FDCWD, from, AT_FDCWD, to, 0) ? -1 : NEXT(rename)(from, to);
}

int wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return own_rename(from_dir, from, to_dir, to, 0) ? -1 : NEXT(renameat)(from_dir, from, to_dir, to);
}

int wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return own_rename(from_dir, from, to_dir, to, flags)
		       ? -1
		       : NEXT(renameat2)(from_dir, from, to_dir, to, flags);
}

int wrap_unlink(const char *path)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(unlink)(path);
}

int wrap_unlinkat(int dir, const char *path, int flags)
{
	return own_entry(dir, path) ? -1 : NEXT(unlinkat)(dir, path, flags);
}

int wrap_rmdir(const char *path)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(rmdir)(path);
}

int wrap_remove(const char *path)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(remove)(path);
}

int wrap_mkdir(const char *path, mode_t mode)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(mkdir)(path, mode);
}

int wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	return own_entry(dir, path) ? -1 : NEXT(mkdirat)(dir, path, mode);
}

int wrap_mknod(const char *path, mode_t mode, dev_t device)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(mknod)(path, mode, device);
}

int wrap_mknodat(int dir, const char *path, mode_t mode, dev_t device)
{
	return own_entry(dir, path) ? -1 : NEXT(mknodat)(dir, path, mode, device);
}

int wrap___xmknod(int version, const char *path, mode_t mode, dev_t *device)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(__xmknod)(version, path, mode, device);
}

int wrap___xmknodat(int version, int dir, const char *path, mode_t mode, dev_t *device)
{
	return own_entry(dir, path) ? -1 : NEXT(__xmknodat)(version, dir, path, mode, device);
}

int wrap_mkfifo(const char *path, mode_t mode)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(mkfifo)(path, mode);
}

int wrap_mkfifoat(int dir, const char *path, mode_t mode)
{
	return own_entry(dir, path) ? -1 : NEXT(mkfifoat)(dir, path, mode);
}

int wrap_symlink(const char *target, const char *path)
{
	return own_entry(AT_FDCWD, path) ? -1 : NEXT(symlink)(target, path);
}

int wrap_symlinkat(const char *target, int dir, const char *path)
{
	return own_entry(dir, path) ? -1 : NEXT(symlinkat)(target, dir, path);
}

/*
 * Names that libc makes up: it opens them inside libc, past us. In a snapshot the file would be made, and could then not be removed.
 */

int wrap_mkstemp(char *template)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkstemp)(template);
}

int wrap_mkstemp64(char *template)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkstemp64)(template);
}

int wrap_mkostemp(char *template, int flags)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkostemp)(template, flags);
}

int wrap_mkostemp64(char *template, int flags)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkostemp64)(template, flags);
}

int wrap_mkstemps(char *template, int suffix)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkstemps)(template, suffix);
}

int wrap_mkstemps64(char *template, int suffix)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkstemps64)(template, suffix);
}

int wrap_mkostemps(char *template, int suffix, int flags)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkostemps)(template, suffix, flags);
}

int wrap_mkostemps64(char *template, int suffix, int flags)
{
	return own_entry(AT_FDCWD, template) ? -1 : NEXT(mkostemps64)(template, suffix, flags);
}

char *wrap_mkdtemp(char *template)
{
	return own_entry(AT_FDCWD, template) ? NULL : NEXT(mkdtemp)(template);
}

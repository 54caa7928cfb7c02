/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_stat EXPORT
#include "preload/as_libc.h"

#include "preload/move.h"
#include "preload/wrap.h"

/*
 * A call that follows is made without at first (map.h): nearly always there is nothing to follow. Where there is, it is made again. A
 * dangling link fails then, after the buffer was written to.
 */
static enum map_leaf leaf_of(int flags)
{
	return flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_TRY;
}

/* A link's size is the length of what readlink() says, and of D/L that is the pinned snapshot's name. */
static bool is_entry(const struct mapped *m, int result)
{
	return result == 0 && m->kind == MAP_ENTRY;
}

__attribute__((noinline)) static int stat_followed(const char *path, struct stat *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_LINK);
	return next()->stat(m.path, st);
}

__attribute__((noinline)) static int stat_mapped(const char *path, struct stat *st, struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_TRY, g);
	if (!m.unsure)
		return next()->stat(m.path, st);
	int result = next()->lstat(m.path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat_followed(path, st) : result;
}

__attribute__((noinline)) static int stat_moved(const char *path, struct stat *st, struct glance g)
{
	MOVED(text, path, g);
	int result = next_slots.lstat(text, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat_followed(path, st) : result;
}

int wrap_stat(const char *path, struct stat *st)
{
	struct glance g = map_try(AT_FDCWD, path);

	if (glance_known(g) != KNOWN_CLEAR)
		return glance_moves(g) ? stat_moved(path, st, g) : stat_mapped(path, st, g);
	int result = next_slots.lstat(path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat_followed(path, st) : result;
}

__attribute__((noinline)) static int stat64_followed(const char *path, struct stat64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_LINK);
	return next()->stat64(m.path, st);
}

__attribute__((noinline)) static int stat64_mapped(const char *path, struct stat64 *st, struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_TRY, g);
	if (!m.unsure)
		return next()->stat64(m.path, st);
	int result = next()->lstat64(m.path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat64_followed(path, st) : result;
}

__attribute__((noinline)) static int stat64_moved(const char *path, struct stat64 *st, struct glance g)
{
	MOVED(text, path, g);
	int result = next_slots.lstat64(text, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat64_followed(path, st) : result;
}

int wrap_stat64(const char *path, struct stat64 *st)
{
	struct glance g = map_try(AT_FDCWD, path);

	if (glance_known(g) != KNOWN_CLEAR)
		return glance_moves(g) ? stat64_moved(path, st, g) : stat64_mapped(path, st, g);
	int result = next_slots.lstat64(path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? stat64_followed(path, st) : result;
}

__attribute__((noinline)) static int lstat_mapped(const char *path, struct stat *st, struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_NOFOLLOW, g);
	int result = next()->lstat(m.path, st);
	if (is_entry(&m, result))
		st->st_size = (off_t)entry_length(&m);
	return result;
}

__attribute__((noinline)) static int lstat_moved(const char *path, struct stat *st, struct glance g)
{
	MOVED(text, path, g);
	return next_slots.lstat(text, st);
}

int wrap_lstat(const char *path, struct stat *st)
{
	struct glance g = map_nofollow(AT_FDCWD, path);

	if (glance_known(g) == KNOWN_CLEAR)
		return next_slots.lstat(path, st);
	return glance_moves(g) ? lstat_moved(path, st, g) : lstat_mapped(path, st, g);
}

__attribute__((noinline)) static int lstat64_mapped(const char *path, struct stat64 *st, struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_NOFOLLOW, g);
	int result = next()->lstat64(m.path, st);
	if (is_entry(&m, result))
		st->st_size = (off64_t)entry_length(&m);
	return result;
}

__attribute__((noinline)) static int lstat64_moved(const char *path, struct stat64 *st, struct glance g)
{
	MOVED(text, path, g);
	return next_slots.lstat64(text, st);
}

int wrap_lstat64(const char *path, struct stat64 *st)
{
	struct glance g = map_nofollow(AT_FDCWD, path);

	if (glance_known(g) == KNOWN_CLEAR)
		return next_slots.lstat64(path, st);
	return glance_moves(g) ? lstat64_moved(path, st, g) : lstat64_mapped(path, st, g);
}

__attribute__((noinline)) static int fstatat_mapped(int dir, const char *path, struct stat *st, int flags,
						    struct glance g)
{
	MAPPED(m);
	MAP_ON(m, dir, path, leaf_of(flags), g);
	int result = next()->fstatat(m.dir, m.path, st, m.unsure ? flags | AT_SYMLINK_NOFOLLOW : flags);
	if (m.unsure && result == 0 && S_ISLNK(st->st_mode)) {
		MAP(m, dir, path, LEAF_LINK);
		result = next()->fstatat(m.dir, m.path, st, flags);
	}
	if (result == 0 && S_ISLNK(st->st_mode))
		entry_opened(&m);
	if (is_entry(&m, result))
		st->st_size = (off_t)entry_length(&m);
	return result;
}

/* Of what the glance shows to be the caller's nothing is L, nor named by the descriptor alone. */
int wrap_fstatat(int dir, const char *path, struct stat *st, int flags)
{
	const bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
	struct glance g = follow ? map_try(dir, path) : map_nofollow(dir, path);

	if (glance_known(g) != KNOWN_CLEAR)
		return fstatat_mapped(dir, path, st, flags, g);
	int result = next_slots.fstatat(dir, path, st, flags | AT_SYMLINK_NOFOLLOW);
	if (follow && result == 0 && S_ISLNK(st->st_mode))
		return fstatat_mapped(dir, path, st, flags, (struct glance){ KNOWN_NOT });
	return result;
}

__attribute__((noinline)) static int fstatat64_mapped(int dir, const char *path, struct stat64 *st, int flags,
						      struct glance g)
{
	MAPPED(m);
	MAP_ON(m, dir, path, leaf_of(flags), g);
	int result = next()->fstatat64(m.dir, m.path, st, m.unsure ? flags | AT_SYMLINK_NOFOLLOW : flags);
	if (m.unsure && result == 0 && S_ISLNK(st->st_mode)) {
		MAP(m, dir, path, LEAF_LINK);
		result = next()->fstatat64(m.dir, m.path, st, flags);
	}
	if (result == 0 && S_ISLNK(st->st_mode))
		entry_opened(&m);
	if (is_entry(&m, result))
		st->st_size = (off64_t)entry_length(&m);
	return result;
}

/* Of what the glance shows to be the caller's nothing is L, nor named by the descriptor alone. */
int wrap_fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	const bool follow = !(flags & AT_SYMLINK_NOFOLLOW);
	struct glance g = follow ? map_try(dir, path) : map_nofollow(dir, path);

	if (glance_known(g) != KNOWN_CLEAR)
		return fstatat64_mapped(dir, path, st, flags, g);
	int result = next_slots.fstatat64(dir, path, st, flags | AT_SYMLINK_NOFOLLOW);
	if (follow && result == 0 && S_ISLNK(st->st_mode))
		return fstatat64_mapped(dir, path, st, flags, (struct glance){ KNOWN_NOT });
	return result;
}

/* What programs that were linked before glibc 2.33 call: `version` is that of struct stat. */
__attribute__((noinline)) static int xstat_followed(int version, const char *path, struct stat *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_LINK);
	return next()->__xstat(version, m.path, st);
}

int wrap___xstat(int version, const char *path, struct stat *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_TRY);
	if (!m.unsure)
		return next()->__xstat(version, m.path, st);
	int result = next()->__lxstat(version, m.path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? xstat_followed(version, path, st) : result;
}

__attribute__((noinline)) static int xstat64_followed(int version, const char *path, struct stat64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_LINK);
	return next()->__xstat64(version, m.path, st);
}

int wrap___xstat64(int version, const char *path, struct stat64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_TRY);
	if (!m.unsure)
		return next()->__xstat64(version, m.path, st);
	int result = next()->__lxstat64(version, m.path, st);
	return result == 0 && S_ISLNK(st->st_mode) ? xstat64_followed(version, path, st) : result;
}

int wrap___lxstat(int version, const char *path, struct stat *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int result = next()->__lxstat(version, m.path, st);
	if (is_entry(&m, result))
		st->st_size = (off_t)entry_length(&m);
	return result;
}

int wrap___lxstat64(int version, const char *path, struct stat64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	int result = next()->__lxstat64(version, m.path, st);
	if (is_entry(&m, result))
		st->st_size = (off64_t)entry_length(&m);
	return result;
}

int wrap___fxstatat(int version, int dir, const char *path, struct stat *st, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int result = next()->__fxstatat(version, m.dir, m.path, st,
					m.unsure ? flags | AT_SYMLINK_NOFOLLOW : flags);
	if (m.unsure && result == 0 && S_ISLNK(st->st_mode)) {
		MAP(m, dir, path, LEAF_LINK);
		result = next()->__fxstatat(version, m.dir, m.path, st, flags);
	}
	if (result == 0 && S_ISLNK(st->st_mode))
		entry_opened(&m);
	if (is_entry(&m, result))
		st->st_size = (off_t)entry_length(&m);
	return result;
}

int wrap___fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	int result = next()->__fxstatat64(version, m.dir, m.path, st,
					  m.unsure ? flags | AT_SYMLINK_NOFOLLOW : flags);
	if (m.unsure && result == 0 && S_ISLNK(st->st_mode)) {
		MAP(m, dir, path, LEAF_LINK);
		result = next()->__fxstatat64(version, m.dir, m.path, st, flags);
	}
	if (result == 0 && S_ISLNK(st->st_mode))
		entry_opened(&m);
	if (is_entry(&m, result))
		st->st_size = (off64_t)entry_length(&m);
	return result;
}

int wrap_statx(int dir, const char *path, int flags, unsigned mask, struct statx *st)
{
	MAPPED(m);
	MAP(m, dir, path, leaf_of(flags));
	unsigned asked = m.unsure ? mask | STATX_TYPE : mask;
	int result = next()->statx(m.dir, m.path, m.unsure ? flags | AT_SYMLINK_NOFOLLOW : flags, asked, st);
	if (m.unsure && result == 0 && (!(st->stx_mask & STATX_TYPE) || S_ISLNK(st->stx_mode))) {
		MAP(m, dir, path, LEAF_FOLLOW);
		result = next()->statx(m.dir, m.path, flags, mask, st);
	}
	if (result == 0 && (st->stx_mask & STATX_TYPE) && S_ISLNK(st->stx_mode))
		entry_opened(&m);
	if (is_entry(&m, result) && (st->stx_mask & STATX_SIZE))
		st->stx_size = entry_length(&m);
	return result;
}

int wrap_statfs(const char *path, struct statfs *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->statfs(m.path, st);
}

int wrap___statfs(const char *path, struct statfs *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->__statfs(m.path, st);
}

int wrap_statfs64(const char *path, struct statfs64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->statfs64(m.path, st);
}

int wrap_statvfs(const char *path, struct statvfs *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->statvfs(m.path, st);
}

int wrap_statvfs64(const char *path, struct statvfs64 *st)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return next()->statvfs64(m.path, st);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/names.h"
#include "core/sys.h"
#include "guard/guard.h"

#define DOOR_ROOM (sizeof("/proc/self/fd/") + SNAPSHOT_NUMBER_ROOM)
#define TEXT_FIRST 256
#define TEXT_MAX 4096 /* no path that procfs tells is longer */

/* How a descriptor was opened, as far as another in its place can be. */
#define KEPT_FLAGS (O_ACCMODE | O_APPEND | O_NONBLOCK | O_NOATIME | O_PATH)

/* What the static functions return: -errno, nothing had to be done, or the name now has an inode of its own. */
enum {
	OWNED = 0,
	BROKEN = 1,
};

static bool on_device(const struct stat *st)
{
	return st->st_dev == guard.ids.staging.device;
}

static int answer(int result)
{
	return result < 0 ? fail(-result) : 0;
}

/* For what is named dir/name and is `st`, no directory. */
static int own_named(int dir, const char *name, const struct stat *st)
{
	int scratch = -EROFS;
	const enum place place = place_of(dir, &scratch);

	if (place == PLACE_SNAPSHOT)
		return -EROFS;
	if (place == PLACE_ELSEWHERE || st->st_nlink < 2) {
		if (scratch >= 0)
			sys_close(scratch);
		return OWNED;
	}
	if (scratch < 0)
		return -EROFS;
	int result = link_break(scratch, dir, name);
	sys_close(scratch);
	return result < 0 ? result : BROKEN;
}

/* A directory has one name, so its place decides. */
static int own_directory(int fd)
{
	return place_of(fd, NULL) == PLACE_SNAPSHOT ? -EROFS : OWNED;
}

/* The file that has the name now takes the descriptor's place, opened in the same way and at the same byte. */
static int put_in_place(int fd, int dir, const char *name)
{
	const int flags = sys_fcntl(fd, F_GETFL, 0), closes = sys_fcntl(fd, F_GETFD, 0);
	int fresh = sys_openat(dir, name, (flags & KEPT_FLAGS) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);

	if (fresh < 0)
		return fresh;
	long at = sys_call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0);
	if (at > 0)
		sys_call(SYS_lseek, fresh, at, SEEK_SET, 0, 0, 0);
	int result = (int)sys_call(SYS_dup3, fresh, fd, closes & FD_CLOEXEC ? O_CLOEXEC : 0, 0, 0, 0);
	sys_close(fresh);
	return result < 0 ? result : BROKEN;
}

/*
 * By the path that procfs tells of an open object. What has lost that name (removed, renamed over) and has others has none here that could
 * be broken: refused, unless its directory is surely elsewhere. `replace` is put on the new file, or -1.
 */
static int own_text(const char *text, const struct stat *st, int replace)
{
	struct stat named;

	if (text[0] != '/')
		return OWNED;
	ENTRY(e, AT_FDCWD, text);
	if (e.dir >= 0 && sys_fstatat(e.dir, e.name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    same_file(&named, st)) {
		int result = own_named(e.dir, e.name, st);

		return result == BROKEN && replace >= 0 ? put_in_place(replace, e.dir, e.name) : result;
	}
	if (st->st_nlink < 2 || (e.dir >= 0 && place_of(e.dir, NULL) == PLACE_ELSEWHERE))
		return OWNED;
	return -EROFS;
}

/* Apart, so that the stack is given back before the call. */
__attribute__((noinline)) static int own_opened(int fd, const struct stat *st, int replace)
{
	static const char begin[] = "/proc/self/fd/";
	char door[DOOR_ROOM], *text;
	size_t room = TEXT_FIRST;
	ssize_t length;

	memcpy(door, begin, sizeof(begin) - 1);
	snapshot_number_format((uint64_t)fd, door + sizeof(begin) - 1);
	do {
		room *= 2;
		text = __builtin_alloca(room);
		length = sys_readlinkat(AT_FDCWD, door, text, room);
	} while (length == (ssize_t)room && room < TEXT_MAX);
	if (length <= 0 || length == (ssize_t)room)
		return st->st_nlink > 1 ? -EROFS : OWNED;
	text[length] = '\0';
	return own_text(text, st, replace);
}

/* ---- by path ---- */

/*
 * The last component is a link that the call follows. One of procfs leads to an inode and not to a name, so it leads to the
 * old inode still: refused.
 */
static int own_followed(int dir, const char *path, const struct stat *st)
{
	struct stat now;
	int fd = sys_openat(dir, path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? fd : OWNED;
	int result = own_opened(fd, st, -1);
	sys_close(fd);
	if (result == BROKEN && sys_fstatat(dir, path, &now, 0) == 0 && same_file(&now, st))
		return -EROFS;
	return result;
}

__attribute__((noinline)) static int own_object(int dir, const char *path, const struct stat *st)
{
	struct stat named;

	if (S_ISDIR(st->st_mode)) {
		int fd = sys_openat(dir, path, O_PATH | O_CLOEXEC);
		int result = fd < 0 ? OWNED : own_directory(fd);

		if (fd >= 0)
			sys_close(fd);
		return result;
	}
	ENTRY(e, dir, path);
	if (e.dir < 0)
		return e.dir == -EMFILE || e.dir == -ENFILE ? e.dir : OWNED;
	if (sys_fstatat(e.dir, e.name, &named, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&named, st))
		return own_named(e.dir, e.name, st);
	return own_followed(dir, path, st);
}

int own_path(int dir, const char *path, unsigned flags)
{
	struct stat st;

	if (!guard_active() || !path)
		return 0;
	if (path[0] == '\0')
		return flags & OWN_EMPTY ? own_descriptor(dir) : 0;
	if (sys_fstatat(dir, path, &st, flags & OWN_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) != 0)
		return flags & OWN_CREATE ? own_entry(dir, path) : 0;
	if (!on_device(&st) || ((flags & OWN_CONTENT) && !S_ISREG(st.st_mode)))
		return 0;
	return answer(own_object(dir, path, &st));
}

/* O_PATH opens nothing; O_TRUNC empties the file whatever the access; O_TMPFILE and O_EXCL make a new one. */
int own_open(int dir, const char *path, int flags)
{
	unsigned how = OWN_CONTENT;

	if ((flags & O_PATH) || (flags & O_TMPFILE) == O_TMPFILE)
		return 0;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return own_entry(dir, path);
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC)))
		return 0;
	if (flags & O_NOFOLLOW)
		how |= OWN_NOFOLLOW;
	if (flags & O_CREAT)
		how |= OWN_CREATE;
	return own_path(dir, path, how);
}

/* One that may write was opened with our knowledge: what it is on is the tree's own. */
int own_descriptor(int fd)
{
	struct stat st;

	if (!guard_active() || sys_fstat(fd, &st) != 0 || !on_device(&st))
		return 0;
	if (S_ISDIR(st.st_mode))
		return answer(own_directory(fd));
	const int flags = sys_fcntl(fd, F_GETFL, 0);
	if (!(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY)
		return 0;
	return answer(own_opened(fd, &st, fd));
}

/* ---- entries ---- */

static enum place place_of_entry(const struct entry *e)
{
	struct stat st;

	if (e->dir < 0 || sys_fstat(e->dir, &st) != 0 || !on_device(&st))
		return PLACE_ELSEWHERE;
	return place_of(e->dir, NULL);
}

__attribute__((noinline)) static int own_parent(int dir, const char *path)
{
	ENTRY(e, dir, path);
	return place_of_entry(&e) == PLACE_SNAPSHOT ? -EROFS : OWNED;
}

/* What is there already, and what cannot be there, the kernel answers for, as on a read-only mount. */
int own_entry(int dir, const char *path)
{
	if (!guard_active() || !path || path[0] == '\0')
		return 0;
	return answer(own_parent(dir, path));
}

/*
 * Whatever leaves the tree by a rename takes its links along, and nobody would break them there: as if the tree were a mount. A new file
 * may go. Nothing goes into or out of a snapshot.
 */
__attribute__((noinline)) static int leaves(const struct entry *from, const struct entry *to)
{
	const enum place here = place_of_entry(from), there = place_of_entry(to);
	struct stat st;

	if (here == PLACE_SNAPSHOT || there == PLACE_SNAPSHOT)
		return here == there ? -EROFS : -EXDEV;
	if (here != PLACE_STAGING || there == PLACE_STAGING)
		return OWNED;
	if (sys_fstatat(from->dir, from->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return OWNED;
	return S_ISDIR(st.st_mode) || st.st_nlink > 1 ? -EXDEV : OWNED;
}

int own_rename(int dir, const char *path, int to_dir, const char *to, unsigned flags)
{
	if (!guard_active() || !path || !to || path[0] == '\0' || to[0] == '\0')
		return 0;
	ENTRY(here, dir, path);
	ENTRY(there, to_dir, to);
	int result = leaves(&here, &there);
	if (result == OWNED && (flags & RENAME_EXCHANGE))
		result = leaves(&there, &here);
	return answer(result);
}

/*
 * The new name, wherever it is, is one of an inode that no snapshot has. A snapshot's own file is on another mount, so to speak: who links
 * copies then.
 */
int own_link(int dir, const char *path, int flags, int to_dir, const char *to)
{
	unsigned how = flags & AT_SYMLINK_FOLLOW ? 0 : OWN_NOFOLLOW;

	if (flags & AT_EMPTY_PATH)
		how |= OWN_EMPTY;
	if (own_entry(to_dir, to) != 0)
		return -1;
	int result = own_path(dir, path, how);
	return result != 0 && errno == EROFS ? fail(EXDEV) : result;
}

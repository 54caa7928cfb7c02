/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/refuse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/state.h"

/*
 * Where something lies: the index of the pin whose snapshot it is in, or one of these. NOWHERE: the look-up
 * failed, and that of the real call fails the same way.
 */
#define OUTSIDE (-1)
#define NOWHERE (-2)

/* As the kernel: links that one look-up goes through. */
#define LINKS_MAX 40

/*
 * Room for some levels of "/.."; a link's text, where the file system does not tell its length; what a path
 * may have.
 */
#define CLIMB_ROOM 64
#define TEXT_ROOM 256
#define TEXT_MAX 4096

/* A path as rename(2) and its like take it: a directory, and an entry in it. */
struct entry {
	size_t parent; /* path[0 .. parent) is the directory's text; "" is `dir` itself */
	size_t end;    /* path[parent .. end) is the name */
	bool named;    /* it has one: not "", ".", ".." or "/" */
	bool slashes;  /* behind the name */
};

static struct entry entry_of(const char *path)
{
	size_t length = strlen(path), end = length;

	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	const char *name = path + start;
	bool dots = name[0] == '.' && (end - start == 1 || (end - start == 2 && name[1] == '.'));

	return (struct entry){
		.parent = end == 0 ? length : start,
		.end = end,
		.named = end > start && !dots,
		.slashes = end < length,
	};
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * The pin whose snapshot's root this is; OUTSIDE if none; NOWHERE if a pin's file system is another's, so
 * that no ancestor is one.
 */
static int pin_rooted_at(const struct stat *st)
{
	int answer = NOWHERE;

	for (unsigned i = 0; i < shim.count; i++) {
		if (shim.pins[i].root.device != st->st_dev)
			continue;
		if (shim.pins[i].root.inode == st->st_ino)
			return (int)i;
		answer = OUTSIDE;
	}
	return answer;
}

static int pin_above(int dir, const char *path, size_t length);

/* The text has become too long for the kernel: goes on from a descriptor of where it had come to. */
static int pin_above_from(int dir, const char *text)
{
	int here = sys_openat(dir, text, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (here < 0)
		return OUTSIDE;
	int pin = pin_above(here, "", 0);
	sys_close(here);
	return pin;
}

/*
 * The pin that the directory path[0 .. length) lies in: climbs by ".." and compares identities, until it
 * meets a snapshot's root, leaves its file system or has reached the top. By text, not by descriptors: a
 * process that has used up its descriptors must not be able to write for that. An ancestor that cannot be
 * searched ends the climb with OUTSIDE: the way up from a directory in a snapshot leads through nothing else.
 */
static int pin_above(int dir, const char *path, size_t length)
{
	size_t room = length + CLIMB_ROOM;
	char *text = __builtin_alloca(room);
	struct stat here, below;

	memcpy(text, path, length);
	if (length > 0 && text[length - 1] != '/')
		text[length++] = '/';
	/* With its dot the kernel asks whether we may search it, as the real call will. */
	memcpy(text + length, ".", 2);
	if (sys_fstatat(dir, text, &here, 0) != 0)
		return NOWHERE;
	for (;;) {
		int pin = pin_rooted_at(&here);

		if (pin != OUTSIDE)
			return pin >= 0 ? pin : OUTSIDE;
		if (room - length < sizeof("./..")) {
			char *larger = __builtin_alloca(2 * room);

			memcpy(larger, text, length + 2);
			text = larger;
			room *= 2;
		}
		/* "X/." becomes "X/..", that becomes "X/../.." and so on. */
		memcpy(text + length, "..", 3);
		below = here;
		int error = sys_fstatat(dir, text, &here, 0);
		if (error == -ENAMETOOLONG) {
			memcpy(text + length, ".", 2);
			return pin_above_from(dir, text);
		}
		if (error != 0 || is_same(&here, &below))
			return OUTSIDE;
		text[length + 2] = '/';
		length += 3;
	}
}

static int pin_of(int dir, const char *path, bool follow, unsigned links, struct stat *st);

/*
 * The link path: where what it leads to lies. `size` is what lstat said; 0 or too small on procfs. procfs'
 * own links (/proc/self/fd/N) lead to what they are open on, whatever their text says now: so the text is
 * believed only if it names the same object.
 */
static int pin_beyond(int dir, const char *path, size_t size, unsigned links, struct stat *st)
{
	struct entry entry = entry_of(path);
	struct stat named;
	size_t room = size ? size + 1 : TEXT_ROOM;
	char *text;
	ssize_t length;

	for (;; room *= 2) {
		text = __builtin_alloca(entry.parent + room + 1);
		length = sys_readlinkat(dir, path, text + entry.parent, room);
		if (length < 0 || room > TEXT_MAX)
			return NOWHERE;
		if ((size_t)length < room)
			break;
	}
	text[entry.parent + (size_t)length] = '\0';
	memcpy(text, path, entry.parent);
	if (text[entry.parent] == '/')
		text += entry.parent;
	/* A door to a link itself: somebody has it open with O_PATH | O_NOFOLLOW. */
	int pin = pin_of(dir, text, !S_ISLNK(st->st_mode), links + 1, &named);
	return st->st_mode == 0 || is_same(st, &named) ? pin : OUTSIDE;
}

/*
 * The pin that an object lies in, or would if it were made: `st` is set, with st_mode 0 where there is none
 * but its directory is there. `follow`: what a last link leads to.
 */
static int pin_of(int dir, const char *path, bool follow, unsigned links, struct stat *st)
{
	int error = sys_fstatat(dir, path, st, follow ? 0 : AT_SYMLINK_NOFOLLOW);
	struct stat entry_st;

	bool directory = error == 0 && S_ISDIR(st->st_mode);
	if (directory) {
		int pin = pin_above(dir, path, strlen(path));

		if (pin == NOWHERE && pin_rooted_at(st) >= 0)
			pin = pin_rooted_at(st);
		if (pin != NOWHERE)
			return pin;
		/* We may not search it, but may own it: then by its entry, as what is no directory. */
	}
	if ((error != 0 && error != -ENOENT) || links > LINKS_MAX)
		return NOWHERE;
	if (error != 0)
		memset(st, 0, sizeof(*st));

	struct entry entry = entry_of(path);
	if (!entry.named || (entry.slashes && !directory))
		return NOWHERE;
	if (follow && sys_fstatat(dir, path, &entry_st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(entry_st.st_mode))
		return pin_beyond(dir, path, (size_t)entry_st.st_size, links, st);
	return pin_above(dir, path, entry.parent);
}

/* Nothing pinned; or a path that the kernel refuses, or takes for the descriptor (refuse_opened()). */
static bool is_idle(const char *path)
{
	return !shim_active() || !path || path[0] == '\0';
}

/*
 * What access(2) for the effective user says, as an errno; without faccessat2 (Linux 5.8, or a filter's
 * EPERM) for the real one.
 */
static int access_error(int dir, const char *path, int mode, int flags)
{
	int error = (int)sys_call(SYS_faccessat2, dir, (long)path, mode, flags, 0, 0);

	if (error == -ENOSYS || error == -EPERM)
		error = sys_faccessat(dir, path, mode);
	return -error;
}

/*
 * The kernel looks, in this order, at flags that do not go together (EINVAL; Linux before 6.4 takes O_CREAT
 * with O_DIRECTORY, so the kernel is asked, with a path that it cannot open); O_CREAT|O_EXCL of an existing
 * name (EEXIST), a directory for writing (EISDIR), a link that is not to be followed (ELOOP): the real call
 * fails; O_TRUNC (EROFS); permission (EACCES); EROFS. A program that is being run is ETXTBSY there and EROFS
 * here. FIFOs, sockets and devices can be written to: what is behind them is not in the tree.
 */
int refuse_open(int dir, const char *path, int flags)
{
	bool fresh = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	bool follow = !(flags & O_NOFOLLOW) && !fresh;
	struct stat st;

	if ((flags & O_PATH) || is_idle(path))
		return 0;
	int pin = pin_of(dir, path, follow, 0, &st);
	if (pin < 0 || sys_openat(AT_FDCWD, "", flags) == -EINVAL)
		return 0;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return S_ISDIR(st.st_mode) ? EROFS : 0;
	if (st.st_mode == 0)
		return flags & O_CREAT ? EROFS : 0;
	if (!S_ISREG(st.st_mode) || fresh || (flags & O_DIRECTORY))
		return 0;
	if (flags & O_TRUNC)
		return EROFS;
	int writes = flags & O_ACCMODE;
	if (writes != O_WRONLY && writes != O_RDWR)
		return 0;
	int error = access_error(dir, path, writes == O_RDWR ? R_OK | W_OK : W_OK, AT_EACCESS);
	return error ? error : EROFS;
}

/*
 * The pin that a new entry would be made in; OUTSIDE also where the real call fails by itself: the name
 * exists, or cannot.
 */
static int pin_of_new(int dir, const char *path, bool directory)
{
	struct entry entry = entry_of(path);
	struct stat st;

	if (!entry.named)
		return NOWHERE;
	int pin = pin_above(dir, path, entry.parent);
	if (pin == NOWHERE)
		return NOWHERE;
	char *name = __builtin_alloca(entry.end + 1);
	memcpy(name, path, entry.end);
	name[entry.end] = '\0';
	if (sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != -ENOENT)
		return NOWHERE;
	return entry.slashes && !directory ? NOWHERE : pin;
}

int refuse_create(int dir, const char *path, bool directory)
{
	if (is_idle(path))
		return 0;
	return pin_of_new(dir, path, directory) >= 0 ? EROFS : 0;
}

/* Is the entry a snapshot's root? On a read-only mount of it that is where it is mounted. */
static bool is_root(int dir, const char *path)
{
	struct entry entry = entry_of(path);
	char *name = __builtin_alloca(entry.end + 1);
	struct stat st;

	memcpy(name, path, entry.end);
	name[entry.end] = '\0';
	return entry.named && sys_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       pin_rooted_at(&st) >= 0;
}

int refuse_remove(int dir, const char *path)
{
	if (is_idle(path))
		return 0;
	struct entry entry = entry_of(path);
	return entry.named && pin_above(dir, path, entry.parent) >= 0 ? EROFS : 0;
}

int refuse_remove_directory(int dir, const char *path)
{
	int error = refuse_remove(dir, path);

	return error || is_idle(path) ? error : is_root(dir, path) ? EBUSY : 0;
}

int refuse_change(int dir, const char *path, bool follow)
{
	struct stat st;

	if (is_idle(path))
		return 0;
	return pin_of(dir, path, follow, 0, &st) >= 0 && st.st_mode != 0 ? EROFS : 0;
}

/* Permission first, as Linux 6.18 has it; 6.1 looks at the mount first and says EROFS. */
int refuse_truncate(int dir, const char *path)
{
	struct stat st;

	if (is_idle(path) || pin_of(dir, path, true, 0, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	int error = access_error(dir, path, W_OK, AT_EACCESS);
	return error ? error : EROFS;
}

int refuse_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	if (is_idle(from) || is_idle(to))
		return 0;
	struct entry old = entry_of(from), fresh = entry_of(to);
	int old_pin = pin_above(from_dir, from, old.parent);
	int new_pin = old_pin == NOWHERE ? NOWHERE : pin_above(to_dir, to, fresh.parent);

	if (new_pin == NOWHERE)
		return 0;
	if (old_pin != new_pin)
		return EXDEV;
	if (old_pin == OUTSIDE)
		return is_root(from_dir, from) || is_root(to_dir, to) ? EBUSY : 0;
	return old_pin >= 0 && old.named && fresh.named ? EROFS : 0;
}

/* The pin that what the descriptor is open on lies in. */
static int pin_opened(int fd)
{
	/* "/proc/self/fd/N" */
	char path[sizeof("/proc/self/fd/") + SNAPSHOT_NUMBER_ROOM] = "/proc/self/fd/";
	struct stat st;

	if (fd < 0 || sys_fstat(fd, &st) != 0)
		return NOWHERE;
	int pin = S_ISDIR(st.st_mode) ? pin_above(fd, "", 0) : NOWHERE;
	if (pin != NOWHERE)
		return pin;
	snapshot_number_format((uint64_t)fd, path + sizeof("/proc/self/fd/") - 1);
	return pin_of(AT_FDCWD, path, true, 0, &st);
}

/*
 * The kernel looks at the old object, then at whether the new name can be made at all (EROFS), then at both
 * mounts.
 */
int refuse_link(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	struct stat st = { .st_mode = S_IFREG };

	if (!from || is_idle(to) || (from[0] == '\0' && !(flags & AT_EMPTY_PATH)))
		return 0;
	int old_pin = from[0] ? pin_of(from_dir, from, flags & AT_SYMLINK_FOLLOW, 0, &st)
			      : pin_opened(from_dir);
	if (old_pin == NOWHERE || st.st_mode == 0)
		return 0;
	int new_pin = pin_of_new(to_dir, to, false);
	if (new_pin >= 0)
		return EROFS;
	return new_pin == OUTSIDE && old_pin >= 0 ? EXDEV : 0;
}

int refuse_opened(int fd)
{
	return shim_active() && pin_opened(fd) >= 0 ? EROFS : 0;
}

int refuse_descriptor(int fd)
{
	int flags = shim_active() ? sys_fcntl(fd, F_GETFL, 0) : -1;

	return flags < 0 || (flags & O_PATH) ? 0 : refuse_opened(fd);
}

int refuse_access(int dir, const char *path, int mode, int flags)
{
	struct stat st;

	if (!(mode & W_OK) || is_idle(path))
		return 0;
	int pin = pin_of(dir, path, !(flags & AT_SYMLINK_NOFOLLOW), 0, &st);
	if (pin < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
		return 0;
	return access_error(dir, path, mode, flags) ? 0 : EROFS;
}

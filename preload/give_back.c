/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_give_back EXPORT
#include <limits.h>
#include <string.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/move.h"
#include "preload/wrap.h"

size_t entry_length(const struct mapped *m)
{
	char text[STORE_NAME_ROOM];

	return snapshot_name(shim.pins[m->pin].number, text);
}

#define DOOR "/proc/self/fd/"
#define DELETED " (deleted)" /* what procfs puts behind the path of a link that another one has replaced */

/* The pin whose store the directory is. */
static bool is_store(const char *path, unsigned *pin)
{
	struct stat st;

	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0)
		return false;
	for (*pin = 0; *pin < shim.count; ++*pin)
		if (shim.pins[*pin].store.inode == st.st_ino && shim.pins[*pin].store.device == st.st_dev)
			return true;
	return false;
}

void entry_opened(struct mapped *m)
{
	static const char name[] = "/" STORE_LATEST;
	char door[sizeof(DOOR) + SNAPSHOT_NUMBER_ROOM] = DOOR;
	ssize_t length = 0;
	char *path = NULL;

	if (!shim_active() || !m->path || *m->path || m->dir < 0)
		return;
	snapshot_number_format((uint64_t)m->dir, door + sizeof(DOOR) - 1);
	for (size_t room = 256; !path || (length == (ssize_t)room / 2 && room <= 2 * PATH_MAX); room *= 2) {
		path = __builtin_alloca(room);
		length = sys_readlinkat(AT_FDCWD, door, path, room);
	}
	if (length > (ssize_t)sizeof(DELETED) &&
	    memcmp(path + length - (sizeof(DELETED) - 1), DELETED, sizeof(DELETED) - 1) == 0)
		length -= (ssize_t)sizeof(DELETED) - 1;
	if (length < (ssize_t)sizeof(name) ||
	    memcmp(path + length - (sizeof(name) - 1), name, sizeof(name) - 1) != 0)
		return;
	path[(size_t)length - (sizeof(name) - 1)] = '\0';
	if (is_store(path, &m->pin))
		m->kind = MAP_ENTRY;
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

__attribute__((noinline)) static ssize_t readlink_mapped(const char *path, char *to, size_t room,
							 struct glance g)
{
	MAPPED(m);
	MAP_ON(m, AT_FDCWD, path, LEAF_NOFOLLOW, g);
	return entry_answer(&m, next()->readlink(m.path, to, room), to, room);
}

__attribute__((noinline)) static ssize_t readlink_moved(const char *path, char *to, size_t room,
							struct glance g)
{
	MOVED(text, path, g);
	return next_slots.readlink(text, to, room);
}

ssize_t wrap_readlink(const char *path, char *to, size_t room)
{
	struct glance g = map_nofollow(AT_FDCWD, path);

	if (glance_known(g) == KNOWN_CLEAR)
		return next_slots.readlink(path, to, room);
	return glance_moves(g) ? readlink_moved(path, to, room, g) : readlink_mapped(path, to, room, g);
}

ssize_t wrap___readlink_chk(const char *path, char *to, size_t room, size_t known)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NOFOLLOW);
	return entry_answer(&m, next()->__readlink_chk(m.path, to, room, known), to, room);
}

__attribute__((noinline)) static ssize_t readlinkat_mapped(int dir, const char *path, char *to, size_t room,
							   struct glance g)
{
	MAPPED(m);
	MAP_ON(m, dir, path, LEAF_NOFOLLOW, g);
	ssize_t result = next()->readlinkat(m.dir, m.path, to, room);
	if (result >= 0)
		entry_opened(&m);
	return entry_answer(&m, result, to, room);
}

ssize_t wrap_readlinkat(int dir, const char *path, char *to, size_t room)
{
	struct glance g = map_nofollow(dir, path);

	return glance_known(g) == KNOWN_CLEAR ? next_slots.readlinkat(dir, path, to, room)
					      : readlinkat_mapped(dir, path, to, room, g);
}

ssize_t wrap___readlinkat_chk(int dir, const char *path, char *to, size_t room, size_t known)
{
	MAPPED(m);
	MAP(m, dir, path, LEAF_NOFOLLOW);
	ssize_t result = next()->__readlinkat_chk(m.dir, m.path, to, room, known);
	if (result >= 0)
		entry_opened(&m);
	return entry_answer(&m, result, to, room);
}

/*
 * realpath(3) walks a text inside libc, with readlink(2) of each longer text. Three things make that another walk than the kernel's of the
 * same path:
 *   - A relative path begins with the text of getcwd(2). That may lead elsewhere than to the working directory: something may be
 *     mounted over it. So here, too, it is the text that is mapped. Where that passes through no D/L libc gets the path as it came, and
 *     need not look at what leads to the working directory; and once the whole text is known to have none, the path itself is
 *     remembered, for this working directory.
 *   - A link of procfs that is a door to the kernel (map.h) is a text like any other.
 *   - A path may have PATH_MAX bytes and more, where what is found has not. It is resolved piece by piece.
 * A mapped path passes through no D/L, so what libc then finds is the pinned snapshot's own path.
 */
#define WHOLE_ROOM 1024 /* libc's own buffers are as large on the stack, and then larger from malloc(3) */

struct whole {
	const char *path; /* NULL: it cannot be resolved; errno says why */
	char *memory;
	size_t resolved; /* of path, at its beginning */
	char room[WHOLE_ROOM];
};

#define WHOLE(w, path)                                          \
	__attribute__((cleanup(whole_release))) struct whole w; \
	whole_init(&(w), (path))

static void whole_release(struct whole *w)
{
	int kept = errno;

	next()->free(w->memory);
	errno = kept;
}

static char *whole_room(struct whole *w, size_t size)
{
	if (size <= sizeof(w->room))
		return w->room;
	w->memory = next()->malloc(size);
	return w->memory;
}

/* What lies beyond the root of the process has no text: the path stays relative. */
static void begin_at_cwd(struct whole *w, const char *path)
{
	size_t length = strlen(path), room = sizeof(w->room);
	char *text = w->room;
	long used = -ERANGE;

	if (length + 2 < room)
		used = sys_call(SYS_getcwd, (long)text, (long)(room - length - 1), 0, 0, 0, 0);
	if (used == -ERANGE) {
		room = PATH_MAX + length + 1;
		text = whole_room(w, room);
		used = text ? sys_call(SYS_getcwd, (long)text, PATH_MAX, 0, 0, 0, 0) : -ENOMEM;
	}
	if (used <= 0 || text[0] != '/')
		return;
	text[used - 1] = '/';
	memcpy(text + used, path, length + 1);
	w->path = text;
}

/* How much of a text that is too long is resolved next: whole components, as many as the kernel takes. */
static size_t piece_length(const char *path)
{
	const char *slash = memrchr(path, '/', PATH_MAX - 1);
	size_t length = slash ? (size_t)(slash - path) : 0;

	while (length > 0 && path[length - 1] == '/')
		length--;
	return length;
}

/* `found`, which the first piece leads to, takes its place. */
static void replace_piece(struct whole *w, size_t length, const char *found)
{
	const char *rest = w->path + length;

	while (rest[0] == '/' && rest[1] == '/')
		rest++;
	size_t found_length = strlen(found), rest_length = strlen(rest);
	char *text = next()->malloc(found_length + rest_length + 1);
	if (text) {
		memcpy(text, found, found_length);
		memcpy(text + found_length, rest, rest_length + 1);
	}
	next()->free(w->memory);
	w->memory = text;
	w->path = text;
	w->resolved = found_length;
}

/*
 * False if it leads nowhere, or to where the kernel takes no further component. Both texts are in memory of our own: what libc
 * takes may be of another malloc(3), a program's.
 */
static bool resolve_piece(struct whole *w)
{
	while (w->path[0] == '/' && w->path[1] == '/')
		w->path++;
	size_t length = piece_length(w->path);
	char *piece = length > w->resolved ? next()->malloc(length + 1 + PATH_MAX) : NULL;
	const char *found = NULL;

	if (piece) {
		memcpy(piece, w->path, length);
		piece[length] = '\0';
		found = wrap_realpath(piece, piece + length + 1);
	} else if (length <= w->resolved) {
		errno = ENAMETOOLONG;
	}
	if (found)
		replace_piece(w, length, found);
	else
		w->path = NULL;
	next()->free(piece);
	return w->path;
}

static void whole_init(struct whole *w, const char *path)
{
	w->path = path;
	w->memory = NULL;
	w->resolved = 0;
	if (!shim_active() || !path || !*path)
		return;
	if (path[0] != '/')
		begin_at_cwd(w, path);
	while (w->path && strlen(w->path) >= PATH_MAX && resolve_piece(w))
		continue;
}

/* Of its own: a relative path is here what its text says, and for all other calls what the kernel makes of it. */
#define SEED_OF_TEXTS UINT64_C(0xa0761d6478bd642f)

static uint64_t seed_of_texts(void)
{
	const uint64_t seed = memory_seed_cwd();

	return seed ? hash_fold(seed, SEED_OF_TEXTS) : 0;
}

static bool is_settled(const char *path)
{
	return path && path[0] != '/' && path[0] && shim_active() &&
	       memory_find(seed_of_texts(), path, strlen(path)) == KNOWN_CLEAR;
}

/* What libc is to resolve. `seed` is from before the text was made and mapped. */
static const char *text_to_resolve(const struct whole *w, const struct mapped *m, const char *path,
				   uint64_t seed)
{
	if (!path || path[0] == '/' || w->path == path || w->resolved != 0 || m->kind != MAP_SAME)
		return m->path;
	if (memory_find(memory_seed(), w->path, strlen(w->path)) == KNOWN_CLEAR)
		memory_add(seed, path, strlen(path), KNOWN_CLEAR);
	return path;
}

/* `call` with the text at its beginning. */
#define RESOLVE(path, call, ...)                                                     \
	do {                                                                         \
		if (is_settled(path))                                                \
			return (call)((path)__VA_ARGS__);                            \
		const uint64_t seed_ = shim_active() ? seed_of_texts() : 0;          \
		WHOLE(w_, path);                                                     \
		MAPPED(m_);                                                          \
		m_.door = DOOR_IS_TEXT;                                              \
		MAP(m_, AT_FDCWD, w_.path, LEAF_FOLLOW);                             \
		if (!w_.path && (path))                                              \
			return NULL;                                                 \
		return (call)(text_to_resolve(&w_, &m_, (path), seed_) __VA_ARGS__); \
	} while (0)

char *wrap_realpath(const char *path, char *resolved)
{
	RESOLVE(path, next()->realpath, , resolved);
}

/* It gives no memory of its own: the first thing that it looks at. */
char *wrap_realpath_old(const char *path, char *resolved)
{
	if (!resolved)
		return next()->realpath_old(path, resolved);
	RESOLVE(path, next()->realpath_old, , resolved);
}

char *wrap___realpath_chk(const char *path, char *resolved, size_t known)
{
	RESOLVE(path, next()->__realpath_chk, , resolved, known);
}

char *wrap_canonicalize_file_name(const char *path)
{
	RESOLVE(path, next()->canonicalize_file_name, );
}

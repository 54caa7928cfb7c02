/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/map.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/state.h"

#define LINKS_MAX 40 /* as the kernel: MAXSYMLINKS */
#define ROOM_MAX (16 * PATH_MAX)
#define PROC_MAGIC 0x9fa0 /* statfs(2) */
#define DOOR_ROOM 32      /* "/proc/self/fd/2147483647" */
#define LOOP_ROOM 512     /* LOOP and 41 times LOOP_TURN */
#define LOOP "/proc"
#define LOOP_TURN "/self/.."

static const char entry_name[] = STORE_LATEST; /* L */

/*
 * What is remembered: `clear` holds the hashes of absolute directory texts whose walk passes through no D/L, or through the one
 * that an alias stands for and no other. An alias is a text whose walk ends in D/L: LOCATION as the pin names it, and
 * STORE/latest. One word a slot, written and read whole, so threads and signal handlers may do both at any time.
 */
#define CLEAR_SLOTS 4096

static uint64_t clear[CLEAR_SLOTS];
static bool alias_proven[SHIM_PINS_MAX][SHIM_ALIASES];

static uint64_t hash_text(const char *text, size_t length)
{
	const uint64_t k1 = 0x9e3779b97f4a7c15u, k2 = 0xd6e8feb86659fd93u;
	uint64_t hash = shim.hash_key ^ length * k1;
	uint64_t word;

	for (; length >= sizeof(word); text += sizeof(word), length -= sizeof(word)) {
		__builtin_memcpy(&word, text, sizeof(word));
		hash = (hash ^ word) * k1;
		hash ^= hash >> 29;
	}
	word = 0;
	for (size_t i = 0; i < length; i++)
		word |= (uint64_t)(unsigned char)text[i] << (8 * i);
	hash = (hash ^ word) * k2;
	hash ^= hash >> 32;
	hash *= k1;
	hash ^= hash >> 29;
	return hash | 1; /* 0 is an empty slot */
}

static bool clear_has(uint64_t hash)
{
	return __atomic_load_n(&clear[(hash >> 20) % CLEAR_SLOTS], __ATOMIC_RELAXED) == hash;
}

/* How often all was forgotten. */
static uint64_t clear_age;

/* If all was forgotten since the walk began, it may have seen the old link: then nothing stays. */
static void clear_add(uint64_t hash, uint64_t age)
{
	uint64_t *slot = &clear[(hash >> 20) % CLEAR_SLOTS];

	__atomic_store_n(slot, hash, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&clear_age, __ATOMIC_SEQ_CST) != age)
		__atomic_store_n(slot, 0, __ATOMIC_SEQ_CST);
}

void map_forget(void)
{
	__atomic_add_fetch(&clear_age, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < CLEAR_SLOTS; i++)
		__atomic_store_n(&clear[i], 0, __ATOMIC_RELAXED);
	for (size_t i = 0; i < SHIM_PINS_MAX; i++)
		for (size_t j = 0; j < SHIM_ALIASES; j++)
			__atomic_store_n(&alias_proven[i][j], false, __ATOMIC_RELAXED);
}

void map_close_door(struct mapped *m)
{
	if (m->door >= 0)
		sys_close(m->door);
}

/*
 * The directory text of a path: everything before the last component, without the slashes between. A path that ends in a slash has no
 * last component: all of it is directory.
 */
static size_t directory_length(const char *path, size_t length)
{
	if (length != 0 && path[length - 1] != '/')
		while (length != 0 && path[length - 1] != '/')
			length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	return length;
}

/* The pin and the alias of it that `path` is, or goes on from. False if there is none. */
static bool alias_find(const char *path, size_t length, unsigned *pin, unsigned *which)
{
	for (*pin = 0; *pin < shim.count; ++*pin) {
		for (*which = 0; *which < SHIM_ALIASES; ++*which) {
			const struct shim_alias *alias = &shim.pins[*pin].alias[*which];

			if (alias->length <= length &&
			    (path[alias->length] == '/' || path[alias->length] == '\0') &&
			    memcmp(path, alias->text, alias->length) == 0)
				return true;
		}
	}
	return false;
}

/* Is (AT_FDCWD, path) a symbolic link? What cannot be looked at is none: the kernel will tell the caller the same. */
static bool is_link(const char *path)
{
	char target[1];

	return sys_readlinkat(AT_FDCWD, path, target, sizeof(target)) >= 0;
}

/* Could the last component be L? */
static bool ends_in_entry_name(const char *path, size_t length)
{
	const size_t name = sizeof(entry_name) - 1;

	return length >= name && memcmp(path + length - name, entry_name, name) == 0 &&
	       (length == name || path[length - name - 1] == '/');
}

static size_t room_for(size_t path_length)
{
	return 3 * path_length + 3 * shim.longest + 256;
}

size_t map_quick(struct mapped *m, int dir, const char *path, enum map_leaf leaf)
{
	unsigned pin, which;

	m->dir = dir;
	m->path = path;
	m->kind = MAP_SAME;
	m->by_alias = false;
	if (!shim_active() || !path || !*path)
		return 0;

	size_t length = strlen(path);
	if (length >= PATH_MAX)
		return 0;
	if (path[0] != '/') /* a mere name passes through nothing but itself */
		return leaf != LEAF_FOLLOW && !strchr(path, '/') && !ends_in_entry_name(path, length)
			       ? 0
			       : room_for(length);
	if (!clear_has(hash_text(path, directory_length(path, length))))
		return room_for(length);
	if (alias_find(path, length, &pin, &which)) {
		m->by_alias = __atomic_load_n(&alias_proven[pin][which], __ATOMIC_RELAXED);
		return room_for(length);
	}
	if (leaf == LEAF_NAME && path[length - 1] == '/')
		return room_for(length);
	if (leaf != LEAF_FOLLOW && path[length - 1] != '/')
		return ends_in_entry_name(path, length) ? room_for(length) : 0;
	return path[length - 1] == '/' || !is_link(path) ? 0 : room_for(length);
}

/* The directory is known and the path goes on from a proven alias: put the snapshot in the alias's place. False: walk. */
static bool map_by_alias(struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	size_t length = strlen(m->path);
	unsigned pin, which;

	if (!alias_find(m->path, length, &pin, &which))
		return false;
	const struct shim_alias *alias = &shim.pins[pin].alias[which];
	const struct shim_pin *p = &shim.pins[pin];
	size_t tail = length - alias->length;
	bool leaf_is_alias = tail == 0;

	if (p->snapshot_length + tail >= PATH_MAX || p->snapshot_length + tail >= size)
		return false;
	if (leaf == LEAF_NAME && m->path[length - 1] == '/')
		return false;
	if (leaf != LEAF_FOLLOW && (leaf_is_alias || ends_in_entry_name(m->path, length)))
		return false;
	memcpy(room, p->snapshot, p->snapshot_length);
	memcpy(room + p->snapshot_length, m->path + alias->length, tail + 1);
	if (leaf == LEAF_FOLLOW && !leaf_is_alias && m->path[length - 1] != '/' && is_link(room))
		return false;
	m->path = room;
	m->kind = MAP_MOVED;
	m->pin = pin;
	return true;
}

/*
 * A walk. The room holds three texts:
 *
 *     out       [0 .. out)          the path to hand on, terminated; empty until the walk has passed through a D/L
 *     so far    [begin .. end)      what has been walked, free of links; terminated where a call needs it
 *     to come   [rest .. size - 1)  what has not been walked, terminated
 *
 * To come begins with a slash only where so far is empty: the path, or a link's target, is absolute. The gap between the two
 * is where a link's target is read to; from there it goes in front of what is to come.
 */
struct walk {
	int dir;
	char *room;
	size_t size;
	size_t out;
	size_t root; /* of out: the length of D/snapshots/N */
	size_t begin;
	size_t end;
	size_t rest;
	unsigned links;
	unsigned links_out; /* of them, those before what `out` begins with */
	unsigned passed;    /* how many D/L */
	unsigned pin;       /* of the last of them */
	bool by_alias;      /* the first of them was at the end of an alias of its pin */
	bool entry;         /* the last component is a D/L that is not followed */
	bool door;          /* it went through a door of procfs: what is behind it changes with the process */
	uint64_t age;       /* of what is remembered, when the walk began */
};

enum step {
	STEP_ON,
	STEP_DONE, /* nothing is to come */
	STEP_STOP, /* this component cannot be looked at: the kernel will say why */
	STEP_ROOM, /* the room is too small */
};

/* The component at the end of the text so far. */
struct component {
	size_t parent; /* where the text so far ended without it */
	size_t name;
	size_t length;
};

static void skip_slashes(struct walk *w)
{
	while (w->room[w->rest] == '/')
		w->rest++;
}

/* stat(2) of the directory that the component stands in. */
static int stat_parent(const struct walk *w, const struct component *c, struct stat *st)
{
	char *end = w->room + c->parent;
	char kept = *end;

	if (c->parent == w->begin)
		return sys_fstatat(w->dir, ".", st, 0);
	*end = '\0';
	int error = sys_fstatat(w->dir, w->room + w->begin, st, 0);
	*end = kept;
	return error;
}

/* Is the component, a link, some pin's L in its D? */
static bool is_entry(const struct walk *w, const struct component *c, unsigned *pin)
{
	struct stat st;

	if (c->length != sizeof(entry_name) - 1 || memcmp(w->room + c->name, entry_name, c->length) != 0 ||
	    stat_parent(w, c, &st) != 0)
		return false;
	for (*pin = 0; *pin < shim.count; ++*pin)
		if (shim.pins[*pin].store.inode == st.st_ino && shim.pins[*pin].store.device == st.st_dev)
			return true;
	return false;
}

/*
 * Is the text so far a link of procfs that leads to an object rather than to its text? Of the links there only those have absolute
 * targets. A file system on a block device is not procfs: no further call for it.
 */
static bool is_door(const struct walk *w, const char *target)
{
	struct stat st;
	struct statfs fs;

	if (target[0] != '/' || sys_fstatat(w->dir, w->room + w->begin, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    major(st.st_dev) != 0)
		return false;
	int fd = sys_openat(w->dir, w->room + w->begin, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool proc = sys_fstatfs(fd, &fs) == 0 && fs.f_type == PROC_MAGIC;
	sys_close(fd);
	return proc;
}

/* Was what has been walked of the caller's path an alias of the pin, whole? */
static void prove_alias(struct walk *w, const char *path)
{
	const struct shim_pin *p = &shim.pins[w->pin];
	unsigned pin, which;

	if (!alias_find(path, strlen(path), &pin, &which) || pin != w->pin)
		return;
	/* What is to come ends in all that has not been walked of path: of the same length it is nothing but that. */
	if (w->size - 1 - w->rest != strlen(path) - p->alias[which].length)
		return;
	if (w->root != p->snapshot_length || memcmp(w->room, p->snapshot, w->root) != 0)
		return;
	__atomic_store_n(&alias_proven[pin][which], true, __ATOMIC_RELAXED);
	w->by_alias = true;
}

/* The walk passes through D/L. From here on it is in D/snapshots/N, and what it is to hand on begins so. */
static enum step pass_entry(struct walk *w, const struct component *c, unsigned pin, const char *path)
{
	char name[STORE_NAME_ROOM];
	size_t name_length = snapshot_name(shim.pins[pin].number, name);
	size_t parent = c->parent - w->begin;
	bool slash = parent != 0 && w->room[c->parent - 1] != '/';
	size_t root = parent + slash + name_length;
	size_t tail = w->size - w->rest; /* with its zero */
	size_t gap = w->end + 1;

	/* Put together in the gap, moved to the front, and its root once more behind it, all of it before what is to come. */
	if (gap + root + tail > w->rest || root + tail + root + 1 > w->rest)
		return STEP_ROOM;
	memcpy(w->room + gap, w->room + w->begin, parent);
	if (slash)
		w->room[gap + parent] = '/';
	memcpy(w->room + gap + parent + slash, name, name_length);
	memcpy(w->room + gap + root, w->room + w->rest, tail);
	memmove(w->room, w->room + gap, root + tail);
	w->out = root + tail;
	w->root = root;
	w->begin = w->out;
	w->end = w->begin + root;
	memcpy(w->room + w->begin, w->room, root);
	w->pin = pin;
	w->links_out = w->links;
	if (w->passed++ == 0)
		prove_alias(w, path);
	skip_slashes(w);
	return STEP_ON;
}

/* The component has been added to the text so far: if it is a link, what the link says comes next. */
static enum step follow(struct walk *w, const struct component *c, const char *path)
{
	size_t gap = w->end + 1;
	unsigned pin;

	if (gap + 1 >= w->rest)
		return STEP_ROOM;
	w->room[w->end] = '\0';
	ssize_t length = sys_readlinkat(w->dir, w->room + w->begin, w->room + gap, w->rest - gap);
	if (length == -EINVAL) {
		skip_slashes(w);
		return STEP_ON;
	}
	if (length < 0)
		return STEP_STOP;
	if (gap + (size_t)length >= w->rest)
		return STEP_ROOM;
	if (++w->links > LINKS_MAX && w->size < LOOP_ROOM)
		return STEP_ROOM;
	/* The kernel will see by itself that there are too many; if not, go_round() says so. */
	if (w->links - w->links_out > LINKS_MAX || w->links > 2 * LINKS_MAX)
		return STEP_STOP;
	if (is_entry(w, c, &pin))
		return pass_entry(w, c, pin, path);
	if (is_door(w, w->room + gap)) {
		w->door = true;
		skip_slashes(w);
		return STEP_ON;
	}
	w->rest -= (size_t)length;
	memmove(w->room + w->rest, w->room + gap, (size_t)length);
	w->end = w->room[w->rest] == '/' ? w->begin : c->parent;
	return STEP_ON;
}

/* Is the component that was just added the last one, and not to be followed? */
static bool is_leaf(const struct walk *w, enum map_leaf leaf)
{
	const char *behind = w->room + w->rest;

	while (leaf == LEAF_NAME && *behind == '/')
		behind++;
	return leaf != LEAF_FOLLOW && *behind == '\0';
}

static enum step walk_component(struct walk *w, enum map_leaf leaf, const char *path)
{
	const char *next = w->room + w->rest;
	struct component c = { .parent = w->end };
	unsigned pin;

	if (*next == '\0')
		return STEP_DONE;
	if (*next == '/') {
		w->room[w->begin] = '/';
		w->end = w->begin + 1;
		skip_slashes(w);
		return w->end < w->rest ? STEP_ON : STEP_ROOM;
	}
	while (next[c.length] != '/' && next[c.length] != '\0')
		c.length++;
	if (c.length == 1 && next[0] == '.') {
		w->rest++;
		skip_slashes(w);
		return STEP_ON;
	}
	bool slash = w->end != w->begin && w->room[w->end - 1] != '/';
	c.name = w->end + slash;
	if (c.name + c.length + 1 >= w->rest)
		return STEP_ROOM;
	if (slash)
		w->room[w->end] = '/';
	memcpy(w->room + c.name, next, c.length);
	w->end = c.name + c.length;
	w->rest += c.length;
	if (c.length == 2 && memcmp(w->room + c.name, "..", 2) == 0) {
		skip_slashes(w);
		return STEP_ON;
	}
	if (is_leaf(w, leaf)) {
		w->entry = is_entry(w, &c, &pin);
		if (w->entry)
			w->pin = pin;
		return STEP_DONE;
	}
	return follow(w, &c, path);
}

/*
 * A mapped path that has become too long for the kernel, though it was not as the caller spelled it: as much of it as the kernel takes
 * is opened, and a door to that stands for it. Where it cannot be opened the rest is dropped: the caller gets the same error by walking
 * to it.
 */
static void shorten(struct mapped *m, struct walk *w)
{
	char door[DOOR_ROOM] = "/proc/self/fd/";
	const size_t prefix = sizeof("/proc/self/fd/") - 1;
	size_t split = PATH_MAX - 2;

	while (w->room[split] != '/')
		split--;
	char behind = w->room[split + 1];

	w->room[split + 1] = '\0';
	m->door = sys_openat(w->dir, w->room, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (m->door < 0)
		return;
	w->room[split + 1] = behind;
	size_t length = prefix + snapshot_number_format((uint64_t)m->door, door + prefix);
	m->path = w->room + split - length;
	memcpy(w->room + split - length, door, length);
}

/*
 * Too many links for the kernel, which would not see those before the last D/L: it shall say ELOOP all the same, and not go round
 * the loop by the live D/L. So it gets as many links of procfs instead.
 */
static bool is_unseen_loop(const struct walk *w)
{
	return w->links > LINKS_MAX && w->links - w->links_out <= LINKS_MAX;
}

static void go_round(struct walk *w)
{
	char *to = w->room;

	memcpy(to, LOOP, sizeof(LOOP) - 1);
	to += sizeof(LOOP) - 1;
	for (int i = 0; i <= LINKS_MAX; i++, to += sizeof(LOOP_TURN) - 1)
		memcpy(to, LOOP_TURN, sizeof(LOOP_TURN));
}

/* What the walk has shown about the directory of an absolute path, if it came to the end of it. */
static void remember(const struct walk *w, const char *path)
{
	size_t length = strlen(path), directory = directory_length(path, length);
	unsigned pin, which;

	if (path[0] != '/' || w->room[w->rest] != '\0' || w->door || is_unseen_loop(w))
		return;
	if (w->passed != 0 && !(w->passed == 1 && w->by_alias && alias_find(path, length, &pin, &which) &&
				directory >= shim.pins[pin].alias[which].length))
		return;
	clear_add(hash_text(path, directory), w->age);
}

static void finish(struct mapped *m, struct walk *w)
{
	remember(w, m->path);
	m->pin = w->pin;
	if (w->out != 0) {
		m->path = w->room;
		m->kind = MAP_MOVED;
		if (is_unseen_loop(w))
			go_round(w);
		else if (w->out > PATH_MAX)
			shorten(m, w);
	}
	if (w->entry)
		m->kind = MAP_ENTRY;
}

size_t map_walk(struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	size_t length = strlen(m->path);
	struct walk w = {
		.dir = m->dir,
		.room = room,
		.size = size,
		.rest = size - 1 - length,
		.age = __atomic_load_n(&clear_age, __ATOMIC_SEQ_CST),
	};
	enum step step;

	if (m->by_alias && map_by_alias(m, leaf, room, size))
		return 0;
	m->by_alias = false;
	memcpy(room + w.rest, m->path, length + 1);
	do
		step = walk_component(&w, leaf, m->path);
	while (step == STEP_ON);
	if (step == STEP_ROOM)
		return size < ROOM_MAX ? 2 * size : 0;
	finish(m, &w);
	return 0;
}

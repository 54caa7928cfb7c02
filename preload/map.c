/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/map.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/names.h"
#include "core/sys.h"
#include "preload/literal.h"
#include "preload/memory.h"
#include "preload/state.h"

#define LINKS_MAX 40 /* as the kernel: MAXSYMLINKS */
#define ROOM_MAX (16 * PATH_MAX)
#define PROC_MAGIC 0x9fa0 /* statfs(2) */
#define DOOR_ROOM 32      /* "/proc/self/fd/2147483647" */
#define ASKED_MAX 32
#define LOOP_ROOM 512 /* LOOP and 41 times LOOP_TURN */
#define LOOP "/proc"
#define LOOP_TURN "/self/.."

static const char entry_name[] = STORE_LATEST; /* L */

void map_close_door(struct mapped *m)
{
	sys_close(m->door);
}

/*
 * The directory text of a path whose last slash is at path[slash]: everything before the last component, without the slashes between. A
 * path that ends in a slash has no last component: all of it is directory.
 */
static inline size_t directory_before(const char *path, size_t slash)
{
	while (slash != 0 && path[slash - 1] == '/')
		slash--;
	return slash ? slash : 1;
}

/* 0: a mere name. */
static size_t directory_length(const char *path, size_t length)
{
	const char *slash = memrchr(path, '/', length);

	return slash ? directory_before(path, (size_t)(slash - path)) : 0;
}

/* --- the length of an absolute text, and where its last slash is; or of a mere name --- */

struct span {
	size_t length;
	size_t slash;
};

#ifdef __SSE2__
/* By aligned blocks, which never cross into a page that the text does not touch. */
#define BLOCK 16

__attribute__((no_sanitize("address"))) static inline unsigned equal_bytes(const char *block, __m128i to)
{
	return (unsigned)_mm_movemask_epi8(
		_mm_cmpeq_epi8(_mm_load_si128((const __m128i *)(const void *)block), to));
}

/* Those of the bits below the lowest of `ends`. */
static inline unsigned before(unsigned bits, unsigned ends)
{
	return bits & ((ends & -ends) - 1);
}

static inline struct span scan_absolute(const char *path)
{
	const __m128i zero = _mm_setzero_si128(), stroke = _mm_set1_epi8('/');
	size_t skew = (uintptr_t)path % BLOCK;
	const char *block = path - skew;
	unsigned ends = equal_bytes(block, zero) >> skew << skew;

	while (ends == 0)
		ends = equal_bytes(block += BLOCK, zero);
	size_t length = (size_t)(block - path) + (unsigned)__builtin_ctz(ends);
	/* The last block is loaded once more: kept for this, each one would be copied. */
	__asm__("" : "+r"(block));
	unsigned found = before(equal_bytes(block, stroke), ends);
	/* The text begins with one: what else is in its first block comes before that. */
	while (found == 0)
		found = equal_bytes(block -= BLOCK, stroke);
	return (struct span){ length, (size_t)(block - path) + (31 ^ (unsigned)__builtin_clz(found)) };
}

/* 0: it has a slash. */
static inline size_t scan_name(const char *path)
{
	const __m128i zero = _mm_setzero_si128(), stroke = _mm_set1_epi8('/');
	size_t skew = (uintptr_t)path % BLOCK;
	const char *block = path - skew;
	unsigned ends = equal_bytes(block, zero) >> skew << skew;
	unsigned found = equal_bytes(block, stroke) >> skew << skew;

	while (ends == 0) {
		if (found)
			return 0;
		ends = equal_bytes(block += BLOCK, zero);
		found = equal_bytes(block, stroke);
	}
	return before(found, ends) ? 0 : (size_t)(block - path) + (unsigned)__builtin_ctz(ends);
}
#else
static struct span scan_absolute(const char *path)
{
	size_t length = strlen(path);

	return (struct span){ length, (size_t)((const char *)memrchr(path, '/', length) - path) };
}

static size_t scan_name(const char *path)
{
	return strchr(path, '/') ? 0 : strlen(path);
}
#endif

/* Could the last component be L? */
static bool ends_in_entry_name(const char *path, size_t length)
{
	const size_t name = sizeof(entry_name) - 1;

	return length >= name && memcmp(path + length - name, entry_name, name) == 0 &&
	       (length == name || path[length - name - 1] == '/');
}

static bool has_leaf(const struct mapped *m)
{
	return m->path[m->length - 1] != '/';
}

static bool follows(enum map_leaf leaf)
{
	return leaf < LEAF_NOFOLLOW;
}

static bool tries(enum map_leaf leaf)
{
	return leaf == LEAF_TRY || leaf == LEAF_OPEN;
}

static bool opens(enum map_leaf leaf)
{
	return leaf == LEAF_OPEN || leaf == LEAF_OPEN_DIRECTORY;
}

/* How much of the path has to be known: all of it, or its directory. */
static size_t length_wanted(const struct mapped *m, enum map_leaf leaf)
{
	return follows(leaf) && !tries(leaf) && has_leaf(m) ? m->length : m->directory;
}

static const struct shim_pin *alias_pin(unsigned known)
{
	return &shim.pins[(known - KNOWN_ALIAS) / SHIM_ALIASES];
}

static const struct shim_alias *alias_known(unsigned known)
{
	return alias_of(known - KNOWN_ALIAS);
}

static size_t alias_length(unsigned known)
{
	return alias_known(known)->length;
}

/* Is the path the alias, or does it go on from it? */
static bool alias_begins(const struct shim_alias *alias, const char *path, size_t length)
{
	return alias->length <= length && (path[alias->length] == '/' || path[alias->length] == '\0') &&
	       memcmp(path, alias->text, alias->length) == 0;
}

static size_t room_for_walk(size_t path_length)
{
	return 3 * path_length + 3 * shim.longest + 256;
}

/* Only a walk tells what a link leads to, a name L that is not followed, or a name with slashes behind it that an entry is made under. */
static bool is_for_walk(const struct mapped *m, enum map_leaf leaf)
{
	if (follows(leaf))
		return leaf == LEAF_LINK;
	return has_leaf(m) ? ends_in_entry_name(m->path, m->length) : leaf == LEAF_NAME;
}

/* The directory, or all of it, is known: what is to be done? 0, or the room for the mapped text. */
static inline size_t settle(struct mapped *m, enum map_leaf leaf)
{
	m->unsure = tries(leaf) && has_leaf(m);
	if (m->known == KNOWN_CLEAR)
		return 0;
	return alias_known(m->known)->snapshot_length + m->length - alias_length(m->known) + 1;
}

/* --- behind a seccomp filter --- */

static bool confined;
static bool confined_by[KNOWN_ALIAS + SHIM_ALIASES * SHIM_PINS_MAX]; /* the alias leads to its pin */
static bool may_confine;

void map_confine_prepare(void)
{
	if (map_is_confined())
		return;
	for (unsigned known = KNOWN_ALIAS; known < KNOWN_ALIAS + SHIM_ALIASES * shim.count; known++) {
		MAPPED(m);
		MAP(m, AT_FDCWD, alias_known(known)->text, LEAF_FOLLOW);
		confined_by[known] = m.kind == MAP_MOVED && strcmp(m.path, alias_pin(known)->snapshot) == 0;
	}
	may_confine = memory_is_own();
}

void map_confine(void)
{
	if (!may_confine)
		return;
	__atomic_store_n(&confined, true, __ATOMIC_RELEASE);
	memory_off();
}

void map_confine_start(void)
{
	memset(confined_by, true, sizeof(confined_by));
	may_confine = true;
	map_confine();
}

bool map_is_confined(void)
{
	return __atomic_load_n(&confined, __ATOMIC_RELAXED);
}

/* The longest alias that the path begins with. */
static unsigned alias_before(const char *path, size_t length)
{
	unsigned found = KNOWN_NOT;
	size_t longest = 0;

	for (unsigned known = KNOWN_ALIAS; known < KNOWN_ALIAS + SHIM_ALIASES * shim.count; known++) {
		if (confined_by[known] && alias_length(known) > longest &&
		    alias_begins(alias_known(known), path, length)) {
			found = known;
			longest = alias_length(known);
		}
	}
	return found;
}

static size_t quick_confined(struct mapped *m, enum map_leaf leaf)
{
	m->walk = false;
	m->unsure = false;
	m->known = alias_before(m->path, m->length);
	if (m->known == KNOWN_NOT)
		return 0;
	if (follows(leaf) || m->length > alias_length(m->known))
		return settle(m, LEAF_FOLLOW);
	/* STORE/latest itself; or LOCATION, which is the link that it is. */
	if ((m->known - KNOWN_ALIAS) % SHIM_ALIASES == ALIAS_LATEST) {
		m->kind = MAP_ENTRY;
		m->pin = (m->known - KNOWN_ALIAS) / SHIM_ALIASES;
	}
	return 0;
}

/* --- by memory --- */

static const struct glance unknown = { KNOWN_NOT };

/* Of a path of that length. */
static inline struct glance glance_of(unsigned known, size_t length)
{
	if (known <= KNOWN_CLEAR)
		return (struct glance){ known };
	const size_t moved = alias_known(known)->snapshot_length + length - alias_length(known);
	return moved < PATH_MAX && length < PATH_MAX
		       ? (struct glance){ (uint64_t)length << GLANCE_LENGTH | known }
		       : unknown;
}

/*
 * Behind a filter a try would be another call than the program's own. What is remembered needs no such test: then nothing is, and nothing
 * before the start.
 */
static inline bool is_live(void)
{
	return shim.count != 0 && !__atomic_load_n(&confined, __ATOMIC_RELAXED);
}

__attribute__((noinline)) static struct glance glance_near(int dir, const char *path, enum map_leaf leaf)
{
	size_t length = strlen(path), text = length;

	if (dir != AT_FDCWD || !is_live() || length - 1 >= PATH_MAX - 1 || path[length - 1] == '/' ||
	    (leaf == LEAF_NOFOLLOW && ends_in_entry_name(path, length)))
		return unknown;
	if (leaf != LEAF_FOLLOW)
		text = directory_length(path, length);
	return glance_of(memory_find(memory_seed_cwd(), path, text), length);
}

/*
 * A mere name needs nothing but the last component to be decided: a try does that, or its being not followed, where it is not L. Apart, so
 * that an absolute path does not pay for what this needs.
 */
__attribute__((noinline)) static struct glance glance_name(int dir, const char *path)
{
	return scan_name(path) != 0 && is_live() ? (struct glance){ KNOWN_CLEAR }
						 : glance_near(dir, path, LEAF_TRY);
}

__attribute__((noinline)) static struct glance glance_name_nofollow(int dir, const char *path)
{
	const size_t length = scan_name(path);

	return length != 0 && length != sizeof(entry_name) - 1 && is_live()
		       ? (struct glance){ KNOWN_CLEAR }
		       : glance_near(dir, path, LEAF_NOFOLLOW);
}

/* Of one that is followed all has to be known. */
__attribute__((noinline)) static struct glance glance_name_followed(int dir, const char *path)
{
	const size_t length = scan_name(path);

	return length != 0 && dir == AT_FDCWD
		       ? glance_of(memory_find(memory_seed_cwd(), path, length), length)
		       : glance_near(dir, path, LEAF_FOLLOW);
}

/* Few instructions and no call. A text that is too long for the kernel is never known. */
__attribute__((always_inline)) static inline struct glance glance(const char *path, enum map_leaf leaf)
{
	struct span span = scan_absolute(path);
	size_t leaf_length = span.length - span.slash - 1, length = span.length;

	if (leaf == LEAF_NOFOLLOW && leaf_length == sizeof(entry_name) - 1)
		return unknown;
	/* Of two slashes before the last component the first is taken for a part of the directory: that is not known, and looked at closely. */
	if (leaf != LEAF_FOLLOW || leaf_length == 0)
		length = span.slash ? span.slash : 1;
	return glance_of(memory_find(memory_seed(), path, length), span.length);
}

struct glance map_try(int dir, const char *path)
{
	if (__builtin_expect(!path, 0))
		return unknown;
	return path[0] == '/' ? glance(path, LEAF_TRY) : glance_name(dir, path);
}

struct glance map_follow(int dir, const char *path)
{
	if (__builtin_expect(!path, 0))
		return unknown;
	return path[0] == '/' ? glance(path, LEAF_FOLLOW) : glance_name_followed(dir, path);
}

struct glance map_nofollow(int dir, const char *path)
{
	if (__builtin_expect(!path, 0))
		return unknown;
	return path[0] == '/' ? glance(path, LEAF_NOFOLLOW) : glance_name_nofollow(dir, path);
}

/* What a glance leaves open. */
__attribute__((noinline)) static size_t decide(struct mapped *m, enum map_leaf leaf)
{
	const char *path = m->path;

	if (!shim_active() || !path)
		return 0;
	m->length = strlen(path);
	m->directory = directory_length(path, m->length);
	if (m->length == 0 || m->length >= PATH_MAX)
		return 0;
	if (__atomic_load_n(&confined, __ATOMIC_RELAXED))
		return quick_confined(m, leaf);
	m->walk = is_for_walk(m, leaf) || m->door == DOOR_IN_ROOT;
	if (m->walk)
		return room_for_walk(m->length);
	size_t length = length_wanted(m, leaf);
	if (length == 0)
		m->known = KNOWN_CLEAR;
	else if (path[0] == '/')
		m->known = memory_find(memory_seed(), path, length);
	else if (m->dir == AT_FDCWD)
		m->known = memory_find(memory_seed_cwd(), path, length);
	return m->known == KNOWN_NOT ? room_for_walk(m->length) : settle(m, leaf);
}

size_t map_go_on(struct mapped *m, int dir, const char *path, enum map_leaf leaf, struct glance g)
{
	m->dir = dir;
	m->path = path;
	m->kind = MAP_SAME;
	m->unsure = false;
	m->walk = false;
	m->known = glance_known(g);
	if (m->known == KNOWN_NOT)
		return decide(m, leaf);
	m->length = (size_t)(g.word >> GLANCE_LENGTH);
	if (m->known == KNOWN_CLEAR)
		m->unsure = tries(leaf);
	return m->known == KNOWN_CLEAR ? 0 : settle(m, leaf);
}

size_t map_quick(struct mapped *m, int dir, const char *path, enum map_leaf leaf)
{
	struct glance g = unknown;

	switch (leaf) {
	case LEAF_FOLLOW:
	case LEAF_OPEN_DIRECTORY:
		g = map_follow(dir, path);
		break;
	case LEAF_TRY:
	case LEAF_OPEN:
		g = map_try(dir, path);
		break;
	case LEAF_NOFOLLOW:
		g = map_nofollow(dir, path);
		break;
	case LEAF_LINK:
	case LEAF_NAME:
		break;
	}
	return map_go_on(m, dir, path, leaf, g);
}

/* path[0 .. length), which begins with what is known, as it is to be handed on. False if it has become too long. */
static inline bool write_mapped(char *room, size_t size, const char *path, size_t length, unsigned known)
{
	if (known == KNOWN_CLEAR) {
		memcpy(room, path, length);
		room[length] = '\0';
		return true;
	}
	const struct shim_alias *as = alias_known(known);
	const size_t alias = as->length, root = as->snapshot_length, tail = length - alias;

	if (root + tail >= PATH_MAX || root + tail >= size)
		return false;
	memcpy(room, as->snapshot, root);
	memcpy(room + root, path + alias, tail);
	room[root + tail] = '\0';
	return true;
}

/* Where a text begins is known. */
static unsigned prefix_find(uint64_t seed, const char *path, size_t length)
{
	return length == 0 || (length == 1 && path[0] == '/') ? KNOWN_CLEAR : memory_find(seed, path, length);
}

static uint64_t seed_for(const struct mapped *m)
{
	if (m->path[0] == '/')
		return memory_seed();
	if (m->dir == AT_FDCWD)
		return memory_seed_cwd();
	return memory_seed_at(m->dir);
}

/* The end of the component that begins behind path[0 .. length). */
static size_t component_end(const char *path, size_t length, size_t end)
{
	while (length < end && path[length] == '/')
		length++;
	while (length < end && path[length] != '/')
		length++;
	return length;
}

/* All directories from behind path[0 .. from) to path[0 .. to) have been seen to be no links. */
static void remember_directories(uint64_t seed, const char *path, size_t from, size_t to, unsigned known)
{
	while (from < to) {
		from = component_end(path, from, to);
		memory_add(seed, path, from, known);
	}
}

/* What learn() goes on from. */
struct prefix {
	uint64_t seed;
	size_t length;
	unsigned known;
};

/* What one look at several components has said. */
enum look {
	LOOK_CLEAR, /* no link, or the kernel stops where we did */
	LOOK_LINK,
	LOOK_AGAIN, /* nothing: in another way */
};

/* The call itself, for which no other is then needed. */
static enum look open_literally(struct mapped *m, const struct prefix *p, size_t want, char *room,
				size_t size)
{
	if (!write_mapped(room, size, m->path, m->length, p->known))
		return LOOK_AGAIN;
	const int result = literal_open(m->dir, room, m->flags);
	if (result == LITERAL_LINK || result == LITERAL_NOT)
		return result == LITERAL_LINK ? LOOK_LINK : LOOK_AGAIN;
	if (result >= 0)
		remember_directories(p->seed, m->path, p->length, want, p->known);
	m->opened = result;
	m->kind = MAP_OPENED;
	return LOOK_CLEAR;
}

/*
 * With O_DIRECTORY, which fails for a file: then there is no descriptor to be closed. It fails for a file in a directory's place, too,
 * so no more than the whole text is remembered, which led to what is no directory.
 */
static enum look look_literally(const struct mapped *m, const struct prefix *p, size_t want, char *room,
				size_t size)
{
	if (component_end(m->path, p->length, want) == want || !literal_allowed() ||
	    !write_mapped(room, size, m->path, want, p->known))
		return LOOK_AGAIN;
	const int result = literal_open(m->dir, room, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (result >= 0) {
		sys_close(result);
		remember_directories(p->seed, m->path, p->length, want, p->known);
		return LOOK_CLEAR;
	}
	if (result == -ENOTDIR)
		memory_add(p->seed, m->path, want, p->known);
	if (result == LITERAL_LINK)
		return LOOK_LINK;
	/* What is not there, or not for us to see, may be a link the next time. */
	return result == -ENOTDIR || result == -ENOENT || result == -EACCES ? LOOK_CLEAR : LOOK_AGAIN;
}

/* Component by component. KNOWN_NOT: there is a link, or the text has become too long. */
static unsigned look_each(const struct mapped *m, const struct prefix *p, size_t want, char *room,
			  size_t size)
{
	const char *path = m->path;
	char target[1];

	for (size_t length = p->length; length < want;) {
		length = component_end(path, length, want);
		if (length >= 2 && memcmp(path + length - 2, "/.", 2) == 0)
			continue; /* no link; and a path may have 2,000 of them */
		if (!write_mapped(room, size, path, length, p->known))
			return KNOWN_NOT;
		ssize_t result = sys_readlinkat(m->dir, room, target, sizeof(target));
		if (result >= 0)
			return KNOWN_NOT;
		if (result != -EINVAL)
			break;
		memory_add(p->seed, path, length, p->known);
	}
	return p->known;
}

/* Goes on from the longest text that is known. KNOWN_NOT: only a walk will do. The room is that of a walk. */
static unsigned learn(struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	const size_t want = length_wanted(m, leaf);
	struct prefix p = { .seed = seed_for(m), .length = want };

	while ((p.known = prefix_find(p.seed, m->path, p.length)) == KNOWN_NOT)
		p.length = directory_length(m->path, p.length);
	if (p.length == want) {
		memory_add(p.seed, m->path, want, p.known);
		return p.known;
	}
	const enum look look = opens(leaf) && literal_allowed() ? open_literally(m, &p, want, room, size)
								: look_literally(m, &p, want, room, size);
	if (look == LOOK_AGAIN)
		return look_each(m, &p, want, room, size);
	return look == LOOK_CLEAR ? p.known : KNOWN_NOT;
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
	size_t own; /* of what is to come, that is the caller's path and no link's text */
	unsigned links;
	unsigned links_out; /* of them, those before what `out` begins with */
	unsigned passed;    /* how many D/L */
	unsigned pin;       /* of the last of them */
	unsigned known;     /* what can be remembered of the path: at first that it is clear */
	bool entry;         /* the last component is a D/L that is not followed */
	bool door;          /* it went through a door of procfs: what is behind it changes with the process */
	bool text;          /* DOOR_IS_TEXT */
	bool in_root;  /* DOOR_IN_ROOT: what is absolute begins in dir, and `..` does not lead out of it */
	uint64_t seed; /* for what is remembered, from before the walk */
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

/* Another one, of that length. KNOWN_NOT: there are too many. */
static unsigned alias_other(unsigned pin, size_t length)
{
	for (unsigned i = ALIAS_OTHER; i < SHIM_ALIASES; i++) {
		size_t of = 0;

		if (__atomic_compare_exchange_n(&shim.pins[pin].alias[i].length, &of, length, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
		    of == length)
			return KNOWN_ALIAS + SHIM_ALIASES * pin + i;
	}
	return KNOWN_NOT;
}

/* Would `..`, the component, lead out of the root? */
static bool leaves_root(const struct walk *w, const struct component *c)
{
	struct stat here, root;

	return w->in_root && stat_parent(w, c, &here) == 0 && sys_fstatat(w->dir, ".", &root, 0) == 0 &&
	       here.st_ino == root.st_ino && here.st_dev == root.st_dev;
}

/* The alias of the pin that all that has been walked of the caller's path is; KNOWN_NOT if it is none. */
static unsigned alias_walked(const struct walk *w, const char *path)
{
	const struct shim_pin *p = &shim.pins[w->pin];
	size_t length = strlen(path);

	if (w->root != p->snapshot_length || memcmp(w->room, p->snapshot, w->root) != 0)
		return KNOWN_NOT;
	for (unsigned i = 0; i < ALIAS_OTHER; i++) {
		const struct shim_alias *alias = &p->alias[i];

		/* What is to come ends in all that has not been walked of path: of the same length it is nothing but that. */
		if (w->own == w->size - 1 - w->rest && w->own == length - alias->length &&
		    alias_begins(alias, path, length))
			return KNOWN_ALIAS + SHIM_ALIASES * w->pin + i;
	}
	return w->own == w->size - 1 - w->rest ? alias_other(w->pin, length - w->own) : KNOWN_NOT;
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
	w->known = w->passed++ == 0 ? alias_walked(w, path) : KNOWN_NOT;
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
	bool door = is_door(w, w->room + gap);
	if (door && w->in_root) /* EXDEV */
		return STEP_STOP;
	w->door |= door;
	if (door && !w->text) {
		skip_slashes(w);
		return STEP_ON;
	}
	w->rest -= (size_t)length;
	memmove(w->room + w->rest, w->room + gap, (size_t)length);
	w->end = w->room[w->rest] == '/' ? w->begin : c->parent;
	/* Relative to the root, which is where /bin and its like lead on merged systems: then absolute, and perhaps known. */
	if (w->end == w->begin + 1 && w->room[w->begin] == '/' && w->room[w->rest] != '/') {
		w->room[--w->rest] = '/';
		w->end = w->begin;
	}
	return STEP_ON;
}

/*
 * The first `length` bytes of what is to come are known: the walk goes on behind them. So far is then not always free of links, but
 * of links that matter; a `..` behind it is the kernel's affair all the same. `own`: it is the caller's path from its beginning.
 */
static enum step jump(struct walk *w, size_t length, unsigned known, bool own)
{
	const char *text = w->room + w->rest;

	if (known == KNOWN_CLEAR) {
		if (w->begin + length + 1 >= w->rest)
			return STEP_ROOM;
		memcpy(w->room + w->begin, text, length);
		w->end = w->begin + length;
	} else {
		const struct shim_pin *pin = alias_pin(known);
		const size_t root = pin->snapshot_length, alias = alias_length(known);
		const size_t out = root + (w->size - w->rest) - alias;

		if (out + root + (length - alias) + 1 >= w->rest)
			return STEP_ROOM;
		memcpy(w->room, pin->snapshot, root);
		memcpy(w->room + root, text + alias, out - root);
		memcpy(w->room + out, w->room, root + (length - alias));
		w->out = w->begin = out;
		w->root = root;
		w->end = out + root + (length - alias);
		w->pin = (known - KNOWN_ALIAS) / SHIM_ALIASES;
		/* LOCATION and latest; or latest alone. */
		w->links += (known - KNOWN_ALIAS) % SHIM_ALIASES == ALIAS_LATEST ? 1 : 2;
		w->links_out = w->links;
		w->known = w->passed++ == 0 && own ? known : KNOWN_NOT;
	}
	w->rest += length;
	if (w->own > w->size - 1 - w->rest)
		w->own = w->size - 1 - w->rest;
	skip_slashes(w);
	return STEP_ON;
}

/*
 * How much of what is to come is known, from its beginning; 0: nothing. The last component only where it is followed. Of a text with more
 * directories than any has the longest parts are asked for alone.
 */
static size_t known_to_come(const struct walk *w, enum map_leaf leaf, uint64_t seed, unsigned *known)
{
	const char *text = w->room + w->rest;
	size_t length = w->size - 1 - w->rest;

	/* A long one is walked, and loses its dots: else what has been walked grows too long for the kernel to look at. */
	if (length > PATH_MAX / 2)
		return 0;
	while (leaf == LEAF_NAME && length > 1 && text[length - 1] == '/')
		length--;
	if (leaf != LEAF_FOLLOW)
		length = directory_length(text, length);
	for (int asked = 0; asked < ASKED_MAX && length > 1 && length < PATH_MAX; asked++) {
		*known = memory_find(seed, text, length);
		if (*known != KNOWN_NOT)
			return length;
		length = directory_length(text, length);
	}
	return 0;
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
	if (*next == '/' && w->in_root) {
		w->end = w->begin;
		skip_slashes(w);
		return STEP_ON;
	}
	if (*next == '/') {
		unsigned known;
		const size_t length = known_to_come(w, leaf, memory_seed(), &known);

		if (length != 0)
			return jump(w, length, known, w->links == 0 && w->passed == 0);
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
	if (w->own > w->size - 1 - w->rest)
		w->own = w->size - 1 - w->rest;
	if (c.length == 2 && memcmp(w->room + c.name, "..", 2) == 0) {
		if (leaves_root(w, &c))
			w->end = w->begin;
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

/*
 * What the walk has shown about the path, if it came to the end of it. Of one that ends in a link only the directory is kept: the
 * link is looked at each time; unless it is LOCATION. Where slashes stand behind a name that was not followed for all that, what was
 * not walked is part of the directory's text.
 */
static void remember(const struct walk *w, const struct mapped *m, enum map_leaf leaf)
{
	if (m->directory == 0 || w->room[w->rest] != '\0' || w->door || w->known == KNOWN_NOT ||
	    is_unseen_loop(w) || (leaf == LEAF_NAME && !has_leaf(m)))
		return;
	if (w->known != KNOWN_CLEAR)
		memory_add(w->seed, m->path, alias_length(w->known), w->known);
	if (w->known == KNOWN_CLEAR || m->directory >= alias_length(w->known))
		memory_add(w->seed, m->path, m->directory, w->known);
	else
		memory_add(w->seed, m->path, m->length, w->known);
}

static void finish(struct mapped *m, struct walk *w, enum map_leaf leaf)
{
	remember(w, m, leaf);
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

static size_t walk(struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	struct walk w = {
		.dir = m->dir,
		.room = room,
		.size = size,
		.rest = size - 1 - m->length,
		.own = m->length,
		.known = KNOWN_CLEAR,
		.text = m->door == DOOR_IS_TEXT,
		.in_root = m->door == DOOR_IN_ROOT,
		.door = m->door == DOOR_IN_ROOT, /* nothing of such a walk is true of another */
		.seed = seed_for(m),
	};
	enum step step;
	unsigned known;

	if (size <= m->length + 1)
		return room_for_walk(m->length);
	memcpy(room + w.rest, m->path, m->length + 1);
	const size_t length = m->path[0] == '/' || w.in_root ? 0 : known_to_come(&w, leaf, w.seed, &known);
	step = length ? jump(&w, length, known, true) : STEP_ON;
	while (step == STEP_ON)
		step = walk_component(&w, leaf, m->path);
	if (step == STEP_ROOM)
		return size < ROOM_MAX ? 2 * size : 0;
	finish(m, &w, leaf);
	return 0;
}

/* Of a path that leads into a snapshot. False if it has become too long. */
static inline bool place_known(struct mapped *m, char *room, size_t size)
{
	if (!write_mapped(room, size, m->path, m->length, m->known))
		return false;
	m->path = room;
	m->kind = MAP_MOVED;
	m->pin = (m->known - KNOWN_ALIAS) / SHIM_ALIASES;
	return true;
}

/*
 * Of a path that leads through an alias which has not been walked yet, that is walked first: what is behind it is then learned by one look, or
 * by the call itself, and is not walked component by component. Once in a process, as a rule.
 */
static void walk_alias(const struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	const size_t want = length_wanted(m, leaf);

	for (unsigned known = KNOWN_ALIAS; known < KNOWN_ALIAS + SHIM_ALIASES * shim.count; known++) {
		const struct shim_alias *alias = alias_known(known);

		if (!alias->text || want < alias->length || !alias_begins(alias, m->path, m->length) ||
		    memory_find(memory_seed(), alias->text, alias->length) != KNOWN_NOT)
			continue;
		struct mapped own __attribute__((cleanup(map_release))) = {
			.dir = m->dir,
			.path = alias->text,
			.length = alias->length,
			.directory = directory_length(alias->text, alias->length),
			.door = m->door == DOOR_IS_TEXT ? DOOR_IS_TEXT : -1,
		};
		walk(&own, LEAF_FOLLOW, room, size);
	}
}

__attribute__((noinline)) static size_t place_unknown(struct mapped *m, enum map_leaf leaf, char *room,
						      size_t size)
{
	if (!m->walk && m->known == KNOWN_NOT) {
		walk_alias(m, leaf, room, size);
		m->known = learn(m, leaf, room, size);
		if (m->kind == MAP_OPENED || (m->known != KNOWN_NOT && settle(m, leaf) == 0))
			return 0;
		if (m->known != KNOWN_NOT && place_known(m, room, size))
			return 0;
	}
	if (__atomic_load_n(&confined, __ATOMIC_RELAXED))
		return 0;
	m->known = KNOWN_NOT;
	m->walk = true;
	m->unsure = false;
	m->directory = directory_length(m->path, m->length);
	return walk(m, follows(leaf) ? LEAF_FOLLOW : leaf, room, size);
}

size_t map_place(struct mapped *m, enum map_leaf leaf, char *room, size_t size)
{
	return m->known != KNOWN_NOT && place_known(m, room, size) ? 0 : place_unknown(m, leaf, room, size);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_open EXPORT
#include <string.h>

#include "preload/move.h"
#include "preload/wrap.h"

/* Since glibc 2.32; false from the first other thread on. */
extern char __libc_single_threaded __attribute__((weak));

/* Only then is there a fourth argument (a third of open()): reading one that was not passed is undefined. */
static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define TAKE_MODE(mode, last)                   \
	mode_t mode = 0;                        \
	if (takes_mode(last)) {                 \
		va_list list_;                  \
		va_start(list_, last);          \
		(mode) = va_arg(list_, mode_t); \
		va_end(list_);                  \
	}

/* O_PATH opens nothing, whatever else is asked. */
static bool open_writes(int flags)
{
	return !(flags & O_PATH) && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)));
}

/* The kernel makes no name with a slash behind it (EISDIR), and does not look what it is. */
static bool is_directory_made(const char *path, int flags)
{
	return (flags & (O_CREAT | O_PATH)) == O_CREAT && path && *path && path[strlen(path) - 1] == '/';
}

enum map_leaf open_leaf(const char *path, int flags)
{
	bool fresh = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);

	if (is_directory_made(path, flags))
		return LEAF_NAME;
	return (flags & O_NOFOLLOW) || fresh ? LEAF_NOFOLLOW : LEAF_FOLLOW;
}

/* With O_NOFOLLOW O_PATH would open the link itself; before a write the object is looked at anyway (refuse.h). */
static bool is_tried(int flags)
{
	return (flags & (O_ACCMODE | O_CREAT | O_TRUNC | O_PATH | O_NOFOLLOW)) == O_RDONLY;
}

/*
 * With O_NOFOLLOW: did the kernel fail for a link at the end? It says ELOOP, also of too many on the way; and with O_DIRECTORY
 * ENOTDIR, also of what is neither. Then all is done again, which fails again where it was not that.
 */
static bool met_link(int fd)
{
	return fd < 0 && (errno == ELOOP || errno == ENOTDIR);
}

int open_refused(const struct mapped *m, int flags)
{
	return open_writes(flags) ? refuse_open(m->dir, m->path, flags) : 0;
}

/* The call that the program has made: the slot of its next definition, in one of the four. */
struct opening {
	int (*const *open)(const char *path, int flags, ...);
	int (*const *openat)(int dir, const char *path, int flags, ...);
	int (*const *open_2)(const char *path, int flags);
	int (*const *openat_2)(int dir, const char *path, int flags);
	int dir;
	int flags;
	mode_t mode;
};

__attribute__((always_inline)) static inline int make(const struct opening *o, int dir, const char *path,
						      int flags)
{
	if (o->open)
		return (*o->open)(path, flags, o->mode);
	if (o->openat)
		return (*o->openat)(dir, path, flags, o->mode);
	return o->open_2 ? (*o->open_2)(path, flags) : (*o->openat_2)(dir, path, flags);
}

/* A last component that was seen to be a link. */
__attribute__((noinline)) static int open_followed(const struct opening *o, const char *path)
{
	MAPPED(m);
	MAP(m, o->dir, path, LEAF_LINK);
	return make(o, m.dir, m.path, o->flags);
}

/* The forms of _FORTIFY_SOURCE end the program where a mode is missing: libc's own shall do that, before we refuse. */
static bool lacks_mode(const struct opening *o)
{
	return !o->open && !o->openat && takes_mode(o->flags);
}

/*
 * May openat2(2) be called in the place of the program's call? Not where the next definition is another library's than libc's own. Nor
 * with more than one thread: libc's call can be cancelled while it waits (for a FIFO's writer), and ours cannot.
 */
static bool is_replaceable(void)
{
	return &__libc_single_threaded && __libc_single_threaded && next_open_is_libc();
}

__attribute__((noinline)) static int open_mapped(const struct opening *o, const char *path, struct glance g)
{
	shim_ready();
	const enum map_leaf tried = is_replaceable() ? LEAF_OPEN : LEAF_TRY;

	MAPPED(m);
	m.flags = o->flags;
	MAP_ON(m, o->dir, path, is_tried(o->flags) ? tried : open_leaf(path, o->flags), g);
	if (m.kind == MAP_OPENED)
		return m.opened < 0 ? fail(-m.opened) : m.opened;
	if (m.unsure) {
		int kept = errno, fd = make(o, m.dir, m.path, o->flags | O_NOFOLLOW);
		if (!met_link(fd))
			return fd;
		errno = kept;
		return open_followed(o, path);
	}
	int error = lacks_mode(o) ? 0 : open_refused(&m, o->flags);
	return error ? fail(error) : make(o, m.dir, m.path, o->flags);
}

__attribute__((noinline)) static int open_moved(const struct opening *o, const char *path, struct glance g)
{
	MOVED(text, path, g);
	int kept = errno, fd = make(o, o->dir, text, o->flags | O_NOFOLLOW);
	if (!met_link(fd))
		return fd;
	errno = kept;
	return open_followed(o, path);
}

/*
 * Inline, so that what is known of `o` where it is called is no question at run time; and it has an address only where the call is not made
 * at once.
 */
__attribute__((always_inline)) static inline int open_tried(struct opening o, const char *path)
{
	struct glance g = map_try(o.dir, path);

	if (glance_known(g) == KNOWN_CLEAR) {
		int kept = errno, fd = make(&o, o.dir, path, o.flags | O_NOFOLLOW);
		if (!met_link(fd))
			return fd;
		errno = kept;
		const struct opening again = o;
		return open_followed(&again, path);
	}
	const struct opening apart = o;
	return glance_moves(g) ? open_moved(&apart, path, g) : open_mapped(&apart, path, g);
}

static inline int open_as(struct opening o, const char *path)
{
	return open_mapped(&o, path, (struct glance){ KNOWN_NOT });
}

/* What is tried takes no mode. */
#define OPEN_VARIADIC(slot, id, at, path, flags)                                                           \
	do {                                                                                               \
		if (is_tried(flags))                                                                       \
			return open_tried(                                                                 \
				(struct opening){ .slot = &next_slots.id, .dir = (at), .flags = (flags) }, \
				(path));                                                                   \
		TAKE_MODE(mode_, flags)                                                                    \
		return open_as(                                                                            \
			(struct opening){                                                                  \
				.slot = &next_slots.id, .dir = (at), .flags = (flags), .mode = mode_ },    \
			(path));                                                                           \
	} while (0)

#define OPEN_FORTIFIED(slot, id, at, path, flags)                                                    \
	do {                                                                                         \
		const struct opening o_ = { .slot = &next_slots.id, .dir = (at), .flags = (flags) }; \
		return is_tried(flags) ? open_tried(o_, (path)) : open_as(o_, (path));               \
	} while (0)

int wrap_open(const char *path, int flags, ...)
{
	OPEN_VARIADIC(open, open, AT_FDCWD, path, flags);
}

int wrap_open64(const char *path, int flags, ...)
{
	OPEN_VARIADIC(open, open64, AT_FDCWD, path, flags);
}

int wrap___open(const char *path, int flags, ...)
{
	OPEN_VARIADIC(open, __open, AT_FDCWD, path, flags);
}

int wrap___open64(const char *path, int flags, ...)
{
	OPEN_VARIADIC(open, __open64, AT_FDCWD, path, flags);
}

int wrap_openat(int dir, const char *path, int flags, ...)
{
	OPEN_VARIADIC(openat, openat, dir, path, flags);
}

int wrap_openat64(int dir, const char *path, int flags, ...)
{
	OPEN_VARIADIC(openat, openat64, dir, path, flags);
}

int wrap___open_2(const char *path, int flags)
{
	OPEN_FORTIFIED(open_2, __open_2, AT_FDCWD, path, flags);
}

int wrap___open64_2(const char *path, int flags)
{
	OPEN_FORTIFIED(open_2, __open64_2, AT_FDCWD, path, flags);
}

int wrap___openat_2(int dir, const char *path, int flags)
{
	OPEN_FORTIFIED(openat_2, __openat_2, dir, path, flags);
}

int wrap___openat64_2(int dir, const char *path, int flags)
{
	OPEN_FORTIFIED(openat_2, __openat64_2, dir, path, flags);
}

static int create(int (*call)(const char *, mode_t), const char *path, mode_t mode)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	int error = refuse_open(m.dir, m.path, O_CREAT | O_WRONLY | O_TRUNC);
	return error ? fail(error) : call(m.path, mode);
}

int wrap_creat(const char *path, mode_t mode)
{
	return create(next()->creat, path, mode);
}

int wrap_creat64(const char *path, mode_t mode)
{
	return create(next()->creat64, path, mode);
}

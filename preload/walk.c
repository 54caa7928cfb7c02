/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ftw(3) and nftw(3). libc's look at everything they meet inside libc, and unless FTW_PHYS is given they follow every link they find, so
 * that a walk that begins anywhere may come through LOCATION: mapping its beginning would not be enough. So under a pin the walk
 * is ours, with glibc's rules (io/ftw.c), and each look goes through the wrapped calls. The callback sees paths as the program
 * spelled the first.
 *
 * It takes memory from malloc(3), as libc's does: for the path, for what it has met (without FTW_PHYS), and for the rest of a
 * directory whose descriptor is needed deeper down. None of these calls is async-signal-safe in libc.
 */
#define EXPORT_walk EXPORT
#include "preload/as_libc.h"

#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "preload/wrap.h"

#define FLAGS_OLD (FTW_PHYS | FTW_MOUNT | FTW_CHDIR | FTW_DEPTH)
#define TYPES (FTW_SLN + 1)

/* How the program wants an object described. */
enum form {
	FORM_PLAIN,  /* struct stat */
	FORM_LARGE,  /* struct stat64 */
	FORM_TIME64, /* the same with 64 bits of time, on i386 */
};

/* What the program gave us, in the forms that it has. */
union callback {
	int (*plain)(const char *path, const struct stat *st, int type);
	int (*large)(const char *path, const struct stat64 *st, int type);
	int (*full)(const char *path, const struct stat *st, int type, struct FTW *where);
	int (*full_large)(const char *path, const struct stat64 *st, int type, struct FTW *where);
#ifdef __i386__
	int (*time64)(const char *path, const struct stat_time64 *st, int type);
	int (*full_time64)(const char *path, const struct stat_time64 *st, int type, struct FTW *where);
#endif
};

union status {
	struct stat plain;
	struct stat64 large;
	struct stat_time64 time64;
};

struct object {
	dev_t device;
	ino64_t inode;
};

struct description {
	union status st; /* in the program's form */
	mode_t mode;
	struct object object;
};

/* One directory that is being read. Its names come from the stream, or, when that had to be closed, from `names`. */
struct level {
	struct level *above;
	DIR *stream;
	int fd;
	char *names; /* each terminated, the last one empty */
	const char *next_name;
};

struct tree {
	union callback callback;
	bool full; /* nftw(): the callback is told where it is */
	enum form form;
	int flags;
	char *path;
	size_t room;
	struct FTW where;
	struct level *level; /* the deepest */
	int streams;         /* that are open */
	int streams_max;
	dev_t device;
	struct object *seen; /* a hash table, of which at most half is used; inode 0 is empty */
	size_t seen_size;
	size_t seen_count;
};

/* --- what is looked at --- */

static int look_large(int dir, const char *path, struct description *d, int flags)
{
	const struct stat64 *st = &d->st.large;

	if (wrap___fxstatat64(STAT_VERSION, dir, path, &d->st.large, flags) != 0)
		return -1;
	d->mode = st->st_mode;
	d->object = (struct object){ st->st_dev, st->st_ino };
	return 0;
}

static int look(const struct tree *t, int dir, const char *path, struct description *d, int flags)
{
	const struct stat *st = &d->st.plain;

	if (t->form == FORM_LARGE)
		return look_large(dir, path, d, flags);
#ifdef __i386__
	/* What it says in this form only the program knows: so it is asked for in the other one, too. */
	if (t->form == FORM_TIME64)
		return look_large(dir, path, d, flags) == 0
			       ? wrap___fstatat64_time64(dir, path, &d->st.time64, flags)
			       : -1;
#endif
	if (wrap___fxstatat(STAT_VERSION, dir, path, &d->st.plain, flags) != 0)
		return -1;
	d->mode = st->st_mode;
	d->object = (struct object){ st->st_dev, st->st_ino };
	return 0;
}

/* The types of nftw() in those of ftw(). */
static int tell(struct tree *t, struct description *d, int type)
{
	static const signed char types[TYPES] = {
		[FTW_F] = FTW_F,  [FTW_D] = FTW_D,  [FTW_DNR] = FTW_DNR, [FTW_NS] = FTW_NS,
		[FTW_SL] = FTW_F, [FTW_DP] = FTW_D, [FTW_SLN] = FTW_NS
	};

#ifdef __i386__
	if (t->form == FORM_TIME64)
		return t->full ? t->callback.full_time64(t->path, &d->st.time64, type, &t->where)
			       : t->callback.time64(t->path, &d->st.time64, types[type]);
#endif
	if (t->full)
		return t->form == FORM_LARGE ? t->callback.full_large(t->path, &d->st.large, type, &t->where)
					     : t->callback.full(t->path, &d->st.plain, type, &t->where);
	return t->form == FORM_LARGE ? t->callback.large(t->path, &d->st.large, types[type])
				     : t->callback.plain(t->path, &d->st.plain, types[type]);
}

/* --- what has been met --- */

static size_t seen_slot(const struct object *table, size_t size, const struct object *o)
{
	size_t slot = (size_t)(o->inode * 0x9e3779b9u + o->device) & (size - 1);

	while (table[slot].inode != 0 && (table[slot].inode != o->inode || table[slot].device != o->device))
		slot = (slot + 1) & (size - 1);
	return slot;
}

static int seen_grow(struct tree *t)
{
	size_t size = t->seen_size ? 2 * t->seen_size : 64;
	struct object *table = next()->calloc(size, sizeof(*table));

	if (!table)
		return -1;
	for (size_t i = 0; i < t->seen_size; i++)
		if (t->seen[i].inode != 0)
			table[seen_slot(table, size, &t->seen[i])] = t->seen[i];
	next()->free(t->seen);
	t->seen = table;
	t->seen_size = size;
	return 0;
}

/* 1: it is new, and is known from now on; 0: it was met before; -1: no memory. */
static int seen_add(struct tree *t, const struct description *d)
{
	struct object o = d->object;

	if (2 * t->seen_count >= t->seen_size && seen_grow(t) != 0)
		return -1;
	size_t slot = seen_slot(t->seen, t->seen_size, &o);
	if (t->seen[slot].inode != 0)
		return 0;
	t->seen[slot] = o;
	t->seen_count++;
	return 1;
}

/* --- directories --- */

static void level_close(struct tree *t, struct level *l)
{
	int kept = errno;

	if (l->stream) {
		next()->closedir(l->stream);
		t->streams--;
	}
	l->stream = NULL;
	l->fd = -1;
	errno = kept;
}

/* Reads the rest of a directory into memory, and gives its stream back. */
static int level_unload(struct tree *t, struct level *l)
{
	size_t length = 0, room = 0;
	const struct dirent64 *entry;

	while ((entry = next()->readdir64(l->stream))) {
		size_t more = strlen(entry->d_name) + 1;

		if (length + more + 1 > room) {
			room = 2 * (length + more) + 1024;
			char *names = next()->realloc(l->names, room);
			if (!names)
				return -1;
			l->names = names;
		}
		memcpy(l->names + length, entry->d_name, more);
		length += more;
	}
	if (l->names)
		l->names[length] = '\0';
	l->next_name = l->names ? l->names : "";
	level_close(t, l);
	return 0;
}

/* NULL at the end. */
static const char *level_next(struct level *l)
{
	if (l->stream) {
		const struct dirent64 *entry = next()->readdir64(l->stream);

		return entry ? entry->d_name : NULL;
	}
	const char *name = l->next_name;
	if (!*name)
		return NULL;
	l->next_name = name + strlen(name) + 1;
	return name;
}

/* As many streams as the program allows: the one furthest up has to go. */
static int make_room(struct tree *t)
{
	struct level *oldest = NULL;

	if (t->streams < t->streams_max)
		return 0;
	for (struct level *l = t->level; l; l = l->above)
		if (l->stream)
			oldest = l;
	return oldest ? level_unload(t, oldest) : 0;
}

/* Where the walk is: by descriptor where there is one, so that a path may be longer than PATH_MAX. */
static int here(const struct tree *t, const char **name)
{
	bool relative = t->level && (t->level->stream || (t->flags & FTW_CHDIR));

	*name = relative || (t->flags & FTW_CHDIR) ? t->path + t->where.base : t->path;
	if ((t->flags & FTW_CHDIR) && **name == '\0')
		*name = "/";
	return t->level && t->level->stream ? t->level->fd : AT_FDCWD;
}

static int level_open(struct tree *t, struct level *l)
{
	const char *name;

	if (make_room(t) != 0)
		return -1;
	int dir = here(t, &name);
	l->fd = wrap_openat(dir, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (l->fd < 0)
		return -1;
	l->stream = next()->fdopendir(l->fd);
	if (!l->stream) {
		sys_close(l->fd);
		return -1;
	}
	t->streams++;
	return 0;
}

/* --- the walk --- */

static int change_to(int fd)
{
	memory_cwd_begin();
	long error = sys_call(SYS_fchdir, fd, 0, 0, 0, 0, 0);
	memory_cwd_end(error == 0);
	return error ? fail((int)-error) : 0;
}

/* Back from a directory to the one that it was found in. */
static int change_back(const struct tree *t)
{
	if (t->level->stream && change_to(t->level->fd) == 0)
		return 0;
	return wrap_chdir(t->where.base == 1 ? "/" : "..");
}

/* Room for `name` at the base of the path. */
static int append(struct tree *t, const char *name)
{
	size_t length = strlen(name), needed = (size_t)t->where.base + length + 2;

	if (needed > t->room) {
		char *path = next()->realloc(t->path, 2 * needed);
		if (!path)
			return -1;
		t->path = path;
		t->room = 2 * needed;
	}
	memcpy(t->path + t->where.base, name, length + 1);
	return 0;
}

static int walk_directory(struct tree *t, struct description *d);

/* The type of what is at the end of the path, or -1. */
static int look_at_entry(const struct tree *t, struct description *d)
{
	const char *name;
	int dir = here(t, &name);

	if (look(t, dir, name, d, t->flags & FTW_PHYS ? AT_SYMLINK_NOFOLLOW : 0) == 0)
		return S_ISDIR(d->mode) ? FTW_D : S_ISLNK(d->mode) ? FTW_SL : FTW_F;
	if (errno != EACCES && errno != ENOENT)
		return -1;
	if (!(t->flags & FTW_PHYS) && look(t, dir, name, d, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(d->mode))
		return FTW_SLN;
	return FTW_NS;
}

static int walk_entry(struct tree *t, const char *name)
{
	struct description d = { 0 };
	int result = 0;

	if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
		return 0;
	if (append(t, name) != 0)
		return -1;
	int type = look_at_entry(t, &d);
	if (type < 0)
		return -1;
	if (type != FTW_NS && (t->flags & FTW_MOUNT) && d.object.device != t->device)
		return 0;
	if (type != FTW_D) {
		result = tell(t, &d, type);
	} else {
		int fresh = t->flags & FTW_PHYS ? 1 : seen_add(t, &d);
		result = fresh > 0 ? walk_directory(t, &d) : fresh;
	}
	return (t->flags & FTW_ACTIONRETVAL) && result == FTW_SKIP_SUBTREE ? 0 : result;
}

static int walk_entries(struct tree *t, struct level *l)
{
	const char *name;
	int result = 0;

	while (result == 0 && (name = level_next(l)))
		result = walk_entry(t, name);
	return (t->flags & FTW_ACTIONRETVAL) && result == FTW_SKIP_SIBLINGS ? 0 : result;
}

/* The path names a directory, and so it does again at the end. append() has left room for the slash. */
static int walk_below(struct tree *t, struct level *l)
{
	int base = t->where.base;
	size_t length = strlen(t->path);

	t->level = l;
	t->where.level++;
	if (t->path[length - 1] != '/') {
		t->path[length++] = '/';
		t->path[length] = '\0';
	}
	t->where.base = (int)length;
	int result = walk_entries(t, l);
	t->path[t->where.base - 1] = '\0';
	t->where.level--;
	t->where.base = base;
	t->level = l->above;
	return result;
}

static int walk_directory(struct tree *t, struct description *d)
{
	struct level l = { .above = t->level, .fd = -1, .next_name = "" };

	if (level_open(t, &l) != 0)
		return errno == EACCES ? tell(t, d, FTW_DNR) : -1;
	int result = t->flags & FTW_DEPTH ? 0 : tell(t, d, FTW_D);
	if (result == 0 && (t->flags & FTW_CHDIR))
		result = change_to(l.fd);
	else if (result != 0) {
		level_close(t, &l);
		return result;
	}
	if (result == 0)
		result = walk_below(t, &l);
	level_close(t, &l);
	next()->free(l.names);
	if (result == 0 && (t->flags & FTW_DEPTH))
		result = tell(t, d, FTW_DP);
	bool goes_on = result == 0 || ((t->flags & FTW_ACTIONRETVAL) && result != -1 && result != FTW_STOP);
	if (l.above && (t->flags & FTW_CHDIR) && goes_on && change_back(t) != 0)
		return -1;
	return result;
}

/* With FTW_CHDIR the first look is from the directory that the path's last component is in. */
static int change_to_parent(struct tree *t)
{
	if (t->where.base == 0)
		return 0;
	if (t->where.base == 1)
		return wrap_chdir("/");
	char kept = t->path[t->where.base - 1];

	t->path[t->where.base - 1] = '\0';
	int result = wrap_chdir(t->path);
	t->path[t->where.base - 1] = kept;
	return result;
}

static int walk_first(struct tree *t)
{
	struct description d = { 0 };
	const char *name;
	int dir = here(t, &name), result;

	if (look(t, dir, name, &d, t->flags & FTW_PHYS ? AT_SYMLINK_NOFOLLOW : 0) != 0) {
		if ((t->flags & FTW_PHYS) || errno != ENOENT ||
		    look(t, dir, name, &d, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(d.mode))
			return -1;
		return tell(t, &d, FTW_SLN);
	}
	if (S_ISDIR(d.mode)) {
		t->device = d.object.device;
		result = (t->flags & FTW_PHYS) || seen_add(t, &d) >= 0 ? walk_directory(t, &d) : -1;
	} else {
		result = tell(t, &d, S_ISLNK(d.mode) ? FTW_SL : FTW_F);
	}
	if ((t->flags & FTW_ACTIONRETVAL) && (result == FTW_SKIP_SUBTREE || result == FTW_SKIP_SIBLINGS))
		return 0;
	return result;
}

static int walk_from(struct tree *t, const char *path)
{
	size_t length = strlen(path);
	int back = -1, result = 0;

	t->room = 2 * length > PATH_MAX ? 2 * length : PATH_MAX;
	t->path = next()->malloc(t->room);
	if (!t->path)
		return -1;
	memcpy(t->path, path, length + 1);
	while (length > 1 && t->path[length - 1] == '/')
		t->path[--length] = '\0';
	while (length > 0 && t->path[length - 1] != '/')
		length--;
	t->where.base = (int)length;
	if (t->flags & FTW_CHDIR) {
		back = wrap_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		result = back < 0 ? -1 : change_to_parent(t);
	}
	if (result == 0)
		result = walk_first(t);
	int kept = errno;
	if (back >= 0) {
		change_to(back);
		sys_close(back);
	}
	next()->free(t->path);
	next()->free(t->seen);
	errno = kept;
	return result;
}

static int walk_tree(struct tree *t, const char *path, int streams)
{
	if (path[0] == '\0')
		return fail(ENOENT);
	t->streams_max = streams < 1 ? 1 : streams;
	return walk_from(t, path);
}

int wrap_ftw(const char *path, int (*callback)(const char *, const struct stat *, int), int streams)
{
	struct tree t = { .callback.plain = callback };

	return shim_active() ? walk_tree(&t, path, streams) : next()->ftw(path, callback, streams);
}

int wrap_ftw64(const char *path, int (*callback)(const char *, const struct stat64 *, int), int streams)
{
	struct tree t = { .callback.large = callback, .form = FORM_LARGE };

	return shim_active() ? walk_tree(&t, path, streams) : next()->ftw64(path, callback, streams);
}

typedef int nftw_callback(const char *, const struct stat *, int, struct FTW *);
typedef int nftw64_callback(const char *, const struct stat64 *, int, struct FTW *);

int wrap_nftw(const char *path, nftw_callback *callback, int streams, int flags)
{
	struct tree t = { .callback.full = callback, .full = true, .flags = flags };

	if (!shim_active())
		return next()->nftw(path, callback, streams, flags);
	return flags & ~(FLAGS_OLD | FTW_ACTIONRETVAL) ? fail(EINVAL) : walk_tree(&t, path, streams);
}

int wrap_nftw64(const char *path, nftw64_callback *callback, int streams, int flags)
{
	struct tree t = { .callback.full_large = callback, .full = true, .form = FORM_LARGE, .flags = flags };

	if (!shim_active())
		return next()->nftw64(path, callback, streams, flags);
	return flags & ~(FLAGS_OLD | FTW_ACTIONRETVAL) ? fail(EINVAL) : walk_tree(&t, path, streams);
}

/* The old versions pass over flags that they do not know. */
int wrap_nftw_old(const char *path, nftw_callback *callback, int streams, int flags)
{
	struct tree t = { .callback.full = callback, .full = true, .flags = flags & FLAGS_OLD };

	return shim_active() ? walk_tree(&t, path, streams)
			     : next()->nftw_old(path, callback, streams, flags);
}

int wrap_nftw64_old(const char *path, nftw64_callback *callback, int streams, int flags)
{
	struct tree t = {
		.callback.full_large = callback, .full = true, .form = FORM_LARGE, .flags = flags & FLAGS_OLD
	};

	return shim_active() ? walk_tree(&t, path, streams)
			     : next()->nftw64_old(path, callback, streams, flags);
}

#ifdef __i386__
int wrap___ftw64_time64(const char *path, int (*callback)(const char *, const struct stat_time64 *, int),
			int streams)
{
	struct tree t = { .callback.time64 = callback, .form = FORM_TIME64 };

	return shim_active() ? walk_tree(&t, path, streams) : next()->__ftw64_time64(path, callback, streams);
}

typedef int nftw_time64_callback(const char *, const struct stat_time64 *, int, struct FTW *);

int wrap___nftw64_time64(const char *path, nftw_time64_callback *callback, int streams, int flags)
{
	struct tree t = {
		.callback.full_time64 = callback, .full = true, .form = FORM_TIME64, .flags = flags
	};

	if (!shim_active())
		return next()->__nftw64_time64(path, callback, streams, flags);
	return flags & ~(FLAGS_OLD | FTW_ACTIONRETVAL) ? fail(EINVAL) : walk_tree(&t, path, streams);
}
#endif

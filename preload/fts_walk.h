/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fts_walk.h: the walk of fts(3). libc's looks at everything inside libc, follows links there (FTS_LOGICAL, FTS_FOLLOW), and hands
 * out paths that begin as its roots do: to give it mapped roots would be neither enough nor unseen. So under a pin the walk is ours, with
 * glibc's rules (io/fts.c), and each look goes through the wrapped calls. Paths are as the program spelled them.
 *
 * The structures are public (fts.h) and differ with the size of off_t and time_t, so a file defines what they are, and includes this once:
 *
 *     STREAM, ENTRY, STATUS          the types that the form has
 *     LOOK(dir, path, status, flags) fstatat(2) for it
 *
 * and exports stream_open() ... stream_close(). fts_set() is libc's: it writes one member of an entry. What libc has
 * opened (no pin) stays libc's: ours are told by OURS.
 *
 * Which entries there are: `fts_cur` and its right neighbours, its ancestors and theirs, all by fts_link and fts_parent; `fts_child`, what
 * has been read of fts_cur, if it has. An entry behind which the walk has gone is freed. All entries share one text, of
 * the most that fts_pathlen can say, so it never moves; what is not used of it is never touched.
 *
 * Memory is from malloc(3), as libc's is. None of these calls is async-signal-safe in libc.
 */
#include <limits.h>
#include <string.h>

#include "core/sys.h"
#include "preload/wrap.h"

#define OURS 0x4000 /* in fts_options, beside libc's own FTS_STOP and FTS_NAMEONLY */
#define PATH_ROOM ((size_t)USHRT_MAX + 1)
#define STATUS_ALIGNED (_Alignof(max_align_t) - 1)

typedef int compare_call(const ENTRY **, const ENTRY **);

enum purpose {
	FOR_NAMES,    /* fts_children(FTS_NAMEONLY) */
	FOR_CHILDREN, /* fts_children() */
	FOR_READ,     /* fts_read() goes on with them */
};

static bool has(const STREAM *s, int option)
{
	return s->fts_options & option;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* --- entries --- */

static ENTRY *entry_new(STREAM *s, const char *name, size_t length)
{
	const size_t fixed = (sizeof(ENTRY) + length + 1 + STATUS_ALIGNED) & ~STATUS_ALIGNED;
	ENTRY *e = next()->calloc(1, fixed + (has(s, FTS_NOSTAT) ? 0 : sizeof(STATUS)));

	if (!e)
		return NULL;
	memcpy(e->fts_name, name, length);
	e->fts_namelen = (unsigned short)length;
	e->fts_path = s->fts_path;
	e->fts_instr = FTS_NOINSTR;
	if (!has(s, FTS_NOSTAT))
		e->fts_statp = (void *)((char *)e + fixed);
	return e;
}

static void list_free(ENTRY *e)
{
	while (e) {
		ENTRY *behind = e->fts_link;

		next()->free(e);
		e = behind;
	}
}

static void children_free(STREAM *s)
{
	list_free(s->fts_child);
	s->fts_child = NULL;
}

/* Two sorted lists into one. Of equals the left one comes first. */
static ENTRY *list_merge(ENTRY *left, ENTRY *right, compare_call *compare)
{
	ENTRY *head = NULL, **end = &head;

	while (left && right) {
		const ENTRY *l = left, *r = right;
		ENTRY **from = compare(&l, &r) <= 0 ? &left : &right;

		*end = *from;
		end = &(*from)->fts_link;
		*from = *end;
	}
	*end = left ? left : right;
	return head;
}

static ENTRY *list_sort(ENTRY *list, compare_call *compare)
{
	ENTRY *middle = list, *end = list;

	if (!list || !list->fts_link)
		return list;
	while ((end = end->fts_link) && (end = end->fts_link))
		middle = middle->fts_link;
	end = middle->fts_link;
	middle->fts_link = NULL;
	return list_merge(list_sort(list, compare), list_sort(end, compare), compare);
}

static ENTRY *list_ordered(const STREAM *s, ENTRY *list)
{
	return s->fts_compar ? list_sort(list, (compare_call *)s->fts_compar) : list;
}

/* Where in the path the slash goes that what is below this entry begins with: "/" has it already. */
static size_t append_at(const ENTRY *e)
{
	return e->fts_pathlen - (size_t)(e->fts_pathlen > 0 && e->fts_path[e->fts_pathlen - 1] == '/');
}

static void path_append(STREAM *s, const ENTRY *parent, const ENTRY *e)
{
	char *to = s->fts_path + append_at(parent);

	*to++ = '/';
	memcpy(to, e->fts_name, e->fts_namelen + (size_t)1);
}

/* --- what an entry is --- */

static const ENTRY *find_cycle(const ENTRY *e)
{
	for (const ENTRY *p = e->fts_parent; p->fts_level >= FTS_ROOTLEVEL; p = p->fts_parent)
		if (p->fts_ino == e->fts_ino && p->fts_dev == e->fts_dev)
			return p;
	return NULL;
}

static unsigned short directory_kind(ENTRY *e, const STATUS *st)
{
	e->fts_dev = st->st_dev;
	e->fts_ino = st->st_ino;
	e->fts_nlink = st->st_nlink;
	if (is_dots(e->fts_name))
		return FTS_DOT;
	const ENTRY *cycle = find_cycle(e);
	if (!cycle)
		return FTS_D;
	e->fts_cycle = (ENTRY *)(uintptr_t)cycle;
	return FTS_DC;
}

static unsigned short entry_kind(STREAM *s, ENTRY *e, bool follow)
{
	STATUS own, *st = has(s, FTS_NOSTAT) ? &own : (STATUS *)(void *)e->fts_statp;
	const bool follows = follow || has(s, FTS_LOGICAL);

	if (LOOK(AT_FDCWD, e->fts_accpath, st, follows ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
		e->fts_errno = errno;
		if (follows && LOOK(AT_FDCWD, e->fts_accpath, st, AT_SYMLINK_NOFOLLOW) == 0) {
			e->fts_errno = 0;
			errno = 0;
			return FTS_SLNONE;
		}
		memset(st, 0, sizeof(*st));
		return FTS_NS;
	}
	if (S_ISDIR(st->st_mode))
		return directory_kind(e, st);
	return S_ISLNK(st->st_mode) ? FTS_SL : S_ISREG(st->st_mode) ? FTS_F : FTS_DEFAULT;
}

/* --- the working directory, which the walk takes along unless FTS_NOCHDIR is given --- */

static int open_here(void)
{
	return wrap_openat(AT_FDCWD, ".", O_RDONLY | O_CLOEXEC);
}

/* 0 or -1. */
static int change_to(const STREAM *s, int fd)
{
	if (has(s, FTS_NOCHDIR))
		return 0;
	memory_cwd_begin();
	long error = sys_call(SYS_fchdir, fd, 0, 0, 0, 0, 0);
	memory_cwd_end(error == 0);
	return error ? fail((int)-error) : 0;
}

/* Into a directory that has been looked at, if it is still the same. */
static int change_to_entry(const STREAM *s, const ENTRY *e, int fd)
{
	STATUS st;

	if (has(s, FTS_NOCHDIR))
		return 0;
	if (LOOK(fd, "", &st, AT_EMPTY_PATH) != 0)
		return -1;
	if (st.st_dev != e->fts_dev || st.st_ino != e->fts_ino)
		return fail(ENOENT);
	return change_to(s, fd);
}

static int change_by_path(const STREAM *s, const ENTRY *e, const char *path)
{
	if (has(s, FTS_NOCHDIR))
		return 0;
	int fd = wrap_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = change_to_entry(s, e, fd);
	sys_close(fd);
	return result;
}

/* Back from a directory to the one that it was found in. */
static int change_up(const STREAM *s, const ENTRY *e)
{
	return e->fts_level == FTS_ROOTLEVEL ? change_to(s, s->fts_rfd)
					     : change_by_path(s, e->fts_parent, "..");
}

/* --- reading a directory --- */

struct reading {
	enum purpose purpose;
	DIR *stream;
	int fd;
	ENTRY *head;
	ENTRY **end;
	bool descended;
	bool by_type; /* what the directory says of a type will do, where it is no directory */
	int links; /* how many directories may still be met; 0: nothing has to be looked at; negative: everything */
};

static int reading_open(struct reading *r, const ENTRY *e)
{
	r->fd = wrap_openat(AT_FDCWD, e->fts_accpath, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (r->fd < 0)
		return -1;
	r->stream = next()->fdopendir(r->fd);
	if (!r->stream)
		sys_close(r->fd);
	return r->stream ? 0 : -1;
}

static void reading_close(struct reading *r)
{
	int kept = errno;

	if (r->stream)
		next()->closedir(r->stream);
	r->stream = NULL;
	errno = kept;
}

static ENTRY *reading_fail(struct reading *r, STREAM *s, int error)
{
	reading_close(r);
	list_free(r->head);
	s->fts_cur->fts_info = FTS_ERR;
	s->fts_options |= FTS_STOP;
	errno = error;
	return NULL;
}

/* In a directory with two links there is no other. */
static void plan(struct reading *r, const STREAM *s)
{
	r->by_type = r->purpose != FOR_NAMES && has(s, FTS_NOSTAT) && has(s, FTS_PHYSICAL);
	if (r->purpose == FOR_NAMES)
		r->links = 0;
	else if (r->by_type)
		r->links = (int)s->fts_cur->fts_nlink - (has(s, FTS_SEEDOT) ? 0 : 2);
	else
		r->links = -1;
}

/* What cannot be entered has no names either; the program hears of it at the end of the directory. */
static void descend(struct reading *r, STREAM *s)
{
	ENTRY *e = s->fts_cur;

	if (r->links == 0 && r->purpose != FOR_READ)
		return;
	r->descended = change_to_entry(s, e, r->fd) == 0;
	if (r->descended)
		return;
	if (r->links != 0 && r->purpose == FOR_READ)
		e->fts_errno = errno;
	e->fts_flags |= FTS_DONTCHDIR;
	reading_close(r);
}

static void place(struct reading *r, STREAM *s, ENTRY *e, unsigned char type)
{
	e->fts_accpath = has(s, FTS_NOCHDIR) ? e->fts_path : e->fts_name;
	if (r->links == 0 || (r->by_type && type != DT_DIR && type != DT_UNKNOWN)) {
		e->fts_info = FTS_NSOK;
		return;
	}
	if (has(s, FTS_NOCHDIR))
		path_append(s, s->fts_cur, e);
	e->fts_info = entry_kind(s, e, false);
	if (r->links > 0 && (e->fts_info == FTS_D || e->fts_info == FTS_DC || e->fts_info == FTS_DOT))
		r->links--;
}

/* 0 or an errno. */
static int add(struct reading *r, STREAM *s, const struct dirent64 *found)
{
	const size_t length = strlen(found->d_name), path_length = append_at(s->fts_cur) + 1 + length;

	if (path_length >= USHRT_MAX)
		return ENAMETOOLONG;
	ENTRY *e = entry_new(s, found->d_name, length);
	if (!e)
		return ENOMEM;
	e->fts_level = (short)(s->fts_cur->fts_level + 1);
	e->fts_parent = s->fts_cur;
	e->fts_pathlen = (unsigned short)path_length;
	place(r, s, e, found->d_type);
	*r->end = e;
	r->end = &e->fts_link;
	return 0;
}

static ENTRY *directory_read(STREAM *s, enum purpose purpose)
{
	struct reading r = { .purpose = purpose, .end = &r.head };
	ENTRY *e = s->fts_cur;
	const struct dirent64 *found;
	const size_t slash = append_at(e);

	if (reading_open(&r, e) != 0) {
		if (purpose == FOR_READ) {
			e->fts_info = FTS_DNR;
			e->fts_errno = errno;
		}
		return NULL;
	}
	plan(&r, s);
	descend(&r, s);
	while (r.stream && (found = next()->readdir64(r.stream))) {
		if (is_dots(found->d_name) && !has(s, FTS_SEEDOT))
			continue;
		int error = add(&r, s, found);
		if (error)
			return reading_fail(&r, s, error);
	}
	reading_close(&r);
	/* Behind the slash, where there is something below: so libc leaves it, too. */
	if (has(s, FTS_NOCHDIR)) {
		s->fts_path[slash] = r.head ? '/' : '\0';
		s->fts_path[slash + 1] = '\0';
	}
	if (r.descended && (purpose == FOR_CHILDREN || !r.head) && change_up(s, e) != 0)
		return reading_fail(&r, s, errno);
	if (!r.head && purpose == FOR_READ)
		e->fts_info = FTS_DP;
	return list_ordered(s, r.head);
}

/* --- the walk --- */

static void entry_follow(STREAM *s, ENTRY *e)
{
	e->fts_info = entry_kind(s, e, true);
	if (e->fts_info != FTS_D || has(s, FTS_NOCHDIR))
		return;
	e->fts_symfd = open_here();
	if (e->fts_symfd < 0) {
		e->fts_errno = errno;
		e->fts_info = FTS_ERR;
	} else {
		e->fts_flags |= FTS_SYMFOLLOW;
	}
}

/* A root's name is all of its path, until it is read. */
static ENTRY *root_load(STREAM *s, ENTRY *e)
{
	const char *slash = strrchr(e->fts_name, '/');

	e->fts_pathlen = e->fts_namelen;
	memcpy(s->fts_path, e->fts_name, e->fts_namelen + (size_t)1);
	if (slash && (slash != e->fts_name || slash[1])) {
		const size_t length = strlen(slash + 1);

		memmove(e->fts_name, slash + 1, length + 1);
		e->fts_namelen = (unsigned short)length;
	}
	e->fts_accpath = e->fts_path;
	s->fts_dev = e->fts_dev;
	return e;
}

static ENTRY *stop(STREAM *s)
{
	s->fts_options |= FTS_STOP;
	return NULL;
}

/* A directory in which all has been read: it is told of once more. */
static ENTRY *walk_up(STREAM *s, ENTRY *from)
{
	ENTRY *e = from->fts_parent;
	int result = 0;

	next()->free(from);
	s->fts_cur = e;
	if (!e || e->fts_level == FTS_ROOTPARENTLEVEL) {
		next()->free(e);
		errno = 0;
		return s->fts_cur = NULL;
	}
	s->fts_path[e->fts_pathlen] = '\0';
	const bool followed = e->fts_flags & FTS_SYMFOLLOW;
	if (followed && e->fts_level != FTS_ROOTLEVEL)
		result = change_to(s, e->fts_symfd);
	else if (e->fts_level == FTS_ROOTLEVEL || !(e->fts_flags & FTS_DONTCHDIR))
		result = change_up(s, e);
	if (followed)
		sys_close(e->fts_symfd);
	if (result != 0)
		return stop(s);
	e->fts_info = e->fts_errno ? FTS_ERR : FTS_DP;
	return e;
}

/* To the right neighbour that is not to be skipped; else up. */
static ENTRY *walk_on(STREAM *s, ENTRY *e)
{
	for (ENTRY *behind; (behind = e->fts_link); e = behind) {
		s->fts_cur = behind;
		next()->free(e);
		if (behind->fts_level == FTS_ROOTLEVEL)
			return change_to(s, s->fts_rfd) == 0 ? root_load(s, behind) : stop(s);
		if (behind->fts_instr == FTS_SKIP)
			continue;
		if (behind->fts_instr == FTS_FOLLOW) {
			entry_follow(s, behind);
			behind->fts_instr = FTS_NOINSTR;
		}
		path_append(s, behind->fts_parent, behind);
		return behind;
	}
	return walk_up(s, e);
}

/*
 * Below a directory that fts_children() has read already. If it can no longer be entered, its names are told all the same, and the error at
 * its end.
 */
static void enter_read(STREAM *s, ENTRY *e)
{
	if (change_by_path(s, e, e->fts_accpath) == 0)
		return;
	e->fts_errno = errno;
	e->fts_flags |= FTS_DONTCHDIR;
	for (ENTRY *child = s->fts_child; child; child = child->fts_link)
		child->fts_accpath = e->fts_accpath;
}

static ENTRY *walk_down(STREAM *s, ENTRY *e, int instruction)
{
	if (instruction == FTS_SKIP || (has(s, FTS_XDEV) && e->fts_dev != s->fts_dev)) {
		if (e->fts_flags & FTS_SYMFOLLOW)
			sys_close(e->fts_symfd);
		children_free(s);
		e->fts_info = FTS_DP;
		return e;
	}
	if (s->fts_child && has(s, FTS_NAMEONLY)) {
		s->fts_options &= ~FTS_NAMEONLY;
		children_free(s);
	}
	if (s->fts_child)
		enter_read(s, e);
	else if (!(s->fts_child = directory_read(s, FOR_READ)))
		return has(s, FTS_STOP) ? NULL : e;
	s->fts_cur = s->fts_child;
	s->fts_child = NULL;
	path_append(s, e, s->fts_cur);
	return s->fts_cur;
}

/* --- the calls --- */

static ENTRY *stream_read(STREAM *s)
{
	ENTRY *e = s->fts_cur;

	if (!e || has(s, FTS_STOP))
		return NULL;
	const int instruction = e->fts_instr;
	e->fts_instr = FTS_NOINSTR;
	if (instruction == FTS_AGAIN) {
		e->fts_info = entry_kind(s, e, false);
		return e;
	}
	if (instruction == FTS_FOLLOW && (e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE)) {
		entry_follow(s, e);
		return e;
	}
	return e->fts_info == FTS_D ? walk_down(s, e, instruction) : walk_on(s, e);
}

static ENTRY *stream_children(STREAM *s, int how)
{
	const ENTRY *e = s->fts_cur;

	if (how != 0 && how != FTS_NAMEONLY) {
		errno = EINVAL;
		return NULL;
	}
	/* So an empty directory is told from an error. */
	errno = 0;
	if (!e || has(s, FTS_STOP))
		return NULL;
	if (e->fts_info == FTS_INIT)
		return e->fts_link;
	if (e->fts_info != FTS_D)
		return NULL;
	children_free(s);
	s->fts_options |= how;
	const enum purpose purpose = how ? FOR_NAMES : FOR_CHILDREN;
	if (e->fts_level != FTS_ROOTLEVEL || e->fts_accpath[0] == '/' || has(s, FTS_NOCHDIR))
		return s->fts_child = directory_read(s, purpose);
	/* From a relative root the walk has not gone anywhere yet, and ".." would not lead back here. */
	int back = open_here();
	if (back < 0)
		return NULL;
	s->fts_child = directory_read(s, purpose);
	int kept = errno;
	int result = change_to(s, back);
	sys_close(back);
	if (result != 0)
		return NULL;
	errno = kept;
	return s->fts_child;
}

/* What is left of the walk: from where it is to its right and up. */
static void stream_free(STREAM *s)
{
	for (ENTRY *e = s->fts_cur; e;) {
		ENTRY *behind = e->fts_link ? e->fts_link : e->fts_parent;

		next()->free(e);
		e = behind;
	}
	list_free(s->fts_child);
	next()->free(s->fts_path);
	next()->free(s);
}

static int stream_close(STREAM *s)
{
	int result = 0;

	if (!has(s, FTS_NOCHDIR)) {
		result = change_to(s, s->fts_rfd);
		sys_close(s->fts_rfd);
	}
	int kept = errno;
	stream_free(s);
	errno = kept;
	return result;
}

/* NULL with errno; what has been made stays in the list of `first`. */
static ENTRY *root_new(STREAM *s, ENTRY *first, const char *path)
{
	const size_t length = strlen(path);

	if (length == 0 || length >= USHRT_MAX) {
		errno = length ? ENAMETOOLONG : ENOENT;
		return NULL;
	}
	ENTRY *e = entry_new(s, path, length);
	if (!e)
		return NULL;
	e->fts_level = FTS_ROOTLEVEL;
	e->fts_parent = first->fts_parent;
	e->fts_accpath = e->fts_name;
	e->fts_info = entry_kind(s, e, has(s, FTS_COMFOLLOW));
	if (e->fts_info == FTS_DOT) /* as a root it is a directory */
		e->fts_info = FTS_D;
	return e;
}

/* The roots behind an entry that stands for the time before the first. To be sorted they are in libc's order, the last one first. */
static bool add_roots(STREAM *s, char *const *paths)
{
	ENTRY *first = s->fts_cur, **end = &first->fts_link;

	for (; *paths; paths++) {
		ENTRY *e = root_new(s, first, *paths);

		if (!e)
			return false;
		if (s->fts_compar) {
			e->fts_link = first->fts_link;
			first->fts_link = e;
		} else {
			*end = e;
			end = &e->fts_link;
		}
	}
	first->fts_link = list_ordered(s, first->fts_link);
	return true;
}

static bool begin(STREAM *s, char *const *paths)
{
	s->fts_path = next()->malloc(PATH_ROOM);
	s->fts_cur = s->fts_path ? entry_new(s, "", 0) : NULL;
	if (!s->fts_cur)
		return false;
	s->fts_cur->fts_info = FTS_INIT;
	s->fts_cur->fts_parent = entry_new(s, "", 0);
	if (!s->fts_cur->fts_parent)
		return false;
	s->fts_cur->fts_parent->fts_level = FTS_ROOTPARENTLEVEL;
	s->fts_path[0] = '\0';
	return add_roots(s, paths);
}

static STREAM *stream_open(char *const *paths, int options, compare_call *compare)
{
	if (options & ~FTS_OPTIONMASK) {
		errno = EINVAL;
		return NULL;
	}
	STREAM *s = next()->calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->fts_compar = (int (*)(const void *, const void *))compare;
	/* Links cannot be left by "..". */
	s->fts_options = options | OURS | (options & FTS_LOGICAL ? FTS_NOCHDIR : 0);
	if (!begin(s, paths)) {
		int kept = errno;
		stream_free(s);
		errno = kept;
		return NULL;
	}
	if (!has(s, FTS_NOCHDIR)) {
		s->fts_rfd = open_here();
		if (s->fts_rfd < 0)
			s->fts_options |= FTS_NOCHDIR;
	}
	return s;
}

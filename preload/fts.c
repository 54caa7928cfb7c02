/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fts(3). The walk stays libc's: it is given the mapped roots, and each entry that it hands out gets the path that the program would
 * have seen, for as long as the program has it: before libc goes on, the entry is put back as libc left it (hide()). An entry is the
 * program's until its next call on the stream, and so is the text.
 *
 * What belongs to a stream is kept in a list that only grows: a closed stream's place is used again. Its memory comes from
 * malloc(3), as libc's does for a walk.
 *
 * Not reached: links that libc follows below a root (FTS_LOGICAL, FTS_FOLLOW) are followed inside libc, and so are the
 * names of the roots, which fts_children() tells before the first fts_read(): they are the mapped ones.
 */
#define EXPORT_fts EXPORT
#include "preload/as_libc.h"

#include <string.h>

#include "preload/wrap.h"

/* One root as the program spelled it, and how long it is as libc was given it. */
struct root {
	const FTSENT *entry;
	const char *spelled;
	size_t length;
	size_t mapped_length;
	bool moved;
};

struct stream {
	struct stream *next;
	FTS *fts; /* NULL: free; otherwise whose it is */
	struct root *roots;
	size_t count;
	char *shown; /* the path as the program sees it */
	size_t room;
	FTSENT *entry; /* that the program has; NULL if there is none of ours */
	char *path;    /* what libc has in it */
	unsigned short path_length;
	bool accpath;
};

static struct stream *streams;

/* A program that closes a stream while it reads it in another thread is beyond help. */
static struct stream *stream_of(const void *fts)
{
	struct stream *s = __atomic_load_n(&streams, __ATOMIC_ACQUIRE);

	while (s && __atomic_load_n(&s->fts, __ATOMIC_ACQUIRE) != fts)
		s = s->next;
	return s;
}

static struct stream *stream_claim(FTS *fts)
{
	struct stream *s = __atomic_load_n(&streams, __ATOMIC_ACQUIRE);

	for (; s; s = s->next) {
		FTS *none = NULL;

		if (__atomic_compare_exchange_n(&s->fts, &none, fts, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return s;
	}
	s = next()->calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->fts = fts;
	s->next = __atomic_load_n(&streams, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&streams, &s->next, s, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return s;
}

static void stream_release(struct stream *s)
{
	next()->free(s->roots);
	next()->free(s->shown);
	s->roots = NULL;
	s->shown = NULL;
	s->room = 0;
	s->entry = NULL;
	__atomic_store_n(&s->fts, NULL, __ATOMIC_RELEASE);
}

/* Gives the entry that the program has back to libc. */
static void hide(struct stream *s)
{
	FTSENT *e = s->entry;

	if (!e)
		return;
	e->fts_path = s->path;
	e->fts_pathlen = s->path_length;
	if (s->accpath)
		e->fts_accpath = s->path;
	s->entry = NULL;
}

static const struct root *root_of(const struct stream *s, const FTSENT *e)
{
	while (e->fts_level > FTS_ROOTLEVEL)
		e = e->fts_parent;
	for (size_t i = 0; i < s->count; i++)
		if (s->roots[i].entry == e)
			return &s->roots[i];
	return NULL;
}

/* libc has made the name of a root the last part of its path; the place is as long as the mapped root was. */
static void name_root(const struct root *r, FTSENT *e)
{
	const char *name = strrchr(r->spelled, '/');

	name = name && (name != r->spelled || name[1]) ? name + 1 : r->spelled;
	size_t length = strlen(name);
	if (length > r->mapped_length)
		return;
	memcpy(e->fts_name, name, length + 1);
	e->fts_namelen = (unsigned short)length;
}

/* Shows an entry that libc hands out. Without memory for the text it is shown as libc has it. */
static FTSENT *show(struct stream *s, FTSENT *e)
{
	const struct root *r = e ? root_of(s, e) : NULL;

	if (!r || !r->moved || e->fts_pathlen < r->mapped_length)
		return e;
	size_t rest = e->fts_pathlen - r->mapped_length;
	if (r->length + rest + 1 > s->room) {
		char *shown = next()->realloc(s->shown, 2 * (r->length + rest + 1));
		if (!shown)
			return e;
		s->shown = shown;
		s->room = 2 * (r->length + rest + 1);
	}
	memcpy(s->shown, r->spelled, r->length);
	memcpy(s->shown + r->length, e->fts_path + r->mapped_length, rest);
	s->shown[r->length + rest] = '\0';
	s->entry = e;
	s->path = e->fts_path;
	s->path_length = e->fts_pathlen;
	s->accpath = e->fts_accpath == e->fts_path;
	e->fts_path = s->shown;
	e->fts_pathlen = (unsigned short)(r->length + rest);
	if (s->accpath)
		e->fts_accpath = s->shown;
	if (e->fts_level == FTS_ROOTLEVEL)
		name_root(r, e);
	return e;
}

/* libc may have sorted the roots: they are told by their names, which are still whole. */
static void match_roots(struct stream *s, char *const *mapped)
{
	for (const FTSENT *e = s->fts->fts_cur->fts_link; e; e = e->fts_link) {
		for (size_t i = 0; i < s->count; i++) {
			if (s->roots[i].entry || strcmp(e->fts_name, mapped[i]) != 0)
				continue;
			s->roots[i].entry = e;
			break;
		}
	}
}

/* One block: the roots, and behind them their texts. */
static bool keep_roots(struct stream *s, char *const *paths, char *const *mapped, size_t count)
{
	size_t size = count * sizeof(*s->roots);

	for (size_t i = 0; i < count; i++)
		size += strlen(paths[i]) + 1;
	s->roots = next()->calloc(1, size);
	if (!s->roots)
		return false;
	s->count = count;
	char *text = (char *)(s->roots + count);
	for (size_t i = 0; i < count; i++) {
		s->roots[i].spelled = text;
		s->roots[i].length = strlen(paths[i]);
		s->roots[i].mapped_length = strlen(mapped[i]);
		s->roots[i].moved = mapped[i] != paths[i];
		memcpy(text, paths[i], s->roots[i].length + 1);
		text += s->roots[i].length + 1;
	}
	match_roots(s, mapped);
	return true;
}

typedef FTS *open_call(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **));
typedef FTSENT *read_call(FTS *fts);
typedef FTSENT *children_call(FTS *fts, int options);
typedef int close_call(FTS *fts);

static FTS *open_mapped(open_call *call, close_call *undo, char *const *paths, char *const *mapped,
			size_t count, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
	FTS *fts = call(mapped, options, compare);
	struct stream *s = fts ? stream_claim(fts) : NULL;

	if (!fts || (s && keep_roots(s, paths, mapped, count)))
		return fts;
	if (s)
		stream_release(s);
	undo(fts);
	errno = ENOMEM;
	return NULL;
}

static FTS *stream_open(open_call *call, close_call *undo, char *const *paths, int options,
			int (*compare)(const FTSENT **, const FTSENT **))
{
	enum map_leaf leaf = options & (FTS_LOGICAL | FTS_COMFOLLOW) ? LEAF_FOLLOW : LEAF_NOFOLLOW;
	size_t count = 0, moved = 0;

	if (!shim_active() || !paths)
		return call(paths, options, compare);
	while (paths[count])
		count++;
	char **mapped = __builtin_alloca((count + 1) * sizeof(*mapped));
	mapped[count] = NULL;
	for (size_t i = 0; i < count; i++) {
		struct mapped m = { .door = -1 };

		MAP(m, AT_FDCWD, paths[i], leaf);
		mapped[i] = m.kind == MAP_MOVED ? (char *)(uintptr_t)m.path : paths[i];
		moved += m.kind == MAP_MOVED;
		if (m.door >= 0) { /* the walk would outlive it */
			map_close_door(&m);
			errno = ENAMETOOLONG;
			return NULL;
		}
	}
	return moved ? open_mapped(call, undo, paths, mapped, count, options, compare)
		     : call(paths, options, compare);
}

/* Without FTS_NOCHDIR libc changes the directory as it goes, inside libc: reading and closing leave it in another one. */
static bool changes_directory(const FTS *fts)
{
	return !(fts->fts_options & FTS_NOCHDIR);
}

static FTSENT *stream_read(read_call *call, FTS *fts)
{
	struct stream *s = stream_of(fts);
	bool changes = changes_directory(fts);

	if (s)
		hide(s);
	memory_cwd_begin();
	FTSENT *entry = call(fts);
	memory_cwd_end(changes);
	return s ? show(s, entry) : entry;
}

static FTSENT *stream_children(children_call *call, FTS *fts, int options)
{
	struct stream *s = stream_of(fts);
	FTSENT *had = s ? s->entry : NULL;

	if (had)
		hide(s);
	memory_cwd_begin();
	FTSENT *children = call(fts, options);
	memory_cwd_end(false);
	int kept = errno;
	if (had)
		show(s, had);
	errno = kept;
	return children;
}

static int stream_close(close_call *call, FTS *fts)
{
	struct stream *s = stream_of(fts);
	bool changes = changes_directory(fts);

	if (s) {
		hide(s);
		stream_release(s);
	}
	memory_cwd_begin();
	int result = call(fts);
	memory_cwd_end(changes);
	return result;
}

FTS *wrap_fts_open(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
	return stream_open(next()->fts_open, next()->fts_close, paths, options, compare);
}

FTSENT *wrap_fts_read(FTS *fts)
{
	return stream_read(next()->fts_read, fts);
}

FTSENT *wrap_fts_children(FTS *fts, int options)
{
	return stream_children(next()->fts_children, fts, options);
}

int wrap_fts_close(FTS *fts)
{
	return stream_close(next()->fts_close, fts);
}

/* Where off_t is 64 bits wide anyway, both forms have the same structures; elsewhere the second is left to libc. */
#if __WORDSIZE == 64
FTS *wrap_fts64_open(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **))
{
	return stream_open(next()->fts64_open, next()->fts64_close, paths, options, compare);
}

FTSENT *wrap_fts64_read(FTS *fts)
{
	return stream_read(next()->fts64_read, fts);
}

FTSENT *wrap_fts64_children(FTS *fts, int options)
{
	return stream_children(next()->fts64_children, fts, options);
}

int wrap_fts64_close(FTS *fts)
{
	return stream_close(next()->fts64_close, fts);
}
#endif

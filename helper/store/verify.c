/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"

/*
 * Tree and manifest are both in path_order(): a climb goes through a directory's names sorted by their bytes, and into
 * each directory at once. So they are merged in one pass.
 */
struct walk {
	struct verify *verify;
	uint64_t number;
	struct climb climb;
	const struct record *manifest;
	size_t at;  /* the next entry */
	char *path; /* of the directory that we are in, with a slash behind it; "" for the root */
	size_t length, room;
};

static void tell(const struct walk *walk, const char *path, const char *what)
{
	walk->verify->found(walk->verify->context, walk->number, path, what);
}

/* Appends `name` to the directory's path. */
static void path_append(struct walk *walk, const char *name)
{
	const size_t length = strlen(name);

	if (walk->length + length + 2 > walk->room) {
		walk->room = (walk->length + length + 2) * 2;
		walk->path = alloc_grow(walk->path, walk->room, 1);
	}
	memcpy(walk->path + walk->length, name, length + 1);
}

/* The manifest's entry of `path`; what comes before it there is not in the tree any more. NULL: there is none. */
static const struct record_entry *entry_of(struct walk *walk, const char *path)
{
	const struct record *manifest = walk->manifest;

	for (; walk->at < manifest->count; walk->at++) {
		const int order = path_order(manifest->entries[walk->at].path, path);

		if (order == 0)
			return &manifest->entries[walk->at++];
		if (order > 0)
			return NULL;
		tell(walk, manifest->entries[walk->at].path, "is missing");
	}
	return NULL;
}

static bool same_metadata(const struct record_entry *entry, const struct statx *st)
{
	return entry->mode == st->stx_mode && entry->uid == st->stx_uid && entry->gid == st->stx_gid &&
	       entry->rdev == ((uint64_t)st->stx_rdev_major << 32 | st->stx_rdev_minor) &&
	       entry->mtime == st->stx_mtime.tv_sec && entry->mtime_ns == st->stx_mtime.tv_nsec;
}

/* Of what has several names the digests are made once. */
static int digests_of(struct verify *verify, int dir, const char *name, const struct statx *st,
		      struct verify_digests *digests)
{
	struct inode_entry *seen = NULL;

	if (st->stx_nlink > 1 && S_ISREG(st->stx_mode))
		seen = inode_table_add(&verify->seen, st);
	if (seen && seen->a != 0) {
		*digests = verify->digests[seen->a - 1];
		return 0;
	}
	if (digest_object(dir, name, st, &digests->content, &digests->attrs) != 0)
		return -1;
	if (!seen)
		return 0;
	/* Doubled at each power of two. */
	if ((verify->count & (verify->count - 1)) == 0)
		verify->digests = alloc_grow(verify->digests, verify->count * 2 + 1,
					     sizeof(*verify->digests));
	verify->digests[verify->count++] = *digests;
	seen->a = verify->count;
	return 0;
}

/* The object dir/name, which `st` says, against its entry. */
static int compare(struct walk *walk, const char *path, int dir, const char *name, const struct statx *st)
{
	const struct record_entry *entry = entry_of(walk, path);
	struct verify_digests digests;

	if (!entry) {
		tell(walk, path, "was not published");
		return 0;
	}
	if ((entry->mode ^ st->stx_mode) & S_IFMT) {
		tell(walk, path, "is of another kind than was published");
		return 0;
	}
	if (!same_metadata(entry, st))
		tell(walk, path, "has another mode, owner or time than was published");
	if (digests_of(walk->verify, dir, name, st, &digests) != 0)
		return -1;
	if (memcmp(&digests.content, &entry->content, sizeof(digests.content)) != 0)
		tell(walk, path, "has another content than was published");
	if (memcmp(&digests.attrs, &entry->attrs, sizeof(digests.attrs)) != 0)
		tell(walk, path, "has other attributes than were published");
	return 0;
}

static int enter(struct walk *walk, const char *name, const struct statx *st, struct err *err)
{
	struct climb *climb = &walk->climb;
	const size_t before = walk->length;
	int fd = climb_open(climb, 0, name, st);

	if (fd < 0)
		return climb_fail(climb, "cannot open", name, err);
	if (compare(walk, walk->path, fd, "", st) != 0) {
		close(fd);
		return climb_fail(climb, "cannot read", name, err);
	}
	walk->length += strlen(name);
	walk->path[walk->length++] = '/';
	if (climb_enter(climb, name, fd, -1, err) != 0)
		return -1;
	climb_top(climb)->mark = before;
	return 0;
}

static int step(struct walk *walk, struct err *err)
{
	struct climb *climb = &walk->climb;
	const char *name = climb_next(climb);
	struct statx st;

	if (name == NULL) {
		walk->length = climb_top(climb)->mark;
		return climb_leave(climb, NULL, err);
	}
	path_append(walk, name);
	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot read", name, err);
	if (statx_is_directory(&st))
		return enter(walk, name, &st, err);
	if (compare(walk, walk->path, climb_top(climb)->fd[0], name, &st) != 0)
		return climb_fail(climb, "cannot read", name, err);
	return 0;
}

static int walk_all(struct walk *walk, const struct store *store, struct err *err)
{
	char name[STORE_NAME_ROOM];
	struct statx st;

	snapshot_name(walk->number, name);
	int fd = climb_open_root(store->dir, name, err);
	if (fd < 0)
		return -1;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) != 0 ||
	    compare(walk, "", fd, "", &st) != 0) {
		close(fd);
		return err_errno(err, STATUS_FAILED, store->path, "%s: cannot be read", name);
	}
	climb_start(&walk->climb, name);
	path_append(walk, "");
	int result = climb_enter(&walk->climb, name, fd, -1, err);
	while (result == 0 && walk->climb.depth != 0)
		result = step(walk, err);
	climb_release(&walk->climb);
	for (; result == 0 && walk->at < walk->manifest->count; walk->at++)
		tell(walk, walk->manifest->entries[walk->at].path, "is missing");
	return result;
}

int verify_snapshot(struct verify *verify, const struct store *store, uint64_t number,
		    enum record_state *state, struct err *err)
{
	struct record manifest;
	struct walk walk = { .verify = verify, .number = number, .manifest = &manifest };
	int result = 0;

	*state = record_manifest(store, number, &manifest);
	if (*state == RECORD_GOOD)
		result = walk_all(&walk, store, err);
	record_release(&manifest);
	free(walk.path);
	return result;
}

void verify_release(struct verify *verify)
{
	inode_table_release(&verify->seen);
	free(verify->digests);
	*verify = (struct verify)VERIFY_NONE;
}

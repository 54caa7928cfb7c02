/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/transport/below.h"
#include "helper/transport/unpack.h"
#include "helper/transport/unpack_names.h"
#include "helper/transport/unpack_stream.h"
#include "helper/tree/climb.h"
#include "helper/tree/reach.h"
#include "helper/tree/tree.h"

#define BLOCK (256 * 1024)

/* Two blocks of 512 bytes; whoever writes a tar may add more. */
#define END_MARK 1024

struct tar {
	const struct unpack *unpack;
	struct unpack_stream *stream;
	struct archive *archive;
	struct unpack_sum sum;
	struct names names;
	struct reach reach;
	struct named *parent; /* the directory that the last entry was in */
	char *top; /* the leading directories that are cut off: the same in all names; NULL: not known yet */
	char *buffer;
	uid_t uid; /* whose all of it is */
};

/* Where an entry goes. */
struct place {
	const char *path, *name;
	int dir;
	bool fresh; /* the directory that it is in is */
	bool there; /* the tree has something of that name, which was not in the archive so far: */
	struct stat st;
};

static void tar_release(struct tar *tar)
{
	reach_release(&tar->reach);
	names_release(&tar->names);
	archive_read_free(tar->archive);
	unpack_stream_close(tar->stream);
	free(tar->top);
	free(tar->buffer);
}

static int fail(const char *path, const char *why, struct err *err)
{
	return err_fail(err, STATUS_FAILED, "the archive", "%s: %s", path, why);
}

static int fail_errno(const char *path, const char *why, struct err *err)
{
	return err_errno(err, STATUS_FAILED, "the archive", "%s: %s", path, why);
}

/* What is in a fresh directory is meant by that. */
static void changed(const struct tar *tar, const struct place *place)
{
	if (!place->fresh)
		changes_add(tar->unpack->changes, place->path, strlen(place->path));
}

/* --- names --- */

/* The same in all names, so that nothing is put where something else belongs. */
static int top_check(struct tar *tar, const char *name, size_t length, struct err *err)
{
	if (!tar->top)
		tar->top = alloc_printf("%.*s", (int)length, name);
	if (strlen(tar->top) == length && strncmp(tar->top, name, length) == 0)
		return 0;
	return fail(name, "not below the one directory that all is in (sync-rcu-strip)", err);
}

/* The path in the tree that an entry is for, or "" for the tree itself; NULL: not a good one. The caller frees it. */
static char *name_of(struct tar *tar, const char *given, struct err *err)
{
	const char *name = given;

	while (strncmp(name, "./", 2) == 0)
		name += 2 + strspn(name + 2, "/");
	char *path = alloc_copy(strcmp(name, ".") == 0 ? "" : name);
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		path[--length] = '\0';
	if (length >= PATH_MAX || (length != 0 && !below_good(path))) {
		fail(given, "not a name below the tree", err);
		free(path);
		return NULL;
	}
	const size_t cut = tar->unpack->repo->strip ? strcspn(path, "/") : 0;
	if (cut != 0 && top_check(tar, path, cut, err) != 0) {
		free(path);
		return NULL;
	}
	const size_t skip = cut + (path[cut] == '/');
	memmove(path, path + skip, length - skip + 1);
	return path;
}

/* What the old tree has there and cannot become the entry goes. */
static int make_room(const struct tar *tar, struct place *place, bool directory, struct err *err)
{
	if (!place->there || S_ISDIR(place->st.st_mode) == directory)
		return 0;
	changed(tar, place);
	place->there = false;
	return tree_delete(place->dir, place->name, err);
}

/* The place of `path` in a directory that was named. Nothing in a fresh one is looked for. */
static int place_find(struct tar *tar, const struct named *parent, const char *path, bool directory,
		      struct place *place, struct err *err)
{
	*place = (struct place){ .path = path,
				 .name = path + parent->length + (parent->length != 0),
				 .dir = reach_directory(&tar->reach, path, parent->length),
				 .fresh = parent->fresh };
	if (place->dir < 0)
		return fail_errno(path, "what it is in cannot be opened", err);
	if (!place->fresh && fstatat(place->dir, place->name, &place->st, AT_SYMLINK_NOFOLLOW) == 0)
		place->there = true;
	return make_room(tar, place, directory, err);
}

/* The directory `path`, which was not named so far, in one that was. NULL and *err. */
static struct named *directory_make(struct tar *tar, const struct named *parent, const char *path,
				    struct err *err)
{
	struct place place;

	if (place_find(tar, parent, path, true, &place, err) != 0)
		return NULL;
	if (!place.there) {
		if (mkdirat(place.dir, place.name, 0755) != 0) {
			fail_errno(path, "cannot be made", err);
			return NULL;
		}
		changed(tar, &place);
	}
	struct named *named = names_add(&tar->names, path, true);
	named->fresh = !place.there;
	return named;
}

/* The directory that `path` is in, with those on the way to it, some of which may be only a part of names. */
static struct named *parent_find(struct tar *tar, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const size_t length = slash ? (size_t)(slash - path) : 0;

	if (tar->parent->length == length && memcmp(tar->parent->path, path, length) == 0)
		return tar->parent;
	struct named *at = names_find(&tar->names, "", 0);
	char *part = alloc_copy(path);
	for (char *end = strchr(part, '/'); at && end; end = strchr(end + 1, '/')) {
		struct named *next = names_find(&tar->names, part, (size_t)(end - part));

		*end = '\0';
		if (!next && unpack_count(tar->unpack, &tar->sum, 0, err) == 0)
			next = directory_make(tar, at, part, err);
		if (next && !next->directory) {
			fail(path, "in something that is no directory", err);
			next = NULL;
		}
		*end = '/';
		at = next;
	}
	free(part);
	if (at)
		tar->parent = at;
	return at;
}

/* --- entries --- */

static struct timespec time_of(struct archive_entry *entry)
{
	return (struct timespec){ .tv_sec = archive_entry_mtime(entry),
				  .tv_nsec = archive_entry_mtime_nsec(entry) };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The tree's own copy of what will be written, if it can be that: a descriptor, or -1. */
static int candidate(const struct tar *tar, const struct place *place, struct archive_entry *entry,
		     mode_t mode)
{
	const struct timespec time = time_of(entry);
	const struct stat *st = &place->st;

	if (!place->there || !archive_entry_size_is_set(entry) || !S_ISREG(st->st_mode) ||
	    (st->st_mode & 07777) != mode || st->st_uid != tar->uid ||
	    st->st_size != archive_entry_size(entry) || !same_time(&st->st_mtim, &time))
		return -1;
	return openat(place->dir, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static int read_block(struct tar *tar, const char *path, const void **block, size_t *size, off_t *at,
		      struct err *err)
{
	la_int64_t offset = 0;
	const int got = archive_read_data_block(tar->archive, block, size, &offset);

	*at = offset;
	if (got == ARCHIVE_EOF)
		return 0;
	if (got == ARCHIVE_OK || got == ARCHIVE_WARN)
		return 1;
	return fail(path, archive_error_string(tar->archive), err);
}

/* Is this block the same in the candidate? Holes between blocks are zeros there, or it is not the same file. */
static bool block_same(const struct tar *tar, int fd, const void *block, size_t size, off_t at)
{
	for (size_t done = 0; done < size;) {
		const size_t part = size - done < BLOCK ? size - done : BLOCK;

		if (file_read(fd, tar->buffer, part, at + (off_t)done) != (ssize_t)part ||
		    memcmp(tar->buffer, (const char *)block + done, part) != 0)
			return false;
		done += part;
	}
	return true;
}

static int copy_beginning(int from, int to, off_t length)
{
	off_t in = 0, out = 0;

	while (in < length) {
		ssize_t done = copy_file_range(from, &in, to, &out, (size_t)(length - in), 0);

		if (done <= 0)
			return -1;
	}
	return 0;
}

/* What is left of the content, which ends at *end so far. */
static int file_fill(struct tar *tar, const char *path, int fd, off_t *end, struct err *err)
{
	const void *block;
	size_t size;
	off_t at;
	int more;

	while ((more = read_block(tar, path, &block, &size, &at, err)) > 0) {
		if (file_write(fd, block, size, at) != 0)
			return fail_errno(path, "cannot be written", err);
		*end = at + (off_t)size;
	}
	return more;
}

static int place_clear(const struct place *place)
{
	return place->there && unlinkat(place->dir, place->name, 0) != 0 && errno != ENOENT ? -1 : 0;
}

static int file_new(const struct place *place, mode_t mode)
{
	if (place_clear(place) != 0)
		return -1;
	int fd = openat(place->dir, place->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && fchmod(fd, mode) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Where a file stops being the same as its candidate. */
struct part {
	off_t same;        /* so far it is */
	const void *block; /* the block that differs, of which nothing was used */
	size_t size;
	off_t at;
};

/*
 * The candidate, of the right size, is compared as the content comes by: 1 it is the same, 0 not, and then *part says
 * where; -1. Holes are no blocks: they end the comparison.
 */
static int file_compare(struct tar *tar, const char *path, int old, off_t size, struct part *part,
			struct err *err)
{
	int more;

	part->same = 0;
	while ((more = read_block(tar, path, &part->block, &part->size, &part->at, err)) > 0) {
		if (part->at != part->same || !block_same(tar, old, part->block, part->size, part->at))
			return 0;
		part->same += (off_t)part->size;
	}
	part->size = 0;
	return more < 0 ? -1 : part->same == size;
}

/* What the candidate has of the content, and the block behind that. */
static int part_copy(int old, int fd, const struct part *part, off_t *end)
{
	*end = part->at + (off_t)part->size;
	return copy_beginning(old, fd, part->same) != 0 ? -1
							: file_write(fd, part->block, part->size, part->at);
}

static int file_write_new(struct tar *tar, struct archive_entry *entry, const struct place *place, int old,
			  const struct part *part, mode_t mode, struct err *err)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, time_of(entry) };
	int fd = file_new(place, mode), result = -1;
	off_t end = 0;

	changed(tar, place);
	if (fd < 0)
		return fail_errno(place->path, "cannot be made", err);
	if (part && part_copy(old, fd, part, &end) != 0)
		fail_errno(place->path, "cannot be written", err);
	else
		result = file_fill(tar, place->path, fd, &end, err);
	/* The end of a sparse file is no block. */
	if (result == 0 && ((archive_entry_size_is_set(entry) && end != archive_entry_size(entry) &&
			     ftruncate(fd, archive_entry_size(entry)) != 0) ||
			    futimens(fd, times) != 0))
		result = fail_errno(place->path, "cannot be written", err);
	close(fd);
	return result;
}

static int make_file(struct tar *tar, struct archive_entry *entry, const struct place *place, struct err *err)
{
	const mode_t mode = (archive_entry_perm(entry) & 0755) | 0400;
	struct part part = { .same = 0 };
	int old = candidate(tar, place, entry, mode), same = 0;

	if (old >= 0)
		same = file_compare(tar, place->path, old, archive_entry_size(entry), &part, err);
	if (same == 0)
		same = file_write_new(tar, entry, place, old, old >= 0 ? &part : NULL, mode, err);
	if (old >= 0)
		close(old);
	return same < 0 ? -1 : 0;
}

static int make_symlink(struct tar *tar, struct archive_entry *entry, const struct place *place,
			struct err *err)
{
	const char *target = archive_entry_symlink(entry);
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, time_of(entry) };

	if (!target)
		return fail(place->path, "a link to nothing", err);
	if (unpack_check_link(place->path, target, err) != 0)
		return -1;
	if (place->there && S_ISLNK(place->st.st_mode) && place->st.st_uid == tar->uid &&
	    same_time(&place->st.st_mtim, &times[1])) {
		const ssize_t length = readlinkat(place->dir, place->name, tar->buffer, BLOCK);

		if (length == (ssize_t)strlen(target) && memcmp(tar->buffer, target, (size_t)length) == 0)
			return 0;
	}
	changed(tar, place);
	if (place_clear(place) != 0 || symlinkat(target, place->dir, place->name) != 0 ||
	    utimensat(place->dir, place->name, times, AT_SYMLINK_NOFOLLOW) != 0)
		return fail_errno(place->path, "cannot be made", err);
	return 0;
}

/* A symbolic link is one that leads out, or is not, by where it is. */
static int link_check(struct tar *tar, int dir, const char *name, const char *path, struct err *err)
{
	const ssize_t length = readlinkat(dir, name, tar->buffer, BLOCK - 1);

	if (length < 0)
		return errno == EINVAL ? 0 : fail_errno(path, "cannot be linked", err);
	tar->buffer[length] = '\0';
	return unpack_check_link(path, tar->buffer, err);
}

static int link_to(struct tar *tar, const struct place *place, const char *target, struct err *err)
{
	const char *name;
	struct stat st;
	int from = below_open(tar->unpack->tree, target, &name), result;

	if (from < 0)
		return fail_errno(place->path, "cannot be linked", err);
	result = link_check(tar, from, name, place->path, err);
	if (result == 0 && (!place->there || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			    !stat_same_inode(&st, &place->st))) {
		changed(tar, place);
		changes_add(tar->unpack->changes, target, strlen(target));
		if (place_clear(place) != 0 || linkat(from, name, place->dir, place->name, 0) != 0)
			result = fail_errno(place->path, "cannot be linked", err);
	}
	close(from);
	return result;
}

/* To a file that the archive had before. */
static int make_hardlink(struct tar *tar, struct archive_entry *entry, const struct place *place,
			 struct err *err)
{
	char *target = name_of(tar, archive_entry_hardlink(entry), err);
	const struct named *named = target ? names_find(&tar->names, target, strlen(target)) : NULL;
	int result = -1;

	if (target && (!named || named->directory || strcmp(target, place->path) == 0))
		fail(place->path, "a hard link to what is not in the archive before it", err);
	else if (target)
		result = link_to(tar, place, target, err);
	free(target);
	return result;
}

/* How a directory is to be is remembered: what is made in it later changes its time. */
static int make_directory(struct tar *tar, struct archive_entry *entry, const char *path, struct err *err)
{
	struct named *named = names_find(&tar->names, path, strlen(path));

	if (named && !named->directory)
		return fail(path, "twice in it", err);
	if (!named) {
		const struct named *parent = parent_find(tar, path, err);

		named = parent ? directory_make(tar, parent, path, err) : NULL;
	}
	if (!named)
		return -1;
	named->told = true;
	named->mode = (archive_entry_perm(entry) & 0755) | 0700;
	named->time = time_of(entry);
	return 0;
}

static int entry_make(struct tar *tar, struct archive_entry *entry, const char *path, struct err *err)
{
	const mode_t type = archive_entry_filetype(entry);
	struct place place;

	if (type == S_IFDIR && !archive_entry_hardlink(entry))
		return make_directory(tar, entry, path, err);
	if (path[0] == '\0')
		return fail(".", "no directory", err);
	const struct named *parent = parent_find(tar, path, err);
	if (!parent)
		return -1;
	if (!names_add(&tar->names, path, false))
		return fail(path, "twice in it", err);
	if (place_find(tar, parent, path, false, &place, err) != 0)
		return -1;
	if (archive_entry_hardlink(entry))
		return make_hardlink(tar, entry, &place, err);
	if (type == S_IFREG)
		return make_file(tar, entry, &place, err);
	if (type == S_IFLNK)
		return make_symlink(tar, entry, &place, err);
	return fail(path, "neither a file, nor a directory, nor a link", err);
}

static int entries_make(struct tar *tar, struct err *err)
{
	struct archive_entry *entry;
	int got, result = 0;

	while (result == 0 && (got = archive_read_next_header(tar->archive, &entry)) != ARCHIVE_EOF) {
		if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
			return err_fail(err, STATUS_FAILED, "the archive", "%s",
					archive_error_string(tar->archive));
		const char *given = archive_entry_pathname(entry);
		char *path = given ? name_of(tar, given, err) : NULL;
		if (!given)
			fail("?", "an entry without a name", err);
		const la_int64_t size = archive_entry_size(entry);
		result = !path || unpack_count(tar->unpack, &tar->sum, size > 0 ? (uint64_t)size : 0, err) !=
						 0
				 ? -1
				 : entry_make(tar, entry, path, err);
		free(path);
	}
	return result;
}

/* --- what was there before, and the directories --- */

/* What is in a directory of the old tree and not in the archive goes. */
static int sweep(const struct tar *tar, const struct named *named, int dir, struct err *err)
{
	struct listing listing;
	int result = 0;

	if (named->fresh)
		return 0;
	if (listing_read(dir, &listing) != 0)
		return fail_errno(named->path, "cannot be read", err);
	for (size_t i = 0; result == 0 && i < listing.count; i++) {
		char *path = alloc_printf("%s%s%s", named->path, named->length != 0 ? "/" : "",
					  listing.names[i]);
		const size_t length = strlen(path);

		if (!names_find(&tar->names, path, length)) {
			changes_add(tar->unpack->changes, path, length);
			result = tree_delete(dir, listing.names[i], err);
		}
		free(path);
	}
	listing_release(&listing);
	return result;
}

static int directory_finish(struct tar *tar, const struct named *named, struct err *err)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, named->time };
	const int dir = reach_directory(&tar->reach, named->path, named->length);
	struct stat st;

	if (dir < 0)
		return fail_errno(named->path, "cannot be opened", err);
	if (sweep(tar, named, dir, err) != 0)
		return -1;
	if (!named->told)
		return 0;
	if (fstat(dir, &st) == 0 && (st.st_mode & 07777) == named->mode &&
	    same_time(&st.st_mtim, &named->time))
		return 0;
	if (!named->fresh)
		changes_add(tar->unpack->changes, named->path, named->length);
	if (fchmod(dir, named->mode) != 0 || futimens(dir, times) != 0)
		return fail_errno(named->path, "its time cannot be set", err);
	return 0;
}

/* The innermost come first: what is made or deleted in a directory changes its time. */
static int directories_finish(struct tar *tar, struct err *err)
{
	int result = 0;

	for (const struct named *named = tar->names.last; result == 0 && named; named = named->before)
		if (named->directory)
			result = directory_finish(tar, named, err);
	return result;
}

/* --- the archive --- */

/*
 * A tar that was cut off between two entries looks like a shorter one, also where it was cut first and packed then: its end
 * is marked by blocks of zeros. Those of the last file are not meant: where libarchive looked for one more entry and found
 * none is behind them.
 */
static int end_check(const struct tar *tar, struct err *err)
{
	const la_int64_t entries_end = archive_read_header_position(tar->archive);

	if (entries_end >= 0 && unpack_stream_size(tar->stream) >= (uint64_t)entries_end + END_MARK &&
	    unpack_stream_zeros(tar->stream) >= END_MARK)
		return 0;
	return err_fail(err, STATUS_FAILED, "the archive", "it is cut off: its end is missing");
}

static int tar_open(struct tar *tar, struct err *err)
{
	struct archive *archive = archive_read_new();

	tar->archive = archive;
	tar->stream = unpack_stream_open(tar->unpack->archive, err);
	if (!tar->stream)
		return -1;
	if (archive && archive_read_support_format_tar(archive) == ARCHIVE_OK &&
	    archive_read_set_options(archive, "read_concatenated_archives") == ARCHIVE_OK &&
	    archive_read_open(archive, tar->stream, NULL, unpack_stream_read, NULL) == ARCHIVE_OK)
		return 0;
	return err_fail(err, STATUS_FAILED, "the archive", "%s",
			archive ? archive_error_string(archive) : "libarchive");
}

int unpack_tar(const struct unpack *unpack, struct err *err)
{
	struct tar tar = { .unpack = unpack,
			   .names = NAMES_NONE,
			   .reach = { .root = unpack->tree, .fd = -1 },
			   .buffer = alloc_grow(NULL, BLOCK, 1),
			   .uid = geteuid() };
	int result = -1;

	tar.parent = names_add(&tar.names, "", true);
	if (tar_open(&tar, err) == 0 && entries_make(&tar, err) == 0 &&
	    unpack_stream_end(tar.stream, err) == 0 && end_check(&tar, err) == 0)
		result = directories_finish(&tar, err);
	tar_release(&tar);
	return result;
}

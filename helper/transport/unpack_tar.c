/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
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
#include "helper/tree/tree.h"

#define BLOCK (256 * 1024)

/* A path that the archive has, or that something in it is below. */
struct seen {
	char *path;
	bool directory;
	bool told; /* the archive says how it is to be: */
	mode_t mode;
	struct timespec time;
	struct seen *before; /* the one that was seen before this one */
};

struct tar {
	const struct unpack *unpack;
	struct archive *archive;
	struct unpack_sum sum;
	void *names;       /* tsearch(3), by path */
	struct seen *last; /* all of them, the newest first */
	char *top; /* the leading directories that are cut off: the same in all names; NULL: not known yet */
	char *parent; /* the directory that the last entry was in, and it open */
	int parent_dir;
	char *buffer;
};

/* --- what was seen --- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

static struct seen *seen_find(const struct tar *tar, const char *path)
{
	const struct seen key = { .path = (char *)path };
	struct seen *const *found = tfind(&key, &tar->names, by_path);

	return found ? *found : NULL;
}

static struct seen *seen_add(struct tar *tar, const char *path, bool directory)
{
	struct seen *seen = alloc_grow(NULL, 1, sizeof(*seen));

	*seen = (struct seen){ .path = alloc_copy(path), .directory = directory, .before = tar->last };
	tar->last = seen;
	if (!tsearch(seen, &tar->names, by_path))
		free(alloc_grow(NULL, SIZE_MAX, 1)); /* no memory: this says so, and ends */
	return seen;
}

static void keep_node(void *node)
{
	(void)node;
}

static void tar_release(struct tar *tar)
{
	tdestroy(tar->names, keep_node);
	for (struct seen *seen = tar->last, *before; seen; seen = before) {
		before = seen->before;
		free(seen->path);
		free(seen);
	}
	archive_read_free(tar->archive);
	free(tar->top);
	free(tar->parent);
	free(tar->buffer);
	if (tar->parent_dir >= 0)
		close(tar->parent_dir);
}

static int fail(const char *path, const char *why, struct err *err)
{
	return err_fail(err, STATUS_FAILED, "the archive", "%s: %s", path, why);
}

static void changed(const struct tar *tar, const char *path)
{
	changes_add(tar->unpack->changes, path, strlen(path));
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
	char *rest = alloc_copy(path + cut + (path[cut] == '/'));
	free(path);
	return rest;
}

/* Directories that are only a part of names. What the old tree has in their place goes. */
static int parents_see(struct tar *tar, const char *path, struct err *err)
{
	char *part = alloc_copy(path);
	int result = 0;

	for (char *slash = strchr(part, '/'); result == 0 && slash; slash = strchr(slash + 1, '/')) {
		struct stat st;
		const char *name;

		*slash = '\0';
		const struct seen *seen = seen_find(tar, part);
		if (seen && !seen->directory)
			result = fail(path, "in something that is no directory", err);
		if (!seen) {
			int dir = below_open(tar->unpack->tree, part, false, &name);

			seen_add(tar, part, true);
			if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    !S_ISDIR(st.st_mode)) {
				changed(tar, part);
				result = below_delete(tar->unpack->tree, part, err);
			}
			if (dir >= 0)
				close(dir);
		}
		*slash = '/';
	}
	free(part);
	return result;
}

/* Opens the directory that `path` is in; it stays open for the next entry. */
static int parent_open(struct tar *tar, const char *path, const char **name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *parent = alloc_printf("%.*s", slash ? (int)(slash - path) : 0, path);

	*name = slash ? slash + 1 : path;
	if (tar->parent && strcmp(parent, tar->parent) == 0) {
		free(parent);
		return tar->parent_dir;
	}
	free(tar->parent);
	if (tar->parent_dir >= 0)
		close(tar->parent_dir);
	tar->parent = parent;
	tar->parent_dir = -1;
	if (parents_see(tar, path, err) != 0)
		return -1;
	tar->parent_dir = below_open(tar->unpack->tree, path, true, name);
	if (tar->parent_dir < 0)
		err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be made", path);
	return tar->parent_dir;
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
static int candidate(int dir, const char *name, struct archive_entry *entry, mode_t mode)
{
	const struct timespec time = time_of(entry);
	struct stat st;

	if (!archive_entry_size_is_set(entry) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) || (st.st_mode & 07777) != mode || st.st_uid != geteuid() ||
	    st.st_size != archive_entry_size(entry) || !same_time(&st.st_mtim, &time))
		return -1;
	return openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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

/* What is left of the content. */
static int file_fill(struct tar *tar, const char *path, int fd, struct err *err)
{
	const void *block;
	size_t size;
	off_t at;
	int more;

	while ((more = read_block(tar, path, &block, &size, &at, err)) > 0)
		if (file_write(fd, block, size, at) != 0)
			return err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be written", path);
	return more;
}

static int file_new(int dir, const char *name, mode_t mode)
{
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return -1;
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
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

static int file_write_new(struct tar *tar, struct archive_entry *entry, const char *path, int dir,
			  const char *name, int old, const struct part *part, mode_t mode, struct err *err)
{
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, time_of(entry) };
	int fd = file_new(dir, name, mode), result = -1;

	changed(tar, path);
	if (fd < 0)
		return err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be made", path);
	if (part && (copy_beginning(old, fd, part->same) != 0 ||
		     file_write(fd, part->block, part->size, part->at) != 0))
		err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be written", path);
	else if (file_fill(tar, path, fd, err) == 0)
		result = 0;
	/* The end of a sparse file is no block. */
	if (result == 0 &&
	    ((archive_entry_size_is_set(entry) && ftruncate(fd, archive_entry_size(entry)) != 0) ||
	     futimens(fd, times) != 0))
		result = err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be written", path);
	close(fd);
	return result;
}

static int make_file(struct tar *tar, struct archive_entry *entry, const char *path, int dir,
		     const char *name, struct err *err)
{
	const mode_t mode = (archive_entry_perm(entry) & 0755) | 0400;
	struct part part = { .same = 0 };
	int old = candidate(dir, name, entry, mode), same = 0;

	if (old >= 0)
		same = file_compare(tar, path, old, archive_entry_size(entry), &part, err);
	if (same == 0)
		same = file_write_new(tar, entry, path, dir, name, old, old >= 0 ? &part : NULL, mode, err);
	if (old >= 0)
		close(old);
	return same < 0 ? -1 : 0;
}

static int make_symlink(struct tar *tar, struct archive_entry *entry, const char *path, int dir,
			const char *name, struct err *err)
{
	const char *target = archive_entry_symlink(entry);
	const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, time_of(entry) };
	struct stat st;

	if (!target)
		return fail(path, "a link to nothing", err);
	if (unpack_check_link(path, target, err) != 0)
		return -1;
	const ssize_t length = readlinkat(dir, name, tar->buffer, BLOCK);
	if (length == (ssize_t)strlen(target) && memcmp(tar->buffer, target, (size_t)length) == 0 &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid() &&
	    same_time(&st.st_mtim, &times[1]))
		return 0;
	changed(tar, path);
	if ((unlinkat(dir, name, 0) != 0 && errno != ENOENT) || symlinkat(target, dir, name) != 0 ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be made", path);
	return 0;
}

/* To a file that the archive had before. */
static int make_hardlink(struct tar *tar, struct archive_entry *entry, const char *path, int dir,
			 const char *name, struct err *err)
{
	char *target = name_of(tar, archive_entry_hardlink(entry), err);
	const struct seen *seen = target ? seen_find(tar, target) : NULL;
	const char *target_name;
	struct stat old, st;
	int result = -1, from;

	if (!target)
		return -1;
	if (!seen || seen->directory)
		fail(path, "a hard link to what is not in the archive before it", err);
	else if ((from = below_open(tar->unpack->tree, target, false, &target_name)) < 0)
		err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be linked", path);
	else {
		if (fstatat(from, target_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && stat_same_inode(&st, &old)) {
			result = 0;
		} else {
			changed(tar, path);
			changed(tar, target);
			if ((unlinkat(dir, name, 0) == 0 || errno == ENOENT) &&
			    linkat(from, target_name, dir, name, 0) == 0)
				result = 0;
			else
				err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be linked", path);
		}
		close(from);
	}
	free(target);
	return result;
}

/* How a directory is to be is remembered: what is made in it later changes its time. */
static int make_directory(struct tar *tar, struct archive_entry *entry, const char *path, struct err *err)
{
	struct seen *seen = seen_find(tar, path);
	const char *name;

	if (seen && !seen->directory)
		return fail(path, "twice in it", err);
	if (!seen)
		seen = seen_add(tar, path, true);
	seen->told = true;
	seen->mode = (archive_entry_perm(entry) & 0755) | 0700;
	seen->time = time_of(entry);
	if (path[0] == '\0')
		return 0;
	const int dir = parent_open(tar, path, &name, err);
	if (dir < 0)
		return -1;
	if (mkdirat(dir, name, 0755) == 0) {
		changed(tar, path);
		return 0;
	}
	return errno == EEXIST ? 0 : err_errno(err, STATUS_FAILED, "the archive", "%s: cannot be made", path);
}

/* What the old tree has there and cannot become the entry goes. */
static int make_room(const struct tar *tar, int dir, const char *name, const char *path, bool directory,
		     struct err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode) == directory)
		return 0;
	changed(tar, path);
	return tree_delete(dir, name, err);
}

static int entry_make(struct tar *tar, struct archive_entry *entry, const char *path, struct err *err)
{
	const mode_t type = archive_entry_filetype(entry);
	const bool directory = type == S_IFDIR && !archive_entry_hardlink(entry);
	const char *name;

	if (path[0] == '\0')
		return directory ? make_directory(tar, entry, path, err) : fail(".", "no directory", err);
	const int dir = parent_open(tar, path, &name, err);
	if (dir < 0 || make_room(tar, dir, name, path, directory, err) != 0)
		return -1;
	if (directory)
		return make_directory(tar, entry, path, err);
	if (seen_find(tar, path))
		return fail(path, "twice in it", err);
	seen_add(tar, path, false);
	if (archive_entry_hardlink(entry))
		return make_hardlink(tar, entry, path, dir, name, err);
	if (type == S_IFREG)
		return make_file(tar, entry, path, dir, name, err);
	if (type == S_IFLNK)
		return make_symlink(tar, entry, path, dir, name, err);
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

static int sweep(void *context, const struct below_entry *entry, struct err *err)
{
	struct tar *tar = context;

	if (seen_find(tar, entry->path))
		return 0;
	changed(tar, entry->path);
	return tree_delete(entry->dir, entry->name, err) == 0 ? 1 : -1;
}

/* The innermost come first: they were seen after what they are in. */
static int directories_finish(const struct tar *tar, struct err *err)
{
	for (const struct seen *seen = tar->last; seen; seen = seen->before) {
		const struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, seen->time };
		const char *name = ".";
		struct stat st;

		if (!seen->directory || !seen->told)
			continue;
		int dir = seen->path[0] == '\0' ? fcntl(tar->unpack->tree, F_DUPFD_CLOEXEC, 0)
						: below_open(tar->unpack->tree, seen->path, false, &name);
		int result = dir < 0 ? -1 : fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
		if (result == 0 &&
		    ((st.st_mode & 07777) != seen->mode || !same_time(&st.st_mtim, &seen->time))) {
			changed(tar, seen->path);
			if (fchmodat(dir, name, seen->mode, 0) != 0 ||
			    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) != 0)
				result = -1;
		}
		if (result != 0)
			err_errno(err, STATUS_FAILED, "the archive", "%s: its time cannot be set",
				  seen->path);
		if (dir >= 0)
			close(dir);
		if (result != 0)
			return -1;
	}
	return 0;
}

/* --- the archive --- */

/* A plain tar that was cut off between two entries looks like a shorter one: its end is marked by blocks of zeros. */
static int end_check(const struct tar *tar, struct err *err)
{
	static const char zeros[1024];
	char end[sizeof(zeros)];
	struct stat st;

	if (archive_filter_code(tar->archive, 0) != ARCHIVE_FILTER_NONE)
		return 0;
	if (fstat(tar->unpack->archive, &st) == 0 && st.st_size >= (off_t)sizeof(end) &&
	    file_read(tar->unpack->archive, end, sizeof(end), st.st_size - (off_t)sizeof(end)) ==
		    sizeof(end) &&
	    memcmp(end, zeros, sizeof(zeros)) == 0)
		return 0;
	return err_fail(err, STATUS_FAILED, "the archive", "it is cut off: its end is missing");
}

static int archive_open(struct tar *tar, struct err *err)
{
	struct archive *archive = archive_read_new();

	tar->archive = archive;
	if (!archive || archive_read_support_format_tar(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(archive) < ARCHIVE_WARN ||
	    archive_read_support_filter_bzip2(archive) < ARCHIVE_WARN ||
	    archive_read_support_filter_xz(archive) < ARCHIVE_WARN ||
	    archive_read_support_filter_zstd(archive) < ARCHIVE_WARN ||
	    /* On to the end of the file: behind the end of the tar are the sums of what it was packed with. */
	    archive_read_set_options(archive, "read_concatenated_archives") != ARCHIVE_OK ||
	    archive_read_open_fd(archive, tar->unpack->archive, BLOCK) != ARCHIVE_OK)
		return err_fail(err, STATUS_FAILED, "the archive", "%s",
				archive ? archive_error_string(archive) : "libarchive");
	return 0;
}

int unpack_tar(const struct unpack *unpack, struct err *err)
{
	struct tar tar = { .unpack = unpack, .parent_dir = -1, .buffer = alloc_grow(NULL, BLOCK, 1) };
	int result = -1;

	if (archive_open(&tar, err) == 0 && entries_make(&tar, err) == 0 && end_check(&tar, err) == 0 &&
	    below_each(unpack->tree, sweep, &tar, err) == 0)
		result = directories_finish(&tar, err);
	tar_release(&tar);
	return result;
}

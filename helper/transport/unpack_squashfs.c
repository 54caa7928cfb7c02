/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/programs/run.h"
#include "helper/transport/below.h"
#include "helper/transport/unpack.h"
#include "helper/tree/climb.h"

/* unsquashfs(1) reads the image through its input: it is what was looked at, whatever its name is now. */
#define IMAGE "/proc/self/fd/0"

static int unsquashfs(const struct unpack *unpack, const char *const *argv, int out, struct err *err)
{
	const struct run run_it = { .argv = argv,
				    .subject = "unsquashfs",
				    .cwd = "/",
				    .in = unpack->archive,
				    .out = out,
				    .umask = 022,
				    .timeout = unpack->repo->timeout };

	return run(&run_it, err);
}

/*
 * A line of `unsquashfs -lln`: "-rw-r--r-- 0/0    2 2026-11-22 23:12 squashfs-root/NAME". A newline in a name makes lines
 * more, and never one less, so what is counted is no less than what there is.
 */
static int line_judge(const struct unpack *unpack, const char *line, struct unpack_sum *sum, struct err *err)
{
	const char *size = strchr(line, ' ');

	if (line[0] == '\0')
		return 0;
	if (!strchr("-dl", line[0]))
		return err_fail(err, STATUS_FAILED, "the archive",
				"%s: neither a file, nor a directory, nor a link", line);
	size = size ? strchr(size + 1, ' ') : NULL;
	return unpack_count(unpack, sum, size && line[0] == '-' ? strtoull(size, NULL, 10) : 0, err);
}

/* Before anything is made: what would be? */
static int image_judge(const struct unpack *unpack, struct err *err)
{
	const char *const argv[] = { "unsquashfs", "-no-progress", "-lln", IMAGE, NULL };
	struct unpack_sum sum = { .files = 0 };
	struct stat st;
	int out = memfd_create("list", MFD_CLOEXEC), result = -1;
	char *text = NULL, *next;

	if (out < 0)
		return err_errno(err, STATUS_FAILED, "unsquashfs", "memfd");
	if (unsquashfs(unpack, argv, out, err) == 0) {
		text = fstat(out, &st) == 0 ? alloc_grow(NULL, (size_t)st.st_size + 1, 1) : NULL;
		if (text && file_read(out, text, (size_t)st.st_size, 0) == st.st_size) {
			text[st.st_size] = '\0';
			result = 0;
		} else {
			err_errno(err, STATUS_FAILED, "unsquashfs", "its list cannot be read");
		}
	}
	for (char *line = text; result == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		result = line_judge(unpack, line, &sum, err);
	}
	free(text);
	close(out);
	return result;
}

/* What unsquashfs has made as it is in the image becomes as unpack.h says. */
static int settle_entry(void *context, const struct below_entry *entry, struct err *err)
{
	const struct statx *st = entry->st;
	const mode_t type = st->stx_mode & S_IFMT;
	const mode_t mode = type == S_IFDIR ? (st->stx_mode & 0755) | 0700 : (st->stx_mode & 0755) | 0400;
	char target[4096];
	ssize_t length;

	(void)context;
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
		return err_fail(err, STATUS_FAILED, "the archive",
				"%s: neither a file, nor a directory, nor a link", entry->path);
	if ((st->stx_uid != geteuid() || st->stx_gid != getegid()) &&
	    fchownat(entry->dir, entry->name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, STATUS_FAILED, "the archive", "%s: owner", entry->path);
	if (type != S_IFLNK) {
		if ((st->stx_mode & 07777) == mode || fchmodat(entry->dir, entry->name, mode, 0) == 0)
			return 0;
		return err_errno(err, STATUS_FAILED, "the archive", "%s: mode", entry->path);
	}
	length = readlinkat(entry->dir, entry->name, target, sizeof(target));
	if (length < 0 || length == sizeof(target))
		return err_errno(err, STATUS_FAILED, "the archive", "%s: link", entry->path);
	target[length] = '\0';
	return unpack_check_link(entry->path, target, err);
}

int unpack_squashfs(const struct unpack *unpack, struct err *err)
{
	const char *const argv[] = { "unsquashfs", "-no-progress",   "-quiet",
				     "-no-xattrs", "-strict-errors", "-force",
				     "-dest",      unpack->path,     IMAGE,
				     NULL };

	changes_set_unknown(unpack->changes);
	return image_judge(unpack, err) != 0 || below_clear(unpack->tree, err) != 0 ||
			       unsquashfs(unpack, argv, 0, err) != 0
		       ? -1
		       : below_each(unpack->tree, settle_entry, NULL, err);
}

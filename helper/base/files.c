/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

ssize_t file_read(int fd, void *to, size_t room, off_t at)
{
	size_t had = 0;

	while (had < room) {
		ssize_t got = pread(fd, (char *)to + had, room - had, at + (off_t)had);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		had += (size_t)got;
	}
	return (ssize_t)had;
}

static void close_quietly(int fd)
{
	const int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
}

ssize_t file_read_text(int dir, const char *name, char *to, size_t room)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : file_read(fd, to, room - 1, 0);

	close_quietly(fd);
	to[length < 0 ? 0 : length] = '\0';
	return length;
}

int file_write(int fd, const void *from, size_t size, off_t at)
{
	size_t had = 0;

	while (had < size) {
		ssize_t done = pwrite(fd, (const char *)from + had, size - had, at + (off_t)had);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		had += (size_t)done;
	}
	return 0;
}

bool stat_same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool file_is_named(int fd, int dir, const char *name)
{
	struct stat opened, named;

	if (fstat(fd, &opened) != 0 || fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	errno = 0;
	return stat_same_inode(&opened, &named);
}

DIR *directory_open(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (stream == NULL)
		close_quietly(fd);
	return stream;
}

const struct dirent *directory_next(DIR *stream)
{
	const struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(stream);
	} while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry;
}

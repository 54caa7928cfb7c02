/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper/base/alloc.h"

/* In one step. A seccomp filter may answer ENOSYS or EPERM. */
static int open_at_once(int root, const char *path)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* From the root down to the directory `copy`, which is not the root, and which this takes apart. */
static int open_by_steps(int root, char *copy)
{
	char *part = copy;
	int fd = root;

	while (part != NULL) {
		char *slash = strchr(part, '/');

		if (slash != NULL)
			*slash = '\0';
		const int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		const int error = errno;
		if (fd != root)
			close(fd);
		errno = error;
		fd = next;
		part = fd >= 0 && slash != NULL ? slash + 1 : NULL;
	}
	return fd;
}

/* From a directory down to path[0 .. length), which is another one. */
static int reach_open(int root, const char *path, size_t length)
{
	char *copy = alloc_printf("%.*s", (int)length, path);
	int fd = open_at_once(root, copy);

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		fd = open_by_steps(root, copy);
	const int error = errno;
	free(copy);
	errno = error;
	return fd;
}

int reach_directory(struct reach *reach, const char *path, size_t length)
{
	if (length == 0)
		return reach->root;
	if (reach->fd >= 0 && strncmp(reach->path, path, length) == 0 && reach->path[length] == '\0')
		return reach->fd;
	/* From the last one on where it is below: else a chain of directories costs the square of its length. */
	const size_t done = reach->fd >= 0 ? strlen(reach->path) : 0;
	const bool below = done > 0 && done < length && path[done] == '/' &&
			   memcmp(reach->path, path, done) == 0;
	const size_t from = below ? done + 1 : 0;
	const int fd = reach_open(below ? reach->fd : reach->root, path + from, length - from);
	const int error = errno;
	reach_release(reach);
	errno = error;
	reach->fd = fd;
	if (fd >= 0)
		reach->path = alloc_printf("%.*s", (int)length, path);
	return fd;
}

int reach_parent(struct reach *reach, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash != NULL ? slash + 1 : path;
	return reach_directory(reach, path, slash != NULL ? (size_t)(slash - path) : 0);
}

void reach_release(struct reach *reach)
{
	if (reach->fd >= 0)
		close(reach->fd);
	free(reach->path);
	reach->fd = -1;
	reach->path = NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"

/* From the root down to the directory path[0 .. length), which is not the root. */
static int reach_open(int root, const char *path, size_t length)
{
	char *copy = alloc_printf("%.*s", (int)length, path), *part = copy;
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
	free(copy);
	return fd;
}

int reach_parent(struct reach *reach, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	const size_t length = slash != NULL ? (size_t)(slash - path) : 0;

	*name = slash != NULL ? slash + 1 : path;
	if (length == 0)
		return reach->root;
	if (reach->fd >= 0 && strncmp(reach->path, path, length) == 0 && reach->path[length] == '\0')
		return reach->fd;
	reach_release(reach);
	reach->fd = reach_open(reach->root, path, length);
	if (reach->fd >= 0)
		reach->path = alloc_printf("%.*s", (int)length, path);
	return reach->fd;
}

void reach_release(struct reach *reach)
{
	if (reach->fd >= 0)
		close(reach->fd);
	free(reach->path);
	reach->fd = -1;
	reach->path = NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/below.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/tree/climb.h"
#include "helper/tree/tree.h"

bool below_good(const char *path)
{
	if (path[0] == '\0')
		return false;
	for (const char *at = path;; at++) {
		const size_t length = strcspn(at, "/");

		if (length == 0 || (length == 1 && at[0] == '.') ||
		    (length == 2 && strncmp(at, "..", 2) == 0))
			return false;
		at += length;
		if (*at == '\0')
			return true;
	}
}

int below_open(int root, const char *path, const char **name)
{
	int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
	const char *slash;

	while (dir >= 0 && (slash = strchr(path, '/')) != NULL) {
		char *part = alloc_printf("%.*s", (int)(slash - path), path);
		const int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		const int error = errno;

		free(part);
		close(dir);
		errno = error;
		dir = next;
		path = slash + 1;
	}
	*name = path;
	return dir;
}

/* The directories on the way to `path`, the innermost first, as long as they are empty. */
static void delete_empty(int root, char *path)
{
	char *slash;

	while ((slash = strrchr(path, '/')) != NULL) {
		const char *name;
		int dir, failed;

		*slash = '\0';
		dir = below_open(root, path, &name);
		if (dir < 0)
			continue;
		failed = unlinkat(dir, name, AT_REMOVEDIR);
		close(dir);
		if (failed != 0)
			return;
	}
}

int below_delete(int root, const char *path, struct err *err)
{
	const char *name;
	int dir = below_open(root, path, &name), result = 0;

	if (dir < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			return err_errno(err, STATUS_FAILED, path, "cannot be deleted");
	} else {
		if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
			result = tree_delete(dir, name, err);
		close(dir);
	}
	if (result == 0) {
		char *copy = alloc_copy(path);

		delete_empty(root, copy);
		free(copy);
	}
	return result;
}

int below_clear(int root, struct err *err)
{
	DIR *stream = directory_open(root, ".");
	const struct dirent *entry;
	int result = 0;

	if (!stream)
		return err_errno(err, STATUS_FAILED, "the staging tree", "cannot be read");
	while (result == 0 && (entry = directory_next(stream)) != NULL)
		result = tree_delete(root, entry->d_name, err);
	closedir(stream);
	return result;
}

static int each_one(struct climb *climb, char *path, const char *name,
		    int (*one)(void *context, const struct below_entry *entry, struct err *err),
		    void *context, struct err *err)
{
	struct statx st;

	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot look at", name, err);
	const struct below_entry entry = {
		.dir = climb_top(climb)->fd[0], .name = name, .path = path, .st = &st
	};
	const int result = one(context, &entry, err);
	if (result != 0 || !statx_is_directory(&st))
		return result < 0 ? -1 : 0;
	const int fd = climb_open(climb, 0, name, &st);
	if (fd < 0)
		return climb_fail(climb, "cannot open", name, err);
	return climb_enter(climb, name, fd, -1, err);
}

int below_each(int root, int (*one)(void *context, const struct below_entry *entry, struct err *err),
	       void *context, struct err *err)
{
	struct climb climb;
	char *path = alloc_copy("");
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? err_errno(err, STATUS_FAILED, "the staging tree", "cannot be opened") : 0;

	climb_start(&climb, "the staging tree");
	if (result == 0)
		result = climb_enter(&climb, "", fd, -1, err);
	while (result == 0 && climb.depth != 0) {
		const size_t depth = climb.depth, length = strlen(path);
		const char *name = climb_next(&climb);

		if (!name) {
			char *slash = strrchr(path, '/');

			result = climb_leave(&climb, NULL, err);
			*(slash ? slash : path) = '\0';
			continue;
		}
		path = alloc_grow(path, length + strlen(name) + 2, 1);
		stpcpy(stpcpy(path + length, length != 0 ? "/" : ""), name);
		result = each_one(&climb, path, name, one, context, err);
		if (climb.depth == depth)
			path[length] = '\0';
	}
	climb_release(&climb);
	free(path);
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

static int walk_to_root(struct walk *walk)
{
	if (walk->dir >= 0)
		close(walk->dir);
	walk->dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	walk->at[0] = '\0';
	return walk->dir < 0 ? -1 : 0;
}

int walk_start(struct walk *walk, const char *path)
{
	walk->dir = -1;
	walk->at = alloc_copy("");
	walk->rest = alloc_copy(path);
	walk->links = 0;
	return walk_to_root(walk);
}

void walk_release(struct walk *walk)
{
	if (walk->dir >= 0)
		close(walk->dir);
	free(walk->at);
	free(walk->rest);
}

char *walk_next(struct walk *walk)
{
	for (;;) {
		const char *from = walk->rest + strspn(walk->rest, "/");
		size_t length = strcspn(from, "/");
		if (length == 0)
			return NULL;
		char *name = alloc_printf("%.*s", (int)length, from), *rest = alloc_copy(from + length);
		free(walk->rest);
		walk->rest = rest;
		if (strcmp(name, ".") != 0)
			return name;
		free(name);
	}
}

int walk_enter(struct walk *walk, const char *name)
{
	int next = openat(walk->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (next < 0)
		return -1;
	close(walk->dir);
	walk->dir = next;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(walk->at, '/');
		if (slash != NULL)
			*slash = '\0';
	} else {
		char *at = alloc_printf("%s/%s", walk->at, name);
		free(walk->at);
		walk->at = at;
	}
	return 0;
}

char *walk_target(const struct walk *walk, const char *name)
{
	/* A target is shorter than PATH_MAX: symlink(2). */
	char *target = alloc_grow(NULL, PATH_MAX, 1);
	ssize_t length = readlinkat(walk->dir, name, target, PATH_MAX - 1);

	if (length < 0) {
		int error = errno;
		free(target);
		errno = error;
		return NULL;
	}
	target[length] = '\0';
	return target;
}

int walk_follow(struct walk *walk, const char *target)
{
	if (++walk->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	char *rest = alloc_printf("%s/%s", target, walk->rest);
	free(walk->rest);
	walk->rest = rest;
	return target[0] == '/' ? walk_to_root(walk) : 0;
}

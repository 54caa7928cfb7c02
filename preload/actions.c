/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/actions.h"

#include <linux/limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "core/names.h"
#include "core/sys.h"

#define DOOR "/proc/self/fd/"

enum kind {
	KIND_CLOSE,
	KIND_DUP2,
	KIND_OPEN,
	KIND_CHDIR,
	KIND_FCHDIR,
	KIND_CLOSE_FROM,
};

/* libc's struct __spawn_action. */
struct __spawn_action {
	enum kind kind;
	union {
		int fd; /* the first of each but KIND_CHDIR */
		struct {
			int fd, new_fd;
		} dup2;
		const char *path; /* KIND_CHDIR */
		struct {
			int fd;
			char *path;
			int flags;
			mode_t mode;
		} open;
	} with;
};

static bool moves(const struct __spawn_action *a)
{
	return a->kind == KIND_CHDIR || a->kind == KIND_FCHDIR;
}

/* Is the directory that this action goes to independent of where the child is? */
static bool is_base(const struct __spawn_action *a)
{
	return a->kind == KIND_FCHDIR || (a->kind == KIND_CHDIR && a->with.path[0] == '/');
}

size_t actions_room(const posix_spawn_file_actions_t *actions, const char *path)
{
	size_t room = PATH_MAX + sizeof(DOOR) + SNAPSHOT_NUMBER_ROOM;
	bool moved = false;

	if (!actions || !path || path[0] == '/' || path[0] == '\0')
		return 0;
	for (int i = 0; i < actions->__used; i++) {
		const struct __spawn_action *a = &actions->__actions[i];

		moved |= moves(a);
		if (a->kind == KIND_CHDIR)
			room += strlen(a->with.path) + 1;
	}
	return moved ? room + strlen(path) + 1 : 0;
}

/* Is a descriptor what it is now whenever an action uses it? */
static bool is_touched(const posix_spawn_file_actions_t *actions, int fd)
{
	for (int i = 0; i < actions->__used; i++) {
		const struct __spawn_action *a = &actions->__actions[i];

		if (((a->kind == KIND_CLOSE || a->kind == KIND_OPEN) && a->with.fd == fd) ||
		    (a->kind == KIND_DUP2 && a->with.dup2.new_fd == fd) ||
		    (a->kind == KIND_CLOSE_FROM && a->with.fd <= fd))
			return true;
	}
	return false;
}

static size_t append(char *room, size_t used, const char *text)
{
	size_t length = strlen(text);

	if (used > 0)
		room[used++] = '/';
	memcpy(room + used, text, length + 1);
	return used + length;
}

const char *actions_text(const posix_spawn_file_actions_t *actions, const char *path, char *room, size_t size)
{
	const struct __spawn_action *all = actions->__actions;
	int first = actions->__used;
	size_t used = 0;

	while (first > 0 && !is_base(&all[first - 1]))
		first--;
	if (first > 0 && all[first - 1].kind == KIND_FCHDIR) {
		if (is_touched(actions, all[first - 1].with.fd))
			return NULL;
		used = append(room, 0, DOOR);
		used += snapshot_number_format((uint64_t)all[first - 1].with.fd, room + used);
	} else if (first > 0) {
		used = append(room, 0, all[first - 1].with.path);
	} else {
		long length = sys_call(SYS_getcwd, (long)room, (long)(size < PATH_MAX ? size : PATH_MAX), 0,
				       0, 0, 0);
		if (length <= 0 || room[0] != '/')
			return NULL;
		used = (size_t)length - 1;
	}
	for (int i = first; i < actions->__used; i++)
		if (all[i].kind == KIND_CHDIR)
			used = append(room, used, all[i].with.path);
	append(room, used, path);
	return room;
}

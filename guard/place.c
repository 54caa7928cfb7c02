/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/sys.h"
#include "guard/guard.h"

#define SEARCH (O_PATH | O_DIRECTORY | O_CLOEXEC)

bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is(const struct stat *st, const struct file_id *id)
{
	return st->st_dev == id->device && st->st_ino == id->inode;
}

/* From the root of the tree. A lock is taken on what is open, not on O_PATH. */
static int scratch_open(int root)
{
	char name[3 + GUARD_SCRATCH_MAX + 1] = "../";

	memcpy(name + 3, guard.ids.scratch, strlen(guard.ids.scratch) + 1);
	return sys_openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

enum place place_of(int dir, int *scratch)
{
	enum place place = PLACE_UNSURE;
	struct stat here, below = { 0 };
	int at = dir;

	while (sys_fstat(at, &here) == 0) {
		if (is(&here, &guard.ids.staging))
			place = PLACE_STAGING;
		else if (is(&here, &guard.ids.snapshots))
			place = PLACE_SNAPSHOT;
		else if (here.st_dev != guard.ids.staging.device || same_file(&here, &below))
			place = PLACE_ELSEWHERE;
		if (place != PLACE_UNSURE)
			break;
		below = here;
		int up = sys_openat(at, "..", SEARCH);
		if (at != dir)
			sys_close(at);
		at = up;
	}
	if (place == PLACE_STAGING && scratch)
		*scratch = scratch_open(at);
	if (at >= 0 && at != dir)
		sys_close(at);
	return place;
}

void entry_open(struct entry *entry, int dir, const char *path, char *copy)
{
	size_t length = strlen(path);

	memcpy(copy, path, length + 1);
	while (length > 1 && copy[length - 1] == '/')
		copy[--length] = '\0';
	char *slash = strrchr(copy, '/');
	if (!slash) {
		entry->name = copy;
		entry->dir = sys_openat(dir, ".", SEARCH);
		return;
	}
	entry->name = slash + 1;
	*slash = '\0';
	entry->dir = sys_openat(dir, slash == copy ? "/" : copy, SEARCH);
}

void entry_close(struct entry *entry)
{
	if (entry->dir >= 0)
		sys_close(entry->dir);
}

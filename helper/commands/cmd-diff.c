/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is one inode in both snapshots is the same and is not looked at (tree_diff). What is not may still have the same
 * content, or be the same altogether, as a file that was written anew: so that is compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hold.h"
#include "helper/base/alloc.h"
#include "helper/commands/command.h"
#include "helper/commands/progress.h"
#include "helper/commands/table.h"
#include "helper/tree/changes.h"
#include "helper/tree/object.h"
#include "helper/tree/tree.h"

enum {
	CHANGE,
	WHAT,
	KIND,
	PATH
};

static const struct table_column columns[] = {
	[CHANGE] = { "CHANGE", SCOLS_JSON_STRING },
	[WHAT] = { "WHAT", SCOLS_JSON_STRING },
	[KIND] = { "KIND", SCOLS_JSON_STRING },
	[PATH] = { "PATH", SCOLS_JSON_STRING },
};

#define CONTENT 1u
#define METADATA 2u
#define OTHER_KIND 4u

static const char *const whats[] = {
	[CONTENT] = "content",
	[METADATA] = "metadata",
	[CONTENT | METADATA] = "content,metadata",
	[OTHER_KIND] = "kind",
};

struct difference {
	char *path;
	enum tree_difference found;
	unsigned what; /* of what is in both */
	mode_t mode;   /* of the newer one, or the one that there is */
};

struct diff {
	int snapshot[2]; /* the directories */
	struct difference *list;
	size_t count, room;
};

/* The directory that the last name of `path` is in; by its names, since a path may be longer than a call takes. */
static int open_parent(int root, const char *path, const char **name)
{
	int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
	const char *slash;

	for (; dir >= 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		char *part = alloc_printf("%.*s", (int)(slash - path), path);
		int next = openat(dir, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error = errno;

		free(part);
		close(dir);
		errno = error;
		dir = next;
	}
	*name = *path ? path : ".";
	return dir;
}

/* One side of a path: its directory, its name and what it is. */
struct side {
	int dir;
	const char *name;
	struct statx st;
};

static int side_open(int root, const char *path, struct side *side)
{
	side->dir = open_parent(root, path, &side->name);
	return side->dir < 0 ? -1
			     : statx(side->dir, side->name, AT_SYMLINK_NOFOLLOW | AT_STATX_SYNC_AS_STAT,
				     STATX_BASIC_STATS, &side->st);
}

static void side_close(struct side *side)
{
	if (side->dir >= 0)
		close(side->dir);
}

/* Of two objects of one kind: what differs, or -1 and errno. */
static int compare_objects(const struct side *a, const struct side *b, unsigned *what)
{
	struct object of_a, of_b;
	int content = 0, attributes = -1;
	struct statx as_b = a->st;

	if (object_open(a->dir, a->name, &a->st, &of_a) != 0)
		return -1;
	if (object_open(b->dir, b->name, &b->st, &of_b) != 0) {
		object_close(&of_a);
		return -1;
	}
	if (a->st.stx_size == b->st.stx_size || !S_ISREG(a->st.stx_mode))
		content = object_same_content(&of_a, &of_b, &a->st);
	if (content >= 0)
		attributes = object_same_attributes(&of_a, &of_b);
	/* Another size is another content, not metadata; a device's number is what it has for content. */
	as_b.stx_size = b->st.stx_size;
	if (!object_same_stat(&as_b, &b->st) || attributes == 0)
		*what |= METADATA;
	if (content == 0)
		*what |= CONTENT;
	object_close(&of_a);
	object_close(&of_b);
	return content < 0 || attributes < 0 ? -1 : 0;
}

static int compare(const struct diff *diff, struct difference *difference)
{
	struct side a = { .dir = -1 }, b = { .dir = -1 };
	int result = side_open(diff->snapshot[0], difference->path, &a);

	if (result == 0)
		result = side_open(diff->snapshot[1], difference->path, &b);
	if (result == 0 && ((a.st.stx_mode ^ b.st.stx_mode) & S_IFMT) != 0)
		difference->what = OTHER_KIND;
	else if (result == 0)
		result = compare_objects(&a, &b, &difference->what);
	difference->mode = b.st.stx_mode;
	const int error = errno;
	side_close(&a);
	side_close(&b);
	errno = error;
	return result;
}

static int look(const struct diff *diff, struct difference *difference)
{
	struct side side = { .dir = -1 };
	int result = side_open(diff->snapshot[difference->found == TREE_ONLY_B], difference->path, &side);
	const int error = errno;

	difference->mode = side.st.stx_mode;
	side_close(&side);
	errno = error;
	return result;
}

/* tree_found. A directory with new metadata is nothing else: mode, owner, time and attributes are all of it. */
static int found(void *context, const char *path, enum tree_difference kind, struct err *err)
{
	struct diff *diff = context;
	struct difference new = {
		.path = alloc_copy(path), .found = kind, .what = METADATA, .mode = S_IFDIR
	};
	int result = 0;

	if (kind == TREE_CHANGED) {
		new.what = 0;
		result = compare(diff, &new);
	} else if (kind != TREE_METADATA) {
		result = look(diff, &new);
	}
	if (result != 0)
		err_errno(err, STATUS_FAILED, path, "cannot be compared");
	/* Written anew as it was: only its inode is another one. */
	if (result != 0 || (kind == TREE_CHANGED && new.what == 0)) {
		free(new.path);
		return result;
	}
	if (diff->count == diff->room) {
		diff->room = diff->room * 2 + 64;
		diff->list = alloc_grow(diff->list, diff->room, sizeof(*diff->list));
	}
	diff->list[diff->count++] = new;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return path_order(((const struct difference *)a)->path, ((const struct difference *)b)->path);
}

static const char *kind_of(mode_t mode)
{
	return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "special";
}

static void print(const struct diff *diff, bool json)
{
	static const char *const changes[] = {
		[TREE_ONLY_A] = "removed",
		[TREE_ONLY_B] = "added",
		[TREE_CHANGED] = "changed",
		[TREE_METADATA] = "changed",
	};
	struct libscols_table *table = table_new("diff", columns, sizeof(columns) / sizeof(columns[0]), json);

	for (size_t i = 0; i < diff->count; i++) {
		const struct difference *this = &diff->list[i];
		const bool both = this->found == TREE_CHANGED || this->found == TREE_METADATA;
		struct libscols_line *line = table_line(table);

		table_set(line, CHANGE, alloc_copy(changes[this->found]));
		table_set(line, WHAT, both ? alloc_copy(whats[this->what]) : NULL);
		table_set(line, KIND, alloc_copy(kind_of(this->mode)));
		table_set_foreign(line, PATH, *this->path ? this->path : ".", json);
	}
	table_print(table);
}

/*
 * A reader like any other: pinned, so that it is not reclaimed meanwhile, which would look like a tree with everything
 * removed. -1: there is no pin file (a store that Portage made); then it is compared all the same.
 */
static int pin(const struct store *store, uint64_t number)
{
	int fd;

	while ((fd = hold_take(store->dir, number)) == -EAGAIN)
		;
	return fd < 0 ? -1 : fd;
}

static int diff_open(const struct store *store, const char *word, int *pinned, int *snapshot, struct err *err)
{
	char name[STORE_NAME_ROOM];
	uint64_t number;

	if (command_snapshot(store, word, &number, err) != 0)
		return -1;
	*pinned = pin(store, number);
	snapshot_name(number, name);
	*snapshot = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *snapshot < 0 ? err_errno(err, STATUS_FAILED, store->path, "%s", name) : 0;
}

static int diff_store(const struct options *options, const struct store *store, struct err *err)
{
	struct diff diff = { .snapshot = { -1, -1 } };
	int pins[2] = { -1, -1 }, result = 0;

	for (int side = 0; result == 0 && side < 2; side++)
		result = diff_open(store, options->words[side], &pins[side], &diff.snapshot[side], err);
	if (result == 0) {
		progress_step("comparing snapshots %s and %s", options->words[0], options->words[1]);
		result = tree_diff(diff.snapshot[0], ".", diff.snapshot[1], ".", NULL, found, &diff, err);
		progress_end();
	}
	if (result == 0) {
		if (diff.count > 1)
			qsort(diff.list, diff.count, sizeof(*diff.list), by_path);
		print(&diff, options->json);
	}
	for (size_t i = 0; i < diff.count; i++)
		free(diff.list[i].path);
	free(diff.list);
	for (int side = 0; side < 2; side++) {
		hold_drop(pins[side]);
		if (diff.snapshot[side] >= 0)
			close(diff.snapshot[side]);
	}
	return result;
}

static int diff_repo(const struct options *options, const struct repo *repo, struct err *err)
{
	struct store store = STORE_CLOSED;
	int result = store_open(&store, repo->store, STORE_LOOK, repo->durable, err);

	if (result == 0)
		result = diff_store(options, &store, err);
	store_close(&store);
	return result;
}

int cmd_diff(const struct options *options)
{
	return command_words(options, "REPO, A and B are needed", 2, 2, diff_repo);
}

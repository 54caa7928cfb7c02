/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/climb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define LISTING_BUFFER 32768
#define SHOWN_MAX 300

static bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The terminated names, one behind the other; their number goes to *count. */
static char *read_names(int fd, size_t *size, size_t *count)
{
	char *buffer = alloc_grow(NULL, LISTING_BUFFER, 1);
	char *text = NULL;
	size_t room = 0;
	ssize_t got;

	*size = *count = 0;
	while ((got = getdents64(fd, buffer, LISTING_BUFFER)) > 0) {
		if (room - *size < (size_t)got) {
			room = (room + (size_t)got) * 2;
			text = alloc_grow(text, room, 1);
		}
		for (ssize_t at = 0; at < got;) {
			const struct dirent64 *entry = (const void *)(buffer + at);

			at += entry->d_reclen;
			if (is_dot(entry->d_name))
				continue;
			size_t length = strlen(entry->d_name) + 1;
			memcpy(text + *size, entry->d_name, length);
			*size += length;
			(*count)++;
		}
	}
	free(buffer);
	if (got == 0 || errno == ENOENT)
		return alloc_grow(text, *size, 1);
	free(text);
	return NULL;
}

int listing_read(int fd, struct listing *listing)
{
	size_t size;

	memset(listing, 0, sizeof(*listing));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	listing->text = read_names(fd, &size, &listing->count);
	if (listing->text == NULL) {
		listing->count = 0; /* those of before the failure are gone */
		return -1;
	}
	listing->names = alloc_grow(NULL, listing->count, sizeof(*listing->names));
	char *name = listing->text;
	for (size_t i = 0; i < listing->count; i++) {
		listing->names[i] = name;
		name += strlen(name) + 1;
	}
	qsort(listing->names, listing->count, sizeof(*listing->names), by_bytes);
	return 0;
}

void listing_release(struct listing *listing)
{
	free(listing->names);
	free(listing->text);
	memset(listing, 0, sizeof(*listing));
}

bool statx_same_inode(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && statx_dev(a) == statx_dev(b);
}

bool statx_is_directory(const struct statx *st)
{
	return S_ISDIR(st->stx_mode);
}

dev_t statx_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

static int look(int dir, const char *name, struct statx *st)
{
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);

	if (statx(dir, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, st) != 0)
		return -1;
	if ((st->stx_mask & STATX_MNT_ID) != 0)
		return 0;
	errno = ENOSYS;
	return -1;
}

static int same_mount(const struct climb *climb, int side, const struct statx *st)
{
	if (st->stx_mnt_id == climb->mount[side])
		return 0;
	errno = EXDEV;
	return -1;
}

int climb_look(const struct climb *climb, int side, const char *name, struct statx *st)
{
	if (look(climb_top(climb)->fd[side], name, st) != 0)
		return -1;
	return same_mount(climb, side, st);
}

int climb_look_fd(const struct climb *climb, int side, int fd, struct statx *st)
{
	return look(fd, "", st) != 0 ? -1 : same_mount(climb, side, st);
}

int climb_open(const struct climb *climb, int side, const char *name, const struct statx *st)
{
	struct statx opened;
	int fd = openat(climb_top(climb)->fd[side], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (climb_look_fd(climb, side, fd, &opened) == 0) {
		if (statx_same_inode(&opened, st))
			return fd;
		errno = ESTALE;
	}
	close(fd);
	return -1;
}

void climb_start(struct climb *climb, const char *root)
{
	memset(climb, 0, sizeof(*climb));
	climb->root = root;
}

int climb_mount(struct climb *climb, int dir)
{
	struct statx st;

	if (look(dir, "", &st) != 0)
		return -1;
	climb->mount[0] = st.stx_mnt_id;
	return 0;
}

static void close_side(struct level *level, int side)
{
	if (level->fd[side] >= 0)
		close(level->fd[side]);
	level->fd[side] = -1;
}

static void level_release(struct level *level)
{
	close_side(level, 0);
	close_side(level, 1);
	listing_release(&level->list);
	free(level->name);
}

void climb_release(struct climb *climb)
{
	while (climb->depth != 0)
		level_release(&climb->levels[--climb->depth]);
	free(climb->levels);
	climb->levels = NULL;
}

static int look_around(struct climb *climb, struct level *level)
{
	for (int side = 0; side < 2; side++) {
		if (level->fd[side] < 0)
			continue;
		if (look(level->fd[side], "", &level->was[side]) != 0)
			return -1;
		if (climb->depth == 1)
			climb->mount[side] = level->was[side].stx_mnt_id;
		if (same_mount(climb, side, &level->was[side]) != 0)
			return -1;
	}
	return listing_read(level->fd[0], &level->list);
}

/* Lets go of what ".." of the level within it can bring back: not of a side that ends here. */
static void far_out(struct level *level)
{
	close_side(level, 0);
	if (level[1].fd[1] >= 0)
		close_side(level, 1);
}

int climb_enter(struct climb *climb, const char *name, int a, int b, struct err *err)
{
	if (climb->depth == climb->room) {
		climb->room = climb->room * 2 + 16;
		climb->levels = alloc_grow(climb->levels, climb->room, sizeof(*climb->levels));
	}
	struct level *level = &climb->levels[climb->depth++];
	memset(level, 0, sizeof(*level));
	level->name = alloc_copy(name);
	level->fd[0] = a;
	level->fd[1] = b;
	if (look_around(climb, level) != 0)
		return climb_fail(climb, "cannot read", "", err);
	if (climb->depth > CLIMB_OPEN + 1)
		far_out(&climb->levels[climb->depth - CLIMB_OPEN - 1]);
	return 0;
}

const char *climb_next(struct climb *climb)
{
	struct level *level = climb_top(climb);

	return level->at < level->list.count ? level->list.names[level->at++] : NULL;
}

/* The parent of a level by "..": the same directory as on the way in, or a failure. */
static int reopen(const struct climb *climb, int side, int child, struct level *parent)
{
	struct statx st;

	if (child < 0 || parent->fd[side] >= 0)
		return 0;
	parent->fd[side] = openat(child, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent->fd[side] < 0 || climb_look_fd(climb, side, parent->fd[side], &st) != 0)
		return -1;
	if (statx_same_inode(&st, &parent->was[side]))
		return 0;
	errno = ESTALE;
	return -1;
}

int climb_leave(struct climb *climb, int left[2], struct err *err)
{
	struct level *level = climb_top(climb);
	struct level *parent = level - 1;

	if (climb->depth > 1 &&
	    (reopen(climb, 0, level->fd[0], parent) != 0 || reopen(climb, 1, level->fd[1], parent) != 0))
		return climb_fail(climb, "cannot go back from", "", err);
	if (left != NULL) {
		memcpy(left, level->fd, sizeof(level->fd));
		level->fd[0] = level->fd[1] = -1;
	}
	level_release(level);
	climb->depth--;
	return 0;
}

/* The place of `name` below the root, as much of its end as there is room for. */
static const char *show_place(const struct climb *climb, const char *name, char *room)
{
	size_t at = SHOWN_MAX;
	const char *piece = name;

	room[at] = '\0';
	for (size_t level = climb->depth; level > 0; level--) {
		size_t length = strlen(piece);

		if (length + 1 > at)
			break;
		if (length != 0 && room[at] != '\0')
			room[--at] = '/';
		at -= length;
		memcpy(room + at, piece, length);
		piece = climb->levels[level - 1].name;
	}
	return room[at] == '\0' ? "it" : room + at;
}

int climb_fail(const struct climb *climb, const char *what, const char *name, struct err *err)
{
	char room[SHOWN_MAX + 1];
	const int error = errno;
	const char *place = show_place(climb, name, room);

	if (error == EXDEV)
		return err_fail(err, STATUS_FAILED, climb->root, "something is mounted on %s", place);
	errno = error;
	return err_errno(err, STATUS_FAILED, climb->root, "%s %s", what, place);
}

int climb_open_root(int dir, const char *name, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err_errno(err, STATUS_FAILED, name, "cannot open this directory");
	return fd;
}

int climb_start_pair(struct climb *climb, int a_dir, const char *a, int b_dir, const char *b, struct err *err)
{
	climb_start(climb, a);
	int fd_a = climb_open_root(a_dir, a, err);
	if (fd_a < 0)
		return -1;
	int fd_b = climb_open_root(b_dir, b, err);
	if (fd_b < 0) {
		close(fd_a);
		return -1;
	}
	return climb_enter(climb, a, fd_a, fd_b, err);
}

int climb_enter_pair(struct climb *climb, const char *name, const struct statx *a, const struct statx *b,
		     struct err *err)
{
	int fd_a = climb_open(climb, 0, name, a);
	int fd_b = fd_a >= 0 ? climb_open(climb, 1, name, b) : -1;

	if (fd_b >= 0)
		return climb_enter(climb, name, fd_a, fd_b, err);
	climb_fail(climb, "cannot open", name, err);
	if (fd_a >= 0)
		close(fd_a);
	return -1;
}

int climb_fail_left(const struct climb *climb, const char *what, struct err *err)
{
	if (climb->depth == 0)
		return climb_fail(climb, what, "", err);
	const struct level *top = climb_top(climb);
	return climb_fail(climb, what, top->list.names[top->at - 1], err);
}

static size_t place_of(const struct inode_table *table, uint64_t dev, uint64_t ino)
{
	uint64_t hash = (ino ^ dev << 48) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(hash >> 20) & (table->room - 1);

	while (table->entries[at].ino != 0 &&
	       (table->entries[at].ino != ino || table->entries[at].dev != dev))
		at = (at + 1) & (table->room - 1);
	return at;
}

static void table_grow(struct inode_table *table)
{
	struct inode_table bigger = { .room = table->room == 0 ? 256 : table->room * 2, .used = table->used };

	bigger.entries = alloc_grow(NULL, bigger.room, sizeof(*bigger.entries));
	memset(bigger.entries, 0, bigger.room * sizeof(*bigger.entries));
	for (size_t i = 0; i < table->room; i++) {
		const struct inode_entry *entry = &table->entries[i];

		if (entry->ino != 0)
			bigger.entries[place_of(&bigger, entry->dev, entry->ino)] = *entry;
	}
	free(table->entries);
	*table = bigger;
}

struct inode_entry *inode_table_find(const struct inode_table *table, const struct statx *st)
{
	if (table->used == 0)
		return NULL;
	struct inode_entry *entry = &table->entries[place_of(table, statx_dev(st), st->stx_ino)];
	return entry->ino != 0 ? entry : NULL;
}

struct inode_entry *inode_table_add(struct inode_table *table, const struct statx *st)
{
	if (table->used * 2 >= table->room)
		table_grow(table);
	struct inode_entry *entry = &table->entries[place_of(table, statx_dev(st), st->stx_ino)];
	if (entry->ino == 0) {
		entry->dev = statx_dev(st);
		entry->ino = st->stx_ino;
		table->used++;
	}
	return entry;
}

bool inode_table_pair(struct inode_table *table, const struct statx *st, const struct statx *partner)
{
	struct inode_entry *entry = inode_table_add(table, st);

	if (entry->b == 0) {
		entry->a = statx_dev(partner);
		entry->b = partner->stx_ino;
	}
	return entry->a == statx_dev(partner) && entry->b == partner->stx_ino;
}

void inode_table_release(struct inode_table *table)
{
	free(table->entries);
	memset(table, 0, sizeof(*table));
}

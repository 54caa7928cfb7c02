/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/tree.h"

#include <stdbool.h>

#include "helper/tree/climb.h"

struct measured {
	uint64_t files, bytes, own;
};

static void measure_leaf(struct measured *measured, struct inode_table *several, const struct statx *st)
{
	const uint64_t bytes = st->stx_blocks * 512;
	uint64_t seen = 1;

	if (st->stx_nlink > 1)
		seen = ++inode_table_add(several, st)->count;
	measured->files++;
	if (seen == 1)
		measured->bytes += bytes;
	if (seen == st->stx_nlink)
		measured->own += bytes;
}

/* No two trees share one. */
static void measure_directory(struct measured *measured, const struct statx *st)
{
	measured->bytes += st->stx_blocks * 512;
	measured->own += st->stx_blocks * 512;
}

static int measure_step(struct climb *climb, struct measured *measured, struct inode_table *several,
			struct err *err)
{
	const char *name = climb_next(climb);
	struct statx st;

	if (name == NULL)
		return climb_leave(climb, NULL, err);
	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot read", name, err);
	if (!statx_is_directory(&st)) {
		measure_leaf(measured, several, &st);
		return 0;
	}
	measure_directory(measured, &st);
	int fd = climb_open(climb, 0, name, &st);
	return fd < 0 ? climb_fail(climb, "cannot open", name, err) : climb_enter(climb, name, fd, -1, err);
}

int tree_measure(int dir, const char *name, uint64_t *files, uint64_t *bytes, uint64_t *own, struct err *err)
{
	struct measured measured = { .files = 0 };
	struct inode_table several = { .used = 0 };
	struct climb climb;
	int fd = climb_open_root(dir, name, err);

	if (fd < 0)
		return -1;
	climb_start(&climb, name);
	int result = climb_enter(&climb, name, fd, -1, err);
	if (result == 0)
		measure_directory(&measured, &climb_top(&climb)->was[0]);
	while (result == 0 && climb.depth != 0)
		result = measure_step(&climb, &measured, &several, err);
	climb_release(&climb);
	inode_table_release(&several);
	*files = measured.files;
	*bytes = measured.bytes;
	*own = measured.own;
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Side 0 is mine, side 1 theirs (or none, below a directory that only mine has). Two rounds: the first learns which
 * files of mine have several names, and which file of theirs, if it is one, has them all; the second links. It is not
 * needed where the first finds nothing that could be linked, as after rsync, which links what is unchanged itself.
 */
#include "helper/tree/tree.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "helper/tree/climb.h"
#include "helper/tree/object.h"

struct share {
	struct climb climb;
	int spare_dir;
	const char *spare;
	size_t candidates;       /* names that the second round may link */
	struct inode_table mine; /* several names: `a`, `b`: device and number of their file, `b` 0: there is
				     none; `count` names in this tree that are not linked yet; `done` that are */
	struct inode_table
		taken; /* files of theirs that were linked: `a`, `b`: instead of which one of mine */
};

/* Goes into a directory of mine, with theirs where there is one. */
static int share_enter(struct share *share, const char *name, const struct statx *mine, struct err *err)
{
	struct climb *climb = &share->climb;
	struct statx theirs;

	if (climb_top(climb)->fd[1] >= 0 && climb_look(climb, 1, name, &theirs) == 0 &&
	    statx_is_directory(&theirs))
		return climb_enter_pair(climb, name, mine, &theirs, err);
	int fd = climb_open(climb, 0, name, mine);
	return fd < 0 ? climb_fail(climb, "cannot open", name, err) : climb_enter(climb, name, fd, -1, err);
}

/* Their file of this name: 1 if there is one, 0, or -1 and errno. */
static int share_theirs(const struct share *share, const char *name, struct statx *theirs)
{
	if (climb_top(&share->climb)->fd[1] < 0)
		return 0;
	if (climb_look(&share->climb, 1, name, theirs) == 0)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

static int share_equal(const struct share *share, const char *name, const struct statx *mine,
		       const struct statx *theirs)
{
	const struct level *top = climb_top(&share->climb);

	if (statx_same_inode(mine, theirs))
		return 1;
	return object_same_stat(mine, theirs) ? object_same_named(top->fd[0], top->fd[1], name, mine, theirs)
					      : 0;
}

static int share_learn(struct share *share, const char *name, const struct statx *mine)
{
	struct statx theirs;
	int equal = share_theirs(share, name, &theirs);

	if (equal == 1 && !statx_same_inode(mine, &theirs) && object_same_stat(mine, &theirs))
		share->candidates++;
	if (equal >= 0 && mine->stx_nlink == 1)
		return 0;
	if (equal == 1)
		equal = share_equal(share, name, mine, &theirs);
	if (equal < 0)
		return -1;
	struct inode_entry *file = inode_table_add(&share->mine, mine);
	const uint64_t dev = equal ? statx_dev(&theirs) : 0, ino = equal ? theirs.stx_ino : 0;
	if (file->count++ == 0) {
		file->a = dev;
		file->b = ino;
	} else if (file->a != dev || file->b != ino) {
		file->b = 0;
	}
	return 0;
}

/* 1: mine/name is now a link to theirs; 0: it cannot be, and is as before; -1 and errno. */
static int share_link(const struct share *share, const char *name)
{
	const struct level *top = climb_top(&share->climb);
	const int spare_dir = share->spare_dir;
	const char *spare = share->spare;

	if (linkat(top->fd[1], name, spare_dir, spare, 0) != 0)
		return errno == EMLINK || errno == EXDEV || errno == EPERM ? 0 : -1;
	int result = renameat(spare_dir, spare, top->fd[0], name);
	/* If both were one file already, rename(2) did nothing and left the spare name. */
	const int error = errno;
	if (unlinkat(spare_dir, spare, 0) != 0 && errno != ENOENT)
		return -1;
	errno = error;
	return result == 0 ? 1 : -1;
}

/* Is there room for all names of a file? Where the limit is not known the C library says 127. */
static bool share_room(int dir, const struct statx *theirs, const struct inode_entry *file)
{
	const long most = fpathconf(dir, _PC_LINK_MAX);

	return most < 0 || theirs->stx_nlink + file->count <= (uint64_t)most;
}

/* May mine become theirs without joining or parting names? */
static int share_allowed(struct share *share, const char *name, const struct statx *mine,
			 const struct statx *theirs, struct inode_entry *file)
{
	if (inode_table_find(&share->mine, theirs) != NULL)
		return 0; /* mine has theirs already, by another name */
	if (file == NULL && mine->stx_nlink > 1)
		return 0; /* somebody made another name since the first round */
	int equal = file != NULL ? file->a == statx_dev(theirs) && file->b == theirs->stx_ino &&
					   share_room(climb_top(&share->climb)->fd[0], theirs, file)
				 : share_equal(share, name, mine, theirs);
	if (equal == 1)
		equal = inode_table_pair(&share->taken, theirs, mine);
	return equal;
}

static int share_leaf(struct share *share, const char *name, const struct statx *mine)
{
	struct inode_entry *file = inode_table_find(&share->mine, mine);
	struct statx theirs;
	int done = share_theirs(share, name, &theirs);

	if (done != 1 || statx_is_directory(&theirs) || statx_same_inode(mine, &theirs))
		return done < 0 ? -1 : 0;
	done = share_allowed(share, name, mine, &theirs, file);
	if (done == 1)
		done = share_link(share, name);
	if (done == 1) {
		climb_top(&share->climb)->mark = 1;
		if (file != NULL) {
			file->count--;
			file->done++;
		}
	} else if (done == 0 && file != NULL) {
		if (file->done != 0) {
			errno = EMLINK; /* a file cut in two */
			return -1;
		}
		file->b = 0; /* none of its names, then */
	}
	return done < 0 ? -1 : 0;
}

static int share_leave(struct share *share, struct err *err)
{
	const struct statx was = climb_top(&share->climb)->was[0];
	const bool touched = climb_top(&share->climb)->mark != 0;
	int left[2], result = 0;

	if (climb_leave(&share->climb, left, err) != 0)
		return -1;
	struct object mine = object_of(left[0]), theirs = object_of(left[1]);
	if (touched && object_set_times(&mine, &was) != 0)
		result = climb_fail_left(&share->climb, "cannot set the times of", err);
	object_close(&mine);
	object_close(&theirs);
	return result;
}

static int share_step(struct share *share, int (*leaf)(struct share *, const char *, const struct statx *),
		      struct err *err)
{
	const char *name = climb_next(&share->climb);
	struct statx mine;

	if (name == NULL)
		return share_leave(share, err);
	if (climb_look(&share->climb, 0, name, &mine) != 0)
		return climb_fail(&share->climb, "cannot read", name, err);
	if (statx_is_directory(&mine))
		return share_enter(share, name, &mine, err);
	if (leaf(share, name, &mine) != 0)
		return climb_fail(&share->climb, "cannot share", name, err);
	return 0;
}

int tree_share(int mine_dir, const char *mine, int theirs_dir, const char *theirs, const char *spare,
	       struct err *err)
{
	struct share share = { .spare_dir = mine_dir, .spare = spare };
	int result = 0;

	for (int round = 0; round < 2 && result == 0 && (round == 0 || share.candidates != 0); round++) {
		result = climb_start_pair(&share.climb, mine_dir, mine, theirs_dir, theirs, err);
		while (result == 0 && share.climb.depth != 0)
			result = share_step(&share, round == 0 ? share_learn : share_leaf, err);
		climb_release(&share.climb);
	}
	inode_table_release(&share.mine);
	inode_table_release(&share.taken);
	return result;
}

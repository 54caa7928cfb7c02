/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helper/alloc.h"
#include "helper/climb.h"
#include "helper/object.h"

/*
 * How often tree_delete() looks again, in all, at directories that did not get empty; and how many names more than
 * the last time say that somebody makes them faster than they are deleted, so that each time would take longer.
 */
#define DELETE_TRIES 20
#define DELETE_GROWTH 100

static bool is_directory(const struct statx *st)
{
	return S_ISDIR(st->stx_mode);
}

static int open_root(int dir, const char *name, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err_errno(err, STATUS_FAILED, name, "cannot open this directory");
	return fd;
}

/* Starts a climb through two trees side by side. */
static int start_pair(struct climb *climb, int a_dir, const char *a, int b_dir, const char *b,
		      struct err *err)
{
	climb_start(climb, a);
	int fd_a = open_root(a_dir, a, err);
	if (fd_a < 0)
		return -1;
	int fd_b = open_root(b_dir, b, err);
	if (fd_b < 0) {
		close(fd_a);
		return -1;
	}
	return climb_enter(climb, a, fd_a, fd_b, err);
}

/* Opens the directory `name` on both sides and goes in. */
static int enter_pair(struct climb *climb, const char *name, const struct statx *a, const struct statx *b,
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

/* climb_fail() for the directory that was left last. */
static int fail_behind(const struct climb *climb, const char *what, struct err *err)
{
	if (climb->depth == 0)
		return climb_fail(climb, what, "", err);
	const struct level *top = climb_top(climb);
	return climb_fail(climb, what, top->list.names[top->at - 1], err);
}

/*
 * Copy. Side 0 of the climb is the source, side 1 the copy.
 *
 * The second name of a file is a link to the first, which may be far away. Its place is kept as (directory,
 * name), where a directory is (its parent directory, its name) in turn, and is gone to step by step.
 */

struct place {
	size_t directory; /* among the places; 0: the root */
	char *name;
};

struct copy {
	struct climb climb;
	struct place *places; /* [0] is the root */
	size_t count, room;
	struct inode_table files; /* with several names: `a` is where the copy's first one is */
};

static size_t place_add(struct copy *copy, size_t directory, const char *name)
{
	if (copy->count == copy->room) {
		copy->room = copy->room * 2 + 64;
		copy->places = alloc_grow(copy->places, copy->room, sizeof(*copy->places));
	}
	copy->places[copy->count] = (struct place){ .directory = directory, .name = alloc_copy(name) };
	return copy->count++;
}

/* The directory of the copy that is place `at`, opened anew from the root down. -1 and errno. */
static int place_open(const struct copy *copy, size_t at)
{
	size_t *way = NULL, steps = 0, room = 0;

	for (; at != 0; at = copy->places[at].directory) {
		if (steps == room) {
			room = room * 2 + 16;
			way = alloc_grow(way, room, sizeof(*way));
		}
		way[steps++] = at;
	}
	int fd = fcntl(copy->climb.levels[0].fd[1], F_DUPFD_CLOEXEC, 0);
	while (fd >= 0 && steps > 0) {
		const char *name = copy->places[way[--steps]].name;
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		close(fd);
		fd = next;
	}
	free(way);
	return fd;
}

/* Another name for what was copied before. */
static int copy_link(struct copy *copy, const char *name, size_t first)
{
	const struct level *top = climb_top(&copy->climb);
	const struct place *place = &copy->places[first];

	if (place->directory == top->mark)
		return linkat(top->fd[1], place->name, top->fd[1], name, 0);
	int directory = place_open(copy, place->directory);
	if (directory < 0)
		return -1;
	int result = linkat(directory, place->name, top->fd[1], name, 0);
	close(directory);
	return result;
}

/* Makes the object without its metadata and opens it. */
static int make_object(int dir, const char *name, const struct statx *st, const struct object *from,
		       struct object *to)
{
	struct statx made;
	int result;

	if (S_ISREG(st->stx_mode)) {
		*to = object_of(openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
		return to->fd < 0 ? -1 : 0;
	}
	if (S_ISLNK(st->stx_mode)) {
		char *target = object_target(from);

		result = target != NULL ? symlinkat(target, dir, name) : -1;
		free(target);
	} else {
		result = mknodat(dir, name, (st->stx_mode & S_IFMT) | 0600,
				 makedev(st->stx_rdev_major, st->stx_rdev_minor));
	}
	if (result == 0)
		result = statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &made);
	return result == 0 ? object_open(dir, name, &made, to) : -1;
}

static int copy_object(struct copy *copy, const char *name, const struct statx *st)
{
	const struct level *top = climb_top(&copy->climb);
	struct object from, to = { .fd = -1 };

	if (object_open(top->fd[0], name, st, &from) != 0)
		return -1;
	int result = make_object(top->fd[1], name, st, &from, &to);
	if (result == 0 && S_ISREG(st->stx_mode))
		result = object_copy_content(&from, st, &to);
	if (result == 0)
		result = object_copy_metadata(&from, st, &to);
	object_close(&to);
	object_close(&from);
	return result;
}

static int copy_leaf(struct copy *copy, const char *name, const struct statx *st)
{
	if (st->stx_nlink > 1) {
		struct inode_entry *file = inode_table_add(&copy->files, st);

		if (file->a != 0)
			return copy_link(copy, name, (size_t)file->a);
		file->a = place_add(copy, climb_top(&copy->climb)->mark, name);
	}
	return copy_object(copy, name, st);
}

static int copy_enter(struct copy *copy, const char *name, const struct statx *st, struct err *err)
{
	struct climb *climb = &copy->climb;
	const size_t parent = climb_top(climb)->mark;
	struct statx made;

	if (mkdirat(climb_top(climb)->fd[1], name, 0700) != 0 || climb_look(climb, 1, name, &made) != 0)
		return climb_fail(climb, "cannot make", name, err);
	if (enter_pair(climb, name, st, &made, err) != 0)
		return -1;
	climb_top(climb)->mark = place_add(copy, parent, name);
	return 0;
}

/*
 * The directory's own metadata comes last, when nothing in it is made any more and the way back was taken: the
 * mode may forbid both.
 */
static int copy_leave(struct copy *copy, struct err *err)
{
	const struct statx was = climb_top(&copy->climb)->was[0];
	int left[2];

	if (climb_leave(&copy->climb, left, err) != 0)
		return -1;
	struct object from = object_of(left[0]), to = object_of(left[1]);
	int result = object_copy_metadata(&from, &was, &to);
	if (result != 0)
		result = fail_behind(&copy->climb, "cannot copy the metadata of", err);
	object_close(&from);
	object_close(&to);
	return result;
}

static int copy_step(struct copy *copy, struct err *err)
{
	const char *name = climb_next(&copy->climb);
	struct statx st;

	if (name == NULL)
		return copy_leave(copy, err);
	if (climb_look(&copy->climb, 0, name, &st) != 0)
		return climb_fail(&copy->climb, "cannot read", name, err);
	if (is_directory(&st))
		return copy_enter(copy, name, &st, err);
	if (copy_leaf(copy, name, &st) != 0)
		return climb_fail(&copy->climb, "cannot copy", name, err);
	return 0;
}

int tree_copy(int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
	struct copy copy = { .count = 0 };
	int result = -1;

	if (mkdirat(to_dir, to, 0700) != 0)
		return err_errno(err, STATUS_FAILED, to, "cannot make this directory");
	place_add(&copy, 0, "");
	if (start_pair(&copy.climb, from_dir, from, to_dir, to, err) == 0)
		result = 0;
	while (result == 0 && copy.climb.depth != 0)
		result = copy_step(&copy, err);
	climb_release(&copy.climb);
	inode_table_release(&copy.files);
	while (copy.count != 0)
		free(copy.places[--copy.count].name);
	free(copy.places);
	return result;
}

/*
 * Same. Which names are one file must agree, too: each inode of one side has one partner on the other.
 */

struct same {
	struct climb climb;
	struct inode_table partners[2]; /* `a`, `b`: device and number on the other side */
};

static bool note_partner(struct inode_table *table, const struct statx *st, const struct statx *partner)
{
	struct inode_entry *entry = inode_table_add(table, st);

	if (entry->b == 0) {
		entry->a = statx_dev(partner);
		entry->b = partner->stx_ino;
	}
	return entry->a == statx_dev(partner) && entry->b == partner->stx_ino;
}

static bool are_partners(struct same *same, const struct statx *a, const struct statx *b)
{
	if (a->stx_nlink == 1 && b->stx_nlink == 1)
		return true;
	return note_partner(&same->partners[0], a, b) && note_partner(&same->partners[1], b, a);
}

/* Are these two, of which lstat says the same, the same within? 1, 0, or -1 and errno. */
static int same_within(const struct climb *climb, const char *name, const struct statx *a,
		       const struct statx *b)
{
	const struct level *top = climb_top(climb);
	struct object of_a, of_b;
	int result = -1;

	if (object_open(top->fd[0], name, a, &of_a) != 0)
		return -1;
	if (object_open(top->fd[1], name, b, &of_b) == 0) {
		result = object_same(&of_a, &of_b, a);
		object_close(&of_b);
	}
	object_close(&of_a);
	return result;
}

static bool same_names(const struct listing *a, const struct listing *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return true;
}

/* The directory that was just entered: metadata and names. */
static int same_directory(const struct climb *climb, struct err *err)
{
	const struct level *top = climb_top(climb);
	const struct object a = object_of(top->fd[0]), b = object_of(top->fd[1]);
	struct listing of_b;

	if (!object_same_stat(&top->was[0], &top->was[1]))
		return 0;
	int result = object_same(&a, &b, &top->was[0]);
	if (result == 1 && (result = listing_read(top->fd[1], &of_b)) == 0) {
		result = same_names(&top->list, &of_b);
		listing_release(&of_b);
	}
	return result < 0 ? climb_fail(climb, "cannot compare", "", err) : result;
}

static int same_step(struct same *same, struct err *err)
{
	struct climb *climb = &same->climb;
	const char *name = climb_next(climb);
	struct statx a, b;
	int result;

	if (name == NULL)
		return climb_leave(climb, NULL, err) != 0 ? -1 : 1;
	if (climb_look(climb, 0, name, &a) != 0 || climb_look(climb, 1, name, &b) != 0)
		return climb_fail(climb, "cannot read", name, err);
	if (is_directory(&a) && is_directory(&b))
		return enter_pair(climb, name, &a, &b, err) != 0 ? -1 : same_directory(climb, err);
	if (is_directory(&a) || is_directory(&b) || !are_partners(same, &a, &b))
		return 0;
	if (statx_same_inode(&a, &b))
		return 1;
	result = object_same_stat(&a, &b) ? same_within(climb, name, &a, &b) : 0;
	return result < 0 ? climb_fail(climb, "cannot compare", name, err) : result;
}

int tree_same(int a_dir, const char *a, int b_dir, const char *b, struct err *err)
{
	struct same same = { .partners = { { .used = 0 } } };
	int result = start_pair(&same.climb, a_dir, a, b_dir, b, err);

	if (result == 0)
		result = same_directory(&same.climb, err);
	while (result == 1 && same.climb.depth != 0)
		result = same_step(&same, err);
	climb_release(&same.climb);
	inode_table_release(&same.partners[0]);
	inode_table_release(&same.partners[1]);
	return result;
}

/*
 * Share. Side 0 is mine, side 1 theirs (or none, below a directory that only mine has). Two rounds: the first
 * learns which files of mine have several names, and which file of theirs, if it is one, has them all; the
 * second links.
 */

struct share {
	struct climb climb;
	int spare_dir;
	const char *spare;
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

	if (climb_top(climb)->fd[1] >= 0 && climb_look(climb, 1, name, &theirs) == 0 && is_directory(&theirs))
		return enter_pair(climb, name, mine, &theirs, err);
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
	if (statx_same_inode(mine, theirs))
		return 1;
	return object_same_stat(mine, theirs) ? same_within(&share->climb, name, mine, theirs) : 0;
}

static int share_learn(struct share *share, const char *name, const struct statx *mine)
{
	struct statx theirs;
	int equal;

	if (mine->stx_nlink == 1)
		return 0;
	equal = share_theirs(share, name, &theirs);
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
		equal = note_partner(&share->taken, theirs, mine);
	return equal;
}

static int share_leaf(struct share *share, const char *name, const struct statx *mine)
{
	struct inode_entry *file = inode_table_find(&share->mine, mine);
	struct statx theirs;
	int done = share_theirs(share, name, &theirs);

	if (done != 1 || is_directory(&theirs) || statx_same_inode(mine, &theirs))
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
		result = fail_behind(&share->climb, "cannot set the times of", err);
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
	if (is_directory(&mine))
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

	for (int round = 0; round < 2 && result == 0; round++) {
		result = start_pair(&share.climb, mine_dir, mine, theirs_dir, theirs, err);
		while (result == 0 && share.climb.depth != 0)
			result = share_step(&share, round == 0 ? share_learn : share_leaf, err);
		climb_release(&share.climb);
	}
	inode_table_release(&share.mine);
	inode_table_release(&share.taken);
	return result;
}

/*
 * Delete. unlink(2) follows nothing and removes no directory, rmdir(2) only an empty one: whatever somebody puts
 * in the place of a name, nothing goes but names in directories that were entered, and those are on our mount.
 */

struct delete
{
	struct climb climb;
	unsigned tries;
	bool again;  /* the next directory is one that did not get empty, */
	size_t last; /* with so many names then */
	bool failed; /* something at the root could not be deleted */
};

/* A directory that we own but may not read: -1 and errno. */
static int delete_unlock(const struct climb *climb, int dir, const char *name)
{
	int held = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;
	char proc[32];
	int fd = -1;

	if (held < 0)
		return -1;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", held);
	if (climb_look_fd(climb, 0, held, &st) == 0 && chmod(proc, (st.stx_mode & 07777) | 0700) == 0)
		fd = openat(held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(held);
	return fd;
}

/* Opens a directory to delete what is in it. -1 and errno; EXDEV: something is mounted there. */
static int delete_open(const struct climb *climb, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (fd < 0 && errno == EACCES)
		fd = delete_unlock(climb, dir, name);
	if (fd < 0)
		return -1;
	if (climb_look_fd(climb, 0, fd, &st) == 0) {
		/* Where this fails, what needs it says why. */
		if ((st.stx_mode & 0700) != 0700)
			fchmod(fd, (st.stx_mode & 07777) | 0700);
		return fd;
	}
	close(fd);
	return -1;
}

/* Goes into a directory, by a descriptor that is taken. */
static int delete_enter(struct delete *delete, const char *name, int fd, struct err *err)
{
	if (climb_enter(&delete->climb, name, fd, -1, err) != 0)
		return -1;
	if (delete->again && climb_top(&delete->climb)->list.count > delete->last + DELETE_GROWTH)
		delete->tries = 0;
	delete->again = false;
	return 0;
}

/* Deletes what is no directory, goes into what is. What cannot be done does not stop the rest. */
static int delete_entry(struct delete *delete, const char *name, struct err *err)
{
	struct climb *climb = &delete->climb;
	struct level *top = climb_top(climb);

	if (unlinkat(top->fd[0], name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR) {
		int fd = delete_open(climb, top->fd[0], name);

		if (fd >= 0)
			return delete_enter(delete, name, fd, err);
		if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
			return 0; /* somebody was faster; what is there now shows when this directory is not empty */
	}
	climb_fail(climb, "cannot delete", name, err);
	top->failed = true;
	return 0;
}

/* Removes an emptied directory: 1 if it is gone, 0 to try it again, -1 and errno. */
static int delete_emptied(struct delete *delete, int dir, const char *name)
{
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	if ((errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) || delete->tries == 0)
		return -1;
	delete->tries--;
	delete->again = true;
	return 0;
}

static int delete_leave(struct delete *delete, struct err *err)
{
	struct climb *climb = &delete->climb;
	const bool failed = climb_top(climb)->failed;

	delete->last = climb_top(climb)->list.count;
	if (climb_leave(climb, NULL, err) != 0)
		return -1;
	if (climb->depth == 0) {
		delete->failed = failed;
		return 0;
	}
	struct level *top = climb_top(climb);
	const char *name = top->list.names[top->at - 1];
	int gone = failed ? -1 : delete_emptied(delete, top->fd[0], name);
	if (gone == 0)
		top->at--;
	if (gone < 0) {
		climb_fail(climb, "cannot delete", name, err);
		top->failed = true;
	}
	return 0;
}

/* Deletes what is in the directory that `fd` (taken) is. */
static int delete_content(struct delete *delete, const char *name, int fd, struct err *err)
{
	struct climb *climb = &delete->climb;
	int result = delete_enter(delete, name, fd, err);

	while (result == 0 && climb->depth != 0) {
		const char *entry = climb_next(climb);

		result = entry != NULL ? delete_entry(delete, entry, err) : delete_leave(delete, err);
	}
	climb_release(climb);
	return result != 0 || delete->failed ? -1 : 0;
}

int tree_delete(int dir, const char *name, struct err *err)
{
	struct delete delete = { .tries = DELETE_TRIES };

	for (;;) {
		if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR)
			break;
		climb_start(&delete.climb, name);
		int fd = climb_mount(&delete.climb, dir) == 0 ? delete_open(&delete.climb, dir, name) : -1;
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd < 0)
			return climb_fail(&delete.climb, "cannot open", "", err);
		if (delete_content(&delete, name, fd, err) != 0)
			return -1;
		int gone = delete_emptied(&delete, dir, name);
		if (gone != 0)
			return gone > 0 ? 0 : err_errno(err, STATUS_FAILED, name, "cannot delete it");
	}
	return err_errno(err, STATUS_FAILED, name, "cannot delete it");
}

/* Measure. */

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

static int measure_step(struct climb *climb, struct measured *measured, struct inode_table *several,
			struct err *err)
{
	const char *name = climb_next(climb);
	struct statx st;

	if (name == NULL)
		return climb_leave(climb, NULL, err);
	if (climb_look(climb, 0, name, &st) != 0)
		return climb_fail(climb, "cannot read", name, err);
	if (!is_directory(&st)) {
		measure_leaf(measured, several, &st);
		return 0;
	}
	int fd = climb_open(climb, 0, name, &st);
	return fd < 0 ? climb_fail(climb, "cannot open", name, err) : climb_enter(climb, name, fd, -1, err);
}

int tree_measure(int dir, const char *name, uint64_t *files, uint64_t *bytes, uint64_t *own, struct err *err)
{
	struct measured measured = { .files = 0 };
	struct inode_table several = { .used = 0 };
	struct climb climb;
	int fd = open_root(dir, name, err);

	if (fd < 0)
		return -1;
	climb_start(&climb, name);
	int result = climb_enter(&climb, name, fd, -1, err);
	while (result == 0 && climb.depth != 0)
		result = measure_step(&climb, &measured, &several, err);
	climb_release(&climb);
	inode_table_release(&several);
	*files = measured.files;
	*bytes = measured.bytes;
	*own = measured.own;
	return result;
}

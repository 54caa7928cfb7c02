/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * local: a directory of this machine, copied with all its metadata (by reflink where the file system has them). It is
 * compared with its copy in the end: what was changed while it was copied is no version of anything. Copied by a
 * sync-user it is as rsync would do that: the files are his, and what he may not read is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/transport/apart.h"
#include "helper/transport/source.h"
#include "helper/transport/transport.h"
#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/tree.h"

static int local_check(const struct repo *repo, struct err *err)
{
	if (!repo->sync_uri)
		return repo_refuse(repo, REPO_SYNC_URI, "not set", err);
	if (!source_path(repo->sync_uri))
		return repo_refuse(repo, REPO_SYNC_URI, "not an absolute path or file://", err);
	return source_check_place(repo, err);
}

/* A name for the copy in the tree that nothing in the source has. The caller frees it. */
static char *free_name(int source)
{
	for (unsigned i = 0;; i++) {
		char *name = alloc_printf(".copy.%u", i);

		if (faccessat(source, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
			return name;
		free(name);
	}
}

/* What was copied whole, so that names of one file stay names of one file, comes up to where it belongs. */
static int move_up(int tree, const char *name, struct err *err)
{
	DIR *copy = directory_open(tree, name);
	const struct dirent *entry;
	int result = 0;

	if (!copy)
		return err_errno(err, STATUS_FAILED, name, "cannot be opened");
	while (result == 0 && (entry = directory_next(copy)) != NULL)
		if (renameat2(dirfd(copy), entry->d_name, tree, entry->d_name, RENAME_NOREPLACE) != 0)
			result = err_errno(err, STATUS_FAILED, entry->d_name, "cannot be moved");
	if (result == 0 && errno != 0)
		result = err_errno(err, STATUS_FAILED, name, "cannot be read");
	closedir(copy);
	if (result == 0 && unlinkat(tree, name, AT_REMOVEDIR) != 0)
		result = err_errno(err, STATUS_FAILED, name, "cannot be removed");
	return result;
}

/* The tree's own mode, owner, times and attributes. */
static int copy_root(int source, int tree, struct err *err)
{
	const struct object from = object_of(source), to = object_of(tree);
	struct statx st;

	if (statx(source, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) != 0 ||
	    object_copy_metadata(&from, &st, &to) != 0)
		return err_errno(err, STATUS_FAILED, "the staging tree", "its metadata cannot be set");
	return 0;
}

static int copy_and_compare(const char *path, int source, const struct staging *staging, int tree,
			    struct err *err)
{
	char *name = free_name(source);
	int result = tree_copy(AT_FDCWD, path, tree, name, err);

	if (result == 0)
		result = move_up(tree, name, err);
	free(name);
	if (result != 0 || copy_root(source, tree, err) != 0)
		return -1;
	result = tree_same(AT_FDCWD, path, AT_FDCWD, staging->path, err);
	if (result == 0)
		return err_fail(err, STATUS_FAILED, path, "it was changed while it was copied");
	return result < 0 ? -1 : 0;
}

struct work {
	const struct staging *staging;
	const char *path;
	bool other; /* by somebody who cannot give files away */
};

static int local_work(void *context, struct changes *changes, struct err *err)
{
	const struct work *work = context;
	const struct staging *staging = work->staging;
	const char *path = work->path;
	/* By its canonical path: a link to the directory that is exchanged meanwhile leads to two of them. */
	char *canonical = realpath(path, NULL);
	int source = canonical ? open(canonical, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	int tree = open(staging->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), result = -1;

	changes_set_unknown(changes);
	if (work->other)
		object_leave_owners();
	if (source < 0)
		err_errno(err, STATUS_FAILED, path, "cannot be opened");
	else if (tree < 0)
		err_errno(err, STATUS_FAILED, staging->path, "cannot be opened");
	else
		result = copy_and_compare(canonical, source, staging, tree, err);
	if (source >= 0)
		close(source);
	if (tree >= 0)
		close(tree);
	free(canonical);
	return result;
}

static int local_fetch(const struct repo *repo, const struct staging *staging, const char *base,
		       struct changes *changes, struct err *err)
{
	struct user user;
	struct work work = { .staging = staging, .path = source_path(repo->sync_uri) };
	const struct apart apart = { .repo = repo, .user = &user, .work = local_work, .context = &work };
	int result = user_of_fetch(repo, &user, err);

	(void)base;
	work.other = user_is_other(&user);
	if (result == 0)
		result = apart_run(&apart, changes, err);
	user_release(&user);
	return result;
}

const struct transport transport_local = {
	.type = "local", .check = local_check, .stage = STAGE_EMPTY, .fetch = local_fetch
};

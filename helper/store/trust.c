/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/walk.h"

struct trust {
	const char *subject; /* the path as it was given, for messages */
	uid_t also;
	bool sticky; /* others may make entries where the walk is, but not exchange those of somebody else */
	struct walk walk;
};

static bool uid_trusted(uid_t uid, uid_t also)
{
	return uid == 0 || uid == geteuid() || (also != (uid_t)-1 && uid == also);
}

/* Who else could write to this directory? */
static int dir_check(struct trust *trust, int fd, const char *at, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(err, STATUS_FAILED, trust->subject, "%s: stat", at);
	if (!uid_trusted(st.st_uid, trust->also))
		return err_fail(err, STATUS_USAGE, trust->subject,
				"%s is owned by user %ju, who could exchange what is in it", at,
				(uintmax_t)st.st_uid);
	const bool others = (st.st_mode & S_IWOTH) != 0;
	const bool group = (st.st_mode & S_IWGRP) != 0 && st.st_gid != 0;
	trust->sticky = (others || group) && (st.st_mode & S_ISVTX) != 0;
	if ((others || group) && !trust->sticky)
		return err_fail(err, STATUS_USAGE, trust->subject, "%s may be written to by %s", at,
				others ? "everybody" : "its group");
	return 0;
}

/* A directory that others may make entries in is good on the way, but not as the end of it. */
static int end_check(const struct trust *trust, struct err *err)
{
	return trust->sticky ? err_fail(err, STATUS_USAGE, trust->subject, "others may write to it") : 0;
}

int trust_dir(int fd, const char *path, uid_t also, struct err *err)
{
	struct trust trust = { .subject = path, .also = also };

	return dir_check(&trust, fd, path, err) != 0 ? -1 : end_check(&trust, err);
}

static int here_check(struct trust *trust, struct err *err)
{
	return dir_check(trust, trust->walk.dir, trust->walk.at[0] == '\0' ? "/" : trust->walk.at, err);
}

static int link_follow(struct trust *trust, const char *name, struct err *err)
{
	char *target = walk_target(&trust->walk, name);
	int result = target == NULL ? -1 : walk_follow(&trust->walk, target);

	if (result != 0)
		err_errno(err, STATUS_USAGE, trust->subject, "%s/%s: link", trust->walk.at, name);
	else if (target[0] == '/')
		result = here_check(trust, err);
	free(target);
	return result;
}

/* One component. 1: go on, 0: there is nothing further, -1. */
static int step(struct trust *trust, const char *name, struct err *err)
{
	struct walk *walk = &trust->walk;
	struct stat st;

	if (fstatat(walk->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return 0;
		return err_errno(err, STATUS_USAGE, trust->subject, "%s/%s", walk->at, name);
	}
	if (trust->sticky && strcmp(name, "..") != 0 && !uid_trusted(st.st_uid, trust->also))
		return err_fail(err, STATUS_USAGE, trust->subject, "%s/%s is owned by user %ju", walk->at,
				name, (uintmax_t)st.st_uid);
	if (S_ISLNK(st.st_mode))
		return link_follow(trust, name, err) != 0 ? -1 : 1;
	if (walk_enter(walk, name) != 0)
		return err_errno(err, STATUS_USAGE, trust->subject, "%s/%s", walk->at, name);
	return here_check(trust, err) != 0 ? -1 : 1;
}

int trust_path(const char *path, uid_t also, struct err *err)
{
	struct trust trust = { .subject = path, .also = also };
	char *name;
	int result = 1;

	if (walk_start(&trust.walk, path) != 0)
		result = err_errno(err, STATUS_FAILED, path, "/: open");
	else if (here_check(&trust, err) != 0)
		result = -1;
	while (result == 1 && (name = walk_next(&trust.walk)) != NULL) {
		result = step(&trust, name, err);
		free(name);
	}
	if (result == 1)
		result = end_check(&trust, err);
	walk_release(&trust.walk);
	return result < 0 ? -1 : 0;
}

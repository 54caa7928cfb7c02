/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/programs/run.h"
#include "helper/transport/below.h"
#include "helper/tree/climb.h"

/* What the other process says of its end. Behind it come the paths that it changed, with a zero byte behind each. */
struct said {
	struct err err;
	bool unknown;
};

/* Its standard output is for that. */
static int say(const struct said *said, const struct changes *changes)
{
	FILE *out = fdopen(STDOUT_FILENO, "w");

	if (!out)
		return 1;
	fwrite(said, sizeof(*said), 1, out);
	for (size_t i = 0; i < changes->count; i++)
		fwrite(changes->paths[i], strlen(changes->paths[i]) + 1, 1, out);
	return fclose(out) == 0 ? 0 : 1;
}

static int there(const void *context)
{
	const struct apart *apart = context;
	struct changes changes = CHANGES_NONE;
	struct said said = { .err = ERR_NONE };

	/* Or /proc/self would be root's, by which links are given their times. */
	prctl(PR_SET_DUMPABLE, 1);
	apart->work(apart->context, &changes, &said.err);
	said.unknown = changes.unknown;
	return say(&said, &changes);
}

static int hear(int fd, struct changes *changes, struct err *err)
{
	struct said said;
	struct stat st;

	if (file_read(fd, &said, sizeof(said), 0) != (ssize_t)sizeof(said) || fstat(fd, &st) != 0)
		return err_fail(err, STATUS_FAILED, "sync-user", "what fetches said nothing");
	said.err.text[sizeof(said.err.text) - 1] = '\0';
	if (said.err.status != STATUS_DONE)
		return err_fail(err, STATUS_FAILED, "sync-user", "%s", said.err.text);
	if (said.unknown) {
		changes_set_unknown(changes);
		return 0;
	}
	const size_t size = (size_t)st.st_size - sizeof(said);
	char *text = alloc_grow(NULL, size + 1, 1);
	if (file_read(fd, text, size, sizeof(said)) != (ssize_t)size)
		changes_set_unknown(changes);
	text[size] = '\0';
	for (const char *at = text; !changes->unknown && at < text + size; at += strlen(at) + 1)
		changes_add(changes, at, strlen(at));
	free(text);
	return 0;
}

int apart_run(const struct apart *apart, struct changes *changes, struct err *err)
{
	const char *const argv[] = { apart->repo->sync_type, NULL };
	int result, out;

	if (!user_is_other(apart->user))
		return apart->work(apart->context, changes, err);
	out = memfd_create("said", MFD_CLOEXEC);
	if (out < 0)
		return err_errno(err, STATUS_FAILED, argv[0], "memfd");
	const struct run run_it = { .argv = argv,
				    .body = there,
				    .context = apart,
				    .subject = argv[0],
				    .cwd = "/",
				    .user = apart->user,
				    .in = apart->in,
				    .out = out,
				    .timeout = apart->repo->timeout };
	result = run(&run_it, err);
	if (result == 0)
		result = hear(out, changes, err);
	close(out);
	return result;
}

struct giving {
	const struct user *user;
	bool files;
	struct changes *changes;
};

static int give(void *context, const struct below_entry *entry, struct err *err)
{
	const struct giving *giving = context;
	const struct user *user = giving->user;

	if (entry->st->stx_uid == user->uid || !(giving->files || statx_is_directory(entry->st)))
		return 0;
	if (fchownat(entry->dir, entry->name, user->uid, user->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, STATUS_FAILED, entry->path, "cannot be given to the sync-user");
	if (giving->changes)
		changes_add(giving->changes, entry->path, strlen(entry->path));
	return 0;
}

int apart_give(const struct user *user, int tree, const char *path, bool files, struct changes *changes,
	       struct err *err)
{
	struct giving giving = { .user = user, .files = files, .changes = changes };

	if (user->uid != (uid_t)-1 && below_each(tree, give, &giving, err) != 0)
		return -1;
	if (fchown(tree, user->uid, user->gid) != 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be given to the sync-user");
	return 0;
}

int apart_own(const struct user *user, const char *path, struct err *err)
{
	const uid_t whose = user->uid != (uid_t)-1 ? user->uid : geteuid();
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), result = 0;
	struct stat st;

	/* Readers look into it, whatever our umask. */
	if (fd < 0 && errno == ENOENT && mkdir(path, 0755) == 0 && chmod(path, 0755) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		result = err_errno(err, STATUS_FAILED, path, "cannot be made or opened");
	else if (st.st_uid != whose && st.st_uid != geteuid())
		result = err_fail(err, STATUS_FAILED, path,
				  "it belongs to user %u, and what fetches is user %u: remove it",
				  (unsigned)st.st_uid, (unsigned)whose);
	else if (st.st_uid != whose)
		result = apart_give(user, fd, path, true, NULL, err);
	if (fd >= 0)
		close(fd);
	return result;
}

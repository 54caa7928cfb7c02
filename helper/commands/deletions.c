/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/deletions.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/transport/below.h"
#include "helper/tree/climb.h"

/* Of what was removed, that which is no directory. The base still has it all. */
static uint64_t count_removed(int base, const struct record *record)
{
	uint64_t removed = 0;
	struct stat st;

	for (size_t i = 0; i < record->count; i++)
		if (record->entries[i].op == RECORD_REMOVED &&
		    (fstatat(base, record->entries[i].path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		     !S_ISDIR(st.st_mode)))
			removed++;
	return removed;
}

struct count {
	uint64_t files, enough;
};

/* Ends the walk, as a failure that is none, as soon as there are so many that the share is not reached. */
static int count_one(void *context, const struct below_entry *entry, struct err *err)
{
	struct count *count = context;

	count->files += !statx_is_directory(entry->st);
	return count->files < count->enough ? 0 : err_fail(err, STATUS_FAILED, "count", "enough");
}

/* Is it too much? 1, 0 or -1; *files is the number of all where it is. */
static int judge(int base, uint64_t removed, unsigned share, uint64_t *files, struct err *err)
{
	struct count count = { .enough = share == 0 ? UINT64_MAX : (removed * 100 + share - 1) / share };
	struct err ended = ERR_NONE;
	const int result = below_each(base, count_one, &count, &ended);

	*files = count.files;
	if (count.files >= count.enough)
		return 0;
	if (result == 0)
		return 1;
	*err = ended;
	return -1;
}

static int refuse(const struct repo *repo, uint64_t removed, uint64_t files, struct err *err)
{
	return err_fail(err, STATUS_FAILED, repo->name,
			"the new version lacks %" PRIu64 " of %" PRIu64
			" files, more than sync-rcu-max-delete = %u%%: not published (to allow it: --set "
			"sync-rcu-max-delete=100%%)",
			removed, files, repo->max_delete);
}

int deletions_check(const struct store *store, const struct repo *repo, uint64_t base,
		    const struct record *record, struct err *err)
{
	char name[STORE_NAME_ROOM];
	uint64_t removed, files;
	int dir, result = 0;

	if (base == 0 || repo->max_delete >= 100)
		return 0;
	snapshot_name(base, name);
	dir = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_errno(err, STATUS_FAILED, store->path, "cannot open %s", name);
	removed = count_removed(dir, record);
	if (removed != 0)
		result = judge(dir, removed, repo->max_delete, &files, err);
	close(dir);
	return result == 1 ? refuse(repo, removed, files, err) : result;
}

/* There is no record of what is in the location. */
struct comparison {
	int staging;
	uint64_t files, removed;
};

static int compare_one(void *context, const struct below_entry *entry, struct err *err)
{
	struct comparison *comparison = context;
	struct stat st;

	(void)err;
	/* A checkout's: hardly any of its names are in another checkout of the same, and none is in a copy. */
	if (strcmp(entry->path, ".git") == 0)
		return 1;
	if (statx_is_directory(entry->st))
		return 0;
	comparison->files++;
	comparison->removed += fstatat(comparison->staging, entry->path, &st, AT_SYMLINK_NOFOLLOW) != 0;
	return 0;
}

int deletions_check_location(const struct repo *repo, int staging, struct err *err)
{
	struct comparison comparison = { .staging = staging };
	int dir, result;

	if (repo->max_delete >= 100)
		return 0;
	dir = open(repo->location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(err, STATUS_FAILED, repo->location, "cannot be read");
	result = below_each(dir, compare_one, &comparison, err);
	close(dir);
	if (result != 0 || comparison.removed * 100 <= comparison.files * repo->max_delete)
		return result;
	return refuse(repo, comparison.removed, comparison.files, err);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/programs/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/guard_text.h"
#include "core/preload_list.h"
#include "helper/base/alloc.h"
#include "helper/launcher/loadable.h"
#include "helper/programs/guard_apply.h"
#include "helper/tree/tree.h"

/* ---- the library ---- */

static const char *library_path(void)
{
	const char *path = getenv(ENV_GUARD_LIBRARY);

	return path && *path ? path : GUARD_LIBRARY_PATH;
}

/* What ld.so could not load it would only complain about, and run the program all the same. */
static bool library_good(void)
{
	const char *path = library_path();

	return path[0] == '/' && !strpbrk(path, ": \t\n$") && access(path, R_OK) == 0;
}

static bool program_loads(const char *command)
{
	char *path = loadable_find(command);
	const char *why;
	const bool loads = path && loadable_judge(path, &why) == LOADABLE_YES;

	free(path);
	return loads;
}

static bool possible(enum guard_way way, const struct store *store, const char *command)
{
	switch (way) {
	case GUARD_NONE:
		return true;
	case GUARD_PRELOAD:
		return library_good() && program_loads(command);
	case GUARD_KERNEL:
		return kernel_guard_possible(store);
	}
	return false;
}

static enum guard_way way_named(const char *name)
{
	return strcmp(name, "kernel") == 0    ? GUARD_KERNEL
	       : strcmp(name, "preload") == 0 ? GUARD_PRELOAD
					      : GUARD_NONE;
}

enum guard_way guard_choose(const struct store *store, const char *command, enum guard_program program)
{
	const char *wanted = getenv(ENV_GUARD_WAY);
	const enum guard_way first = program == GUARD_KNOWN ? GUARD_PRELOAD : GUARD_KERNEL;
	const enum guard_way second = first == GUARD_KERNEL ? GUARD_PRELOAD : GUARD_KERNEL;

	if (wanted && *wanted)
		return possible(way_named(wanted), store, command) ? way_named(wanted) : GUARD_NONE;
	if (possible(first, store, command))
		return first;
	return possible(second, store, command) ? second : GUARD_NONE;
}

/* ---- start ---- */

/*
 * Whoever may write to the tree may to this: it belongs to the same user, and nobody else has to look into it. No name can be
 * there: an ID is never used twice.
 */
static int scratch_make(const char *path, const struct stat *tree)
{
	if (mkdir(path, 0700) != 0)
		return -1;
	return geteuid() == tree->st_uid ? 0 : lchown(path, tree->st_uid, tree->st_gid);
}

static int snapshots_look(const struct staging *staging, struct stat *snapshots)
{
	char *path = alloc_printf(
		"%.*s" STORE_SNAPSHOTS,
		(int)(strlen(staging->path) - strlen(STORE_STAGING "/") - strlen(staging->id)),
		staging->path);
	int result = lstat(path, snapshots);

	free(path);
	return result;
}

static struct file_id id_of(const struct stat *st)
{
	return (struct file_id){ .device = st->st_dev, .inode = st->st_ino };
}

static void preload_init(struct guard *guard, const struct guard_text *ids)
{
	char text[GUARD_TEXT_ROOM];
	const char *before = getenv("LD_PRELOAD");
	char *list = alloc_grow(NULL, preload_list_room(before, library_path()), 1);

	guard_text_format(ids, text);
	preload_list_append(list, before, library_path());
	guard->text = alloc_printf("%s=%s", ENV_GUARD, text);
	guard->preload = alloc_printf("LD_PRELOAD=%s", list);
	free(list);
}

/* From the directory that it is in: our own may be on another mount, which tree_delete() does not leave. */
static void scratch_remove(const char *path)
{
	char *parent = alloc_printf("%.*s", (int)(strrchr(path, '/') - path), path);
	int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored = ERR_NONE;

	if (dir >= 0) {
		tree_delete(dir, strrchr(path, '/') + 1, &ignored);
		close(dir);
	}
	free(parent);
}

int guard_start(struct guard *guard, const struct staging *staging, enum guard_way way, struct err *err)
{
	struct guard_text ids = { .scratch = "" };
	struct stat tree, snapshots;

	if (way == GUARD_NONE)
		return 0;
	if (strlen(staging->id) + sizeof(GUARD_SCRATCH_SUFFIX) > sizeof(ids.scratch))
		return err_fail(err, STATUS_FAILED, staging->path, "its name is too long");
	if (lstat(staging->path, &tree) != 0 || snapshots_look(staging, &snapshots) != 0)
		return err_errno(err, STATUS_FAILED, staging->path, "cannot be looked up");
	guard->scratch = alloc_printf("%s" GUARD_SCRATCH_SUFFIX, staging->path);
	if (scratch_make(guard->scratch, &tree) != 0)
		return err_errno(err, STATUS_FAILED, guard->scratch, "cannot be made");
	guard->way = way;
	ids.staging = id_of(&tree);
	ids.snapshots = id_of(&snapshots);
	guard->staging = staging;
	if (way == GUARD_KERNEL)
		return kernel_guard_start(&guard->kernel, staging, guard->scratch, err);
	memcpy(ids.scratch, strrchr(guard->scratch, '/') + 1,
	       strlen(staging->id) + sizeof(GUARD_SCRATCH_SUFFIX));
	preload_init(guard, &ids);
	return 0;
}

/* ---- the command ---- */

const char *guard_enter(const struct guard *guard)
{
	if (guard->way == GUARD_KERNEL)
		return kernel_guard_enter(&guard->kernel);
	if (guard->way == GUARD_NONE)
		return NULL;
	return putenv(guard->text) == 0 && putenv(guard->preload) == 0 ? NULL : "its guard cannot be set up";
}

/* ---- the end ---- */

static int apply(struct guard *guard, struct changes *changes, struct err *err)
{
	int scratch = open(guard->scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (scratch < 0)
		return err_errno(err, STATUS_FAILED, guard->scratch, "cannot be opened");
	int result = layer_apply(scratch, GUARD_UPPER, AT_FDCWD, guard->staging->path, changes, err);
	close(scratch);
	return result;
}

int guard_finish(struct guard *guard, struct changes *changes, struct err *err)
{
	if (guard->way == GUARD_KERNEL)
		return kernel_guard_end(&guard->kernel, guard->staging, err) != 0
			       ? -1
			       : apply(guard, changes, err);
	changes_set_unknown(changes);
	return 0;
}

/* What cannot be removed now the next lock removes. */
void guard_release(struct guard *guard)
{
	kernel_guard_release(&guard->kernel);
	if (guard->scratch)
		scratch_remove(guard->scratch);
	free(guard->scratch);
	free(guard->text);
	free(guard->preload);
	*guard = (struct guard)GUARD_OFF;
}

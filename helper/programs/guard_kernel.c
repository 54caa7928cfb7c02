/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/programs/guard_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/launcher/namespace.h"
#include "helper/store/occupants.h"
#include "helper/tree/climb.h"
#include "helper/tree/object.h"
#include "helper/tree/tree.h"

#define WORK "work"
#define END_MILLISECONDS 1000

/* ---- mounts, in the holder; the working directory is STORE/.rcu-repo/staging ---- */

/*
 * Nothing of the upper layer has to be on disk before it is applied (volatile). A directory that is renamed is copied by whoever renames
 * it (redirect_dir; for a user it cannot be on), and a file is whole in the upper layer or not there (metacopy).
 */
#define OPTIONS                                                    \
	"lowerdir=%s,upperdir=%s/" GUARD_UPPER ",workdir=%s/" WORK \
	",volatile,metacopy=off,index=off,xino=off,%s"

static int mount_overlay(const char *path, const char *id, const char *scratch)
{
	char *options = alloc_printf(OPTIONS, id, scratch, scratch,
				     namespace_is_users() ? "userxattr" : "redirect_dir=off");
	int result = mount("overlay", path, "overlay", 0, options);

	free(options);
	return result;
}

/* A mount of its own over the store, so that only this view of it is read-only. */
static int cover_store(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int tree = open_tree(AT_FDCWD, "../..", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return -1;
	int result = mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	if (result == 0)
		result = move_mount(tree, "", AT_FDCWD, "../..", MOVE_MOUNT_F_EMPTY_PATH);
	close(tree);
	return result;
}

/*
 * Our working directory stays below the cover, where the layers are found and can be written to; the overlay is mounted by the absolute
 * path, and so upon the cover.
 */
static int hold_mounts(const char *path, const char *id, const char *scratch, int events, struct err *err)
{
	if (namespace_separate(path, err) != 0)
		return -1;
	if (cover_store() != 0)
		return err_errno(err, STATUS_FAILED, path, "the store cannot be made read-only around it");
	if (mount_overlay(path, id, scratch) != 0)
		return err_errno(err, STATUS_FAILED, path, "no overlay can be mounted over it");
	/* Any watch will do: its end is told whatever it was for. */
	if (inotify_add_watch(events, path, IN_DELETE_SELF) < 0)
		return err_errno(err, STATUS_FAILED, path, "the overlay cannot be watched");
	return 0;
}

/* ---- the layers ---- */

/* The root of the upper layer is what is seen of the tree's root. */
static int copy_root(int staging, const char *id, int scratch)
{
	int from = openat(staging, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int to = openat(scratch, GUARD_UPPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct object tree = object_of(from), upper = object_of(to);
	struct statx st;
	int result = -1;

	if (from >= 0 && to >= 0 && statx(from, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0)
		result = object_copy_metadata(&tree, &st, &upper);
	object_close(&tree);
	object_close(&upper);
	return result;
}

static int make_layers(int staging, const char *id, const char *scratch)
{
	int dir = openat(staging, scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = -1;

	if (dir < 0)
		return -1;
	if (mkdirat(dir, GUARD_UPPER, 0700) == 0 && mkdirat(dir, WORK, 0700) == 0)
		result = copy_root(staging, id, dir);
	close(dir);
	return result;
}

/* ---- can it be done? ---- */

static bool try_holding(int staging, const char *path, const char *id, const char *scratch)
{
	struct err ignored = ERR_NONE;
	int events = inotify_init1(IN_CLOEXEC);

	return events >= 0 && fchdir(staging) == 0 && make_layers(staging, id, scratch) == 0 &&
	       hold_mounts(path, id, scratch, events, &ignored) == 0;
}

/* In a directory with all that is needed, which the caller removes. */
static bool try_in(const struct store *store, int staging, const char *name)
{
	char *id = alloc_printf("%s/tree", name), *scratch = alloc_printf("%s/scratch", name);
	char *path = alloc_printf("%s/%s/%s", store->path, STORE_STAGING, id);
	int status = 1;

	if (mkdirat(staging, id, 0700) == 0 && mkdirat(staging, scratch, 0700) == 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(try_holding(staging, path, id, scratch) ? 0 : 1);
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	free(id);
	free(scratch);
	free(path);
	return status == 0;
}

bool kernel_guard_possible(const struct store *store)
{
	int staging = openat(store->dir, STORE_STAGING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char *name = alloc_printf("trial.%d", (int)getpid());
	struct err ignored = ERR_NONE;
	bool possible = false;

	/* What belongs to others cannot be copied in a user namespace that does not know them. */
	if (staging >= 0 && (!namespace_is_users() || store->uid == geteuid()) &&
	    mkdirat(staging, name, 0700) == 0) {
		possible = try_in(store, staging, name);
		tree_delete(staging, name, &ignored);
	}
	if (staging >= 0)
		close(staging);
	free(name);
	return possible;
}

/* ---- the holder ---- */

#define HOLDER_FDS 3

struct holder {
	int control, report, events, staging;
	const char *path, *id, *scratch;
};

static int compare_fds(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* Nothing of ours may be held by it, the lock of the store least of all. */
static void let_go(const struct holder *holder)
{
	int kept[HOLDER_FDS] = { holder->control, holder->report, holder->events };
	unsigned from = STDERR_FILENO + 1;

	qsort(kept, HOLDER_FDS, sizeof(*kept), compare_fds);
	for (size_t i = 0; i < HOLDER_FDS; i++) {
		if ((unsigned)kept[i] > from)
			close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	close_range(from, ~0U, 0);
}

__attribute__((noreturn)) static void hold(const struct holder *holder)
{
	struct err err = ERR_NONE;
	sigset_t all;
	char word;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	int result = fchdir(holder->staging);
	if (result == 0)
		result = make_layers(holder->staging, holder->id, holder->scratch);
	if (result != 0)
		err_errno(&err, STATUS_FAILED, holder->path, "the layers of its overlay cannot be made");
	let_go(holder);
	if (result == 0)
		result = hold_mounts(holder->path, holder->id, holder->scratch, holder->events, &err);
	if (write(holder->report, &err, sizeof(err)) != (ssize_t)sizeof(err) || result != 0)
		_exit(1);
	if (read(holder->control, &word, 1) != 1)
		_exit(1);
	_exit(umount2(holder->path, MNT_DETACH) != 0);
}

static int open_namespace(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

static int open_namespaces(struct guard_kernel *kernel)
{
	kernel->mounts = open_namespace(kernel->holder, "ns/mnt", O_RDONLY);
	kernel->root = open_namespace(kernel->holder, "root", O_PATH | O_DIRECTORY);
	if (namespace_is_users())
		kernel->users = open_namespace(kernel->holder, "ns/user", O_RDONLY);
	return kernel->mounts < 0 || kernel->root < 0 || (namespace_is_users() && kernel->users < 0) ? -1 : 0;
}

static int holder_start(struct guard_kernel *kernel, int dir, const struct staging *staging,
			const char *scratch, struct err *err)
{
	int control[2] = { -1, -1 }, report[2] = { -1, -1 };
	struct err told = ERR_NONE;
	ssize_t got = -1;

	if (pipe2(control, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC) == 0)
		kernel->holder = fork();
	else
		kernel->holder = -1;
	if (kernel->holder == 0)
		hold(&(struct holder){ control[0], report[1], kernel->events, dir, staging->path, staging->id,
				       scratch });
	const int error = errno;
	close(control[0]);
	close(report[1]);
	kernel->control = control[1];
	if (kernel->holder > 0)
		got = read(report[0], &told, sizeof(told));
	close(report[0]);
	errno = error;
	if (kernel->holder < 0 || got != (ssize_t)sizeof(told))
		return err_errno(err, STATUS_FAILED, staging->path,
				 "what holds its overlay cannot be started");
	if (told.status != STATUS_DONE) {
		*err = told;
		return -1;
	}
	return 0;
}

int kernel_guard_start(struct guard_kernel *kernel, const struct staging *staging, const char *scratch,
		       struct err *err)
{
	char *parent = alloc_printf("%.*s", (int)(strlen(staging->path) - strlen(staging->id)),
				    staging->path);
	int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = -1;

	kernel->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	kernel->cwd = getcwd(NULL, 0);
	if (dir < 0 || kernel->events < 0)
		err_errno(err, STATUS_FAILED, staging->path, "cannot be guarded");
	else
		result = holder_start(kernel, dir, staging, strrchr(scratch, '/') + 1, err);
	if (result == 0 && open_namespaces(kernel) != 0)
		result = err_errno(err, STATUS_FAILED, staging->path, "its namespace cannot be entered");
	if (dir >= 0)
		close(dir);
	free(parent);
	return result;
}

/* setns(2) goes to the root of the namespace: under chroot(2) that is not where we were. */
const char *kernel_guard_enter(const struct guard_kernel *kernel)
{
	if ((kernel->users >= 0 && setns(kernel->users, CLONE_NEWUSER) != 0) ||
	    setns(kernel->mounts, CLONE_NEWNS) != 0)
		return "its namespace cannot be entered";
	if (fchdir(kernel->root) != 0 || chroot(".") != 0 ||
	    (kernel->cwd && chdir(kernel->cwd) != 0 && chdir("/") != 0))
		return "its directory cannot be entered again";
	return NULL;
}

/* ---- the end ---- */

static int holder_wait(struct guard_kernel *kernel)
{
	int status = 0;

	while (waitpid(kernel->holder, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	kernel->holder = 0;
	return status;
}

int kernel_guard_end(struct guard_kernel *kernel, const struct staging *staging, struct err *err)
{
	struct pollfd events = { .fd = kernel->events, .events = POLLIN };
	struct stat overlay;
	int ready;

	if (fstatat(kernel->root, staging->path + 1, &overlay, 0) != 0)
		overlay.st_dev = 0;
	if (write(kernel->control, "", 1) != 1 || holder_wait(kernel) != 0)
		return err_fail(err, STATUS_FAILED, staging->path, "its overlay cannot be taken away");
	do
		ready = poll(&events, 1, END_MILLISECONDS);
	while (ready < 0 && errno == EINTR);
	if (ready == 1)
		return 0;
	return occupants_fail(staging->path, overlay.st_dev, err);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A holder that was told nothing ends when the pipe does; its namespace when the last in it has. */
void kernel_guard_release(struct guard_kernel *kernel)
{
	close_one(&kernel->control);
	if (kernel->holder > 0)
		holder_wait(kernel);
	close_one(&kernel->events);
	close_one(&kernel->users);
	close_one(&kernel->mounts);
	close_one(&kernel->root);
	free(kernel->cwd);
	kernel->cwd = NULL;
}

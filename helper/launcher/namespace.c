/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/mounts.h"
#include "helper/launcher/keeper.h"
#include "helper/launcher/namespace_cover.h"

#define CHILD_STACK 16384

/* ---- the namespace ---- */

/* Not libc's answer: fakeroot's would be 0, and the kernel does not believe it. */
static unsigned real_id(long number)
{
	return (unsigned)syscall(number);
}

bool namespace_is_users(void)
{
	return real_id(SYS_geteuid) != 0;
}

/*
 * A slave still gets what the outside mounts, and gives nothing back. Where the root directory is no mount
 * (chroot) the store's own mount has to do, if it is one that can be named from here.
 */
static int cut_propagation(const char *store)
{
	char *path = alloc_copy(store), *slash;
	int result = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);

	while (result != 0 && errno == EINVAL && path[0] != '\0') {
		result = mount(NULL, path, NULL, MS_REC | MS_SLAVE, NULL);
		slash = strrchr(path, '/');
		*(slash ? slash : path) = '\0';
	}
	int error = errno;
	free(path);
	errno = error;
	return result;
}

static int separate(void)
{
	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	if (errno != EPERM || !namespace_is_users())
		return -1;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS);
}

/* Does the kernel have what a cover is made with (Linux 5.2 and 5.12), and lets a filter us ask for it? It changes nothing. */
static bool may_cover(void)
{
	struct mount_attr none = { .attr_set = 0 };

	if (fsopen("tmpfs", FSOPEN_CLOEXEC) < 0)
		return false;
	return mount_setattr(AT_FDCWD, "/", 0, &none, sizeof(none)) == 0 || errno == EINVAL;
}

/* Shares our memory and not our descriptors, and we wait: so it may tell us the errno. EINVAL: the root is no mount. */
static int try_separation(void *error)
{
	const bool may = separate() == 0 &&
			 (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 || errno == EINVAL) &&
			 may_cover();

	*(int *)error = may ? 0 : errno;
	return 0;
}

static int report_not_allowed(struct err *err)
{
	return err_errno(err, STATUS_FAILED, "namespace",
			 namespace_is_users() ? "a user namespace is not allowed here"
					      : "a mount namespace is not allowed here");
}

int namespace_allowed(struct err *err)
{
	char *stack = alloc_grow(NULL, CHILD_STACK, 1);
	int error = 0;
	pid_t child = clone(try_separation, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &error);

	if (child < 0)
		error = errno;
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	free(stack);
	errno = error;
	return error ? report_not_allowed(err) : 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return written ? 0 : -1;
}

static int map_id(const char *path, unsigned id)
{
	char *text = alloc_printf("%u %u 1\n", id, id);
	int result = write_text(path, text);

	free(text);
	return result;
}

/* user_namespaces(7): who may not set groups may map his own. */
int namespace_separate(const char *store, struct err *err)
{
	const unsigned user = real_id(SYS_geteuid), group = real_id(SYS_getegid);

	if (unshare(CLONE_NEWNS) != 0) {
		if (separate() != 0)
			return report_not_allowed(err);
		if (write_text("/proc/self/setgroups", "deny") != 0 ||
		    map_id("/proc/self/uid_map", user) != 0 || map_id("/proc/self/gid_map", group) != 0)
			return err_errno(err, STATUS_FAILED, "namespace",
					 "the user namespace cannot be given its user");
	}
	if (cut_propagation(store) != 0)
		return err_errno(err, STATUS_FAILED, "namespace", "cannot be separated from other mounts");
	return 0;
}

/* ---- all of them ---- */

/*
 * To be asked outside, where everybody has his own id: what belongs to somebody whom the user namespace does
 * not know cannot be copied up.
 */
static int check_owners(const struct pin *pins, size_t count, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < count; i++) {
		if (lstat(pins[i].snapshot, &st) != 0)
			return err_errno(err, STATUS_FAILED, pins[i].snapshot, "cannot be looked up");
		if (namespace_is_users() && st.st_uid != real_id(SYS_geteuid))
			return err_fail(
				err, STATUS_FAILED, "--writable",
				"%s belongs to somebody else: only root can have a writable view of it",
				pins[i].snapshot);
	}
	return 0;
}

/* ---- the working directory ---- */

struct place {
	char *text; /* what getcwd(2) says */
	bool found; /* that path leads there: it was not removed, nothing is mounted over it, and we may go there */
	int dir;
};

static void place_init(struct place *place)
{
	struct stat here, named;

	place->text = getcwd(NULL, 0);
	place->dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	place->found = place->text && stat(place->text, &named) == 0 && fstat(place->dir, &here) == 0 &&
		       here.st_dev == named.st_dev && here.st_ino == named.st_ino;
}

/* We may not search the directory that we were started in, and have not left it: no walk can begin there. */
static bool place_is_closed(const struct place *place)
{
	char *now = place->dir < 0 && place->text ? getcwd(NULL, 0) : NULL;
	bool same = now && strcmp(now, place->text) == 0;

	free(now);
	return same;
}

/*
 * By its path, as it is now: a walk that begins below a mount does not see that. Without one we go back to where we
 * were.
 */
static int place_return(const struct place *place, struct err *err)
{
	if (place_is_closed(place))
		return 0;
	if (place->found ? chdir(place->text) != 0 : fchdir(place->dir) != 0)
		return err_errno(err, STATUS_FAILED, "working directory", "cannot be entered again");
	return 0;
}

static void place_release(struct place *place)
{
	free(place->text);
	if (place->dir >= 0)
		close(place->dir);
}

int namespace_enter(const struct pin *pins, size_t count, bool writable, bool *inside, struct err *err)
{
	struct keeper keeper;
	struct place place;

	*inside = false;
	if (writable && check_owners(pins, count, err) != 0)
		return -1;
	if (count == 0)
		return 0;
	place_init(&place);
	int result = keeper_start(&keeper, pins, count, err);
	*inside = result == 0;
	if (result == 0)
		result = namespace_separate(pins[0].snapshot, err);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = cover_store(&pins[i], writable, &keeper, err);
	if (result == 0)
		result = place_return(&place, err);
	if (result == 0)
		result = keeper_done(&keeper, err);
	keeper_release(&keeper);
	place_release(&place);
	return result;
}

/* ---- out again ---- */

static bool is_cover(const struct mount_entry *entry)
{
	return strcmp(entry->type, "tmpfs") == 0 && strcmp(entry->source, COVER_SOURCE) == 0;
}

static int uncover(const struct mounts *mounts, struct err *err)
{
	for (size_t i = mounts->count; i-- > 0;)
		if (is_cover(&mounts->list[i]) &&
		    umount2(mounts->list[i].at, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL)
			return err_errno(err, STATUS_FAILED, mounts->list[i].at, "stays frozen by rcu-exec");
	/* EINVAL says that it went with another one, or that it is locked (user_namespaces(7)): look again. */
	struct mounts left;
	int result = mounts_read(&left, err);
	for (size_t i = 0; result == 0 && i < left.count; i++)
		if (is_cover(&left.list[i]))
			result = err_fail(err, STATUS_FAILED, left.list[i].at,
					  "is frozen by rcu-exec, and only root can look behind that");
	mounts_release(&left);
	return result;
}

int namespace_leave(struct err *err)
{
	const char *covered = NULL;
	struct mounts mounts;

	if (mounts_read(&mounts, err) != 0) {
		/* Without /proc nothing can be told, and as a rule nothing is. */
		err_clear(err);
		return 0;
	}
	for (size_t i = 0; i < mounts.count; i++)
		if (is_cover(&mounts.list[i]))
			covered = mounts.list[i].at;
	int result = 0;
	if (covered && (unshare(CLONE_NEWNS) != 0 || cut_propagation(covered) != 0))
		result = err_errno(err, STATUS_FAILED, covered,
				   "is frozen by rcu-exec, and only root can look behind that");
	if (covered && result == 0) {
		struct place place;

		place_init(&place);
		result = uncover(&mounts, err);
		if (result == 0)
			result = place_return(&place, err);
		place_release(&place);
	}
	mounts_release(&mounts);
	return result;
}

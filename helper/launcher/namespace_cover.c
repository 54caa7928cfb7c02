/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/namespace_cover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/names.h"
#include "helper/base/alloc.h"
#include "helper/base/mounts.h"
#include "helper/launcher/namespace.h"

/* It has one link and a few empty directories. */
#define COVER_SIZE "256k"

/* In the tmpfs that an overlay writes to. */
#define LAYER_UPPER "upper"
#define LAYER_WORK "work"

/* ---- file systems of our own ---- */

struct fs_option {
	const char *key;
	const char *value;
};

/*
 * A mount that is attached nowhere yet. `options` end with a NULL. -1 and errno. With NOATIME: where a link is due to have its atime
 * set, each walk through it leaves the kernel's lockless way for that; and on a read-only mount it is due for ever (pick_link() and
 * atime_needs_update() in Linux 6.18). Measured: a stat(2) through `latest` took 1.3 to 1.5 times what it takes without.
 */
static int make_fs(const char *type, const struct fs_option *options)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), made = -1;
	bool good = fs >= 0;

	for (; good && options->key; options++)
		good = fsconfig(fs, options->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options->key,
				options->value, 0) == 0;
	if (good && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		made = fsmount(fs, FSMOUNT_CLOEXEC,
			       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME);
	int error = errno;
	if (fs >= 0)
		close(fs);
	errno = error;
	return made;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int attach(int tree, int dir, const char *name)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*name ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

	return move_mount(tree, "", dir, name, flags);
}

/* As `name` of `from` is, and what is mounted below it. */
static int copy_tree(int from, const char *name)
{
	return open_tree(from, name,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
}

/*
 * No atime can be set there; with NOATIME it is not tried (make_fs()). A user namespace may not change how the mounts that it has
 * inherited do that.
 */
static int make_read_only(int tree, unsigned flags)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME,
					 .attr_clr = MOUNT_ATTR__ATIME };

	if (mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attributes, sizeof(attributes)) == 0)
		return 0;
	attributes = (struct mount_attr){ .attr_set = MOUNT_ATTR_RDONLY };
	return mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attributes, sizeof(attributes));
}

/* ---- one store ---- */

struct cover {
	const char *store; /* the path */
	uint64_t number;
	int real; /* the directory as it was before */
	int top;  /* what covers it */
	int view; /* what is seen of the snapshot; -1: the snapshot, read-only */
};

static int report(const struct cover *cover, struct err *err)
{
	return err_errno(err, STATUS_FAILED, cover->store, "cannot be frozen in a namespace");
}

/* What is called `name` in the store gets a place in the cover, and is bound there. Without a message. */
static int bind_entry(const struct cover *cover, const char *name)
{
	struct stat st;
	int made = 0, fd = -1;

	if (fstatat(cover->real, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISLNK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		made = mkdirat(cover->top, name, 0755);
	else
		made = fd = openat(cover->top, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	if (made < 0)
		return -1;
	int tree = copy_tree(cover->real, name);
	if (tree < 0)
		return -1;
	int result = attach(tree, cover->top, name), error = errno;
	close(tree);
	errno = error;
	return result;
}

/* A store that we may enter and not list still has the names that we know. */
static int bind_known_entries(const struct cover *cover)
{
	static const char *const names[] = { STORE_SNAPSHOTS, STORE_OURS, STORE_UPDATE };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bind_entry(cover, names[i]) != 0)
			return -1;
	return 0;
}

static int bind_entries(const struct cover *cover)
{
	int fd = openat(cover->real, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir && errno == EACCES)
		return bind_known_entries(cover);
	if (!dir)
		return -1;
	while (result == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = bind_entry(cover, entry->d_name);
	int error = errno;
	closedir(dir);
	errno = error;
	return result;
}

static int copy_attributes(int from, const char *from_name, int to, const char *to_name)
{
	struct stat st;

	if (fstatat(from, from_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	const struct timespec times[] = { st.st_atim, st.st_mtim };
	/* The owner may be one whom a user namespace does not know. */
	if (fchownat(to, to_name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0 && errno != EINVAL &&
	    errno != EPERM)
		return -1;
	if (fchmodat(to, to_name, st.st_mode & 07777, 0) != 0)
		return -1;
	return utimensat(to, to_name, times, AT_SYMLINK_NOFOLLOW);
}

/* In a user namespace overlayfs keeps its notes in user.*, which a tmpfs may not have. */
static bool has_user_attributes(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool has = fd >= 0 && fsetxattr(fd, "user.overlay.rcu", "", 0, 0) == 0;

	if (fd >= 0) {
		fremovexattr(fd, "user.overlay.rcu");
		close(fd);
	}
	return has;
}

/*
 * The layers are named from the store's directory, which is our working directory for it: there is no path that
 * others could exchange.
 */
static int make_overlay(const struct cover *cover, const char *snapshot, struct err *err)
{
	static const char upper[] = STORE_OURS "/" LAYER_UPPER, work[] = STORE_OURS "/" LAYER_WORK;
	const bool user = namespace_is_users();
	const struct fs_option options[] = { { "source", COVER_SOURCE },
					     { "lowerdir", snapshot },
					     { "upperdir", upper },
					     { "workdir", work },
					     { user ? "userxattr" : NULL, NULL },
					     { NULL, NULL } };

	if (mkdirat(AT_FDCWD, upper, 0755) != 0 || mkdirat(AT_FDCWD, work, 0755) != 0 ||
	    copy_attributes(AT_FDCWD, snapshot, AT_FDCWD, upper) != 0)
		return report(cover, err);
	if (user && !has_user_attributes(AT_FDCWD, upper))
		return err_errno(err, STATUS_FAILED, "--writable",
				 "without privileges this needs Linux 6.6: user attributes on tmpfs");
	int overlay = make_fs("overlay", options);
	if (overlay < 0)
		return err_errno(err, STATUS_FAILED, "--writable", "there can be no overlay over %s/%s",
				 cover->store, snapshot);
	return overlay;
}

/* The overlay keeps its layers; the place where we made them is as before at the end. */
static int make_writable(const struct cover *cover, struct err *err)
{
	static const struct fs_option options[] = { { "source", COVER_SOURCE },
						    { "mode", "0700" },
						    { NULL, NULL } };
	char snapshot[STORE_NAME_ROOM];

	snapshot_name(cover->number, snapshot);
	if (fchdir(cover->real) != 0)
		return report(cover, err);
	int layers = make_fs("tmpfs", options);
	if (layers < 0 || attach(layers, AT_FDCWD, STORE_OURS) != 0) {
		report(cover, err);
		if (layers >= 0)
			close(layers);
		return -1;
	}
	int overlay = make_overlay(cover, snapshot, err);
	close(layers);
	if (umount2(STORE_OURS, MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
		report(cover, err);
	return overlay;
}

/* The pinned snapshot over itself: read-only with what is mounted in it, or the overlay. */
static int bind_snapshot(const struct cover *cover)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(cover->number, name);
	int tree = cover->view >= 0 ? cover->view : copy_tree(cover->top, name);
	if (tree < 0 || (cover->view < 0 && make_read_only(tree, AT_RECURSIVE) != 0))
		return -1;
	int result = attach(tree, cover->top, name), error = errno;
	if (cover->view < 0)
		close(tree);
	errno = error;
	return result;
}

static int fill_cover(const struct cover *cover, struct err *err)
{
	char target[STORE_NAME_ROOM];

	snapshot_name(cover->number, target);
	if (attach(cover->top, cover->real, "") != 0 || bind_entries(cover) != 0 ||
	    symlinkat(target, cover->top, STORE_LATEST) != 0 || bind_snapshot(cover) != 0 ||
	    copy_attributes(cover->real, ".", cover->top, ".") != 0 || make_read_only(cover->top, 0) != 0)
		return report(cover, err);
	return 0;
}

static int make_cover(struct cover *cover, struct keeper *keeper, struct err *err)
{
	static const struct fs_option options[] = {
		{ "source", COVER_SOURCE }, { "size", COVER_SIZE }, { "mode", "0755" }, { NULL, NULL }
	};

	cover->top = make_fs("tmpfs", options);
	int result = cover->top < 0 ? report(cover, err) : fill_cover(cover, err);
	if (result == 0)
		result = keeper_watch(keeper, cover->top, err);
	close_one(cover->top);
	return result;
}

/*
 * Is this directory the store whose pin we hold? A path is looked up once more than when the pin was taken,
 * and what was mounted meanwhile, perhaps by us, may hide it.
 */
static bool is_store(int dir, const struct pin *pin)
{
	char name[STORE_NAME_ROOM];
	struct stat held, named;

	if (pin->fd < 0) {
		snapshot_name(pin->number, name);
		return fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(named.st_mode);
	}
	pin_name(pin->number, name);
	return fstat(pin->fd, &held) == 0 && fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* -1 also where it is another directory by now. */
static int open_store(const char *path, const struct pin *pin)
{
	int dir = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir >= 0 && !is_store(dir, pin)) {
		close(dir);
		errno = ESTALE;
		return -1;
	}
	return dir;
}

/* The same directory by other mounts. A place where something else is seen needs no cover. */
static int cover_aliases(const struct cover *first, const struct pin *pin, struct keeper *keeper,
			 struct err *err)
{
	struct mounts mounts;
	struct statx real;
	struct stat other;
	int result = 0;

	if (statx(first->real, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &real) != 0)
		return report(first, err);
	if (mounts_read(&mounts, err) != 0)
		return -1;
	char **paths = mounts_aliases(&mounts, real.stx_mnt_id, first->store);
	for (size_t i = 0; paths[i]; i++) {
		struct cover cover = *first;

		cover.store = paths[i];
		/* One view for all, or what is written by one path is not seen by the other. */
		cover.view = first->view < 0 ? -1 : copy_tree(AT_FDCWD, pin->snapshot);
		cover.real = result == 0 ? open_store(paths[i], pin) : -1;
		if (cover.real >= 0 && fstat(cover.real, &other) == 0 && other.st_ino == real.stx_ino)
			result = make_cover(&cover, keeper, err);
		close_one(cover.real);
		close_one(cover.view);
		free(paths[i]);
	}
	free(paths);
	mounts_release(&mounts);
	return result;
}

int cover_store(const struct pin *pin, bool writable, struct keeper *keeper, struct err *err)
{
	size_t length;
	uint64_t number;

	if (!snapshot_path_split(pin->snapshot, &length, &number))
		return err_fail(err, STATUS_FAILED, pin->snapshot, "is no snapshot's path");
	char *store = alloc_printf("%.*s", (int)length, pin->snapshot);
	struct cover cover = { .store = store, .number = number, .top = -1, .view = -1 };
	cover.real = open_store(store, pin);
	int result = cover.real < 0 ? report(&cover, err) : 0;
	if (result == 0 && writable && (cover.view = make_writable(&cover, err)) < 0)
		result = -1;
	if (result == 0)
		result = make_cover(&cover, keeper, err);
	if (result == 0)
		result = cover_aliases(&cover, pin, keeper, err);
	close_one(cover.real);
	close_one(cover.view);
	free(store);
	return result;
}

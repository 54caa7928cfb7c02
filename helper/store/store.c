/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/snapshot/storage.h"
#include "helper/store/pin.h"
#include "helper/store/trust.h"

#define SMALL_FILE_MAX (1 << 20)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define PIN_NEW STORE_OURS "/pin.new"
#define PIN_NEW_FLAGS (O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

int store_give(const struct store *store, int fd)
{
	return geteuid() == 0 && store->uid != 0 ? fchown(fd, store->uid, store->gid) : 0;
}

/* ---- opening ---- */

/*
 * What is there was accepted by trust_path() and cannot be exchanged any more; below it each directory is
 * made and entered by descriptor, so that nobody who makes the same name first can lead us away: a second
 * trust_path() refuses what they made.
 */
int store_make_path(const char *path, struct err *err)
{
	char *text = alloc_copy(path), *end = text + strlen(text);
	int dir;

	/* The longest part that is there: "/a/b/c", "/a/b", ..., "/". */
	while ((dir = open(text[0] == '\0' ? "/" : text, DIR_FLAGS)) < 0 && errno == ENOENT &&
	       text[0] != '\0')
		*strrchr(text, '/') = '\0';
	for (char *at = text + strlen(text); dir >= 0 && at < end; at += strlen(at)) {
		*at++ = '/';
		if (*at == '\0' || *at == '/')
			continue;
		int made = mkdirat(dir, at, 0755), error = errno;
		int next = openat(dir, at, DIR_FLAGS | O_NOFOLLOW);
		/* What kept us from making it, not that it is missing. */
		if (next < 0 && errno == ENOENT && made != 0)
			errno = error;
		/*
		 * The mode is the contract's, whatever the umask; the entry is on disk before what is in it.
		 */
		if (next >= 0 && made == 0 && (fchmod(next, 0755) != 0 || fsync(dir) != 0)) {
			close(next);
			next = -1;
		}
		close(dir);
		dir = next;
	}
	if (dir < 0)
		err_errno(err, STATUS_FAILED, path, "cannot be opened or made");
	free(text);
	return dir;
}

/* One of our directories: a real one, on the store's file system, that nobody else may write to. */
static int layout_dir(const struct store *store, const char *name, mode_t mode, dev_t device, struct err *err)
{
	struct stat st;
	bool made = mkdirat(store->dir, name, mode) == 0;

	if (!made && errno != EEXIST)
		return err_errno(err, STATUS_FAILED, store->path, "%s: mkdir", name);
	int fd = openat(store->dir, name, DIR_FLAGS | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, STATUS_USAGE, store->path, "%s is no directory of ours", name);
	int result = fstat(fd, &st);
	/*
	 * A crash between mkdir and chmod, under a strict umask, would leave a store that readers cannot
	 * enter.
	 */
	if (result == 0 && (st.st_mode & 07777) != mode && (made || strcmp(name, STORE_SNAPSHOTS) != 0))
		result = fchmod(fd, mode);
	if (result == 0 && made)
		result = store_give(store, fd);
	if (result != 0)
		err_errno(err, STATUS_FAILED, store->path, "%s", name);
	else if (st.st_dev != device)
		result = err_fail(
			err, STATUS_USAGE, store->path,
			"%s is on another file system: snapshots are renamed, so the store must be on one",
			name);
	else
		result = trust_dir(fd, store->path, store->sync_user, err);
	close(fd);
	return result;
}

static int layout_make(const struct store *store, dev_t device, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{ STORE_SNAPSHOTS, 0755 }, { STORE_OURS, 0755 },    { STORE_PINS, 0755 },
		{ STORE_META, 0755 },      { STORE_STAGING, 0755 }, { STORE_TRASH, 0700 },
		{ STORE_RECORD, 0755 },    { STORE_SPARE, 0700 },
	};

	if (faccessat(store->dir, ".", W_OK, AT_EACCESS) != 0 && errno == EACCES)
		return err_errno(err, STATUS_FAILED, store->path, "you may not write to this store");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (layout_dir(store, dirs[i].name, dirs[i].mode, device, err) != 0)
			return -1;
	if (store_sync_dir(store, STORE_OURS, err) != 0)
		return -1;
	return store_sync_dir(store, ".", err);
}

/* Sets path, uid and gid of the store whose directory is open. */
static int store_identify(struct store *store, const char *path, struct stat *st, struct err *err)
{
	struct stat canonical;

	store->path = realpath(path, NULL);
	if (store->path == NULL || fstat(store->dir, st) != 0 || stat(store->path, &canonical) != 0)
		return err_errno(err, STATUS_FAILED, path, "cannot open the store");
	if (!stat_same_inode(st, &canonical))
		return err_fail(err, STATUS_FAILED, path, "was exchanged while we opened it");
	store->uid = st->st_uid;
	store->gid = st->st_gid;
	return 0;
}

static int store_open_change(struct store *store, const char *path, struct err *err)
{
	if (trust_path(path, store->sync_user, err) != 0)
		return -1;
	store->dir = store_make_path(path, err);
	return store->dir < 0 ? -1 : trust_path(path, store->sync_user, err);
}

int store_open(struct store *store, const char *path, enum store_use use, bool durable, struct err *err)
{
	struct stat st;
	int result = 0;

	store->durable = durable;
	store->storage = &storage_hardlink;
	if (path[0] != '/')
		return err_fail(err, STATUS_USAGE, path, "the path of a store is absolute");
	if (use == STORE_CHANGE)
		result = store_open_change(store, path, err);
	else if ((store->dir = open(path, DIR_FLAGS)) < 0)
		result = err_errno(err, STATUS_FAILED, path, "cannot open the store");
	if (result == 0)
		result = store_identify(store, path, &st, err);
	if (result == 0 && use == STORE_CHANGE)
		result = layout_make(store, st.st_dev, err);
	if (result != 0)
		store_close(store);
	return result;
}

void store_close(struct store *store)
{
	if (store->lock >= 0)
		close(store->lock);
	if (store->dir >= 0)
		close(store->dir);
	free(store->path);
	free(store->lapsed);
	store->path = store->lapsed = NULL;
	store->dir = store->lock = -1;
}

/* ---- what is in it ---- */

bool store_has(const struct store *store, const char *name)
{
	struct stat st;

	return fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_latest(const struct store *store, uint64_t *number, struct err *err)
{
	char target[STORE_NAME_ROOM];
	ssize_t length = readlinkat(store->dir, STORE_LATEST, target, sizeof(target));

	*number = 0;
	if (length < 0 && errno == ENOENT)
		return 0;
	if (length < 0 && errno != EINVAL)
		return err_errno(err, STATUS_FAILED, store->path, STORE_LATEST);
	if (length < 0 || !latest_target_parse(target, (size_t)length, number))
		return err_fail(err, STATUS_FAILED, store->path,
				STORE_LATEST " is no link to " STORE_SNAPSHOTS "/N");
	return 0;
}

char *store_snapshot_path(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(number, name);
	return alloc_printf("%s/%s", strcmp(store->path, "/") == 0 ? "" : store->path, name);
}

void numbers_release(struct numbers *numbers)
{
	free(numbers->list);
	numbers->list = NULL;
	numbers->count = 0;
}

static int number_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A snapshot is a directory with a number for a name; all else in snapshots/ is foreign. */
static bool is_snapshot(int dir, const struct dirent *entry, uint64_t *number)
{
	struct stat st;

	if (!snapshot_number_parse(entry->d_name, strlen(entry->d_name), number))
		return false;
	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

void numbers_add(struct numbers *numbers, uint64_t number)
{
	/* Doubled at each power of two, so that no count has to be kept of the room. */
	if ((numbers->count & (numbers->count - 1)) == 0)
		numbers->list = alloc_grow(numbers->list, numbers->count * 2 + 1, sizeof(*numbers->list));
	numbers->list[numbers->count++] = number;
}

static void numbers_sort(struct numbers *numbers)
{
	if (numbers->count > 1)
		qsort(numbers->list, numbers->count, sizeof(*numbers->list), number_compare);
}

static bool numbers_have(const struct numbers *numbers, uint64_t number)
{
	return numbers->count != 0 &&
	       bsearch(&number, numbers->list, numbers->count, sizeof(number), number_compare) != NULL;
}

/* The directory `name` has been read to its end, or to an error that errno tells; `list` may be NULL. */
static int numbers_finish(struct numbers *numbers, const struct store *store, const char *name, DIR *list,
			  struct err *err)
{
	const int error = errno;

	if (list != NULL)
		closedir(list);
	numbers_sort(numbers);
	if (error == 0)
		return 0;
	numbers_release(numbers);
	errno = error;
	return err_errno(err, STATUS_FAILED, store->path, "%s", name);
}

int store_numbers(const struct store *store, struct numbers *numbers,
		  void (*foreign)(void *context, const char *name), void *context, struct err *err)
{
	const struct dirent *entry;
	uint64_t number;

	*numbers = (struct numbers){ NULL, 0 };
	DIR *list = directory_open(store->dir, STORE_SNAPSHOTS);
	if (list == NULL && errno == ENOENT)
		return 0;
	while (list != NULL && (entry = directory_next(list)) != NULL)
		if (is_snapshot(dirfd(list), entry, &number))
			numbers_add(numbers, number);
		else if (foreign != NULL)
			foreign(context, entry->d_name);
	return numbers_finish(numbers, store, STORE_SNAPSHOTS, list, err);
}

int store_names(const struct store *store, const char *name, const char *suffix, struct numbers *numbers,
		struct err *err)
{
	const size_t cut = strlen(suffix);
	const struct dirent *entry;
	uint64_t number;

	*numbers = (struct numbers){ NULL, 0 };
	DIR *list = directory_open(store->dir, name);
	while (list != NULL && (entry = directory_next(list)) != NULL) {
		const size_t length = strlen(entry->d_name);

		if (length > cut && strcmp(entry->d_name + length - cut, suffix) == 0 &&
		    snapshot_number_parse(entry->d_name, length - cut, &number))
			numbers_add(numbers, number);
	}
	return numbers_finish(numbers, store, name, list, err);
}

/* ---- pins ---- */

/*
 * One pin file. It is made whole under another name: what has the name of a pin is readable by everybody, whatever
 * the umask, and belongs to the store's owner, who may then take leases on it. Where the pin was renamed away and
 * could not be renamed back, none is made: a reader may hold that one, and would not be seen.
 */
static int pin_make(const struct store *store, uint64_t number, struct err *err)
{
	char name[STORE_NAME_ROOM], dead[STORE_NAME_ROOM + sizeof(PIN_DEAD)];

	pin_name(number, name);
	memcpy(dead + pin_name(number, dead), PIN_DEAD, sizeof(PIN_DEAD));
	if (store_has(store, dead))
		return 0;
	int fd = openat(store->dir, PIN_NEW, PIN_NEW_FLAGS, 0644);
	/* Left by a writer that died: we have the lock, so it is nobody's. */
	if (fd < 0 && errno == EEXIST && unlinkat(store->dir, PIN_NEW, 0) == 0)
		fd = openat(store->dir, PIN_NEW, PIN_NEW_FLAGS, 0644);
	int result = fd < 0 ? -1 : fchmod(fd, 0644);
	if (result == 0)
		result = store_give(store, fd);
	if (result == 0)
		result = renameat2(store->dir, PIN_NEW, store->dir, name, RENAME_NOREPLACE);
	if (result != 0)
		err_errno(err, STATUS_FAILED, store->path, "%s", name);
	if (fd >= 0)
		close(fd);
	return result;
}

/*
 * One look at the directory says which pin files are missing, and that is exact: only who has the lock makes, renames
 * or removes one, and it has its name only when nothing is left to be done to it (pin_make). So the names need not be
 * probed one by one, and what is there needs no second look.
 */
int store_make_pins(struct store *store, struct err *err)
{
	struct numbers present, pins = { NULL, 0 };
	uint64_t highest;
	int result = -1;

	if (store_numbers(store, &present, NULL, NULL, err) != 0)
		return -1;
	if (store_highest(store, &highest, err) == 0)
		result = store_names(store, STORE_PINS, "", &pins, err);
	for (size_t i = 0; result == 0 && i < present.count; i++)
		if (!numbers_have(&pins, present.list[i]))
			result = pin_make(store, present.list[i], err);
	for (uint64_t ahead = highest + 1; result == 0 && ahead <= highest + PINS_AHEAD; ahead++)
		if (ahead <= SNAPSHOT_NUMBER_MAX && !numbers_have(&pins, ahead))
			result = pin_make(store, ahead, err);
	numbers_release(&present);
	numbers_release(&pins);
	return result;
}

/* ---- small files ---- */

int store_sync_dir(const struct store *store, const char *name, struct err *err)
{
	if (!store->durable)
		return 0;
	int fd = openat(store->dir, name, DIR_FLAGS | O_NOFOLLOW);
	int result = fd < 0 ? -1 : fsync(fd);
	if (result != 0)
		err_errno(err, STATUS_FAILED, store->path, "%s: fsync", name);
	if (fd >= 0)
		close(fd);
	return result;
}

/* fsync of the directory that `name` is in. */
static int sync_parent(const struct store *store, const char *name)
{
	const char *slash = strrchr(name, '/');
	char *parent = slash == NULL ? alloc_copy(".") : alloc_printf("%.*s", (int)(slash - name), name);
	int fd = openat(store->dir, parent, DIR_FLAGS | O_NOFOLLOW);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(parent);
	return result;
}

static int write_whole(const struct store *store, const char *name, const char *text, mode_t mode, bool flush,
		       struct err *err)
{
	char *new_name = alloc_printf("%s.new", name);
	int result = -1;

	/* Left by a writer that died: we have the lock, so it is nobody's. */
	unlinkat(store->dir, new_name, 0);
	int fd = openat(store->dir, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd >= 0 && fchmod(fd, mode) == 0 && store_give(store, fd) == 0 &&
	    file_write(fd, text, strlen(text), 0) == 0 && (!flush || fsync(fd) == 0) &&
	    renameat(store->dir, new_name, store->dir, name) == 0)
		result = flush ? sync_parent(store, name) : 0;
	if (result != 0) {
		err_errno(err, STATUS_FAILED, store->path, "%s: cannot write", name);
		if (fd >= 0)
			unlinkat(store->dir, new_name, 0);
	}
	if (fd >= 0)
		close(fd);
	free(new_name);
	return result;
}

int store_write_file(const struct store *store, const char *name, const char *text, mode_t mode,
		     struct err *err)
{
	return write_whole(store, name, text, mode, true, err);
}

int store_write_soon(const struct store *store, const char *name, const char *text, mode_t mode,
		     struct err *err)
{
	return write_whole(store, name, text, mode, false, err);
}

int store_read_file(const struct store *store, const char *name, char **text, struct err *err)
{
	struct stat st;
	int result = 0;

	*text = NULL;
	int fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		result = errno == ELOOP || errno == ENXIO ? 1 : -1;
		err_errno(err, STATUS_FAILED, store->path, "%s", name);
	} else if (!S_ISREG(st.st_mode) || st.st_size > SMALL_FILE_MAX) {
		err_fail(err, STATUS_FAILED, store->path, "%s is no file of ours", name);
		result = 1;
	} else {
		*text = alloc_grow(NULL, (size_t)st.st_size + 1, 1);
		ssize_t length = file_read(fd, *text, (size_t)st.st_size, 0);
		(*text)[length < 0 ? 0 : length] = '\0';
		if (length < 0) {
			result = err_errno(err, STATUS_FAILED, store->path, "%s: read", name);
			free(*text);
			*text = NULL;
		}
	}
	if (fd >= 0)
		close(fd);
	return result;
}

/* ---- whose it is ---- */

/* Do both paths name the same entry of the same directory? */
static bool same_entry(const char *a, const char *b)
{
	struct stat parent_a, parent_b;
	const char *slash_a = strrchr(a, '/'), *slash_b = strrchr(b, '/');

	if (slash_a == NULL || slash_b == NULL || strcmp(slash_a, slash_b) != 0)
		return false;
	char *dir_a = alloc_printf("%.*s", (int)(slash_a - a) + 1, a);
	char *dir_b = alloc_printf("%.*s", (int)(slash_b - b) + 1, b);
	bool same = stat(dir_a, &parent_a) == 0 && stat(dir_b, &parent_b) == 0 &&
		    stat_same_inode(&parent_a, &parent_b);
	free(dir_a);
	free(dir_b);
	return same;
}

static bool leads_here(const struct store *store, const char *location)
{
	struct err ignored = ERR_NONE;
	struct stat ours, theirs;
	char *path;

	if (pin_find_store(location, &path, &ignored) != 0)
		return false;
	bool here = fstat(store->dir, &ours) == 0 && stat(path, &theirs) == 0 &&
		    stat_same_inode(&ours, &theirs);
	free(path);
	return here;
}

int store_claim(struct store *store, const char *location, struct err *err)
{
	char *owner;
	int result = 0;

	if (store_read_file(store, STORE_LOCATION, &owner, err) != 0)
		return -1;
	/* One newline was added when it was written; further ones are the name's. */
	if (owner != NULL && owner[0] != '\0' && owner[strlen(owner) - 1] == '\n')
		owner[strlen(owner) - 1] = '\0';
	const bool ours = owner != NULL && (strcmp(owner, location) == 0 || same_entry(owner, location));
	if (!ours && owner != NULL && leads_here(store, owner)) {
		result = err_fail(err, STATUS_USAGE, location, "the store %s belongs to %s", store->path,
				  owner);
	} else if (!ours && store->lock >= 0) {
		char *text = alloc_printf("%s\n", location);
		result = store_write_file(store, STORE_LOCATION, text, 0644, err);
		free(text);
	}
	free(owner);
	return result;
}

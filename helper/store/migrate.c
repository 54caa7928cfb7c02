/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/walk.h"
#include "helper/config/user.h"
#include "helper/snapshot/storage.h"
#include "helper/store/meta.h"
#include "helper/store/pin.h"
#include "helper/store/trust.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define SCRATCH_ROOM 48 /* our names beside a location: a location's own may have 255 bytes already */

/* A name beside the location that nobody else has; only our own journal makes it known. */
static void scratch_name(char *to)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = (uint64_t)getpid();
	snprintf(to, SCRATCH_ROOM, ".rcu-repo-%016jx", (uintmax_t)random);
}

/* ---- a location as (parent, name) ---- */

struct place {
	int parent; /* the directory that it is an entry of; -1: not there yet */
	char *parent_path;
	char *name;
};

static void place_release(struct place *place)
{
	if (place->parent >= 0)
		close(place->parent);
	free(place->parent_path);
	free(place->name);
}

/* Splits `location`; slashes behind it are nothing (P5). */
static int place_open(struct place *place, const char *location, struct err *err)
{
	char *path = alloc_copy(location), *slash;

	for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
		path[length - 1] = '\0';
	slash = strrchr(path, '/');
	*place = (struct place){ .parent = -1 };
	if (path[0] != '/' || slash[1] == '\0' || strcmp(slash + 1, ".") == 0 ||
	    strcmp(slash + 1, "..") == 0) {
		free(path);
		return err_fail(err, STATUS_USAGE, location, "cannot be the location of a repository");
	}
	place->name = alloc_copy(slash + 1);
	slash[slash == path ? 1 : 0] = '\0';
	place->parent_path = path;
	place->parent = open(path, DIR_FLAGS);
	if (place->parent < 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, location, "%s", path);
	return 0;
}

/* The same for a location that was there, and so must be the directory that it is in. */
static int place_open_there(struct place *place, const char *location, struct err *err)
{
	if (place_open(place, location, err) != 0)
		return -1;
	if (place->parent >= 0)
		return 0;
	return err_fail(err, STATUS_FAILED, location,
			"the directory that it is in, %s, is not there any more", place->parent_path);
}

static int way_trust(const struct repo *repo, const struct place *place, struct err *err)
{
	uid_t sync_user;

	return user_trusted(repo, &sync_user, err) != 0 ? -1 : trust_path(place->parent_path, sync_user, err);
}

/*
 * Before each change at a location: is the directory that is open the one that its path leads to, and may
 * nobody else exchange it? A fetch of hours lies behind migrate_check(), and a parent that was missing then may
 * have been made by anybody meanwhile, where it is below a sticky directory. In this order: the way is looked
 * at first, and from then on only those whom we trust can change where it leads.
 */
static int place_trust(const struct place *place, uid_t sync_user, struct err *err)
{
	struct stat opened, named;

	if (trust_path(place->parent_path, sync_user, err) != 0)
		return -1;
	if (fstat(place->parent, &opened) != 0 || stat(place->parent_path, &named) != 0)
		return err_errno(err, STATUS_FAILED, place->parent_path, "cannot be looked up");
	if (!stat_same_inode(&opened, &named))
		return err_fail(err, STATUS_FAILED, place->parent_path, "was exchanged while we opened it");
	return 0;
}

/* ---- refusals ---- */

/* One line of /proc/self/mountinfo: the mount point (field 5, proc(5)) with its \ooo undone, in place. */
static char *mount_point(char *line)
{
	char *at = line, *to;

	for (int field = 1; field < 5; field++) {
		at = strchr(at, ' ');
		if (at == NULL)
			return NULL;
		at++;
	}
	at[strcspn(at, " \n")] = '\0';
	char *point = to = at;
	while (*at != '\0') {
		if (at[0] == '\\' && at[1] != '\0' && at[2] != '\0' && at[3] != '\0') {
			*to++ = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 4;
		} else {
			*to++ = *at++;
		}
	}
	*to = '\0';
	return point;
}

/* A mount at or below the location would be emptied or hidden (P1): the kernel moves no mounts. */
static int mounts_check(const char *location, const char *canonical, struct err *err)
{
	const size_t length = strlen(canonical);
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	int result = 0;

	if (file == NULL)
		return err_errno(err, STATUS_FAILED, location,
				 "cannot tell what is mounted: /proc/self/mountinfo");
	while (result == 0 && getline(&line, &room, file) > 0) {
		const char *point = mount_point(line);
		if (point == NULL || strncmp(point, canonical, length) != 0)
			continue;
		if (point[length] == '\0')
			result = err_fail(err, STATUS_USAGE, location,
					  "is a mount point: it cannot be exchanged for a link");
		else if (point[length] == '/')
			result = err_fail(err, STATUS_USAGE, location, "%s is mounted inside it", point);
	}
	free(line);
	fclose(file);
	return result;
}

/*
 * The same from the kernel's own mark (statx(2), Linux 5.8): right also where mountinfo shows another root.
 */
static int mount_root_check(const char *location, const struct place *place, struct err *err)
{
	struct statx stx;

	if (statx(place->parent, place->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx) != 0)
		return err_errno(err, STATUS_FAILED, location, "stat");
	if ((stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
	    (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
		return err_fail(err, STATUS_USAGE, location,
				"is a mount point: it cannot be exchanged for a link");
	return 0;
}

/*
 * Goes along `path` through all links as far as there is something; what is not there yet stays in
 * walk->rest.
 */
static int walk_existing(struct walk *walk, const char *path)
{
	struct stat st;
	char *name;
	int result = walk_start(walk, path);

	while (result == 0 && (name = walk_next(walk)) != NULL) {
		if (fstatat(walk->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			char *rest = alloc_printf("%s%s%s", name, walk->rest[0] == '\0' ? "" : "/",
						  walk->rest);
			result = errno == ENOENT ? 0 : -1;
			free(walk->rest);
			free(name);
			walk->rest = rest;
			return result;
		}
		if (S_ISLNK(st.st_mode)) {
			char *target = walk_target(walk, name);
			result = target == NULL ? -1 : walk_follow(walk, target);
			free(target);
		} else {
			result = walk_enter(walk, name);
		}
		free(name);
	}
	return result;
}

/*
 * Is the directory `dir`, or one that it is in, the directory `outer`? By identity, so bind mounts and links
 * do not deceive. 1, 0, -1.
 */
static int is_inside(int dir, const struct stat *outer)
{
	struct stat here, last = { .st_ino = 0 };
	int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), result = -1;

	while (at >= 0 && fstat(at, &here) == 0) {
		if (stat_same_inode(&here, outer))
			result = 1;
		else if (stat_same_inode(&here, &last))
			result = 0; /* the root */
		if (result >= 0)
			break;
		last = here;
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
	}
	if (at >= 0)
		close(at);
	return result;
}

/* Does the path `outer` (not there yet, both below one directory) hold `inner`, or are they one? */
static bool is_prefix(const char *outer, const char *inner)
{
	const size_t length = strlen(outer);

	return strncmp(outer, inner, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}

/* Neither may be in the other, nor be the other (P2). Both may be missing still, in part or altogether. */
static int inside_check(const struct repo *repo, const struct walk *location, const struct walk *store,
			struct err *err)
{
	struct stat location_st, store_st;
	const bool location_whole = location->rest[0] == '\0', store_whole = store->rest[0] == '\0';
	int store_in = 0, location_in = 0;

	if (fstat(location->dir, &location_st) != 0 || fstat(store->dir, &store_st) != 0)
		return err_errno(err, STATUS_FAILED, repo->location, "stat");
	if (location_whole)
		store_in = is_inside(store->dir, &location_st);
	else if (!store_whole && stat_same_inode(&location_st, &store_st))
		store_in = is_prefix(location->rest, store->rest);
	if (store_whole)
		location_in = is_inside(location->dir, &store_st);
	else if (!location_whole && stat_same_inode(&location_st, &store_st))
		location_in = is_prefix(store->rest, location->rest);
	if (store_in < 0 || location_in < 0)
		return err_errno(err, STATUS_FAILED, repo->location, "cannot be compared with %s",
				 repo->store);
	if (store_in > 0)
		return err_fail(err, STATUS_USAGE, repo->location, "the store %s is inside the location",
				repo->store);
	if (location_in > 0)
		return err_fail(err, STATUS_USAGE, repo->location, "the location is inside the store %s",
				repo->store);
	return 0;
}

/* The same of a location that is a link: `location` is the directory that it is in. */
static int link_inside_check(const struct repo *repo, const struct walk *location, const struct walk *store,
			     struct err *err)
{
	struct stat st;

	if (store->rest[0] != '\0')
		return 0;
	const int in = fstat(store->dir, &st) == 0 ? is_inside(location->dir, &st) : -1;
	if (in < 0)
		return err_errno(err, STATUS_FAILED, repo->location, "cannot be compared with %s",
				 repo->store);
	if (in > 0)
		return err_fail(err, STATUS_USAGE, repo->location, "the location is inside the store %s",
				repo->store);
	return 0;
}

static int nesting_check(const struct repo *repo, const struct place *place, enum location_state state,
			 struct err *err)
{
	/* A link that leads into the store is outside of it where its own name is. */
	struct walk location, store = { .dir = -1 };
	int result = -1;

	if (walk_existing(&location, state == LOCATION_LINKED ? place->parent_path : repo->location) != 0)
		err_errno(err, STATUS_FAILED, repo->location, "cannot be looked up");
	else if (walk_existing(&store, repo->store) != 0)
		err_errno(err, STATUS_FAILED, repo->store, "cannot be looked up");
	else if (state != LOCATION_LINKED)
		result = inside_check(repo, &location, &store, err);
	else
		result = link_inside_check(repo, &location, &store, err);
	walk_release(&location);
	if (store.at != NULL)
		walk_release(&store);
	return result;
}

/*
 * P25: data that exists once. Portage's excludes keep these out of every sync, so the new tree would not have
 * them.
 */
static int excluded_check(const struct repo *repo, const struct place *place, struct err *err)
{
	struct stat st;

	if (!repo->from_portage)
		return 0;
	for (size_t i = 0; repo_portage_excludes[i]; i++) {
		char *name = alloc_printf("%s/%s", place->name, repo_portage_excludes[i]);
		bool there = fstatat(place->parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		free(name);
		if (there)
			return err_fail(err, STATUS_USAGE, repo->location,
					"%s/ is in it, which no sync brings: move it elsewhere first",
					repo_portage_excludes[i]);
	}
	return 0;
}

/* Either name has either kind, or is not there. */
static void trial_clear(int dir)
{
	static const char *const names[] = { "a", "b" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (unlinkat(dir, names[i], AT_REMOVEDIR) != 0)
			unlinkat(dir, names[i], 0);
}

/*
 * A directory beside the location to try something in. Its name is always the same, so that the next one clears
 * away what one that was killed has left; it is locked, so that two of us do not clear away each other's. -1
 * and errno.
 */
static int trial_open(const struct place *place, const char *name)
{
	for (;;) {
		if (mkdirat(place->parent, name, 0700) != 0 && errno != EEXIST)
			return -1;
		int dir = openat(place->parent, name, DIR_FLAGS | O_NOFOLLOW);
		if (dir < 0 && errno == ENOENT) /* another one has just removed it */
			continue;
		if (dir < 0)
			return -1;
		const bool locked = flock(dir, LOCK_EX) == 0;
		if (locked && file_is_named(dir, place->parent, name))
			return dir;
		const int cause = errno;
		close(dir);
		if (!locked || (cause != 0 && cause != ENOENT)) {
			errno = cause;
			return -1;
		}
	}
}

/* Exchanges a directory and a link beside the location, to see whether this file system can. */
static int exchange_check(const char *location, const struct place *place, struct err *err)
{
	char name[SCRATCH_ROOM];
	int dir, result = 0;

	snprintf(name, sizeof(name), ".rcu-repo-trial-%ju", (uintmax_t)geteuid());
	dir = trial_open(place, name);
	if (dir < 0)
		return err_errno(err, STATUS_FAILED, location, "cannot write to %s", place->parent_path);
	trial_clear(dir);
	if (mkdirat(dir, "a", 0700) != 0 || symlinkat("nowhere", dir, "b") != 0)
		result = err_errno(err, STATUS_FAILED, location, "cannot write to %s", place->parent_path);
	else if (renameat2(dir, "a", dir, "b", RENAME_EXCHANGE) != 0)
		result = err_errno(err, STATUS_USAGE, location,
				   "its file system cannot exchange a directory and a link in one step "
				   "(renameat2 RENAME_EXCHANGE), so it cannot be migrated without a gap");
	trial_clear(dir);
	if (unlinkat(place->parent, name, AT_REMOVEDIR) != 0 && result == 0)
		result = err_errno(err, STATUS_FAILED, location, "%s/%s cannot be removed",
				   place->parent_path, name);
	close(dir);
	return result;
}

/* Is the link at the location the right one? One that dangles because its store is not there still is. */
static int link_check(const struct repo *repo, const struct place *place, struct err *err)
{
	struct err other = ERR_NONE;
	struct stat theirs, ours;
	char target[PATH_MAX], *path, *wanted = alloc_printf("%s/" STORE_LATEST, repo->store);
	ssize_t length = readlinkat(place->parent, place->name, target, sizeof(target) - 1);

	target[length < 0 ? 0 : length] = '\0';
	bool right = strcmp(target, wanted) == 0;
	free(wanted);
	if (right)
		return 0;
	if (pin_find_store(repo->location, &path, &other) != 0) {
		*err = other;
		return -1;
	}
	right = stat(path, &theirs) == 0 && stat(repo->store, &ours) == 0 && stat_same_inode(&theirs, &ours);
	if (!right)
		err_fail(err, STATUS_USAGE, repo->location, "is a link that leads elsewhere, to the store %s",
			 path);
	free(path);
	return right ? 0 : -1;
}

/*
 * What the location leads to was made by us or by Portage, and is not there: nearly always its file system is not mounted. A new
 * store in its place would hide the old one, under the mount point, and give its numbers again.
 */
static int link_store_check(const struct repo *repo, struct err *err)
{
	static const char *const marks[] = { STORE_OURS, STORE_LATEST };
	struct stat st;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		char *mark = alloc_printf("%s/%s", repo->store, marks[i]);
		const bool there = lstat(mark, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
		free(mark);
		if (there)
			return 0;
	}
	return err_fail(
		err, STATUS_FAILED, repo->location,
		"leads to the store %s, which is not there: is its file system mounted? (to begin anew, "
		"remove %s)",
		repo->store, repo->location);
}

static int directory_check(const struct repo *repo, const struct place *place, struct err *err)
{
	char *canonical = realpath(repo->location, NULL);
	int result = -1;

	if (canonical == NULL)
		err_errno(err, STATUS_FAILED, repo->location, "cannot be looked up");
	else if (mount_root_check(repo->location, place, err) == 0 &&
		 mounts_check(repo->location, canonical, err) == 0 && excluded_check(repo, place, err) == 0)
		/* A directory changes its parent only for one who may write to it: rename(2). */
		result = faccessat(place->parent, place->name, W_OK, AT_EACCESS) == 0
				 ? 0
				 : err_errno(err, STATUS_FAILED, repo->location, "cannot be moved");
	free(canonical);
	return result;
}

static int state_find(const struct repo *repo, const struct place *place, enum location_state *state,
		      struct err *err)
{
	struct stat st;

	*state = LOCATION_ABSENT;
	if (place->parent < 0)
		return 0;
	if (fstatat(place->parent, place->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_errno(err, STATUS_FAILED, repo->location, "stat");
	if (S_ISLNK(st.st_mode)) {
		*state = LOCATION_LINKED;
		return link_check(repo, place, err) != 0 ? -1 : link_store_check(repo, err);
	}
	*state = LOCATION_DIRECTORY;
	if (!S_ISDIR(st.st_mode))
		return err_fail(err, STATUS_USAGE, repo->location, "is a file");
	return 0;
}

int migrate_check(const struct repo *repo, enum location_state *state, struct err *err)
{
	struct place place;
	int result = place_open(&place, repo->location, err);

	if (result == 0)
		result = state_find(repo, &place, state, err);
	if (result == 0)
		result = nesting_check(repo, &place, *state, err);
	if (result == 0 && *state != LOCATION_LINKED)
		result = way_trust(repo, &place, err);
	if (result == 0 && *state == LOCATION_DIRECTORY)
		result = directory_check(repo, &place, err);
	place_release(&place);
	return result;
}

int migrate_try(const struct repo *repo, enum location_state state, struct err *err)
{
	struct place place;

	if (state != LOCATION_DIRECTORY)
		return 0;
	int result = place_open_there(&place, repo->location, err);
	if (result == 0)
		result = exchange_check(repo->location, &place, err);
	place_release(&place);
	return result;
}

/* ---- the exchange, and its journal ----
 *
 * The journal (STORE_MIGRATION, durable before anything else is done) names the number for the old tree, the
 * name beside the location that is used on the way, the inode of the directory that both are in, and the
 * location. The steps, and what a crash behind each leaves:
 *
 *  1 The journal is written (migrate_prepare). The location is as it was. migrate_recover() finds nothing
 *    under the name, and removes the journal. The number is skipped.
 *  2 The link is made under that name. The same, with a link to remove.
 *  3 Both are exchanged, in one step. The location is the link, never missing; the old tree is whole, under
 *    our name. migrate_recover() goes on with 4.
 *  4 The old tree is renamed into snapshots/ (or, from another file system, to NAME.before-rcu beside the
 *    location). It is snapshot M; nothing is under our name, and nothing was deleted. migrate_recover()
 *    removes the journal.
 *  5 The journal is removed. Done.
 *
 * What is in step 2 or 3 is told apart by looking: a link under our name was not exchanged yet, a directory
 * was. So one journal text, written once, is enough. Each step is on disk before the next begins.
 *
 * That nothing is under our name counts only in the directory that the journal means: when the location's
 * file system is not mounted, the old tree is not gone. The inode tells, without the device: its number may
 * be another one after the next boot. Until that directory is back the journal stays, and is in the way of
 * another migration alone.
 */

struct journal {
	uint64_t number; /* for the old tree: lower than the first snapshot that replaces it */
	uint64_t parent; /* the inode of the directory that the location is in */
	char name[SCRATCH_ROOM];
	char *location; /* NULL: there is no journal */
};

static int journal_write(const struct store *store, const struct journal *journal, struct err *err)
{
	/* The location comes last, since it may hold any byte. */
	char *text = alloc_printf("%ju\n%s\n%ju\n%s\n", (uintmax_t)journal->number, journal->name,
				  (uintmax_t)journal->parent, journal->location);
	int result = store_write_file(store, STORE_MIGRATION, text, 0644, err);

	free(text);
	return result;
}

/* An inode number, decimal; it may use all 64 bits, as a snapshot's number may not. */
static bool inode_parse(const char *text, const char *end, uint64_t *to)
{
	char *stop;

	errno = 0;
	*to = strtoull(text, &stop, 10);
	return text[0] >= '0' && text[0] <= '9' && stop == end && errno == 0;
}

static bool journal_parse(char *text, struct journal *journal)
{
	char *name = strchr(text, '\n'), *parent = name == NULL ? NULL : strchr(name + 1, '\n');
	char *location = parent == NULL ? NULL : strchr(parent + 1, '\n');
	const size_t length = location == NULL ? 0 : strlen(location + 1);

	if (length < 2 || location[1] != '/' || location[length] != '\n' ||
	    !snapshot_number_parse(text, (size_t)(name - text), &journal->number) ||
	    !inode_parse(parent + 1, location, &journal->parent))
		return false;
	*parent = location[length] = '\0';
	if (strncmp(name + 1, ".rcu-repo-", strlen(".rcu-repo-")) != 0 || strchr(name + 1, '/') != NULL ||
	    snprintf(journal->name, sizeof(journal->name), "%s", name + 1) >= (int)sizeof(journal->name))
		return false;
	journal->location = alloc_copy(location + 1);
	return true;
}

static int journal_read(const struct store *store, struct journal *journal, struct err *err)
{
	char *text;
	int result = 0;

	*journal = (struct journal){ .location = NULL };
	if (store_read_file(store, STORE_MIGRATION, &text, err) != 0)
		return -1;
	if (text != NULL && !journal_parse(text, journal))
		result = err_fail(err, STATUS_FAILED, store->path, STORE_MIGRATION " is damaged");
	free(text);
	return result;
}

static int journal_remove(const struct store *store, struct err *err)
{
	if (unlinkat(store->dir, STORE_MIGRATION, 0) != 0 && errno != ENOENT)
		return err_errno(err, STATUS_FAILED, store->path, STORE_MIGRATION ": unlink");
	return store_sync_dir(store, STORE_OURS, err);
}

/* One that migrate_recover() had to leave: its old tree must be found first. */
static int journal_none(const struct store *store, struct err *err)
{
	struct journal journal;
	int result = journal_read(store, &journal, err);

	if (result == 0 && journal.location != NULL)
		result = err_fail(err, STATUS_FAILED, journal.location,
				  "its migration was interrupted, and it is in another directory now: is its "
				  "file system mounted? (If %s is not beside it, remove %s/" STORE_MIGRATION
				  ")",
				  journal.name, store->path);
	free(journal.location);
	return result;
}

int migrate_prepare(struct store *store, const struct repo *repo, enum location_state state, struct err *err)
{
	struct journal journal = { .location = repo->location };
	struct place place = { .parent = -1 };
	struct stat st;
	int result = 0;

	if (state != LOCATION_LINKED)
		result = journal_none(store, err);
	if (state != LOCATION_DIRECTORY || result != 0)
		return result;
	result = place_open_there(&place, repo->location, err);
	if (result == 0 && fstat(place.parent, &st) != 0)
		result = err_errno(err, STATUS_FAILED, repo->location, "%s", place.parent_path);
	if (result == 0)
		result = store_next_number(store, &journal.number, err);
	if (result == 0) {
		journal.parent = st.st_ino;
		scratch_name(journal.name);
		result = journal_write(store, &journal, err);
	}
	place_release(&place);
	return result;
}

static char *link_text(const struct store *store)
{
	return alloc_printf("%s/" STORE_LATEST, strcmp(store->path, "/") == 0 ? "" : store->path);
}

/* Where the old tree is on another file system: beside the location, under a name that is free. */
static int set_beside(const struct place *place, const char *name, char **beside, struct err *err)
{
	for (unsigned i = 0; i < 1000; i++) {
		char *kept = i == 0 ? alloc_printf("%s.before-rcu", place->name)
				    : alloc_printf("%s.before-rcu.%u", place->name, i);
		if (renameat2(place->parent, name, place->parent, kept, RENAME_NOREPLACE) == 0) {
			*beside = alloc_printf("%s/%s", place->parent_path, kept);
			free(kept);
			return 0;
		}
		free(kept);
		if (errno == ENAMETOOLONG) {
			*beside = alloc_printf("%s/%s", place->parent_path, name);
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	return err_errno(err, STATUS_FAILED, place->parent_path, "%s, the tree that was there: rename", name);
}

/*
 * Step 4: the old tree, which is a directory under our name now, is kept. It has no meta file: meta_settle()
 * says that it is retired.
 */
static int old_tree_keep(struct store *store, const struct place *place, const struct journal *journal,
			 char **beside, struct err *err)
{
	char target[STORE_NAME_ROOM];
	uint64_t number = journal->number;

	snapshot_name(number, target);
	if (store_has(store, target)) { /* Portage, which does not know our numbers, took it */
		if (store_next_number(store, &number, err) != 0)
			return -1;
		snapshot_name(number, target);
	}
	if (renameat2(place->parent, journal->name, store->dir, target, RENAME_NOREPLACE) != 0) {
		if (errno != EXDEV)
			return err_errno(err, STATUS_FAILED, journal->location,
					 "the tree that was there, to %s/%s", store->path, target);
		if (set_beside(place, journal->name, beside, err) != 0)
			return -1;
	}
	if (fsync(place->parent) != 0)
		return err_errno(err, STATUS_FAILED, place->parent_path, "fsync");
	return store_sync_dir(store, STORE_SNAPSHOTS, err);
}

/* Steps 2 and 3. 1: exchanged, but not known to be on disk. */
static int exchange(const struct store *store, const struct place *place, const struct journal *journal,
		    struct err *err)
{
	struct err ignored = ERR_NONE;
	char *text = link_text(store);
	int result = symlinkat(text, place->parent, journal->name);

	free(text);
	if (result != 0)
		return err_errno(err, STATUS_FAILED, journal->location, "cannot write to %s",
				 place->parent_path);
	if (renameat2(place->parent, journal->name, place->parent, place->name, RENAME_EXCHANGE) != 0) {
		err_errno(err, STATUS_FAILED, journal->location, "cannot be exchanged for a link");
		unlinkat(place->parent, journal->name, 0);
		journal_remove(store, &ignored);
		return -1;
	}
	if (fsync(place->parent) == 0)
		return 0;
	err_errno(err, STATUS_FAILED, place->parent_path, "fsync");
	return 1;
}

/* Steps 2 to 5. From the exchange on there is no way back: what fails then is 1, and left to migrate_recover(). */
static int exchange_and_keep(struct store *store, const struct place *place, const struct journal *journal,
			     char **beside, struct err *err)
{
	struct err late = ERR_NONE;
	int result = exchange(store, place, journal, err);

	if (result != 0)
		return result;
	if (old_tree_keep(store, place, journal, beside, err) != 0 || journal_remove(store, err) != 0)
		return 1;
	meta_settle(store, &late); /* where this fails, the next store_lock() does it */
	return 0;
}

static int directory_finish(struct store *store, const struct repo *repo, char **beside, struct err *err)
{
	struct journal journal;
	struct place place = { .parent = -1 };
	struct stat st;
	int result = journal_read(store, &journal, err);

	if (result == 0 && (journal.location == NULL || strcmp(journal.location, repo->location) != 0))
		result = err_fail(err, STATUS_FAILED, repo->location, "its migration was not prepared");
	if (result == 0)
		result = place_open_there(&place, repo->location, err);
	if (result == 0)
		result = place_trust(&place, store->sync_user, err);
	if (result == 0 &&
	    (fstatat(place.parent, place.name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode)))
		result = err_fail(err, STATUS_FAILED, repo->location, "is no directory any more");
	if (result == 0)
		result = exchange_and_keep(store, &place, &journal, beside, err);
	place_release(&place);
	free(journal.location);
	return result;
}

/* Makes the link, and the directories that lead to it. */
static int absent_finish(const struct store *store, const struct repo *repo, struct err *err)
{
	struct place place;
	int result = place_open(&place, repo->location, err);

	if (result == 0 && place.parent < 0) {
		/* Before as well: we make nothing where somebody else's link leads. */
		result = way_trust(repo, &place, err);
		if (result == 0)
			place.parent = store_make_path(place.parent_path, err);
		if (place.parent < 0)
			result = -1;
	}
	if (result == 0)
		result = place_trust(&place, store->sync_user, err);
	if (result == 0) {
		char *text = link_text(store);
		result = symlinkat(text, place.parent, place.name);
		free(text);
		if (result != 0) {
			err_errno(err, STATUS_FAILED, repo->location, "cannot be made a link");
		} else if (store->durable && fsync(place.parent) != 0) {
			err_errno(err, STATUS_FAILED, place.parent_path, "fsync");
			result = 1;
		}
	}
	place_release(&place);
	return result;
}

int migrate_finish(struct store *store, const struct repo *repo, enum location_state state, char **beside,
		   struct err *err)
{
	*beside = NULL;
	switch (state) {
	case LOCATION_ABSENT:
		return absent_finish(store, repo, err);
	case LOCATION_DIRECTORY:
		return directory_finish(store, repo, beside, err);
	case LOCATION_LINKED:
		break;
	}
	return 0;
}

/*
 * What is under our name beside the location: nothing, a link that was not exchanged yet, or the old tree.
 * *ended is false where that cannot be told now.
 */
static int recover_place(struct store *store, const struct place *place, const struct journal *journal,
			 bool *ended, struct err *err)
{
	char *beside = NULL;
	struct stat st;

	*ended = false;
	if (place->parent < 0)
		return 0;
	if (fstatat(place->parent, journal->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT || fstat(place->parent, &st) != 0)
			return err_errno(err, STATUS_FAILED, journal->location, "%s", journal->name);
		*ended = st.st_ino == journal->parent;
		return 0;
	}
	*ended = true;
	if (S_ISDIR(st.st_mode)) {
		int result = old_tree_keep(store, place, journal, &beside, err);
		free(beside);
		return result;
	}
	if (S_ISLNK(st.st_mode) && unlinkat(place->parent, journal->name, 0) != 0)
		return err_errno(err, STATUS_FAILED, journal->location, "%s: unlink", journal->name);
	return 0;
}

int migrate_recover(struct store *store, struct err *err)
{
	struct journal journal;
	struct place place;
	bool ended = false;

	if (journal_read(store, &journal, err) != 0)
		return -1;
	if (journal.location == NULL)
		return 0;
	int result = place_open(&place, journal.location, err);
	if (result == 0 && place.parent >= 0)
		result = place_trust(&place, store->sync_user, err);
	if (result == 0)
		result = recover_place(store, &place, &journal, &ended, err);
	if (result == 0 && ended)
		result = journal_remove(store, err);
	place_release(&place);
	free(journal.location);
	return result;
}

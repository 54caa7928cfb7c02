/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <ini.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/identity.h"
#include "helper/snapshot/storage.h"
#include "helper/store/meta.h"
#include "helper/store/migrate.h"
#include "helper/store/reclaim.h"
#include "helper/store/reservation.h"
#include "helper/store/set.h"

/* How often the file is read again where its text is not of the present owner, who is just writing it. */
#define OWNER_TRIES 20
#define OWNER_PAUSE_NS 5000000L

/* ---- who has it, as text ---- */

struct owner {
	char host[80], start[64], command[128];
	struct identity process;
	bool good;
};

/* For inih: 1 is good. */
static int owner_line(void *user, const char *section, const char *key, const char *value)
{
	struct owner *owner = user;

	(void)section;
	if (strcmp(key, "process") == 0)
		return owner->good = identity_parse(value, &owner->process);
	if (strcmp(key, "host") == 0)
		snprintf(owner->host, sizeof(owner->host), "%s", value);
	if (strcmp(key, "start") == 0)
		snprintf(owner->start, sizeof(owner->start), "%s", value);
	if (strcmp(key, "command") == 0)
		snprintf(owner->command, sizeof(owner->command), "%s", value);
	return 1;
}

/*
 * Whole lines for inih: its line has 200 bytes, and a line feed or a comment in a name must not make another.
 */
static char *owner_text(const char *command, struct err *err)
{
	char process[IDENTITY_ROOM], host[65] = "", start[64] = "?",
				     shown[sizeof(((struct owner *)NULL)->command)];
	const time_t now = time(NULL);
	struct identity self;
	struct tm tm;

	if (identity_of(getpid(), &self, err) != 0)
		return NULL;
	identity_format(&self, process);
	gethostname(host, sizeof(host) - 1);
	if (localtime_r(&now, &tm) != NULL)
		strftime(start, sizeof(start), "%Y-%m-%d %H:%M:%S %z", &tm);
	snprintf(shown, sizeof(shown), "%s", command);
	for (char *at = shown; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == ';')
			*at = '?';
	return alloc_printf("process = %s\nhost = %s\nstart = %s\ncommand = %s\n", process, host, start,
			    shown);
}

/*
 * The lock is ours: writes down who we are. Not durable: after a crash of the machine nobody has it. Cut by a
 * full disk, what stands there names nobody, and the kernel has the lock all the same: gc must work then.
 */
static int owner_write(int fd, const char *command, struct err *err)
{
	char *text = owner_text(command, err);

	if (text == NULL)
		return -1;
	const size_t length = strlen(text);
	if (pwrite(fd, text, length, 0) == (ssize_t)length && ftruncate(fd, (off_t)length) != 0)
		err_errno(err, STATUS_FAILED, "lock", "ftruncate");
	free(text);
	return err->status == STATUS_DONE ? 0 : -1;
}

static bool owner_read(int fd, struct owner *owner)
{
	char text[1024];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	*owner = (struct owner){ .good = false };
	if (length <= 0)
		return false;
	text[length] = '\0';
	return ini_parse_string(text, owner_line, owner) == 0 && owner->good &&
	       identity_state(&owner->process) != IDENTITY_ENDED;
}

static int busy(const struct store *store, int fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = OWNER_PAUSE_NS };
	struct owner owner;

	for (int try = 0; try < OWNER_TRIES; try++) {
		if (owner_read(fd, &owner))
			return err_fail(err, STATUS_BUSY, store->path,
					"locked by pid %jd on %s: \"%s\", since %s",
					(intmax_t)owner.process.pid, owner.host, owner.command, owner.start);
		nanosleep(&pause, NULL);
	}
	return err_fail(err, STATUS_BUSY, store->path, "locked by a process that has not said who it is");
}

/*
 * "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF"; the device is not what stat says on every file system.
 */
bool store_is_locked(const struct store *store)
{
	FILE *locks = fopen("/proc/locks", "re");
	bool found = false;
	struct stat st;
	char line[256];

	if (fstatat(store->dir, STORE_LOCK, &st, AT_SYMLINK_NOFOLLOW) != 0)
		st.st_ino = 0;
	while (locks && !found && fgets(line, sizeof(line), locks)) {
		uintmax_t inode;

		found = sscanf(line, "%*s FLOCK %*s WRITE %*d %*x:%*x:%ju", &inode) == 1 &&
			inode == st.st_ino;
	}
	if (locks)
		fclose(locks);
	return found;
}

/* ---- what a dead writer left ---- */

static int staging_discard(struct store *store, const char *id, struct err *err)
{
	/*
	 * By its name alone: what a writer left may be no tree, and what is in the way must go all the same.
	 */
	struct staging staging = { .id = alloc_copy(id) };
	int result = store->storage->discard(store, &staging, err);

	staging_release(&staging);
	return result;
}

/*
 * Staging trees that nobody reserved are of writers that died, and may still be written to by what they
 * started: never published, never used.
 */
static int staging_clear(struct store *store, const char *reserved, struct err *err)
{
	const struct dirent *entry;
	DIR *list = directory_open(store->dir, STORE_STAGING);
	int result = 0;

	if (list == NULL)
		return err_errno(err, STATUS_FAILED, store->path, STORE_STAGING);
	while (result == 0 && (entry = directory_next(list)) != NULL)
		if (reserved == NULL || strcmp(entry->d_name, reserved) != 0)
			result = staging_discard(store, entry->d_name, err);
	closedir(list);
	return result;
}

/*
 * What is written in the making (store_write_file(), publish_swap()) has a name of its own until it is whole. The next one
 * of the same name would replace it, but a number is written once. What cannot go now goes the next time.
 */
static void unfinished_clear(const struct store *store, const char *dir)
{
	static const char end[] = ".new";
	const struct dirent *entry;
	DIR *list = directory_open(store->dir, dir);

	while (list != NULL && (entry = directory_next(list)) != NULL) {
		const size_t length = strlen(entry->d_name), cut = sizeof(end) - 1;
		if (length > cut && strcmp(entry->d_name + length - cut, end) == 0)
			unlinkat(dirfd(list), entry->d_name, 0);
	}
	if (list != NULL)
		closedir(list);
}

/*
 * The order. Pin files first: nothing below may find one missing. Then what is reserved, which may be a snapshot that is to
 * be staged again, and keeps others out. Then the migration, which may add a
 * snapshot, the set of several stores, which may swap latest, and the staging trees. Then the times, which look at all snapshots, and pin files for all of
 * them: those two may fail (on a full disk gc must work), since publish() and reclaim() do them again where
 * they matter. Each step can be done again after a crash in it.
 */
static int recover(struct store *store, bool accept_reserved, struct err *err)
{
	struct reservation reservation = { .staging = NULL };
	struct err late = ERR_NONE;
	int result = reclaim_recover(store, err);

	if (result == 0)
		result = reservation_read(store, &reservation, err);
	if (result == 0 && reservation.staging != NULL && !accept_reserved)
		result = err_fail(err, STATUS_BUSY, store->path, "reserved by \"rcu-repo begin\" for %s",
				  reservation.text);
	if (result == 0)
		result = migrate_recover(store, err);
	if (result == 0)
		result = set_recover(store, err);
	if (result == 0)
		result = staging_clear(store, reservation.staging, err);
	if (result == 0) {
		unfinished_clear(store, STORE_OURS);
		unfinished_clear(store, STORE_META);
		unfinished_clear(store, STORE_RECORD);
		meta_settle(store, &late);
		store_make_pins(store, &late);
	}
	reservation_release(&reservation);
	return result;
}

/* ---- the lock ---- */

/* The file, for its owner alone: who can open a file can lock it, and would block us. */
static int lock_open(const struct store *store, struct err *err)
{
	int fd = openat(store->dir, STORE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		err_errno(err, STATUS_FAILED, store->path, STORE_LOCK);
	} else if (!S_ISREG(st.st_mode)) {
		err_fail(err, STATUS_FAILED, store->path, STORE_LOCK " is no file of ours");
	} else if (((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) != 0) ||
		   (geteuid() == 0 && st.st_uid != store->uid && fchown(fd, store->uid, store->gid) != 0)) {
		err_errno(err, STATUS_FAILED, store->path, STORE_LOCK);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

int store_lock(struct store *store, const char *command, bool reserved, struct err *err)
{
	int fd, result;

	for (;;) {
		fd = lock_open(store, err);
		if (fd < 0)
			return -1;
		while ((result = flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR)
			;
		/* Somebody may have removed .rcu-repo and started anew. */
		if (result != 0 || file_is_named(fd, store->dir, STORE_LOCK))
			break;
		close(fd);
	}
	if (result != 0 && errno == EWOULDBLOCK)
		result = busy(store, fd, err);
	else if (result != 0)
		result = err_errno(err, STATUS_FAILED, store->path, STORE_LOCK ": flock");
	else
		result = owner_write(fd, command, err);
	if (result == 0) {
		store->lock = fd;
		result = recover(store, reserved, err);
	} else {
		close(fd);
	}
	if (result != 0)
		store_unlock(store);
	return result;
}

void store_unlock(struct store *store)
{
	if (store->lock >= 0)
		close(store->lock);
	store->lock = -1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/readers.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/identity.h"
#include "helper/base/mounts.h"
#include "helper/launcher/namespace_cover.h"

#define COMMAND_MAX 200
#define PIN_PAGE 4096

struct pin_file {
	dev_t dev;
	ino_t ino;
	uint64_t number;
};

/* What is looked for, and what was found. */
struct search {
	struct pin_file *pins; /* by number */
	size_t pin_count;
	struct readers *readers;
	int64_t boot;         /* CLOCK_REALTIME of the machine's start */
	char *root, *device;  /* of snapshots/ in its file system, as mountinfo has them; NULL: not known */
	struct stat our_view; /* the mount namespace that we are in */
};

static int by_number(const void *a, const void *b)
{
	const struct pin_file *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int by_number_and_pid(const void *a, const void *b)
{
	const struct reader *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* A store without pins has no readers that we could know of. */
static int find_pins(const struct store *store, struct search *search, struct err *err)
{
	DIR *dir = directory_open(store->dir, STORE_PINS);
	const struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_errno(err, STATUS_FAILED, store->path, "%s cannot be read", STORE_PINS);
	while ((entry = readdir(dir))) {
		struct pin_file pin;
		struct stat st;

		if (!snapshot_number_parse(entry->d_name, strlen(entry->d_name), &pin.number) ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		pin.dev = st.st_dev;
		pin.ino = st.st_ino;
		search->pins = alloc_grow(search->pins, search->pin_count + 1, sizeof(pin));
		search->pins[search->pin_count++] = pin;
	}
	closedir(dir);
	if (search->pin_count)
		qsort(search->pins, search->pin_count, sizeof(*search->pins), by_number);
	return 0;
}

/* What mountinfo calls snapshots/: the root of the mount that it is on, and the way from there. */
static void find_root(const struct store *store, struct search *search)
{
	struct err ignored = ERR_NONE;
	const struct mount_entry *on;
	struct mounts mounts;
	struct statx st;

	if (stat("/proc/self/ns/mnt", &search->our_view) != 0 ||
	    statx(store->dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) != 0 ||
	    mounts_read(&mounts, &ignored) != 0)
		return;
	char *place = mounts_place(&mounts, st.stx_mnt_id, store->path, &on);
	if (place) {
		search->root = alloc_printf("%s/%s", place, STORE_SNAPSHOTS);
		search->device = alloc_copy(on->device);
	}
	free(place);
	mounts_release(&mounts);
}

/* One process under /proc; the numbers that it holds are collected before it is asked who it is. */
struct process {
	struct search *search;
	int dir; /* /proc/PID */
	pid_t pid;
	uint64_t *numbers;
	size_t count;
	size_t mapped, held; /* the first so many by a mapping; by a mapping or a descriptor */
};

static void process_holds(struct process *process, uint64_t number)
{
	for (size_t i = 0; i < process->count; i++)
		if (process->numbers[i] == number)
			return;
	process->numbers = alloc_grow(process->numbers, process->count + 1, sizeof(*process->numbers));
	process->numbers[process->count++] = number;
}

/*
 * A line of /proc/PID/maps: "7f..-7f.. ---s 00005000 fe:01 123   /s/.rcu-repo/pins/5". The offset says which
 * number, the inode that it is ours. Where a file system's st_dev is not what maps shows (btrfs, overlayfs)
 * the name must do instead of the device.
 */
static void look_at_mapping(struct process *process, const char *line)
{
	uintmax_t offset, inode;
	unsigned major_id, minor_id;
	int name_at = 0;

	if (sscanf(line, "%*s %*s %jx %x:%x %ju %n", &offset, &major_id, &minor_id, &inode, &name_at) < 4 ||
	    offset % PIN_PAGE != 0)
		return;
	const struct pin_file wanted = { .number = offset / PIN_PAGE };
	const struct search *search = process->search;
	const struct pin_file *pin = search->pin_count == 0
					     ? NULL
					     : bsearch(&wanted, search->pins, search->pin_count,
						       sizeof(wanted), by_number);
	if (!pin || pin->ino != inode)
		return;
	char name[STORE_NAME_ROOM];
	pin_name(pin->number, name);
	if (pin->dev == makedev(major_id, minor_id) || (name_at && strstr(line + name_at, name)))
		process_holds(process, pin->number);
}

/* The pins that are mapped. False where we may not look. */
static bool look_at_maps(struct process *process)
{
	int fd = openat(process->dir, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;

	if (!maps) {
		bool forbidden = errno == EACCES || errno == EPERM;

		if (fd >= 0)
			close(fd);
		return !forbidden;
	}
	while (getline(&line, &room, maps) > 0)
		look_at_mapping(process, line);
	bool good = !ferror(maps) || errno == ESRCH;
	free(line);
	fclose(maps);
	return good;
}

static void look_at_descriptor(struct process *process, const struct stat *st)
{
	for (size_t i = 0; i < process->search->pin_count; i++) {
		const struct pin_file *pin = &process->search->pins[i];

		if (pin->ino == st->st_ino && pin->dev == st->st_dev)
			process_holds(process, pin->number);
	}
}

/* The pins that are open: on their way over an exec, or in a program that did not load the shim. */
static bool look_at_descriptors(struct process *process)
{
	DIR *dir = directory_open(process->dir, "fd");
	const struct dirent *entry;
	struct stat st;

	if (!dir)
		return errno != EACCES && errno != EPERM;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
			look_at_descriptor(process, &st);
	closedir(dir);
	return true;
}

/*
 * In a namespace of rcu-exec: below the tmpfs that covers the store there is snapshots/, which is ours, and on it the
 * one snapshot that it sees.
 */
static void look_at_cover(struct process *process, const struct mounts *mounts, const char *cover)
{
	const size_t length = strlen(cover);
	bool ours = false;

	for (size_t i = 0; i < mounts->count; i++) {
		const struct mount_entry *entry = &mounts->list[i];
		const char *below = strncmp(entry->at, cover, length) == 0 ? entry->at + length : "";
		uint64_t number;

		if (strcmp(below, "/" STORE_SNAPSHOTS) == 0)
			ours = strcmp(entry->root, process->search->root) == 0 &&
			       strcmp(entry->device, process->search->device) == 0;
		else if (ours && strncmp(below, "/" STORE_SNAPSHOTS "/", sizeof(STORE_SNAPSHOTS) + 1) == 0 &&
			 snapshot_number_parse(below + sizeof(STORE_SNAPSHOTS) + 1,
					       strlen(below + sizeof(STORE_SNAPSHOTS) + 1), &number))
			process_holds(process, number);
	}
}

static void look_at_mounts(struct process *process)
{
	const struct search *search = process->search;
	struct err ignored = ERR_NONE;
	struct mounts mounts;
	struct stat view;

	if (!search->root || fstatat(process->dir, "ns/mnt", &view, 0) != 0 ||
	    stat_same_inode(&view, &search->our_view) || mounts_read_of(&mounts, process->dir, &ignored) != 0)
		return;
	for (size_t i = 0; i < mounts.count; i++)
		if (strcmp(mounts.list[i].type, "tmpfs") == 0 &&
		    strcmp(mounts.list[i].source, COVER_SOURCE) == 0)
			look_at_cover(process, &mounts, mounts.list[i].at);
	mounts_release(&mounts);
}

/* The argument list with blanks, or comm where there is none. */
static char *command_of(const struct process *process)
{
	char text[COMMAND_MAX + 1];
	ssize_t length = file_read_text(process->dir, "cmdline", text, sizeof(text));

	while (length > 0 && text[length - 1] == '\0')
		length--;
	if (length <= 0)
		length = file_read_text(process->dir, "comm", text, sizeof(text));
	if (length > 0 && text[length - 1] == '\n')
		text[--length] = '\0';
	for (ssize_t i = 0; i < length; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return alloc_copy(text);
}

static int64_t since_of(const struct process *process)
{
	char text[1024], state;
	uint64_t ticks;

	if (file_read_text(process->dir, "stat", text, sizeof(text)) < 0 ||
	    !identity_stat_parse(text, &state, &ticks))
		return 0;
	return process->search->boot + (int64_t)(ticks / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uid_t uid_of(const char *status)
{
	const char *at = strstr(status, "\nUid:");
	unsigned uid = 0;

	if (at)
		sscanf(at, "\nUid: %u", &uid);
	return uid;
}

/* "NSpid:\t100\t7\t1": in our namespace, and then one further in each; 0 where there is one alone. */
static pid_t inner_of(const char *status)
{
	const char *at = strstr(status, "\nNSpid:"), *end = at ? strchr(at + 1, '\n') : NULL;
	const char *first = at ? strchr(at, '\t') : NULL, *last = end;

	while (last && last > at && *last != '\t')
		last--;
	return first && last && last > first ? (pid_t)strtol(last, NULL, 10) : 0;
}

static void report(const struct process *process)
{
	struct readers *readers = process->search->readers;
	char status[4096];

	file_read_text(process->dir, "status", status, sizeof(status));
	for (size_t i = 0; i < process->count; i++) {
		readers->list = alloc_grow(readers->list, readers->count + 1, sizeof(*readers->list));
		readers->list[readers->count++] = (struct reader){
			.pid = process->pid,
			.inner = inner_of(status),
			.via = i < process->mapped ? READER_MAPPED
			       : i < process->held ? READER_OPEN
						   : READER_NAMESPACE,
			.uid = uid_of(status),
			.command = command_of(process),
			.since = since_of(process),
			.number = process->numbers[i],
		};
	}
}

static void look_at_process(struct search *search, int proc, const char *name)
{
	struct process process = { .search = search, .pid = (pid_t)strtol(name, NULL, 10) };

	process.dir = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process.dir < 0)
		return;
	const bool maps = look_at_maps(&process);
	process.mapped = process.count;
	const bool descriptors = look_at_descriptors(&process);
	process.held = process.count;
	look_at_mounts(&process);
	if (process.count)
		report(&process);
	else if (!maps || !descriptors)
		search->readers->hidden++;
	free(process.numbers);
	close(process.dir);
}

static int64_t boot_time(int proc)
{
	char text[65536];
	const char *at;

	file_read_text(proc, "stat", text, sizeof(text));
	at = strstr(text, "\nbtime ");
	return at ? strtoll(at + strlen("\nbtime "), NULL, 10) : 0;
}

int readers_find(const struct store *store, struct readers *readers, struct err *err)
{
	struct search search = { .readers = readers };
	const struct dirent *entry;
	DIR *proc;

	*readers = (struct readers){ .list = NULL };
	if (find_pins(store, &search, err) != 0)
		return -1;
	proc = directory_open(AT_FDCWD, "/proc");
	if (!proc) {
		free(search.pins);
		return err_errno(err, STATUS_FAILED, "/proc", "cannot be read");
	}
	search.boot = boot_time(dirfd(proc));
	find_root(store, &search);
	while (search.pin_count && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_process(&search, dirfd(proc), entry->d_name);
	closedir(proc);
	free(search.pins);
	free(search.root);
	free(search.device);
	if (readers->count)
		qsort(readers->list, readers->count, sizeof(*readers->list), by_number_and_pid);
	return 0;
}

/*
 * Does the process hold what is searched for? Over an exec a pin changes from a mapping to a descriptor and back;
 * whoever was seen without a mapping and then without a descriptor, having just mapped it, still has the mapping
 * at the third look, since an exec takes longer than these. -1 where we may not look.
 */
static int process_holds_any(struct process *process)
{
	bool looked = look_at_maps(process) && look_at_descriptors(process) && look_at_maps(process);

	return process->count ? 1 : looked ? 0 : -1;
}

int readers_any(uint64_t number, const struct stat *pin, struct err *err)
{
	struct pin_file wanted = { .number = number, .dev = pin->st_dev, .ino = pin->st_ino };
	struct search search = { .pins = &wanted, .pin_count = 1 };
	DIR *proc = directory_open(AT_FDCWD, "/proc");
	const struct dirent *entry;
	int result = 0;

	if (!proc)
		return err_errno(err, STATUS_FAILED, "/proc", "cannot be read");
	while (result != 1 && (entry = readdir(proc))) {
		struct process process = { .search = &search, .pid = (pid_t)strtol(entry->d_name, NULL, 10) };

		if (!isdigit((unsigned char)entry->d_name[0]) || process.pid == getpid())
			continue;
		process.dir = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process.dir < 0)
			continue;
		int holds = process_holds_any(&process);
		if (holds != 0)
			result = holds;
		free(process.numbers);
		close(process.dir);
	}
	closedir(proc);
	if (result < 0)
		err_fail(err, STATUS_FAILED, "/proc", "there are processes that we may not look into");
	return result;
}

void readers_release(struct readers *readers)
{
	for (size_t i = 0; i < readers->count; i++)
		free(readers->list[i].command);
	free(readers->list);
	*readers = (struct readers){ .list = NULL };
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/occupants.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/identity.h"
#include "helper/base/mounts.h"

#define TRIES 100
#define TRY_NANOSECONDS 10000000

struct search {
	const char *path;
	size_t length;
	bool writing;   /* only who writes; else any descriptor and directory */
	bool mappings;  /* also shared writable ones */
	uint64_t since; /* only processes that were started then or later, in ticks since the boot */
	int proc;       /* /proc */
	const char *pid;
	bool doubt; /* something could not be read, though its process is there */

	struct stat root;     /* of the tree */
	struct stat outside;  /* the last directory that was found not to be in it: "/", nearly always */
	char *place, *device; /* where the tree is in its file system, as mountinfo has it; NULL: not known */
	struct stat *views;   /* the mount namespaces that were looked at */
	size_t view_count;
};

#define NAME_ROOM 64

/* /proc/PID/... by its name below /proc: one lookup. */
static const char *name_of(const struct search *search, const char *what, char *to)
{
	snprintf(to, NAME_ROOM, "%.16s/%.32s", search->pid, what);
	return to;
}

/* Is `text` the tree or something in it? A file that was deleted has " (deleted)" behind its path. */
static bool inside(const struct search *search, const char *text)
{
	return strncmp(text, search->path, search->length) == 0 &&
	       (text[search->length] == '/' || text[search->length] == '\0' || text[search->length] == ' ');
}

/* What has gone is no reason to doubt, nor is what not even we may look into (occupants.h). */
static void doubt(struct search *search)
{
	search->doubt = search->doubt || (errno != 0 && errno != ENOENT && errno != ESRCH &&
					  errno != EACCES && errno != EPERM);
}

/* Is the tree on the way up from here? Takes the descriptor. */
static bool is_below(struct search *search, int fd, struct stat st)
{
	bool found, top = false;

	while (!(found = stat_same_inode(&st, &search->root)) && !top) {
		const struct stat was = st;
		const int next = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (next < 0 || fstat(next, &st) != 0)
			doubt(search);
		top = next < 0 || stat_same_inode(&st, &was);
		close(fd);
		fd = next;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* Does this link of /proc lead to a directory that is the tree, or in it? */
static bool directory_inside(struct search *search, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, 0) != 0) {
		doubt(search);
		return false;
	}
	if (!S_ISDIR(st.st_mode) || st.st_dev != search->root.st_dev ||
	    stat_same_inode(&st, &search->outside))
		return false;
	const int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		doubt(search);
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (is_below(search, fd, st))
		return true;
	search->outside = st;
	return false;
}

static bool link_inside(struct search *search, int dir, const char *name)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(dir, name, text, sizeof(text) - 1);

	if (length < 0) {
		doubt(search);
		return false;
	}
	text[length] = '\0';
	/* What has no path (a socket) is no directory. */
	return inside(search, text) ||
	       (!search->writing && text[0] == '/' && directory_inside(search, dir, name));
}

static bool view_seen(struct search *search, const struct stat *view)
{
	for (size_t i = 0; i < search->view_count; i++)
		if (stat_same_inode(&search->views[i], view))
			return true;
	search->views = alloc_grow(search->views, search->view_count + 1, sizeof(*search->views));
	search->views[search->view_count++] = *view;
	return false;
}

/* Is a part of the tree mounted somewhere, in what this process sees? */
static bool in_mounts(struct search *search)
{
	struct err ignored = ERR_NONE;
	char name[NAME_ROOM];
	struct mounts mounts;
	struct stat view;
	bool found = false;

	if (!search->place || fstatat(search->proc, name_of(search, "ns/mnt", name), &view, 0) != 0 ||
	    view_seen(search, &view))
		return false;
	const int process = openat(search->proc, search->pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int result = process < 0 ? -1 : mounts_read_of(&mounts, process, &ignored);
	if (process >= 0)
		close(process);
	if (result != 0)
		return false;
	const size_t length = strlen(search->place);
	for (size_t i = 0; !found && i < mounts.count; i++) {
		const struct mount_entry *entry = &mounts.list[i];

		found = strcmp(entry->device, search->device) == 0 &&
			strncmp(entry->root, search->place, length) == 0 &&
			(entry->root[length] == '/' || entry->root[length] == '\0');
	}
	mounts_release(&mounts);
	return found;
}

/* proc(5), fdinfo: "flags:" in octal. */
static bool descriptor_writes(const struct search *search, const char *number)
{
	char name[NAME_ROOM], info[32], text[256];
	const char *flags;

	snprintf(info, sizeof(info), "fdinfo/%.16s", number);
	if (file_read_text(search->proc, name_of(search, info, name), text, sizeof(text)) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool in_descriptors(struct search *search)
{
	char name[NAME_ROOM];
	DIR *dir = directory_open(search->proc, name_of(search, "fd", name));
	const struct dirent *entry;
	bool found = false;

	if (!dir) {
		doubt(search);
		return false;
	}
	while (!found && (entry = directory_next(dir)))
		found = isdigit((unsigned char)entry->d_name[0]) &&
			link_inside(search, dirfd(dir), entry->d_name) &&
			(!search->writing || descriptor_writes(search, entry->d_name));
	if (!found)
		doubt(search);
	closedir(dir);
	return found;
}

/* proc(5), maps: "ADDRESS rw-s OFFSET DEVICE INODE   PATH". */
static bool in_mappings(const struct search *search)
{
	char path[NAME_ROOM];
	int fd = openat(search->proc, name_of(search, "maps", path), O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	if (!maps) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && getline(&line, &room, maps) > 0) {
		const char *flags = strchr(line, ' '), *name = strchr(line, '/');

		found = flags && name && flags[2] == 'w' && flags[4] == 's' && inside(search, name);
	}
	free(line);
	fclose(maps);
	return found;
}

static bool is_young(const struct search *search)
{
	char name[NAME_ROOM], text[1024], state;
	uint64_t start;

	return search->since == 0 ||
	       file_read_text(search->proc, name_of(search, "stat", name), text, sizeof(text)) < 0 ||
	       !identity_stat_parse(text, &state, &start) || start >= search->since;
}

/* A mapping only matters where it writes: what a snapshot had is never written to. */
static bool is_occupant(struct search *search)
{
	char name[NAME_ROOM];

	if (!is_young(search))
		return false;
	if (in_descriptors(search) || (search->mappings && in_mappings(search)))
		return true;
	return !search->writing &&
	       (link_inside(search, search->proc, name_of(search, "cwd", name)) ||
		link_inside(search, search->proc, name_of(search, "root", name)) || in_mounts(search));
}

static void find_place(struct search *search)
{
	struct err ignored = ERR_NONE;
	const struct mount_entry *on;
	struct mounts mounts;
	struct statx st;

	if (statx(AT_FDCWD, search->path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &st) != 0 ||
	    mounts_read(&mounts, &ignored) != 0)
		return;
	search->place = mounts_place(&mounts, st.stx_mnt_id, search->path, &on);
	search->device = search->place ? alloc_copy(on->device) : NULL;
	mounts_release(&mounts);
}

/* The first that is found; 0 if there is none. */
static pid_t search_processes(struct search *search)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	search->length = strlen(search->path);
	search->proc = proc ? dirfd(proc) : -1;
	search->doubt = false;
	while (proc && !pid && (entry = directory_next(proc))) {
		search->pid = entry->d_name;
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid() &&
		    is_occupant(search))
			pid = (pid_t)atoi(entry->d_name);
	}
	if (errno != 0)
		search->doubt = true;
	if (proc)
		closedir(proc);
	return pid;
}

/* The same; what is known of the tree is not kept. */
static pid_t occupant_find(struct search *search)
{
	if (lstat(search->path, &search->root) != 0)
		return 0;
	if (!search->writing)
		find_place(search);
	const pid_t pid = search_processes(search);
	free(search->place);
	free(search->device);
	free(search->views);
	search->place = search->device = NULL;
	search->views = NULL;
	search->view_count = 0;
	return pid;
}

static uint64_t our_start(void)
{
	struct identity self;
	struct err ignored = ERR_NONE;

	return identity_of(getpid(), &self, &ignored) == 0 ? self.start : 0;
}

static void comm_of(pid_t pid, char *to, size_t room)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file_read_text(AT_FDCWD, path, to, room);
	to[strcspn(to, "\n")] = '\0';
}

/* 0: one that cannot be seen. */
static int fail_for(const char *path, pid_t pid, struct err *err)
{
	char comm[64];

	if (pid == 0)
		return err_fail(err, STATUS_FAILED, path, "a process is still at work in it");
	comm_of(pid, comm, sizeof(comm));
	return err_fail(err, STATUS_FAILED, path, "process %d (%s) is still at work in it", (int)pid, comm);
}

int occupants_wait(const char *path, enum occupants_of which, struct err *err)
{
	const struct timespec pause = { .tv_nsec = TRY_NANOSECONDS };
	struct search search = { .path = path,
				 .writing = which == OCCUPANTS_WRITING,
				 .mappings = true,
				 .since = which == OCCUPANTS_OURS ? our_start() : 0 };
	pid_t pid;

	for (int try = 1; (pid = occupant_find(&search)) != 0 && try < TRIES; try++)
		nanosleep(&pause, NULL);
	return pid == 0 ? 0 : fail_for(path, pid, err);
}

/* ---- a tree that only they see ---- */

static bool link_on(int dir, const char *name, dev_t device)
{
	struct stat st;

	return fstatat(dir, name, &st, 0) == 0 && st.st_dev == device;
}

static bool is_on(int proc, const char *pid, dev_t device)
{
	const int process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = process < 0 ? NULL : directory_open(process, "fd");
	bool found = process >= 0 && (link_on(process, "cwd", device) || link_on(process, "root", device));
	const struct dirent *entry;

	while (!found && dir && (entry = directory_next(dir)))
		found = link_on(dirfd(dir), entry->d_name, device);
	if (dir)
		closedir(dir);
	if (process >= 0)
		close(process);
	return found;
}

int occupants_fail(const char *path, dev_t device, struct err *err)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	while (proc && !pid && (entry = directory_next(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_on(dirfd(proc), entry->d_name, device))
			pid = (pid_t)atoi(entry->d_name);
	if (proc)
		closedir(proc);
	return fail_for(path, pid, err);
}

/* The first PID namespace: include/linux/proc_ns.h, PROC_PID_INIT_INO. */
#define FIRST_PID_NAMESPACE UINT64_C(0xEFFFFFFC)

bool occupants_none(const char *path)
{
	struct search search = { .path = path };
	struct stat st;

	return geteuid() == 0 && stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE &&
	       occupant_find(&search) == 0 && !search.doubt;
}

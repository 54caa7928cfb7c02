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

#include "helper/base/files.h"
#include "helper/base/identity.h"

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

static bool link_inside(struct search *search, int dir, const char *name)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(dir, name, text, sizeof(text) - 1);

	if (length < 0) {
		doubt(search);
		return false;
	}
	text[length] = '\0';
	return inside(search, text);
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
	return !search->writing && (link_inside(search, search->proc, name_of(search, "cwd", name)) ||
				    link_inside(search, search->proc, name_of(search, "root", name)));
}

/* The first that is found; 0 if there is none. */
static pid_t occupant_find(struct search *search)
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

int occupants_wait(const char *path, enum occupants_of which, struct err *err)
{
	const struct timespec pause = { .tv_nsec = TRY_NANOSECONDS };
	struct search search = { .path = path,
				 .writing = which == OCCUPANTS_WRITING,
				 .mappings = true,
				 .since = which == OCCUPANTS_OURS ? our_start() : 0 };
	char comm[64];
	pid_t pid;

	for (int try = 1; (pid = occupant_find(&search)) != 0 && try < TRIES; try++)
		nanosleep(&pause, NULL);
	if (pid == 0)
		return 0;
	comm_of(pid, comm, sizeof(comm));
	return err_fail(err, STATUS_FAILED, path, "process %d (%s) is still at work in it", (int)pid, comm);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/occupants.h"

#include <ctype.h>
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

#define TRIES 100
#define TRY_NANOSECONDS 10000000

struct search {
	const char *path;
	size_t length;
	enum occupants_of which;
	int process; /* /proc/PID */
};

/* Is `text` the tree or something in it? A file that was deleted has " (deleted)" behind its path. */
static bool inside(const struct search *search, const char *text)
{
	return strncmp(text, search->path, search->length) == 0 &&
	       (text[search->length] == '/' || text[search->length] == '\0' || text[search->length] == ' ');
}

static bool link_inside(const struct search *search, const char *name)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(search->process, name, text, sizeof(text) - 1);

	if (length < 0)
		return false;
	text[length] = '\0';
	return inside(search, text);
}

/* proc(5), fdinfo: "flags:" in octal. */
static bool descriptor_writes(const struct search *search, const char *name)
{
	char path[64], text[256];
	const char *flags;

	snprintf(path, sizeof(path), "fdinfo/%.16s", name);
	if (file_read_text(search->process, path, text, sizeof(text)) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool in_descriptors(const struct search *search)
{
	DIR *dir = directory_open(search->process, "fd");
	const struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		char name[32];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(name, sizeof(name), "fd/%.16s", entry->d_name);
		found = link_inside(search, name) &&
			(search->which == OCCUPANTS_ANY || descriptor_writes(search, entry->d_name));
	}
	closedir(dir);
	return found;
}

/* proc(5), maps: "ADDRESS rw-s OFFSET DEVICE INODE   PATH". */
static bool in_mappings(const struct search *search)
{
	int fd = openat(search->process, "maps", O_RDONLY | O_CLOEXEC);
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

static bool is_occupant(struct search *search, int proc, const char *pid)
{
	search->process = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (search->process < 0)
		return false;
	bool found = in_descriptors(search) || in_mappings(search) ||
		     (search->which == OCCUPANTS_ANY &&
		      (link_inside(search, "cwd") || link_inside(search, "root")));
	close(search->process);
	return found;
}

/* The first that is found; 0 if there is none. */
static pid_t occupant_find(const char *path, enum occupants_of which)
{
	struct search search = { .path = path, .length = strlen(path), .which = which };
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t pid = 0;

	while (proc && !pid && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid() &&
		    is_occupant(&search, dirfd(proc), entry->d_name))
			pid = (pid_t)atoi(entry->d_name);
	if (proc)
		closedir(proc);
	return pid;
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
	char comm[64];
	pid_t pid;

	for (int try = 1; (pid = occupant_find(path, which)) != 0 && try < TRIES; try++)
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
	struct stat st;

	return geteuid() == 0 && stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE &&
	       occupant_find(path, OCCUPANTS_ANY) == 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/files.h"

#define STAT_ROOM \
	1024 /* 52 fields of at most 20 digits, of which we need 22, and a name of at most 64 bytes */
#define FIELD_STATE 3
#define FIELD_START 22

bool identity_stat_parse(const char *text, char *state, uint64_t *start)
{
	const char *at = strrchr(text, ')');
	char *end;

	if (at == NULL || at[1] != ' ' || at[2] == '\0')
		return false;
	at += 2;
	*state = *at;
	for (int field = FIELD_STATE; field < FIELD_START; field++) {
		at = strchr(at, ' ');
		if (at == NULL)
			return false;
		at++;
	}
	errno = 0;
	*start = strtoumax(at, &end, 10);
	return end != at && errno == 0 && *at != '-' && (*end == ' ' || *end == '\n' || *end == '\0');
}

/* 0; -1 and errno: ENOENT or ESRCH where there is no such process, or none that we may see. */
static int proc_stat(pid_t pid, char *state, uint64_t *start)
{
	char path[64], text[STAT_ROOM];

	snprintf(path, sizeof(path), "/proc/%jd/stat", (intmax_t)pid);
	if (file_read_text(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	if (!identity_stat_parse(text, state, start)) {
		errno = EIO;
		return -1;
	}
	return 0;
}

void identity_boot(char boot[BOOT_ID_ROOM])
{
	if (file_read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, BOOT_ID_ROOM) < 0)
		boot[0] = '\0';
	boot[strcspn(boot, " \n")] = '\0';
}

static int here_and_now(struct identity *identity, struct err *err)
{
	struct stat st;

	identity_boot(identity->boot);
	if (identity->boot[0] == '\0' || stat("/proc/self/ns/pid", &st) != 0)
		return err_errno(err, STATUS_FAILED, "/proc", "boot_id, self/ns/pid");
	identity->namespace_dev = st.st_dev;
	identity->namespace_ino = st.st_ino;
	return 0;
}

int identity_of(pid_t pid, struct identity *identity, struct err *err)
{
	char subject[32], state;

	*identity = (struct identity){ .pid = pid };
	if (here_and_now(identity, err) != 0)
		return -1;
	if (pid == 0)
		return 0;
	snprintf(subject, sizeof(subject), "pid %jd", (intmax_t)pid);
	if (pid < 0 || proc_stat(pid, &state, &identity->start) != 0)
		return err_fail(err, STATUS_USAGE, subject, "there is no such process");
	if (state == 'Z' || state == 'X')
		return err_fail(err, STATUS_USAGE, subject, "that process has ended");
	return 0;
}

enum identity_state identity_state(const struct identity *identity)
{
	struct err ignored = ERR_NONE;
	struct identity here = { .pid = 0 };
	uint64_t start;
	char state;

	if (here_and_now(&here, &ignored) != 0)
		return IDENTITY_UNSEEN;
	if (strcmp(here.boot, identity->boot) != 0)
		return IDENTITY_ENDED;
	if (identity->pid == 0 || here.namespace_dev != identity->namespace_dev ||
	    here.namespace_ino != identity->namespace_ino)
		return IDENTITY_UNSEEN;
	if (proc_stat(identity->pid, &state, &start) == 0)
		return start == identity->start && state != 'Z' && state != 'X' ? IDENTITY_ALIVE
										: IDENTITY_ENDED;
	/* /proc may hide it (hidepid); the kernel does not. */
	return kill(identity->pid, 0) == 0 || errno == EPERM ? IDENTITY_UNSEEN : IDENTITY_ENDED;
}

void identity_format(const struct identity *identity, char *to)
{
	snprintf(to, IDENTITY_ROOM, "%s %ju:%ju %jd %ju", identity->boot, (uintmax_t)identity->namespace_dev,
		 (uintmax_t)identity->namespace_ino, (intmax_t)identity->pid, (uintmax_t)identity->start);
}

bool identity_parse(const char *text, struct identity *identity)
{
	char boot[BOOT_ID_ROOM];
	intmax_t pid;
	int end = 0;

	*identity = (struct identity){ .pid = 0 };
	if (sscanf(text, "%39s %" SCNu64 ":%" SCNu64 " %jd %" SCNu64 "%n", boot, &identity->namespace_dev,
		   &identity->namespace_ino, &pid, &identity->start, &end) != 5 ||
	    text[end] != '\0' || pid < 0 || pid > INT32_MAX)
		return false;
	memcpy(identity->boot, boot, sizeof(boot));
	identity->pid = (pid_t)pid;
	return true;
}

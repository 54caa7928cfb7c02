/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pinners: readers that do nothing but read: READERS processes, each of which reads all files of a folder again and again,
 * for so many seconds. All files of one version begin with the same byte. Prints how many such reads there were, in how many a
 * file was missing, and in how many there were two versions.
 *
 *     pinners bare LOCATION PART SECONDS       each file by its path, as any program does
 *     pinners pinned LOCATION PART SECONDS     each read takes a pin, as rcu-exec does, and gives it back
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/store/pin.h"

#define READERS 4
#define FILES 8 /* called 1 to 8 */

struct counts {
	unsigned long reads, failed, mixed;
};

enum seen {
	WHOLE,
	FAILED,
	MIXED
};

static enum seen files_read(const char *folder)
{
	char first = 0, byte;

	for (int i = 1; i <= FILES; i++) {
		char *path = alloc_printf("%s/%d", folder, i);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		const bool good = fd >= 0 && read(fd, &byte, 1) == 1;

		if (fd >= 0)
			close(fd);
		free(path);
		if (!good)
			return FAILED;
		if (first != 0 && first != byte)
			return MIXED;
		first = byte;
	}
	return WHOLE;
}

static enum seen read_once(bool pinned, const char *location, const char *part)
{
	struct err err = ERR_NONE;
	struct pin pin = PIN_NONE;

	if (pinned && (pin_take(&pin, location, 0, &err) != 0 || pin.fd < 0)) {
		err_print(&err);
		return FAILED;
	}
	char *folder = alloc_printf("%s/%s", pinned ? pin.snapshot : location, part);
	const enum seen seen = files_read(folder);
	free(folder);
	if (pinned)
		pin_release(&pin);
	return seen;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int main(int argc, char **argv)
{
	struct counts *counts = mmap(NULL, READERS * sizeof(*counts), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct counts sum = { 0, 0, 0 };
	int status;

	err_program = "pinners";
	if (argc != 5 || counts == MAP_FAILED)
		return STATUS_USAGE;
	const time_t end = seconds() + atol(argv[4]);
	for (int i = 0; i < READERS; i++) {
		if (fork() != 0)
			continue;
		while (seconds() < end) {
			const enum seen seen = read_once(strcmp(argv[1], "pinned") == 0, argv[2], argv[3]);

			counts[i].reads++;
			counts[i].failed += seen == FAILED;
			counts[i].mixed += seen == MIXED;
		}
		_exit(0);
	}
	while (wait(&status) > 0 || errno == EINTR)
		if (status != 0)
			return STATUS_FAILED;
	for (int i = 0; i < READERS; i++) {
		sum.reads += counts[i].reads;
		sum.failed += counts[i].failed;
		sum.mixed += counts[i].mixed;
	}
	printf("%lu %lu %lu\n", sum.reads, sum.failed, sum.mixed);
	return 0;
}

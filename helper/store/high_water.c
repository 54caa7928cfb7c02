/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which number is next. The file high-water says so in two lines, "BOUND" and "GIVEN BOOT": no number above BOUND was ever
 * given out, and under the boot BOOT none above GIVEN.
 *
 * BOUND is on disk before a number is used. Where the store is durable it is that number: one flush each time. Where it is
 * not, some numbers are reserved at once, and GIVEN, which is not flushed, says which of them are free still. Another boot
 * may have lost it, and begins above BOUND: then some numbers are skipped, and none is used twice.
 *
 * The text has always the same length and is written over the old one, in one sector: whatever kills us or the machine,
 * it is the old or the new one. Only the first time, or where somebody else wrote it, the file is made anew.
 */
#include "helper/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/files.h"
#include "helper/base/identity.h"

#define RESERVED 64
#define TEXT_SIZE 96

struct high_water {
	uint64_t bound;
	uint64_t given; /* 0: not under this boot */
};

/* Cuts a line off: where it ends, or NULL where `text` is none. */
static char *line_of(char **text)
{
	char *line = *text, *end = line + strcspn(line, "\n");

	if (line == end)
		return NULL;
	*text = *end == '\0' ? end : end + 1;
	*end = '\0';
	return line;
}

/* "GIVEN BOOT": what is no such line, or of another boot, says nothing. */
static void given_parse(const char *line, struct high_water *water)
{
	const char *blank = strchr(line, ' ');
	char boot[BOOT_ID_ROOM];

	identity_boot(boot);
	if (blank == NULL || boot[0] == '\0' || strcmp(blank + 1, boot) != 0 ||
	    !snapshot_number_parse(line, (size_t)(blank - line), &water->given))
		water->given = 0;
}

/* No file is number 0. */
static int high_water_read(const struct store *store, struct high_water *water, struct err *err)
{
	char *text, *rest, *line;
	int result = 0;

	*water = (struct high_water){ .bound = 0 };
	if (store_read_file(store, STORE_HIGH_WATER, &text, err) != 0)
		return -1;
	if (text == NULL)
		return 0;
	rest = text;
	line = line_of(&rest);
	if (line == NULL || !snapshot_number_parse(line, strlen(line), &water->bound))
		result = err_fail(err, STATUS_FAILED, store->path,
				  STORE_HIGH_WATER
				  " is damaged: write the highest number ever published to it");
	else if ((line = line_of(&rest)) != NULL)
		given_parse(line, water);
	free(text);
	return result;
}

/* 1: it is no file that can be written over. */
static int write_over(const struct store *store, const char *text, bool flush)
{
	int fd = openat(store->dir, STORE_HIGH_WATER, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int result = 1;

	if (fd < 0)
		return errno == ENOENT ? 1 : -1;
	if (fstat(fd, &st) != 0)
		result = -1;
	else if (S_ISREG(st.st_mode) && st.st_size == TEXT_SIZE)
		result = file_write(fd, text, TEXT_SIZE, 0) == 0 && (!flush || fdatasync(fd) == 0) ? 0 : -1;
	const int error = errno;
	close(fd);
	errno = error;
	return result;
}

static int high_water_write(const struct store *store, const struct high_water *water, bool flush,
			    struct err *err)
{
	char boot[BOOT_ID_ROOM], text[TEXT_SIZE + 1];

	identity_boot(boot);
	const int length = snprintf(text, sizeof(text), "%" PRIu64 "\n%" PRIu64 " %s\n", water->bound,
				    water->given, boot);
	memset(text + length, '\n', (size_t)(TEXT_SIZE - length));
	text[TEXT_SIZE] = '\0';
	const int result = write_over(store, text, flush);
	if (result > 0)
		return store_write_file(store, STORE_HIGH_WATER, text, 0644, err);
	return result == 0 ? 0
			   : err_errno(err, STATUS_FAILED, store->path, STORE_HIGH_WATER ": cannot write");
}

/* The highest of what is in snapshots/, whatever it is: a file named 7 is in the way of a snapshot 7, too. */
static int highest_present(const struct store *store, uint64_t *highest, struct err *err)
{
	struct numbers numbers;

	*highest = 0;
	if (store_names(store, STORE_SNAPSHOTS, "", &numbers, err) != 0)
		return -1;
	if (numbers.count != 0)
		*highest = numbers.list[numbers.count - 1];
	numbers_release(&numbers);
	return 0;
}

static int highest_find(const struct store *store, struct high_water *water, uint64_t *highest,
			struct err *err)
{
	uint64_t present, latest;

	if (high_water_read(store, water, err) != 0 || highest_present(store, &present, err) != 0 ||
	    store_latest(store, &latest, err) != 0)
		return -1;
	*highest = water->given != 0 ? water->given : water->bound;
	*highest = present > *highest ? present : *highest;
	*highest = latest > *highest ? latest : *highest;
	return 0;
}

int store_highest(const struct store *store, uint64_t *highest, struct err *err)
{
	struct high_water water;

	return highest_find(store, &water, highest, err);
}

int store_next_number(struct store *store, uint64_t *number, struct err *err)
{
	struct high_water water;
	uint64_t highest;

	if (highest_find(store, &water, &highest, err) != 0)
		return -1;
	if (highest >= SNAPSHOT_NUMBER_MAX - PINS_AHEAD)
		return err_fail(err, STATUS_FAILED, store->path, "there is no number left");
	const bool flush = store->durable || highest >= water.bound;
	water.given = highest + 1;
	if (flush)
		water.bound = store->durable || water.given > SNAPSHOT_NUMBER_MAX - RESERVED
				      ? water.given
				      : water.given + RESERVED - 1;
	if (high_water_write(store, &water, flush, err) != 0)
		return -1;
	*number = water.given;
	return 0;
}

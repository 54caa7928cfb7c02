/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/mounts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define MOUNTINFO "/proc/self/mountinfo"

enum {
	FIELD_ID,
	FIELD_DEVICE = 2,
	FIELD_ROOT,
	FIELD_AT,
	FIELDS_FIXED = 6 /* then optional ones, until one that is "-" */
};

/* The next field of the line, in place: blank, tab, newline and backslash are written as \ooo. */
static char *field_next(char **line)
{
	char *field = *line, *to = field, *from = field;

	if (*field == '\0')
		return NULL;
	while (*from && *from != ' ' && *from != '\n') {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	return field;
}

static bool entry_parse(struct mount_entry *entry, char *line)
{
	char *fixed[FIELDS_FIXED], *field;

	for (size_t i = 0; i < FIELDS_FIXED; i++)
		if (!(fixed[i] = field_next(&line)))
			return false;
	do
		field = field_next(&line);
	while (field && strcmp(field, "-") != 0);
	char *type = field_next(&line), *source = type ? field_next(&line) : NULL;
	if (!source)
		return false;
	*entry = (struct mount_entry){
		.id = strtoull(fixed[FIELD_ID], NULL, 10),
		.device = alloc_copy(fixed[FIELD_DEVICE]),
		.root = alloc_copy(fixed[FIELD_ROOT]),
		.at = alloc_copy(fixed[FIELD_AT]),
		.type = alloc_copy(type),
		.source = alloc_copy(source),
	};
	return true;
}

static int mounts_parse(struct mounts *mounts, FILE *file, struct err *err)
{
	struct mount_entry entry;
	char *line = NULL;
	size_t room = 0;

	*mounts = (struct mounts)MOUNTS_NONE;
	if (!file)
		return err_errno(err, STATUS_FAILED, MOUNTINFO, "cannot be read");
	while (getline(&line, &room, file) > 0) {
		if (!entry_parse(&entry, line))
			continue;
		mounts->list = alloc_grow(mounts->list, mounts->count + 1, sizeof(*mounts->list));
		mounts->list[mounts->count++] = entry;
	}
	free(line);
	fclose(file);
	return 0;
}

int mounts_read(struct mounts *mounts, struct err *err)
{
	return mounts_parse(mounts, fopen(MOUNTINFO, "re"), err);
}

int mounts_read_of(struct mounts *mounts, int process, struct err *err)
{
	int fd = openat(process, "mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	const int result = mounts_parse(mounts, file, err);

	if (!file && fd >= 0)
		close(fd);
	return result;
}

void mounts_release(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		free(mounts->list[i].device);
		free(mounts->list[i].root);
		free(mounts->list[i].at);
		free(mounts->list[i].type);
		free(mounts->list[i].source);
	}
	free(mounts->list);
	*mounts = (struct mounts)MOUNTS_NONE;
}

/* What is behind `prefix` in `path`, "" or "/..."; NULL if `path` is not below it. */
static const char *path_behind(const char *path, const char *prefix)
{
	size_t length = strcmp(prefix, "/") == 0 ? 0 : strlen(prefix);

	if (strncmp(path, prefix, length) != 0 || (path[length] != '\0' && path[length] != '/'))
		return NULL;
	return path + length;
}

static const char *no_slash(const char *path)
{
	return strcmp(path, "/") == 0 ? "" : path;
}

char *mounts_place(const struct mounts *mounts, uint64_t id, const char *path, const struct mount_entry **on)
{
	*on = NULL;
	for (size_t i = 0; !*on && i < mounts->count; i++)
		if (mounts->list[i].id == id)
			*on = &mounts->list[i];
	const char *behind = *on ? path_behind(path, (*on)->at) : NULL;
	return behind ? alloc_printf("%s%s", no_slash((*on)->root), behind) : NULL;
}

char **mounts_aliases(const struct mounts *mounts, uint64_t id, const char *path)
{
	char **paths = alloc_grow(NULL, mounts->count + 1, sizeof(*paths));
	const struct mount_entry *own;
	size_t count = 0;
	char *inner = mounts_place(mounts, id, path, &own);

	for (size_t i = 0; inner && i < mounts->count; i++) {
		const struct mount_entry *other = &mounts->list[i];
		const char *rest = path_behind(inner, other->root);

		if (other == own || !rest || strcmp(other->device, own->device) != 0)
			continue;
		paths[count] = alloc_printf("%s%s", no_slash(other->at), rest);
		if (strcmp(paths[count], path) == 0 || paths[count][0] == '\0')
			free(paths[count]);
		else
			count++;
	}
	free(inner);
	paths[count] = NULL;
	return paths;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"

const char *source_path(const char *uri)
{
	if (strncmp(uri, "file://", strlen("file://")) == 0)
		uri += strlen("file://");
	return uri[0] == '/' ? uri : NULL;
}

bool source_is_remote(const char *uri)
{
	const size_t plain = strcspn(uri, ":/");

	return plain > 0 && uri[plain] == ':';
}

/* The canonical path of the longest part of `path` (absolute) that is there. The caller frees it. */
static char *existing_part(const char *path)
{
	char *part = alloc_copy(path), *canonical;

	while (!(canonical = realpath(part, NULL))) {
		char *slash = strrchr(part, '/');

		slash[slash == part] = '\0';
	}
	free(part);
	return canonical;
}

/* Is `path` the directory `dir`, or below it? Both are canonical. */
static bool is_within(const char *path, const char *dir)
{
	size_t length = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

int source_check_place(const struct repo *repo, struct err *err)
{
	const char *path = source_path(repo->sync_uri), *what = NULL;
	char *source = path ? realpath(path, NULL) : NULL;

	/* Not here, or not there: rsync will say so. */
	if (!source || !repo->store) {
		free(source);
		return 0;
	}
	char *location = realpath(repo->location, NULL), *there = existing_part(repo->store);
	char *store = realpath(repo->store, NULL);
	if (is_within(there, source))
		what = "the store is in it";
	else if (store && is_within(source, store))
		what = "it is in the store";
	else if (location && strcmp(source, location) == 0)
		what = "it is the location";
	free(source);
	free(location);
	free(there);
	free(store);
	return what ? repo_refuse(repo, REPO_SYNC_URI, what, err) : 0;
}

FILE *source_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	FILE *file = NULL;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

time_t source_time(const char *text, const char *format)
{
	struct tm tm = { .tm_sec = 0 };

	return strptime(text, format, &tm) ? timegm(&tm) : 0;
}

static time_t timestamp_chk(const char *tree)
{
	char *path = alloc_printf("%s/metadata/timestamp.chk", tree), line[64];
	FILE *file = source_open(path);
	time_t time = 0;

	if (file && fgets(line, sizeof(line), file))
		time = source_time(line, "%a, %d %b %Y %H:%M:%S +0000");
	if (file)
		fclose(file);
	free(path);
	return time;
}

int source_compare_times(const struct repo *repo, time_t fresh, time_t old, struct err *err)
{
	char was[32] = "", is[32] = "";
	struct tm tm;

	if (repo->allow_older || fresh == 0 || fresh >= old)
		return 0;
	strftime(was, sizeof(was), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&old, &tm));
	strftime(is, sizeof(is), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&fresh, &tm));
	return err_fail(err, STATUS_FAILED, "the source",
			"it is of %s, and what is published of %s (sync-rcu-allow-older)", is, was);
}

int source_check_age(const struct repo *repo, const char *path, const char *base, struct err *err)
{
	return base ? source_compare_times(repo, timestamp_chk(path), timestamp_chk(base), err) : 0;
}

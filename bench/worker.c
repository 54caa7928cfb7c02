/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-worker: does one call many times over and says how long that took.
 *
 *     bench-worker CALL COUNT [ARG...]     once; this is what is run under valgrind and strace
 *     bench-worker                         the same for each line of the standard input, words between blanks
 *
 * Each answer is one line: the nanoseconds of all COUNT calls. CALL is a name of the table below, whose ARG is a
 * path; a '@' in it stands for the number of the call, so that each is on another path (they are made before the
 * clock runs). Or it is one of
 *
 *     chdir PATH, at PATH   the directory that relative paths, or the calls with "at" in their names, begin from
 *     spawn ARGV...         a program, started and waited for
 *
 * A call that fails ends the worker: what is measured shall be what is meant.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 64

extern char **environ;

static int from = AT_FDCWD;

static int call_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

static int call_openat(const char *path)
{
	int fd = openat(from, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

static int call_stat(const char *path)
{
	struct stat st;

	return stat(path, &st);
}

static int call_lstat(const char *path)
{
	struct stat st;

	return lstat(path, &st);
}

static int call_fstatat(const char *path)
{
	struct stat st;

	return fstatat(from, path, &st, 0);
}

static int call_access(const char *path)
{
	return access(path, R_OK);
}

static int call_faccessat(const char *path)
{
	return faccessat(from, path, R_OK, 0);
}

static int call_opendir(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return -1;
	while (readdir(dir))
		;
	return closedir(dir);
}

static int call_readlink(const char *path)
{
	char target[PATH_MAX];

	return (int)readlink(path, target, sizeof(target));
}

static int call_readlinkat(const char *path)
{
	char target[PATH_MAX];

	return (int)readlinkat(from, path, target, sizeof(target));
}

static int call_realpath(const char *path)
{
	char whole[PATH_MAX];

	return realpath(path, whole) ? 0 : -1;
}

static const struct call {
	const char *name;
	int (*call)(const char *path);
} calls[] = {
	{ "open+close", call_open },	   { "openat+close", call_openat },
	{ "stat", call_stat },		   { "lstat", call_lstat },
	{ "fstatat", call_fstatat },	   { "access", call_access },
	{ "faccessat", call_faccessat },   { "opendir+readdir", call_opendir },
	{ "readlink", call_readlink },	   { "readlinkat", call_readlinkat },
	{ "realpath", call_realpath },
};

static void die(const char *what)
{
	fprintf(stderr, "bench-worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The path of each call, ended by NULL; where they are all the same, one text. */
static char **paths_make(const char *pattern, size_t count)
{
	const char *mark = strchr(pattern, '@');
	char **paths = calloc(count + 1, sizeof(*paths));
	char *same = strdup(pattern);

	if (!paths || !same)
		die(pattern);
	for (size_t i = 0; i < count; i++) {
		paths[i] = same;
		if (mark && asprintf(&paths[i], "%.*s%zu%s", (int)(mark - pattern), pattern, i, mark + 1) < 0)
			die(pattern);
	}
	free(mark ? same : NULL);
	return paths;
}

static void paths_free(char **paths)
{
	for (char **path = paths; *path; path++)
		if (path == paths || *path != path[-1])
			free(*path);
	free(paths);
}

static long long time_calls(const struct call *call, const char *pattern, size_t count)
{
	char **paths = paths_make(pattern, count);
	long long begin = now();

	for (char **path = paths; *path; path++)
		if (call->call(*path) < 0)
			die(*path);
	long long took = now() - begin;
	paths_free(paths);
	return took;
}

static long long time_spawn(char **argv, size_t count)
{
	posix_spawn_file_actions_t actions;
	long long begin;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	begin = now();
	for (size_t i = 0; i < count; i++) {
		errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
		if (errno != 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			die(argv[0]);
	}
	posix_spawn_file_actions_destroy(&actions);
	return now() - begin;
}

/* words: CALL COUNT ARG..., NULL */
static long long time_words(char **words)
{
	size_t count = strtoul(words[1], NULL, 10);

	if (strcmp(words[0], "spawn") == 0)
		return time_spawn(words + 2, count);
	if (strcmp(words[0], "chdir") == 0)
		return chdir(words[2]) < 0 ? (die(words[2]), 0) : 0;
	if (strcmp(words[0], "at") == 0) {
		from = open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return from < 0 ? (die(words[2]), 0) : 0;
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(words[0], calls[i].name) == 0)
			return time_calls(&calls[i], words[2], count);
	errno = EINVAL;
	die(words[0]);
	return 0;
}

static void answer_lines(void)
{
	static char line[1 << 16];

	while (fgets(line, sizeof(line), stdin)) {
		char *words[WORDS_MAX + 1], *rest = line;
		size_t count = 0;

		while (count < WORDS_MAX && (words[count] = strsep(&rest, " \n")) && *words[count])
			count++;
		words[count] = NULL;
		if (count < 3) {
			errno = EINVAL;
			die("a line");
		}
		printf("%lld\n", time_words(words));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	if (argc >= 4)
		printf("%lld\n", time_words(argv + 1));
	else
		answer_lines();
	return 0;
}

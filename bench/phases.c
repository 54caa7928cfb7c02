/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * phases: stands in PATH under the name of a program, runs the real one, and notes when it began and when it ended.
 * So a measurement of `rcu-repo sync` sees what comes before and behind its transport, with no figure taken inside.
 *
 *     BENCH_PHASES   the file that gets "BEGIN END" (CLOCK_MONOTONIC, in nanoseconds)
 *     BENCH_REAL     the real program's path
 */
#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	const char *log = getenv("BENCH_PHASES"), *real = getenv("BENCH_REAL");
	const int64_t begin = now();
	int status = 0;
	pid_t pid;

	(void)argc;
	if (!log || !real || posix_spawn(&pid, real, NULL, NULL, argv, environ) != 0)
		return 127;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	const int64_t end = now();
	FILE *file = fopen(log, "w");
	if (!file)
		return 127;
	fprintf(file, "%" PRId64 " %" PRId64 "\n", begin, end);
	if (fclose(file) != 0)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

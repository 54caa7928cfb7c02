/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-calls: what a call on a repository path costs, bare and pinned, in one run.
 *
 *     bench-calls RCU-EXEC LOCATION SNAPSHOT FILE
 *
 * Three copies of this program stand ready: bare, with the path through LOCATION; bare, with the canonical path
 * in SNAPSHOT; and pinned by rcu-exec, through LOCATION. Each does a batch of one call in turn, round after
 * round, so that whatever else the machine does falls on all three alike; the median over the rounds counts.
 * Then the same with starting a program. FILE is a file in the repository, relative.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 101
#define BATCH 2000
#define START_ROUNDS 201

extern char **environ;

static void die(const char *what)
{
	fprintf(stderr, "bench-calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- the calls --- */

static int call_open(const char *file, const char *directory)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	(void)directory;
	return fd < 0 ? -1 : close(fd);
}

static int call_stat(const char *file, const char *directory)
{
	struct stat st;

	(void)directory;
	return stat(file, &st);
}

static int call_access(const char *file, const char *directory)
{
	(void)directory;
	return access(file, R_OK);
}

static int call_readlink(const char *file, const char *directory)
{
	char target[PATH_MAX];

	/* of a file that is no link: the walk is what is measured */
	(void)directory;
	return readlink(file, target, sizeof(target)) < 0 && errno != EINVAL ? -1 : 0;
}

static int call_stat_outside(const char *file, const char *directory)
{
	struct stat st;

	(void)file;
	return stat(directory, &st);
}

static const struct call {
	const char *name;
	int (*call)(const char *file, const char *directory);
} calls[] = {
	{ "open+close", call_open },
	{ "stat", call_stat },
	{ "access", call_access },
	{ "readlink", call_readlink },
	{ "stat outside", call_stat_outside },
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* --- a worker: reads the number of a call, answers with the microseconds of one --- */

static int worker(const char *file)
{
	unsigned char which;

	while (read(0, &which, 1) == 1 && which < CALLS) {
		double begin, each;
		int i;

		begin = now();
		for (i = 0; i < BATCH; i++)
			if (calls[which].call(file, "/usr/share") < 0)
				die(file);
		each = (now() - begin) / BATCH;
		if (write(1, &each, sizeof(each)) != sizeof(each))
			return 1;
	}
	return 0;
}

struct process {
	pid_t pid;
	int to, from;
};

static pid_t start(const char *const *argv, const posix_spawn_file_actions_t *actions)
{
	pid_t pid;

	errno = posix_spawnp(&pid, argv[0], actions, NULL, (char *const *)argv, environ);
	if (errno)
		die(argv[0]);
	return pid;
}

static struct process worker_start(const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	struct process process;
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	process.pid = start(argv, &actions);
	posix_spawn_file_actions_destroy(&actions);
	close(to[0]);
	close(from[1]);
	process.to = to[1];
	process.from = from[0];
	return process;
}

static double worker_ask(const struct process *process, size_t which)
{
	unsigned char question = (unsigned char)which;
	double each;

	if (write(process->to, &question, 1) != 1 || read(process->from, &each, sizeof(each)) != sizeof(each))
		die("a worker ended");
	return each;
}

static void worker_end(const struct process *process)
{
	close(process->to);
	close(process->from);
	waitpid(process->pid, NULL, 0);
}

/* --- the measuring --- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *list, size_t count)
{
	qsort(list, count, sizeof(*list), compare);
	return list[count / 2];
}

static void bench_calls(const struct process workers[3])
{
	printf("%-14s %12s %12s %12s %14s %17s\n", "call (us)", "bare", "canonical", "pinned", "pinned/bare",
	       "pinned/canonical");
	for (size_t which = 0; which < CALLS; which++) {
		static double took[3][ROUNDS];
		double m[3];

		for (int round = 0; round < ROUNDS; round++)
			for (int w = 0; w < 3; w++)
				took[w][round] = worker_ask(&workers[w], which);
		for (int w = 0; w < 3; w++)
			m[w] = median(took[w], ROUNDS);
		printf("%-14s %12.3f %12.3f %12.3f %14.2f %17.2f\n", calls[which].name, m[0], m[1], m[2],
		       m[2] / m[0], m[2] / m[1]);
	}
}

static void bench_start(const char *rcu_exec, const char *location)
{
	const char *const ways[3][7] = {
		{ "true", NULL },
		{ "env", "true", NULL },
		{ rcu_exec, "-l", location, "--", "true", NULL },
	};
	static double took[3][START_ROUNDS];
	double m[3];

	for (int round = 0; round < START_ROUNDS; round++)
		for (int way = 0; way < 3; way++) {
			double begin = now();
			pid_t pid = start(ways[way], NULL);
			int status;

			if (waitpid(pid, &status, 0) < 0 || status != 0)
				die(ways[way][0]);
			took[way][round] = now() - begin;
		}
	for (int way = 0; way < 3; way++)
		m[way] = median(took[way], START_ROUNDS);
	printf("\n%-14s %12s %12s %12s %14s\n", "start (us)", "true", "env true", "rcu-exec true",
	       "more than env");
	printf("%-14s %12.0f %12.0f %12.0f %14.0f\n", "", m[0], m[1], m[2], m[2] - m[1]);
}

int main(int argc, char **argv)
{
	char bare[PATH_MAX], canonical[PATH_MAX];
	struct process workers[3];

	if (argc == 3 && strcmp(argv[1], "--worker") == 0)
		return worker(argv[2]);
	if (argc != 5) {
		fputs("usage: bench-calls RCU-EXEC LOCATION SNAPSHOT FILE\n", stderr);
		return 2;
	}
	snprintf(bare, sizeof(bare), "%s/%s", argv[2], argv[4]);
	snprintf(canonical, sizeof(canonical), "%s/%s", argv[3], argv[4]);
	workers[0] = worker_start((const char *const[]){ argv[0], "--worker", bare, NULL });
	workers[1] = worker_start((const char *const[]){ argv[0], "--worker", canonical, NULL });
	workers[2] = worker_start(
		(const char *const[]){ argv[1], "-l", argv[2], "--", argv[0], "--worker", bare, NULL });
	bench_calls(workers);
	for (int w = 0; w < 3; w++)
		worker_end(&workers[w]);
	bench_start(argv[1], argv[2]);
	return 0;
}

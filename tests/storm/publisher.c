/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publisher: the other side of the storm. Publishes A, B, A, B ... in a store, with the engine that rcu-repo
 * has, as fast as it is told, until SIGTERM or SIGINT; then prints how many it published, and how many a second.
 *
 *     publisher [-r RATE] [-s SPARES] STORE TREES PART...
 *
 * TREES has A/PART and B/PART; a snapshot is the PARTs of one of them, copied, as a sync does where every file
 * changed (nothing is linked, so no reader sees a change time move). After each publish everything beyond the
 * SPARES newest retired snapshots that nobody has pinned is reclaimed and deleted at once, which is as hard on
 * a reader as it can be. Prints "ready" when the first snapshot is out.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/err.h"
#include "helper/store/lock.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "helper/tree/tree.h"

static volatile sig_atomic_t stop;

static void on_signal(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

struct options {
	long nanoseconds; /* between two publishes, from begin to begin */
	unsigned spares;
	const char *store;
	const char *trees;
	char **parts; /* NULL-terminated */
};

static void usage(void)
{
	fputs("usage: publisher [-r RATE] [-s SPARES] STORE TREES PART...\n", stderr);
	exit(STATUS_USAGE);
}

static struct options options_read(int argc, char **argv)
{
	struct options options = { .nanoseconds = 5000000 };
	int option;

	while ((option = getopt(argc, argv, "r:s:")) != -1) {
		long value = optarg ? strtol(optarg, NULL, 10) : -1;

		if (option == 'r' && value > 0 && value <= 1000000)
			options.nanoseconds = 1000000000L / value;
		else if (option == 's' && value >= 0)
			options.spares = (unsigned)value;
		else
			usage();
	}
	if (argc - optind < 3)
		usage();
	options.store = argv[optind];
	options.trees = argv[optind + 1];
	options.parts = argv + optind + 2;
	return options;
}

/* The parts of one version become the content of the empty staging tree. */
static int fill(const struct staging *staging, int version, char *const *parts, struct err *err)
{
	int to = open(staging->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = 0;

	if (to < 0)
		return err_errno(err, STATUS_FAILED, staging->path, "cannot open");
	for (; *parts && result == 0; parts++)
		result = tree_copy(version, *parts, to, *parts, err);
	close(to);
	return result;
}

static int publish_version(struct store *store, int version, const struct options *options, struct err *err)
{
	struct reclaim_rules rules = { .spares = options->spares };
	struct staging staging = STAGING_NONE;
	uint64_t number;
	int result = -1;

	if (store_lock(store, "storm publisher", false, err) < 0)
		return -1;
	if (store->storage->stage(store, STAGE_EMPTY, &staging, err) == 0 &&
	    fill(&staging, version, options->parts, err) == 0 &&
	    publish(store, &staging, NULL, &number, err) == 0)
		result = reclaim(store, &rules, NULL, NULL, err);
	staging_release(&staging);
	store_unlock(store);
	if (result == 0)
		result = store->storage->empty_trash(store, NULL, err);
	return result;
}

static void time_add(struct timespec *when, long nanoseconds)
{
	when->tv_nsec += nanoseconds;
	when->tv_sec += when->tv_nsec / 1000000000;
	when->tv_nsec %= 1000000000;
}

/* Waits until it is time for the next; where that has passed already, begins a new count from now. */
static void pace(struct timespec *next, long nanoseconds)
{
	struct timespec now;

	time_add(next, nanoseconds);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > next->tv_sec || (now.tv_sec == next->tv_sec && now.tv_nsec > next->tv_nsec)) {
		*next = now;
		return;
	}
	while (!stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

static int publish_until_stopped(struct store *store, const int versions[2], const struct options *options,
				 struct err *err)
{
	struct timespec begun, next;
	unsigned long count = 0;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	next = begun;
	while (!stop) {
		if (publish_version(store, versions[count % 2], options, err) < 0)
			return -1;
		if (count++ == 0) {
			puts("ready");
			fflush(stdout);
		}
		pace(&next, options->nanoseconds);
	}
	clock_gettime(CLOCK_MONOTONIC, &next);
	const double seconds = (double)(next.tv_sec - begun.tv_sec) +
			       (double)(next.tv_nsec - begun.tv_nsec) / 1e9;
	printf("%lu %.0f\n", count, (double)count / seconds);
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = options_read(argc, argv);
	struct sigaction action = { .sa_handler = on_signal };
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;
	int trees = open(options.trees, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int versions[2] = { openat(trees, "A", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			    openat(trees, "B", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

	err_program = "publisher";
	if (versions[0] < 0 || versions[1] < 0) {
		err_errno(&err, STATUS_USAGE, options.trees, "cannot open A and B");
		return err_print(&err);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (store_open(&store, options.store, STORE_CHANGE, false, &err) == 0)
		publish_until_stopped(&store, versions, &options, &err);
	store_close(&store);
	close(versions[0]);
	close(versions[1]);
	close(trees);
	return err_print(&err);
}

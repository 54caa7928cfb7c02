/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/hold.h"
#include "helper/base/alloc.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "tests/unit/scratch.h"

#define DAY (24 * 60 * 60)
#define NOT_REPORTED 99

struct seen {
	int why[32];
};

static void see(void *context, uint64_t number, enum reclaim_why why)
{
	struct seen *seen = context;

	assert_true(number < 32);
	assert_int_equal(seen->why[number], NOT_REPORTED); /* once each */
	seen->why[number] = (int)why;
}

static int run(struct store *store, const struct reclaim_rules *rules, struct seen *seen, struct err *err)
{
	*err = (struct err)ERR_NONE;
	for (size_t i = 0; i < 32; i++)
		seen->why[i] = NOT_REPORTED;
	return reclaim(store, rules, see, seen, err);
}

static bool there(const struct store *store, uint64_t number)
{
	char name[STORE_NAME_ROOM];

	snapshot_name(number, name);
	return store_has(store, name);
}

/* Gives a retired snapshot an age. */
static void set_retired(const struct store *store, uint64_t number, int64_t ago)
{
	struct err err = ERR_NONE;
	struct meta meta;

	assert_int_equal(meta_read(store, number, &meta, &err), 0);
	meta.retired = time(NULL) - ago;
	assert_int_equal(meta_write(store, number, &meta, &err), 0);
}

static void open_with(struct store *store, const char *path, unsigned snapshots)
{
	scratch_open(store, path);
	for (unsigned i = 0; i < snapshots; i++)
		scratch_publish(store, "x");
}

static void test_spares_are_the_last_retired(void **state)
{
	const struct reclaim_rules rules = { .spares = 2, .ttl_days = 0 };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 5);
	/* The order of retiring is not that of the numbers, after a rollback. */
	set_retired(&store, 1, 10);
	set_retired(&store, 2, 100);
	set_retired(&store, 3, 50);
	set_retired(&store, 4, 20);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_SPARE);
	assert_int_equal(seen.why[2], RECLAIM_GONE);
	assert_int_equal(seen.why[3], RECLAIM_GONE);
	assert_int_equal(seen.why[4], RECLAIM_SPARE);
	assert_int_equal(seen.why[5], RECLAIM_LATEST);
	assert_true(there(&store, 1) && !there(&store, 2) && !there(&store, 3) && there(&store, 4));
	assert_false(store_has(&store, STORE_PINS "/2"));
	assert_false(store_has(&store, STORE_PINS "/2" PIN_DEAD));
	assert_false(store_has(&store, STORE_META "/2"));
	store_close(&store);
	free(path);
}

/* P4: what latest names is protected, not the highest number. */
static void test_p4_latest_is_never_taken(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct reclaim_rules force = rules;
	struct store store;
	struct seen seen;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 3);
	assert_int_equal(publish_swap(&store, 1, &err), 0);
	force.force = 1;
	assert_int_equal(run(&store, &force, &seen, &err), -1);
	assert_non_null(strstr(err.text, "latest"));
	assert_int_equal(seen.why[1], RECLAIM_LATEST);
	assert_true(there(&store, 1) && !there(&store, 2) && !there(&store, 3));
	force.force = 3;
	assert_int_equal(run(&store, &force, &seen, &err), -1);
	assert_non_null(strstr(err.text, "no snapshot 3"));
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_true(there(&store, 1));
	store_close(&store);
	free(path);
}

/* P9: age counts from retiring, not from the tree's own time. */
static void test_p9_age_counts_from_retiring(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 7 };
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 5);
	assert_int_equal(utimensat(store.dir, "snapshots/1", old, 0), 0);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_YOUNG);
	set_retired(&store, 1, 7 * DAY - 60);
	set_retired(&store, 2, 7 * DAY + 60);
	set_retired(&store, 3, -1000 * DAY); /* the clock went back since */
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_YOUNG);
	assert_int_equal(seen.why[2], RECLAIM_GONE);
	assert_int_equal(seen.why[3], RECLAIM_YOUNG);
	assert_int_equal(seen.why[4], RECLAIM_YOUNG);
	store_close(&store);
	free(path);
}

static void test_p9_what_portage_made_is_retired_when_it_is_seen(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 7 };
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 1);
	assert_int_equal(mkdirat(store.dir, "snapshots/7", 0755), 0);
	assert_int_equal(utimensat(store.dir, "snapshots/7", old, 0), 0);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[7], RECLAIM_YOUNG);
	set_retired(&store, 7, 8 * DAY);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[7], RECLAIM_GONE);
	store_close(&store);
	free(path);
}

static void test_kept_is_never_taken(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0, .force = 1 };
	struct meta meta = { .retired = 1, .kept = true, .name = "good" };
	struct store store;
	struct seen seen;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store"), *damaged = scratch_path(*state, "store/" STORE_META "/2");

	open_with(&store, path, 4);
	assert_int_equal(meta_write(&store, 1, &meta, &err), 0);
	scratch_write(damaged, "is it kept?\n");
	assert_int_equal(run(&store, &rules, &seen, &err), -1);
	assert_int_equal(seen.why[1], RECLAIM_KEPT);
	assert_int_equal(seen.why[2], RECLAIM_DAMAGED); /* nobody can say; the others go all the same */
	assert_int_equal(seen.why[3], RECLAIM_GONE);
	assert_true(there(&store, 1) && there(&store, 2) && !there(&store, 3));
	store_close(&store);
	free(damaged);
	free(path);
}

static void test_p14_foreign_names_stay(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 2);
	assert_int_equal(mkdirat(store.dir, "snapshots/lost+found", 0700), 0);
	assert_int_equal(symlinkat("1", store.dir, "snapshots/9"), 0);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_GONE);
	assert_int_equal(seen.why[9], NOT_REPORTED);
	assert_true(store_has(&store, "snapshots/lost+found") && store_has(&store, "snapshots/9"));
	store_close(&store);
	free(path);
}

/* P19: a reader is known to the kernel, however long it takes, and its death is known at once. */
static void test_p19_pinned_until_the_reader_dies(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 }, dry = { .dry_run = true };
	struct reclaim_rules force = rules;
	struct store store;
	struct seen seen;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 4);
	pid_t one = scratch_reader(&store, 1, true), two = scratch_reader(&store, 2, true);
	assert_int_equal(reclaim_pinned(&store, 1, &err), 1);
	assert_int_equal(reclaim_pinned(&store, 3, &err), 0);
	assert_int_equal(run(&store, &dry, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_PINNED);
	assert_int_equal(seen.why[3], RECLAIM_GONE);
	assert_true(there(&store, 3));
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_PINNED);
	assert_int_equal(seen.why[2], RECLAIM_PINNED);
	assert_int_equal(seen.why[3], RECLAIM_GONE);
	assert_true(store_has(&store, STORE_PINS "/1") && there(&store, 1));
	scratch_end(one);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_GONE);
	assert_int_equal(seen.why[2], RECLAIM_PINNED);
	force.force = 2; /* overrules the pin */
	assert_int_equal(run(&store, &force, &seen, &err), 0);
	assert_int_equal(seen.why[2], RECLAIM_GONE);
	assert_false(there(&store, 2) || store_has(&store, STORE_PINS "/2"));
	scratch_end(two);
	store_close(&store);
	free(path);
}

static void test_force_overrules_spares_and_age(void **state)
{
	const struct reclaim_rules rules = { .spares = 1, .ttl_days = 7, .force = 3 };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 4);
	set_retired(&store, 1, 30);
	set_retired(&store, 2, 20);
	set_retired(&store, 3, 10);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[1], RECLAIM_YOUNG);
	assert_int_equal(seen.why[2], RECLAIM_SPARE);
	assert_int_equal(seen.why[3], RECLAIM_GONE);
	store_close(&store);
	free(path);
}

static void test_a_dry_run_changes_nothing(void **state)
{
	const struct reclaim_rules rules = { .dry_run = true };
	struct store store;
	struct seen seen;
	struct err err;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 1);
	assert_int_equal(mkdirat(store.dir, "snapshots/5", 0755), 0);
	assert_int_equal(mkdirat(store.dir, "snapshots/6", 0755), 0);
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	assert_int_equal(seen.why[5], RECLAIM_GONE);
	assert_false(store_has(&store, STORE_META "/5"));
	assert_true(there(&store, 5) && there(&store, 6));
	store_close(&store);
	free(path);
}

/* Not ours: no lease, so nobody can say whether it is pinned. It stays. */
static void test_a_pin_that_cannot_be_asked(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	char *path = scratch_path(*state, "store");
	struct store store;

	scratch_need_root();
	assert_int_equal(chmod(*state, 0755), 0);
	open_with(&store, path, 2);
	pid_t pid = fork();
	if (pid == 0) {
		struct seen seen;
		struct err err;
		/* Who owns no pin file. */
		if (setgid(4711) != 0 || setuid(4711) != 0)
			_exit(2);
		struct reclaim_rules dry = rules;
		dry.dry_run = true;
		if (run(&store, &dry, &seen, &err) != 0 || seen.why[1] != RECLAIM_UNKNOWN)
			_exit(3);
		if (reclaim_pinned(&store, 1, &err) != -1)
			_exit(4);
		_exit(there(&store, 1) ? 0 : 5);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(&store);
	free(path);
}

/* That it is ignored meanwhile is shown by the readers below, who make the kernel send it. */
static void test_sigio_is_ignored_and_its_handling_comes_back(void **state)
{
	struct store store;
	struct sigaction action;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 2);
	assert_int_equal(reclaim_pinned(&store, 1, &err), 0);
	assert_int_equal(sigaction(SIGIO, NULL, &action), 0);
	assert_true(action.sa_handler == SIG_DFL);
	store_close(&store);
	free(path);
}

/*
 * What a reader does at one point of the protocol. The program is linked with --wrap=renameat, so that the
 * hook runs just before and just after pins/1 becomes pins/1.dead; all that happens is the kernel's own
 * doing.
 */
static struct {
	void (*before)(void), (*after)(void);
	int store; /* a descriptor of STORE */
	int held;  /* what the reader got: a pin or -errno */
} at_rename;

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	const bool ours = strcmp(from, STORE_PINS "/1") == 0;

	if (ours && at_rename.before != NULL)
		at_rename.before();
	int result = __real_renameat(from_dir, from, to_dir, to);
	if (ours && at_rename.after != NULL)
		at_rename.after();
	return result;
}

static void reader_opens(void)
{
	at_rename.held = hold_take(at_rename.store, 1);
}

/* As the kernel does where we are stopped for longer than /proc/sys/fs/lease-break-time. */
static void lease_is_broken_by_force(void)
{
	char path[64], target[4096];

	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (strstr(target, "/" STORE_PINS "/1") != NULL)
			assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
	}
}

static void lease_is_broken_and_reader_opens(void)
{
	lease_is_broken_by_force();
	reader_opens();
}

/*
 * Reclaims snapshot 1 with these hooks; what became of it. The reader's pin, if it got one, is in
 * at_rename.held.
 */
static int reclaim_with(const char *path, void (*before)(void), void (*after)(void))
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct store store;
	struct seen seen;
	struct err err;

	open_with(&store, path, 2);
	at_rename.before = before;
	at_rename.after = after;
	at_rename.store = store.dir;
	assert_int_equal(run(&store, &rules, &seen, &err), 0);
	at_rename.before = at_rename.after = NULL;
	/*
	 * A reader that got a pin has its snapshot; the pin file has its name exactly while the snapshot is
	 * there.
	 */
	if (at_rename.held >= 0)
		assert_true(there(&store, 1));
	assert_int_equal(there(&store, 1), store_has(&store, STORE_PINS "/1"));
	assert_false(store_has(&store, STORE_PINS "/1" PIN_DEAD));
	hold_drop(at_rename.held);
	store_close(&store);
	return seen.why[1];
}

static void test_a_reader_opens_while_the_lease_is_held(void **state)
{
	char *path = scratch_path(*state, "store");

	assert_int_equal(reclaim_with(path, reader_opens, NULL), RECLAIM_PINNED); /* it made itself known */
	assert_int_equal(at_rename.held, -EAGAIN);
	free(path);
}

static void test_a_reader_opens_behind_the_rename(void **state)
{
	char *path = scratch_path(*state, "store");

	assert_int_equal(reclaim_with(path, NULL, reader_opens), RECLAIM_GONE);
	assert_int_equal(at_rename.held, -ENOENT);
	free(path);
}

static void test_a_reader_opens_when_the_lease_was_lost_before_the_rename(void **state)
{
	char *path = scratch_path(*state, "store");

	assert_int_equal(reclaim_with(path, lease_is_broken_and_reader_opens, NULL), RECLAIM_PINNED);
	assert_true(at_rename.held >= 0);
	free(path);
}

static void test_a_reader_opens_when_the_lease_was_lost_behind_the_rename(void **state)
{
	char *path = scratch_path(*state, "store");

	assert_int_equal(reclaim_with(path, NULL, lease_is_broken_and_reader_opens), RECLAIM_PINNED);
	assert_int_equal(at_rename.held, -ENOENT);
	free(path);
}

/* A crash at each point of the protocol, as the disk shows it. */
static void test_recovery_at_every_point(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	open_with(&store, path, 3);
	/* behind the rename */
	assert_int_equal(renameat(store.dir, STORE_PINS "/1", store.dir, STORE_PINS "/1" PIN_DEAD), 0);
	/* behind the snapshot's move */
	assert_int_equal(renameat(store.dir, STORE_PINS "/2", store.dir, STORE_PINS "/2" PIN_DEAD), 0);
	assert_int_equal(store.storage->reclaim(&store, 2, &err), 0);
	assert_int_equal(reclaim_recover(&store, &err), 0);
	assert_true(store_has(&store, STORE_PINS "/1"));
	assert_false(store_has(&store, STORE_PINS "/2"));
	assert_false(store_has(&store, STORE_PINS "/2" PIN_DEAD));
	/* both names: one was made by hand */
	char *dead = scratch_path(path, STORE_PINS "/1" PIN_DEAD);
	scratch_write(dead, "");
	assert_int_equal(reclaim_recover(&store, &err), 0);
	assert_true(store_has(&store, STORE_PINS "/1"));
	assert_false(scratch_exists(dead));
	/* a meta file alone, and pin files of numbers that were skipped or taken by Portage */
	const struct reclaim_rules rules = { .spares = 9, .ttl_days = 9 };
	assert_true(store_has(&store, STORE_META "/2"));
	int held = openat(store.dir, STORE_PINS "/5", O_RDONLY | O_CLOEXEC);
	assert_int_equal(store_write_file(&store, STORE_HIGH_WATER, "9\n", 0644, &err), 0);
	assert_int_equal(reclaim(&store, &rules, NULL, NULL, &err), 0);
	assert_false(store_has(&store, STORE_META "/2"));
	assert_false(store_has(&store, STORE_PINS "/4"));
	assert_true(store_has(&store, STORE_PINS "/5")); /* somebody has it open */
	assert_true(store_has(&store, STORE_PINS "/10"));
	close(held);
	free(dead);
	store_close(&store);
	free(path);
}

/* kill -9 while reclaiming: nothing is ever half gone under its number (P21), and pins go on working. */
static void test_p21_killed_while_reclaiming(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	char *path = scratch_path(*state, "store");
	struct store store;

	for (unsigned round = 0; round < 30; round++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct err err = ERR_NONE;
			scratch_open(&store, path);
			for (;;) {
				scratch_publish(&store, "whole");
				reclaim(&store, &rules, NULL, NULL, &err);
			}
		}
		const struct timespec pause = { .tv_nsec = 2000000L + round * 411000L };
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		scratch_open(&store, path);
		struct numbers numbers;
		struct err err = ERR_NONE;
		assert_int_equal(store_numbers(&store, &numbers, NULL, NULL, &err), 0);
		for (size_t i = 0; i < numbers.count; i++) {
			char *file = scratch_path(path, "snapshots/%ju/version", (uintmax_t)numbers.list[i]);
			assert_true(scratch_exists(file));
			free(file);
			int fd = hold_take(store.dir, numbers.list[i]);
			assert_true(fd >= 0);
			hold_drop(fd);
		}
		numbers_release(&numbers);
		store_close(&store);
	}
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_spares_are_the_last_retired),
		scratch_test(test_p4_latest_is_never_taken),
		scratch_test(test_p9_age_counts_from_retiring),
		scratch_test(test_p9_what_portage_made_is_retired_when_it_is_seen),
		scratch_test(test_kept_is_never_taken),
		scratch_test(test_p14_foreign_names_stay),
		scratch_test(test_p19_pinned_until_the_reader_dies),
		scratch_test(test_force_overrules_spares_and_age),
		scratch_test(test_a_dry_run_changes_nothing),
		scratch_test(test_a_pin_that_cannot_be_asked),
		scratch_test(test_sigio_is_ignored_and_its_handling_comes_back),
		scratch_test(test_a_reader_opens_while_the_lease_is_held),
		scratch_test(test_a_reader_opens_behind_the_rename),
		scratch_test(test_a_reader_opens_when_the_lease_was_lost_before_the_rename),
		scratch_test(test_a_reader_opens_when_the_lease_was_lost_behind_the_rename),
		scratch_test(test_recovery_at_every_point),
		scratch_test(test_p21_killed_while_reclaiming),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "tests/unit/scratch.h"

static uint64_t latest_of(const struct store *store)
{
	struct err err = ERR_NONE;
	uint64_t number;

	assert_int_equal(store_latest(store, &number, &err), 0);
	return number;
}

static void assert_version(const struct store *store, const char *wanted)
{
	char *path = alloc_printf("%s/latest/version", store->path), *text = scratch_read(path);

	assert_string_equal(text, wanted);
	free(text);
	free(path);
}

static void test_publish_swaps_and_retires(void **state)
{
	const int64_t before = time(NULL);
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta;
	char *path = scratch_path(*state, "store"), *link = scratch_path(*state, "store/latest");
	char target[32] = "";

	scratch_open(&store, path);
	store.durable = true;
	assert_int_equal(latest_of(&store), 0);
	assert_int_equal(scratch_publish(&store, "one"), 1);
	assert_int_equal(scratch_publish(&store, "two"), 2);
	assert_true(readlink(link, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "snapshots/2");
	assert_version(&store, "two");
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_true(meta.retired >= before);
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_true(meta.published >= before && meta.retired == 0);
	assert_false(store_has(&store, STORE_OURS "/latest.new"));
	assert_true(store_has(&store, STORE_PINS "/66"));
	store_close(&store);
	free(link);
	free(path);
}

/* Two writers, one of which knows no lock: the number that Portage took is passed over. */
static void test_p13_a_number_that_portage_takes(void **state)
{
	struct staging staging = STAGING_NONE;
	struct store store;
	struct err err = ERR_NONE;
	uint64_t number;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	assert_int_equal(mkdirat(store.dir, "snapshots/1", 0755), 0);
	assert_int_equal(publish(&store, &staging, NULL, &number, &err), 0);
	assert_int_equal(number, 2);
	assert_int_equal(latest_of(&store), 2);
	store_close(&store);
	staging_release(&staging);
	free(path);
}

static void test_a_snapshot_that_never_was_latest(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct staging staging = STAGING_NONE;
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta;
	uint64_t number;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	scratch_publish(&store, "one");
	/* As if we died between snapshots/2 and the swap. */
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(store.storage->publish(&store, &staging, number, &err), 0);
	store_close(&store);
	scratch_open(&store, path);
	assert_int_equal(latest_of(&store), 1);
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_true(meta.retired > 0);
	assert_int_equal(reclaim(&store, &rules, NULL, NULL, &err), 0);
	assert_false(store_has(&store, "snapshots/2"));
	assert_true(store_has(&store, "snapshots/1"));
	assert_int_equal(scratch_publish(&store, "three"), 3);
	store_close(&store);
	staging_release(&staging);
	free(path);
}

static void test_swap_needs_a_snapshot(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	scratch_publish(&store, "one");
	assert_int_equal(publish_swap(&store, 7, &err), -1);
	assert_int_equal(latest_of(&store), 1);
	err_clear(&err);
	assert_int_equal(symlinkat("1", store.dir, "snapshots/8"), 0);
	assert_int_equal(publish_swap(&store, 8, &err), -1);
	assert_int_equal(latest_of(&store), 1);
	err_clear(&err);
	scratch_publish(&store, "nine");
	assert_int_equal(publish_swap(&store, 1, &err), 0); /* back */
	assert_int_equal(latest_of(&store), 1);
	assert_version(&store, "one");
	store_close(&store);
	free(path);
}

/* Writes into `name` until the file system is full. */
static void fill(const char *name)
{
	char block[4096] = { 1 };
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* A full disk: a failed publish leaves latest alone, and gc works on it. */
static void test_a_full_disk(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct staging staging = STAGING_NONE;
	struct store store;
	struct err err = ERR_NONE;
	uint64_t number;
	char *disk = scratch_path(*state, "disk"), *path = scratch_path(*state, "disk/store");
	char *filler = scratch_path(*state, "disk/filler");

	scratch_mount(disk, "size=512k,mode=0755");
	scratch_open(&store, path);
	scratch_publish(&store, "one");
	scratch_publish(&store, "two");
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	fill(filler);
	assert_int_equal(publish(&store, &staging, NULL, &number, &err), -1);
	assert_int_equal(err.status, STATUS_FAILED);
	assert_int_equal(latest_of(&store), 2);
	store_close(&store);
	err_clear(&err);
	scratch_open(&store, path); /* the lock, on a full disk */
	assert_int_equal(reclaim(&store, &rules, NULL, NULL, &err), 0);
	assert_false(store_has(&store, "snapshots/1"));
	assert_true(store_has(&store, "snapshots/2"));
	assert_int_equal(unlink(filler), 0);
	assert_true(scratch_publish(&store, "three") > 2);
	store_close(&store);
	assert_int_equal(umount(disk), 0);
	staging_release(&staging);
	free(filler);
	free(path);
	free(disk);
}

/* kill -9 while publishing: latest names a whole snapshot, always, and the next one works (P21). */
static void test_p21_killed_while_publishing(void **state)
{
	char *path = scratch_path(*state, "store");
	struct store store;

	scratch_open(&store, path);
	scratch_publish(&store, "whole");
	store_close(&store);
	for (unsigned round = 0; round < 40; round++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			scratch_open(&store, path);
			for (;;)
				scratch_publish(&store, "whole");
		}
		const struct timespec pause = { .tv_nsec = 1000000L + round * 317000L };
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		char *version = scratch_path(path, "latest/version"), *text = scratch_read(version);
		assert_non_null(text);
		assert_string_equal(text, "whole");
		free(text);
		free(version);
		scratch_open(&store, path);
		const uint64_t number = scratch_publish(&store, "whole");
		assert_int_equal(latest_of(&store), number);
		store_close(&store);
	}
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_publish_swaps_and_retires),
		scratch_test(test_p13_a_number_that_portage_takes),
		scratch_test(test_a_snapshot_that_never_was_latest),
		scratch_test(test_swap_needs_a_snapshot),
		scratch_test(test_a_full_disk),
		scratch_test(test_p21_killed_while_publishing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}

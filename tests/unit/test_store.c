/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/snapshot/storage.h"
#include "helper/store/lock.h"
#include "tests/unit/scratch.h"

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static mode_t mode_below(const struct store *store, const char *name)
{
	char *path = alloc_printf("%s/%s", store->path, name);
	mode_t mode = mode_of(path);

	free(path);
	return mode;
}

static void test_layout_is_made_whatever_the_umask(void **state)
{
	struct store store;
	char *path = scratch_path(*state, "a/b/store");
	const mode_t old = umask(077);

	scratch_open(&store, path);
	umask(old);
	assert_string_equal(store.path, path);
	assert_int_equal(mode_of(path), 0755);
	assert_int_equal(mode_below(&store, STORE_SNAPSHOTS), 0755);
	assert_int_equal(mode_below(&store, STORE_PINS), 0755);
	assert_int_equal(mode_below(&store, STORE_TRASH), 0700);
	assert_int_equal(mode_below(&store, STORE_LOCK), 0600);
	assert_int_equal(mode_below(&store, STORE_PINS "/1"), 0644);
	assert_int_equal(mode_below(&store, STORE_PINS "/64"), 0644);
	assert_false(store_has(&store, STORE_PINS "/65"));
	store_close(&store);
	free(path);
}

static void test_look_makes_nothing(void **state)
{
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");
	struct numbers numbers;
	uint64_t latest = 7;

	assert_int_equal(store_open(&store, path, STORE_LOOK, false, &err), -1);
	assert_int_equal(store.dir, -1);
	err_clear(&err);
	scratch_mkdir(path);
	assert_int_equal(store_open(&store, path, STORE_LOOK, false, &err), 0);
	assert_int_equal(store_latest(&store, &latest, &err), 0);
	assert_int_equal(latest, 0);
	assert_int_equal(store_numbers(&store, &numbers, NULL, NULL, &err), 0);
	assert_int_equal(numbers.count, 0);
	assert_false(store_has(&store, STORE_OURS));
	store_close(&store);
	free(path);
}

static void refuse(const char *path)
{
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;

	assert_int_equal(store_open(&store, path, STORE_CHANGE, false, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_int_equal(store.dir, -1);
}

static void test_untrusted_stores_are_refused(void **state)
{
	char *path = scratch_path(*state, "store"), *snapshots = scratch_path(*state, "store/snapshots");
	char *ours = scratch_path(*state, "store/.rcu-repo"), *other = scratch_path(*state, "other");

	refuse("relative/path");
	scratch_mkdir(snapshots);
	assert_int_equal(chmod(path, 0777), 0);
	refuse(path);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(snapshots, 0777), 0);
	refuse(path);
	assert_int_equal(chmod(snapshots, 0755), 0);
	scratch_mkdir(other);
	assert_int_equal(symlink(other, ours), 0);
	refuse(path);
	free(path);
	free(snapshots);
	free(ours);
	free(other);
}

/* P8: a store of a sync-user. What root makes in it is theirs, leases need that. */
static void test_p8_what_root_makes_belongs_to_the_stores_owner(void **state)
{
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;
	struct stat st;
	char *path = scratch_path(*state, "store");

	scratch_need_root();
	scratch_mkdir(path);
	assert_int_equal(chown(path, 4711, 4712), 0);
	refuse(path);
	store.sync_user = 4711;
	assert_int_equal(store_open(&store, path, STORE_CHANGE, false, &err), 0);
	assert_int_equal(store_lock(&store, "test", true, &err), 0);
	assert_int_equal(scratch_publish(&store, "x"), 1);
	const char *const names[] = { STORE_PINS,      STORE_PINS "/3", STORE_LOCK,
				      STORE_META "/1", STORE_LATEST,    STORE_HIGH_WATER };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(fstatat(store.dir, names[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_uid, 4711);
		assert_int_equal(st.st_gid, 4712);
	}
	store_close(&store);
	free(path);
}

static void count_foreign(void *context, const char *name)
{
	(void)name;
	++*(int *)context;
}

/* P14: anything in snapshots/ that is no number is reported, and is in nobody's way. */
static void test_p14_foreign_names(void **state)
{
	char long_name[256];
	const char *const foreign[] = { "lost+found", "01", "-1",    "1 ", "a\nb",
					" ",          "0",  "1.old", "+5", long_name };
	struct store store;
	struct err err = ERR_NONE;
	struct numbers numbers;
	int count = 0;
	char *path = scratch_path(*state, "store");

	memset(long_name, '9', 255);
	long_name[255] = '\0';
	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		char *name = alloc_printf(STORE_SNAPSHOTS "/%s", foreign[i]);
		assert_int_equal(mkdirat(store.dir, name, 0755), 0);
		free(name);
	}
	assert_int_equal(scratch_publish(&store, "x"), 1);
	assert_int_equal(mkdirat(store.dir, STORE_SNAPSHOTS "/12", 0755), 0);
	assert_int_equal(mkdirat(store.dir, STORE_SNAPSHOTS "/3", 0755), 0);
	char *file = scratch_path(path, STORE_SNAPSHOTS "/40");
	scratch_write(file, "a file");
	assert_int_equal(store_numbers(&store, &numbers, count_foreign, &count, &err), 0);
	assert_int_equal(count, 11);
	assert_int_equal(numbers.count, 3);
	assert_int_equal(numbers.list[0], 1);
	assert_int_equal(numbers.list[1], 3);
	assert_int_equal(numbers.list[2], 12);
	numbers_release(&numbers);
	assert_int_equal(scratch_publish(&store, "y"), 41); /* the file is in the way of a 40 */
	store_close(&store);
	free(file);
	free(path);
}

static void test_a_number_is_never_used_again(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	uint64_t number;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 1); /* and we "die" before anything is named so */
	assert_int_equal(scratch_publish(&store, "x"), 2);
	assert_int_equal(scratch_publish(&store, "y"), 3);
	assert_int_equal(store.storage->reclaim(&store, 2, &err), 0);
	/* Portage has no high-water mark; ours counts all the same. */
	assert_int_equal(renameat(store.dir, STORE_SNAPSHOTS "/3", store.dir, STORE_SNAPSHOTS "/9"), 0);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 10);
	assert_int_equal(store_write_file(&store, STORE_HIGH_WATER, "nonsense", 0644, &err), 0);
	assert_int_equal(store_next_number(&store, &number, &err), -1);
	store_close(&store);
	free(path);
}

/* high-water as another boot finds it. */
static void reboot(const struct store *store)
{
	char *text;
	struct err err = ERR_NONE;

	assert_int_equal(store_read_file(store, STORE_HIGH_WATER, &text, &err), 0);
	char *blank = strchr(text, ' ');
	assert_non_null(blank);
	blank[1] = blank[1] == '0' ? '1' : '0';
	char *path = alloc_printf("%s/" STORE_HIGH_WATER, store->path);
	scratch_write(path, text);
	free(path);
	free(text);
}

/* What is not flushed may be lost with the boot, and so the numbers that it said were given. */
static void test_reserved_numbers(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	uint64_t number;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	for (uint64_t i = 1; i <= 70; i++) {
		assert_int_equal(store_next_number(&store, &number, &err), 0);
		assert_int_equal(number, i);
	}
	/* 64 were reserved at 1, and again at 65. */
	reboot(&store);
	assert_int_equal(store_highest(&store, &number, &err), 0);
	assert_int_equal(number, 128);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 129);
	/* A durable store gives out one after the other, whatever happens, and also beside one that is not. */
	store.durable = true;
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 130);
	reboot(&store);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 131);
	store.durable = false;
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 132);
	/* As it was written by hand. */
	assert_int_equal(store_write_file(&store, STORE_HIGH_WATER, "200\n", 0644, &err), 0);
	assert_int_equal(store_next_number(&store, &number, &err), 0);
	assert_int_equal(number, 201);
	store_close(&store);
	free(path);
}

static void test_no_pin_for_a_number_that_is_gone(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(scratch_publish(&store, "x"), 1);
	assert_int_equal(scratch_publish(&store, "y"), 2);
	assert_int_equal(unlinkat(store.dir, STORE_PINS "/1", 0), 0);
	assert_int_equal(store.storage->reclaim(&store, 1, &err), 0);
	assert_int_equal(unlinkat(store.dir, STORE_PINS "/2", 0), 0);
	assert_int_equal(store_make_pins(&store, &err), 0);
	assert_false(store_has(&store, STORE_PINS "/1"));
	assert_true(store_has(&store, STORE_PINS "/2")); /* it is there: Portage may have made it */
	assert_true(store_has(&store, STORE_PINS "/66"));
	/* Killed while it made one: with a name that nobody takes for a pin, and that is in nobody's way. */
	char *left = scratch_path(path, STORE_OURS "/pin.new");
	scratch_write(left, "");
	assert_int_equal(chmod(left, 0600), 0);
	assert_int_equal(unlinkat(store.dir, STORE_PINS "/66", 0), 0);
	assert_int_equal(store_make_pins(&store, &err), 0);
	assert_int_equal(mode_below(&store, STORE_PINS "/66"), 0644);
	assert_false(scratch_exists(left));
	free(left);
	/* Renamed away, and perhaps held: a second one would hide the first. */
	assert_int_equal(renameat(store.dir, STORE_PINS "/2", store.dir, STORE_PINS "/2" PIN_DEAD), 0);
	assert_int_equal(store_make_pins(&store, &err), 0);
	assert_false(store_has(&store, STORE_PINS "/2"));
	store_close(&store);
	free(path);
}

static void test_latest_of_another_form_is_an_error(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	uint64_t number;
	const char *const targets[] = { "snapshots/x", "/snapshots/1", "snapshots/1/", "snapshots/01",
					"snapshots/1000000000000000000000000000000000000000000000000" };
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		assert_int_equal(symlinkat(targets[i], store.dir, STORE_LATEST), 0);
		assert_int_equal(store_latest(&store, &number, &err), -1);
		assert_int_equal(err.status, STATUS_FAILED);
		err_clear(&err);
		assert_int_equal(unlinkat(store.dir, STORE_LATEST, 0), 0);
	}
	assert_int_equal(mkdirat(store.dir, STORE_LATEST, 0755), 0);
	assert_int_equal(store_latest(&store, &number, &err), -1);
	store_close(&store);
	free(path);
}

static void test_small_files_are_whole(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *text, *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(store_read_file(&store, STORE_OURS "/x", &text, &err), 0);
	assert_null(text);
	assert_int_equal(symlinkat("/etc/passwd", store.dir, STORE_OURS "/x.new"), 0); /* left by whomever */
	assert_int_equal(store_write_file(&store, STORE_OURS "/x", "one\n", 0640, &err), 0);
	assert_int_equal(mode_below(&store, STORE_OURS "/x"), 0640);
	assert_int_equal(store_read_file(&store, STORE_OURS "/x", &text, &err), 0);
	assert_string_equal(text, "one\n");
	free(text);
	assert_false(store_has(&store, STORE_OURS "/x.new"));
	assert_int_equal(store_write_file(&store, "missing/x", "one\n", 0640, &err), -1);
	err_clear(&err);
	assert_int_equal(mkfifoat(store.dir, STORE_OURS "/fifo", 0644), 0);
	assert_int_equal(store_read_file(&store, STORE_OURS "/fifo", &text, &err), 1);
	err_clear(&err);
	assert_int_equal(symlinkat("/etc/passwd", store.dir, STORE_OURS "/link"), 0);
	assert_int_equal(store_read_file(&store, STORE_OURS "/link", &text, &err), 1);
	store_close(&store);
	free(path);
}

/* P6: one store, one location. */
static void test_p6_a_store_belongs_to_one_location(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store"), *target = scratch_path(*state, "store/latest");
	char *first = scratch_path(*state, "first\n\n"), *second = scratch_path(*state, "second");
	char *alias = scratch_path(*state, "./first\n\n");

	scratch_open(&store, path);
	assert_int_equal(store_claim(&store, first, &err), 0);
	/* Never led here: its first sync failed. */
	assert_int_equal(store_claim(&store, second, &err), 0);
	assert_int_equal(store_claim(&store, first, &err), 0);
	assert_int_equal(scratch_publish(&store, "x"), 1);
	assert_int_equal(symlink(target, first), 0);
	assert_int_equal(store_claim(&store, first, &err), 0);
	assert_int_equal(store_claim(&store, alias, &err), 0);
	assert_int_equal(store_claim(&store, second, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_non_null(strstr(err.text, "first\\x0A\\x0A"));
	err_clear(&err);
	/* It leads elsewhere now: the other one may have it. */
	assert_int_equal(unlink(first), 0);
	assert_int_equal(store_claim(&store, second, &err), 0);
	store_close(&store);
	free(path);
	free(target);
	free(first);
	free(second);
	free(alias);
}

static void test_names_of_any_bytes(void **state)
{
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;
	char name[256];

	memset(name, 'n', 255);
	memcpy(name, " \n\t\"'\\\377%s", 10);
	name[255] = '\0';
	char *path = scratch_path(*state, "%s/%s", name, name);
	scratch_open(&store, path);
	assert_int_equal(scratch_publish(&store, "x"), 1);
	assert_int_equal(store_claim(&store, path, &err), 0);
	assert_int_equal(store_claim(&store, path, &err), 0);
	char *snapshot = store_snapshot_path(&store, 1);
	assert_true(scratch_exists(snapshot));
	free(snapshot);
	store_close(&store);
	free(path);
}

static void test_a_missing_part_of_the_way_is_made(void **state)
{
	struct store store;
	char *odd = scratch_path(*state, "a//b/./c//"), *link = scratch_path(*state, "link");
	char *real = scratch_path(*state, "a/b/c"), *via = scratch_path(*state, "link/d/e");

	scratch_open(&store, odd);
	assert_string_equal(store.path, real);
	store_close(&store);
	assert_int_equal(symlink(real, link), 0);
	scratch_open(&store, via);
	char *canonical = scratch_path(real, "d/e");
	assert_string_equal(store.path, canonical);
	store_close(&store);
	free(canonical);
	free(odd);
	free(link);
	free(real);
	free(via);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_layout_is_made_whatever_the_umask),
		scratch_test(test_look_makes_nothing),
		scratch_test(test_untrusted_stores_are_refused),
		scratch_test(test_p8_what_root_makes_belongs_to_the_stores_owner),
		scratch_test(test_p14_foreign_names),
		scratch_test(test_a_number_is_never_used_again),
		scratch_test(test_reserved_numbers),
		scratch_test(test_no_pin_for_a_number_that_is_gone),
		scratch_test(test_latest_of_another_form_is_an_error),
		scratch_test(test_small_files_are_whole),
		scratch_test(test_p6_a_store_belongs_to_one_location),
		scratch_test(test_names_of_any_bytes),
		scratch_test(test_a_missing_part_of_the_way_is_made),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

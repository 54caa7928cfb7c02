/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "helper/store/meta.h"
#include "helper/store/publish.h"
#include "tests/unit/scratch.h"

static void test_there_and_back(void **state)
{
	struct meta meta = {
		.published = 1700000000, .retired = 1700000001, .kept = true, .name = "before the move"
	};
	struct store store;
	struct err err = ERR_NONE;
	struct meta back;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(meta_read(&store, 3, &back, &err), 0); /* none: Portage made it */
	assert_true(back.published == 0 && back.retired == 0 && !back.kept && back.name[0] == '\0');
	assert_int_equal(meta_write(&store, 3, &meta, &err), 0);
	assert_int_equal(meta_read(&store, 3, &back, &err), 0);
	assert_int_equal(back.published, meta.published);
	assert_int_equal(back.retired, meta.retired);
	assert_true(back.kept);
	assert_string_equal(back.name, meta.name);
	assert_int_equal(meta_remove(&store, 3, &err), 0);
	assert_int_equal(meta_remove(&store, 3, &err), 0);
	store_close(&store);
	free(path);
}

static void test_a_name_that_would_not_come_back_is_refused(void **state)
{
	const char *const bad[] = { "a\nkept = no", " x", "x ", "a ; b", "; x" };
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct meta meta = { .kept = true };
		memcpy(meta.name, bad[i], strlen(bad[i]));
		assert_int_equal(meta_write(&store, 1, &meta, &err), -1);
		assert_int_equal(err.status, STATUS_USAGE);
		err_clear(&err);
	}
	store_close(&store);
	free(path);
}

static void test_damage_is_an_error_and_an_unknown_key_is_not(void **state)
{
	const char *const bad[] = { "published = x\n", "retired = 12y\n", "nonsense\n",
				    "published = 99999999999999999999999\n" };
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta;
	char *path = scratch_path(*state, "store"), *file = scratch_path(*state, "store/" STORE_META "/1");

	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		scratch_write(file, bad[i]);
		assert_int_equal(meta_read(&store, 1, &meta, &err), 1);
		err_clear(&err);
	}
	scratch_write(file, "published = 5\nlater = 7\n");
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_int_equal(meta.published, 5);
	store_close(&store);
	free(file);
	free(path);
}

/* P9: age counts from retiring, and a time that was not seen is now: never earlier. */
static void test_p9_settle(void **state)
{
	const int64_t before = time(NULL);
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta, future = { .published = before + 100000 };
	char *path = scratch_path(*state, "store"), *portage = scratch_path(*state, "store/snapshots/2");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	scratch_mkdir(portage); /* Portage made it, and it is not latest any more */
	assert_int_equal(meta_settle(&store, &err), 0);
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_true(meta.published == 0 && meta.retired >= before);
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_true(meta.published >= before && meta.retired == 0);
	/* Published by a clock that was set back since. */
	assert_int_equal(meta_write(&store, 2, &future, &err), 0);
	assert_int_equal(meta_settle(&store, &err), 0);
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_int_equal(meta.retired, before + 100000);
	/* What is latest is not retired (a rollback). */
	meta.retired = before;
	assert_int_equal(meta_write(&store, 1, &meta, &err), 0);
	assert_int_equal(meta_settle(&store, &err), 0);
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_int_equal(meta.retired, 0);
	store_close(&store);
	free(portage);
	free(path);
}

/* Sets what settling goes by. */
static void write_meta(const struct store *store, uint64_t number, uint64_t before, int64_t retired)
{
	const struct meta meta = { .published = 1700000000, .retired = retired, .before = before };
	struct err err = ERR_NONE;

	assert_int_equal(meta_write(store, number, &meta, &err), 0);
}

/* Settles, and says of which snapshots it is written that they were never the latest: a bit each. */
static unsigned settled_unpublished(struct store *store)
{
	struct err err = ERR_NONE;
	unsigned bits = 0;
	struct meta meta;

	assert_int_equal(meta_settle(store, &err), 0);
	for (unsigned number = 1; number <= 3; number++) {
		assert_int_equal(meta_read(store, number, &meta, &err), 0);
		assert_int_equal(meta.retired == 0, number == 2);
		bits |= (unsigned)meta.unpublished << number;
	}
	return bits;
}

static void test_what_was_never_the_latest(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store"), *third = scratch_path(*state, "store/snapshots/3");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	scratch_publish(&store, "y");
	scratch_mkdir(third);
	/* publish() died before its swap. */
	write_meta(&store, 3, 2, 0);
	assert_int_equal(settled_unpublished(&store), 1U << 3);
	/* It stays so. */
	assert_int_equal(settled_unpublished(&store), 1U << 3);
	/* Behind the swap: what is latest was published upon the first. */
	write_meta(&store, 3, 1, 5);
	write_meta(&store, 2, 1, 0);
	write_meta(&store, 1, 0, 0);
	assert_int_equal(settled_unpublished(&store), 0);
	/* A rollback from 3 to 2 died behind its swap. */
	write_meta(&store, 3, 2, 0);
	write_meta(&store, 2, 1, 6);
	assert_int_equal(settled_unpublished(&store), 0);
	/* Portage made both: nothing is said of it. */
	assert_int_equal(meta_remove(&store, 2, &err), 0);
	assert_int_equal(meta_remove(&store, 3, &err), 0);
	assert_int_equal(settled_unpublished(&store), 0);
	/* Ours, upon Portage's. */
	write_meta(&store, 3, 2, 0);
	assert_int_equal(settled_unpublished(&store), 1U << 3);
	/* And then it is published, by a rollback to it. */
	assert_int_equal(publish_swap(&store, 3, &err), PUBLISH_DONE);
	assert_int_equal(meta_settle(&store, &err), 0);
	struct meta meta;
	assert_int_equal(meta_read(&store, 3, &meta, &err), 0);
	assert_true(!meta.unpublished && meta.retired == 0);
	store_close(&store);
	free(third);
	free(path);
}

/* The clock was ahead for a while: what it retired is not young for decades. */
static void test_p9_a_retired_time_in_the_future(void **state)
{
	const int64_t before = time(NULL), decades = (int64_t)30 * 365 * 24 * 3600;
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta = { .published = before + decades, .retired = before + decades };
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	scratch_publish(&store, "y");
	scratch_publish(&store, "z");
	assert_int_equal(meta_write(&store, 1, &meta, &err), 0);
	/* The latest is from the future, too: which clock is wrong cannot be told, and nothing gets older. */
	meta.retired = 0;
	assert_int_equal(meta_write(&store, 3, &meta, &err), 0);
	assert_int_equal(meta_settle(&store, &err), 0);
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_int_equal(meta.retired, before + decades);
	/* The latest was published by the clock that we have: it counts from now. */
	meta = (struct meta){ .published = before };
	assert_int_equal(meta_write(&store, 3, &meta, &err), 0);
	assert_int_equal(meta_settle(&store, &err), 0);
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_int_equal(meta.published, before + decades);
	assert_in_range(meta.retired, before, time(NULL));
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_in_range(meta.retired, before, time(NULL));
	assert_int_equal(meta_read(&store, 3, &meta, &err), 0);
	assert_int_equal(meta.retired, 0);
	store_close(&store);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_there_and_back),
		scratch_test(test_a_name_that_would_not_come_back_is_refused),
		scratch_test(test_damage_is_an_error_and_an_unknown_key_is_not),
		scratch_test(test_p9_settle),
		scratch_test(test_what_was_never_the_latest),
		scratch_test(test_p9_a_retired_time_in_the_future),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("meta", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper/tree/changes.h"

static void add(struct changes *changes, const char *path)
{
	changes_add(changes, path, strlen(path));
}

static void test_sort(void **state)
{
	static const char *const in[] = { "b", "a/c", "a-b", "a", "./a/c", "a/b/", "./", "a/b/c", "A" };
	static const char *const want[] = { "", "A", "a", "a/b", "a/b/c", "a/c", "a-b", "b" };
	struct changes changes = CHANGES_NONE;

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		add(&changes, in[i]);
	changes_sort(&changes);
	assert_int_equal(changes.count, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < changes.count; i++)
		assert_string_equal(changes.paths[i], want[i]);
	changes_release(&changes);
}

static void test_unknown(void **state)
{
	static const char *const bad[] = { "/a", "a//b", "../a", "a/../b", "a/..", "a/./b", "//" };
	struct changes changes = CHANGES_NONE;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add(&changes, "good");
		add(&changes, bad[i]);
		assert_true(changes.unknown);
		add(&changes, "good");
		assert_int_equal(changes.count, 0);
		changes_release(&changes);
	}
	changes_add(&changes, "a\0b", 3);
	assert_true(changes.unknown);
	changes_release(&changes);
	add(&changes, "..a/b..");
	assert_false(changes.unknown);
	changes_release(&changes);
}

static void test_merge(void **state)
{
	struct changes into = CHANGES_NONE, from = CHANGES_NONE;

	(void)state;
	add(&into, "a");
	add(&from, "a");
	add(&from, "b");
	changes_merge(&into, &from);
	changes_sort(&into);
	assert_int_equal(into.count, 2);
	changes_set_unknown(&from);
	changes_merge(&into, &from);
	assert_true(into.unknown);
	changes_release(&into);
	changes_release(&from);
}

/* All that a path is in, once, whatever the order: a chain of directories must not cost the square of its length. */
static void test_directories(void **state)
{
	static const char *const given[] = {
		"ab/x", "a/b/c/d", "a/b", "a/b-c/e", "a/bc/f", "a/b/g", "h", "a"
	};
	static const char *const wanted[] = { "",      "a",     "a/b",     "a/b/c", "a/b/c/d",
					      "a/b/g", "a/b-c", "a/b-c/e", "a/bc",  "a/bc/f",
					      "ab",    "ab/x",  "h" };
	struct changes changes = CHANGES_NONE, dirs = CHANGES_NONE;
	char deep[601] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		add(&changes, given[i]);
	changes_directories(&changes, &dirs);
	assert_int_equal(dirs.count, sizeof(wanted) / sizeof(wanted[0]));
	for (size_t i = 0; i < dirs.count; i++)
		assert_string_equal(dirs.paths[i], wanted[i]);
	changes_release(&dirs);
	changes_release(&changes);
	for (size_t i = 0; i < 300; i++) {
		memcpy(deep + (i == 0 ? 0 : i * 2 - 1), i == 0 ? "d" : "/d", i == 0 ? 2 : 3);
		add(&changes, deep);
	}
	changes_sort(&changes);
	changes_directories(&changes, &dirs);
	assert_int_equal(dirs.count, 301);
	assert_true(dirs.room < 1000);
	changes_release(&dirs);
	changes_release(&changes);
}

static void test_below(void **state)
{
	(void)state;
	assert_true(path_below("a/b", "a"));
	assert_true(path_below("a", ""));
	assert_false(path_below("", ""));
	assert_false(path_below("a", "a"));
	assert_false(path_below("ab/c", "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort),  cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_merge), cmocka_unit_test(test_directories),
		cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

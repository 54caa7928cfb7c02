/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/names.h"

static bool parses(const char *text, uint64_t *number)
{
	return snapshot_number_parse(text, strlen(text), number);
}

static void test_numbers(void **state)
{
	static const char *const foreign[] = { "",
					       "0",
					       "01",
					       "-1",
					       "+1",
					       " 1",
					       "1 ",
					       "1a",
					       "a",
					       "1.5",
					       "１",
					       "1\n",
					       "99999999999999999999",
					       "18446744073709551617",
					       "1125899906842625" };
	uint64_t number;

	(void)state;
	assert_true(parses("1", &number));
	assert_int_equal(number, 1);
	assert_true(parses("1125899906842624", &number));
	assert_true(number == SNAPSHOT_NUMBER_MAX);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		number = 77;
		assert_false(parses(foreign[i], &number));
		assert_int_equal(number, 77);
	}
}

static void test_format(void **state)
{
	char text[STORE_NAME_ROOM];

	(void)state;
	assert_int_equal(snapshot_number_format(1, text), 1);
	assert_string_equal(text, "1");
	assert_int_equal(snapshot_number_format(SNAPSHOT_NUMBER_MAX, text), 16);
	assert_string_equal(text, "1125899906842624");
	size_t length = snapshot_name(SNAPSHOT_NUMBER_MAX, text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, "snapshots/1125899906842624");
	length = pin_name(20, text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, ".rcu-repo/pins/20");
}

static void test_latest_target(void **state)
{
	static const char *const bad[] = { "",
					   "snapshots",
					   "snapshots/",
					   "snapshots/0",
					   "snapshots/x",
					   "snapshots/1/",
					   "/s/snapshots/1",
					   "../snapshots/1",
					   "snapshots//1" };
	uint64_t number = 0;

	(void)state;
	assert_true(latest_target_parse("snapshots/12", 12, &number));
	assert_int_equal(number, 12);
	assert_true(latest_target_parse("snapshots/123", 12, &number));
	assert_int_equal(number, 12);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(latest_target_parse(bad[i], strlen(bad[i]), &number));
}

static void test_snapshot_path(void **state)
{
	static const char *const bad[] = { "",
					   "/",
					   "snapshots/1",
					   "/snapshots/1",
					   "s/snapshots/1",
					   "/s/snapshots/",
					   "/s/snapshots/1/",
					   "/s/snapshots/x",
					   "/s/snapshot/1",
					   "/1" };
	uint64_t number = 0;
	size_t length = 0;

	(void)state;
	assert_true(snapshot_path_split("/s/snapshots/7", &length, &number));
	assert_int_equal(length, 2);
	assert_int_equal(number, 7);
	assert_true(snapshot_path_split("/a/snapshots/3/snapshots/8", &length, &number));
	assert_int_equal(length, strlen("/a/snapshots/3"));
	assert_int_equal(number, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(snapshot_path_split(bad[i], &length, &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_latest_target),
		cmocka_unit_test(test_snapshot_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

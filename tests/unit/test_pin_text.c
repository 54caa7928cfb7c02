/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/pin_text.h"

static void test_round_trip(void **state)
{
	static const char *const paths[][2] = {
		{ "/var/db/repos/gentoo", "/var/db/store/snapshots/12" },
		{ "/with blank", "/s/snapshots/1" },
		{ "/per%cent=and\nnewline%0A", "/s=%\n/snapshots/2" },
		{ "/", "/" },
	};
	char text[512], room[512];
	size_t used = 0;
	const char *cursor = text;
	struct pin_text pin;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_true(pin_text_append(text, sizeof(text), &used, paths[i][0], paths[i][1]));
	assert_int_equal(used, strlen(text));
	assert_non_null(strstr(text, "/per%25cent%3Dand%0Anewline%250A=/s%3D%25%0A/snapshots/2\n"));
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_PIN);
		assert_string_equal(pin.location, paths[i][0]);
		assert_string_equal(pin.snapshot, paths[i][1]);
	}
	assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_END);
}

static void test_room(void **state)
{
	char text[16] = "";
	size_t used = 0;

	(void)state;
	assert_true(pin_text_append(text, sizeof(text), &used, "/a", "/s/1")); /* 8 bytes */
	assert_false(pin_text_append(text, sizeof(text), &used, "/a", "/s/1"));
	assert_int_equal(used, 8);
	assert_string_equal(text, "/a=/s/1\n");
	assert_true(pin_text_append(text, sizeof(text), &used, "/a", "/1/"));
}

static void test_bad_lines(void **state)
{
	const char *cursor = "no equals\n"
			     "relative=/s/snapshots/1\n"
			     "/a=relative\n"
			     "/a=/b=/c\n"
			     "=/b\n"
			     "/a=\n"
			     "/a%=/b\n"
			     "/a%2=/b\n"
			     "/a%zz=/b\n"
			     "/a%00b=/b\n"
			     "\n\n"
			     "/ok%2f=/fine";
	char room[64];
	struct pin_text pin;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_BAD);
	assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_PIN);
	assert_string_equal(pin.location, "/ok/");
	assert_string_equal(pin.snapshot, "/fine");
	assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_END);
	cursor = "/long=/line\n/a=/b";
	assert_int_equal(pin_text_next(&cursor, room, 11, &pin), PIN_TEXT_ROOM);
	assert_int_equal(pin_text_next(&cursor, room, 6, &pin), PIN_TEXT_PIN);
	cursor = "";
	assert_int_equal(pin_text_next(&cursor, room, sizeof(room), &pin), PIN_TEXT_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_bad_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

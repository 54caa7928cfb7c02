/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/handover.h"

static const struct handover some = {
	.fd = 100,
	.pin = { 0xfe01, 0x1234 },
	.store = { UINT64_MAX, 1 },
	.root = { 0, UINT64_MAX },
};

static void assert_same(const struct handover *a, const struct handover *b)
{
	assert_int_equal(a->fd, b->fd);
	assert_int_equal(a->far, b->far);
	assert_memory_equal(&a->pin, &b->pin, sizeof(a->pin));
	assert_memory_equal(&a->store, &b->store, sizeof(a->store));
	assert_memory_equal(&a->root, &b->root, sizeof(a->root));
}

static void what_is_written_is_read(void **state)
{
	const struct handover none = { .fd = -1 };
	struct handover far = some, got;
	char text[3 * HANDOVER_ROOM], *end = text;
	const char *cursor = text;

	(void)state;
	far.far = true;
	far.fd = 1 << 30;
	end += handover_format(&some, end);
	assert_string_equal(text, "100:fe01:1234:ffffffffffffffff:1:0:ffffffffffffffff");
	*end++ = ',';
	end += handover_format(&none, end);
	*end++ = ',';
	end += handover_format(&far, end);
	assert_true(end - text < (ptrdiff_t)sizeof(text));

	handover_parse(&got, &cursor);
	assert_same(&got, &some);
	handover_parse(&got, &cursor);
	assert_same(&got, &none);
	handover_parse(&got, &cursor);
	assert_same(&got, &far);
	assert_null(cursor);
	handover_parse(&got, &cursor);
	assert_same(&got, &none);
}

/* The longest entry fits. */
static void room_is_enough(void **state)
{
	const struct file_id longest = { UINT64_MAX, UINT64_MAX };
	const struct handover handover = { INT_MAX, true, longest, longest, longest };
	char text[HANDOVER_ROOM];

	(void)state;
	assert_true(handover_format(&handover, text) + 2 <= sizeof(text));
}

static void what_is_malformed_is_none(void **state)
{
	static const char *const texts[] = {
		"",
		"-",
		"x",
		"100",
		"100:1:2:3:4:5",
		"+",
		"+-",
		"-5:1:2:3:4:5:6",
		"100:1:2:3:4:5:6:7",
		"100:1:2:3:4:5:6 ",
		"100:1:",
		"1:2:g:4:5:6:7",
		"100:1:2:3:4:5:",
		"9999999999:1:2:3:4:5:6",
		"100:1:2:3:4:5:10000000000000000",
		" 100:1:2:3:4:5:6",
		"100:A:2:3:4:5:6",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char two[256];
		const char *cursor = two;
		struct handover got;

		snprintf(two, sizeof(two), "%s,7:1:2:3:4:5:6", texts[i]);
		handover_parse(&got, &cursor);
		assert_int_equal(got.fd, -1);
		assert_false(got.far);
		handover_parse(&got, &cursor);
		assert_int_equal(got.fd, 7);
	}
}

static void a_list_behind_a_filter_is_marked(void **state)
{
	const char *marked = "!7:1:2:3:4:5:6", *plain = "7:1:2:3:4:5:6", *none = NULL;
	struct handover got;

	(void)state;
	assert_true(handover_confined(&marked));
	assert_false(handover_confined(&marked));
	handover_parse(&got, &marked);
	assert_int_equal(got.fd, 7);
	assert_false(handover_confined(&plain));
	assert_int_equal(*plain, '7');
	assert_false(handover_confined(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(room_is_enough),
		cmocka_unit_test(what_is_malformed_is_none),
		cmocka_unit_test(a_list_behind_a_filter_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper/base/text.h"
#include "tests/unit/skip.h"

static void expect(char *(*function)(const char *), const char *from, const char *wanted)
{
	char *got = function(from);

	assert_string_equal(got, wanted);
	free(got);
}

static void test_a_line(void **state)
{
	(void)state;
	expect(text_line, "", "");
	expect(text_line, "plain \\ \"text\"", "plain \\ \"text\"");
	expect(text_line, "a\nb\t\033[31m\177", "a\\x0Ab\\x09\\x1B[31m\\x7F");
	expect(text_line, "\303\244 \342\202\254 \360\237\230\200", "\303\244 \342\202\254 \360\237\230\200");
	expect(text_line, "\302\233", "\\xC2\\x9B");                              /* C1 */
	expect(text_line, "\233x\377", "\\x9Bx\\xFF");                            /* no UTF-8 */
	expect(text_line, "\355\240\200", "\\xED\\xA0\\x80");                     /* a surrogate */
	expect(text_line, "\300\257 \340\200\257", "\\xC0\\xAF \\xE0\\x80\\xAF"); /* longer than need be */
	expect(text_line, "\364\220\200\200", "\\xF4\\x90\\x80\\x80");            /* beyond */
	expect(text_line, "cut\303", "cut\\xC3");
}

static void test_what_does_not_fit_is_cut_between_characters(void **state)
{
	char to[8];

	(void)state;
	text_show(to, sizeof(to), "12345\303\244");
	assert_string_equal(to, "12345\303\244");
	text_show(to, sizeof(to), "123456\303\244");
	assert_string_equal(to, "123456");
	text_show(to, sizeof(to), "1234\n");
	assert_string_equal(to, "1234");
	text_show(to, sizeof(to), "123\n");
	assert_string_equal(to, "123\\x0A");
}

/* The locale decides what a table can show. */
static void test_a_cell(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C"));
	expect(text_cell, "a\303\244\n", "a\\xC3\\xA4\\x0A");
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		skip_test("there is no C.UTF-8 here");
	expect(text_cell, "a\303\244\n\377", "a\303\244\\x0A\\xFF");
	expect(text_cell, "\302\205", "\\xC2\\x85");
	assert_non_null(setlocale(LC_CTYPE, "C"));
}

static void test_json(void **state)
{
	(void)state;
	expect(text_json, "a\nb\001\177", "a\nb\001\177"); /* the library's to escape */
	expect(text_json, "\303\244\302\205\\x", "\303\244\302\205\\x");
	expect(text_json, "x\377\376y\303", "x\357\277\275\357\277\275y\357\277\275");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line),
		cmocka_unit_test(test_what_does_not_fit_is_cut_between_characters),
		cmocka_unit_test(test_a_cell),
		cmocka_unit_test(test_json),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/base/err.h"

static void test_subject_and_cause(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	assert_int_equal(err_fail(&err, STATUS_USAGE, "gentoo", "no %s", "location"), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, "gentoo: no location");
}

static void test_errno_is_added(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&err, STATUS_FAILED, "/a", "open"), -1);
	assert_string_equal(err.text, "/a: open: No such file or directory");
}

static void test_first_failure_stays(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	err_fail(&err, STATUS_BUSY, "a", "first");
	err_fail(&err, STATUS_FAILED, "b", "second");
	errno = EIO;
	err_errno(&err, STATUS_FAILED, "c", "third");
	assert_int_equal(err.status, STATUS_BUSY);
	assert_string_equal(err.text, "a: first");
	err_clear(&err);
	assert_int_equal(err.status, STATUS_DONE);
	err_fail(&err, STATUS_FAILED, "b", "second");
	assert_string_equal(err.text, "b: second");
}

static void test_control_characters_are_shown(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	err_fail(&err, STATUS_FAILED, "/a\nb", "%s", "x\033[31m\177\302\233y\303\244");
	assert_string_equal(err.text, "/a\\x0Ab: x\\x1B[31m\\x7F\\xC2\\x9By\303\244");
}

static void test_long_names_are_cut(void **state)
{
	struct err err = ERR_NONE;
	char name[5000];

	(void)state;
	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	errno = EIO;
	err_errno(&err, STATUS_FAILED, name, "%s", name);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_int_equal(strlen(err.text) % 4, 0);
	assert_null(strchr(err.text, '\n'));
}

static void test_alloc(void **state)
{
	(void)state;
	char *text = alloc_printf("%d-%s", 7, "x");
	assert_string_equal(text, "7-x");
	char *copy = alloc_copy(text);
	assert_string_equal(copy, "7-x");
	copy = alloc_grow(copy, 100, 10);
	assert_string_equal(copy, "7-x");
	free(copy);
	free(text);
	free(alloc_grow(NULL, 0, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subject_and_cause),
		cmocka_unit_test(test_errno_is_added),
		cmocka_unit_test(test_first_failure_stays),
		cmocka_unit_test(test_control_characters_are_shown),
		cmocka_unit_test(test_long_names_are_cut),
		cmocka_unit_test(test_alloc),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}

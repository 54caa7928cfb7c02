/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/preload_list.h"

static void append(const char *list, const char *want)
{
	char to[128];
	size_t length = preload_list_append(to, list, "/l/shim.so");

	assert_string_equal(to, want);
	assert_int_equal(length, strlen(want));
	assert_true(length < preload_list_room(list, "/l/shim.so"));
}

static void test_append(void **state)
{
	(void)state;
	append(NULL, "/l/shim.so");
	append("", "/l/shim.so");
	append("libfakeroot.so", "libfakeroot.so:/l/shim.so");
	append("a b:c", "a b:c:/l/shim.so");
	append("/l/shim.so:a", "/l/shim.so:a");
	append("/l/shim.so.1", "/l/shim.so.1:/l/shim.so");
}

static void test_has(void **state)
{
	(void)state;
	assert_true(preload_list_has("a /l/shim.so:b", "/l/shim.so"));
	assert_true(preload_list_has("::  /l/shim.so", "/l/shim.so"));
	assert_false(preload_list_has("/l/shim.sox /x/l/shim.so", "/l/shim.so"));
	assert_false(preload_list_has("", "/l/shim.so"));
	assert_false(preload_list_has(NULL, "/l/shim.so"));
}

static void test_remove(void **state)
{
	char to[64];

	(void)state;
	assert_int_equal(preload_list_remove(to, "a:/l/shim.so b", "/l/shim.so"), 3);
	assert_string_equal(to, "a:b");
	assert_int_equal(preload_list_remove(to, "/l/shim.so", "/l/shim.so"), 0);
	assert_string_equal(to, "");
	preload_list_remove(to, "a b", "/l/shim.so");
	assert_string_equal(to, "a:b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

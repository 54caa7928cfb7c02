/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/options.h"

struct target {
	const char *value;
	unsigned values, flags, others;
};

static int take_value(void *target, const char *value, struct err *err)
{
	struct target *t = target;

	if (strcmp(value, "bad") == 0)
		return err_fail(err, STATUS_USAGE, "--value", "bad");
	t->value = value;
	t->values++;
	return 0;
}

static int take_flag(void *target, const char *value, struct err *err)
{
	(void)err;
	assert_null(value);
	((struct target *)target)->flags++;
	return 0;
}

static int take_other(void *target, const char *value, struct err *err)
{
	(void)err;
	(void)value;
	((struct target *)target)->others++;
	return 0;
}

static const struct option_rule rules[] = {
	{ "value", 'v', "TEXT", "a value", take_value },
	{ "flag", 'f', NULL, "a flag", take_flag },
	{ "other", 'o', NULL, "another", take_other },
	{ .name = NULL },
};

static struct target target;
static struct option_words left;
static struct err err;

static int parse(const char *names, bool first, const char *const *words)
{
	free(left.operands);
	target = (struct target){ NULL, 0, 0, 0 };
	err_clear(&err);
	return options_parse((char **)words, rules, names, first, &target, &left, &err);
}
#define PARSE(...) parse("value flag", false, (const char *const[]){ __VA_ARGS__, NULL })
#define PARSE_FIRST(...) parse("value flag", true, (const char *const[]){ __VA_ARGS__, NULL })

static void test_every_spelling(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--value", "1", "--value=2", "-v", "3", "-v4", "-ffv5", "--flag"), 0);
	assert_int_equal(target.values, 5);
	assert_string_equal(target.value, "5");
	assert_int_equal(target.flags, 3);
	assert_null(left.operands[0]);
	assert_null(left.command);
	assert_int_equal(PARSE("--value="), 0);
	assert_string_equal(target.value, "");
	assert_int_equal(PARSE("--value", "--"), 0);
	assert_string_equal(target.value, "--");
}

static void test_operands_anywhere(void **state)
{
	(void)state;
	assert_int_equal(PARSE("a", "-f", "-", "b", "--", "-f", "--", "c"), 0);
	assert_string_equal(left.operands[0], "a");
	assert_string_equal(left.operands[1], "-");
	assert_string_equal(left.operands[2], "b");
	assert_null(left.operands[3]);
	assert_string_equal(left.command[0], "-f");
	assert_string_equal(left.command[1], "--");
	assert_string_equal(left.command[2], "c");
	assert_null(left.command[3]);
	assert_int_equal(target.flags, 1);
}

static void test_first_operand_ends(void **state)
{
	(void)state;
	assert_int_equal(PARSE_FIRST("-f", "a", "-f"), 0);
	assert_int_equal(target.flags, 1);
	assert_string_equal(left.rest[0], "a");
	assert_int_equal(PARSE_FIRST("-f", "--", "-f"), 0);
	assert_string_equal(left.rest[0], "--");
	assert_int_equal(PARSE_FIRST("-f"), 0);
	assert_null(left.rest[0]);
}

static void refused(const char *message)
{
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, message);
}

static void test_errors(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--val=1"), -1);
	refused("--val=1: unknown option");
	assert_int_equal(PARSE("--other"), -1);
	refused("--other: unknown option");
	assert_int_equal(PARSE("-fo"), -1);
	refused("-fo: unknown option");
	assert_int_equal(PARSE("--value"), -1);
	refused("--value: needs TEXT");
	assert_int_equal(PARSE("-fv"), -1);
	refused("--value: needs TEXT");
	assert_int_equal(PARSE("--flag=1"), -1);
	refused("--flag: takes no value");
	assert_int_equal(PARSE("--value", "bad", "--value", "1"), -1);
	refused("--value: bad");
	assert_int_equal(target.values, 0);
}

static void test_without_a_list_all_are_taken(void **state)
{
	const char *const words[] = { "--other", "-o", NULL };

	(void)state;
	assert_int_equal(parse(NULL, false, words), 0);
	assert_int_equal(target.others, 2);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(options_named("a bc d", "bc"));
	assert_true(options_named("a bc d", "d"));
	assert_false(options_named("a bc d", "b"));
	assert_false(options_named("a bc d", "bcd"));
	assert_false(options_named("", "a"));
}

static int end(void **state)
{
	(void)state;
	free(left.operands);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_spelling),
		cmocka_unit_test(test_operands_anywhere),
		cmocka_unit_test(test_first_operand_ends),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_without_a_list_all_are_taken),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}

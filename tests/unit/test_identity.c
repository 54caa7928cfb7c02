/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/identity.h"

static pid_t sleeper(const char *name)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void test_alive_then_zombie_then_gone(void **state)
{
	struct err err = ERR_NONE;
	struct identity identity, again;
	char text[IDENTITY_ROOM];
	pid_t pid = sleeper("a) R 1 (b");
	siginfo_t info;

	(void)state;
	assert_int_equal(identity_of(pid, &identity, &err), 0);
	identity_format(&identity, text);
	assert_true(identity_parse(text, &again));
	assert_int_equal(again.pid, pid);
	assert_int_equal(identity_state(&again), IDENTITY_ALIVE);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(identity_state(&again), IDENTITY_ENDED);
	assert_int_equal(identity_of(pid, &identity, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(identity_state(&again), IDENTITY_ENDED);
	err_clear(&err);
	assert_int_equal(identity_of(pid, &identity, &err), -1);
}

static void test_a_pid_alone_is_nobody(void **state)
{
	struct err err = ERR_NONE;
	struct identity identity, other;

	(void)state;
	assert_int_equal(identity_of(getpid(), &identity, &err), 0);
	assert_int_equal(identity_state(&identity), IDENTITY_ALIVE);
	other = identity;
	other.start++;
	assert_int_equal(identity_state(&other), IDENTITY_ENDED); /* the pid is another process */
	other = identity;
	other.boot[0] ^= 1;
	assert_int_equal(identity_state(&other), IDENTITY_ENDED);
	other = identity;
	other.namespace_ino++;
	assert_int_equal(identity_state(&other), IDENTITY_UNSEEN);
	assert_int_equal(identity_of(0, &identity, &err), 0);
	assert_int_equal(identity_state(&identity), IDENTITY_UNSEEN);
}

static void test_stat_with_a_name_of_any_bytes(void **state)
{
	const char *const tail = ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21\n";
	const char *const names[] = { "1 (x", "1 (a b", "1 ()) S 1 1", "1 (\n", "1 (((" };
	char text[256], state_letter;
	uint64_t start;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", names[i], tail);
		assert_true(identity_stat_parse(text, &state_letter, &start));
		assert_int_equal(state_letter, 'S');
		assert_int_equal(start, 4242);
	}
	assert_false(identity_stat_parse("", &state_letter, &start));
	assert_false(identity_stat_parse("1 (x", &state_letter, &start));
	assert_false(identity_stat_parse("1 (x)", &state_letter, &start));
	assert_false(identity_stat_parse("1 (x) S 1 2 3", &state_letter, &start));
}

static void test_parse_refuses_other_text(void **state)
{
	struct identity identity;
	const char *const bad[] = {
		"", "x", "b 1:2 3", "b 1:2 3 4 5", "b 1:2 -3 4", "b 1:2 99999999999 4", "b 1;2 3 4"
	};

	(void)state;
	assert_true(identity_parse("b 1:2 3 4", &identity));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(identity_parse(bad[i], &identity));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alive_then_zombie_then_gone),
		cmocka_unit_test(test_a_pid_alone_is_nobody),
		cmocka_unit_test(test_stat_with_a_name_of_any_bytes),
		cmocka_unit_test(test_parse_refuses_other_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}

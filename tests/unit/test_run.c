/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/programs/run.h"
#include "tests/unit/scratch.h"

static int enter(void **state)
{
	return scratch_make(state) == 0 ? chdir(*state) : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

static struct err err;

static int shell(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct run sh = { .argv = argv, .subject = "sh" };

	err_clear(&err);
	return run(&sh, &err);
}

static void failed(const char *message)
{
	assert_int_equal(err.status, STATUS_FAILED);
	assert_string_equal(err.text, message);
}

static const char *explain(int status)
{
	return status == 7 ? "the seventh" : NULL;
}

static void test_exit_statuses(void **state)
{
	const char *const argv[] = { "sh", "-c", "exit 7", NULL };
	const struct run sh = { .argv = argv, .subject = "sh", .explain = explain };

	(void)state;
	assert_int_equal(shell("exit 0"), 0);
	assert_int_equal(shell("exit 7"), -1);
	failed("sh: exit status 7");
	err_clear(&err);
	assert_int_equal(run(&sh, &err), -1);
	failed("sh: exit status 7: the seventh");
	assert_int_equal(shell("kill -9 $$"), -1);
	failed("sh: killed by signal 9 (Killed)");
}

static void test_what_cannot_be_run(void **state)
{
	const char *const missing[] = { "no-such-program", NULL }, *const dir[] = { "/", NULL };
	const char *const good[] = { "true", NULL };
	struct run program = { .argv = missing, .subject = "rsync" };

	(void)state;
	err_clear(&err);
	assert_int_equal(run(&program, &err), -1);
	failed("rsync: cannot be run: no-such-program: not found");
	err_clear(&err);
	program.argv = dir;
	assert_int_equal(run(&program, &err), -1);
	failed("rsync: cannot be run: /: Permission denied");
	err_clear(&err);
	program.argv = good;
	program.cwd = "/no/such/place";
	assert_int_equal(run(&program, &err), -1);
	failed("rsync: cannot enter its directory: /no/such/place: not found");
}

static void test_directory_and_environment(void **state)
{
	const char *const argv[] = { "sh", "-c", "pwd >out; echo \"$NEW $HOME\" >>out", NULL };
	const char *const env[] = { "NEW=new", "HOME=replaced", NULL };
	const struct run sh = { .argv = argv, .subject = "sh", .cwd = *state, .env = env };
	char expected[4200];

	err_clear(&err);
	assert_int_equal(run(&sh, &err), 0);
	snprintf(expected, sizeof(expected), "%s\nnew replaced\n", (char *)*state);
	char *got = scratch_read("out");
	assert_string_equal(got, expected);
	free(got);
	assert_null(getenv("NEW"));
}

/* stdout is for results: what a program says goes to stderr. And it gets no descriptor of ours. */
static void test_descriptors(void **state)
{
	int kept = dup(STDERR_FILENO), out = open("err", O_WRONLY | O_CREAT, 0600), ours = open("/", O_PATH);
	char script[128];

	(void)state;
	snprintf(script, sizeof(script), "echo said; test ! -e /proc/self/fd/%d || echo leaked", ours);
	dup2(out, STDERR_FILENO);
	int result = shell(script);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(out);
	close(ours);
	assert_int_equal(result, 0);
	char *got = scratch_read("err");
	assert_string_equal(got, "said\n");
	free(got);
}

static void test_input_output_and_umask(void **state)
{
	const char *const argv[] = { "sh", "-c", "cat; umask", NULL }, *const env[] = { "HOME", NULL };
	struct run sh = { .argv = argv, .subject = "sh", .umask = 027 };

	(void)state;
	scratch_write("in", "given\n");
	sh.in = open("in", O_RDONLY | O_CLOEXEC);
	sh.out = open("answer", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	sh.env = env;
	err_clear(&err);
	assert_int_equal(run(&sh, &err), 0);
	close(sh.in);
	close(sh.out);
	char *got = scratch_read("answer");
	assert_string_equal(got, "given\n0027\n");
	free(got);
	assert_non_null(getenv("HOME"));
	assert_int_equal(umask(022), 022);
}

static void test_a_time_limit(void **state)
{
	const char *const argv[] = { "sh", "-c",
				     "trap 'touch told; exit 0' TERM; while :; do sleep 0.01; done", NULL };
	const char *const quick[] = { "true", NULL };
	struct run sh = { .argv = argv, .subject = "sh", .timeout = 1 };

	(void)state;
	err_clear(&err);
	assert_int_equal(run(&sh, &err), -1);
	failed("sh: not done after 1 second");
	assert_true(scratch_exists("told"));
	err_clear(&err);
	sh.argv = quick;
	sh.timeout = 1000;
	assert_int_equal(run(&sh, &err), 0);
}

static void test_signals_are_handed_on(void **state)
{
	(void)state;
	/* the child signals us, and waits for its own */
	assert_int_equal(shell("trap 'touch trapped; exit 0' TERM; kill -TERM $PPID; "
			       "while :; do sleep 0.01; done"),
			 -1);
	failed("sh: ended by signal 15 (Terminated)");
	assert_true(scratch_exists("trapped"));
}

static void test_ignored_signals_stay_ignored(void **state)
{
	(void)state;
	signal(SIGHUP, SIG_IGN);
	assert_int_equal(shell("kill -HUP $PPID"), 0);
	signal(SIGHUP, SIG_DFL);
}

/* The mask and SIGCHLD's disposition are the caller's again afterwards. */
static void test_signals_are_given_back(void **state)
{
	sigset_t before, after;
	struct sigaction child;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	sigprocmask(SIG_BLOCK, NULL, &before);
	assert_int_equal(shell("exit 3"), -1);
	failed("sh: exit status 3");
	sigprocmask(SIG_BLOCK, NULL, &after);
	for (int i = 1; i < NSIG; i++)
		assert_int_equal(sigismember(&before, i), sigismember(&after, i));
	sigaction(SIGCHLD, NULL, &child);
	assert_true(child.sa_handler == SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_statuses),
		cmocka_unit_test(test_what_cannot_be_run),
		cmocka_unit_test(test_directory_and_environment),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_input_output_and_umask),
		cmocka_unit_test(test_a_time_limit),
		cmocka_unit_test(test_signals_are_handed_on),
		cmocka_unit_test(test_ignored_signals_stay_ignored),
		cmocka_unit_test(test_signals_are_given_back),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

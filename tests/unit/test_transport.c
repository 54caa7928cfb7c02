/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real rsync, behind a script that writes down what it was called with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/transport/transport.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

static const char wrapper[] = "#!/bin/sh\n"
			      "echo >>calls\n"
			      "for word; do printf '%s\\n' \"$word\"; done >\"$RECORD\"\n"
			      "PATH=$REAL_PATH exec rsync \"$@\"\n";

static char *top;
static struct changes told; /* by the last fetch() */
static bool plain;          /* what fetch() says of the tree */

static int enter(void **state)
{
	if (scratch_make(state) != 0 || chdir(*state) != 0)
		return -1;
	top = *state;
	char *record = alloc_printf("%s/record", top), *path = alloc_printf("%s/bin:%s", top, getenv("PATH"));
	setenv("REAL_PATH", getenv("PATH"), 1);
	setenv("RECORD", record, 1);
	setenv("PATH", path, 1);
	free(record);
	free(path);
	scratch_mkdir("bin");
	scratch_write("bin/rsync", wrapper);
	scratch_mkdir("source/d");
	scratch_write("source/d/file", "one");
	scratch_mkdir("source/distfiles");
	scratch_write("source/distfiles/big", "big");
	return chmod("bin/rsync", 0755);
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

static void need_rsync(void)
{
	char *const path = getenv("REAL_PATH");

	if (system("PATH=\"$REAL_PATH\" command -v rsync >/dev/null") != 0 || !path)
		skip_not_installed("there is no rsync here");
}

/* Fetches into an empty NAME; the caller releases nothing. */
static int fetch(const struct repo *repo, const char *name, const char *base, struct err *err)
{
	struct staging staging = { .id = (char *)"id",
				   .path = alloc_printf("%s/%s", top, name),
				   .plain = plain };

	changes_release(&told);
	scratch_mkdir(staging.path);
	int result = transport_rsync.check(repo, err);
	if (result == 0)
		result = transport_rsync.fetch(repo, &staging, base, &told, err);
	free(staging.path);
	return result;
}

static void expect_words(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void expect_words(const char *format, ...)
{
	va_list arguments;
	char *expected;

	va_start(arguments, format);
	assert_true(vasprintf(&expected, format, arguments) > 0);
	va_end(arguments);
	char *got = scratch_read("record");
	assert_string_equal(got, expected);
	free(got);
	free(expected);
}

/* What it is to tell, and what ends its options. */
#define SAYS "--no-motd\n--out-format=%%i %%n\n--\n"
#define ALWAYS "-aHAX\n" DELETE
#define DELETE "--delete\n--delete-excluded\n--modify-window=-1\n--numeric-ids\n"

static void test_exact_arguments(void **state)
{
	char *opts[] = { (char *)"--exclude", (char *)"a b", (char *)"-z", NULL };
	char *source = alloc_printf("%s/source//", top), *file = alloc_printf("file://%s/source", top);
	char *base = alloc_printf("%s/s1", top);
	struct repo repo = { .name = (char *)"r", .location = (char *)"/no/such", .sync_uri = source };
	struct err err = ERR_NONE;

	(void)state;
	need_rsync();
	assert_int_equal(fetch(&repo, "s1", NULL, &err), 0);
	expect_words(ALWAYS SAYS "%s/source/\n%s/s1/\n", top, top);
	assert_true(scratch_exists("s1/distfiles/big"));
	repo.sync_uri = file;
	repo.sync_opts = opts;
	repo.from_portage = true;
	assert_int_equal(fetch(&repo, "s2", base, &err), 0);
	expect_words(ALWAYS
		     "--exclude=/distfiles\n--filter=P /distfiles\n--exclude=/local\n--filter=P /local\n"
		     "--exclude=/packages\n--filter=P /packages\n"
		     "--exclude\na b\n-z\n" SAYS "%s/source/\n%s/s2/\n",
		     top, top);
	assert_false(scratch_exists("s2/distfiles"));
	free(source);
	free(file);
	free(base);
}

static void expect_changes(const char *const *want)
{
	changes_sort(&told);
	assert_false(told.unknown);
	for (size_t i = 0; i < told.count && want[i] != NULL; i++)
		assert_string_equal(told.paths[i], want[i]);
	assert_true(want[told.count] == NULL);
}

/* Straight into the tree of before, and what changed is told, by any name. */
static void test_changes(void **state)
{
	char *opts[] = { (char *)"--stats", NULL }, *source = alloc_printf("%s/source", top);
	struct repo repo = { .name = (char *)"r", .location = (char *)"/no/such", .sync_uri = source };
	struct err err = ERR_NONE;

	(void)state;
	need_rsync();
	assert_int_equal(system("cd source && mkdir gone && touch -d @1 gone/f same d distfiles/big . && ln "
				"-s same l"),
			 0);
	assert_int_equal(fetch(&repo, "s6", NULL, &err), 0);
	assert_int_equal(fetch(&repo, "s6", NULL, &err), 0);
	expect_changes((const char *const[]){ NULL });
	assert_int_equal(system("cd source && rm -r gone && chmod 700 d && chmod 600 same && ln same again &&"
				"ln -sf d l && echo longer > distfiles/big && touch 'a\\nb' '\\#101' "
				"\"$(printf 'n\\nl')\" "
				"\"$(printf '\\303\\244\\377')\" && mkdir '*deleting   ' && touch -d @1 ."),
			 0);
	assert_int_equal(fetch(&repo, "s6", NULL, &err), 0);
	expect_changes((const char *const[]){ "", "*deleting   ", "\\#101", "a\\nb", "again", "d",
					      "distfiles/big", "gone", "gone/f", "l", "n\nl", "same",
					      "\303\244\377", NULL });
	assert_int_equal(system("diff -r source s6"), 0);
	repo.sync_opts = opts;
	assert_int_equal(fetch(&repo, "s6", NULL, &err), 0);
	assert_true(told.unknown);
	changes_release(&told);
	free(source);
}

static void check(const char *uri, const char *message)
{
	struct repo repo = { .name = (char *)"r", .location = (char *)"/no/such", .sync_uri = (char *)uri };
	struct err err = ERR_NONE;
	int result = transport_rsync.check(&repo, &err);

	assert_string_equal(err.text, message);
	assert_int_equal(result, *message ? -1 : 0);
	assert_int_equal(err.status, *message ? STATUS_USAGE : 0);
}

#define NO_SOURCE ": not an absolute path, file://, rsync://, ssh:// or HOST:PATH"

static void test_sources(void **state)
{
	(void)state;
	check("/a", "");
	check("/a:b", "");
	check("file:///a", "");
	check("rsync://h/m/p", "");
	check("ssh://u@h:22/p", "");
	check("h:p", "");
	check("u@h::m/p", "");
	check(NULL, "r: [r] sync-uri = : not set");
	check("a/b", "r: [r] sync-uri = a/b" NO_SOURCE);
	check("file://a/b", "r: [r] sync-uri = file://a/b" NO_SOURCE);
	check("rsync://h", "r: [r] sync-uri = rsync://h" NO_SOURCE);
	check("https://h/p", "r: [r] sync-uri = https://h/p" NO_SOURCE);
	check("--help", "r: [r] sync-uri = --help" NO_SOURCE);
	check("a/b:c", "r: [r] sync-uri = a/b:c" NO_SOURCE);
	check(":p", "r: [r] sync-uri = :p" NO_SOURCE);
}

/* What ssh:// becomes shows in the words; the fetch itself fails, since --rsh is a program that fails. */
static void test_ssh(void **state)
{
	char *opts[] = { (char *)"--rsh=false", NULL };
	struct repo repo = { .name = (char *)"r",
			     .location = (char *)"/no/such",
			     .sync_uri = (char *)"ssh://u@h/p/q",
			     .sync_opts = opts };
	struct err err = ERR_NONE;

	(void)state;
	need_rsync();
	assert_int_equal(fetch(&repo, "s4", NULL, &err), -1);
	expect_words(ALWAYS "--timeout=180\n--rsh=false\n" SAYS "u@h:/p/q/\n%s/s4/\n", top);
	assert_int_equal(err.status, STATUS_FAILED);
}

static void check_option(const char *first, const char *second, bool good)
{
	char *opts[] = { (char *)first, (char *)second, NULL };
	struct repo repo = { .name = (char *)"r",
			     .location = (char *)"/no/such",
			     .sync_uri = (char *)"/s",
			     .sync_opts = opts };
	struct err err = ERR_NONE;

	if ((transport_rsync.check(&repo, &err) == 0) != good)
		fail_msg("%s %s: %s", first, second ? second : "", good ? err.text : "accepted");
	assert_int_equal(err.status, good ? STATUS_DONE : STATUS_USAGE);
}

static void test_options_of_the_user(void **state)
{
	/* clang-format off */
	static const char *const bad[] = {
		"--inplace", "--append", "--append-verify", "--link-dest=/x", "--copy-dest=/x", "--compare-dest=/x", "--temp-dir=/x",
		"--backup", "--backup-dir=/x", "--partial-dir=/x", "--write-devices", "--remove-source-files", "--dry-run", "--list-only",
		"--existing", "--ignore-non-existing", "--help", "--version", "--read-batch=/x", "--only-write-batch=/x", "--write-batch=/x",
		"--daemon", "--server", "--sender", "--keep-dirlinks", "--relative", "--", "-n", "-avn", "-b", "-K", "-R", "-T/x", "-V", "word",
		"-",
	};
	static const char *const good[] = {
		"--exclude=/x", "--compress", "-z", "-vv", "--checksum", "-c", "--bwlimit=10", "--timeout=180", "-e", "-essh -n", "-f- /n",
		"--whole-file", "--safe-links", "--omit-dir-times", "--info=progress2", "--ipv4",
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_option(bad[i], NULL, false);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check_option(good[i], NULL, true);
	check_option("--exclude", "word", true);
	check_option("--filter", "- /n", true);
	check_option("-z", "--link-dest", false);
	check_option("--exclude=x", "word", false);
}

static void test_failures(void **state)
{
	struct repo repo = { .name = (char *)"r",
			     .location = (char *)"/no/such",
			     .sync_uri = (char *)"/no/such/source" };
	char *path = alloc_copy(getenv("PATH"));
	struct err err = ERR_NONE;

	(void)state;
	need_rsync();
	assert_int_equal(fetch(&repo, "s5", NULL, &err), -1);
	assert_int_equal(err.status, STATUS_FAILED);
	assert_string_equal(err.text, "rsync: exit status 23: some files could not be copied");
	err_clear(&err);
	setenv("PATH", "/no/such/place", 1);
	int result = fetch(&repo, "s5", NULL, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(result, -1);
	assert_string_equal(err.text, "rsync: cannot be run: rsync: not found");
}

/* Only a source that has links and attributes pays for them. */
static void test_plain(void **state)
{
	char *source = alloc_printf("%s/source", top);
	struct repo repo = { .name = (char *)"r", .sync_uri = source };
	struct err err = ERR_NONE;

	(void)state;
	need_rsync();
	plain = true;
	assert_int_equal(system("rm -rf source calls && mkdir -p source/d && echo 1 >source/d/one"), 0);
	assert_int_equal(fetch(&repo, "s7", NULL, &err), 0);
	expect_words("-a\n" DELETE SAYS "%s/source/\n%s/s7/\n", top, top);
	assert_int_equal(system("test $(wc -l <calls) = 1 && ln source/d/one source/d/two"), 0);
	assert_int_equal(fetch(&repo, "s7", NULL, &err), 0);
	expect_words(ALWAYS SAYS "%s/source/\n%s/s7/\n", top, top);
	assert_int_equal(system("test $(wc -l <calls) = 3 && test s7/d/one -ef s7/d/two"), 0);
	expect_changes((const char *const[]){ "d", "d/two", NULL });
	if (system("rm source/d/two && setfattr -n user.x -v y source/d/one 2>/dev/null && touch "
		   "source/d/one") == 0) {
		assert_int_equal(fetch(&repo, "s7", NULL, &err), 0);
		assert_int_equal(system("getfattr -n user.x s7/d/one >getfattr.log 2>&1"), 0);
	}
	/* What rsync says cannot be read: then nothing can be concluded from it. */
	char *opts[] = { (char *)"--stats", NULL };
	repo.sync_opts = opts;
	assert_int_equal(fetch(&repo, "s7", NULL, &err), 0);
	expect_words(ALWAYS "--stats\n--\n%s/source/\n%s/s7/\n", top, top);
	plain = false;
	changes_release(&told);
	free(source);
}

static void test_which_transport(void **state)
{
	struct repo repo = { .name = (char *)"r",
			     .location = (char *)"/no/such",
			     .sync_type = (char *)"rsync" };
	struct err err = ERR_NONE;

	(void)state;
	assert_ptr_equal(transport_find(&repo, &err), &transport_rsync);
	repo.sync_type = (char *)"cvs";
	assert_null(transport_find(&repo, &err));
	assert_non_null(strstr(err.text, "r: [r] sync-type = cvs: none of command, git, "));
	err_clear(&err);
	repo.sync_type = NULL;
	assert_null(transport_find(&repo, &err));
	assert_string_equal(err.text, "r: [r] sync-type = : not set");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_arguments),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_ssh),
		cmocka_unit_test(test_options_of_the_user),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_which_transport),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tree_clone() and tree_diff(): trees that share their files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/tree/changes.h"
#include "helper/tree/tree.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

#define good(call)                                           \
	do {                                                 \
		struct err err = ERR_NONE;                   \
		if ((call) != 0)                             \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

static int enter(void **state)
{
	return scratch_make(state) == 0 && chdir(*state) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

static void run_ok(const char *command)
{
	assert_int_equal(system(command), 0);
}

static bool same_tree(const char *a, const char *b)
{
	struct err err = ERR_NONE;
	const int same = tree_same(AT_FDCWD, a, AT_FDCWD, b, &err);

	if (same < 0)
		fail_msg("%s", err.text);
	return same == 1;
}

/* What was found, a line each: "1 path". */
static int note_found(void *context, const char *path, enum tree_difference difference, struct err *err)
{
	char *line = alloc_printf("%d%s%s", (int)difference, path[0] != '\0' ? "/" : "", path);

	(void)err;
	changes_add(context, line, strlen(line));
	free(line);
	return 0;
}

static void expect_diff(const char *const *want)
{
	struct changes found = CHANGES_NONE;
	size_t count = 0;

	good(tree_diff(AT_FDCWD, "a", AT_FDCWD, "b", NULL, note_found, &found, &err));
	assert_false(found.unknown);
	changes_sort(&found);
	while (want[count] != NULL)
		count++;
	for (size_t i = 0; i < found.count && i < count; i++)
		assert_string_equal(found.paths[i], want[i]);
	assert_int_equal(found.count, count);
	changes_release(&found);
}

static void expect_nothing(void)
{
	expect_diff((const char *const[]){ NULL });
}

static void test_kinds(void **state)
{
	(void)state;
	run_ok("mkdir -p a/d/e a/empty; echo x > a/d/f; : > a/d/nothing; ln a/d/f a/d/e/again;"
	       "ln -s nowhere a/d/l; mkfifo a/d/p; truncate -s 100M a/d/sparse; chmod 4751 a/d/f;"
	       "chmod 1705 a/d/e; touch -d @1000000000.123456789 a/d/f a/d/e a/d a");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	expect_nothing();
	run_ok("test $(stat -c %i a/d/p) = $(stat -c %i b/d/p) && test $(stat -c %i a/d/l) = $(stat -c %i "
	       "b/d/l) &&"
	       "test \"$(stat -c %y%a a/d/e)\" = \"$(stat -c %y%a b/d/e)\"");
}

/* P18 */
static void test_directory_metadata(void **state)
{
	(void)state;
	scratch_need_root();
	run_ok("mkdir -p a/d; : > a/d/f; chown 12:34 a/d");
	if (system("setfattr -n user.k -v v a/d && setfacl -m u:55:rx,d:u:56:rwx a/d") != 0)
		skip_test("no ACLs and xattrs here");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	run_ok("getfattr -d b/d | grep -q user.k && getfacl -n b/d 2>/dev/null | grep -q "
	       "default:user:56:rwx");
	run_ok("setfattr -n user.k -v w b/d");
	expect_diff((const char *const[]){ "3/d", NULL });
	run_ok("setfattr -n user.k -v v b/d; chown 12:35 b/d");
	expect_diff((const char *const[]){ "3/d", NULL });
}

static void test_many(void **state)
{
	(void)state;
	run_ok("for i in $(seq 60); do mkdir -p a/$i/x/y; for j in 1 2 3; do : > a/$i/$j; : > a/$i/x/$j; "
	       "done; done");
	run_ok("mkdir a/wide; cd a/wide; seq 3000 | xargs touch");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	expect_nothing();
}

static void test_differences(void **state)
{
	(void)state;
	run_ok("mkdir -p a/d/e a/gone/in a/kind; echo x > a/d/f; echo y > a/d/g; echo z > a/gone/in/f; echo "
	       "k > a/turned");
	run_ok("touch -d @1000000000 a/d/e a/d a/gone/in a/gone a/kind a");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	expect_nothing();
	run_ok("echo x > b/new; mv b/new b/d/f; touch -d @1000000000 b/d b");
	expect_diff((const char *const[]){ "2/d/f", NULL });
	run_ok("rm -r b/gone; mkdir b/fresh; : > b/fresh/f; rmdir b/kind; : > b/kind; rm b/turned; mkdir "
	       "b/turned;"
	       ": > b/turned/within; touch -d @1000000001 b");
	expect_diff((const char *const[]){ "0/gone", "0/gone/in", "0/gone/in/f", "1/fresh", "1/fresh/f",
					   "1/turned/within", "2/d/f", "2/kind", "2/turned", "3", NULL });
}

/* b was a once; whatever became of both, it is again, and shares what it shared. */
static void test_forward(void **state)
{
	struct changes within = CHANGES_NONE;

	(void)state;
	run_ok("mkdir -p a/d/e a/gone/in a/kind a/same; echo x > a/d/f; echo y > a/d/g; echo z > a/gone/in/f;"
	       "echo k > a/turned; : > a/same/s");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	run_ok("echo n > n; mv n a/d/f; rm -r a/gone; mkdir -p a/fresh/in; echo f > a/fresh/in/f; rmdir "
	       "a/kind;"
	       ": > a/kind; rm a/turned; mkdir a/turned; echo w > a/turned/within; chmod 711 a/d/e; ln -s d "
	       "a/l;"
	       "touch -d @1000000000.5 a/d a/fresh/in a");
	good(tree_forward(AT_FDCWD, "b", AT_FDCWD, "a", NULL, &err));
	expect_nothing();
	assert_true(same_tree("a", "b"));
	/* Only what is named is looked at; what is not right there is seen. */
	run_ok("echo o > n; mv n a/d/f; echo p > n; mv n a/same/s");
	changes_add(&within, "d/f", 3);
	changes_sort(&within);
	good(tree_forward(AT_FDCWD, "b", AT_FDCWD, "a", &within, &err));
	expect_diff((const char *const[]){ "2/same/s", "3/same", NULL });
	changes_release(&within);
	run_ok("rm -r b && cp -al a b");
	/* By names alone: of what is new or gone as a whole its top, or all. */
	run_ok("echo n > n; mv n a/d/f; rm -r a/fresh; mkdir -p a/deep/er/est; echo f > a/deep/er/est/f; ln "
	       "-s x "
	       "a/deep/l; rm a/turned/within; rmdir a/turned; ln -s d a/turned; rm a/kind; mkdir a/kind; : > "
	       "a/kind/f; chmod 700 a/d/e; touch -d @1000000000.25 a/d a/deep/er a; : > a/d/h");
	static const char *const names[] = { "d/f",     "d/e",   "d/h",      "fresh/in/f", "turned/within",
					     "deep/er", "fresh", "kind",     "turned",     "deep/l",
					     "none/of", "d/g",   "same/none" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		changes_add(&within, names[i], strlen(names[i]));
	changes_sort(&within);
	good(tree_forward(AT_FDCWD, "b", AT_FDCWD, "a", &within, &err));
	changes_release(&within);
	expect_nothing();
	assert_true(same_tree("a", "b"));
	/* P17: the change time of what stays is as it was. */
	run_ok("stat -c %z b/d/g > before; echo q > n; mv n a/d/f");
	good(tree_forward(AT_FDCWD, "b", AT_FDCWD, "a", NULL, &err));
	expect_nothing();
	run_ok("stat -c %z b/d/g | cmp - before");
}

static int stop_there(void *context, const char *path, enum tree_difference difference, struct err *err)
{
	(void)context;
	(void)path;
	(void)difference;
	return err_fail(err, STATUS_FAILED, "test", "stop there");
}

static void test_stop(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	run_ok("mkdir a b; : > b/f");
	assert_int_equal(tree_diff(AT_FDCWD, "a", AT_FDCWD, "b", NULL, stop_there, NULL, &err), -1);
	assert_string_equal(err.text, "test: stop there");
}

static void test_failures(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	scratch_need_root();
	run_ok("mkdir -p a/d/m a/d/n; : > a/d/f; mkdir b");
	assert_int_equal(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err), -1);
	assert_non_null(strstr(err.text, "cannot make this directory"));
	err_clear(&err);
	scratch_mount("a/d/m", "");
	assert_int_equal(tree_clone(AT_FDCWD, "a", AT_FDCWD, "c", &err), -1);
	assert_non_null(strstr(err.text, "something is mounted on d/m"));
	assert_int_equal(umount("a/d/m"), 0);
}

/* A link that cannot be made (EXDEV) is a copy. */
static void test_copies(void **state)
{
	(void)state;
	scratch_need_root();
	scratch_mount("there", "");
	run_ok("mkdir -p a/d; echo text > a/d/f; ln -s f a/d/l; mkfifo a/d/p; touch -d @1000000000 a/d/f "
	       "a/d");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "there/b", &err));
	assert_true(same_tree("a", "there/b"));
	assert_int_equal(umount("there"), 0);
}

/* Has as many more names in `links` as it may have, but for `spare`; false: there is no end. */
static bool link_up(const char *file, unsigned spare)
{
	char name[32];

	assert_int_equal(mkdir("links", 0755), 0);
	for (unsigned made = 0; made < 70000; made++) {
		snprintf(name, sizeof(name), "links/%u", made);
		if (link(file, name) == 0)
			continue;
		assert_int_equal(errno, EMLINK);
		while (spare-- > 0) {
			snprintf(name, sizeof(name), "links/%u", spare);
			assert_int_equal(unlink(name), 0);
		}
		return true;
	}
	return false;
}

/* Names of one file are names of one file in the clone, also where some of them can be linked, and the others cannot. */
static void test_too_many_links(void **state)
{
	(void)state;
	run_ok("mkdir -p a/d/e a/r; echo x > a/one; ln a/one a/d/one; ln a/one a/d/e/one; ln a/one a/r/one; "
	       "echo y > a/two;"
	       "ln a/two a/d/two; setfattr -n user.k -v v a/one; chmod 555 a/r;"
	       "touch -d @1000000000.5 a/one a/d/e a/d a/r a");
	if (!link_up("a/one", 2))
		skip_test("no limit on links here");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	run_ok("test b/one -ef b/r/one && test b/d/one -ef b/d/e/one && test b/one -ef b/d/one && ! test "
	       "a/one -ef b/one");
	run_ok("test a/two -ef b/d/two && test $(stat -c %h b/one) = 4 && getfattr -d b/one | grep -q "
	       "user.k");
}

/* A directory is nobody else's before it is what it will be: whatever the mode of its parent. */
static void test_modes(void **state)
{
	(void)state;
	run_ok("mkdir -p a/open/closed/in a/open/sticky a/open/group a/closed/open; : > a/open/closed/f;"
	       "chmod 700 a/open/closed a/closed; chmod 1777 a/open/sticky; chmod 2750 a/open/group; chmod "
	       "777 "
	       "a/closed/open a/open");
	if (geteuid() == 0)
		run_ok("chown 12:34 a/open/group a/closed/open");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	/* What the clone's parent gives on to all that is made in it does not stay. */
	if (system("mkdir given && setfacl -m d:u:56:rwx given") == 0) {
		good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "given/b", &err));
		assert_true(same_tree("a", "given/b"));
	}
}

/* Each level has two directories, and more levels than descriptors by default. */
static void test_deep(void **state)
{
	(void)state;
	run_ok("mkdir a; cd a; for i in $(seq 700); do mkdir x y && cd -P x || exit; done");
	good(tree_clone(AT_FDCWD, "a", AT_FDCWD, "b", &err));
	assert_true(same_tree("a", "b"));
	expect_nothing();
}

#define branch_test(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		branch_test(test_kinds),          branch_test(test_directory_metadata),
		branch_test(test_many),           branch_test(test_differences),
		branch_test(test_forward),        branch_test(test_stop),
		branch_test(test_failures),       branch_test(test_copies),
		branch_test(test_too_many_links), branch_test(test_modes),
		branch_test(test_deep),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

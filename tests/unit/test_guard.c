/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's text, and what becomes of an overlay's upper layer. That the guard holds is for tests/cli/guard.bats. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/guard_text.h"
#include "helper/programs/guard_apply.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

static struct err err;

static int enter(void **state)
{
	return scratch_make(state) == 0 ? chdir(*state) : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

#define here_test(function) cmocka_unit_test_setup_teardown(function, enter, leave)

static void test_text(void **state)
{
	static const char *const bad[] = {
		"",           "1:2:3:4:a",   ":1:2:3:4",         ":1:2:3:4:",
		":1:2:3:4:.", ":1:2:3:4:..", ":1:2:3:4:a/b",     ":1:2:3:g:a",
		":1:0:3:4:a", ":1:2:3:0:a",  ":1:2:3:4:.hidden",
	};
	struct guard_text in = { { 0xfe01, UINT64_MAX }, { 1, 2 }, "6b03.guard" }, out;
	char text[GUARD_TEXT_ROOM], longest[GUARD_TEXT_ROOM + 2];

	(void)state;
	size_t length = guard_text_format(&in, text);
	assert_int_equal(length, strlen(text));
	assert_string_equal(text, ":fe01:ffffffffffffffff:1:2:6b03.guard");
	assert_true(guard_text_parse(text, &out));
	assert_int_equal(out.staging.device, 0xfe01);
	assert_true(out.staging.inode == UINT64_MAX);
	assert_int_equal(out.snapshots.inode, 2);
	assert_string_equal(out.scratch, "6b03.guard");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(guard_text_parse(bad[i], &out));
	snprintf(longest, sizeof(longest), ":1:2:3:4:%0*d", GUARD_SCRATCH_MAX, 1);
	assert_true(guard_text_parse(longest, &out));
	memcpy(longest + strlen(longest), "1", 2);
	assert_false(guard_text_parse(longest, &out));
}

/* A layer and a tree that it was mounted with. */
static void make_tree(void)
{
	scratch_mkdir("tree/same");
	scratch_mkdir("tree/gone/below");
	scratch_mkdir("tree/hidden/both");
	scratch_write("tree/same/file", "old");
	scratch_write("tree/same/untouched", "old");
	scratch_write("tree/gone/below/file", "old");
	scratch_write("tree/hidden/both/old", "old");
	scratch_write("tree/hidden/old", "old");
	scratch_write("tree/removed", "old");
	scratch_mkdir("layer/same");
	scratch_mkdir("layer/hidden/both");
}

static void whiteout(const char *path)
{
	if (mknod(path, S_IFCHR, 0) != 0)
		skip_test("no device node can be made here: not root");
}

static void mark(const char *path, const char *attribute, const char *value)
{
	if (setxattr(path, attribute, value, strlen(value), 0) != 0)
		skip_test("no attribute of an overlay can be set here: not root");
}

static void expect_text(const char *path, const char *text)
{
	char *got = scratch_read(path);

	assert_non_null(got);
	assert_string_equal(got, text);
	free(got);
}

static bool has(const char *path, const char *attribute)
{
	return getxattr(path, attribute, NULL, 0) >= 0;
}

static struct changes apply(void)
{
	struct changes changes = CHANGES_NONE;

	err_clear(&err);
	if (layer_apply(AT_FDCWD, "layer", AT_FDCWD, "tree", &changes, &err) != 0)
		fail_msg("%s", err.text);
	assert_false(changes.unknown);
	changes_sort(&changes);
	return changes;
}

static void expect(struct changes *changes, const char *const *want)
{
	for (size_t i = 0; i < changes->count; i++) {
		assert_non_null(want[i]);
		assert_string_equal(changes->paths[i], want[i]);
	}
	assert_null(want[changes->count]);
	changes_release(changes);
}

static void test_apply(void **state)
{
	static const char *const want[] = {
		"",           "gone", "hidden",  "hidden/both", "hidden/both/new", "hidden/both/old",
		"hidden/old", "new",  "removed", "same",        "same/file",       NULL
	};
	const struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	struct stat st;

	(void)state;
	make_tree();
	scratch_write("layer/same/file", "new");
	mark("layer/same", "user.overlay.impure", "y");
	mark("layer/same/file", "user.overlay.origin", "o");
	mark("layer/same/file", "user.mine", "m");
	mark("layer/hidden", "user.overlay.opaque", "y");
	scratch_write("layer/hidden/both/new", "new");
	whiteout("layer/removed");
	whiteout("layer/gone");
	whiteout("layer/never-there");
	scratch_mkdir("layer/new/deep");
	mark("layer/new/deep", "user.overlay.opaque", "y");
	scratch_write("layer/new/deep/file", "new");
	whiteout("layer/new/deep/none");
	assert_int_equal(chmod("layer/same", 0700), 0);
	assert_int_equal(utimensat(AT_FDCWD, "layer/same", times, 0), 0);

	struct changes changes = apply();
	expect(&changes, want);
	expect_text("tree/same/file", "new");
	expect_text("tree/same/untouched", "old");
	expect_text("tree/new/deep/file", "new");
	expect_text("tree/hidden/both/new", "new");
	assert_false(scratch_exists("tree/hidden/old") || scratch_exists("tree/hidden/both/old"));
	assert_false(scratch_exists("tree/gone") || scratch_exists("tree/removed"));
	assert_false(scratch_exists("tree/never-there") || scratch_exists("tree/new/deep/none"));
	assert_false(has("tree/same", "user.overlay.impure") || has("tree/same/file", "user.overlay.origin"));
	assert_false(has("tree/new/deep", "user.overlay.opaque"));
	assert_true(has("tree/same/file", "user.mine"));
	assert_int_equal(stat("tree/same", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_mtim.tv_sec, 7);
	assert_int_equal(st.st_mtim.tv_nsec, 8);
}

/* A directory in the place of a file, and the other way round. */
static void test_kinds(void **state)
{
	static const char *const want[] = { "", "gone", "removed", NULL };

	(void)state;
	make_tree();
	assert_int_equal(rmdir("layer/same") | rmdir("layer/hidden/both") | rmdir("layer/hidden"), 0);
	scratch_write("layer/gone", "file");
	scratch_mkdir("layer/removed/in");
	struct changes changes = apply();
	expect(&changes, want);
	expect_text("tree/gone", "file");
	assert_true(scratch_exists("tree/removed/in"));
}

/* What a directory lost. */
static void test_attributes(void **state)
{
	(void)state;
	make_tree();
	mark("tree/same", "user.lost", "x");
	mark("tree/same", "user.kept", "x");
	mark("layer/same", "user.kept", "y");
	struct changes changes = apply();
	changes_release(&changes);
	assert_false(has("tree/same", "user.lost"));
	assert_true(has("tree/same", "user.kept"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		here_test(test_apply),
		here_test(test_kinds),
		here_test(test_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

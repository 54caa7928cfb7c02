/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/store/trust.h"
#include "tests/unit/scratch.h"

#define NOBODY ((uid_t)-1)
#define STRANGER 4711

static int trusts(const char *path, uid_t also)
{
	struct err err = ERR_NONE;
	int result = trust_path(path, also, &err);

	assert_true(result == 0 || err.status == STATUS_USAGE);
	return result == 0;
}

static void test_ours(void **state)
{
	const char *top = *state;
	char *path = alloc_printf("%s/a/b", top);

	assert_true(
		trusts(path, NOBODY)); /* nothing is there yet; the scratch directory is in a sticky /tmp */
	scratch_mkdir(path);
	assert_true(trusts(path, NOBODY));
	free(path);
}

static void test_others_may_write(void **state)
{
	const char *top = *state;
	char *path = alloc_printf("%s/open/store", top), *open_dir = alloc_printf("%s/open", top);

	scratch_mkdir(path);
	assert_int_equal(chmod(open_dir, 0777), 0);
	assert_false(trusts(path, NOBODY));
	assert_int_equal(chmod(open_dir, 01777), 0);
	assert_true(trusts(path, NOBODY));
	assert_false(trusts(open_dir, NOBODY)); /* as the store itself */
	assert_int_equal(chmod(open_dir, 0775), 0);
	assert_true(trusts(path, NOBODY) == (getegid() == 0));
	free(open_dir);
	free(path);
}

static void test_group_may_write(void **state)
{
	const char *top = *state;
	char *path = alloc_printf("%s/group/store", top), *group = alloc_printf("%s/group", top);

	scratch_need_root();
	scratch_mkdir(path);
	assert_int_equal(chown(group, 0, STRANGER), 0);
	assert_int_equal(chmod(group, 0775), 0);
	assert_false(trusts(path, NOBODY));
	assert_int_equal(chown(group, 0, 0), 0);
	assert_int_equal(chmod(group, 0775), 0);
	assert_true(trusts(path, NOBODY));
	free(group);
	free(path);
}

static void test_owned_by_a_stranger(void **state)
{
	const char *top = *state;
	char *path = alloc_printf("%s/theirs/store", top), *theirs = alloc_printf("%s/theirs", top);

	scratch_need_root();
	scratch_mkdir(path);
	assert_int_equal(chown(theirs, STRANGER, 0), 0);
	assert_false(trusts(path, NOBODY));
	assert_true(trusts(path, STRANGER)); /* the sync-user */
	assert_false(trusts(path, STRANGER + 1));
	free(theirs);
	free(path);
}

static void test_links_are_followed_and_checked(void **state)
{
	const char *top = *state;
	char *real = alloc_printf("%s/real/deep", top), *bad = alloc_printf("%s/bad", top);
	char *link = alloc_printf("%s/link", top), *via = alloc_printf("%s/link/../deep/./new", top);
	char *evil = alloc_printf("%s/bad/link", top), *loop = alloc_printf("%s/loop", top);

	scratch_mkdir(real);
	scratch_mkdir(bad);
	assert_int_equal(symlink(real, link), 0);
	assert_true(trusts(link, NOBODY));
	assert_true(trusts(via, NOBODY));
	assert_int_equal(symlink("../real/deep", evil), 0);
	assert_true(trusts(evil, NOBODY));
	assert_int_equal(chmod(bad, 0777), 0);
	assert_false(trusts(evil, NOBODY)); /* the link could be exchanged, though what it leads to is good */
	if (geteuid() == 0) {
		assert_int_equal(chmod(bad, 01777), 0);
		assert_true(trusts(evil, NOBODY));
		assert_int_equal(lchown(evil, STRANGER, 0), 0);
		assert_false(trusts(evil, NOBODY));
	}
	assert_int_equal(symlink("loop", loop), 0);
	assert_false(trusts(loop, NOBODY));
	free(real);
	free(bad);
	free(link);
	free(via);
	free(evil);
	free(loop);
}

static void test_a_file_is_no_directory(void **state)
{
	const char *top = *state;
	char *file = alloc_printf("%s/file", top);

	scratch_write(file, "x");
	assert_false(trusts(file, NOBODY));
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_ours),
		scratch_test(test_others_may_write),
		scratch_test(test_group_may_write),
		scratch_test(test_owned_by_a_stranger),
		scratch_test(test_links_are_followed_and_checked),
		scratch_test(test_a_file_is_no_directory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}

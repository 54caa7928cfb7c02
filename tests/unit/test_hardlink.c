/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/snapshot/storage.h"

static char root[64];
static struct store store = STORE_CLOSED;
static const struct storage *const storage = &storage_hardlink;

#define good(call)                                           \
	do {                                                 \
		struct err err = ERR_NONE;                   \
		if ((call) != 0)                             \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

/* Fails, and says `part`. */
#define bad(call, part)                                      \
	do {                                                 \
		struct err err = ERR_NONE;                   \
		assert_int_equal(call, -1);                  \
		if (strstr(err.text, part) == NULL)          \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

static int set_up(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	umask(077);
	snprintf(root, sizeof(root), "/tmp/rcu-hardlink.XXXXXX");
	if (mkdtemp(root) == NULL || chdir(root) != 0)
		return -1;
	char *path = alloc_printf("%s/store", root);
	int result = store_open(&store, path, STORE_CHANGE, true, &err);
	free(path);
	return result != 0 || chdir("store") != 0;
}

static int tear_down(void **state)
{
	char *command = alloc_printf("rm -rf -- %s", root);

	(void)state;
	store_close(&store);
	int result = chdir("/") != 0 || system(command) != 0;
	free(command);
	return result;
}

static void run_ok(const char *command)
{
	assert_int_equal(system(command), 0);
}

static bool is_there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static ino_t ino(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st.st_ino;
}

/* Snapshot 1 is the latest. */
static void make_snapshot(void)
{
	run_ok("mkdir -p snapshots/1/dir; echo one > snapshots/1/file; echo two > snapshots/1/dir/two;"
	       "ln snapshots/1/file snapshots/1/dir/again; ln -s file snapshots/1/link; ln -s snapshots/1 "
	       "latest;"
	       "touch -d @1000000000 snapshots/1/dir snapshots/1");
}

static char *in_staging(const struct staging *staging, const char *name)
{
	return alloc_printf(STORE_STAGING "/%s/%s", staging->id, name);
}

static bool shared(const struct staging *staging, const char *name)
{
	char *mine = in_staging(staging, name), *theirs = alloc_printf("snapshots/1/%s", name);
	bool result = ino(mine) == ino(theirs);

	free(mine);
	free(theirs);
	return result;
}

/* Seals the staging tree on top of `base`: does nothing differ? */
static bool seal(const struct staging *staging, uint64_t base)
{
	struct record record = RECORD_NONE;

	good(storage->seal(&store, staging, base, NULL, &record, &err));
	const bool empty = record_empty(&record);
	record_release(&record);
	return empty;
}

static int same(const struct staging *staging)
{
	struct err err = ERR_NONE;

	return storage->same(&store, staging, 1, &err);
}

static void test_stage_empty(void **state)
{
	struct staging staging[100];
	struct stat st;

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		good(storage->stage(&store, STAGE_EMPTY, &staging[i], &err));
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(staging[i].id, staging[other].id);
	}
	assert_int_equal(stat(staging[0].path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	char *path = alloc_printf("%s/" STORE_STAGING "/%s", store.path, staging[0].id);
	assert_string_equal(path, staging[0].path);
	free(path);
	for (size_t i = 0; i < 100; i++)
		staging_release(&staging[i]);
}

static void test_stage_a_copy(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	char *command = alloc_printf("diff -r --no-dereference snapshots/1 '%s'", staging.path);
	run_ok(command);
	free(command);
	assert_false(shared(&staging, "file"));
	assert_false(shared(&staging, "dir/two"));
	assert_false(shared(&staging, "link"));
	staging_release(&staging);
}

static void test_stage_a_copy_of_nothing(void **state)
{
	struct staging staging = STAGING_NONE;
	struct stat st;

	(void)state;
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	assert_int_equal(stat(staging.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(rmdir(staging.path), 0);
	staging_release(&staging);
}

static void test_failed_stage_leaves_nothing(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	run_ok(": > snapshots/7; ln -s snapshots/7 latest");
	bad(storage->stage(&store, STAGE_COPY, &staging, &err), "7");
	assert_null(staging.id);
	bad(storage->stage(&store, STAGE_BRANCH, &staging, &err), "7");
	assert_null(staging.id);
	run_ok("test $(ls -A " STORE_STAGING " | wc -l) = 0; rm snapshots/7");
	run_ok("rmdir " STORE_STAGING " && ln -s /tmp " STORE_STAGING);
	bad(storage->stage(&store, STAGE_EMPTY, &staging, &err), STORE_STAGING);
}

static void test_find(void **state)
{
	static const char *const wrong[] = { "",    ".",    "..",      "../trash", "../staging",
					     "a/b", "/etc", "nothing", "a b",      "file" };
	struct staging staging = STAGING_NONE, found = STAGING_NONE;

	(void)state;
	run_ok("mkdir -p " STORE_STAGING "/a/b; touch " STORE_STAGING "/file");
	good(storage->stage(&store, STAGE_EMPTY, &staging, &err));
	good(storage->find(&store, staging.id, &found, &err));
	assert_string_equal(found.id, staging.id);
	assert_string_equal(found.path, staging.path);
	staging_release(&found);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		bad(storage->find(&store, wrong[i], &found, &err), "there is no staging tree");
	staging_release(&staging);
}

static void test_same(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	assert_int_equal(same(&staging), 1);
	assert_false(shared(&staging, "file")); /* it only looks */
	assert_true(seal(&staging, 1));
	assert_int_equal(same(&staging), 1);
	assert_true(shared(&staging, "file"));
	assert_true(shared(&staging, "dir/two"));
	assert_true(shared(&staging, "dir/again"));
	run_ok("test $(ls -A " STORE_STAGING " | wc -l) = 1");
	char *name = in_staging(&staging, "dir/two");
	assert_int_equal(unlink(name), 0);
	free(name);
	assert_int_equal(same(&staging), 0);
	staging_release(&staging);
}

static void test_changed_shares_the_rest(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	char *command = alloc_printf("echo new > %s/dir/two", staging.path);
	run_ok(command);
	free(command);
	assert_int_equal(same(&staging), 0);
	assert_false(seal(&staging, 1));
	assert_int_equal(same(&staging), 0);
	assert_true(shared(&staging, "file"));
	assert_false(shared(&staging, "dir/two"));
	run_ok("test \"$(cat snapshots/1/dir/two)\" = two");
	bad(storage->same(&store, &staging, 9, &err), "9");
	struct record record = RECORD_NONE;
	bad(storage->seal(&store, &staging, 9, NULL, &record, &err), "9");
	staging_release(&staging);
}

static void test_publish(void **state)
{
	struct staging staging = STAGING_NONE, other = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	good(storage->settle(&store, &staging, &err));
	good(storage->publish(&store, &staging, 2, &err));
	assert_false(is_there(staging.path));
	run_ok("diff -r --no-dereference snapshots/1 snapshots/2");
	good(storage->stage(&store, STAGE_EMPTY, &other, &err));
	bad(storage->publish(&store, &other, 2, &err), "File exists");
	assert_true(is_there(other.path));
	assert_true(is_there("snapshots/2/file"));
	run_ok("mkdir snapshots/3"); /* an empty one, which a rename would replace */
	bad(storage->publish(&store, &other, 3, &err), "File exists");
	bad(storage->publish(&store, &staging, 4, &err), "No such file");
	staging_release(&staging);
	staging_release(&other);
}

static void test_discard(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	good(storage->discard(&store, &staging, &err));
	assert_false(is_there(staging.path));
	run_ok("test $(ls " STORE_TRASH " | wc -l) = 1");
	good(storage->discard(&store, &staging, &err));
	staging_release(&staging);
	run_ok("touch " STORE_STAGING "/left.link");
	staging.id = alloc_copy("left.link");
	good(storage->discard(&store, &staging, &err));
	run_ok("test $(ls " STORE_STAGING " | wc -l) = 0; test $(ls " STORE_TRASH " | wc -l) = 2");
	good(storage->empty_trash(&store, NULL, &err));
	run_ok("test $(ls -A " STORE_TRASH " | wc -l) = 0");
	staging_release(&staging);
}

static void test_reclaim(void **state)
{
	(void)state;
	make_snapshot();
	good(storage->reclaim(&store, 1, &err));
	assert_false(is_there("snapshots/1"));
	run_ok("test $(ls " STORE_TRASH " | wc -l) = 1; test -f " STORE_TRASH "/*/dir/two");
	bad(storage->reclaim(&store, 1, &err), "there is no snapshot 1");
	good(storage->empty_trash(&store, NULL, &err));
	run_ok("test $(ls -A " STORE_TRASH " | wc -l) = 0");
	good(storage->empty_trash(&store, NULL, &err));
}

/* Neither a link in trash nor one instead of it leads the deletion away. */
static void test_trash_is_not_left(void **state)
{
	(void)state;
	make_snapshot();
	run_ok("ln -s ../../snapshots " STORE_TRASH "/link");
	good(storage->empty_trash(&store, NULL, &err));
	assert_true(is_there("snapshots/1/file"));
	run_ok("rmdir " STORE_TRASH " && ln -s ../snapshots " STORE_TRASH);
	bad(storage->empty_trash(&store, NULL, &err), STORE_TRASH);
	assert_true(is_there("snapshots/1/file"));
}

static void test_measure(void **state)
{
	struct staging staging = STAGING_NONE;
	struct measure one, two;

	(void)state;
	make_snapshot();
	good(storage->measure(&store, 1, &one, &err));
	assert_int_equal(one.files, 4);
	assert_int_equal(one.own, one.bytes);
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	char *name = in_staging(&staging, "new");
	char *command = alloc_printf("head -c 100000 /dev/zero > %s", name);
	run_ok(command);
	free(command);
	free(name);
	assert_false(seal(&staging, 1));
	good(storage->publish(&store, &staging, 2, &err));
	good(storage->measure(&store, 1, &one, &err));
	good(storage->measure(&store, 2, &two, &err));
	/* Each has its own directories. */
	assert_true(one.own < one.bytes);
	assert_true(two.own >= 100000 && two.own - one.own == two.bytes - one.bytes);
	bad(storage->measure(&store, 3, &two, &err), "3");
	staging_release(&staging);
}

/* Who is not root may rename only directories that he may write to; one without permissions goes all the same. */
static void test_closed_trees(void **state)
{
	struct staging staging = STAGING_NONE;

	(void)state;
	make_snapshot();
	good(storage->stage(&store, STAGE_COPY, &staging, &err));
	run_ok("chmod 0 snapshots/1/dir snapshots/1");
	assert_int_equal(chmod(staging.path, 0500), 0);
	if (geteuid() == 0)
		run_ok("chown -R 65534:65534 . && chmod 755 ..");
	const bool was_root = geteuid() == 0;
	if (was_root)
		assert_int_equal(seteuid(65534), 0);
	good(storage->discard(&store, &staging, &err));
	good(storage->reclaim(&store, 1, &err));
	good(storage->empty_trash(&store, NULL, &err));
	if (was_root)
		assert_int_equal(seteuid(0), 0);
	assert_false(is_there("snapshots/1"));
	run_ok("test $(ls -A " STORE_TRASH " | wc -l) = 0");
	staging_release(&staging);
}

#define one(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		one(test_stage_empty),
		one(test_stage_a_copy),
		one(test_stage_a_copy_of_nothing),
		one(test_failed_stage_leaves_nothing),
		one(test_find),
		one(test_same),
		one(test_changed_shares_the_rest),
		one(test_publish),
		one(test_discard),
		one(test_reclaim),
		one(test_trash_is_not_left),
		one(test_measure),
		one(test_closed_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/hold.h"
#include "helper/store/lock.h"
#include "helper/store/readers.h"
#include "tests/unit/scratch.h"

static const struct reader *find(const struct readers *readers, pid_t pid)
{
	for (size_t i = 0; i < readers->count; i++)
		if (readers->list[i].pid == pid)
			return &readers->list[i];
	return NULL;
}

static void test_mapped_and_open(void **state)
{
	char *path = scratch_path(*state, "store");
	struct readers readers;
	struct err err = ERR_NONE;
	struct store store;

	scratch_open(&store, path);
	assert_int_equal(scratch_publish(&store, "1"), 1);
	assert_int_equal(scratch_publish(&store, "2"), 2);
	assert_int_equal(store_make_pins(&store, &err), 0);
	assert_int_equal(readers_find(&store, &readers, &err), 0);
	assert_int_equal(readers.count, 0);
	readers_release(&readers);

	pid_t second = scratch_reader(&store, 2, true), first = scratch_reader(&store, 1, false);
	assert_int_equal(readers_find(&store, &readers, &err), 0);
	assert_int_equal(readers.count, 2);
	/* by number, whatever the pids are */
	assert_int_equal(readers.list[0].pid, first);
	assert_int_equal(readers.list[1].pid, second);
	const struct reader *reader = find(&readers, second);
	assert_int_equal(reader->number, 2);
	assert_int_equal(reader->uid, getuid());
	assert_non_null(strstr(reader->command, "test_readers"));
	assert_true(reader->since > 1500000000 && reader->since <= time(NULL) + 2);
	readers_release(&readers);

	scratch_end(first);
	scratch_end(second);
	assert_int_equal(readers_find(&store, &readers, &err), 0);
	assert_int_equal(readers.count, 0);
	readers_release(&readers);
	store_close(&store);
	free(path);
}

/* A mapping of another store's pin with the same number is not ours. */
static void test_other_store(void **state)
{
	char *path = scratch_path(*state, "one"), *other_path = scratch_path(*state, "other");
	struct readers readers;
	struct err err = ERR_NONE;
	struct store store, other;

	scratch_open(&other, other_path);
	scratch_publish(&other, "1");
	assert_int_equal(store_make_pins(&other, &err), 0);
	store_unlock(&other);
	scratch_open(&store, path);
	scratch_publish(&store, "1");
	assert_int_equal(store_make_pins(&store, &err), 0);
	pid_t pid = scratch_reader(&other, 1, true);
	assert_int_equal(readers_find(&store, &readers, &err), 0);
	assert_int_equal(readers.count, 0);
	readers_release(&readers);
	assert_int_equal(readers_find(&other, &readers, &err), 0);
	assert_int_equal(readers.count, 1);
	readers_release(&readers);
	scratch_end(pid);
	store_close(&store);
	store_close(&other);
	free(path);
	free(other_path);
}

/* What we may not look into is counted. */
static void test_hidden(void **state)
{
	char *path = scratch_path(*state, "store");
	struct err err = ERR_NONE;
	struct store store;
	int status;

	scratch_need_root();
	scratch_open(&store, path);
	scratch_publish(&store, "1");
	assert_int_equal(store_make_pins(&store, &err), 0);
	pid_t root = scratch_reader(&store, 1, true);
	pid_t pid = fork();
	if (pid == 0) {
		struct readers readers;

		if (setgid(65534) != 0 || setuid(65534) != 0 || readers_find(&store, &readers, &err) != 0)
			_exit(1);
		_exit(find(&readers, root) != NULL || readers.hidden == 0 ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	scratch_end(root);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	store_close(&store);
	free(path);
}

static void test_store_without_pins(void **state)
{
	char *path = scratch_path(*state, "bare/snapshots/1");
	char *top = scratch_path(*state, "bare");
	struct readers readers;
	struct err err = ERR_NONE;
	struct store store = STORE_CLOSED;

	scratch_mkdir(path);
	assert_int_equal(store_open(&store, top, STORE_LOOK, false, &err), 0);
	assert_int_equal(readers_find(&store, &readers, &err), 0);
	assert_int_equal(readers.count, 0);
	readers_release(&readers);
	store_close(&store);
	free(path);
	free(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_mapped_and_open),
		scratch_test(test_other_store),
		scratch_test(test_hidden),
		scratch_test(test_store_without_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/snapshot/storage.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/reservation.h"
#include "tests/unit/scratch.h"

/* A process that holds the lock of `path` until it is killed; returns when it has it. */
static pid_t holder(const char *path, const char *command)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store store = STORE_CLOSED;
		struct err err = ERR_NONE;
		close(ready[0]);
		if (store_open(&store, path, STORE_CHANGE, false, &err) != 0 ||
		    store_lock(&store, command, false, &err) != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void reap(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int try_lock(const char *path, bool reserved, struct err *err)
{
	struct store store = STORE_CLOSED;

	*err = (struct err)ERR_NONE;
	assert_int_equal(store_open(&store, path, STORE_CHANGE, false, err), 0);
	int result = store_lock(&store, "test", reserved, err);
	assert_true((store.lock >= 0) == (result == 0));
	store_close(&store);
	return result;
}

/* P13: one writer. Who it is stands in the message; its death, of whatever kind, frees the lock. */
static void test_p13_busy_names_the_owner(void **state)
{
	struct err err;
	char *path = scratch_path(*state, "store");
	pid_t pid = holder(path, "rcu-repo sync gen\ntoo ; x");

	assert_int_equal(try_lock(path, false, &err), -1);
	assert_int_equal(err.status, STATUS_BUSY);
	char *who = alloc_printf("pid %d on ", (int)pid);
	assert_non_null(strstr(err.text, who));
	assert_non_null(strstr(err.text, "rcu-repo sync gen?too ? x"));
	assert_non_null(strstr(err.text, "since 2"));
	assert_int_equal(try_lock(path, true, &err), -1);
	reap(pid);
	assert_int_equal(try_lock(path, false, &err), 0);
	free(who);
	free(path);
}

static void test_the_text_of_a_dead_owner_is_not_believed(void **state)
{
	struct err err;
	char *path = scratch_path(*state, "store"), *file = scratch_path(*state, "store/" STORE_LOCK);

	reap(holder(path, "dead"));
	int fd = open(file, O_RDWR | O_CLOEXEC); /* locked by somebody who has not written yet: us */
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(try_lock(path, false, &err), -1);
	assert_int_equal(err.status, STATUS_BUSY);
	assert_null(strstr(err.text, "dead"));
	close(fd);
	free(file);
	free(path);
}

static void test_nobody_else_can_open_the_lock(void **state)
{
	struct err err;
	char *path = scratch_path(*state, "store"), *file = scratch_path(*state, "store/" STORE_LOCK);
	struct stat st;

	assert_int_equal(try_lock(path, false, &err), 0);
	assert_int_equal(chmod(file, 0666), 0);
	assert_int_equal(try_lock(path, false, &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	free(file);
	free(path);
}

static void test_the_lock_is_not_inherited_by_exec(void **state)
{
	struct store store;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_true((fcntl(store.lock, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(store.dir, F_GETFD) & FD_CLOEXEC) != 0);
	store_close(&store);
	free(path);
}

static bool staging_empty(const struct store *store)
{
	return unlinkat(store->dir, STORE_STAGING, AT_REMOVEDIR) == 0 &&
	       mkdirat(store->dir, STORE_STAGING, 0755) == 0;
}

static void test_staging_of_the_dead_goes_to_trash(void **state)
{
	struct staging staging = STAGING_NONE, reserved = STAGING_NONE;
	struct reservation reservation;
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	char *odd = scratch_path(path, STORE_STAGING "/x.link");
	scratch_write(odd, "left while a link was made");
	store_close(&store);
	scratch_open(&store, path);
	assert_false(scratch_exists(staging.path));
	assert_true(staging_empty(&store));

	/* One that is reserved stays, and keeps other writers out. */
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &reserved, &err), 0);
	assert_int_equal(reservation_write(&store, reserved.id, getpid(), &err), 0);
	store_close(&store);
	assert_int_equal(try_lock(path, false, &err), -1);
	assert_int_equal(err.status, STATUS_BUSY);
	assert_non_null(strstr(err.text, "rcu-repo begin"));
	err_clear(&err);
	scratch_open(&store, path);
	assert_true(scratch_exists(reserved.path));
	assert_int_equal(reservation_read(&store, &reservation, &err), 0);
	assert_string_equal(reservation.staging, reserved.id);
	reservation_release(&reservation);
	assert_int_equal(reservation_remove(&store, &err), 0);
	store_close(&store);
	assert_int_equal(try_lock(path, false, &err), 0);
	assert_false(scratch_exists(reserved.path));
	staging_release(&staging);
	staging_release(&reserved);
	free(odd);
	free(path);
}

/* Dead pin files, a snapshot without times, missing pin files: all mended by the next lock. */
static void test_recovery(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	struct meta meta;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	scratch_publish(&store, "y");
	assert_int_equal(renameat(store.dir, STORE_PINS "/1", store.dir, STORE_PINS "/1" PIN_DEAD), 0);
	assert_int_equal(meta_remove(&store, 1, &err), 0);
	assert_int_equal(unlinkat(store.dir, STORE_PINS "/2", 0), 0);
	store_close(&store);
	scratch_open(&store, path);
	assert_true(store_has(&store, STORE_PINS "/1"));
	assert_false(store_has(&store, STORE_PINS "/1" PIN_DEAD));
	assert_true(store_has(&store, STORE_PINS "/2"));
	assert_int_equal(meta_read(&store, 1, &meta, &err), 0);
	assert_true(meta.retired > 0);
	assert_int_equal(meta_read(&store, 2, &meta, &err), 0);
	assert_int_equal(meta.retired, 0);
	store_close(&store);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_p13_busy_names_the_owner),
		scratch_test(test_the_text_of_a_dead_owner_is_not_believed),
		scratch_test(test_nobody_else_can_open_the_lock),
		scratch_test(test_the_lock_is_not_inherited_by_exec),
		scratch_test(test_staging_of_the_dead_goes_to_trash),
		scratch_test(test_recovery),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

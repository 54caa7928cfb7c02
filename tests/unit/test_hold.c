/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hold.h"
#include "core/names.h"
#include "tests/unit/skip.h"

static char store[] = "/tmp/rcu-hold-XXXXXX";
static int store_dir;

static int build(void **state)
{
	(void)state;
	signal(SIGIO, SIG_IGN); /* a lease that is broken sends it */
	assert_non_null(mkdtemp(store));
	store_dir = open(store, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(store_dir >= 0);
	assert_int_equal(mkdirat(store_dir, STORE_SNAPSHOTS, 0755), 0);
	assert_int_equal(mkdirat(store_dir, STORE_OURS, 0755), 0);
	assert_int_equal(mkdirat(store_dir, STORE_PINS, 0755), 0);
	assert_int_equal(mkdirat(store_dir, STORE_SNAPSHOTS "/1", 0755), 0);
	close(openat(store_dir, STORE_PINS "/1", O_CREAT | O_WRONLY, 0644));
	close(openat(store_dir, STORE_PINS "/2", O_CREAT | O_WRONLY, 0644));
	return 0;
}

static int destroy(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", store);
	return system(command);
}

/* What the reclaimer asks: 1 if somebody holds the pin of snapshot 1. */
static int held(void)
{
	int fd = openat(store_dir, STORE_PINS "/1", O_RDONLY | O_CLOEXEC);
	int result = fcntl(fd, F_SETLEASE, F_WRLCK);
	int error = errno;

	assert_true(fd >= 0);
	close(fd);
	if (result == 0)
		return 0;
	assert_int_equal(error, EAGAIN);
	return 1;
}

static void test_take(void **state)
{
	(void)state;
	assert_int_equal(held(), 0);
	int fd = hold_take(store_dir, 1);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(held(), 1);
	hold_drop(fd);
	assert_int_equal(held(), 0);
	assert_int_equal(hold_take(store_dir, 2), -ENOENT); /* a pin file, but no snapshot */
	assert_int_equal(hold_take(store_dir, 3), -ENOENT);
}

static void test_take_while_a_reclaimer_asks(void **state)
{
	int lease = openat(store_dir, STORE_PINS "/1", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(fcntl(lease, F_SETLEASE, F_WRLCK), 0);
	assert_int_equal(hold_take(store_dir, 1), -EAGAIN);
	assert_int_not_equal(fcntl(lease, F_GETLEASE), F_WRLCK); /* and the reclaimer sees it */
	close(lease);
}

/* The mapping holds the pin: with every descriptor closed, over fork, until the last process dies of whatever. */
static void test_map(void **state)
{
	int ready[2];
	pid_t grandchild = 0;
	struct statfs fs;
	char byte;

	(void)state;
	if (fstatfs(store_dir, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC)
		skip_test("on overlayfs a lease does not count mappings: rcu-repo(7)");
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = hold_take(store_dir, 1);

		if (fd < 0 || hold_map(fd, 1) != 0)
			_exit(1);
		dup2(ready[1], 0);
		close_range(1, ~0u, 0);
		if (fork() == 0) {
			grandchild = getpid();
			if (write(0, &grandchild, sizeof(grandchild)) != sizeof(grandchild))
				_exit(1);
			for (;;)
				pause();
		}
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(held(), 1); /* the grandchild's: it has fd 0 and the mapping */

	assert_int_equal(kill(grandchild, SIGKILL), 0);
	assert_int_equal(read(ready[0], &byte, 1), 0); /* its end of the pipe is gone: it is dead */
	for (int i = 0; i < 1000 && held(); i++)
		usleep(1000); /* the mapping goes after the descriptors, in the same exit */
	assert_int_equal(held(), 0);
}

static void test_pass(void **state)
{
	(void)state;
	int fd = hold_pass(hold_take(store_dir, 1));
	assert_true(fd >= HOLD_FROM);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(held(), 1);
	hold_drop(fd);
	assert_int_equal(held(), 0);
	hold_drop(-1);

	struct rlimit old, low;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	fd = hold_pass(hold_take(store_dir, 1));
	assert_true(fd >= 3 && fd < 64);
	hold_drop(fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static void test_pin_renamed_away(void **state)
{
	(void)state;
	assert_int_equal(renameat(store_dir, STORE_PINS "/1", store_dir, STORE_PINS "/1.dead"), 0);
	assert_int_equal(hold_take(store_dir, 1), -ENOENT);
	assert_int_equal(renameat(store_dir, STORE_PINS "/1.dead", store_dir, STORE_PINS "/1"), 0);
	assert_int_equal(symlinkat("1", store_dir, STORE_PINS "/9"), 0);
	assert_int_equal(hold_take(store_dir, 9),
			 -ELOOP); /* a link where a pin should be is never followed */
}

/* Identities are those of the store, the snapshot and the pin file, and only that file is the pin. */
static void test_identify(void **state)
{
	struct handover handover = { .fd = -1 };
	struct stat st;

	(void)state;
	assert_int_equal(hold_identify(&handover, store_dir, 2), -ENOENT);
	assert_int_equal(hold_identify(&handover, store_dir, 1), 0);
	assert_int_equal(stat(store, &st), 0);
	assert_true(handover.store.inode == st.st_ino && handover.store.device == st.st_dev);
	assert_int_equal(fstatat(store_dir, STORE_SNAPSHOTS "/1", &st, 0), 0);
	assert_true(handover.root.inode == st.st_ino && handover.root.device == st.st_dev);

	int pin = hold_take(store_dir, 1);
	int other = openat(store_dir, STORE_PINS "/2", O_RDONLY | O_CLOEXEC);
	assert_true(pin >= 0 && other >= 0);
	assert_true(hold_is_pin(&handover, pin));
	assert_false(hold_is_pin(&handover, other));
	assert_false(hold_is_pin(&handover, -1));
	pin = hold_keep(pin);
	assert_true(pin >= HOLD_FROM);
	assert_int_equal(fcntl(pin, F_GETFD), FD_CLOEXEC);
	assert_true(hold_is_pin(&handover, pin));
	hold_drop(pin);
	assert_false(hold_is_pin(&handover, pin));
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),     cmocka_unit_test(test_take_while_a_reclaimer_asks),
		cmocka_unit_test(test_map),      cmocka_unit_test(test_pass),
		cmocka_unit_test(test_identify), cmocka_unit_test(test_pin_renamed_away),
	};

	return cmocka_run_group_tests(tests, build, destroy);
}

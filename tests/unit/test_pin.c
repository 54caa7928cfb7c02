/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/hold.h"
#include "helper/base/alloc.h"
#include "helper/store/lock.h"
#include "helper/store/pin.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "tests/unit/scratch.h"

static void find(const char *location, const char *wanted)
{
	struct err err = ERR_NONE;
	char *store;

	if (pin_find_store(location, &store, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(store, wanted);
	free(store);
}

static void find_fails(const char *location, const char *why)
{
	struct err err = ERR_NONE;
	char *store;

	assert_int_equal(pin_find_store(location, &store, &err), -1);
	assert_null(store);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void link_to(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

static void test_links_are_followed_one_by_one(void **state)
{
	struct store store;
	char *path = scratch_path(*state, "real\n/store"), *parent = scratch_path(*state, "parent");
	char *a = scratch_path(*state, "a"), *b = scratch_path(*state, "b"),
	     *latest = scratch_path(*state, "latest");
	char *real = scratch_path(*state, "real\n"), *via = scratch_path(*state, "parent/store/latest");
	char *direct = scratch_path(*state, "real\n/store/latest/"),
	     *dots = scratch_path(*state, "parent/../b//");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	store_close(&store);
	link_to(real, parent);
	link_to(via, a);      /* absolute, through a parent that is a link */
	link_to("./a", b);    /* relative, to a link */
	link_to("b", latest); /* called latest, but not the store's */
	find(a, path);
	find(b, path);
	find(latest, path);
	find(via, path);
	find(direct, path);
	find(dots, path);
	free(path);
	free(parent);
	free(a);
	free(b);
	free(latest);
	free(real);
	free(via);
	free(direct);
	free(dots);
}

static void test_what_is_no_location(void **state)
{
	struct store store;
	char *path = scratch_path(*state, "store"), *missing = scratch_path(*state, "missing");
	char *dangling = scratch_path(*state, "dangling"), *file = scratch_path(*state, "file");
	char *loop = scratch_path(*state, "loop"), *elsewhere = scratch_path(*state, "elsewhere");
	char *inside = scratch_path(*state, "store/latest/sub"), *below = scratch_path(*state, "file/x");
	char *fixed = scratch_path(*state, "fixed");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	store_close(&store);
	scratch_write(file, "x");
	link_to("missing", dangling);
	link_to("loop", loop);
	link_to(path, elsewhere);
	link_to("store/snapshots/1", fixed);
	find_fails(missing, "does not exist");
	find_fails(dangling, "dangling");
	find_fails(file, "is a file");
	find_fails(path, "is a directory");
	find_fails(loop, "Too many levels");
	find_fails(elsewhere, "leads elsewhere");
	find_fails(fixed, "leads elsewhere");
	find_fails(inside, "inside a snapshot");
	find_fails(below, "Not a directory");
	free(path);
	free(missing);
	free(dangling);
	free(file);
	free(loop);
	free(elsewhere);
	free(inside);
	free(below);
	free(fixed);
}

static void test_take_latest_and_a_number(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	struct pin pin, other;
	char *path = scratch_path(*state, "store"), *location = scratch_path(*state, "location");
	char *target = scratch_path(*state, "store/latest"), *slashes = scratch_path(*state, "location///");

	scratch_open(&store, path);
	link_to(target, location);
	assert_int_equal(pin_take(&pin, location, 0, &err), -1); /* nothing is published */
	err_clear(&err);
	scratch_publish(&store, "x");
	scratch_publish(&store, "y");
	assert_int_equal(pin_take(&pin, slashes, 0, &err), 0);
	assert_string_equal(pin.location, location);
	assert_int_equal(pin.number, 2);
	assert_true(pin.fd >= 0 && (fcntl(pin.fd, F_GETFD) & FD_CLOEXEC) != 0);
	char *snapshot = scratch_path(path, "snapshots/2");
	assert_string_equal(pin.snapshot, snapshot);
	assert_int_equal(reclaim_pinned(&store, 2, &err), 1);
	assert_int_equal(chdir(*state), 0);
	assert_int_equal(pin_take(&other, "location", 1, &err), 0);
	assert_string_equal(other.location, location);
	assert_int_equal(other.number, 1);
	pin_release(&other);
	assert_int_equal(chdir("/"), 0);
	pin_release(&pin);
	assert_int_equal(reclaim_pinned(&store, 2, &err), 0);
	assert_int_equal(pin_take(&pin, location, 7, &err), -1);
	assert_non_null(strstr(err.text, "there is no snapshot 7; there are: 1, 2"));
	store_close(&store);
	free(snapshot);
	free(path);
	free(location);
	free(target);
	free(slashes);
}

/* A store that Portage made: no .rcu-repo in it. */
static void make_portages(const char *path)
{
	char *snapshot = scratch_path(path, "snapshots/3"), *latest = scratch_path(path, "latest");

	scratch_mkdir(snapshot);
	link_to("snapshots/3", latest);
	free(snapshot);
	free(latest);
}

static void test_a_store_that_portage_made(void **state)
{
	struct err err = ERR_NONE;
	struct pin pin;
	char *path = scratch_path(*state, "store"), *latest = scratch_path(*state, "store/latest");
	char *ours = scratch_path(*state, "store/.rcu-repo");
	int status;

	scratch_need_root();
	assert_int_equal(chmod(*state, 0755), 0);
	make_portages(path);
	/* Who may not write there is redirected, but does not hold it. */
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(4711) != 0 || setuid(4711) != 0)
			_exit(2);
		_exit(pin_take(&pin, latest, 0, &err) == 0 && pin.fd == -1 && pin.number == 3 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(scratch_exists(ours));
	assert_int_equal(pin_take(&pin, latest, 0, &err), 0);
	assert_true(pin.fd >= 0 && scratch_exists(ours));
	pin_release(&pin);
	/* What Portage publishes next can be pinned by anybody. */
	pid = fork();
	if (pid == 0) {
		char *next = scratch_path(path, "snapshots/4");
		scratch_mkdir(next);
		if (unlink(latest) != 0 || symlink("snapshots/4", latest) != 0 || setgid(4711) != 0 ||
		    setuid(4711) != 0)
			_exit(2);
		_exit(pin_take(&pin, latest, 0, &err) == 0 && pin.fd >= 0 && pin.number == 4 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(path);
	free(latest);
	free(ours);
}

/* Root reads somebody else's store, and writes nothing to it. */
static void test_root_does_not_write_to_a_strangers_store(void **state)
{
	struct err err = ERR_NONE;
	struct pin pin;
	char *path = scratch_path(*state, "store"), *latest = scratch_path(*state, "store/latest");
	char *ours = scratch_path(*state, "store/.rcu-repo");

	scratch_need_root();
	make_portages(path);
	assert_int_equal(chown(path, 4711, 4711), 0);
	assert_int_equal(pin_take(&pin, latest, 0, &err), 0);
	assert_int_equal(pin.fd, -1);
	assert_false(scratch_exists(ours));
	pin_release(&pin);
	free(path);
	free(latest);
	free(ours);
}

static void test_a_pin_file_that_a_dead_reclaimer_took_away(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	struct pin pin;
	char *path = scratch_path(*state, "store"), *latest = scratch_path(*state, "store/latest");

	scratch_open(&store, path);
	scratch_publish(&store, "x");
	scratch_publish(&store, "y");
	assert_int_equal(renameat(store.dir, STORE_PINS "/1", store.dir, STORE_PINS "/1" PIN_DEAD), 0);
	assert_int_equal(pin_take(&pin, latest, 1, &err),
			 -1); /* the lock is taken: it may come back, or not */
	assert_non_null(strstr(err.text, "being reclaimed"));
	err_clear(&err);
	store_close(&store);
	assert_int_equal(pin_take(&pin, latest, 1, &err), 0); /* mended by taking the lock */
	assert_true(pin.fd >= 0);
	pin_release(&pin);
	free(latest);
	free(path);
}

/* ---- readers against a writer that publishes and reclaims as fast as it can ---- */

#define READERS 6
#define PUBLICATIONS 400

struct shared {
	volatile int stop;
	volatile unsigned long pins[READERS], violations[READERS], failures[READERS];
};

static void read_on(const char *location, struct shared *shared, unsigned me)
{
	while (!shared->stop) {
		struct err err = ERR_NONE;
		struct pin pin;
		if (pin_take(&pin, location, 0, &err) != 0 || pin.fd < 0) {
			shared->failures[me]++;
			continue;
		}
		/* Half of them hold it by the mapping alone. */
		if (me % 2 == 0 && hold_map(pin.fd, pin.number) == 0) {
			hold_drop(pin.fd);
			pin.fd = -1;
		}
		char *file = alloc_printf("%s/version", pin.snapshot);
		for (unsigned look = 0; look < 1 + shared->pins[me] % 7; look++) {
			if (access(file, F_OK) != 0)
				shared->violations[me]++;
			sched_yield();
		}
		free(file);
		pin_release(&pin);
		shared->pins[me]++;
		if (me % 2 == 0 && shared->pins[me] % 16 == 0)
			_exit(0); /* a mapping ends with its process: the parent starts another */
	}
	_exit(0);
}

static pid_t start_reader(const char *location, struct shared *shared, unsigned me)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		read_on(location, shared, me);
	return pid;
}

static void restart_readers(const char *location, struct shared *shared, pid_t *pids)
{
	for (unsigned i = 0; i < READERS; i++)
		if (waitpid(pids[i], NULL, WNOHANG) == pids[i])
			pids[i] = start_reader(location, shared, i);
}

static void test_p19_readers_and_reclaimer_never_race(void **state)
{
	const struct reclaim_rules rules = { .spares = 0, .ttl_days = 0 };
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct store store;
	struct err err = ERR_NONE;
	pid_t pids[READERS];
	unsigned long pins = 0, violations = 0, failures = 0;
	char *path = scratch_path(*state, "store"), *latest = scratch_path(*state, "store/latest");

	assert_ptr_not_equal(shared, MAP_FAILED);
	scratch_open(&store, path);
	scratch_publish(&store, "x");
	for (unsigned i = 0; i < READERS; i++)
		pids[i] = start_reader(latest, shared, i);
	for (unsigned i = 0; i < PUBLICATIONS; i++) {
		scratch_publish(&store, "x");
		assert_int_equal(reclaim(&store, &rules, NULL, NULL, &err), 0);
		assert_int_equal(store.storage->empty_trash(&store, NULL, &err), 0);
		restart_readers(latest, shared, pids);
	}
	shared->stop = 1;
	for (unsigned i = 0; i < READERS; i++) {
		waitpid(pids[i], NULL, 0);
		pins += shared->pins[i];
		violations += shared->violations[i];
		failures += shared->failures[i];
	}
	/* All readers are gone: all but the latest goes. */
	assert_int_equal(reclaim(&store, &rules, NULL, NULL, &err), 0);
	struct numbers numbers;
	assert_int_equal(store_numbers(&store, &numbers, NULL, NULL, &err), 0);
	assert_int_equal(numbers.count, 1);
	numbers_release(&numbers);
	store_close(&store);
	print_message("# %lu pins during %d publications: %lu violations, %lu failures\n", pins, PUBLICATIONS,
		      violations, failures);
	assert_true(pins > 0);
	assert_int_equal(violations, 0);
	assert_int_equal(failures, 0);
	munmap(shared, sizeof(*shared));
	free(latest);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_links_are_followed_one_by_one),
		scratch_test(test_what_is_no_location),
		scratch_test(test_take_latest_and_a_number),
		scratch_test(test_a_store_that_portage_made),
		scratch_test(test_root_does_not_write_to_a_strangers_store),
		scratch_test(test_a_pin_file_that_a_dead_reclaimer_took_away),
		scratch_test(test_p19_readers_and_reclaimer_never_race),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}

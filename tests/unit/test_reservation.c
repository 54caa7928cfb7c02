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

#include "helper/base/alloc.h"
#include "helper/base/identity.h"
#include "helper/snapshot/storage.h"
#include "helper/store/reservation.h"
#include "tests/unit/scratch.h"

/* What it reads as: 1 reserved, 0 not. */
static int reserved(struct store *store)
{
	struct reservation reservation;
	struct err err = ERR_NONE;

	assert_int_equal(reservation_read(store, &reservation, &err), 0);
	int result = reservation.staging != NULL;
	assert_int_equal(result, store_has(store, STORE_RESERVATION));
	reservation_release(&reservation);
	return result;
}

/* Its owner died in commit or abort, behind the end of the tree: it keeps nobody out. */
static void test_void_when_its_tree_is_gone(void **state)
{
	struct staging staging = STAGING_NONE;
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	assert_int_equal(reservation_write(&store, staging.id, getpid(), &err), 0);
	assert_true(reserved(&store));
	assert_int_equal(store.storage->discard(&store, &staging, &err), 0);
	assert_false(reserved(&store));
	store_close(&store);
	staging_release(&staging);
	free(path);
}

/* The tree "x" is there, so that nothing but the text decides. */
static void write_raw(const struct store *store, const char *staging, const struct identity *identity,
		      int64_t made)
{
	char owner[IDENTITY_ROOM];
	struct err err = ERR_NONE;

	mkdirat(store->dir, STORE_STAGING "/x", 0755);
	identity_format(identity, owner);
	char *text = alloc_printf("staging = %s\nowner = %s\nhost = h\nsince = 1\nmade = %jd\n", staging,
				  owner, (intmax_t)made);
	assert_int_equal(store_write_file(store, STORE_RESERVATION, text, 0644, &err), 0);
	free(text);
}

static void test_until_its_owner_ends(void **state)
{
	struct staging staging = STAGING_NONE;
	struct reservation reservation;
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	scratch_open(&store, path);
	assert_false(reserved(&store));
	assert_int_equal(store.storage->stage(&store, STAGE_EMPTY, &staging, &err), 0);
	assert_int_equal(reservation_write(&store, staging.id, pid, &err), 0);
	assert_int_equal(reservation_read(&store, &reservation, &err), 0);
	assert_string_equal(reservation.staging, staging.id);
	char *who = alloc_printf("pid %d on ", (int)pid);
	assert_non_null(strstr(reservation.text, who));
	reservation_release(&reservation);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(reserved(&store));
	assert_false(scratch_exists(staging.path)); /* never published, never reused */
	assert_int_equal(reservation_write(&store, "x", pid, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	store_close(&store);
	staging_release(&staging);
	free(who);
	free(path);
}

static void test_void_after_a_day_or_a_reboot(void **state)
{
	struct store store;
	struct err err = ERR_NONE;
	struct identity identity, other;
	struct timespec now;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	clock_gettime(CLOCK_BOOTTIME, &now);
	assert_int_equal(mkdirat(store.dir, STORE_STAGING "/x", 0755), 0);
	assert_int_equal(reservation_write(&store, "x", 0, &err), 0);
	assert_true(reserved(&store));
	assert_int_equal(identity_of(0, &identity, &err), 0);
	write_raw(&store, "x", &identity, now.tv_sec - RESERVATION_SECONDS + 100);
	assert_true(reserved(&store));
	write_raw(&store, "x", &identity, now.tv_sec - RESERVATION_SECONDS - 1);
	assert_false(reserved(&store));
	write_raw(&store, "x", &identity, now.tv_sec + 1000); /* of another boot, or nonsense */
	assert_false(reserved(&store));
	other = identity;
	other.boot[0] ^= 1;
	write_raw(&store, "x", &other, now.tv_sec);
	assert_false(reserved(&store));
	/* A living owner has no day. */
	assert_int_equal(identity_of(getpid(), &identity, &err), 0);
	write_raw(&store, "x", &identity, now.tv_sec - 10 * RESERVATION_SECONDS);
	assert_true(reserved(&store));
	/* One in a container that we cannot look into has. */
	other = identity;
	other.namespace_ino++;
	write_raw(&store, "x", &other, now.tv_sec);
	assert_true(reserved(&store));
	write_raw(&store, "x", &other, now.tv_sec - RESERVATION_SECONDS - 1);
	assert_false(reserved(&store));
	store_close(&store);
	free(path);
}

static void test_damaged_or_hostile_is_none(void **state)
{
	const char *const bad[] = { "", "nonsense\n", "staging = x\n", "owner = b 1:2 3 4\n",
				    "staging = x\nowner = y\n" };
	struct store store;
	struct err err = ERR_NONE;
	struct identity identity;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_write_file(&store, STORE_RESERVATION, bad[i], 0644, &err), 0);
		assert_false(reserved(&store));
	}
	/* A staging that leads out of the store is thrown away nowhere. */
	assert_int_equal(identity_of(0, &identity, &err), 0);
	identity.boot[0] ^= 1;
	scratch_publish(&store, "x");
	write_raw(&store, "../../snapshots/1", &identity, 0);
	assert_false(reserved(&store));
	assert_true(store_has(&store, "snapshots/1/version"));
	store_close(&store);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_until_its_owner_ends),
		scratch_test(test_void_when_its_tree_is_gone),
		scratch_test(test_void_after_a_day_or_a_reboot),
		scratch_test(test_damaged_or_hostile_is_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reservation", tests, NULL, NULL);
}

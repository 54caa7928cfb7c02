/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
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
#include "helper/config/order.h"
#include "helper/store/lock.h"
#include "helper/store/publish.h"
#include "helper/store/set.h"
#include "tests/unit/scratch.h"

/* Two stores with snapshots 1 and 2, of which 1 is the latest: what a set finds when all is sealed. */
struct two {
	char *paths[2];
	struct store stores[2];
	struct set_leader leader; /* the first */
	struct set_needs members;
};

static void two_make(struct two *two, const char *top)
{
	struct err err = ERR_NONE;

	two->members = (struct set_needs){ .list = alloc_grow(NULL, 2, sizeof(struct set_need)), .count = 2 };
	for (int i = 0; i < 2; i++) {
		two->paths[i] = scratch_path(top, "store-%d", i);
		scratch_open(&two->stores[i], two->paths[i]);
		scratch_publish(&two->stores[i], "old");
		scratch_publish(&two->stores[i], "new");
		assert_int_equal(publish_swap(&two->stores[i], 1, &err), PUBLISH_DONE);
		assert_int_equal(set_id_make(&two->stores[i], two->members.list[i].id, &err), 0);
		two->members.list[i].number = 2;
	}
	assert_string_not_equal(two->members.list[0].id, two->members.list[1].id);
	two->leader = (struct set_leader){ .path = two->paths[0], .number = 2 };
	memcpy(two->leader.id, two->members.list[0].id, SET_ID_ROOM);
	for (int i = 0; i < 2; i++)
		assert_int_equal(set_begin(&two->stores[i], 2, &two->members, &two->leader, &err), 0);
}

static void two_release(struct two *two)
{
	for (int i = 0; i < 2; i++) {
		store_close(&two->stores[i]);
		free(two->paths[i]);
	}
	set_needs_release(&two->members);
}

static uint64_t latest_of(const struct store *store)
{
	struct err err = ERR_NONE;
	uint64_t latest;

	assert_int_equal(store_latest(store, &latest, &err), 0);
	return latest;
}

/* Nothing is under way, the latest is `latest`, and sets/2 is there or not. */
static void at_rest(const struct store *store, uint64_t latest, bool kept)
{
	assert_int_equal(latest_of(store), latest);
	assert_false(store_has(store, STORE_SET));
	assert_int_equal(store_has(store, STORE_SETS "/2"), kept);
}

static void test_text(void **state)
{
	static const char good[] =
		"0123456789abcdef0123456789abcdef 7\nffffffffffffffffffffffffffffffff 12\n";
	static const char *const bad[] = { "0123456789abcdef0123456789abcdef 7",
					   "0123456789abcdef0123456789abcdef 07\n",
					   "0123456789abcdef0123456789abcdeg 7\n",
					   "0123456789abcdef 7\n",
					   "\n",
					   "0123456789abcdef0123456789abcdef\n" };
	struct set_needs needs;

	(void)state;
	assert_int_equal(set_needs_parse(good, &needs), 0);
	assert_int_equal(needs.count, 2);
	assert_int_equal(needs.list[1].number, 12);
	char *text = set_needs_format(&needs);
	assert_string_equal(text, good);
	free(text);
	set_needs_release(&needs);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(set_needs_parse(bad[i], &needs), -1);
}

/* What a reader finds before the leader's swap, behind it, and when all is over. */
static void test_readers(void **state)
{
	struct err err = ERR_NONE;
	struct set_needs needs;
	struct two two;
	uint64_t number;

	two_make(&two, *state);
	assert_int_equal(set_needs_of(&two.stores[0], 1, &needs, &err), 0);
	assert_int_equal(needs.count, 0);
	assert_int_equal(publish_swap(&two.stores[0], 2, &err), PUBLISH_DONE);
	assert_int_equal(set_needs_of(&two.stores[0], 2, &needs, &err), 0);
	assert_int_equal(needs.count, 1);
	assert_string_equal(needs.list[0].id, two.members.list[1].id);
	assert_int_equal(needs.list[0].number, 2);
	set_needs_release(&needs);
	/* the other one did not swap yet, and has it */
	assert_int_equal(set_number(&two.stores[1], 2, &number, &err), 0);
	assert_int_equal(number, 2);
	/* what is under way there is another number: its latest says it */
	assert_int_equal(set_number(&two.stores[1], 3, &number, &err), 0);
	assert_int_equal(number, 1);
	/* what is published later alone belongs to it, too */
	assert_int_equal(set_end(&two.stores[0], &err), 0);
	assert_int_equal(set_needs_of(&two.stores[0], scratch_publish(&two.stores[0], "more"), &needs, &err),
			 0);
	assert_int_equal(needs.count, 1);
	set_needs_release(&needs);
	two_release(&two);
}

static void recovers(struct store *store)
{
	struct err err = ERR_NONE;

	if (set_recover(store, &err) != 0)
		fail_msg("%s", err.text);
}

static void test_ended_where_the_leader_has_swapped(void **state)
{
	struct err err = ERR_NONE;
	struct two two;

	two_make(&two, *state);
	assert_int_equal(publish_swap(&two.stores[0], 2, &err), PUBLISH_DONE);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 2, true);
	recovers(&two.stores[0]);
	at_rest(&two.stores[0], 2, true);
	two_release(&two);
	char *again = scratch_path(*state, "again");
	two_make(&two, again);
	free(again);
	/* the leader is through, and has no `set` any more */
	assert_int_equal(publish_swap(&two.stores[0], 2, &err), PUBLISH_DONE);
	assert_int_equal(set_end(&two.stores[0], &err), 0);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 2, true);
	two_release(&two);
}

static void test_undone_where_it_has_not(void **state)
{
	struct two two;

	two_make(&two, *state);
	store_unlock(&two.stores[0]);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 1, false);
	recovers(&two.stores[0]);
	at_rest(&two.stores[0], 1, false);
	two_release(&two);
	char *again = scratch_path(*state, "again");
	two_make(&two, again);
	free(again);
	/* the leader was undone, is locked, and publishes something else: that is no sign */
	recovers(&two.stores[0]);
	scratch_publish(&two.stores[0], "other");
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 1, false);
	two_release(&two);
}

/* As long as the leader may swap nobody undoes the set. */
static void test_busy(void **state)
{
	struct err err = ERR_NONE;
	struct two two;
	int held;

	two_make(&two, *state);
	assert_int_equal(set_decided(&two.stores[1], &held, &err), -1);
	assert_int_equal(err.status, STATUS_BUSY);
	assert_int_equal(held, -1);
	assert_true(store_has(&two.stores[1], STORE_SET));
	store_unlock(&two.stores[0]);
	err_clear(&err);
	assert_int_equal(set_decided(&two.stores[1], &held, &err), 0);
	/* and while it is being undone the leader gets no lock */
	assert_true(held >= 0);
	assert_int_equal(store_lock(&two.stores[0], "test", false, &err), -1);
	assert_int_equal(err.status, STATUS_BUSY);
	close(held);
	two_release(&two);
}

static void test_a_leader_that_is_gone(void **state)
{
	struct two two;

	two_make(&two, *state);
	char *away = scratch_path(*state, "away");
	assert_int_equal(rename(two.paths[0], away), 0);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 1, false);
	free(away);
	two_release(&two);
}

/* Its sets/2 is there, but not for good: it says that it failed, and so do the others. */
static void test_a_leader_that_fails_on_its_way(void **state)
{
	struct err err = ERR_NONE;
	struct two two;

	two_make(&two, *state);
	assert_int_equal(set_undo(&two.stores[0], 2, &err), 0);
	assert_int_equal(mkdirat(two.stores[0].dir, STORE_SETS "/2", 0755), 0);
	assert_int_equal(set_begin(&two.stores[0], 2, &two.members, &two.leader, &err), -1);
	store_unlock(&two.stores[0]);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 1, false);
	two_release(&two);
}

static void test_a_snapshot_that_is_gone(void **state)
{
	struct err err = ERR_NONE;
	struct two two;

	two_make(&two, *state);
	assert_int_equal(publish_swap(&two.stores[0], 2, &err), PUBLISH_DONE);
	assert_int_equal(renameat(two.stores[1].dir, "snapshots/2", two.stores[1].dir, "elsewhere"), 0);
	recovers(&two.stores[1]);
	at_rest(&two.stores[1], 1, false);
	two_release(&two);
}

static void test_damaged(void **state)
{
	static const char *const bad[] = { "", "2\n", "2\n2\nshort\n/x\n", "x\n2\n",
					   "2\n2\n0123456789abcdef0123456789abcdef\nx\n" };
	struct two two;

	two_make(&two, *state);
	char *name = scratch_path(two.paths[1], STORE_SET);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_NONE;

		scratch_write(name, bad[i]);
		assert_int_equal(set_recover(&two.stores[1], &err), -1);
		assert_non_null(strstr(err.text, "is damaged"));
	}
	free(name);
	two_release(&two);
}

static void order_is(const struct repos *repos, const char *expected)
{
	size_t *order = order_masters_first(repos);

	for (size_t i = 0; i < repos->count; i++)
		assert_int_equal(repos->list[order[i]].name[0], expected[i]);
	free(order);
}

static void test_masters_first(void **state)
{
	char *gentoo = scratch_path(*state, "gentoo"), *kde = scratch_path(*state, "kde");
	char *none[] = { NULL }, *k[] = { (char *)"k", NULL },
	     *x[] = { (char *)"x", (char *)"unknown", NULL };
	struct repo list[] = {
		{ .name = (char *)"g", .location = gentoo },
		{ .name = (char *)"x", .location = (char *)"/none", .masters = k },
		{ .name = (char *)"k", .location = kde },
		{ .name = (char *)"a", .location = (char *)"/none" },
	};
	const struct repos repos = { .list = list, .count = 4 };

	order_is(&repos, "gkxa");
	char *layout = scratch_path(kde, "metadata/layout.conf");
	/* the tree says it, unless the configuration does */
	char *metadata = scratch_path(kde, "metadata");
	scratch_mkdir(metadata);
	free(metadata);
	scratch_write(layout, "# a comment\nrepo-name = k\nmasters = g a\n");
	order_is(&repos, "gakx");
	list[2].masters = none;
	order_is(&repos, "gkxa");
	/* a circle is broken, and nobody is lost */
	list[2].masters = x;
	order_is(&repos, "gaxk");
	free(layout);
	free(gentoo);
	free(kde);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		scratch_test(test_readers),
		scratch_test(test_ended_where_the_leader_has_swapped),
		scratch_test(test_undone_where_it_has_not),
		scratch_test(test_busy),
		scratch_test(test_a_leader_that_is_gone),
		scratch_test(test_a_leader_that_fails_on_its_way),
		scratch_test(test_a_snapshot_that_is_gone),
		scratch_test(test_damaged),
		scratch_test(test_masters_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

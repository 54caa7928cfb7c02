/* SPDX-License-Identifier: LGPL-2.1-or-later */
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

#include "core/pin_text.h"
#include "helper/base/alloc.h"
#include "helper/launcher/pinning.h"
#include "tests/unit/scratch.h"

/*
 * Two repositories, a and b, each with snapshots 1 and 2, and links to them; a configuration that names
 * both.
 */
struct world {
	char *a, *b, *config, *outer;
};

static struct world world;

static char *make_repository(const char *top, const char *name)
{
	char *path = scratch_path(top, "store-%s", name), *link = scratch_path(top, "%s", name);
	char *target = alloc_printf("%s/latest", path);
	struct err err = ERR_NONE;
	struct store store;

	scratch_open(&store, path);
	scratch_publish(&store, "1");
	scratch_publish(&store, "2");
	assert_int_equal(store_make_pins(&store, &err), 0);
	store_close(&store);
	assert_int_equal(symlink(target, link), 0);
	free(path);
	free(target);
	return link;
}

static int enter(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	const char *top = *state;
	world.a = make_repository(top, "a");
	world.b = make_repository(top, "b");
	world.config = scratch_path(top, "config");
	char *text = alloc_printf("[a]\nlocation=%s\nsync-rcu-store-dir=%s/store-a\n[b]\nlocation=%s\n"
				  "sync-rcu-store-dir=%s/store-b\n[plain]\nlocation=/plain\nsync-rcu=no\n",
				  world.a, top, world.b, top);
	scratch_write(world.config, text);
	free(text);
	setenv("RCU_REPO_CONFIG", world.config, 1);
	/* an outer pin of a's first */
	char *snapshot = scratch_path(top, "store-a/snapshots/1");
	size_t room = 3 * (strlen(world.a) + strlen(snapshot)) + 3, used = 0;
	world.outer = alloc_grow(NULL, room, 1);
	assert_true(pin_text_append(world.outer, room, &used, world.a, snapshot));
	free(snapshot);
	return 0;
}

static int leave(void **state)
{
	free(world.a);
	free(world.b);
	free(world.config);
	free(world.outer);
	unsetenv("RCU_REPO_CONFIG");
	return scratch_remove(state);
}

static uint64_t number_of(const struct pinning *pinning, const char *location)
{
	for (size_t i = 0; i < pinning->count; i++)
		if (strcmp(pinning->pins[i].location, location) == 0) {
			assert_true(pinning->pins[i].fd >= 0);
			return pinning->pins[i].number;
		}
	return 0;
}

static void takes(struct pinning *pinning, size_t count, uint64_t a, uint64_t b)
{
	struct err err = ERR_NONE;
	bool nothing;

	if (pinning_take(pinning, &nothing, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(pinning->count, count);
	assert_int_equal(number_of(pinning, world.a), a);
	assert_int_equal(number_of(pinning, world.b), b);
	pinning_release(pinning);
}

static void refuses(struct pinning *pinning, const char *part)
{
	struct err err = ERR_NONE;
	bool nothing;

	assert_int_equal(pinning_take(pinning, &nothing, &err), -1);
	assert_false(nothing);
	if (!strstr(err.text, part))
		fail_msg("%s: not in: %s", part, err.text);
	pinning_release(pinning);
}

static void test_what_is_asked_for(void **state)
{
	struct pinning pinning = PINNING_NONE;

	(void)state;
	takes(&pinning, 2, 2, 2);
	pinning_repo(&pinning, "b");
	takes(&pinning, 1, 0, 2);
	pinning_location(&pinning, world.a);
	takes(&pinning, 1, 2, 0);
	pinning_repo(&pinning, "a");
	pinning_location(&pinning, world.a);
	takes(&pinning, 1, 2, 0);
}

static void test_numbers(void **state)
{
	char *by_path = alloc_printf("%s=1", world.a);
	struct pinning pinning = PINNING_NONE;

	(void)state;
	pinning_repo(&pinning, "a");
	pinning_snapshot(&pinning, "1");
	takes(&pinning, 1, 1, 0);
	pinning_snapshot(&pinning, "b=1");
	takes(&pinning, 2, 2, 1);
	pinning_location(&pinning, world.a);
	pinning_repo(&pinning, "b");
	pinning_snapshot(&pinning, by_path);
	takes(&pinning, 2, 1, 2);
	free(by_path);
	pinning_snapshot(&pinning, "1");
	refuses(&pinning, "say of which repository");
	pinning_repo(&pinning, "a");
	pinning_snapshot(&pinning, "b=1");
	refuses(&pinning, "that repository is not asked for");
	pinning_repo(&pinning, "a");
	pinning_snapshot(&pinning, "01");
	refuses(&pinning, "neither a snapshot's number nor a name");
	pinning_repo(&pinning, "a");
	pinning_snapshot(&pinning, "7");
	refuses(&pinning, "7");
	pinning_repo(&pinning, "none");
	refuses(&pinning, "no such repository");
	pinning_repo(&pinning, "plain");
	refuses(&pinning, "does not have sync-rcu");
}

static void test_outer_pins(void **state)
{
	struct pinning pinning = { .outer = world.outer };

	(void)state;
	takes(&pinning, 2, 1, 2);
	pinning.outer = world.outer;
	pinning_repo(&pinning, "b");
	takes(&pinning, 2, 1, 2);
	pinning.outer = world.outer;
	pinning_repo(&pinning, "a");
	pinning_snapshot(&pinning, "2");
	takes(&pinning, 1, 2, 0);
	pinning.outer = world.outer;
	pinning.fresh = true;
	takes(&pinning, 2, 2, 2);
	pinning.outer = "nonsense\n/x=/y\n";
	takes(&pinning, 2, 2, 2);
	pinning.outer = "/gone=/no/such/store/snapshots/3\n";
	refuses(&pinning, "is lost");
}

static void test_nothing(void **state)
{
	struct pinning pinning = PINNING_NONE;
	struct err err = ERR_NONE;
	bool nothing = false;

	(void)state;
	scratch_write(world.config, "[plain]\nlocation=/plain\nsync-rcu=no\n");
	assert_int_equal(pinning_take(&pinning, &nothing, &err), -1);
	assert_true(nothing);
	assert_int_equal(pinning.count, 0);
	pinning_release(&pinning);
	/* an outer pin is enough */
	pinning.outer = world.outer;
	takes(&pinning, 1, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_asked_for, enter, leave),
		cmocka_unit_test_setup_teardown(test_numbers, enter, leave),
		cmocka_unit_test_setup_teardown(test_outer_pins, enter, leave),
		cmocka_unit_test_setup_teardown(test_nothing, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

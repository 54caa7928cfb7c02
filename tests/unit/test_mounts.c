/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper/base/err.h"
#include "helper/base/mounts.h"

static struct mount_entry entries[] = {
	{ 1, (char *)"8:1", (char *)"/", (char *)"/", (char *)"ext4", (char *)"/dev/a" },
	{ 2, (char *)"0:5", (char *)"/", (char *)"/proc", (char *)"proc", (char *)"proc" },
	{ 3, (char *)"8:1", (char *)"/srv", (char *)"/again", (char *)"ext4", (char *)"/dev/a" },
	{ 4, (char *)"8:1", (char *)"/srv/store", (char *)"/deep/er", (char *)"ext4", (char *)"/dev/a" },
	{ 5, (char *)"8:1", (char *)"/srv/storehouse", (char *)"/other", (char *)"ext4", (char *)"/dev/a" },
	{ 6, (char *)"8:2", (char *)"/", (char *)"/mnt", (char *)"ext4", (char *)"/dev/b" },
};
static const struct mounts mounts = { entries, sizeof(entries) / sizeof(entries[0]) };

static void expect(uint64_t id, const char *path, const char *first, const char *second)
{
	char **paths = mounts_aliases(&mounts, id, path);
	const char *wanted[] = { first, second, NULL };

	for (size_t i = 0; i < 3; i++) {
		if (!wanted[i]) {
			assert_null(paths[i]);
			break;
		}
		assert_non_null(paths[i]);
		assert_string_equal(paths[i], wanted[i]);
	}
	for (size_t i = 0; paths[i]; i++)
		free(paths[i]);
	free(paths);
}

static void test_aliases(void **state)
{
	(void)state;
	expect(1, "/srv/store", "/again/store", "/deep/er");
	expect(3, "/again/store", "/srv/store", "/deep/er");
	expect(4, "/deep/er", "/srv/store", "/again/store");
	expect(1, "/srv", "/again", NULL);
	expect(1, "/var/store", NULL, NULL);
	expect(6, "/mnt/srv/store", NULL, NULL);
	expect(99, "/srv/store", NULL, NULL);
}

/* What the kernel says of this machine: a root, and /proc with the type that it has. */
static void test_read(void **state)
{
	struct err err = ERR_NONE;
	struct mounts real;
	size_t roots = 0, procs = 0;

	(void)state;
	assert_int_equal(mounts_read(&real, &err), 0);
	for (size_t i = 0; i < real.count; i++) {
		roots += strcmp(real.list[i].at, "/") == 0;
		procs += strcmp(real.list[i].at, "/proc") == 0 && strcmp(real.list[i].type, "proc") == 0;
		assert_int_equal(real.list[i].at[0], '/');
	}
	assert_true(roots >= 1);
	assert_true(procs >= 1);
	mounts_release(&real);
	assert_null(real.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_aliases), cmocka_unit_test(test_read) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * skip.h: a test that cannot run on this machine says why. cmocka has no word for the reason: tap-run puts the line
 * that is printed here behind the test's name, and makes a failure of a skip without one. Include after cmocka.h.
 */
#ifndef TESTS_UNIT_SKIP_H
#define TESTS_UNIT_SKIP_H

#include <stdlib.h>
#include <string.h>

#define skip_test(why)                                \
	do {                                          \
		print_message("# skip: %s\n", (why)); \
		skip();                               \
	} while (0)

/* For what bootstrap installs: in CI it is there, and a skip would hide that a test never runs. */
#define skip_not_installed(why)                                            \
	do {                                                               \
		const char *ci = getenv("CI");                             \
		if (ci != NULL && strcmp(ci, "true") == 0)                 \
			fail_msg("in CI this test has to run: %s", (why)); \
		skip_test(why);                                            \
	} while (0)

#endif

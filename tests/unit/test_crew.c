/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/tree/crew.h"

struct count {
	atomic_size_t done;
	unsigned width, depth;
};

static unsigned *level_new(unsigned level)
{
	unsigned *job = alloc_grow(NULL, 1, sizeof(*job));

	*job = level;
	return job;
}

static void work(struct worker *worker, void *job)
{
	struct count *count = crew_context(worker);
	unsigned level = *(unsigned *)job;

	free(job);
	atomic_fetch_add(&count->done, 1);
	for (unsigned i = 0; level < count->depth && i < count->width; i++)
		crew_add(worker, level_new(level + 1));
}

static size_t run(unsigned width, unsigned depth)
{
	struct count count = { .width = width, .depth = depth };

	atomic_init(&count.done, 0);
	crew_run(work, &count, level_new(0));
	return atomic_load(&count.done);
}

/* Each job once, however many rounds; the crew ends each time. */
static void test_all_done(void **state)
{
	(void)state;
	assert_int_equal(run(0, 0), 1);
	assert_int_equal(run(1, 10000), 10001);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(run(40, 2), 1 + 40 + 1600);
	assert_int_equal(run(2, 15), (1 << 16) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_done) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

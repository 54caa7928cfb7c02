/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lookup: what it finds is what ld.so finds, for each row of calls.def and for each kind of symbol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "preload/lookup.h"

static void *find(const char *text, const char *version)
{
	struct lookup_object object;
	struct lookup_name name;
	void *address;

	lookup_name(&name, text, version);
	for (const struct link_map *map = lookup_behind_us(); map; map = map->l_next)
		if (lookup_object(&object, map) && lookup_find(&object, &name, &address))
			return address;
	return NULL;
}

/* As ld.so finds it for a program that was linked to the version. */
static void *asked(const char *text, const char *version)
{
	void *versioned = dlvsym(RTLD_NEXT, text, version), *any = dlsym(RTLD_NEXT, text);
	Dl_info left, right;

	/* an object that has it without a version (a sanitizer): dlvsym() passes over that */
	if (any && versioned && dladdr(any, &left) && dladdr(versioned, &right) &&
	    left.dli_fbase != right.dli_fbase)
		return any;
	return versioned;
}

static void finds_each_call_that_libc_has(void **state)
{
	static const struct {
		const char *symbol, *version;
	} calls[] = {
#define CALL(family, id, symbol, mark, version, result, parameters) { #symbol, #version },
#include "preload/calls.def"
#undef CALL
	};
	size_t found = 0, count = sizeof(calls) / sizeof(calls[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		void *want = asked(calls[i].symbol, calls[i].version);

		if (find(calls[i].symbol, calls[i].version) != want)
			fail_msg("%s@%s: not what ld.so finds", calls[i].symbol, calls[i].version);
		found += want != NULL;
	}
	print_message("# %zu of %zu calls are in this libc, each where ld.so finds it\n", found, count);
	assert_true(found > count / 2);
}

static void finds_no_version_that_there_is_not(void **state)
{
	(void)state;
	assert_null(find("open", "GLIBC_1.99"));
	assert_null(find("open", "GLIBC_2.2"));
	assert_null(find("there_is_no_such_call", "GLIBC_2.2.5"));
	assert_non_null(find("open", NULL));
}

static int result_of(const struct lookup_object *object, const char *text, const char *version)
{
	struct lookup_name name;
	union {
		void *address;
		int (*function)(void);
	} found;

	lookup_name(&name, text, version);
	return lookup_find(object, &name, &found.address) ? found.function() : 0;
}

static void object_is_read(const char *file, bool gnu)
{
	struct lookup_object object;
	void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	struct link_map *map;

	if (!handle)
		fail_msg("%s", dlerror());
	assert_int_equal(dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
	assert_true(lookup_object(&object, map));
	assert_int_equal(object.gnu_hash != NULL, gnu);
	/* without a version of its own: whatever is asked for */
	assert_int_equal(result_of(&object, "plain", "LOOKUP_1"), 1);
	assert_int_equal(result_of(&object, "plain", "GLIBC_2.2.5"), 1);
	assert_int_equal(result_of(&object, "plain", NULL), 1);
	assert_int_equal(result_of(&object, "versioned", "LOOKUP_1"), 2);
	assert_int_equal(result_of(&object, "versioned", "LOOKUP_2"), 3);
	assert_int_equal(result_of(&object, "versioned", "LOOKUP_3"), 0);
	assert_int_equal(result_of(&object, "versioned", NULL), 3);
	assert_int_equal(result_of(&object, "only_old", "LOOKUP_1"), 4);
	assert_int_equal(result_of(&object, "only_old", NULL), 0);
	assert_int_equal(result_of(&object, "indirect", "LOOKUP_1"), 5);
	/* no function, and imported, not defined */
	assert_int_equal(result_of(&object, "data", "LOOKUP_1"), 0);
	assert_int_equal(result_of(&object, "__cxa_finalize", NULL), 0);
	dlclose(handle);
}

#define OBJECTS BUILD_DIR "/tests/unit/.libs/"

static void reads_a_gnu_hash_table(void **state)
{
	(void)state;
	object_is_read(OBJECTS "lookup_gnu.so", true);
}

static void reads_a_sysv_hash_table(void **state)
{
	(void)state;
	object_is_read(OBJECTS "lookup_sysv.so", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_call_that_libc_has),
		cmocka_unit_test(finds_no_version_that_there_is_not),
		cmocka_unit_test(reads_a_gnu_hash_table),
		cmocka_unit_test(reads_a_sysv_hash_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/launcher/loadable.h"
#include "tests/unit/scratch.h"

static int enter(void **state)
{
	return scratch_make(state) == 0 ? chdir(*state) : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

static void copy_of(const char *name, const char *from, mode_t mode)
{
	FILE *in = fopen(from, "r"), *out = fopen(name, "w");
	char piece[65536];
	size_t got;

	assert_non_null(in);
	assert_non_null(out);
	while ((got = fread(piece, 1, sizeof(piece), in)) > 0)
		assert_int_equal(fwrite(piece, 1, got, out), got);
	fclose(in);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static void script(const char *name, const char *text)
{
	scratch_write(name, text);
	assert_int_equal(chmod(name, 0755), 0);
}

/* The first bytes of a static program of our own machine: an ELF header without program headers. */
static void static_program(const char *name)
{
	char head[65536];
	FILE *self = fopen("/proc/self/exe", "r"), *out = fopen(name, "w");

	assert_non_null(self);
	assert_non_null(out);
	size_t got = fread(head, 1, sizeof(head), self);
	head[56] = 0; /* e_phnum */
	assert_int_equal(fwrite(head, 1, got, out), got);
	fclose(self);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(name, 0755), 0);
}

static void test_kinds(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(loadable_judge("/proc/self/exe", &why), LOADABLE_YES);
	assert_int_equal(loadable_judge("/bin/sh", &why), LOADABLE_YES);
	static_program("static");
	assert_int_equal(loadable_judge("static", &why), LOADABLE_NOT);
	assert_string_equal(why, "is a static program, which loads no library");
	scratch_write(
		"foreign",
		"\177ELF\001\001\001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(loadable_judge("foreign", &why), LOADABLE_NOT);
	assert_string_equal(why, "is for another machine");
	scratch_write("text", "echo\n");
	assert_int_equal(loadable_judge("text", &why), LOADABLE_YES);
	assert_int_equal(loadable_judge("missing", &why), LOADABLE_YES);
	assert_int_equal(loadable_judge(".", &why), LOADABLE_YES);
}

static void test_scripts(void **state)
{
	const char *why;
	char *text = alloc_printf("#!%s/static -x\n", (char *)*state);

	static_program("static");
	script("good", "#!/bin/sh\n");
	script("bad", text);
	free(text);
	text = alloc_printf("#! %s/bad\n", (char *)*state);
	script("worse", text);
	free(text);
	text = alloc_printf("#!%s/loop\n", (char *)*state);
	script("loop", text);
	free(text);
	assert_int_equal(loadable_judge("good", &why), LOADABLE_YES);
	assert_int_not_equal(loadable_judge("bad", &why), LOADABLE_YES);
	assert_int_not_equal(loadable_judge("worse", &why), LOADABLE_YES);
	assert_int_equal(loadable_judge("loop", &why), LOADABLE_YES);
}

static void test_privileges(void **state)
{
	const char *why;

	(void)state;
	copy_of("setid", "/bin/true", 06755);
	assert_int_equal(loadable_judge("setid", &why), LOADABLE_YES); /* our own: nothing is gained */
	scratch_need_root();
	assert_int_equal(chown("setid", 65534, 0), 0);
	assert_int_equal(chmod("setid", 04755), 0);
	assert_int_equal(loadable_judge("setid", &why), LOADABLE_PRIVILEGED);
	assert_string_equal(why, "gains privileges when it starts, so it ignores LD_PRELOAD");
	assert_int_equal(chown("setid", 0, 65534), 0);
	assert_int_equal(chmod("setid", 02755), 0);
	assert_int_equal(loadable_judge("setid", &why), LOADABLE_PRIVILEGED);
	assert_int_equal(chmod("setid", 02745), 0); /* mandatory locking's old mark, no set-group-ID */
	assert_int_equal(loadable_judge("setid", &why), LOADABLE_YES);
}

static void test_find(void **state)
{
	char *path = alloc_copy(getenv("PATH"));
	char *search = alloc_printf("/none:%s/one:%s/two", (char *)*state, (char *)*state);
	char *expected = alloc_printf("%s/two/command", (char *)*state);
	char *found;

	scratch_mkdir("one/command");
	scratch_mkdir("two");
	script("two/command", "#!/bin/sh\n");
	setenv("PATH", search, 1);
	found = loadable_find("command");
	assert_string_equal(found, expected);
	free(found);
	assert_null(loadable_find("nothing"));
	found = loadable_find("./nothing");
	assert_string_equal(found, "./nothing");
	free(found);
	setenv("PATH", path, 1);
	free(path);
	free(search);
	free(expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_privileges),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

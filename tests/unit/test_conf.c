/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each file here is read by us and by Python's own configparser, and both must say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/config/conf.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

#define PYTHON "/usr/bin/python3"
#define RANDOM_FILES 400

/* Reads each file, and writes what ours() writes to FILE.python. */
static const char script[] =
	"import sys, configparser\n"
	"def dump(name):\n"
	"    parser = configparser.ConfigParser(defaults={'ROOT': '/root/', 'EPREFIX': ''})\n"
	"    lines = []\n"
	"    try:\n"
	"        for part in (name, name + '.later'):\n"
	"            try:\n"
	"                f = open(part, encoding='utf-8', errors='surrogateescape')\n"
	"            except OSError:\n"
	"                continue\n"
	"            with f:\n"
	"                parser.read_file(f, source=part)\n"
	"        for section in parser.sections():\n"
	"            lines.append('[%s]' % section)\n"
	"            for key in sorted(parser.options(section)):\n"
	"                lines.append('%s = %r' % (key, parser.get(section, key).encode('utf-8', "
	"'surrogateescape').hex()))\n"
	"    except configparser.Error as error:\n"
	"        lines = ['error']\n"
	"    with open(name + '.python', 'w', encoding='utf-8', errors='surrogateescape') as f:\n"
	"        f.write('\\n'.join(lines) + '\\n')\n"
	"for name in sys.argv[1:]:\n"
	"    dump(name)\n";

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add(char **text, char *more)
{
	char *joined = alloc_printf("%s%s", *text, more);

	free(*text);
	free(more);
	*text = joined;
}

static char *hex(const char *value)
{
	char *text = alloc_copy("");

	for (; *value; value++)
		add(&text, alloc_printf("%02x", (unsigned char)*value));
	return text;
}

static int dump_section(const struct conf *conf, const struct conf_section *section, char **text,
			struct err *err)
{
	const struct conf_section *both[] = { section, conf->sections };
	const char **names = NULL;
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < both[i]->count; j++) {
			size_t seen = 0;

			while (seen < count && strcmp(names[seen], both[i]->keys[j].name) != 0)
				seen++;
			if (seen < count)
				continue;
			names = alloc_grow(names, count + 1, sizeof(*names));
			names[count++] = both[i]->keys[j].name;
		}
	if (count)
		qsort(names, count, sizeof(*names), by_text);
	add(text, alloc_printf("[%s]\n", section->name));
	for (size_t i = 0; i < count && err->status == STATUS_DONE; i++) {
		char *value;

		if (conf_value(conf, section, conf_find(conf, section, names[i]), &value, err) != 0)
			break;
		char *digits = hex(value);
		add(text, alloc_printf("%s = '%s'\n", names[i], digits));
		free(digits);
		free(value);
	}
	free(names);
	return err->status == STATUS_DONE ? 0 : -1;
}

/* What we make of the file: the same text as the script's, or "error". */
static char *ours(const char *name, struct err *err)
{
	char *later = alloc_printf("%s.later", name), *text = alloc_copy("");
	struct conf conf;
	int result;

	conf_init(&conf);
	conf_set(&conf.sections[0], "root", "/root/", "ROOT");
	conf_set(&conf.sections[0], "eprefix", "", "EPREFIX");
	result = conf_read(&conf, name, err);
	if (result == 0 && access(later, F_OK) == 0)
		result = conf_read(&conf, later, err);
	for (size_t i = 1; result == 0 && i < conf.count; i++)
		result = dump_section(&conf, &conf.sections[i], &text, err);
	conf_release(&conf);
	free(later);
	if (result != 0) {
		free(text);
		text = alloc_copy("error\n");
	} else if (*text == '\0') {
		free(text);
		text = alloc_copy("\n");
	}
	return text;
}

static void ask_python(const char *const *names)
{
	char *command = alloc_copy(PYTHON " - ");

	for (; *names; names++)
		add(&command, alloc_printf(" '%s'", *names));
	FILE *python = popen(command, "w");
	assert_non_null(python);
	fputs(script, python);
	assert_int_equal(pclose(python), 0);
	free(command);
}

static void compare(const char *name)
{
	struct err err = ERR_NONE;
	char *theirs_name = alloc_printf("%s.python", name);
	char *theirs = scratch_read(theirs_name), *mine = ours(name, &err);

	/* The one difference: a key must fit into a line of inih's. */
	if (strstr(err.text, ": a key that is too long: ")) {
		free(theirs);
		theirs = alloc_copy(mine);
	}
	if (strcmp(mine, theirs) != 0) {
		char *file = scratch_read(name);

		print_message("%s\n--- the file:\n%s\n--- ours:\n%s--- configparser:\n%s", err.text, file,
			      mine, theirs);
		free(file);
	}
	assert_string_equal(mine, theirs);
	free(theirs_name);
	free(theirs);
	free(mine);
}

#define W10 "0123456789"
#define W100 W10 W10 W10 W10 W10 W10 W10 W10 W10 W10
#define B10 "0 2 4;6 ;9"
#define B100 B10 B10 B10 B10 B10 B10 B10 B10 B10 B10

/* clang-format off */
static const char *const files[] = {
	"", "\n\n", "# nothing\n; either\n",
	"[a]\nk = v\n", "[a]\nk=v", "[a]\r\nk = v\r\n", "[a]\rk = v\rl = w", "[a]\nk: v\nl : w = x\nm = y : z\n",
	"[a]\nk = v ; no comment\nl = v # neither\nm = v;w\n", "[a]\n ; a comment\n\t# too\nk = ;v\nl = #w\n",
	"[a]\nk = one\n two\n  three\n\n four\nl = w\n", "[a]\nk = one\n\n\n\nl = w\n", "[a]\nk =\n one\n",
	"[a]\n  k = one\n  l = two\n    more\n", "[a]\n  k = one\n l = two\n", "[a]\nk = one\n# c\n two\n ; c\n three\n",
	"[a]\nk = one\n\n# c\n\n two\n", "[a]\nk = v\n[b]\n l = w\n", "[a]\nk = v\n [b]\nl = w\n",
	"[a]\nK-Key = V\nk-other=\n", "[a]\nk = v\nk = w\n", "[a]\nk = v\nK = w\n", "[a]\nk = v\n[a]\nl = w\n",
	"[DEFAULT]\nx = 1\n[a]\nk = %(x)s\n[b]\nx = 2\nk = %(x)s\n", "[DEFAULT]\nx = 1\n[DEFAULT]\ny = 2\n[a]\n",
	"[DEFAULT]\nx = 1\n[DEFAULT]\nx = 2\n[a]\n", "[a]\nk = 100%%\n", "[a]\nk = 100%\n", "[a]\nk = %d\n",
	"[a]\nk = %(x)s\n", "[a]\nk = %(ROOT)svar%(EPREFIX)s\n", "[a]\nk = %(l)s!\nl = %(m)s?\nm = end%%\n",
	"[a]\nk = %(k)s\n", "[a]\nk = %()s\n", "[a]\nk = %(l\n", "[a]\nk = %(l)d\nl = 1\n",
	"[a]\nk0=%(k1)s\nk1=%(k2)s\nk2=%(k3)s\nk3=%(k4)s\nk4=%(k5)s\nk5=%(k6)s\nk6=%(k7)s\nk7=%(k8)s\nk8=%(k9)s\nk9=x\n",
	"[a]\nk0=%(k1)s\nk1=%(k2)s\nk2=%(k3)s\nk3=%(k4)s\nk4=%(k5)s\nk5=%(k6)s\nk6=%(k7)s\nk7=%(k8)s\nk8=%(k9)s\nk9=%(ka)s\nka=x\n",
	"[a]\nk0=%(k1)s\nk1=%(k2)s\nk2=%(k3)s\nk3=%(k4)s\nk4=%(k5)s\nk5=%(k6)s\nk6=%(k7)s\nk7=%(k8)s\nk8=%(k9)s\nk9=%(ka)s\nka=%%\n",
	"k = v\n", "[a]\nnonsense\n", "[a]\n= v\n", "[a]\nk = v\nnonsense", "[]\nk = v\n", "[a\nk = v\n",
	"[a]]\nk = v\n", "[a b] # c\nk = v\n", "[a]x[b]\nk = v\n", "[ a ]\nk = v\n", "\xEF\xBB\xBF[a]\nk = v\n",
	"[a]\nk = " W100 W100 W100 "\nl = " W100 W10 W10 W10 W10 W10 W10 W10 W10 W10 "\n", "[a]\nk = " B100 B100 B100 "\n x\n",
	"[a]\nk = a\n " W100 W100 " " W100 " ; x\n  y\n", "[" W100 W100 W100 "]\nk = v\n[" W100 W100 W100 "1]\nk = w\n",
	"[a]\nk = \001\002 \001e \001 ;\n", "[a]\nk = \"v w\" 'x'\n", "[a]\nk\tl = v\n", "[a]\nk = \xC3\xA4\xFF\n",
	"[a]\nk = /x\xC2\xA0\n", "[a]\nk\xC2\xA0= \xE3\x80\x80v w\xE2\x80\x83\x1C\n", "[a]\nk = v\n\xC2\xA0w\n\xE2\x80\xAF\n",
	"[a]\nk = one\n\xC2\xA0\xC2\xA0two\n\x1F# c\n", "\xE2\x80\xA8[a]\n k = v\n\xC2\xA0 l = w\n", "[a]\nk = \xC2\xA0\n \xC2\xA0\n",
	"[a]\nk = " W100 W100 "\xC2\xA0" W100 W100 "\xE2\x80\x80\n", "[a]\nk = \xC2\x80v\xE2\x80\x8B\n", "[a]\n\xC2\x85\x1D\x1E\nk = v\n",
	"[a]\nk = v \f\n\f l = w\n", "[a]\nk = [x]\n [y]\n= z\n",
};
/* clang-format on */
#define FILES (sizeof(files) / sizeof(files[0]))

static void test_as_configparser(void **state)
{
	char *names[FILES + 1] = { NULL };

	(void)state;
	if (access(PYTHON, X_OK) != 0)
		skip_not_installed("there is no " PYTHON " here");
	for (size_t i = 0; i < FILES; i++) {
		names[i] = alloc_printf("f%zu", i);
		scratch_write(names[i], files[i]);
	}
	ask_python((const char *const *)names);
	for (size_t i = 0; i < FILES; i++) {
		compare(names[i]);
		free(names[i]);
	}
}

static void test_later_file_overlays(void **state)
{
	static const char *const names[] = { "o1", "o2", "o3", "o4", NULL };

	(void)state;
	if (access(PYTHON, X_OK) != 0)
		skip_not_installed("there is no " PYTHON " here");
	scratch_write("o1", "[a]\nk = v\nl = w\n[b]\nk = v\n");
	scratch_write("o1.later", "[c]\nm = 1\n[a]\nl = x\n  y\nn = %(k)s\n");
	scratch_write("o2", "[DEFAULT]\nd = 1\n[a]\nk = %(d)s\n");
	scratch_write("o2.later", "[DEFAULT]\nd = 2\n");
	scratch_write("o3", "[a]\nk = v\n");
	scratch_write("o3.later", "[b]\nl = w\n[b]\n");
	scratch_write("o4", "[a]\nk = v\n\n");
	scratch_write("o4.later", " l = w\n");
	ask_python((const char *const *)names);
	for (size_t i = 0; names[i]; i++)
		compare(names[i]);
}

/* Pieces of lines, put together by a fixed sequence: what nobody thought of. */
static void random_file(const char *name, uint32_t seed)
{
	/* clang-format off */
	static const char *const pieces[] = {
		"\n", "\n", "\n", "\n", "\n\n", "\r\n", " ", "  ", "\t", "[a]\n", "[b]\n", "\n[c]\n", "\n[DEFAULT]\n", "k = ",
		"l = ", "m: ", "n=", "\nk", "v", "w x", ";", " ; ", "#", "# c\n", "; c\n", "=", ":", "%%", "%(k)s", "%(l)s",
		"%(ROOT)s", "%", "'", "\"", "\001", B100, W100, W100 W100, "]",
	};
	/* clang-format on */
	char *text = alloc_copy("[s]\n");
	uint32_t x = seed * 2654435761u + 1;

	for (unsigned i = 0; i < 4 + seed % 24; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		add(&text, alloc_copy(pieces[x % (sizeof(pieces) / sizeof(pieces[0]))]));
	}
	scratch_write(name, text);
	free(text);
}

static void test_random_files(void **state)
{
	char *names[RANDOM_FILES + 1] = { NULL };

	(void)state;
	if (access(PYTHON, X_OK) != 0)
		skip_not_installed("there is no " PYTHON " here");
	for (uint32_t i = 0; i < RANDOM_FILES; i++) {
		names[i] = alloc_printf("r%u", i);
		random_file(names[i], i);
	}
	ask_python((const char *const *)names);
	for (size_t i = 0; i < RANDOM_FILES; i++) {
		compare(names[i]);
		free(names[i]);
	}
}

static void refuses(const char *text, size_t length, const char *message)
{
	struct err err = ERR_NONE;
	struct conf conf;

	FILE *file = fopen("bad", "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
	conf_init(&conf);
	assert_int_equal(conf_read(&conf, "bad", &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, message);
	conf_release(&conf);
}

#define REFUSES(text, message) refuses(text, sizeof(text) - 1, message)

static void test_errors_name_the_line(void **state)
{
	(void)state;
	REFUSES("[a]\n\n# c\nnonsense\n", "bad:4: neither [section] nor key = value: nonsense");
	REFUSES("[a]\nk = 1\nl = 2\n\nK = 3", "bad:5: the key is there twice in this section: K = 3");
	REFUSES("[a]\nk = v\n[b]\n\n[a]\n", "bad:5: the section is there twice: [a]");
	REFUSES("[a]\n" W100 W100 " = v\n", "bad:2: a key that is too long: " W100 W100);
	REFUSES("# c\nk = v\n", "bad:2: a line before the first [section]: k = v");
	REFUSES("[a]\nk = v\0w\n", "bad:2: a zero byte: ");
	REFUSES("[a]\nk = v\nl = w\0", "bad:3: a zero byte: ");
	REFUSES("\xEF\xBB\xBF[a]\n", "bad:1: the file begins with a byte order mark: \xEF\xBB\xBF[a]");
}

static void test_values_know_their_line(void **state)
{
	struct err err = ERR_NONE;
	struct conf conf;

	(void)state;
	scratch_write("where", "\n[a]\n# c\nk = " W100 W100 W100 "\n more\nl = w\n");
	conf_init(&conf);
	assert_int_equal(conf_read(&conf, "where", &err), 0);
	assert_int_equal(conf.count, 2);
	assert_string_equal(conf.sections[1].where, "where:2");
	assert_string_equal(conf_find(&conf, &conf.sections[1], "k")->where, "where:4");
	assert_string_equal(conf_find(&conf, &conf.sections[1], "l")->where, "where:6");
	conf_release(&conf);
}

static void test_what_is_no_file(void **state)
{
	struct err err = ERR_NONE;
	struct conf conf;

	(void)state;
	conf_init(&conf);
	assert_int_equal(conf_read(&conf, "none", &err), -1);
	assert_string_equal(err.text, "none: cannot be read: No such file or directory");
	err_clear(&err);
	assert_int_equal(conf_read(&conf, ".", &err), -1);
	assert_string_equal(err.text, ".: cannot be read: Is a directory");
	conf_release(&conf);
}

static int enter(void **state)
{
	return scratch_make(state) == 0 ? chdir(*state) : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_configparser),        cmocka_unit_test(test_later_file_overlays),
		cmocka_unit_test(test_random_files),           cmocka_unit_test(test_errors_name_the_line),
		cmocka_unit_test(test_values_know_their_line), cmocka_unit_test(test_what_is_no_file),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/elf_kind.h"

static enum elf_kind kind_of(const char *path)
{
	char bytes[ELF_KIND_ROOM];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	ssize_t length = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(length >= 0);
	return elf_kind(bytes, (size_t)length);
}

static void test_real_files(void **state)
{
	(void)state;
	assert_int_equal(kind_of("/proc/self/exe"), ELF_LOADS);
	assert_int_equal(kind_of("/bin/sh"), ELF_LOADS);
	assert_int_equal(kind_of("/sbin/ldconfig"), ELF_STATIC); /* Debian's is static */
	assert_int_equal(kind_of("/etc/passwd"), ELF_UNKNOWN);
}

/* A program made of nothing but headers: the interpreter is what is asked about. */
static size_t headers(char *to, unsigned type, const char *interpreter)
{
	Elf64_Ehdr file = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
					 EV_CURRENT },
			    .e_machine = EM_X86_64,
			    .e_phoff = sizeof(file),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 1 };
	Elf64_Phdr part = { .p_type = type,
			    .p_offset = sizeof(file) + sizeof(part),
			    .p_filesz = strlen(interpreter) + 1 };

	memcpy(to, &file, sizeof(file));
	memcpy(to + sizeof(file), &part, sizeof(part));
	strcpy(to + sizeof(file) + sizeof(part), interpreter);
	return sizeof(file) + sizeof(part) + strlen(interpreter) + 1;
}

static size_t headers_32(char *to, unsigned type, const char *interpreter)
{
	Elf32_Ehdr file = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
					 EV_CURRENT },
			    .e_machine = EM_386,
			    .e_phoff = sizeof(file),
			    .e_phentsize = sizeof(Elf32_Phdr),
			    .e_phnum = 1 };
	Elf32_Phdr part = { .p_type = type,
			    .p_offset = sizeof(file) + sizeof(part),
			    .p_filesz = (Elf32_Word)strlen(interpreter) + 1 };

	memcpy(to, &file, sizeof(file));
	memcpy(to + sizeof(file), &part, sizeof(part));
	strcpy(to + sizeof(file) + sizeof(part), interpreter);
	return sizeof(file) + sizeof(part) + strlen(interpreter) + 1;
}

static void test_headers(void **state)
{
	char bytes[512];
	size_t length;

	(void)state;
	length = headers(bytes, PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
	assert_int_equal(elf_kind(bytes, length), ELF_LOADS);
	bytes[EI_CLASS] = ELFCLASS32; /* and yet for a 64-bit machine: x32 */
	assert_int_equal(elf_kind(bytes, length), ELF_FOREIGN);
	bytes[EI_CLASS] = ELFCLASSNONE;
	assert_int_equal(elf_kind(bytes, length), ELF_FOREIGN);
	length = headers_32(bytes, PT_INTERP, "/lib/ld-linux.so.2");
	assert_int_equal(elf_kind(bytes, length), ELF_OTHER_SIZE);
	length = headers_32(bytes, PT_INTERP, "/lib/ld-musl-i386.so.1");
	assert_int_equal(elf_kind(bytes, length), ELF_MUSL);
	length = headers_32(bytes, PT_LOAD, "");
	assert_int_equal(elf_kind(bytes, length), ELF_STATIC);
	length = headers(bytes, PT_INTERP, "/lib/ld-musl-x86_64.so.1");
	assert_int_equal(elf_kind(bytes, length), ELF_MUSL);
	length = headers(bytes, PT_LOAD, "");
	assert_int_equal(elf_kind(bytes, length), ELF_STATIC);
	length = headers(bytes, PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
	((Elf64_Ehdr *)(void *)bytes)->e_machine = EM_AARCH64;
	assert_int_equal(elf_kind(bytes, length), ELF_FOREIGN);
}

/* Whatever the bytes and wherever they are cut: an answer, and no byte beyond them is read (the sanitizers look). */
static void test_cut_and_wild(void **state)
{
	char bytes[512];
	size_t length = headers(bytes, PT_INTERP, "/lib64/ld-linux-x86-64.so.2");

	(void)state;
	for (size_t cut = 0; cut <= length; cut++) {
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, bytes, cut);
		elf_kind(copy, cut);
		free(copy);
	}
	((Elf64_Ehdr *)(void *)bytes)->e_phoff = UINT64_MAX - 8;
	((Elf64_Ehdr *)(void *)bytes)->e_phnum = UINT16_MAX;
	assert_int_equal(elf_kind(bytes, length), ELF_STATIC);
}

static void test_scripts(void **state)
{
	static const char *const lines[][3] = {
		{ "#!/bin/sh\n", "/bin/sh", "" },
		{ "#! /usr/bin/env  python3\n", "/usr/bin/env", "python3" },
		{ "#!/bin/sh -e \t-x \t\nmore\n", "/bin/sh", "-e \t-x" },
		{ "#!/bin/sh \t", "/bin/sh", "" },
		{ "#!\t/x", "/x", "" },
		{ "#!\n", "", "" },
		{ "#!\nx y\n", "", "" },
		{ "#!", "", "" },
		{ "#!   ", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		size_t length;
		const char *path = elf_script_interpreter(lines[i][0], strlen(lines[i][0]), &length);

		assert_int_equal(elf_kind(lines[i][0], strlen(lines[i][0])), ELF_SCRIPT);
		assert_int_equal(length, strlen(lines[i][1]));
		assert_memory_equal(path, lines[i][1], length);
		const char *argument = elf_script_argument(lines[i][0], strlen(lines[i][0]), &length);
		assert_int_equal(length, strlen(lines[i][2]));
		assert_memory_equal(argument, lines[i][2], length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_cut_and_wild),
		cmocka_unit_test(test_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

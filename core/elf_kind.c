/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/elf_kind.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

/* A program of our own word size, and one of the other that this machine has. */
#ifdef __x86_64__
#define LOADS_64 ELF_LOADS
#define LOADS_32 ELF_OTHER_SIZE
#elif defined(__i386__)
#define LOADS_64 ELF_OTHER_SIZE
#define LOADS_32 ELF_LOADS
#endif

/* glibc's loaders are all named ld-linux*.so.N (or ld64.so.N, ld.so.1 on old machines); musl's is ld-musl-*.
 */
static bool loader_is_musl(const char *path, size_t length)
{
	static const char musl[] = "/ld-musl-";

	for (size_t i = 0; i + sizeof(musl) - 1 <= length; i++)
		if (memcmp(path + i, musl, sizeof(musl) - 1) == 0)
			return true;
	return false;
}

/* The same for both classes, whose headers differ in their sizes alone. */
#define KIND_OF_HEADERS(bits, machine)                                                               \
	static enum elf_kind kind_of_##bits(const unsigned char *bytes, size_t length)               \
	{                                                                                            \
		Elf##bits##_Ehdr file;                                                               \
		Elf##bits##_Phdr part;                                                               \
                                                                                                     \
		if (length < sizeof(file))                                                           \
			return ELF_UNKNOWN;                                                          \
		memcpy(&file, bytes, sizeof(file));                                                  \
		if (file.e_machine != (machine) || file.e_phentsize != sizeof(part))                 \
			return ELF_FOREIGN;                                                          \
		for (size_t i = 0; i < file.e_phnum; i++) {                                          \
			if (file.e_phoff > length || length - file.e_phoff < (i + 1) * sizeof(part)) \
				break;                                                               \
			memcpy(&part, bytes + file.e_phoff + i * sizeof(part), sizeof(part));        \
			if (part.p_type != PT_INTERP)                                                \
				continue;                                                            \
			if (part.p_offset < length && part.p_filesz <= length - part.p_offset &&     \
			    loader_is_musl((const char *)bytes + part.p_offset, part.p_filesz))      \
				return ELF_MUSL;                                                     \
			return LOADS_##bits;                                                         \
		}                                                                                    \
		return ELF_STATIC;                                                                   \
	}

KIND_OF_HEADERS(64, EM_X86_64)
KIND_OF_HEADERS(32, EM_386)

enum elf_kind elf_kind(const void *bytes, size_t length)
{
	const unsigned char *b = bytes;

	if (length >= 2 && b[0] == '#' && b[1] == '!')
		return ELF_SCRIPT;
	if (length < EI_NIDENT || memcmp(b, ELFMAG, SELFMAG) != 0)
		return ELF_UNKNOWN;
	if (b[EI_DATA] == ELFDATA2LSB && b[EI_CLASS] == ELFCLASS64)
		return kind_of_64(b, length);
	if (b[EI_DATA] == ELFDATA2LSB && b[EI_CLASS] == ELFCLASS32)
		return kind_of_32(b, length);
	return ELF_FOREIGN;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool ends_line(char c)
{
	return c == '\n' || c == '\0';
}

const char *elf_script_interpreter(const void *bytes, size_t length, size_t *path_length)
{
	const char *text = bytes;
	size_t start = 2;

	while (start < length && is_blank(text[start]))
		start++;
	size_t end = start;
	while (end < length && !is_blank(text[end]) && !ends_line(text[end]))
		end++;
	*path_length = end > start ? end - start : 0;
	return text + start;
}

const char *elf_script_argument(const void *bytes, size_t length, size_t *argument_length)
{
	const char *last = (const char *)bytes + length, *start, *end;

	start = elf_script_interpreter(bytes, length, argument_length) + *argument_length;
	while (start < last && is_blank(*start))
		start++;
	end = start;
	while (end < last && !ends_line(*end))
		end++;
	while (end > start && is_blank(end[-1]))
		end--;
	*argument_length = (size_t)(end - start);
	return start;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/script.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/elf_kind.h"
#include "core/sys.h"
#include "preload/map.h"

static bool is_moved(const char *path)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	return m.kind == MAP_MOVED;
}

/* Not where the line does not end in what the kernel reads: it decides what that means. */
static bool parse(struct script *script, size_t length)
{
	size_t count;

	if (elf_kind(script->bytes, length) != ELF_SCRIPT)
		return false;
	const char *end = memchr(script->bytes, '\n', length);
	/* The kernel cuts an argument off where its room ends, but no interpreter. */
	const bool cut = !end && length == sizeof(script->bytes);
	length = end ? (size_t)(end - script->bytes) : length - cut;
	size_t interpreter = (size_t)(elf_script_interpreter(script->bytes, length, &count) - script->bytes);
	size_t interpreter_end = interpreter + count;
	size_t argument = (size_t)(elf_script_argument(script->bytes, length, &count) - script->bytes);
	script->bytes[argument + count] = '\0';
	script->bytes[interpreter_end] = '\0';
	script->interpreter = script->bytes + interpreter;
	script->argument = count ? script->bytes + argument : NULL;
	return interpreter_end > interpreter && !(cut && interpreter_end == length);
}

/* Without blocking on what is no file. */
bool script_read(struct script *script, const char *path)
{
	struct stat st;

	/* To open what is no file may do something: a FIFO lets its writer in, a watchdog begins. */
	if (sys_fstatat(AT_FDCWD, path, &st, 0) != 0 || !S_ISREG(st.st_mode))
		return false;
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	ssize_t length = sys_read(fd, script->bytes, sizeof(script->bytes));
	sys_close(fd);
	return length > 0 && parse(script, (size_t)length) && is_moved(script->interpreter) &&
	       sys_faccessat(AT_FDCWD, path, X_OK) == 0;
}

static size_t count_of(char *const argv[])
{
	size_t count = 0;

	while (argv && argv[count])
		count++;
	return count;
}

size_t script_arguments_room(char *const argv[])
{
	return (count_of(argv) + 4) * sizeof(char *);
}

void script_arguments(const struct script *script, const char *path, char *const argv[], char **to)
{
	size_t count = count_of(argv);

	*to++ = script->interpreter;
	if (script->argument)
		*to++ = script->argument;
	*to++ = (char *)(uintptr_t)path;
	for (size_t i = 1; i < count; i++)
		*to++ = argv[i];
	*to = NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/exec.h"
#include "preload/launch.h"

#define TEXT_ROOM 256
#define TEXT_MAX 4096

static const char launcher_variable[] = ENV_LAUNCHER "=";
static const char own_program[] = "/proc/self/exe";

/*
 * ld.so was run as a program and was told another: it has no interpreter, and our arguments are not those
 * that it was started with.
 */
static bool is_loader(char **envp)
{
	while (*envp)
		envp++;
	for (const ElfW(auxv_t) *a = (const void *)(envp + 1); a->a_type != AT_NULL; a++)
		if (a->a_type == AT_BASE)
			return a->a_un.a_val == 0;
	return true;
}

/* Those that decide about pins themselves. */
static bool is_ours(const char *program)
{
	const char *name = program;

	for (const char *p = program; *p; p++)
		if (*p == '/')
			name = p + 1;
	return strlen(name) == strlen("rcu-exec") &&
	       (memcmp(name, "rcu-exec", strlen(name)) == 0 || memcmp(name, "rcu-repo", strlen(name)) == 0);
}

/* Does the text name what is running? Not if it was replaced or removed, or is in another root. */
static bool is_running(const char *program)
{
	struct stat running, named;

	return sys_fstatat(AT_FDCWD, own_program, &running, 0) == 0 &&
	       sys_fstatat(AT_FDCWD, program, &named, 0) == 0 && running.st_dev == named.st_dev &&
	       running.st_ino == named.st_ino;
}

/* The program's name, an option, the program, -- and the end. */
#define LAUNCHER_WORDS 5

const char *launcher_path(void)
{
	if (!shim.launcher)
		return LAUNCHER_PATH;
	return shim.launcher[0] ? shim.launcher : NULL;
}

size_t launcher_room(char *const argv[])
{
	size_t count = LAUNCHER_WORDS + 1;

	while (argv && *argv++)
		count++;
	return count * sizeof(char *);
}

void launcher_arguments(const char *option, const char *program, char *const argv[], char **to)
{
	const char *const words[] = { "rcu-exec", option, program, "--" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		*to++ = (char *)(uintptr_t)words[i];
	/* As the kernel: a program has an argv[0]. */
	if (!argv || !*argv)
		*to++ = (char *)(uintptr_t) "";
	while (argv && *argv)
		*to++ = *argv++;
	*to = NULL;
}

static void launch(const char *program, char **argv, char **envp)
{
	const size_t prefix = sizeof(launcher_variable) - 1;
	const char *launcher = LAUNCHER_PATH;
	size_t entries = 0;

	for (; envp[entries]; entries++)
		/* Set and empty is for programs that have pins. */
		if (strlen(envp[entries]) > prefix && memcmp(envp[entries], launcher_variable, prefix) == 0)
			launcher = envp[entries] + prefix;
	char **arguments = __builtin_alloca(launcher_room(argv));
	launcher_arguments(LAUNCHER_REEXEC, program, argv, arguments);
	/* Set though empty: the shim in the launcher shall not come here again. */
	const char **environment = __builtin_alloca((entries + 2) * sizeof(*environment));
	memcpy(environment, envp, entries * sizeof(*environment));
	environment[entries] = ENV_PINS "=";
	environment[entries + 1] = NULL;
	sys_call(SYS_execve, (long)launcher, (long)arguments, (long)environment, 0, 0, 0);
}

void exec_through_launcher(char **argv, char **envp)
{
	char *program;
	ssize_t length;
	size_t room = TEXT_ROOM;

	if (is_loader(envp))
		return;
	do {
		room *= 2;
		program = __builtin_alloca(room);
		length = sys_readlinkat(AT_FDCWD, own_program, program, room);
	} while (length == (ssize_t)room && room < TEXT_MAX);
	if (length <= 0 || length == (ssize_t)room)
		return;
	program[length] = '\0';
	if (!is_ours(program) && is_running(program))
		launch(program, argv, envp);
}

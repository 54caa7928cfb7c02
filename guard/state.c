/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <link.h>
#include <linux/limits.h>
#include <string.h>

#include "guard/guard.h"

struct guard guard;
int guard_started;

/* Room of what is put back at an exec: a program may overwrite its environment (setproctitle). */
static char text_room[GUARD_TEXT_ROOM];
static char self_room[PATH_MAX];

/* ld.so's: where the kernel put argc, argv, envp. musl has none. */
extern void *__libc_stack_end __attribute__((weak));
extern char **environ __attribute__((weak));

static const char file_name[] = "librcu-guard.so";

static const char *environment_get(char **envp, const char *name)
{
	for (; envp && *envp; envp++) {
		size_t i = 0;

		while (name[i] && (*envp)[i] == name[i])
			i++;
		if (!name[i] && (*envp)[i] == '=')
			return *envp + i + 1;
	}
	return NULL;
}

/* The entry of LD_PRELOAD that is us, known by the file's name. */
static const char *find_self(const char *list)
{
	const size_t name = sizeof(file_name) - 1;

	while (list && *list) {
		size_t length = 0;

		while (list[length] && list[length] != ':' && list[length] != ' ')
			length++;
		if (length >= name && length < sizeof(self_room) &&
		    memcmp(list + length - name, file_name, name) == 0) {
			memcpy(self_room, list, length);
			self_room[length] = '\0';
			return self_room;
		}
		list += length + (list[length] != '\0');
	}
	return NULL;
}

/* What the kernel put on the stack; before libc has set `environ`, too. */
static char **initial_environment(void)
{
	if (&__libc_stack_end && __libc_stack_end)
		return (char **)__libc_stack_end + 1 + *(long *)__libc_stack_end + 1;
	return &environ ? environ : NULL;
}

/* Whoever comes here while another is still at it does the work again: the result is the same. */
void guard_start(void)
{
	char **envp = initial_environment();
	const char *text = environment_get(envp, ENV_GUARD);

	if (text && strlen(text) < sizeof(text_room) && guard_text_parse(text, &guard.ids)) {
		memcpy(text_room, text, strlen(text) + 1);
		guard.text = text_room;
		guard.self = find_self(environment_get(envp, "LD_PRELOAD"));
		guard.active = true;
	}
	__atomic_store_n(&guard_started, 1, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void construct(void)
{
	guard_active();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/aside.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "core/preload_list.h"
#include "helper/base/alloc.h"

static char *environment_copy(const char *name)
{
	const char *value = getenv(name);

	return value ? alloc_copy(value) : NULL;
}

static void drop_from_preload(const char *shim)
{
	const char *list = getenv("LD_PRELOAD");

	if (!list || !preload_list_has(list, shim))
		return;
	char *rest = alloc_grow(NULL, strlen(list) + 1, 1);
	if (preload_list_remove(rest, list, shim) == 0)
		unsetenv("LD_PRELOAD");
	else
		setenv("LD_PRELOAD", rest, 1);
	free(rest);
}

/* How LD_PRELOAD names the library that was loaded from `path`: with $LIB and its like it is known by the file's name (state.c). */
static char *entry_of(const char *path)
{
	const char *list = getenv("LD_PRELOAD"), *slash = strrchr(path, '/');
	const size_t name = slash ? strlen(slash) : strlen(path);

	for (size_t length; list && *list; list += length + (list[length] != '\0')) {
		length = strcspn(list, ": ");
		if (memchr(list, '$', length) && length > name &&
		    strncmp(list + length - name, path + strlen(path) - name, name) == 0)
			return alloc_printf("%.*s", (int)length, list);
	}
	return alloc_copy(path);
}

/* preload/state.h has the function; where the shim is not loaded there is none. */
static char *end_redirection(void)
{
	void (*end)(void) = NULL;
	void *symbol = dlsym(RTLD_DEFAULT, "librcu_exec_stand_aside");
	Dl_info info;

	if (!symbol)
		return NULL;
	memcpy(&end, &symbol, sizeof(end));
	end();
	return dladdr(symbol, &info) && info.dli_fname ? entry_of(info.dli_fname) : NULL;
}

void stand_aside(struct aside *aside)
{
	static const char *const variables[] = { ENV_PINS, ENV_FDS, ENV_STRICT };
	const char *strict = getenv(ENV_STRICT);

	aside->shim = end_redirection();
	aside->pins = environment_copy(ENV_PINS);
	aside->strict = strict && strcmp(strict, "1") == 0;
	if (aside->shim)
		drop_from_preload(aside->shim);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			abort();
}

void aside_release(struct aside *aside)
{
	free(aside->pins);
	free(aside->shim);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/within.h"

#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "helper/base/alloc.h"
#include "helper/launcher/loadable.h"

#define INTERPRETERS_MAX 5

static bool is_below(const char *path, const char *directory, size_t length)
{
	return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The canonical path of as much of it as there is. The caller frees it. */
static char *canonical(const char *path)
{
	char *text = alloc_copy(path), *found;

	while (!(found = realpath(*text ? text : ".", NULL))) {
		char *slash = strrchr(text, '/');

		if (!slash && !*text)
			break;
		if (slash)
			slash[slash == text && slash[1] != '\0'] = '\0';
		else
			*text = '\0';
	}
	free(text);
	return found;
}

static bool is_within(const struct pinning *pinning, const char *path)
{
	char *real = canonical(path);
	bool found = false;

	for (size_t i = 0; real && i < pinning->count; i++) {
		size_t store = 0;
		uint64_t number;

		found = found || (snapshot_path_split(pinning->pins[i].snapshot, &store, &number) &&
				  is_below(real, pinning->pins[i].snapshot, store));
	}
	free(real);
	return found;
}

static bool leads_within(const struct pinning *pinning, const char *path)
{
	char *file = alloc_copy(path);
	bool found = false;

	for (int depth = 0; file && !found && depth <= INTERPRETERS_MAX; depth++) {
		char *interpreter = NULL;

		found = is_within(pinning, file);
		if (!found)
			loadable_look(file, &interpreter);
		free(file);
		file = interpreter;
	}
	free(file);
	return found;
}

bool within_pinned(const struct pinning *pinning, const char *command)
{
	const char *path = getenv("PATH");

	if (strchr(command, '/'))
		return leads_within(pinning, command);
	for (bool more = path && *path; more;) {
		const size_t length = strcspn(path, ":");
		char *file = alloc_printf("%.*s%s%s", (int)length, path, length ? "/" : "./", command);
		const bool found = leads_within(pinning, file);

		free(file);
		if (found)
			return true;
		more = path[length] != '\0';
		path += length + more;
	}
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/config/order.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"

#define LAYOUT_ROOM 65536

/* For inih: 1 is good. */
static int layout_line(void *user, const char *section, const char *key, const char *value)
{
	char **masters = user;

	(void)section;
	if (strcmp(key, "masters") == 0 && !*masters)
		*masters = alloc_copy(value);
	return 1;
}

/* What the tree says of its masters; NULL where it says nothing. The caller frees it. */
static char *layout_masters(const struct repo *repo)
{
	char *path = alloc_printf("%s/metadata/layout.conf", repo->location);
	char *text = alloc_grow(NULL, LAYOUT_ROOM, 1), *masters = NULL;

	if (file_read_text(AT_FDCWD, path, text, LAYOUT_ROOM) > 0)
		ini_parse_string(text, layout_line, &masters);
	free(text);
	free(path);
	return masters;
}

static bool names_have(const char *names, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = names; *(at += strspn(at, " \t\n")) != '\0'; at += strcspn(at, " \t\n"))
		if (strcspn(at, " \t\n") == length && strncmp(at, name, length) == 0)
			return true;
	return false;
}

/* Is `other` a master of `repo`, which has `layout` in its tree? */
static bool is_master(const struct repo *repo, const char *layout, const struct repo *other,
		      const struct repo *main)
{
	if (repo->masters) {
		for (char **name = repo->masters; *name; name++)
			if (strcmp(*name, other->name) == 0)
				return true;
		return false;
	}
	return layout ? names_have(layout, other->name) : other == main;
}

/* The first that has no master among those that are not placed yet; or the first of those. */
static size_t choose(const struct repos *repos, char **layouts, const bool *placed)
{
	size_t first = repos->count;

	for (size_t i = 0; i < repos->count; i++) {
		bool waits = false;

		if (placed[i])
			continue;
		for (size_t j = 0; j < repos->count; j++)
			waits |= j != i && !placed[j] &&
				 is_master(&repos->list[i], layouts[i], &repos->list[j], &repos->list[0]);
		if (!waits)
			return i;
		if (first == repos->count)
			first = i;
	}
	return first;
}

size_t *order_masters_first(const struct repos *repos)
{
	size_t *order = alloc_grow(NULL, repos->count + 1, sizeof(*order));
	bool *placed = alloc_grow(NULL, repos->count + 1, sizeof(*placed));
	char **layouts = alloc_grow(NULL, repos->count + 1, sizeof(*layouts));

	for (size_t i = 0; i < repos->count; i++) {
		placed[i] = false;
		layouts[i] = repos->list[i].masters ? NULL : layout_masters(&repos->list[i]);
	}
	for (size_t n = 0; n < repos->count; n++) {
		order[n] = choose(repos, layouts, placed);
		placed[order[n]] = true;
	}
	for (size_t i = 0; i < repos->count; i++)
		free(layouts[i]);
	free(layouts);
	free(placed);
	return order;
}

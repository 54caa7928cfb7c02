/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/preload_list.h"

#include <string.h>

static bool separates(char c)
{
	return c == ':' || c == ' ';
}

/* The next entry at or after *cursor; its length, 0 at the end. *cursor is left at the entry. */
static size_t next_entry(const char **cursor)
{
	size_t length = 0;

	while (separates(**cursor))
		(*cursor)++;
	while ((*cursor)[length] && !separates((*cursor)[length]))
		length++;
	return length;
}

static bool same(const char *entry, size_t length, const char *shim)
{
	return strlen(shim) == length && memcmp(entry, shim, length) == 0;
}

bool preload_list_has(const char *list, const char *shim)
{
	size_t length;

	if (!list)
		return false;
	for (; (length = next_entry(&list)) != 0; list += length)
		if (same(list, length, shim))
			return true;
	return false;
}

size_t preload_list_room(const char *list, const char *shim)
{
	return (list ? strlen(list) + 1 : 0) + strlen(shim) + 1;
}

size_t preload_list_append(char *to, const char *list, const char *shim)
{
	size_t length = list ? strlen(list) : 0;

	if (length)
		memcpy(to, list, length);
	if (!preload_list_has(list, shim)) {
		if (length)
			to[length++] = ':';
		memcpy(to + length, shim, strlen(shim));
		length += strlen(shim);
	}
	to[length] = '\0';
	return length;
}

size_t preload_list_remove(char *to, const char *list, const char *shim)
{
	size_t written = 0, length;

	for (; (length = next_entry(&list)) != 0; list += length) {
		if (same(list, length, shim))
			continue;
		if (written)
			to[written++] = ':';
		memcpy(to + written, list, length);
		written += length;
	}
	to[written] = '\0';
	return written;
}

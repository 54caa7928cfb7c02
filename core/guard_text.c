/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/guard_text.h"

#include <string.h>

size_t guard_text_format(const struct guard_text *guard, char *to)
{
	const size_t length = strlen(guard->scratch);
	char *end = file_id_format(&guard->snapshots, file_id_format(&guard->staging, to));

	*end++ = ':';
	memcpy(end, guard->scratch, length + 1);
	return (size_t)(end - to) + length;
}

/* The first byte of a name of ours is a digit of its time, so "." and ".." are out, too. */
static bool scratch_good(const char *name)
{
	const size_t length = strlen(name);

	return length > 0 && length <= GUARD_SCRATCH_MAX && name[0] != '.' && !strchr(name, '/');
}

bool guard_text_parse(const char *text, struct guard_text *guard)
{
	if (!file_id_parse(&text, &guard->staging) || !file_id_parse(&text, &guard->snapshots) ||
	    *text++ != ':' || !scratch_good(text))
		return false;
	memcpy(guard->scratch, text, strlen(text) + 1);
	return guard->staging.inode != 0 && guard->snapshots.inode != 0;
}

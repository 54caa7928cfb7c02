/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/text.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "helper/base/alloc.h"

/* How many bytes the UTF-8 character at `at` has; 0: it is none. */
static size_t utf8_bytes(const unsigned char *at)
{
	const size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

	if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* forms that are longer than need be, surrogates, beyond Unicode */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

/* The same, of one that a line may have: 0 for C0, DEL and C1. */
static size_t line_bytes(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0))
		return 0;
	return utf8_bytes(at);
}

/* The same, of one that the locale has a width for. */
static size_t cell_bytes(const char *text)
{
	const size_t length = line_bytes(text);
	mbstate_t state = { 0 };
	wchar_t wide;

	return length != 0 && mbrtowc(&wide, text, length, &state) == length && wcwidth(wide) >= 0 ? length
												   : 0;
}

/* Copies what `plain` lets pass, and writes the rest as \xXX. Returns how much of `to` was used. */
static size_t show(char *to, size_t room, const char *from, size_t (*plain)(const char *))
{
	size_t used = 0;

	while (*from != '\0') {
		const size_t length = plain(from), need = length != 0 ? length : 4;

		if (used + need >= room)
			break;
		if (length != 0)
			memcpy(to + used, from, length);
		else
			snprintf(to + used, room - used, "\\x%02X", (unsigned char)*from);
		from += length != 0 ? length : 1;
		used += need;
	}
	to[used] = '\0';
	return used;
}

static char *show_whole(const char *from, size_t (*plain)(const char *))
{
	const size_t room = 4 * strlen(from) + 2;
	char *shown = alloc_grow(NULL, room, 1);

	return alloc_grow(shown, show(shown, room, from, plain) + 1, 1);
}

void text_show(char *to, size_t room, const char *from)
{
	show(to, room, from, line_bytes);
}

char *text_line(const char *from)
{
	return show_whole(from, line_bytes);
}

char *text_cell(const char *from)
{
	return show_whole(from, cell_bytes);
}

char *text_json(const char *from)
{
	static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
	char *text = alloc_grow(NULL, 3 * strlen(from) + 1, 1), *to = text;

	while (*from != '\0') {
		const size_t length = utf8_bytes((const unsigned char *)from);

		memcpy(to, length != 0 ? from : replacement, length != 0 ? length : 3);
		to += length != 0 ? length : 3;
		from += length != 0 ? length : 1;
	}
	*to = '\0';
	return text;
}

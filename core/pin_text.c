/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/pin_text.h"

#include <string.h>

static bool must_escape(char c)
{
	return c == '%' || c == '=' || c == '\n';
}

static size_t escaped_length(const char *path)
{
	size_t length = 0;

	for (; *path; path++)
		length += must_escape(*path) ? 3 : 1;
	return length;
}

static char *escape(char *to, const char *path)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *path; path++) {
		if (must_escape(*path)) {
			*to++ = '%';
			*to++ = hex[(unsigned char)*path >> 4];
			*to++ = hex[(unsigned char)*path & 15];
		} else {
			*to++ = *path;
		}
	}
	return to;
}

bool pin_text_append(char *to, size_t room, size_t *used, const char *location, const char *snapshot)
{
	size_t need = escaped_length(location) + 1 + escaped_length(snapshot) + 1;

	if (*used >= room || room - *used <= need)
		return false;
	char *end = escape(to + *used, location);
	*end++ = '=';
	end = escape(end, snapshot);
	*end++ = '\n';
	*end = '\0';
	*used += need;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Decodes text[0 .. length) to `to`, terminated. Returns behind the zero, or NULL where it is not an absolute
 * path, well escaped. */
static char *unescape(char *to, const char *text, size_t length)
{
	if (length == 0 || text[0] != '/')
		return NULL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
		int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return NULL;
		*to++ = (char)(high << 4 | low);
		i += 2;
	}
	*to++ = '\0';
	return to;
}

enum pin_text_result pin_text_next(const char **cursor, char *room, size_t size, struct pin_text *pin)
{
	const char *line = *cursor;

	while (*line == '\n')
		line++;
	if (*line == '\0') {
		*cursor = line;
		return PIN_TEXT_END;
	}
	const char *end = strchr(line, '\n');
	size_t length = end ? (size_t)(end - line) : strlen(line);
	*cursor = line + length;

	const char *equals = memchr(line, '=', length);
	if (!equals || memchr(equals + 1, '=', length - (size_t)(equals + 1 - line)))
		return PIN_TEXT_BAD;
	if (size < length + 1)
		return PIN_TEXT_ROOM;
	pin->location = room;
	pin->snapshot = unescape(room, line, (size_t)(equals - line));
	if (!pin->snapshot || !unescape(pin->snapshot, equals + 1, length - (size_t)(equals + 1 - line)))
		return PIN_TEXT_BAD;
	return PIN_TEXT_PIN;
}

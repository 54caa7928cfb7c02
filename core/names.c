/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/names.h"

#include <string.h>

bool snapshot_number_parse(const char *text, size_t length, uint64_t *number)
{
	uint64_t value = 0;

	if (length == 0 || length >= SNAPSHOT_NUMBER_ROOM || text[0] == '0')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
		if (value > SNAPSHOT_NUMBER_MAX)
			return false;
	}
	*number = value;
	return true;
}

size_t snapshot_number_format(uint64_t number, char *to)
{
	char digits[SNAPSHOT_NUMBER_ROOM];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	for (size_t i = 0; i < count; i++)
		to[i] = digits[count - 1 - i];
	to[count] = '\0';
	return count;
}

static size_t numbered(const char *prefix, size_t prefix_length, uint64_t number, char *to)
{
	memcpy(to, prefix, prefix_length);
	return prefix_length + snapshot_number_format(number, to + prefix_length);
}

size_t snapshot_name(uint64_t number, char *to)
{
	return numbered(STORE_SNAPSHOTS "/", sizeof(STORE_SNAPSHOTS), number, to);
}

size_t pin_name(uint64_t number, char *to)
{
	return numbered(STORE_PINS "/", sizeof(STORE_PINS), number, to);
}

bool latest_target_parse(const char *target, size_t length, uint64_t *number)
{
	const size_t prefix = sizeof(STORE_SNAPSHOTS); /* the slash is in the zero's place */

	return length > prefix && memcmp(target, STORE_SNAPSHOTS "/", prefix) == 0 &&
	       snapshot_number_parse(target + prefix, length - prefix, number);
}

bool snapshot_path_split(const char *path, size_t *store_length, uint64_t *number)
{
	size_t length = strlen(path), slash = length;

	if (path[0] != '/')
		return false;
	while (slash > 0 && path[slash - 1] != '/')
		slash--;
	/* path[0 .. slash) ends in "/snapshots/" */
	if (slash < sizeof("/" STORE_SNAPSHOTS "/"))
		return false;
	size_t store = slash - (sizeof("/" STORE_SNAPSHOTS "/") - 1);
	if (memcmp(path + store, "/" STORE_SNAPSHOTS "/", slash - store) != 0)
		return false;
	if (!snapshot_number_parse(path + slash, length - slash, number))
		return false;
	*store_length = store;
	return true;
}

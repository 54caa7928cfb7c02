/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/handover.h"

#define FD_MAX (1 << 30)

static char *add_number(char *to, uint64_t number, unsigned base)
{
	char digits[20];
	size_t count = 0;

	do
		digits[count++] = "0123456789abcdef"[number % base];
	while ((number /= base) != 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

char *file_id_format(const struct file_id *id, char *to)
{
	*to++ = ':';
	to = add_number(to, id->device, 16);
	*to++ = ':';
	return add_number(to, id->inode, 16);
}

size_t handover_format(const struct handover *handover, char *to)
{
	char *end = to;

	if (handover->fd < 0) {
		*end++ = '-';
	} else {
		if (handover->far)
			*end++ = '+';
		end = add_number(end, (uint64_t)handover->fd, 10);
		end = file_id_format(&handover->pin, end);
		end = file_id_format(&handover->store, end);
		end = file_id_format(&handover->root, end);
	}
	*end = '\0';
	return (size_t)(end - to);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* False if there is no digit, or too many. */
static bool take_number(const char **text, unsigned base, uint64_t max, uint64_t *number)
{
	const char *from = *text;

	*number = 0;
	for (; digit_of(**text) < (int)base; ++*text) {
		uint64_t digit = (uint64_t)digit_of(**text);

		if (*number > (max - digit) / base)
			return false;
		*number = *number * base + digit;
	}
	return *text != from;
}

bool file_id_parse(const char **text, struct file_id *id)
{
	for (int i = 0; i < 2; i++) {
		if (**text != ':')
			return false;
		++*text;
		if (!take_number(text, 16, UINT64_MAX, i ? &id->inode : &id->device))
			return false;
	}
	return true;
}

static bool take_entry(const char **text, struct handover *handover)
{
	uint64_t fd;

	handover->far = **text == '+';
	*text += handover->far;
	if (!take_number(text, 10, FD_MAX, &fd) || !file_id_parse(text, &handover->pin) ||
	    !file_id_parse(text, &handover->store) || !file_id_parse(text, &handover->root))
		return false;
	handover->fd = (int)fd;
	return **text == ',' || **text == '\0';
}

bool handover_confined(const char **list)
{
	const bool confined = *list && **list == HANDOVER_CONFINED[0];

	*list += confined;
	return confined;
}

void handover_parse(struct handover *handover, const char **list)
{
	const char *text = *list;

	*handover = (struct handover){ .fd = -1 };
	if (!text)
		return;
	if (!take_entry(&text, handover))
		*handover = (struct handover){ .fd = -1 };
	while (*text && *text != ',')
		text++;
	*list = *text ? text + 1 : NULL;
}

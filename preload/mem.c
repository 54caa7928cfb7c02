/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mem.c: the few functions of <string.h> that the compiler and core call.
 *
 * The shim imports none of libc's: those are resolved by IFUNC and through tables that may not be ready when the first
 * wrapper runs. The version script keeps these names inside the shim.
 */
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	char *t = to;
	const char *f = from;

	while (length--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	char *t = to;
	const char *f = from;

	if (t <= f) {
		while (length--)
			*t++ = *f++;
	} else {
		while (length--)
			t[length] = f[length];
	}
	return to;
}

void *memset(void *to, int value, size_t length)
{
	char *t = to;

	while (length--)
		*t++ = (char)value;
	return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
	const unsigned char *l = left, *r = right;

	for (; length--; l++, r++)
		if (*l != *r)
			return *l - *r;
	return 0;
}

void *memchr(const void *bytes, int value, size_t length)
{
	const unsigned char *b = bytes;

	for (; length--; b++)
		if (*b == (unsigned char)value)
			return (void *)b;
	return NULL;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

char *strchr(const char *text, int value)
{
	for (;; text++) {
		if (*text == (char)value)
			return (char *)text;
		if (*text == '\0')
			return NULL;
	}
}

char *strrchr(const char *text, int value)
{
	char *last = NULL;

	for (;; text++) {
		if (*text == (char)value)
			last = (char *)text;
		if (*text == '\0')
			return last;
	}
}

int strcmp(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *(const unsigned char *)left - *(const unsigned char *)right;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mem.c: the few functions of <string.h> that the compiler and core call.
 *
 * The shim imports none of libc's: those are resolved by IFUNC and through tables that may not be ready when the first
 * wrapper runs. The version script keeps these names inside the shim.
 */
#include <stdint.h>
#include <string.h>

#include "preload/copy.h"

/* Eight bytes at a time: paths are looked at and copied at each call. A fixed size is no call but an instruction. */
typedef uint64_t word;

#define EACH(byte) ((word)(byte)*UINT64_C(0x0101010101010101))

static word word_at(const char *text)
{
	word w;

	__builtin_memcpy(&w, text, sizeof(w));
	return w;
}

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	copy_bytes(to, from, length);
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

/*
 * By aligned words, which never cross into a page that the text does not touch. The test lets a byte above 0x80 pass for a zero: then
 * it is looked at closely.
 */
size_t strlen(const char *text)
{
	const char *end = text;

	for (; (uintptr_t)end % sizeof(word) != 0; end++)
		if (*end == '\0')
			return (size_t)(end - text);
	for (;; end += sizeof(word)) {
		if (((word_at(end) - EACH(0x01)) & EACH(0x80)) == 0)
			continue;
		for (size_t i = 0; i < sizeof(word); i++)
			if (end[i] == '\0')
				return (size_t)(end + i - text);
	}
}

/* 0x80 in each byte that is zero, 0 in all others. */
static word zeros(word w)
{
	return ~(((w & EACH(0x7f)) + EACH(0x7f)) | w | EACH(0x7f));
}

void *memrchr(const void *bytes, int value, size_t length)
{
	const char *b = bytes;

	while (length >= sizeof(word)) {
		const word found = zeros(word_at(b + length - sizeof(word)) ^ EACH((unsigned char)value));

		if (found != 0)
			return (void *)(uintptr_t)(b + length - 1 - __builtin_clzll(found) / 8);
		length -= sizeof(word);
	}
	while (length-- != 0)
		if (b[length] == (char)value)
			return (void *)(uintptr_t)(b + length);
	return NULL;
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

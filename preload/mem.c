/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mem.c: the few functions of <string.h> that the compiler and core call.
 *
 * The shim imports none of libc's: those are resolved by IFUNC and through tables that may not be ready when the first
 * wrapper runs. The version script keeps these names inside the shim.
 */
#include <stdint.h>
#include <string.h>

/* Eight bytes at a time: paths are looked at and copied at each call. A fixed size is no call but an instruction. */
typedef uint64_t word;

#define EACH(byte) ((word)(byte)*UINT64_C(0x0101010101010101))

static word word_at(const char *text)
{
	word w;

	__builtin_memcpy(&w, text, sizeof(w));
	return w;
}

/* Both ends, as far as a `type` goes; they may overlap. */
#define COPY_ENDS(type, to, from, length)                                                 \
	do {                                                                              \
		type first_, last_;                                                       \
		__builtin_memcpy(&first_, (from), sizeof(type));                          \
		__builtin_memcpy(&last_, (from) + (length) - sizeof(type), sizeof(type)); \
		__builtin_memcpy((to), &first_, sizeof(type));                            \
		__builtin_memcpy((to) + (length) - sizeof(type), &last_, sizeof(type));   \
	} while (0)

static void copy_short(char *to, const char *from, size_t length)
{
	if (length >= sizeof(uint64_t))
		COPY_ENDS(uint64_t, to, from, length);
	else if (length >= sizeof(uint32_t))
		COPY_ENDS(uint32_t, to, from, length);
	else
		while (length--)
			*to++ = *from++;
}

/* Paths are some tens of bytes: the last block once more in part, rather than what is left of it byte by byte. */
void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	const size_t block = 16;
	char *t = to;
	const char *f = from, *last = f + length - block;

	if (length < block) {
		copy_short(t, f, length);
		return to;
	}
	for (; f < last; f += block, t += block)
		__builtin_memcpy(t, f, block);
	__builtin_memcpy(t + (last - f), last, block);
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
		if (zeros(word_at(b + length - sizeof(word)) ^ EACH((unsigned char)value)) != 0)
			break;
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

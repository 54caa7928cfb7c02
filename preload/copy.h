/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.h: memcpy() for texts, as an inline function where a call would cost as much as the copy.
 */
#ifndef PRELOAD_COPY_H
#define PRELOAD_COPY_H

#include <stddef.h>
#include <stdint.h>

/* Both ends, as far as a `type` goes; they may overlap. A fixed size is no call but an instruction. */
#define COPY_ENDS(type, to, from, length)                                                 \
	do {                                                                              \
		type first_, last_;                                                       \
		__builtin_memcpy(&first_, (from), sizeof(type));                          \
		__builtin_memcpy(&last_, (from) + (length) - sizeof(type), sizeof(type)); \
		__builtin_memcpy((to), &first_, sizeof(type));                            \
		__builtin_memcpy((to) + (length) - sizeof(type), &last_, sizeof(type));   \
	} while (0)

__attribute__((always_inline)) static inline void copy_short(char *to, const char *from, size_t length)
{
	if (length >= sizeof(uint64_t))
		COPY_ENDS(uint64_t, to, from, length);
	else if (length >= sizeof(uint32_t))
		COPY_ENDS(uint32_t, to, from, length);
	else
		while (length--)
			*to++ = *from++;
}

#define COPY_BLOCK 16

/* Paths are some tens of bytes: the last block once more in part, rather than what is left of it byte by byte. */
__attribute__((always_inline)) static inline void copy_bytes(char *to, const char *from, size_t length)
{
	if (length < COPY_BLOCK) {
		copy_short(to, from, length);
		return;
	}
	const char *last = from + length - COPY_BLOCK;
	char *end = to + length - COPY_BLOCK;

	for (; from < last; from += COPY_BLOCK, to += COPY_BLOCK)
		__builtin_memcpy(to, from, COPY_BLOCK);
	__builtin_memcpy(end, last, COPY_BLOCK);
}

#endif

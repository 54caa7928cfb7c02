/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * alloc.h: memory for the programs (never for the shim). A program of this size cannot go on without memory:
 * it says so and ends with status 1. Every on-disk step is safe against being ended anywhere, so this is no
 * special case.
 */
#ifndef HELPER_BASE_ALLOC_H
#define HELPER_BASE_ALLOC_H

#include <stddef.h>

void *alloc_grow(void *old, size_t count, size_t size)
	__attribute__((returns_nonnull, warn_unused_result)); /* realloc(old, count * size) */
char *alloc_copy(const char *text) __attribute__((returns_nonnull, warn_unused_result));
char *alloc_printf(const char *format, ...)
	__attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));

#endif

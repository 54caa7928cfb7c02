/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/base/err.h"

/* The one place outside the mains that ends the program: alloc.h says why. */
static _Noreturn void alloc_failed(void)
{
	fprintf(stderr, "%s: memory: none left\n", err_program);
	exit(STATUS_FAILED);
}

void *alloc_grow(void *old, size_t count, size_t size)
{
	/* realloc(p, 0) may free and return NULL; an empty array is one byte here. */
	void *grown = count == 0 || size == 0 ? realloc(old, 1) : reallocarray(old, count, size);

	if (grown == NULL)
		alloc_failed();
	return grown;
}

char *alloc_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		alloc_failed();
	return copy;
}

char *alloc_printf(const char *format, ...)
{
	char *text;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		alloc_failed();
	va_end(arguments);
	return text;
}

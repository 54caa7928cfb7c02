/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * words.h: a list of strings that grows.
 */
#ifndef HELPER_BASE_WORDS_H
#define HELPER_BASE_WORDS_H

#include <stddef.h>

struct words {
	char **list; /* NULL-terminated; NULL where nothing was added yet */
	size_t count;
};
#define WORDS_NONE           \
	{                    \
		.list = NULL \
	}

void words_add(struct words *words, char *word);                     /* takes `word` */
void words_add_copies(struct words *words, const char *const *more); /* NULL-terminated, or NULL */
void words_release(struct words *words);

#endif

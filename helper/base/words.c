/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/words.h"

#include <stdlib.h>

#include "helper/base/alloc.h"

void words_add(struct words *words, char *word)
{
	words->list = alloc_grow(words->list, words->count + 2, sizeof(*words->list));
	words->list[words->count++] = word;
	words->list[words->count] = NULL;
}

void words_add_copies(struct words *words, const char *const *more)
{
	for (; more && *more; more++)
		words_add(words, alloc_copy(*more));
}

void words_release(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
	free(words->list);
	*words = (struct words)WORDS_NONE;
}

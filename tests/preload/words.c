/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * words: what wordexp(3) makes of texts.
 *
 *     words [-a] [-r] [-d] [-n] [-u] TEXT...
 *
 * For each text a line: the result, and each word in brackets. -n and -u are WRDE_NOCMD and WRDE_UNDEF; with -a each text is appended to
 * what there is (WRDE_APPEND), with -r its memory is used again (WRDE_REUSE), with -d two places are kept free (WRDE_DOOFFS).
 */
#include <stdio.h>
#include <unistd.h>
#include <wordexp.h>

int main(int argc, char **argv)
{
	wordexp_t words = { .we_offs = 2 };
	int flags = 0, again = 0, option;

	while ((option = getopt(argc, argv, "ardnu")) != -1) {
		if (option == 'a')
			again |= WRDE_APPEND;
		else if (option == 'r')
			again |= WRDE_REUSE;
		else if (option == 'd')
			flags |= WRDE_DOOFFS;
		else if (option == 'n')
			flags |= WRDE_NOCMD;
		else if (option == 'u')
			flags |= WRDE_UNDEF;
		else
			return 2;
	}
	for (int i = optind; i < argc; i++) {
		int error = wordexp(argv[i], &words, flags);

		printf("%d", error);
		for (size_t w = 0; (error == 0 || (flags & WRDE_APPEND)) && w < words.we_wordc; w++)
			printf(" [%s]", words.we_wordv[w + ((flags & WRDE_DOOFFS) ? 2 : 0)]);
		if ((error == 0 || (flags & WRDE_APPEND)) && (flags & WRDE_DOOFFS))
			printf(" %s",
			       words.we_wordv[0] || words.we_wordv[1] ? "places taken" : "places free");
		putchar('\n');
		if (error == 0 && !again)
			wordfree(&words);
		if (error == 0)
			flags |= again;
	}
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay: the corpus without libFuzzer, so that every build tries it, and what turns it into libFuzzer's files and back.
 *
 *     replay CORPUS [WORD]       runs every case (whose comment has WORD in it), and says how many there were
 *     replay --print CORPUS      says in words what each case does
 *     replay --unpack CORPUS DIR a file a case in DIR, for libFuzzer
 *     replay --hex FILE...       such files as lines of a corpus
 *
 * A corpus is a text: a case a line, in hexadecimal, with an optional comment behind `#`.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/case.h"
#include "tests/fuzz/fuzz_map.h"

#define CASE_BYTES 4096

struct line {
	uint8_t data[CASE_BYTES];
	size_t size;
	char comment[256];
};

__attribute__((noreturn)) static void usage(void)
{
	fputs("usage: replay [--print] CORPUS [WORD] | --unpack CORPUS DIR | --hex FILE...\n", stderr);
	exit(2);
}

static FILE *open_or_end(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file) {
		perror(path);
		exit(2);
	}
	return file;
}

/* The next case; false at the end. */
static bool read_line(FILE *file, struct line *line)
{
	static char text[2 * CASE_BYTES + 512];
	unsigned byte;

	while (fgets(text, sizeof(text), file)) {
		const char *at = text, *comment = strchr(text, '#');

		for (line->size = 0; line->size < CASE_BYTES && sscanf(at, "%2x", &byte) == 1; at += 2)
			line->data[line->size++] = (uint8_t)byte;
		snprintf(line->comment, sizeof(line->comment), "%s", comment ? comment + 1 : "");
		line->comment[strcspn(line->comment, "\n")] = '\0';
		if (line->size > 0)
			return true;
	}
	return false;
}

static int unpack(const char *corpus, const char *to)
{
	static struct line line;
	FILE *from = open_or_end(corpus, "re");

	for (unsigned number = 1; read_line(from, &line); number++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%05u", to, number);
		FILE *file = open_or_end(path, "we");
		bool written = fwrite(line.data, 1, line.size, file) == line.size;
		if (fclose(file) != 0 || !written) {
			perror(path);
			return 2;
		}
	}
	fclose(from);
	return 0;
}

static int print_hex(char **files)
{
	for (; *files; files++) {
		FILE *file = open_or_end(*files, "re");
		int byte;

		while ((byte = fgetc(file)) != EOF)
			printf("%02x", (unsigned)byte);
		putchar('\n');
		fclose(file);
	}
	return 0;
}

static int replay(const char *corpus, const char *word, bool print)
{
	static struct line line;
	static struct fuzz_case one;
	FILE *from = open_or_end(corpus, "re");
	unsigned cases = 0, steps = 0;

	while (read_line(from, &line)) {
		if (word && !strstr(line.comment, word))
			continue;
		case_read(&one, line.data, line.size);
		cases++;
		steps += one.steps;
		if (print) {
			printf("--- %u%s\n", cases, line.comment);
			case_print(&one, one.steps, stdout);
		} else {
			LLVMFuzzerTestOneInput(line.data, line.size);
		}
	}
	fclose(from);
	if (!print)
		printf("%u cases, %u steps: no difference\n", cases, steps);
	return cases > 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";

	if (strcmp(first, "--unpack") == 0 && argc == 4)
		return unpack(argv[2], argv[3]);
	if (strcmp(first, "--hex") == 0 && argc > 2)
		return print_hex(argv + 2);
	bool print = strcmp(first, "--print") == 0;
	int given = argc - 1 - print;
	if (given < 1 || given > 2)
		usage();
	LLVMFuzzerInitialize(&argc, &argv);
	return replay(argv[1 + print], given == 2 ? argv[2 + print] : NULL, print);
}

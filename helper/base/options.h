/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * options.h: the option parser of both programs. A table of rules is all that a program has to write down:
 * what is accepted, what --help says and what is done with a value come from it.
 *
 * --name VALUE, --name=VALUE, -x VALUE, -xVALUE, -xyz for letters without a value; no abbreviations, so that
 * a new option breaks no script. -- ends the options.
 */
#ifndef HELPER_BASE_OPTIONS_H
#define HELPER_BASE_OPTIONS_H

#include <stdbool.h>

#include "helper/base/err.h"

struct option_rule {
	const char *name; /* without the dashes; NULL ends the table. What is behind a '/' tells two options
				 of one name apart where names are listed, and is not a part of it */
	char letter;      /* 0: none */
	const char *argument; /* what --help calls it; NULL: the option takes none */
	const char *help;     /* NULL: not shown */
	/*
	 * Stores it; `value` is NULL where there is no argument, else lives as long as argv. -1 and *err
	 * where the value is bad.
	 */
	int (*take)(void *target, const char *value, struct err *err);
};

/* What is left; both NULL-terminated. */
struct option_words {
	char **operands; /* allocated; the words are argv's */
	char **command;  /* what stands behind --; NULL where there was no -- */
	char **rest;     /* where parsing ended at the first operand: that and all after it, -- included */
};

/*
 * Parses `words` (NULL-terminated, without the program's name). Only rules named in `names` (blank-separated;
 * NULL: all) are accepted. With `first` it ends at the first operand or at --. Errors are STATUS_USAGE, one
 * line. The caller frees words->operands, also after a failure.
 */
int options_parse(char **words, const struct option_rule *rules, const char *names, bool first, void *target,
		  struct option_words *left, struct err *err);

/* Is `name` one of the blank-separated names? */
bool options_named(const char *names, const char *name);

/* Prints the rules that are in `names` (NULL: all) to stdout, one a line, for --help. */
void options_help(const struct option_rule *rules, const char *names);

#endif

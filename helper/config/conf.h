/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf.h: files of sections and keys, read as Python's configparser reads them. What the keys mean is
 * repos.h's.
 *
 * Portage reads repos.conf with ConfigParser(): its rules, not inih's, decide what a file says. inih splits
 * the lines; what it gets is prepared so that both agree (conf.c). The rules that matter:
 *
 *     - a comment is a line whose first character is # or ;. A ; later in a line is part of the value.
 *     - a line that is indented deeper than its key goes on with the value (joined by a newline, as are empty
 *       lines within a value); nothing else does.
 *     - keys have no case; = or :, whichever is first, ends one. Section names have case.
 *     - a section or a key twice in one file is an error; a later file overlays an earlier one key by key.
 *       [DEFAULT] may come again, its keys may not; every section inherits them.
 *     - %(key)s stands for another key of the section or of [DEFAULT], to a depth of 10; %% for %; any other
 *       % is an error.
 *
 *     - blanks around a key or a value are what Unicode calls so, the no-break space among them.
 *
 * Values are bytes; a zero byte is an error. (Portage reads a byte that is no UTF-8 as U+FFFD.) Lines end with LF, CR LF or CR. The length of a line does not
 * matter.
 */
#ifndef HELPER_CONFIG_CONF_H
#define HELPER_CONFIG_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/base/err.h"

struct conf_key {
	char *name;  /* lower case */
	char *value; /* as written: before %(key)s is replaced */
	char *where; /* "FILE:LINE", for messages */
	unsigned reading;
	bool literal; /* a % in the value is a %: it is from no file */
};

struct conf_section {
	char *name;
	char *where;
	struct conf_key *keys;
	size_t count;
	unsigned reading;
};

struct conf {
	struct conf_section *sections; /* the first is DEFAULT, then in the order of the files */
	size_t count;
	unsigned reading; /* the files so far: what has the same number comes from one file */
};

void conf_init(struct conf *conf); /* has the section DEFAULT, without keys */
void conf_release(struct conf *conf);

/* Overlays what `file` says. Errors are STATUS_USAGE, "FILE:LINE: cause". */
int conf_read(struct conf *conf, const char *file, struct err *err);

/* The same for text that is here already; `name` stands for the file in messages. */
int conf_read_text(struct conf *conf, const char *name, const char *text, size_t length, struct err *err);

/* Makes the section if there is none. The pointer is good until the next section is made. */
struct conf_section *conf_section(struct conf *conf, const char *name, const char *where);

/* Sets a key, as a later file would. */
void conf_set(struct conf_section *section, const char *name, const char *value, const char *where);

/* The same for a value in which nothing is replaced. */
void conf_set_literally(struct conf_section *section, const char *name, const char *value, const char *where);

/* The key in the section, or else in [DEFAULT]; NULL if neither has it. */
const struct conf_key *conf_find(const struct conf *conf, const struct conf_section *section,
				 const char *name);

/* The key's value with every %(key)s replaced: the caller frees *value. */
int conf_value(const struct conf *conf, const struct conf_section *section, const struct conf_key *key,
	       char **value, struct err *err);

#endif

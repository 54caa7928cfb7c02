/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/alloc.h"

/* libsmartcols says NULL and negative numbers where memory runs out; alloc_grow() knows how to end then. */
static void must(bool good)
{
	if (!good)
		free(alloc_grow(NULL, (size_t)-1, (size_t)-1));
}

struct libscols_table *table_new(const char *name, const struct table_column *columns, size_t count, int json)
{
	struct libscols_table *table = scols_new_table();

	must(table != NULL);
	must(scols_table_set_name(table, name) == 0);
	scols_table_enable_json(table, json);
	scols_table_enable_noencoding(table, 1);
	for (size_t i = 0; i < count; i++) {
		const bool number = columns[i].json_type == SCOLS_JSON_NUMBER;
		struct libscols_column *column = scols_table_new_column(table, columns[i].name, 0,
									number ? SCOLS_FL_RIGHT : 0);

		must(column != NULL);
		must(scols_column_set_json_type(column, columns[i].json_type) == 0);
	}
	return table;
}

struct libscols_line *table_line(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	must(line != NULL);
	return line;
}

void table_set(struct libscols_line *line, size_t column, char *text)
{
	if (text)
		must(scols_line_refer_data(line, column, text) == 0);
}

/* How many bytes the UTF-8 character at `at` has, if it is one that may be shown; else 0. */
static size_t plain_bytes(const unsigned char *at)
{
	const size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

	if (at[0] < 0x20 || at[0] == 0x7f || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* C1, forms that are longer than need be, surrogates, beyond Unicode */
	if ((at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xe0 && at[1] < 0xa0) ||
	    (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

void table_set_foreign(struct libscols_line *line, size_t column, const char *text)
{
	const size_t room = 4 * strlen(text) + 1;
	char *shown = alloc_grow(NULL, room, 1), *to = shown;

	while (*text) {
		size_t plain = plain_bytes((const unsigned char *)text);

		if (plain == 0) {
			to += snprintf(to, room - (size_t)(to - shown), "\\x%02X", (unsigned char)*text++);
			continue;
		}
		memcpy(to, text, plain);
		to += plain;
		text += plain;
	}
	*to = '\0';
	table_set(line, column, shown);
}

void table_print(struct libscols_table *table)
{
	scols_print_table(table);
	scols_unref_table(table);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/table.h"

#include <stdlib.h>

#include "helper/base/alloc.h"
#include "helper/base/text.h"

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

void table_set_foreign(struct libscols_line *line, size_t column, const char *text, bool json)
{
	table_set(line, column, json ? text_json(text) : text_cell(text));
}

void table_print(struct libscols_table *table)
{
	scols_print_table(table);
	scols_unref_table(table);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * table.h: what list and readers print: a table for people, or JSON for programs (--json), by libsmartcols.
 *
 * JSON is one object with one array; each row is an object with the columns' names in lower case, in which
 * numbers are numbers, booleans booleans, times ISO 8601 in UTC, and what is not known is null.
 */
#ifndef HELPER_COMMANDS_TABLE_H
#define HELPER_COMMANDS_TABLE_H

#include <libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>

struct table_column {
	const char *name;
	int json_type; /* SCOLS_JSON_NUMBER, SCOLS_JSON_STRING ... */
};

/* Ends the program where there is no memory (alloc.h). Freed by table_print(). */
struct libscols_table *table_new(const char *name, const struct table_column *columns, size_t count,
				 int json);
struct libscols_line *table_line(struct libscols_table *table);

/* Sets a cell and frees `text`; NULL leaves it empty. */
void table_set(struct libscols_line *line, size_t column, char *text);

/* The same for a copy of what somebody else wrote, by text_cell(), or where the table is JSON text_json(). */
void table_set_foreign(struct libscols_line *line, size_t column, const char *text, bool json);

/* Prints and frees the table. */
void table_print(struct libscols_table *table);

#endif

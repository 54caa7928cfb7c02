/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.h: what somebody else wrote (a name on disk, a command line, a value of the configuration), made fit to be
 * shown. No name can make a second line, steer a terminal, or make JSON that is none.
 *
 * Every message goes through this in err.c; results and tables call it themselves. What a script reads as a path or a
 * number (begin, commit, rcu-exec -p) is printed as it is.
 */
#ifndef HELPER_BASE_TEXT_H
#define HELPER_BASE_TEXT_H

#include <stddef.h>

/*
 * For a line of text: control characters (C0, DEL, C1), and bytes that are not UTF-8, as \xXX. What does not fit into
 * to[0 .. room) is cut between characters; it is always terminated.
 */
void text_show(char *to, size_t room, const char *from);
char *text_line(const char *from); /* the same, whole; the caller frees it */

/*
 * For a cell of a table: the same, and so is what the locale cannot show or has no width for: libsmartcols 2.38 never
 * comes back from a byte that its locale does not know.
 */
char *text_cell(const char *from);

/*
 * For a JSON string, which libsmartcols escapes as JSON has it ("\n", "\u001f"), but takes for UTF-8 unseen: bytes that
 * are not become U+FFFD, each.
 */
char *text_json(const char *from);

#endif

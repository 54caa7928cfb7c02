/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * progress.h: one line that says what takes long, for a person who waits at a terminal.
 *
 *     progress_step("measuring snapshot %ju", n)    again for each next thing
 *     progress_end()                                before anything else is printed
 *
 * The line is on stderr, comes after a second, counts the seconds, and is gone at the end. Nothing happens where stderr is no
 * terminal, or under --quiet. A thread of its own writes it, so that nothing below has to know; it has all signals blocked, and a
 * child has no copy of it.
 */
#ifndef HELPER_COMMANDS_PROGRESS_H
#define HELPER_COMMANDS_PROGRESS_H

void progress_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void); /* nothing is shown: nothing happens */

#endif

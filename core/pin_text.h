/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pin_text.h: pins as text, the value of RCU_EXEC_PINS.
 *
 * One pin a line, `location=snapshot-path`; the last newline may be missing. In both paths `%`, `=` and
 * newline are written as %25, %3D and %0A (upper-case hex); a reader takes any %XX but %00. Both paths are
 * absolute, and the second has the form STORE/snapshots/N. An empty value means: decided, nothing is pinned.
 *
 * Pure: no I/O, no allocation, no globals. The text is data from an environment, so it may be anything.
 */
#ifndef CORE_PIN_TEXT_H
#define CORE_PIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Appends one line for a pin to to[0 .. room), beginning at *used, with its newline and a terminating zero.
 * False, and nothing changed, if it does not fit; 3 * (both lengths) + 3 bytes always do.
 */
bool pin_text_append(char *to, size_t room, size_t *used, const char *location, const char *snapshot);

/* Where one line's paths end up: decoded and terminated in the caller's room. */
struct pin_text {
	char *location;
	char *snapshot;
};

enum pin_text_result {
	PIN_TEXT_END,  /* there is no further line */
	PIN_TEXT_PIN,  /* *pin is set */
	PIN_TEXT_BAD,  /* this line is malformed and was skipped; go on with the next */
	PIN_TEXT_ROOM, /* this line does not fit; skipped, too */
};

/*
 * Decodes the next line of *cursor, which is advanced behind it. `pin` points into room[0 .. size): strlen of
 * the line + 1 bytes are enough for both paths.
 */
enum pin_text_result pin_text_next(const char **cursor, char *room, size_t size, struct pin_text *pin);

#endif

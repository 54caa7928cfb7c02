/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * next.h: what every family file includes: the prototypes of the bodies, their exported names, the next definitions.
 *
 * A body is an ordinary function, wrap_<id>; the file says `#define EXPORT_<family> EXPORT` before it includes this header, and its rows in
 * calls.def then give its bodies libc's names and versions. NEXT(id)(...) is the definition that the program would have got without us.
 */
#ifndef GUARD_NEXT_H
#define GUARD_NEXT_H

#include "guard/guard.h"

#define CALL(family, id, symbol, mark, version, result, parameters) \
	__attribute__((visibility("default"))) result wrap_##id parameters;
#include "guard/calls.def"
#undef CALL

#define EXPORT(id, symbol, mark, version) __asm__(".symver wrap_" #id "," #symbol #mark #version);
#define EXPORT_NOT(id, symbol, mark, version)
#ifndef EXPORT_open
#define EXPORT_open EXPORT_NOT
#endif
#ifndef EXPORT_change
#define EXPORT_change EXPORT_NOT
#endif
#ifndef EXPORT_entry
#define EXPORT_entry EXPORT_NOT
#endif
#ifndef EXPORT_exec
#define EXPORT_exec EXPORT_NOT
#endif
#ifndef EXPORT_raw
#define EXPORT_raw EXPORT_NOT
#endif
#define CALL(family, id, symbol, mark, version, result, parameters) EXPORT_##family(id, symbol, mark, version)
#include "guard/calls.def"
#undef CALL

struct next {
#define CALL(family, id, symbol, mark, version, result, parameters) result(*id) parameters;
#include "guard/calls.def"
#undef CALL
};

enum {
#define CALL(family, id, symbol, mark, version, result, parameters) SLOT_##id,
#include "guard/calls.def"
#undef CALL
	SLOTS
};

/* A slot is filled at its first use, without a lock. None stays NULL: what this libc does not have fails with ENOSYS. */
extern struct next next_slots;
void next_find(unsigned slot);

#define NEXT(id) (next_slots.id ? (void)0 : next_find(SLOT_##id), next_slots.id)

#endif

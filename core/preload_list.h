/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * preload_list.h: the value of LD_PRELOAD as a list.
 *
 * ld.so splits it at spaces and colons (ld.so(8)); neither can be part of a name. The shim stands last:
 * fakeroot, fakechroot and libsandbox put themselves first and must stay there, and what they pass on, we
 * map. Pure: no I/O, no allocation.
 */
#ifndef CORE_PRELOAD_LIST_H
#define CORE_PRELOAD_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* True if one entry of `list` is exactly `shim`. A NULL list is empty. */
bool preload_list_has(const char *list, const char *shim);

/* Bytes that preload_list_append() needs, with the terminating zero. */
size_t preload_list_room(const char *list, const char *shim);

/* Writes `list` with `shim` added as its last entry (unless it has it: then a copy). Returns the length
 * written. */
size_t preload_list_append(char *to, const char *list, const char *shim);

/* Writes `list` without any entry equal to `shim`; the rest keeps its spelling and order. At most
 * strlen(list) + 1 bytes. Returns the length. */
size_t preload_list_remove(char *to, const char *list, const char *shim);

#endif

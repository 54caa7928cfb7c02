/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lookup.h: what ld.so's own symbol lookup would find, without asking ld.so.
 *
 * dlsym() takes ld.so's locks, which a signal handler must not, so with it all calls would have to be looked up at start; and that took
 * longer than all else that a program's start costs. What dlsym() reads is in the process's memory and documented: the
 * list of objects (link.h), each one's dynamic section, hash table and symbol versions (elf(5); the gABI; "ELF Symbol Versioning", Drepper;
 * "ELF: symbol lookup via DT_GNU_HASH", flapenguin.me). Nothing is written, no lock is taken.
 *
 *     lookup_name(&name, "stat", "GLIBC_2.33");
 *     for (map = lookup_behind_us(); map; map = map->l_next)
 *             if (lookup_object(&object, map) && lookup_find(&object, &name, &address))
 *                     ...
 */
#ifndef PRELOAD_LOOKUP_H
#define PRELOAD_LOOKUP_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

/* The tables of one loaded object. */
struct lookup_object {
	ElfW(Addr) base;
	const uint32_t *gnu_hash;  /* DT_GNU_HASH; or NULL, and then there is */
	const uint32_t *sysv_hash; /* DT_HASH */
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint16_t *versions;     /* of each symbol; NULL where the object knows no versions */
	const ElfW(Verdef) * defined; /* NULL where it defines none */
};

struct lookup_name {
	const char *text;
	const char *version;
	uint32_t gnu_hash;
};

/*
 * The first object behind the one that this code is in, in the order in which ld.so loaded and searches them: what RTLD_NEXT
 * means, as long as no dlopen() has added to the list. NULL where there is none, or no list (musl).
 */
const struct link_map *lookup_behind_us(void);

/* False for an object without a hash table, which defines nothing. */
bool lookup_object(struct lookup_object *object, const struct link_map *map);

/* The texts have to live as long as the name. */
void lookup_name(struct lookup_name *name, const char *text, const char *version);

/*
 * Does the object define name@version, as ld.so judges it for a program that was linked to that version? By this very version, hidden
 * or not; or the object knows no versions; or it defines the name without one. For a version NULL, by any that is not hidden.
 */
bool lookup_find(const struct lookup_object *object, const struct lookup_name *name, void **address);

#endif

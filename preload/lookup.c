/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/lookup.h"

#include <stddef.h>

#define WORD_BITS (8 * sizeof(ElfW(Addr)))
#define VERSION_HIDDEN 0x8000
#define VERSION_FIRST 2 /* below: local, and global without a version */

/* Of glibc's ld.so alone. */
#pragma weak _r_debug

/* Our own dynamic section; the linker makes it. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

const struct link_map *lookup_behind_us(void)
{
	const struct link_map *map = &_r_debug ? _r_debug.r_map : NULL;

	while (map && map->l_ld != _DYNAMIC)
		map = map->l_next;
	return map ? map->l_next : NULL;
}

/*
 * ld.so adds the base to the pointers of a dynamic section in its place, but not where the section cannot be written. An
 * address that is lower than the base has not been added to.
 */
static const void *table_at(const struct link_map *map, ElfW(Addr) address)
{
	return (const void *)(address < map->l_addr ? address + map->l_addr : address);
}

bool lookup_object(struct lookup_object *object, const struct link_map *map)
{
	*object = (struct lookup_object){ .base = map->l_addr };
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_GNU_HASH:
			object->gnu_hash = table_at(map, d->d_un.d_ptr);
			break;
		case DT_HASH:
			object->sysv_hash = table_at(map, d->d_un.d_ptr);
			break;
		case DT_SYMTAB:
			object->symbols = table_at(map, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			object->strings = table_at(map, d->d_un.d_ptr);
			break;
		case DT_VERSYM:
			object->versions = table_at(map, d->d_un.d_ptr);
			break;
		case DT_VERDEF:
			object->defined = table_at(map, d->d_un.d_ptr);
			break;
		default:
			break;
		}
	}
	return (object->gnu_hash || object->sysv_hash) && object->symbols && object->strings;
}

void lookup_name(struct lookup_name *name, const char *text, const char *version)
{
	uint32_t hash = 5381;

	for (const char *c = text; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	*name = (struct lookup_name){ .text = text, .version = version, .gnu_hash = hash };
}

static bool is_equal(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *left == *right;
}

static bool version_is(const struct lookup_object *object, unsigned index, const char *version)
{
	const ElfW(Verdef) *def = object->defined;

	while (def && def->vd_ndx != index)
		def = def->vd_next ? (const void *)((const char *)def + def->vd_next) : NULL;
	if (!def)
		return false;
	const ElfW(Verdaux) *name = (const void *)((const char *)def + def->vd_aux);
	return is_equal(object->strings + name->vda_name, version);
}

static bool has_version(const struct lookup_object *object, uint32_t symbol, const char *version)
{
	if (!object->versions)
		return true;
	unsigned of = object->versions[symbol], index = of & ~(unsigned)VERSION_HIDDEN;

	if (!version || index < VERSION_FIRST)
		return of == index;
	return version_is(object, index, version);
}

/* The code of an indirect function says at run time which one is meant; ld.so asks it each time, too. */
static void *indirect(ElfW(Addr) address)
{
	union {
		ElfW(Addr) address;
		void *(*resolve)(void);
	} code = { address };

	return code.resolve();
}

static bool is_definition(const struct lookup_object *object, uint32_t index, const struct lookup_name *name,
			  void **address)
{
	const ElfW(Sym) *symbol = &object->symbols[index];
	/* of these fields both classes of ELF have the same */
	const unsigned bind = ELF64_ST_BIND(symbol->st_info), type = ELF64_ST_TYPE(symbol->st_info);
	const unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);

	if (!is_equal(object->strings + symbol->st_name, name->text) ||
	    !has_version(object, index, name->version) || symbol->st_shndx == SHN_UNDEF ||
	    symbol->st_value == 0 || bind == STB_LOCAL || visibility == STV_HIDDEN ||
	    visibility == STV_INTERNAL)
		return false;
	if (type != STT_FUNC && type != STT_NOTYPE && type != STT_GNU_IFUNC)
		return false;
	const ElfW(Addr) at = (symbol->st_shndx == SHN_ABS ? 0 : object->base) + symbol->st_value;
	*address = type == STT_GNU_IFUNC ? indirect(at) : (void *)at;
	return true;
}

static bool find_gnu(const struct lookup_object *object, const struct lookup_name *name, void **address)
{
	const uint32_t hash = name->gnu_hash, *table = object->gnu_hash;
	const uint32_t buckets = table[0], first = table[1], words = table[2], shift = table[3];
	const ElfW(Addr) *bloom = (const void *)(table + 4);
	const uint32_t *bucket = (const void *)(bloom + words), *chain = bucket + buckets;
	const ElfW(Addr) word = bloom[hash / WORD_BITS & (words - 1)];

	if ((word >> hash % WORD_BITS & word >> (hash >> shift) % WORD_BITS & 1) == 0)
		return false;
	uint32_t symbol = bucket[hash % buckets];
	if (symbol < first)
		return false;
	for (;; symbol++) {
		const uint32_t linked = chain[symbol - first]; /* the lowest bit ends a chain */

		if ((linked | 1) == (hash | 1) && is_definition(object, symbol, name, address))
			return true;
		if (linked & 1)
			return false;
	}
}

static bool find_sysv(const struct lookup_object *object, const struct lookup_name *name, void **address)
{
	const uint32_t buckets = object->sysv_hash[0];
	const uint32_t *bucket = object->sysv_hash + 2, *chain = bucket + buckets;
	uint32_t hash = 0;

	for (const char *c = name->text; *c; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
	}
	for (uint32_t symbol = bucket[hash % buckets]; symbol != 0; symbol = chain[symbol])
		if (is_definition(object, symbol, name, address))
			return true;
	return false;
}

bool lookup_find(const struct lookup_object *object, const struct lookup_name *name, void **address)
{
	return object->gnu_hash ? find_gnu(object, name, address) : find_sysv(object, name, address);
}

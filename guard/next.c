/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guard/next.h"

#include "preload/lookup.h"

struct next next_slots;

union slot {
	void *address;
	long (*call)(void);
	void *(*object)(void);
};

/* In the place of a call that this libc does not have. */
static long no_call(void)
{
	return fail(ENOSYS);
}

static void *no_object(void)
{
	fail(ENOSYS);
	return NULL;
}

#define IS_OBJECT(result) _Generic((result *)NULL, int * : false, long * : false, default : true)
#define BY_DEFAULT(mark) (sizeof(#mark) == sizeof("@@"))

static const struct binding {
	char symbol[40], version[16]; /* arrays: nothing for ld.so to relocate */
	bool by_default;              /* the version that a program without versions gets */
	bool object;                  /* the call returns a pointer */
} bindings[SLOTS] = {
#define CALL(family, id, symbol, mark, version, result, parameters) \
	{ #symbol, #version, BY_DEFAULT(mark), IS_OBJECT(result) },
#include "guard/calls.def"
#undef CALL
};

static bool look_up(const struct binding *b, const char *version, union slot *found)
{
	struct lookup_object object;
	struct lookup_name name;

	lookup_name(&name, b->symbol, version);
	for (const struct link_map *map = lookup_behind_us(); map; map = map->l_next)
		if (lookup_object(&object, map) && lookup_find(&object, &name, &found->address))
			return true;
	return false;
}

void next_find(unsigned slot)
{
	const struct binding *b = &bindings[slot];
	union slot found = { .address = NULL };

	if (!look_up(b, b->version, &found) && !(b->by_default && look_up(b, NULL, &found))) {
		if (b->object)
			found.object = no_object;
		else
			found.call = no_call;
	}
	__atomic_store_n((void **)(void *)&next_slots + slot, found.address, __ATOMIC_RELAXED);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>

#include "preload/wrap.h"

/*
 * Weak: before glibc 2.34 they are in libdl, which not every program has; musl has no dlvsym.
 */
#pragma weak dladdr
#pragma weak dlsym
#pragma weak dlvsym

struct next next_slots;

/* In the place of a call that this libc does not have. */
static long no_call(void)
{
	errno = ENOSYS;
	return -1;
}

static void *no_object(void)
{
	errno = ENOSYS;
	return NULL;
}

/* A slot as dlsym() fills it, and as we do. */
union slot {
	void *address;
	long (*call)(void);
	void *(*object)(void);
};

struct binding {
	union slot *slot;
	const char *symbol;
	const char *version;
	bool by_default; /* the version that a program without versions gets */
	bool object;     /* the call returns a pointer */
};

#define BY_DEFAULT(mark) (sizeof(#mark) == sizeof("@@"))
#define IS_OBJECT(result) \
	_Generic((result *)NULL, int * : false, long * : false, default : true)

static const struct binding bindings[] = {
#define CALL(family, id, symbol, mark, version, result, parameters) \
	{ (union slot *)&next_slots.id, #symbol, #version, BY_DEFAULT(mark), IS_OBJECT(result) },
#include "preload/calls.def"
#undef CALL
	{ (union slot *)&next_slots.readdir, "readdir", "GLIBC_2.2.5", true, true },
	{ (union slot *)&next_slots.readdir64, "readdir64", "GLIBC_2.2.5", true, true },
	{ (union slot *)&next_slots.closedir, "closedir", "GLIBC_2.2.5", true, false },
	{ (union slot *)&next_slots.fdopendir, "fdopendir", "GLIBC_2.4", true, true },
	{ (union slot *)&next_slots.malloc, "malloc", "GLIBC_2.2.5", true, true },
	{ (union slot *)&next_slots.calloc, "calloc", "GLIBC_2.2.5", true, true },
	{ (union slot *)&next_slots.realloc, "realloc", "GLIBC_2.2.5", true, true },
	{ (union slot *)&next_slots.free, "free", "GLIBC_2.2.5", true, false },
};

static bool in_one_object(void *left, void *right)
{
	Dl_info l, r;

	return !dladdr || (dladdr(left, &l) && dladdr(right, &r) && l.dli_fbase == r.dli_fbase);
}

/*
 * Two questions, as each alone can miss. dlvsym() passes over an object that defines the name without a version but has versions of
 * its own for anything else (do_lookup_x() in glibc: every library that is linked to libc has), that is, nearly every other
 * preload. dlsym() finds it, but in libc itself it may give another version of the name: the oldest before glibc 2.36, afterwards
 * perhaps one that is newer than we know. So what dlsym() says counts only where it comes from another object.
 */
static void *next_find(const struct binding *b)
{
	void *versioned = dlvsym ? dlvsym(RTLD_NEXT, b->symbol, b->version) : NULL;
	void *any = dlsym ? dlsym(RTLD_NEXT, b->symbol) : NULL;

	if (!versioned)
		return b->by_default ? any : NULL;
	return !any || any == versioned || in_one_object(any, versioned) ? versioned : any;
}

void next_bind(void)
{
	for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
		const struct binding *b = &bindings[i];

		b->slot->address = next_find(b);
		if (b->slot->address)
			continue;
		if (b->object)
			b->slot->object = no_object;
		else
			b->slot->call = no_call;
	}
}

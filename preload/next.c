/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>

#include "preload/lookup.h"
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

#define BY_DEFAULT(mark) (sizeof(#mark) == sizeof("@@"))
#define CALL(family, id, symbol, mark, version, result, parameters) \
	ROW(id, #symbol, BY_DEFAULT(mark), #version, result)
#define NOT_WRAPPED                                                         \
	ROW(readdir, "readdir", true, "GLIBC_2.2.5", struct dirent *)       \
	ROW(readdir64, "readdir64", true, "GLIBC_2.2.5", struct dirent64 *) \
	ROW(closedir, "closedir", true, "GLIBC_2.2.5", int)                 \
	ROW(fdopendir, "fdopendir", true, "GLIBC_2.4", DIR *)               \
	ROW(malloc, "malloc", true, "GLIBC_2.2.5", void *)                  \
	ROW(calloc, "calloc", true, "GLIBC_2.2.5", void *)                  \
	ROW(realloc, "realloc", true, "GLIBC_2.2.5", void *)                \
	ROW(free, "free", true, "GLIBC_2.2.5", void)                        \
	ROW(globfree, "globfree", true, "GLIBC_2.2.5", void)                \
	ROW(wordfree, "wordfree", true, "GLIBC_2.2.5", void)

/* Which slot, in the order of struct next. */
enum {
#define ROW(id, symbol, by_default, version, result) SLOT_##id,
#include "preload/calls.def"
	NOT_WRAPPED
#undef ROW
		SLOTS
};

#define ROW(id, symbol, by_default, version, result)                                \
	_Static_assert(offsetof(struct next, id) == SLOT_##id * sizeof(union slot), \
		       "the order of struct next");
#include "preload/calls.def"
NOT_WRAPPED
#undef ROW

/*
 * The texts in one block, and each by its distance from where it begins: a table of pointers would be changed by ld.so, and its pages
 * copied, in every process that starts.
 */
static const struct texts {
#define ROW(id, symbol, by_default, version, result) char id[sizeof(symbol)], id##_version[sizeof(version)];
#include "preload/calls.def"
	NOT_WRAPPED
#undef ROW
} texts = {
#define ROW(id, symbol, by_default, version, result) symbol, version,
#include "preload/calls.def"
	NOT_WRAPPED
#undef ROW
};
_Static_assert(sizeof(texts) <= UINT16_MAX, "struct binding");

#define IS_OBJECT(result) _Generic((result *)NULL, int * : false, long * : false, default : true)

static const struct binding {
	uint16_t symbol, version; /* in texts */
	bool by_default;          /* the version that a program without versions gets */
	bool object;              /* the call returns a pointer */
} bindings[SLOTS] = {
#define ROW(id, symbol, by_default, version, result) \
	{ offsetof(struct texts, id), offsetof(struct texts, id##_version), by_default, IS_OBJECT(result) },
#include "preload/calls.def"
	NOT_WRAPPED
#undef ROW
};

static const char *text(uint16_t at)
{
	return (const char *)&texts + at;
}

static union slot *slot_of(size_t index)
{
	return (union slot *)(void *)&next_slots + index;
}

#if defined(__x86_64__) || defined(__i386__)
#define HAVE_STUBS 1
#else
#define HAVE_STUBS 0
#endif

/* The objects behind us as they were at start. NULL: there is no list. */
static const struct link_map *behind_first, *behind_last;

/* By its version, or (NULL) by its name alone, among the objects up to `last`. False where none defines it. */
static bool look_up(const struct binding *b, const char *version, const struct link_map *last,
		    union slot *found)
{
	struct lookup_name name;
	struct lookup_object object;

	lookup_name(&name, text(b->symbol), version);
	for (const struct link_map *map = behind_first; map; map = map == last ? NULL : map->l_next)
		if (lookup_object(&object, map) && lookup_find(&object, &name, &found->address))
			return true;
	return false;
}

/*
 * What has come later can also be unloaded while we look, so it is looked at only for what is nowhere else: before glibc 2.34 libdl may
 * come with a plugin, and the call that leads here is then that plugin's.
 */
static bool look_up_all(const struct binding *b, union slot *found)
{
	const char *version = text(b->version);

	return look_up(b, version, behind_last, found) ||
	       (b->by_default && look_up(b, NULL, behind_last, found)) || look_up(b, version, NULL, found);
}

/* By a name that every glibc has and nobody else. */
static bool find_open_libc(void)
{
	struct lookup_object object;
	struct lookup_name open, own;
	void *address;

	lookup_name(&open, "openat64", NULL);
	lookup_name(&own, "gnu_get_libc_version", NULL);
	for (const struct link_map *map = behind_first; map; map = map == behind_last ? NULL : map->l_next)
		if (lookup_object(&object, map) && lookup_find(&object, &open, &address))
			return lookup_find(&object, &own, &address);
	return false;
}

bool next_open_is_libc(void)
{
	static int found; /* 0: not yet looked for */
	int known = __atomic_load_n(&found, __ATOMIC_RELAXED);

	if (known == 0) {
		known = sizeof(long) == sizeof(off64_t) && find_open_libc() ? 1 : -1;
		__atomic_store_n(&found, known, __ATOMIC_RELAXED);
	}
	return known > 0;
}

static bool in_one_object(void *left, void *right)
{
	Dl_info l, r;

	return !dladdr || (dladdr(left, &l) && dladdr(right, &r) && l.dli_fbase == r.dli_fbase);
}

/*
 * Where there is no list that we could look through (musl, an audit module). Two questions, as each alone can miss. dlvsym() passes over an
 * object that defines the name without a version but has versions of its own for anything else (do_lookup_x() in glibc: every library that
 * is linked to libc has), that is, nearly every other preload. dlsym() finds it, but in libc itself it may give another version of the name:
 * the oldest before glibc 2.36, afterwards perhaps one that is newer than we know. So what dlsym() says counts only where it comes from
 * another object.
 */
static void *ask_loader(const struct binding *b)
{
	const char *symbol = text(b->symbol);
	void *versioned = dlvsym ? dlvsym(RTLD_NEXT, symbol, text(b->version)) : NULL;
	void *any = dlsym ? dlsym(RTLD_NEXT, symbol) : NULL;

	if (!versioned)
		return b->by_default ? any : NULL;
	return !any || any == versioned || in_one_object(any, versioned) ? versioned : any;
}

/* Says what belongs in the slot, and puts it there. What is not found may come yet, where there is a stub to look again. */
void *next_resolve(size_t index);
void *next_resolve(size_t index)
{
	const struct binding *b = &bindings[index];
	union slot found = { .address = NULL };

	if (!behind_first)
		found.address = ask_loader(b);
	else
		look_up_all(b, &found);
	const bool settled = found.address || !behind_first || !HAVE_STUBS;
	if (!found.address && b->object)
		found.object = no_object;
	else if (!found.address)
		found.call = no_call;
	if (settled)
		__atomic_store_n(&slot_of(index)->address, found.address, __ATOMIC_RELAXED);
	return found.address;
}

/*
 * What a slot has at first: its stub, which resolves it and goes on to what was found. The stack and the registers that carry arguments
 * are then as they were; no wrapped call takes a floating number. (In i386 all arguments are on the stack.)
 */
#define STUB_ROOM 16
#if HAVE_STUBS
extern const char next_stubs[] __attribute__((visibility("hidden")));
/* clang-format off */
__asm__(".pushsection .text\n"
	".cfi_startproc\n"
	".macro next_stub\n"
	".balign 16\n"
	"push $stub\n"
#ifdef __x86_64__
	".cfi_adjust_cfa_offset 8\n"
	"jmp next_enter\n"
	".cfi_adjust_cfa_offset -8\n"
#else
	".cfi_adjust_cfa_offset 4\n"
	"jmp next_enter\n"
	".cfi_adjust_cfa_offset -4\n"
#endif
	".set stub, stub + 1\n"
	".endm\n"
	".set stub, 0\n"
	".balign 16\n"
	"next_stubs:\n"
#define ROW(id, symbol, by_default, version, result) "next_stub\n"
#include "preload/calls.def"
	NOT_WRAPPED
#undef ROW
	"next_enter:\n"
#ifdef __x86_64__
	".cfi_adjust_cfa_offset 8\n"
	"push %rax\n push %rcx\n push %rdx\n push %rsi\n push %rdi\n push %r8\n push %r9\n sub $8, %rsp\n"
	".cfi_adjust_cfa_offset 64\n"
	"mov 64(%rsp), %rdi\n"
	"call next_resolve\n"
	"mov %rax, %r11\n"
	"add $8, %rsp\n pop %r9\n pop %r8\n pop %rdi\n pop %rsi\n pop %rdx\n pop %rcx\n pop %rax\n"
	"add $8, %rsp\n"
	".cfi_adjust_cfa_offset -72\n"
	"jmp *%r11\n"
#else
	".cfi_adjust_cfa_offset 4\n"
	"sub $4, %esp\n push 4(%esp)\n"
	".cfi_adjust_cfa_offset 8\n"
	"call next_resolve\n"
	"add $12, %esp\n"
	".cfi_adjust_cfa_offset -12\n"
	"jmp *%eax\n"
#endif
	".cfi_endproc\n"
	".popsection\n");
/* clang-format on */
#endif

void next_find_exec(void)
{
#if HAVE_STUBS
	if (__atomic_load_n(&slot_of(SLOT_execve)->address, __ATOMIC_RELAXED) ==
	    (void *)(next_stubs + SLOT_execve * STUB_ROOM))
		next_resolve(SLOT_execve);
#endif
}

void next_bind(void)
{
	behind_first = behind_last = lookup_behind_us();
	while (behind_last && behind_last->l_next)
		behind_last = behind_last->l_next;
	for (size_t i = 0; i < SLOTS; i++) {
#if HAVE_STUBS
		if (behind_first) {
			slot_of(i)->address = (void *)(next_stubs + i * STUB_ROOM);
			continue;
		}
#endif
		next_resolve(i);
	}
}

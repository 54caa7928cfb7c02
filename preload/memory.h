/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.h: what map.c has found out about texts, so that the next path needs no look.
 *
 * Kept is one fact: that a text is known (map.h), and which alias it begins with, if any. A text is known under a seed: the seed
 * says where it begins, at the root, in the working directory, or in a directory (device, inode).
 *
 *     uint64_t seed = memory_seed();
 *     unsigned known = memory_find(seed, path, length);
 *     if (known == KNOWN_NOT) {
 *             known = ... look ...
 *             memory_add(seed, path, length, known);
 *     }
 *
 * The table is 32768 words, each a keyed hash with the fact in it, written and read whole: threads and signal handlers do both at any
 * time without a lock, a newcomer overwrites. A process begins with the first 512 of them, a page, as most need no more, and each page that
 * they touch has to be given to them; when they are half used they become eight times as many. The key is the process's (AT_RANDOM), so nobody
 * can make two texts that are taken for each other; by accident it happens once in 2^52 looks.
 *
 * How a fact ends. Everything that may make one wrong gives the seeds new values, which makes all facts of before unreachable at once; who took
 * his seed before and looks while it changes, adds under the old one: lost, never wrong.
 *   - memory_forget(): a call of this process made, moved or removed a link, mounted, changed the root; or a child of it ended, which
 *     may have done so (a script that runs ln -s).
 *   - The working directory changed: memory_cwd_begin(), memory_cwd_end() around the call, so that a signal handler between the
 *     change and its notice remembers nothing. Facts about absolute texts stay.
 * Inside a pinned snapshot nothing changes. Elsewhere what is not noticed is another process that puts a link where a directory or
 * a plain name was; and a change of the working directory by a system call past libc (librcu-exec(7), CAVEATS).
 *
 * Whose working directory it is. Memory may be shared by processes that do not share a working directory: a vfork child has its own. So
 * the process that this memory belongs to, the owner, is recorded at start. When another than the owner changes its directory, facts
 * about the cwd are for the owner alone from then on: each use asks getpid(2) first. A fork child has a copy of the memory; by our
 * fork() it becomes the owner of the copy; made otherwise (clone, raw system calls) it is a stranger to it, and only slower.
 * A thread that takes a cwd or a root of its own (unshare, setns) and a stranger that changes its root switch the memory off for good.
 */
#ifndef PRELOAD_MEMORY_H
#define PRELOAD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/state.h"

/* What is known of a text's walk. */
enum {
	KNOWN_NOT,
	KNOWN_CLEAR, /* it passes through no D/L */
	KNOWN_ALIAS, /* + SHIM_ALIASES * pin + alias: it passes through that alias's D/L, and then no other */
};

/* fstat(2). A seed of 0 keeps nothing, so it finds nothing. */
uint64_t memory_seed_at(int dir);

void memory_start(void);
void memory_forget(void);
void memory_off(void);

/* The process made a change to its root or its namespaces, which takes its working directory along. */
void memory_root_changed(void);

/* Around a call that changes the working directory. */
void memory_cwd_begin(void);
void memory_cwd_end(bool changed);

/* Is this process the owner? */
bool memory_is_own(void);

/* In a fork child. */
void memory_own(void);

extern SHIM_OWN uint64_t memory_root; /* the process's key, and a step more with each forgetting */

static inline uint64_t memory_seed(void)
{
	return __atomic_load_n(&memory_root, __ATOMIC_ACQUIRE);
}

/* --- the hash: 16 bytes a step, each step a multiplication to 128 bits folded to 64 --- */

/* Paths have no zero byte, so no word of one is equal to it, and no product is zero for that. */
#define HASH_KEY UINT64_C(0x9e3779b900f4a7c1)
#define HASH_LAST UINT64_C(0xd6e8feb86659fd93) /* for what a seed is made of */

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	uint64_t low = (uint64_t)(uint32_t)a * (uint32_t)b, high = (a >> 32) * (b >> 32);
	uint64_t cross = (a >> 32) * (uint32_t)b + (uint32_t)a * (b >> 32);

	return low ^ high ^ (cross << 29 | cross >> 35);
#endif
}

static inline uint64_t hash_word(const char *text)
{
	uint64_t word;

	__builtin_memcpy(&word, text, sizeof(word));
	return word;
}

static inline uint64_t hash_half(const char *text)
{
	uint32_t half;

	__builtin_memcpy(&half, text, sizeof(half));
	return half;
}

/*
 * The last step takes the last bytes once more, where the length is no multiple: nothing beyond the text is read. No step more to mix the
 * bits: all 64 are compared, and two texts that are one before such a step would be one after it.
 */
static inline uint64_t hash_text(uint64_t seed, const char *text, size_t length)
{
	uint64_t hash = seed ^ length, a, b;

	if (__builtin_expect(length >= 16, 1)) {
		const char *last = text + length - 16;

		for (; text < last; text += 16)
			hash = hash_fold(hash_word(text) ^ HASH_KEY, hash_word(text + 8) ^ hash);
		a = hash_word(last);
		b = hash_word(last + 8);
	} else if (length >= 8) {
		a = hash_word(text);
		b = hash_word(text + length - 8);
	} else if (length >= 4) {
		a = hash_half(text);
		b = hash_half(text + length - 4);
	} else {
		a = length ? (uint64_t)(unsigned char)text[0] << 16 |
				     (uint64_t)(unsigned char)text[length / 2] << 8 |
				     (unsigned char)text[length - 1]
			   : 0;
		b = 0;
	}
	return hash_fold(a ^ HASH_KEY, b ^ hash);
}

/*
 * The state of the working directory, in one word: how many calls are just changing it; whether a process that is not the owner has changed
 * its own; and how often the owner has.
 */
#define CWD_CHANGING 1u
#define CWD_CHANGING_MASK 0xffffu
#define CWD_STRANGER 0x10000u
#define CWD_EPOCH 0x20000u

extern SHIM_OWN uint64_t memory_cwd_state;

/* 0: nothing is to be known. */
static inline uint64_t memory_seed_cwd(void)
{
	const uint64_t state = __atomic_load_n(&memory_cwd_state, __ATOMIC_ACQUIRE), seed = memory_seed();

	if ((state & (CWD_CHANGING_MASK | CWD_STRANGER)) && ((state & CWD_CHANGING_MASK) || !memory_is_own()))
		return 0;
	return hash_fold(seed, state / CWD_EPOCH ^ HASH_KEY);
}

/* --- the table --- */

#define MEMORY_SLOTS 32768
#define MEMORY_SLOTS_FIRST 512
#define MEMORY_GROWTH 8
#define MEMORY_FACT \
	0xffu /* the bits of a word that are the fact; which slot it is says the same of the hash */

_Static_assert(MEMORY_SLOTS_FIRST > MEMORY_FACT,
	       "which slot it is says what the fact has taken the place of");
_Static_assert(MEMORY_SLOTS_FIRST *MEMORY_GROWTH *MEMORY_GROWTH == MEMORY_SLOTS, "memory_used ends there");
_Static_assert(KNOWN_ALIAS + SHIM_ALIASES * SHIM_PINS_MAX <= MEMORY_FACT, "a fact fits into its bits");

extern SHIM_OWN uint64_t memory_slots[MEMORY_SLOTS];
extern SHIM_OWN unsigned memory_used; /* of them, less one: a mask */

static inline uint64_t *memory_slot(uint64_t hash)
{
	return &memory_slots[hash & __atomic_load_n(&memory_used, __ATOMIC_RELAXED)];
}

static inline unsigned memory_find(uint64_t seed, const char *text, size_t length)
{
	uint64_t hash = hash_text(seed, text, length);
	uint64_t word = __atomic_load_n(memory_slot(hash), __ATOMIC_RELAXED);

	return (word ^ hash) <= MEMORY_FACT ? (word & MEMORY_FACT) : KNOWN_NOT;
}

void memory_add(uint64_t seed, const char *text, size_t length, unsigned known);

#endif

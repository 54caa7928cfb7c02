/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/memory.h"

#include "core/sys.h"

/* What is small never makes up for a step. */
#define SALT_STEP UINT64_C(0x9e3779b97f4a7c16)

uint64_t memory_root;
unsigned memory_used; /* set at start: what is set before would have a page of its own */

static unsigned added; /* about so many facts, as long as the table can grow */

uint64_t memory_cwd_state;
static int owner;
static bool off; /* for good: nothing is added any more */

/* Then it does not matter whose the memory is, and a filter may not let us ask. */
static bool is_off(void)
{
	return __atomic_load_n(&off, __ATOMIC_SEQ_CST);
}

static int process_id(void)
{
	return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

bool memory_is_own(void)
{
	return process_id() == __atomic_load_n(&owner, __ATOMIC_RELAXED);
}

void memory_start(void)
{
	__atomic_store_n(&owner, process_id(), __ATOMIC_RELAXED);
	if (__atomic_load_n(&memory_used, __ATOMIC_RELAXED) != 0)
		return;
	__atomic_add_fetch(&memory_root, shim.hash_key, __ATOMIC_SEQ_CST);
	__atomic_store_n(&memory_used, MEMORY_SLOTS_FIRST - 1, __ATOMIC_RELAXED);
}

/* Each fact goes to where it belongs in the larger table. What others add meanwhile may be lost. */
static void grow(unsigned used)
{
	const unsigned more = (used + 1) * MEMORY_GROWTH - 1;

	for (unsigned slot = 0; slot <= used; slot++) {
		const uint64_t word = __atomic_load_n(&memory_slots[slot], __ATOMIC_RELAXED);
		const uint64_t hash = (word & ~(uint64_t)MEMORY_FACT) | (slot & MEMORY_FACT);

		if (word != 0)
			__atomic_store_n(&memory_slots[hash & more], word, __ATOMIC_RELAXED);
	}
	__atomic_compare_exchange_n(&memory_used, &used, more, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* It does not matter when two count one. */
static void count(void)
{
	const unsigned used = __atomic_load_n(&memory_used, __ATOMIC_RELAXED);
	const unsigned more = __atomic_load_n(&added, __ATOMIC_RELAXED) + 1;

	if (used == MEMORY_SLOTS - 1)
		return;
	__atomic_store_n(&added, more, __ATOMIC_RELAXED);
	if (more > used / 2)
		grow(used);
}

void memory_add(uint64_t seed, const char *text, size_t length, unsigned known)
{
	if (seed == 0 || is_off())
		return;
	uint64_t hash = hash_text(seed, text, length);

	count();
	/* Whoever finds it finds the alias, too, which may have been added just before. */
	__atomic_store_n(memory_slot(hash), (hash & ~(uint64_t)MEMORY_FACT) | known, __ATOMIC_RELEASE);
}

void memory_forget(void)
{
	__atomic_add_fetch(&memory_root, SALT_STEP, __ATOMIC_SEQ_CST);
}

/* Who does not see it yet adds under a seed of before. */
void memory_off(void)
{
	__atomic_store_n(&off, true, __ATOMIC_SEQ_CST);
	memory_forget();
}

void memory_root_changed(void)
{
	if (is_off())
		return;
	if (!memory_is_own()) {
		memory_off();
		return;
	}
	__atomic_add_fetch(&memory_cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
	memory_forget();
}

void memory_cwd_begin(void)
{
	__atomic_add_fetch(&memory_cwd_state, CWD_CHANGING, __ATOMIC_SEQ_CST);
}

void memory_cwd_end(bool changed)
{
	if (changed && !is_off() && memory_is_own())
		__atomic_add_fetch(&memory_cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
	else if (changed)
		__atomic_or_fetch(&memory_cwd_state, CWD_STRANGER, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&memory_cwd_state, CWD_CHANGING, __ATOMIC_SEQ_CST);
}

/*
 * What an owner's child knows of the cwd stays true: that was copied, too. Where there was a stranger the child may be his, and its
 * cwd another one than the facts are about.
 */
void memory_own(void)
{
	if (is_off())
		return;
	memory_start();
	if (__atomic_fetch_and(&memory_cwd_state, ~(uint64_t)CWD_STRANGER, __ATOMIC_SEQ_CST) & CWD_STRANGER)
		__atomic_add_fetch(&memory_cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
}

/* A descriptor may be anything by now: only the directory itself can say which it is. */
uint64_t memory_seed_at(int dir)
{
	uint64_t seed = memory_seed();
	struct stat st;

	if (sys_fstat(dir, &st) != 0)
		return 0;
	return hash_fold(hash_fold(seed, st.st_ino ^ HASH_KEY), st.st_dev ^ HASH_LAST);
}

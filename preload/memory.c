/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/memory.h"

#include "core/sys.h"

/* What is small never makes up for a step. */
#define SALT_STEP UINT64_C(0x9e3779b97f4a7c16)

/*
 * The state of the working directory, in one word: how many calls are just changing it; whether a process that is not the owner has changed
 * its own; and how often the owner has.
 */
#define CWD_CHANGING 1u
#define CWD_CHANGING_MASK 0xffffu
#define CWD_STRANGER 0x10000u
#define CWD_EPOCH 0x20000u

uint64_t memory_slots[MEMORY_SLOTS];
uint64_t memory_salt;

static uint64_t cwd_state;
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
}

void memory_add(uint64_t seed, const char *text, size_t length, unsigned known)
{
	if (seed == 0 || is_off())
		return;
	uint64_t hash = hash_text(seed, text, length);

	__atomic_store_n(&memory_slots[hash % MEMORY_SLOTS], (hash & ~(uint64_t)MEMORY_FACT) | known,
			 __ATOMIC_RELAXED);
}

void memory_forget(void)
{
	__atomic_add_fetch(&memory_salt, SALT_STEP, __ATOMIC_SEQ_CST);
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
	__atomic_add_fetch(&cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
	memory_forget();
}

void memory_cwd_begin(void)
{
	__atomic_add_fetch(&cwd_state, CWD_CHANGING, __ATOMIC_SEQ_CST);
}

void memory_cwd_end(bool changed)
{
	if (changed && !is_off() && memory_is_own())
		__atomic_add_fetch(&cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
	else if (changed)
		__atomic_or_fetch(&cwd_state, CWD_STRANGER, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&cwd_state, CWD_CHANGING, __ATOMIC_SEQ_CST);
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
	if (__atomic_fetch_and(&cwd_state, ~(uint64_t)CWD_STRANGER, __ATOMIC_SEQ_CST) & CWD_STRANGER)
		__atomic_add_fetch(&cwd_state, CWD_EPOCH, __ATOMIC_SEQ_CST);
}

uint64_t memory_seed_cwd(void)
{
	uint64_t state = __atomic_load_n(&cwd_state, __ATOMIC_ACQUIRE), seed = memory_seed();

	if ((state & CWD_CHANGING_MASK) || ((state & CWD_STRANGER) && !memory_is_own()))
		return 0;
	return hash_fold(seed, state / CWD_EPOCH ^ HASH_KEY);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/memory.h"

/* Last in the library (local.mk): the pages before it are those that each process writes to at its start. */
uint64_t memory_slots[MEMORY_SLOTS];

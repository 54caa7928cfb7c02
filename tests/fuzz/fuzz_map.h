/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_map.h: libFuzzer's two entry points, which replay.c calls as well. */
#ifndef TESTS_FUZZ_FUZZ_MAP_H
#define TESTS_FUZZ_FUZZ_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Once, first: the program is started again in the world. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* One case; says what differs and aborts. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

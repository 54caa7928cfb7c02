/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* empty.c: a library that does nothing. What the loader itself takes for a preload is not the shim's. */
__attribute__((visibility("default"))) extern const char bench_empty;
const char bench_empty;

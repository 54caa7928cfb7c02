/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * as_libc.h: included before anything else by a family whose calls differ with the size of off_t.
 *
 * The shim looks at files with 64 bits for everything. On a 32-bit machine that makes struct stat another than the one that
 * stat() fills, and off_t another than truncate() takes: here both are what they are in libc, and struct stat64 is beside it.
 */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * case.h: what an input means: contents of the slots, a working directory, descriptors, and what the process then does.
 *
 * Any bytes are a case; bytes that are missing are 0. One byte chooses one thing, so that a small change of an input is a small change
 * of the case: case.c is the format. The corpus depends on it: append to its lists, and do not reorder them.
 */
#ifndef TESTS_FUZZ_CASE_H
#define TESTS_FUZZ_CASE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/fuzz/world.h"

#define CASE_FDS 4        /* descriptors CASE_FD_FIRST ... */
#define CASE_FD_FIRST 200 /* /proc/self/fd/200 */
#define CASE_STEPS_MAX 14
#define CASE_ROOM 65536

enum step_kind {
	DO_STAT,
	DO_LSTAT,
	DO_OPEN,
	DO_READLINK,
	DO_CHDIR,
	DO_DESCRIPTOR, /* one of the descriptors becomes another directory */
	DO_MKDIR,      /* and removes what was made */
	DO_SLOT,       /* the process itself puts something at a slot */
	DO_EXCHANGE,   /* it exchanges two directories */
	DO_CHROOT,
	DO_PUBLISH, /* another process publishes a number */
	DO_REALPATH,
	DO_ACCESS,
	DO_OPENDIR,
	DO_STATX,
	DO_FOPEN,
	DO_KINDS,
};

struct case_step {
	enum step_kind kind;
	int dir;       /* AT_FDCWD, or a descriptor */
	unsigned with; /* flags of the call, which slot, number or pair: modulo what there is */
	const char *path;
	struct slot_content put; /* DO_SLOT */
};

struct fuzz_case {
	unsigned pins;
	struct slot_content slots[WORLD_SLOTS];
	unsigned cwd; /* index in world_dirs */
	unsigned fds[CASE_FDS];
	unsigned steps;
	struct case_step step[CASE_STEPS_MAX];
	size_t used; /* of room */
	char room[CASE_ROOM];
};

void case_read(struct fuzz_case *c, const uint8_t *data, size_t size);

/* For a person to read. */
void case_print(const struct fuzz_case *c, unsigned steps, FILE *to);

#endif

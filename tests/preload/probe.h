/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe.h: what the parts of the program probe share. probe.c says what a line is.
 */
#ifndef TESTS_PRELOAD_PROBE_H
#define TESTS_PRELOAD_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

typedef void any_call(void);

/* One way of calling: prints what comes after the name. */
typedef void call_shape(any_call *call);

struct probe {
	const char *id; /* of calls.def */
	const char *how;
	any_call *call;
	call_shape *shape;
	bool at;
	bool null; /* NULL is a legal path, or one with an errno */
};

#define PROBE(id, how, shape, at, null)                     \
	{                                                   \
#id, how, (any_call *)(id), shape, at, null \
	}

/* What is looked at. */
extern const char *path;
extern int dir;

/* probe-more.c: walks, system calls by number, and what has a file of its own in libc. */
extern const struct probe more_probes[];
extern const size_t more_probes_count;

void say(long result);
void say_stat(const struct stat *st);
void say_name(const char *name);
void say_names(char **names, size_t count);

#endif

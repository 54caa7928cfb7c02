/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unpack_names.h: what an archive has named so far. For unpack_tar.c.
 */
#ifndef HELPER_TRANSPORT_UNPACK_NAMES_H
#define HELPER_TRANSPORT_UNPACK_NAMES_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* A path that the archive has, or that something in it is below. */
struct named {
	bool directory;
	bool fresh; /* a directory that we have made: nothing is in it but what the archive put there */
	bool told;  /* the archive says how it is to be: */
	mode_t mode;
	struct timespec time;
	struct named *before; /* the one that was named before this one */
	size_t length;
	const char *path;
	char text[];
};

struct names {
	void *tree;         /* tsearch(3): no choice of names makes it slow */
	struct named *last; /* all of them, the newest first: a directory comes behind all that is in it */
};
#define NAMES_NONE           \
	{                    \
		.tree = NULL \
	}

struct named *names_find(const struct names *names, const char *path, size_t length); /* or NULL */

/* Adds it; NULL: it is there. */
struct named *names_add(struct names *names, const char *path, bool directory);
void names_release(struct names *names);

#endif

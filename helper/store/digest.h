/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * digest.h: SHA-256 (libnettle) of what is in an object of a tree, for record.h.
 */
#ifndef HELPER_STORE_DIGEST_H
#define HELPER_STORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define DIGEST_SIZE 32

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

/* Of some bytes. */
void digest_bytes(const void *data, size_t size, struct digest *digest);

/*
 * Of dir/name, which must be what `st` says (ESTALE): `content` is that of a regular file's bytes or of a symbolic
 * link's target, zeros for other kinds; `attrs` is that of all extended attributes that tree_copy() copies, sorted, ACLs
 * included, and zeros where there are none. An empty name is the directory `dir` itself. -1 and errno.
 */
int digest_object(int dir, const char *name, const struct statx *st, struct digest *content,
		  struct digest *attrs);

#endif

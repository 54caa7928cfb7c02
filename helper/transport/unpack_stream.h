/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unpack_stream.h: the bytes of a packed file (gzip, bzip2, xz, zstd, or not packed at all). A thread unpacks them some
 * blocks ahead of who reads them, so that one processor unpacks while another looks at files.
 *
 *     stream = unpack_stream_open(fd, err);
 *     archive_read_open(archive, stream, NULL, unpack_stream_read, NULL);     from there, in order, no seeking
 *     unpack_stream_end(stream, err);                                         nothing is wrong up to its last byte
 *     unpack_stream_close(stream);                                            at any time
 */
#ifndef HELPER_TRANSPORT_UNPACK_STREAM_H
#define HELPER_TRANSPORT_UNPACK_STREAM_H

#include <archive.h>
#include <stdint.h>

#include "helper/base/err.h"

struct unpack_stream;

/* Begins where fd is; nobody else may use fd before the end. NULL and *err. */
struct unpack_stream *unpack_stream_open(int fd, struct err *err);

/* NULL is fine. The thread ends wherever it is, and what was read before is no longer there. */
void unpack_stream_close(struct unpack_stream *stream);

/* For archive_read_open(): a block that stays until the next call, 0 at the end, -1 and the archive's error. */
la_ssize_t unpack_stream_read(struct archive *archive, void *stream, const void **block);

/*
 * Reads what nobody has read: the sums of what it was packed with come last. From then on it is known how many bytes
 * there were, unpacked, and how many of the last ones are zeros.
 */
int unpack_stream_end(struct unpack_stream *stream, struct err *err);
uint64_t unpack_stream_size(const struct unpack_stream *stream);
uint64_t unpack_stream_zeros(const struct unpack_stream *stream);

#endif

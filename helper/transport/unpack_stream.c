/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ring of blocks, with one thread on each side. Those in [taken, filled) are the reader's, the oldest of which it
 * may be looking at; the others are the thread's. Where no thread can be started the reader unpacks each block itself.
 */
#include "helper/transport/unpack_stream.h"

#include <archive_entry.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "helper/base/alloc.h"

#define BLOCK (256 * 1024)
#define BLOCKS 8

struct unpack_stream {
	struct archive *packed; /* the thread's, once there is one */
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows, but for the bytes */
	pthread_cond_t more, room;
	char *blocks[BLOCKS];
	size_t sizes[BLOCKS]; /* 0: the end, or the failure */
	unsigned filled, taken;
	bool stop;
	char *failure;
	uint64_t size, zeros; /* the reader's: the bytes that it took, and the zeros at their end */
};

/* What libarchive says of one that ends too soon is hard to understand. The caller frees it. */
static char *failure_of(struct archive *packed)
{
	const char *why = packed ? archive_error_string(packed) : NULL;

	return why ? alloc_printf("it is cut off or damaged (%s)", why)
		   : alloc_copy("it is empty, or there is no memory");
}

/* Unpacks the next block, outside the lock: nobody else looks at it. */
static size_t block_fill(struct unpack_stream *stream, char *block, char **failure)
{
	const la_ssize_t got = archive_read_data(stream->packed, block, BLOCK);

	if (got < 0)
		*failure = failure_of(stream->packed);
	return got < 0 ? 0 : (size_t)got;
}

static void *stream_run(void *argument)
{
	struct unpack_stream *stream = argument;
	size_t got = 1;

	pthread_mutex_lock(&stream->lock);
	while (got != 0 && !stream->stop) {
		/* One less than there are: the reader may still be looking at the one before. */
		if (stream->filled - stream->taken >= BLOCKS - 1) {
			pthread_cond_wait(&stream->room, &stream->lock);
			continue;
		}
		const unsigned at = stream->filled % BLOCKS;
		char *failure = NULL;

		pthread_mutex_unlock(&stream->lock);
		got = block_fill(stream, stream->blocks[at], &failure);
		pthread_mutex_lock(&stream->lock);
		stream->sizes[at] = got;
		stream->failure = failure;
		stream->filled++;
		pthread_cond_signal(&stream->more);
	}
	pthread_mutex_unlock(&stream->lock);
	return NULL;
}

/* Signals are for the thread that waits for them. */
static void thread_start(struct unpack_stream *stream)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	stream->threaded = pthread_create(&stream->thread, NULL, stream_run, stream) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct unpack_stream *unpack_stream_open(int fd, struct err *err)
{
	struct unpack_stream *stream = alloc_grow(NULL, 1, sizeof(*stream));
	struct archive *packed = archive_read_new();
	struct archive_entry *entry;

	*stream = (struct unpack_stream){ .packed = packed };
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->more, NULL);
	pthread_cond_init(&stream->room, NULL);
	for (size_t i = 0; i < BLOCKS; i++)
		stream->blocks[i] = alloc_grow(NULL, BLOCK, 1);
	if (!packed || archive_read_support_format_raw(packed) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(packed) < ARCHIVE_WARN ||
	    archive_read_support_filter_bzip2(packed) < ARCHIVE_WARN ||
	    archive_read_support_filter_xz(packed) < ARCHIVE_WARN ||
	    archive_read_support_filter_zstd(packed) < ARCHIVE_WARN ||
	    archive_read_open_fd(packed, fd, BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(packed, &entry) != ARCHIVE_OK) {
		stream->failure = failure_of(packed);
		err_fail(err, STATUS_FAILED, "the archive", "%s", stream->failure);
		unpack_stream_close(stream);
		return NULL;
	}
	thread_start(stream);
	return stream;
}

void unpack_stream_close(struct unpack_stream *stream)
{
	if (!stream)
		return;
	if (stream->threaded) {
		pthread_mutex_lock(&stream->lock);
		stream->stop = true;
		pthread_cond_signal(&stream->room);
		pthread_mutex_unlock(&stream->lock);
		pthread_join(stream->thread, NULL);
	}
	archive_read_free(stream->packed);
	for (size_t i = 0; i < BLOCKS; i++)
		free(stream->blocks[i]);
	free(stream->failure);
	pthread_cond_destroy(&stream->room);
	pthread_cond_destroy(&stream->more);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

static void block_measure(struct unpack_stream *stream, const char *block, size_t size)
{
	size_t zeros = 0;

	while (zeros < size && block[size - 1 - zeros] == '\0')
		zeros++;
	stream->size += size;
	stream->zeros = zeros == size ? stream->zeros + zeros : zeros;
}

/* The next block; the end, and what failed, stay the next one. */
static size_t block_take(struct unpack_stream *stream, const void **block)
{
	pthread_mutex_lock(&stream->lock);
	if (!stream->threaded && stream->filled == stream->taken) {
		stream->sizes[stream->filled % BLOCKS] = block_fill(
			stream, stream->blocks[stream->filled % BLOCKS], &stream->failure);
		stream->filled++;
	}
	while (stream->filled == stream->taken)
		pthread_cond_wait(&stream->more, &stream->lock);
	const unsigned at = stream->taken % BLOCKS;
	const size_t size = stream->sizes[at];
	if (size != 0) {
		stream->taken++;
		pthread_cond_signal(&stream->room);
	}
	pthread_mutex_unlock(&stream->lock);
	block_measure(stream, stream->blocks[at], size);
	*block = stream->blocks[at];
	return size;
}

la_ssize_t unpack_stream_read(struct archive *archive, void *context, const void **block)
{
	struct unpack_stream *stream = context;
	const size_t size = block_take(stream, block);

	/* Nobody writes to it behind the last block. */
	if (size == 0 && stream->failure) {
		archive_set_error(archive, EIO, "%s", stream->failure);
		return -1;
	}
	return (la_ssize_t)size;
}

int unpack_stream_end(struct unpack_stream *stream, struct err *err)
{
	const void *block;

	while (block_take(stream, &block) != 0)
		;
	return stream->failure ? err_fail(err, STATUS_FAILED, "the archive", "%s", stream->failure) : 0;
}

uint64_t unpack_stream_size(const struct unpack_stream *stream)
{
	return stream->size;
}

uint64_t unpack_stream_zeros(const struct unpack_stream *stream)
{
	return stream->zeros;
}

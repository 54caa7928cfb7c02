/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/digest.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "helper/base/alloc.h"
#include "helper/tree/object.h"

#define DIGEST_BUFFER 65536

void digest_bytes(const void *data, size_t size, struct digest *digest)
{
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, size, data);
	sha256_digest(&hash, sizeof(digest->bytes), digest->bytes);
}

static int digest_file(int fd, struct digest *digest)
{
	uint8_t *buffer = alloc_grow(NULL, DIGEST_BUFFER, 1);
	struct sha256_ctx hash;
	ssize_t got;

	sha256_init(&hash);
	while ((got = read(fd, buffer, DIGEST_BUFFER)) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			sha256_update(&hash, (size_t)got, buffer);
	const int error = errno;
	sha256_digest(&hash, sizeof(digest->bytes), digest->bytes);
	free(buffer);
	errno = error;
	return got < 0 ? -1 : 0;
}

static int digest_target(const struct object *object, struct digest *digest)
{
	char *target = object_target(object);

	if (target == NULL)
		return -1;
	digest_bytes(target, strlen(target), digest);
	free(target);
	return 0;
}

struct attrs {
	struct sha256_ctx hash;
	bool any;
};

/* Names and values with their lengths, so that no two lists give the same bytes. */
static void add_attr(void *context, const char *name, const void *value, size_t size)
{
	struct attrs *attrs = context;
	const uint64_t length = htole64(size);

	if (!attrs->any)
		sha256_init(&attrs->hash);
	attrs->any = true;
	sha256_update(&attrs->hash, strlen(name) + 1, (const uint8_t *)name);
	sha256_update(&attrs->hash, sizeof(length), (const uint8_t *)&length);
	sha256_update(&attrs->hash, size, value);
}

static int digest_attrs(const struct object *object, struct digest *digest)
{
	struct attrs attrs = { .any = false };
	const int result = object_attrs(object, add_attr, &attrs);

	if (attrs.any)
		sha256_digest(&attrs.hash, sizeof(digest->bytes), digest->bytes);
	return result;
}

static int digest_open(const struct object *object, const struct statx *st, struct digest *content,
		       struct digest *attrs)
{
	int result = 0;

	if (S_ISREG(st->stx_mode))
		result = digest_file(object->fd, content);
	else if (S_ISLNK(st->stx_mode))
		result = digest_target(object, content);
	return result == 0 ? digest_attrs(object, attrs) : -1;
}

int digest_object(int dir, const char *name, const struct statx *st, struct digest *content,
		  struct digest *attrs)
{
	struct object object = object_of(dir);

	memset(content, 0, sizeof(*content));
	memset(attrs, 0, sizeof(*attrs));
	if (name[0] == '\0')
		return digest_open(&object, st, content, attrs);
	if (object_open(dir, name, st, &object) != 0)
		return -1;
	const int result = digest_open(&object, st, content, attrs);
	object_close(&object);
	return result;
}

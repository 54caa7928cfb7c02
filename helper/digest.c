/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/digest.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "helper/alloc.h"
#include "helper/object.h"

#define DIGEST_BUFFER 65536

/*
 * libcrypto fails here only where it has no memory (as alloc.h: the end), or was built without SHA-256, which no system
 * is: then a digest is zeros, which fits nothing.
 */
static EVP_MD_CTX *begin(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash == NULL)
		alloc_failed();
	EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
	return hash;
}

static void finish(EVP_MD_CTX *hash, struct digest *digest)
{
	if (EVP_DigestFinal_ex(hash, digest->bytes, NULL) != 1)
		memset(digest, 0, sizeof(*digest));
	EVP_MD_CTX_free(hash);
}

void digest_bytes(const void *data, size_t size, struct digest *digest)
{
	EVP_MD_CTX *hash = begin();

	EVP_DigestUpdate(hash, data, size);
	finish(hash, digest);
}

static int digest_file(int fd, struct digest *digest)
{
	char *buffer = alloc_grow(NULL, DIGEST_BUFFER, 1);
	EVP_MD_CTX *hash = begin();
	ssize_t got;

	while ((got = read(fd, buffer, DIGEST_BUFFER)) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			EVP_DigestUpdate(hash, buffer, (size_t)got);
	const int error = errno;
	finish(hash, digest);
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

/* Names and values with their lengths, so that no two lists give the same bytes. */
static void add_attr(void *context, const char *name, const void *value, size_t size)
{
	EVP_MD_CTX **hash = context;
	const uint64_t length = htole64(size);

	if (*hash == NULL)
		*hash = begin();
	EVP_DigestUpdate(*hash, name, strlen(name) + 1);
	EVP_DigestUpdate(*hash, &length, sizeof(length));
	EVP_DigestUpdate(*hash, value, size);
}

static int digest_attrs(const struct object *object, struct digest *digest)
{
	EVP_MD_CTX *hash = NULL;
	const int result = object_attrs(object, add_attr, &hash);

	if (hash != NULL)
		finish(hash, digest);
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

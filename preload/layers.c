/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/layers.h"

#include <fcntl.h>
#include <string.h>

#include "preload/map.h"

#define GROWTH 2048

size_t layers_room(const char *text)
{
	return strlen(text) + GROWTH;
}

struct output {
	char *to;
	size_t used, size;
	bool full;
};

static void put(struct output *out, const char *text, size_t length)
{
	if (out->used + length >= out->size)
		out->full = true;
	if (out->full)
		return;
	memcpy(out->to + out->used, text, length);
	out->used += length;
}

static bool is_special(char c)
{
	return c == ',' || c == ':' || c == '\\';
}

/* Up to the first of `ends` that has no backslash before it, or the end of the text. */
static size_t span(const char *text, const char *end, const char *ends)
{
	size_t length = 0;

	while (text + length < end && !strchr(ends, text[length]))
		length += text[length] == '\\' && text + length + 1 < end ? 2 : 1;
	return length;
}

static void put_path(struct output *out, const char *text, size_t length)
{
	char *path = __builtin_alloca(length + 1);
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\' && i + 1 < length)
			i++;
		path[used++] = text[i];
	}
	path[used] = '\0';
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	if (m.kind != MAP_MOVED) {
		put(out, text, length);
		return;
	}
	for (const char *c = m.path; *c; c++) {
		if (is_special(*c))
			put(out, "\\", 1);
		put(out, c, 1);
	}
}

static bool key_is(const char *key, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(key, name, length) == 0;
}

/* False where it is no path. */
static bool put_value(struct output *out, const char *key, size_t key_length, const char *value,
		      const char *end)
{
	const bool list = key_is(key, key_length, "lowerdir");

	if (!list && !key_is(key, key_length, "upperdir") && !key_is(key, key_length, "workdir"))
		return false;
	while (value < end) {
		size_t length = span(value, end, list ? ":" : "");

		put_path(out, value, length);
		value += length;
		if (value < end)
			put(out, value++, 1);
	}
	return true;
}

static const char *result(struct output *out, const char *otherwise)
{
	if (out->full)
		return otherwise;
	out->to[out->used] = '\0';
	return out->to;
}

const char *layers_in_options(const char *options, char *room, size_t size)
{
	struct output out = { .to = room, .size = size };
	const char *at = options, *all = options + strlen(options);

	while (at < all) {
		const char *end = at + span(at, all, ","), *equals = memchr(at, '=', (size_t)(end - at));
		const char *value = equals ? equals + 1 : end;

		put(&out, at, (size_t)(value - at));
		if (!equals || !put_value(&out, at, (size_t)(equals - at), value, end))
			put(&out, value, (size_t)(end - value));
		if (end < all)
			put(&out, end++, 1);
		at = end;
	}
	return result(&out, options);
}

const char *layers_in_option(const char *key, const char *value, char *room, size_t size)
{
	struct output out = { .to = room, .size = size };

	if (!put_value(&out, key, strlen(key), value, value + strlen(value)))
		return value;
	return result(&out, value);
}

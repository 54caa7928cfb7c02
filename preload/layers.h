/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layers.h: paths in the options of an overlay.
 *
 * mount(2) takes them as one text, fsconfig(2) one by one. lowerdir is a list with colons between; upperdir and workdir are a path each; a
 * comma, colon or backslash that is part of one has a backslash before it (overlayfs.rst, and ovl_parse_param_lowerdir()). Each that
 * leads through D/L is replaced by the pinned snapshot's, and the rest stays as it came.
 */
#ifndef PRELOAD_LAYERS_H
#define PRELOAD_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

/* What a text may grow to. The kernel takes no longer one than a page (mount(2), "data"). */
size_t layers_room(const char *text);

/* The options of a mount of type overlay. Returns `room`, which has `size` bytes, or `options` where they do not fit. */
const char *layers_in_options(const char *options, char *room, size_t size);

/* One option. Not a path: it comes back as it is. */
const char *layers_in_option(const char *key, const char *value, char *room, size_t size);

#endif

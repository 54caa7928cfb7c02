/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * source.h: what the transports ask of sync-uri, and of what came from there, alike.
 */
#ifndef HELPER_TRANSPORT_SOURCE_H
#define HELPER_TRANSPORT_SOURCE_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "helper/config/repos.h"

/* The path of a source on this machine, or NULL. As in Portage file:// is cut off, and no %XX means anything. */
const char *source_path(const char *uri);

/* "host:path", "user@host::module/path", "scheme://...": a colon before any slash. What is neither is a relative path. */
bool source_is_remote(const char *uri);

/*
 * A source on this machine that holds the store would be copied into itself, again and again; one in the store is a
 * snapshot; neither may it be the location. STATUS_USAGE if it is such a one.
 */
int source_check_place(const struct repo *repo, struct err *err);

/*
 * Of mirrors of Gentoo's: is the fetched tree at `path` older, by its metadata/timestamp.chk, than the one at `base`
 * (NULL: there is none)? Then the mirror is out of date, or somebody plays an old version to us: an error, unless
 * sync-rcu-allow-older says otherwise. Looked at is what was fetched, not what a mirror's other server says first. A
 * tree that tells no time passes.
 */
int source_check_age(const struct repo *repo, const char *path, const char *base, struct err *err);

/* The same with two times; 0: none is told. */
int source_compare_times(const struct repo *repo, time_t fresh, time_t old, struct err *err);

/* The time at the beginning of a text, in UTC, by a format of strptime(3); 0 where there is none. */
time_t source_time(const char *text, const char *format);

/* An ordinary file of a fetched tree, to be read; NULL where there is none. */
FILE *source_open(const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scratch.h: a directory of its own for each unit test, and the small things that tests of a store do over
 * and over. Every function fails the running test where it cannot do its job. Include after cmocka.h.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/store/store.h"

/*
 * Setup and teardown: *state is the canonical path of an empty directory, gone with all below it afterwards.
 */
int scratch_make(void **state);
int scratch_remove(void **state);
#define scratch_test(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

/* Skips the test where we are not root. */
void scratch_need_root(void);

/* Mounts a tmpfs on `path` (made) for this program alone; skips the test where that cannot be done. */
void scratch_mount(const char *path, const char *options);

void scratch_mkdir(const char *path); /* with its parents, 0755 */
void scratch_write(const char *path, const char *text);
char *scratch_read(const char *path);  /* the caller frees it; NULL: there is no such file */
bool scratch_exists(const char *path); /* of any kind, links not followed */
char *scratch_path(const char *top, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Opens the store at `path` for change, not durable, and locks it. */
void scratch_open(struct store *store, const char *path);

/* Publishes a new snapshot with one file "version" that holds `text`. */
uint64_t scratch_publish(struct store *store, const char *text);

/*
 * A reader in another process, until scratch_end(): takes the pin of `number`, and has it mapped and every descriptor
 * closed, or only open.
 */
pid_t scratch_reader(const struct store *store, uint64_t number, bool mapped);
void scratch_end(pid_t pid);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * keys.h: the keys that a repos.conf may have: Portage's, whether we use them or not, and ours.
 *
 * What is none of them is accepted, since anybody may define a key for %(...)s; but where it looks like one that was
 * misspelt it is reported, or a sync would go on without the check that was meant.
 */
#ifndef HELPER_CONFIG_KEYS_H
#define HELPER_CONFIG_KEYS_H

#include <stdbool.h>

/*
 * The known key that was probably meant by `name` (lower case): NULL where `name` is known, or like none. A name like
 * sync...rcu... or rcu-... always is.
 */
const char *key_meant(const char *name);

#endif

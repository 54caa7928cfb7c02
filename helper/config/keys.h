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
 * True where `name` (lower case) is no key, but looks like one: near to one, or with all but its end, or like
 * sync...rcu... or rcu-... . *meant is the one that was probably meant; NULL where none is near, or several are.
 */
bool key_odd(const char *name, const char **meant);

#endif

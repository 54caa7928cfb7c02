/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * order.h: which of several repositories comes first.
 */
#ifndef HELPER_CONFIG_ORDER_H
#define HELPER_CONFIG_ORDER_H

#include "helper/config/repos.h"

/*
 * The places of the repositories in `repos`, each after its masters, and else as they stand there. The masters of one are
 * what its configuration says, else what LOCATION/metadata/layout.conf says, as in Portage; a repository that says nothing
 * is an overlay of the one with the lowest priority. A circle is broken anywhere. The caller frees the list.
 */
size_t *order_masters_first(const struct repos *repos);

#endif

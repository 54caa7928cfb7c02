/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trust.h: may others write to this path, or exchange a part of it?
 */
#ifndef HELPER_STORE_TRUST_H
#define HELPER_STORE_TRUST_H

#include <sys/types.h>

#include "helper/base/err.h"

/*
 * Walks `path` (absolute) from the root, through symbolic links, and fails (STATUS_USAGE, naming the
 * component and why) unless every directory on the way, and the last one, can be written to only by root, by
 * us (geteuid) or by `also` (the sync-user; (uid_t)-1: nobody). A sticky directory that others may write to
 * is accepted where the next entry is owned by one of those three. Components that do not exist yet are fine.
 * POSIX ACLs that grant others write show in the group bits (acl(5)) and are refused with them. A
 * group-writable directory is accepted only where the group is root's.
 */
int trust_path(const char *path, uid_t also, struct err *err);

/*
 * The same question about one directory that is open already (O_PATH will do); `path` is for the message. No
 * exception for a sticky one.
 */
int trust_dir(int fd, const char *path, uid_t also, struct err *err);

#endif

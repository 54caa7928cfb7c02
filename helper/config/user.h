/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * user.h: as whom a repository is fetched: sync-user and sync-umask, and Portage's FEATURES=usersync.
 *
 * The fetching alone is done as that user, in a staging tree that is his: he talks with the network, and needs no more
 * than that. What is published is published by us (P8).
 */
#ifndef HELPER_CONFIG_USER_H
#define HELPER_CONFIG_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "helper/config/repos.h"

struct user {
	uid_t uid; /* (uid_t)-1: who we are */
	gid_t gid; /* (gid_t)-1: the groups that we have; else this is the only one */
	mode_t umask;
	char *name, *home; /* for LOGNAME and HOME; NULL: as they are */
};
#define USER_NONE                                                 \
	{                                                         \
		.uid = (uid_t)-1, .gid = (gid_t)-1, .umask = 022, \
	}

/*
 * The user that sync-user says: [USER][:GROUP], names or numbers. Without a group it is the user's own; without a user it
 * is us, with that group alone. Where sync-user is not set: nobody. Unlike Portage, which then goes on as root, an
 * unknown one is an error (STATUS_USAGE, naming file, line and key). Released with user_release(), also after a failure.
 */
int user_find(const struct repo *repo, struct user *user, struct err *err);

/* Only the user's number, (uid_t)-1 for nobody: who may write to the store besides root and us (trust.h). */
int user_trusted(const struct repo *repo, uid_t *uid, struct err *err);

/*
 * user_find() for who fetches. Where sync-user is not set, the configuration is Portage's, we are root, and $FEATURES says
 * usersync: the owner of the tree at LOCATION, with its group, and a umask that lets the group write where it may now. An
 * owner without a name is root, as in Portage. (FEATURES from make.conf is not seen.) Fails (STATUS_USAGE) where we are
 * not root and it is somebody else.
 */
int user_of_fetch(const struct repo *repo, struct user *user, struct err *err);
void user_release(struct user *user);

/* Is it anybody but us as we are? */
bool user_is_other(const struct user *user);

/*
 * In a child, before its exec: becomes the user, with environment and umask. -1 and errno. The parent-death signal is to
 * be set after it: the kernel drops it here.
 */
int user_become(const struct user *user);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/config/user.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"

static bool number_parse(const char *text, id_t *number)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);

	*number = (id_t)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value < (id_t)-1;
}

/* What the user's entry says. A number without an entry is good, too: there is no home then. */
static bool user_look_up(struct user *user, const char *name)
{
	const struct passwd *entry = getpwnam(name);
	id_t number;

	if (!entry && number_parse(name, &number)) {
		entry = getpwuid(number);
		user->uid = number;
		user->gid = number;
	}
	if (!entry)
		return user->uid != (uid_t)-1;
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->name = alloc_copy(entry->pw_name);
	user->home = alloc_copy(entry->pw_dir);
	return true;
}

static bool group_look_up(struct user *user, const char *name)
{
	const struct group *entry = getgrnam(name);
	id_t number;

	if (entry)
		user->gid = entry->gr_gid;
	else if (number_parse(name, &number))
		user->gid = number;
	else
		return false;
	return true;
}

int user_find(const struct repo *repo, struct user *user, struct err *err)
{
	const char *colon = repo->sync_user ? strchr(repo->sync_user, ':') : NULL;
	bool good = true;

	*user = (struct user)USER_NONE;
	if (repo->sync_umask >= 0)
		user->umask = (mode_t)repo->sync_umask;
	if (!repo->sync_user)
		return 0;
	char *name = alloc_printf("%.*s", (int)strcspn(repo->sync_user, ":"), repo->sync_user);
	if (*name)
		good = user_look_up(user, name);
	free(name);
	if (!good)
		return repo_refuse(repo, REPO_SYNC_USER, "there is no such user", err);
	if (colon && !group_look_up(user, colon + 1))
		return repo_refuse(repo, REPO_SYNC_USER, "there is no such group", err);
	return 0;
}

int user_trusted(const struct repo *repo, uid_t *uid, struct err *err)
{
	struct user user;
	int result = user_find(repo, &user, err);

	*uid = user.uid;
	user_release(&user);
	return result;
}

/* FEATURES is a list to which words are added, and -word takes one away, -* all. */
static bool features_have(const char *features, const char *name)
{
	const size_t length = strlen(name);
	bool have = false;

	for (const char *at = features ? features : ""; *(at += strspn(at, " \t\n")) != '\0';) {
		const bool no = *at == '-';
		const char *word = at + no;
		const size_t size = strcspn(word, " \t\n");

		if ((size == length && strncmp(word, name, length) == 0) || (no && size == 1 && *word == '*'))
			have = !no;
		at = word + size;
	}
	return have;
}

static void user_of_location(const struct repo *repo, struct user *user)
{
	struct stat st;
	const struct passwd *entry;

	if (stat(repo->location, &st) != 0 || (st.st_uid == 0 && st.st_gid == 0))
		return;
	entry = getpwuid(st.st_uid);
	if (!entry)
		return;
	user->uid = st.st_uid;
	user->gid = st.st_gid;
	user->name = alloc_copy(entry->pw_name);
	user->home = alloc_copy(entry->pw_dir);
	if (repo->sync_umask < 0)
		user->umask = st.st_mode & S_IWGRP ? 002 : 022;
}

int user_of_fetch(const struct repo *repo, struct user *user, struct err *err)
{
	if (user_find(repo, user, err) != 0)
		return -1;
	if (!repo->sync_user && repo->from_portage && geteuid() == 0 &&
	    features_have(getenv("FEATURES"), "usersync"))
		user_of_location(repo, user);
	if (geteuid() == 0 || user->uid == (uid_t)-1 || user->uid == geteuid())
		return 0;
	return repo_refuse(repo, REPO_SYNC_USER, "only root can become another user", err);
}

void user_release(struct user *user)
{
	free(user->name);
	free(user->home);
	*user = (struct user)USER_NONE;
}

bool user_is_other(const struct user *user)
{
	return (user->uid != (uid_t)-1 && user->uid != geteuid()) || user->gid != (gid_t)-1;
}

int user_become(const struct user *user)
{
	umask(user->umask);
	if (user->gid != (gid_t)-1 && geteuid() == 0 &&
	    (setgroups(1, &user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0))
		return -1;
	if (user->uid != (uid_t)-1 && user->uid != geteuid() &&
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return -1;
	if (user->name && (setenv("LOGNAME", user->name, 1) != 0 || setenv("USER", user->name, 1) != 0))
		return -1;
	return user->home ? setenv("HOME", user->home, 1) : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * git_run.h: the real git, run so that nothing but what we say has an influence on it. For git.c.
 */
#ifndef HELPER_TRANSPORT_GIT_RUN_H
#define HELPER_TRANSPORT_GIT_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/config/repos.h"

struct git_run {
	const struct repo *repo;
	const char *dir;          /* GIT_DIR */
	const char *tree;         /* GIT_WORK_TREE, or NULL */
	const char *what;         /* for messages: "git fetch" */
	bool outside;             /* it asks the upstream: with the user's configuration, and sync-git-env */
	char *const *env;         /* more variables, or NULL */
	const char *const *words; /* behind "git" and our options */
	int in, out;              /* as in run.h */
};

/*
 * Files that it makes are 0644 or 0755, whatever our umask. Unless it is `outside` no configuration but
 * the object store's and no variable of git's applies, so neither hooks nor filters are run that an attribute in the
 * tree could name.
 */
int git_run(const struct git_run *run, struct err *err);

/* The same; *text is what it wrote (with a zero byte behind it), of *size bytes. The caller frees it. */
int git_read(const struct git_run *run, char **text, size_t *size, struct err *err);

#endif

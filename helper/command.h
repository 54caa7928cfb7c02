/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.h: the commands of rcu-repo: one file each (cmd-NAME.c), one row each in rcu-repo.c's table, from
 * which --help, the synopsis check and the option parser come.
 */
#ifndef HELPER_COMMAND_H
#define HELPER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/repos.h"
#include "helper/store.h"

/* What the command line said, after the one option parser. */
struct options {
	const char *config;
	struct repos_override override;
	const char *location, *store, *type, *uri; /* stand for a repository */
	const char *staging;
	pid_t owner;
	uint64_t force; /* gc --force N */
	bool dry_run, json, verbose;
	char **rest;    /* the operands: REPO...; NULL-terminated */
	char **command; /* behind --; NULL if there was none */
};

struct command {
	const char *name;
	const char *synopsis; /* behind the name, one line */
	const char *summary;  /* one line, for --help */
	const char *options;  /* which of the options above it takes, by long name, blank-separated */
	int (*run)(const struct options *options);
};

/* The repositories that the operands, or --location, or (none) all of the configuration mean. Release with
 * repos_release(). */
int command_repos(const struct options *options, bool need_one, struct repos *repos, struct err *err);

/* Opens the store of a repository; STATUS_USAGE if it has none. */
int command_store(const struct repo *repo, enum store_use use, struct store *store, struct err *err);

int cmd_sync(const struct options *options);
int cmd_update(const struct options *options);
int cmd_begin(const struct options *options);
int cmd_commit(const struct options *options);
int cmd_abort(const struct options *options);
int cmd_gc(const struct options *options);
int cmd_list(const struct options *options);
int cmd_readers(const struct options *options);

#endif

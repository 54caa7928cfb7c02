/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.h: the commands of rcu-repo: one file each (cmd-NAME.c), one row each in rcu-repo.c's table, from
 * which --help, the synopsis check and the option parser come.
 *
 * In --help every line that begins with two blanks and the program's name is a line of the synopsis; no other
 * line begins so. `rcu-repo --help` has the general form first, then one line a command, with the same words
 * as the SYNOPSIS of rcu-repo(8); `rcu-repo COMMAND --help` has its command's line. `rcu-exec --help` has
 * those of rcu-exec(1). A test compares them.
 *
 * To add a command: write cmd-NAME.c with its function, declare it here, add its row to rcu-repo.c and its
 * file to local.mk, tests/cli/NAME.bats, and the synopsis to rcu-repo(8).
 */
#ifndef HELPER_COMMANDS_COMMAND_H
#define HELPER_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "helper/config/repos.h"
#include "helper/store/store.h"

/* What the command line said, after the one option parser. */
struct options {
	const char *config;
	struct repos_override override;
	size_t set_count;
	const char *location, *store, *type, *uri; /* stand for a repository */
	const char *staging;
	pid_t owner;      /* 0: none */
	uint64_t force;   /* gc --force N; 0: none */
	unsigned budget;  /* gc --budget SECONDS; 0: none */
	const char *name; /* keep --name NAME */
	bool hold;        /* rollback --hold */
	bool unhold;      /* sync --force */
	bool repair;      /* check --repair */
	bool measure;     /* list --measure, status --measure */
	unsigned jobs;    /* sync --jobs N; 0: not given */
	bool together;    /* sync --together */
	bool dry_run, json, verbose, help, version;
	char **rest;    /* the operands: REPO...; NULL-terminated */
	char **words;   /* command_words(): what stands behind REPO; NULL-terminated */
	char **command; /* behind --; NULL if there was none */
};

struct command {
	const char *name;
	const char *synopsis; /* behind the name, one line */
	const char *summary;  /* one line, for --help */
	const char *options;  /* which options it takes beside the global ones, blank-separated long names */
	int (*run)(const struct options *options);
};

/*
 * The repositories that the operands, or --location, or (none) all of the configuration with sync-rcu mean,
 * in that order; each has a store. With need_one there must be exactly one. Release with repos_release(),
 * also after a failure. What looks odd in the configuration is said as a warning.
 */
int command_repos(const struct options *options, bool need_one, struct repos *repos, struct err *err);

/*
 * Runs `one` for each of command_repos(). A failure is printed with the repository's name and does not stop
 * the others. Returns the exit status: of a single repository its own, of several STATUS_BUSY where nothing
 * but locks was in the way, else STATUS_FAILED.
 */
int command_each(const struct options *options, bool need_one,
		 int (*one)(const struct options *options, const struct repo *repo, struct err *err));

/* The two halves of it: one repository, whose failure is printed and whose status is returned ... */
int command_one(const struct options *options, const struct repo *repo,
		int (*one)(const struct options *options, const struct repo *repo, struct err *err));

/* ... and the status of several so far (STATUS_DONE at first) with that of one more. */
int command_worse(int so_far, int status);

/*
 * command_each() for a command of one REPO and more words behind it, `least` to `most`: options->words. Where --location
 * stands for REPO all operands are words. `usage` says what is needed.
 */
int command_words(const struct options *options, const char *usage, size_t least, size_t most,
		  int (*one)(const struct options *options, const struct repo *repo, struct err *err));

/* What was never synced is no store: nobody makes one by looking after it, or takes another directory for one. */
int command_check_store(const struct repo *repo, struct err *err);

/*
 * Opens the store of `repo` for change and locks it, also where `begin` reserved it. One that is not there is an error:
 * none is made. `name` is the command's. The struct was STORE_CLOSED before; store_close() also after a failure.
 */
int command_lock(struct store *store, const struct repo *repo, const char *name, struct err *err);

/*
 * True, and said, where `repo` was never synced: there is no store, and no link at its location that leads to one (that
 * one is gone, or its disk is not mounted). Whoever looks has nothing to look at then, and that is no failure.
 */
bool command_unsynced(const struct repo *repo);

/* The snapshot that a word of the command line means: a number, or the name of a kept one. It is there. */
int command_snapshot(const struct store *store, const char *word, uint64_t *number, struct err *err);

/* Warns of each name in snapshots/ that is no number (P14): store_numbers() with a warning. */
int command_numbers(const struct store *store, struct numbers *numbers, struct err *err);

/*
 * "2024-05-04 03:02:01" in local time, or for JSON "2024-05-04T03:02:01Z"; NULL for 0. The caller frees it.
 */
char *command_time(int64_t seconds, bool json);

int cmd_sync(const struct options *options);
int cmd_update(const struct options *options);
int cmd_begin(const struct options *options);
int cmd_check(const struct options *options);
int cmd_commit(const struct options *options);
int cmd_abort(const struct options *options);
int cmd_diff(const struct options *options);
int cmd_gc(const struct options *options);
int cmd_keep(const struct options *options);
int cmd_list(const struct options *options);
int cmd_readers(const struct options *options);
int cmd_release(const struct options *options);
int cmd_rollback(const struct options *options);
int cmd_status(const struct options *options);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/aside.h"
#include "helper/base/options.h"
#include "helper/commands/command.h"
#include "helper/launcher/namespace.h"
#include "helper/programs/run.h"

#define GLOBAL_SYNOPSIS "[--config PATH] [--set KEY=VALUE]... [--quiet|--verbose]"
#define GLOBAL_OPTIONS "config set quiet verbose help version"
#define REPO_OPTIONS "location store"

static const struct command commands[] = {
	{ "sync", "[REPO...] [--jobs N] [--together] [--force]", "fetch, publish what changed, and reclaim",
	  REPO_OPTIONS " type uri jobs together force/sync", cmd_sync },
	{ "update", "REPO -- COMMAND [ARG...]",
	  "run COMMAND in a writable copy, and publish it if that exits 0", REPO_OPTIONS, cmd_update },
	{ "begin", "REPO [--owner PID]", "lock, make a writable copy, and print its path",
	  REPO_OPTIONS " owner", cmd_begin },
	{ "commit", "REPO [--staging PATH]", "publish what begin staged, and print its number",
	  REPO_OPTIONS " staging", cmd_commit },
	{ "abort", "REPO [--staging PATH]", "drop what begin staged", REPO_OPTIONS " staging", cmd_abort },
	{ "gc", "[REPO...] [--dry-run] [--force N] [--budget SECONDS]",
	  "reclaim what is past its grace period", REPO_OPTIONS " dry-run force budget", cmd_gc },
	{ "rollback", "REPO [N] [--hold]", "publish an older snapshot again", REPO_OPTIONS " hold",
	  cmd_rollback },
	{ "keep", "REPO N [--name NAME]", "protect a snapshot from reclaim", REPO_OPTIONS " name", cmd_keep },
	{ "release", "REPO N", "stop protecting a snapshot", REPO_OPTIONS, cmd_release },
	{ "list", "REPO [--measure] [--json]", "show the snapshots", REPO_OPTIONS " measure json", cmd_list },
	{ "check", "[REPO...] [--repair]", "verify the store and its snapshots", REPO_OPTIONS " repair",
	  cmd_check },
	{ "diff", "REPO A B [--json]", "show what differs between two snapshots", REPO_OPTIONS " json",
	  cmd_diff },
	{ "readers", "[REPO...] [--json]", "show who pins what", REPO_OPTIONS " json", cmd_readers },
	{ "status", "[REPO...] [--measure] [--json]", "show why each snapshot is still there",
	  REPO_OPTIONS " measure json", cmd_status },
};

#define TAKE_TEXT(member)                                                          \
	static int take_##member(void *target, const char *value, struct err *err) \
	{                                                                          \
		(void)err;                                                         \
		((struct options *)target)->member = value;                        \
		return 0;                                                          \
	}
#define TAKE_FLAG(member)                                                          \
	static int take_##member(void *target, const char *value, struct err *err) \
	{                                                                          \
		(void)value;                                                       \
		(void)err;                                                         \
		((struct options *)target)->member = true;                         \
		return 0;                                                          \
	}
TAKE_TEXT(config)
TAKE_TEXT(location)
TAKE_TEXT(store)
TAKE_TEXT(type)
TAKE_TEXT(uri)
TAKE_TEXT(staging)
TAKE_TEXT(name)
TAKE_FLAG(hold)
TAKE_FLAG(measure)
TAKE_FLAG(repair)
TAKE_FLAG(unhold)
TAKE_FLAG(dry_run)
TAKE_FLAG(together)
TAKE_FLAG(json)
TAKE_FLAG(verbose)
TAKE_FLAG(help)
TAKE_FLAG(version)

static int take_quiet(void *target, const char *value, struct err *err)
{
	(void)target;
	(void)value;
	(void)err;
	err_quiet = 1;
	return 0;
}

static int take_set(void *target, const char *value, struct err *err)
{
	struct options *options = target;
	char ***set = &options->override.set;

	if (!strchr(value, '=') || value[0] == '=')
		return err_fail(err, STATUS_USAGE, "--set", "not KEY=VALUE: %s", value);
	*set = alloc_grow(*set, options->set_count + 2, sizeof(**set));
	(*set)[options->set_count++] = (char *)value;
	(*set)[options->set_count] = NULL;
	return 0;
}

static int take_owner(void *target, const char *value, struct err *err)
{
	char *end;

	errno = 0;
	long pid = strtol(value, &end, 10);
	if (errno != 0 || *end != '\0' || value[0] < '1' || value[0] > '9' || pid != (pid_t)pid)
		return err_fail(err, STATUS_USAGE, "--owner", "not a process's number: %s", value);
	((struct options *)target)->owner = (pid_t)pid;
	return 0;
}

static int take_budget(void *target, const char *value, struct err *err)
{
	char *end;

	errno = 0;
	const unsigned long seconds = strtoul(value, &end, 10);
	if (errno != 0 || *end != '\0' || value[0] < '0' || value[0] > '9' || seconds == 0 ||
	    seconds > UINT_MAX)
		return err_fail(err, STATUS_USAGE, "--budget", "not a number of seconds: %s", value);
	((struct options *)target)->budget = (unsigned)seconds;
	return 0;
}

static int take_force(void *target, const char *value, struct err *err)
{
	if (!snapshot_number_parse(value, strlen(value), &((struct options *)target)->force))
		return err_fail(err, STATUS_USAGE, "--force", "not a snapshot's number: %s", value);
	return 0;
}

static int take_jobs(void *target, const char *value, struct err *err)
{
	uint64_t jobs;

	if (!snapshot_number_parse(value, strlen(value), &jobs) || jobs > UINT_MAX)
		return err_fail(err, STATUS_USAGE, "--jobs", "not a number of jobs: %s", value);
	((struct options *)target)->jobs = (unsigned)jobs;
	return 0;
}

static const struct option_rule rules[] = {
	{ "config", 0, "PATH", "read this repos.conf, a file or a directory of *.conf", take_config },
	{ "set", 0, "KEY=VALUE", "override a key of the configuration", take_set },
	{ "quiet", 0, NULL, "say nothing but errors and warnings", take_quiet },
	{ "verbose", 0, NULL, "say what is being done", take_verbose },
	{ "location", 0, "PATH", "instead of REPO: where readers look for the repository", take_location },
	{ "store", 0, "PATH", "with --location: its store (default: the one that it leads to)", take_store },
	{ "type", 0, "TYPE", "with --location: sync-type", take_type },
	{ "uri", 0, "URI", "with --location: sync-uri", take_uri },
	{ "jobs", 0, "N", "so many repositories at a time (default: 8)", take_jobs },
	{ "together", 0, NULL, "publish all of them as one, or none", take_together },
	{ "owner", 0, "PID", "hold it until this process has ended (default: a day)", take_owner },
	{ "staging", 0, "PATH", "fail if this is not what is staged", take_staging },
	{ "dry-run", 0, NULL, "only say what would go, and why the rest stays", take_dry_run },
	{ "force", 0, "N", "reclaim snapshot N even though it is pinned, a spare or young", take_force },
	{ "force/sync", 0, NULL, "publish though a rollback is held, and end the hold", take_unhold },
	{ "hold", 0, NULL, "and let no sync publish before sync --force", take_hold },
	{ "name", 0, "NAME", "give it a name, for -s of rcu-exec, rollback and release", take_name },
	{ "measure", 0, NULL, "and count files and disk space, which reads every directory", take_measure },
	{ "budget", 0, "SECONDS", "delete for so long at most; the rest is for the next time", take_budget },
	{ "repair", 0, NULL, "mend what can be mended without losing anything", take_repair },
	{ "json", 0, NULL, "for programs", take_json },
	{ "help", 'h', NULL, "show this", take_help },
	{ "version", 'V', NULL, "show the version", take_version },
	{ .name = NULL },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void print_synopsis(const struct command *command)
{
	printf("  rcu-repo %s %s\n", command->name, command->synopsis);
}

static void help_program(void)
{
	puts("Usage:\n  rcu-repo " GLOBAL_SYNOPSIS " COMMAND ...");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		print_synopsis(&commands[i]);
	puts("\nCommands:");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].summary);
	puts("\nOptions of every command, before or after it:");
	options_help(rules, GLOBAL_OPTIONS);
	puts("\nrcu-repo COMMAND --help shows a command's own. The manual is rcu-repo(8).");
}

static void help_command(const struct command *command)
{
	puts("Usage:");
	print_synopsis(command);
	printf("\nTo %s.\n\nOptions:\n", command->summary);
	options_help(rules, command->options);
	options_help(rules, GLOBAL_OPTIONS);
}

/*
 * A standard descriptor that is closed would be given to the next file that is opened, a store say, and what is printed go
 * there. One that fails takes its place, so that the exit status tells of it.
 */
static void take_standard_places(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDONLY | O_NOCTTY)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd >= 0)
		close(fd);
}

/* What was printed must have arrived: a script that reads half a list must not take it for the whole. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	warn("stdout", "cannot be written: %s", strerror(errno));
	return status == STATUS_DONE ? STATUS_FAILED : status;
}

/* The words behind the global options: COMMAND and its own. */
static int run_command(struct options *options, char **words, struct err *err)
{
	const struct command *command = words[0] ? find_command(words[0]) : NULL;
	struct option_words left = { .operands = NULL };
	int status;

	if (!command) {
		err_fail(err, STATUS_USAGE, words[0] ? words[0] : "usage", "%s (see rcu-repo --help)",
			 words[0] ? "unknown command" : "a command is needed");
		return err_print(err);
	}
	char *names = alloc_printf("%s %s", GLOBAL_OPTIONS, command->options);
	if (options_parse(words + 1, rules, names, false, options, &left, err) != 0) {
		status = err_print(err);
	} else if (left.command && !strstr(command->synopsis, " -- ")) {
		err_fail(err, STATUS_USAGE, command->name, "takes no COMMAND behind --");
		status = err_print(err);
	} else if (options->help || options->version) {
		options->version ? (void)puts(PACKAGE_STRING) : help_command(command);
		status = STATUS_DONE;
	} else if (namespace_leave(err) != 0) {
		status = err_print(err);
	} else {
		options->rest = left.operands;
		options->command = left.command;
		status = command->run(options);
	}
	free(left.operands);
	free(names);
	return status;
}

int main(int argc, char **argv)
{
	struct option_words left = { .operands = NULL };
	struct options options = { .config = NULL };
	struct err err = ERR_NONE;
	struct aside aside;
	int status = STATUS_DONE;

	take_standard_places();
	/* for the width of what tables show; numbers and messages stay as they are */
	setlocale(LC_CTYPE, "");
	run_ignore_pipe();
	stand_aside(&aside);
	aside_release(&aside);
	if (options_parse(argv + (argc > 0), rules, GLOBAL_OPTIONS, true, &options, &left, &err) != 0)
		status = err_print(&err);
	else if (options.version)
		puts(PACKAGE_STRING);
	else if (options.help)
		help_program();
	else
		status = run_command(&options, left.rest, &err);
	free(left.operands);
	free(options.override.set);
	return finish(status);
}

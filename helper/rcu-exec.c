/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rcu-exec: pin, set the environment, become the command.
 *
 * From the moment in which a pin is taken some open file description of it exists without a break: first our
 * descriptor, then (hold_pass) its copy that survives an exec, made before the first is closed; the kernel
 * carries that over, and the shim's constructor maps it before it closes it. So no call may stand between
 * pinning_take() and the exec that closes descriptors. Where the exec fails we end, and the pins with us.
 *
 * Hidden from --help: `rcu-exec --reexec EXE -- ARGV0 ARG...` is how a program that was started with
 * LD_PRELOAD alone, without us, gets its pins (preload/launch.c): its shim executes us in its place, same
 * pid, and we execute EXE again with its own arguments and what the configuration says pinned. That program
 * did not ask for us, so where nothing can be pinned it runs as it would have, with RCU_EXEC_PINS set and
 * empty: decided, nothing is pinned.
 *
 * `rcu-exec --enter EXE -- ARGV0 ARG...` is how a pinned program executes one that does not load the shim
 * (preload/launch.h): we enter a namespace with the pins that we were started under, and execute EXE there. Where that
 * is not allowed EXE runs as it would have; only --strict says a word.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/elf_kind.h"
#include "core/handover.h"
#include "core/hold.h"
#include "core/names.h"
#include "core/pin_text.h"
#include "core/preload_list.h"
#include "helper/base/alloc.h"
#include "helper/base/aside.h"
#include "helper/base/options.h"
#include "helper/launcher/loadable.h"
#include "helper/launcher/namespace.h"
#include "helper/launcher/pinning.h"
#include "helper/launcher/within.h"

#define ENV_SHIM "RCU_EXEC_SHIM"

/* The first word of our own second start, with the shim, which then looks COMMAND up (helper/launcher/within.h). */
#define WORD_LOOK "--look-up"

enum {
	STATUS_CANNOT_PIN = 125,
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
};

enum via {
	VIA_AUTO,      /* the shim, and where COMMAND does not load it a namespace */
	VIA_PRELOAD,   /* the shim */
	VIA_NAMESPACE, /* a namespace, without the shim: it would have nothing to do */
};

struct launch {
	struct pinning pinning;
	struct aside aside;
	const char *shim;
	const char *reexec; /* EXE */
	bool enter;         /* EXE was handed to us because it does not load the shim */
	enum via via;
	bool via_given;
	bool writable, strict, print, help, version;
	bool in_namespace; /* it has been entered */
	char **command;    /* ARGV0 ARG... */
};

static int take_repo(void *target, const char *value, struct err *err)
{
	(void)err;
	pinning_repo(&((struct launch *)target)->pinning, value);
	return 0;
}

static int take_location(void *target, const char *value, struct err *err)
{
	(void)err;
	pinning_location(&((struct launch *)target)->pinning, value);
	return 0;
}

static int take_snapshot(void *target, const char *value, struct err *err)
{
	(void)err;
	pinning_snapshot(&((struct launch *)target)->pinning, value);
	return 0;
}

static int take_via(void *target, const char *value, struct err *err)
{
	static const char *const ways[] = { [VIA_AUTO] = "auto", "preload", "namespace" };

	for (enum via via = VIA_AUTO; via <= VIA_NAMESPACE; via++) {
		if (strcmp(value, ways[via]) != 0)
			continue;
		struct launch *launch = target;
		if (launch->via_given && launch->via != via)
			return err_fail(err, STATUS_CANNOT_PIN, "--via", "both %s and %s", ways[launch->via],
					value);
		launch->via = via;
		launch->via_given = true;
		return 0;
	}
	return err_fail(err, STATUS_CANNOT_PIN, "--via", "%s: not auto, preload or namespace", value);
}

static int take_reexec(void *target, const char *value, struct err *err)
{
	(void)err;
	((struct launch *)target)->reexec = value;
	return 0;
}

#define TAKE_FLAG(name, member)                                                  \
	static int take_##name(void *target, const char *value, struct err *err) \
	{                                                                        \
		(void)value;                                                     \
		(void)err;                                                       \
		((struct launch *)target)->member = true;                        \
		return 0;                                                        \
	}

static int take_enter(void *target, const char *value, struct err *err)
{
	(void)err;
	((struct launch *)target)->reexec = value;
	((struct launch *)target)->enter = true;
	((struct launch *)target)->pinning.outer_only = true;
	return 0;
}

TAKE_FLAG(fresh, pinning.fresh)
TAKE_FLAG(writable, writable)
TAKE_FLAG(strict, strict)
TAKE_FLAG(print, print)
TAKE_FLAG(help, help)
TAKE_FLAG(version, version)

static const struct option_rule rules[] = {
	{ "repo", 'r', "REPO", "pin this repository (again for more; default: all with sync-rcu)",
	  take_repo },
	{ "location", 'l', "PATH", "pin the RCU location PATH, without configuration", take_location },
	{ "snapshot", 's', "N",
	  "pin number N, or what is kept as N, not the latest; REPO=N where several are pinned",
	  take_snapshot },
	{ "fresh", 0, NULL, "pin anew what an outer rcu-exec has pinned", take_fresh },
	{ "via", 0, "WAY", "auto (the default), preload or namespace", take_via },
	{ "writable", 'w', NULL, "give COMMAND a private view that it can write to", take_writable },
	{ "strict", 0, NULL, "fail with 125 rather than run what cannot be pinned", take_strict },
	{ "print", 'p', NULL, "print location, tab and snapshot of each pin, and exit", take_print },
	{ "reexec", 0, "EXE", NULL, take_reexec },
	{ "enter", 0, "EXE", NULL, take_enter },
	{ "help", 'h', NULL, "show this", take_help },
	{ "version", 'V', NULL, "show the version", take_version },
	{ .name = NULL },
};

static void print_help(void)
{
	puts("Usage:");
	puts("  rcu-exec [OPTION...] [--] COMMAND [ARG...]");
	puts("  rcu-exec [OPTION...] --print\n");
	puts("Run COMMAND on one version of each repository, whatever is published meanwhile.\n\nOptions:");
	options_help(rules, NULL);
	puts("\nThe manual is rcu-exec(1).");
}

/* A line is a pin, and a tab is between its two: what could be taken for that is %XX, as in RCU_EXEC_PINS. */
static void print_path(const char *path)
{
	for (; *path; path++) {
		if (*path == '%' || *path == '\t' || *path == '\n')
			printf("%%%02X", (unsigned char)*path);
		else
			putchar(*path);
	}
}

static int print_pins(const struct pinning *pinning, struct err *err)
{
	for (size_t i = 0; i < pinning->count; i++) {
		print_path(pinning->pins[i].location);
		putchar('\t');
		print_path(pinning->pins[i].snapshot);
		putchar('\n');
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_errno(err, STATUS_CANNOT_PIN, "stdout", "cannot be written");
	return 0;
}

/* 0 or an errno: ld.so would go on without it, and say so on the stderr of each program. */
static int check_library(const char *path)
{
	unsigned char bytes[ELF_KIND_ROOM];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (length < 0)
		return error;
	/* A library names no interpreter. */
	return elf_kind(bytes, (size_t)length) == ELF_STATIC ? 0 : ELIBBAD;
}

/* The installed one; where there are two, one for each word size, by a name that is each one's for its programs (ld.so(8), $LIB). */
static const char *installed_shim(void)
{
#ifdef SHIM_LIB32
	if (access(SHIM_DIR "/" SHIM_LIB64 "/" SHIM_NAME, R_OK) == 0 &&
	    access(SHIM_DIR "/" SHIM_LIB32 "/" SHIM_NAME, R_OK) == 0)
		return SHIM_DIR "/$LIB/" SHIM_NAME;
#endif
	return SHIM_DIR "/" SHIM_NAME;
}

/* $RCU_EXEC_SHIM, or the one that is loaded here already, or the installed one. */
static void choose_shim(struct launch *launch)
{
	launch->shim = getenv(ENV_SHIM);
	if (!launch->shim || !*launch->shim)
		launch->shim = launch->aside.shim ? launch->aside.shim : installed_shim();
}

/* Its name must be one that ld.so does not split. */
static int check_shim(const struct launch *launch, struct err *err)
{
	const char *shim = launch->shim;

	if (shim[0] != '/' || strpbrk(shim, ": \t\n"))
		return err_fail(err, STATUS_CANNOT_PIN, shim,
				"the shim must be an absolute path without blanks and colons");
	/* What ld.so takes $LIB for differs from program to program: that is what it is for. */
	if (strchr(shim, '$'))
		return 0;
	int error = check_library(shim);
	if (error == 0)
		return 0;
	errno = error;
	return err_errno(err, STATUS_CANNOT_PIN, shim,
			 "the shim cannot be loaded (a build that is not installed needs " ENV_SHIM ")");
}

/* The pins that nobody can hold: redirected, but reclaim does not know of them. */
static int check_held(const struct launch *launch, struct err *err)
{
	for (size_t i = 0; i < launch->pinning.count; i++) {
		const struct pin *pin = &launch->pinning.pins[i];

		if (pin->fd >= 0)
			continue;
		if (launch->strict)
			return err_fail(err, STATUS_CANNOT_PIN, pin->location,
					"the pin cannot be held against reclaim: %s", pin->snapshot);
		if (launch->enter)
			continue;
		warn(pin->location, "the pin is not held against reclaim: the store has no pin file for it");
	}
	return 0;
}

/* Unpinned, or not at all: unpinned it could not have a view of its own either. */
static int report_unpinned(const struct launch *launch, const char *file, const char *why, struct err *err)
{
	if (launch->strict || launch->writable)
		return err_fail(err, STATUS_CANNOT_PIN, file, "%s: it cannot be pinned", why);
	if (!launch->enter)
		warn(file, "%s: it runs unpinned", why);
	return 0;
}

static int enter_namespace(struct launch *launch, struct err *err)
{
	struct pinning *pinning = &launch->pinning;

	if (namespace_enter(pinning->pins, pinning->count, launch->writable, &launch->in_namespace, err) != 0)
		return -1;
	/* The keeper has them now. */
	for (size_t i = 0; i < pinning->count; i++) {
		hold_drop(pinning->pins[i].fd);
		pinning->pins[i].fd = -1;
	}
	return 0;
}

/*
 * What gains privileges outside of a user namespace and not in it runs outside, unpinned. Where a namespace
 * is a way and not an order, the kernel is asked first: once we are inside there is no way back.
 */
static int choose_way(struct launch *launch, const char *file, struct err *err)
{
	const char *why = NULL;
	struct err not_allowed = ERR_NONE;
	enum loadable loads = file ? loadable_judge(file, &why) : LOADABLE_YES;
	if (loads == LOADABLE_OTHER_SIZE && strchr(launch->shim, '$'))
		loads = LOADABLE_YES;
	const bool asked = launch->via == VIA_NAMESPACE || launch->writable;

	if (loads == LOADABLE_PRIVILEGED && namespace_is_users())
		return report_unpinned(launch, file, why, err);
	if (asked)
		return enter_namespace(launch, err);
	/* The shim has judged what it hands to us: as another user it could look closer. */
	if (loads == LOADABLE_YES && !launch->enter)
		return 0;
	if (launch->via == VIA_PRELOAD)
		return report_unpinned(launch, file, why, err);
	if (namespace_allowed(&not_allowed) == 0 && enter_namespace(launch, &not_allowed) == 0)
		return 0;
	if (launch->in_namespace) {
		*err = not_allowed;
		return -1;
	}
	char *both = alloc_printf("%s, and %s", why ? why : "does not load the shim", not_allowed.text);
	int result = report_unpinned(launch, file, both, err);
	free(both);
	return result;
}

static int check_command(struct launch *launch, struct err *err)
{
	char *file = loadable_find(launch->reexec ? launch->reexec : launch->command[0]);
	int result = choose_way(launch, file, err);

	free(file);
	return result;
}

/* 0 or -errno. */
static int identify(const struct pin *pin, struct handover *handover)
{
	size_t length = 0;
	uint64_t number = 0;

	snapshot_path_split(pin->snapshot, &length, &number);
	char *path = alloc_printf("%.*s", (int)length, pin->snapshot);
	int store = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error = store < 0 ? -errno : hold_identify(handover, store, number);
	if (store >= 0)
		close(store);
	free(path);
	return error;
}

/* Writes the pin's entry of RCU_EXEC_FDS, and makes its descriptor one that survives the exec. */
static int pass_pin(struct pin *pin, char *entry, struct err *err)
{
	struct handover passed = { .fd = -1 };

	if (pin->fd >= 0) {
		int error = identify(pin, &passed);

		passed.fd = hold_pass(pin->fd);
		pin->fd = passed.fd < 0 ? -1 : passed.fd;
		if (error != 0 || passed.fd < 0) {
			errno = error != 0 ? -error : -passed.fd;
			return err_errno(err, STATUS_CANNOT_PIN, pin->location,
					 "the pin cannot be handed on");
		}
	}
	handover_format(&passed, entry);
	return 0;
}

/* RCU_EXEC_PINS and RCU_EXEC_FDS, and with them the pins go over to descriptors that survive the exec. */
static int pass_pins(struct launch *launch, struct err *err)
{
	struct pinning *pinning = &launch->pinning;
	size_t room = 1, used = 0;
	char *text, *fds, *fds_end;

	for (size_t i = 0; i < pinning->count; i++)
		room += 3 * (strlen(pinning->pins[i].location) + strlen(pinning->pins[i].snapshot)) + 3;
	text = alloc_grow(NULL, room, 1);
	text[0] = '\0';
	fds_end = fds = alloc_grow(NULL, pinning->count * HANDOVER_ROOM + 1, 1);
	for (size_t i = 0; i < pinning->count; i++) {
		if (pass_pin(&pinning->pins[i], fds_end, err) != 0) {
			free(text);
			free(fds);
			return -1;
		}
		fds_end += strlen(fds_end);
		if (i + 1 < pinning->count)
			*fds_end++ = ',';
		pin_text_append(text, room, &used, pinning->pins[i].location, pinning->pins[i].snapshot);
	}
	setenv(ENV_PINS, text, 1);
	if (pinning->count && !launch->in_namespace)
		setenv(ENV_FDS, fds, 1);
	free(text);
	free(fds);
	return 0;
}

static void preload_shim(const struct launch *launch)
{
	const char *list = getenv("LD_PRELOAD");
	char *longer = alloc_grow(NULL, preload_list_room(list, launch->shim), 1);

	preload_list_append(longer, list, launch->shim);
	setenv("LD_PRELOAD", longer, 1);
	free(longer);
}

/*
 * Programs deeper in the tree that do not load the shim come back to us for a namespace, unless none is
 * wanted. Under --strict none is to be tried where it would be refused: the exec has to fail, and not the program.
 */
static void choose_launcher(const struct launch *launch)
{
	const char *launcher = getenv(ENV_LAUNCHER);
	struct err ignored = ERR_NONE;

	if (launch->in_namespace || launch->pinning.count == 0)
		return;
	if (launch->via == VIA_PRELOAD || (launch->strict && namespace_allowed(&ignored) != 0))
		setenv(ENV_LAUNCHER, "", 1);
	else if (launcher && !*launcher && !launch->reexec)
		unsetenv(ENV_LAUNCHER);
}

/* ENOENT is also what execve(2) says of a file whose interpreter is missing. */
static int cannot_run(const char *file, struct err *err)
{
	int error = errno;
	bool missing = error == ENOENT && (!strchr(file, '/') || access(file, F_OK) != 0);

	errno = error;
	return err_errno(err, missing ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN, file, "cannot be run");
}

/* Returns only if it failed: then COMMAND is executed from here, as it is found now. */
static void look_up_again(char **command)
{
	size_t count = 0;

	while (command[count])
		count++;
	char **words = alloc_grow(NULL, count + 3, sizeof(*words));
	words[0] = (char *)"rcu-exec";
	words[1] = (char *)WORD_LOOK;
	memcpy(words + 2, command, (count + 1) * sizeof(*words));
	execv("/proc/self/exe", words);
	free(words);
}

/* Returns only if it failed. */
static int become_command(struct launch *launch, struct err *err)
{
	const char *file = launch->reexec ? launch->reexec : launch->command[0];

	if (pass_pins(launch, err) != 0)
		return -1;
	if (!launch->in_namespace)
		preload_shim(launch);
	if (launch->strict)
		setenv(ENV_STRICT, "1", 1);
	choose_launcher(launch);
	if (!launch->reexec && !launch->in_namespace && within_pinned(&launch->pinning, file))
		look_up_again(launch->command);
	if (launch->reexec)
		execv(file, launch->command);
	else
		execvp(file, launch->command);
	return cannot_run(file, err);
}

static int take_pins(struct launch *launch, struct err *err)
{
	bool nothing = false;

	if (pinning_take(&launch->pinning, &nothing, err) == 0 && launch->pinning.count > PIN_COUNT_MAX)
		err_fail(err, STATUS_CANNOT_PIN, "pins", "more than %d", PIN_COUNT_MAX);
	else if (err->status == STATUS_DONE && !launch->print)
		pinning_enter(&launch->pinning, err);
	if (err->status == STATUS_DONE)
		return 0;
	if (!launch->reexec || launch->strict)
		return -1;
	if (!nothing && !launch->enter)
		warn(launch->command[0], "runs unpinned: %s", err->text);
	err_clear(err);
	pinning_release(&launch->pinning);
	return 0;
}

static int run(struct launch *launch, struct err *err)
{
	/* A store that is frozen here says nothing of what is the latest outside. */
	if (launch->pinning.fresh && namespace_leave(err) != 0)
		return -1;
	if (take_pins(launch, err) != 0)
		return -1;
	if (launch->print)
		return print_pins(&launch->pinning, err);
	choose_shim(launch);
	if (check_held(launch, err) != 0 || (launch->pinning.count && check_command(launch, err) != 0) ||
	    (!launch->in_namespace && check_shim(launch, err) != 0))
		return -1;
	return become_command(launch, err);
}

static int start(struct launch *launch, char **words, struct err *err)
{
	struct option_words left;
	int result = options_parse(words, rules, NULL, true, launch, &left, err);

	free(left.operands);
	if (result != 0)
		return -1;
	if (launch->help || launch->version) {
		launch->version ? (void)puts("rcu-exec (" PACKAGE_NAME ") " PACKAGE_VERSION) : print_help();
		return 0;
	}
	if (launch->writable && launch->via == VIA_PRELOAD)
		return err_fail(err, STATUS_CANNOT_PIN, "--writable",
				"only a namespace can do that, not --via=preload");
	launch->command = left.rest;
	if (launch->command[0] && strcmp(launch->command[0], "--") == 0)
		launch->command++;
	if (!launch->command[0] && !launch->print)
		return err_fail(err, STATUS_CANNOT_PIN, "usage", "a command is needed (see rcu-exec --help)");
	return run(launch, err);
}

int main(int argc, char **argv)
{
	struct launch launch = { .pinning = PINNING_NONE };
	struct err err = ERR_NONE;
	int status = 0;

	err_program = "rcu-exec";
	if (argc > 2 && strcmp(argv[1], WORD_LOOK) == 0) {
		execvp(argv[2], argv + 2);
		cannot_run(argv[2], &err);
		return err_print(&err);
	}
	stand_aside(&launch.aside);
	launch.pinning.outer = launch.aside.pins;
	launch.strict = launch.aside.strict;
	if (start(&launch, argv + (argc > 0), &err) != 0) {
		status = err_print(&err);
		if (status != STATUS_CANNOT_RUN && status != STATUS_NOT_FOUND)
			status = STATUS_CANNOT_PIN;
	}
	pinning_release(&launch.pinning);
	aside_release(&launch.aside);
	return status;
}

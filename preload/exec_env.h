/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec_env.h: what a pinned program hands on over an exec, which drops its mappings and may have another
 * environment.
 *
 * The pins go as descriptors that survive the exec, and an environment names them: a copy of the caller's, on
 * the stack, in which RCU_EXEC_PINS, RCU_EXEC_FDS, RCU_EXEC_STRICT and our entry of LD_PRELOAD are what this
 * process knew at its own start. The new program's shim (state.c) maps the descriptors and closes them before
 * any code of the program runs.
 *
 *     EXEC_ENV(e, envp);
 *     return next()->execve(path, argv, e.envp);
 *
 * The descriptors are closed at the end of the scope: after an exec that failed, or in the parent after a
 * posix_spawn. Nothing is written but the caller's stack, so a vfork child may do this; errno is kept.
 */
#ifndef PRELOAD_EXEC_ENV_H
#define PRELOAD_EXEC_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/state.h"

/* The pins of this process, with descriptors that survive an exec. */
struct exec_pins {
	unsigned count;
	int fds[SHIM_PINS_MAX];  /* -1 where there is none */
	bool far[SHIM_PINS_MAX]; /* the store could not be reached by its path */
};

struct exec_env {
	char *const *envp;   /* what to hand on; the caller's own where nothing is pinned */
	size_t room;         /* of exec_env_write() */
	size_t entries;      /* of the caller's environment */
	const char *preload; /* its LD_PRELOAD; NULL if it has none */
	bool loads;          /* the shim's file is where our entry of LD_PRELOAD says */
	struct exec_pins pins;
};

#define EXEC_PINS(p)                                                         \
	__attribute__((cleanup(exec_pins_drop))) struct exec_pins p = { 0 }; \
	exec_pins_take(&(p))

#define EXEC_ENV(e, environment)                                           \
	__attribute__((cleanup(exec_env_drop))) struct exec_env e = { 0 }; \
	exec_env_take(&(e), (environment));                                \
	exec_env_write(&(e), __builtin_alloca((e).room))

/*
 * Takes each held pin once more, by its number or else from what is kept, and clears FD_CLOEXEC. Where that fails (no descriptor left;
 * the snapshot was reclaimed by force; a store out of sight, and the program has closed what was kept) there is no
 * descriptor, and the new program tries by itself.
 */
void exec_pins_take(struct exec_pins *pins);
void exec_pins_drop(struct exec_pins *pins);

/* envp may be NULL. */
void exec_env_take(struct exec_env *e, char *const envp[]);
void exec_env_write(struct exec_env *e, char *room);
void exec_env_drop(struct exec_env *e);

/*
 * The command for `sh -c` that sets what libc's own environment lacks and then becomes `command`: for
 * system(3) and popen(3), which hand on `environ`. exec_shell_room() is 0 where `environ` is as it should be.
 */
size_t exec_shell_room(const char *command);
void exec_shell_write(char *to, const char *command);

enum exec_way {
	EXEC_DIRECT, /* as it was asked for: it loads the shim, or fails by itself, or there is nothing better */
	EXEC_LAUNCHED, /* through rcu-exec, for a namespace (launch.h) */
	EXEC_REFUSED,  /* --strict: EPERM */
};

/*
 * How is this file to be executed? It is launched if it would not load the shim: static, for another loader, not readable;
 * of a script, its interpreter. Set-id and file-capability programs too, but only for root: others would lose in their
 * user namespace what they gain. Under --strict it is refused where it can be neither; without the
 * shim, if that is not to be found; and without a pin that this process holds (no descriptor for it, exec_pins_take()).
 * `flags`: those of execveat(2). *script, unless NULL: may the file be a script? False where it was read for this, and is none.
 */
enum exec_way exec_way(const struct exec_env *e, int dir, const char *path, int flags, bool *script);

/* False where --strict refuses the shell of system(3) and popen(3), which takes the pins by their numbers alone. */
bool exec_shell_pinnable(const struct exec_pins *pins);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/exec_env.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/hold.h"
#include "core/names.h"
#include "core/preload_list.h"
#include "core/sys.h"
#include "preload/exec.h"
#include "preload/map.h"

/* hold_pass() puts the descriptors from HOLD_FROM up. As others take the lowest free ones, so many free in a row are the end of them. */
#define SWEEP_GAP 8

static const char name_preload[] = "LD_PRELOAD";

/* The variables that are ours to set, in the order in which they are added. */
enum {
	VAR_PINS,
	VAR_FDS,
	VAR_STRICT,
	VAR_LAUNCHER,
	VAR_PRELOAD,
	VARS
};

static const char *const var_names[VARS] = { ENV_PINS, ENV_FDS, ENV_STRICT, ENV_LAUNCHER, name_preload };

/* The value if `entry` is NAME=VALUE. Asked of each variable for each name at every exec: most differ in their first letter. */
static const char *value_of(const char *entry, const char *name)
{
	for (; *name; entry++, name++)
		if (*entry != *name)
			return NULL;
	return *entry == '=' ? entry + 1 : NULL;
}

/* The last: that is the one which ld.so goes by. */
static const char *value_in(char *const envp[], const char *name)
{
	const char *found = NULL;

	for (; envp && *envp; envp++) {
		const char *value = value_of(*envp, name);

		found = value ? value : found;
	}
	return found;
}

/*
 * The pin once more, with FD_CLOEXEC; -1 if that cannot be. Whatever the path led to, it is the very file that this process holds, so
 * no reclaimer can have it: nothing else has to be looked at.
 */
static int take_again(const struct shim_pin *pin)
{
	const struct handover held = { .pin = pin->file };
	char *path = __builtin_alloca(pin->store_length + 1 + STORE_NAME_ROOM);

	memcpy(path, pin->snapshot, pin->store_length);
	path[pin->store_length] = '/';
	pin_name(pin->number, path + pin->store_length + 1);
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || hold_is_pin(&held, fd))
		return fd < 0 ? -1 : fd;
	sys_close(fd);
	return -1;
}

/* What is kept, if the program has not closed it and got its number for another file. */
static int kept_descriptor(const struct shim_pin *pin)
{
	struct handover named = { .pin = pin->file };
	int fd = __atomic_load_n(&pin->kept, __ATOMIC_RELAXED);

	return hold_is_pin(&named, fd) ? fd : -1;
}

/* A descriptor that survives an exec; -1 if there can be none. */
static int pass_pin(const struct shim_pin *pin, bool *far)
{
	int fd = take_again(pin);

	*far = fd < 0;
	if (fd < 0)
		fd = sys_fcntl(kept_descriptor(pin), F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		fd = hold_pass(fd);
	return fd < 0 ? -1 : fd;
}

void exec_pins_take(struct exec_pins *pins)
{
	pins->count = shim_active() ? shim.count : 0;
	for (unsigned i = 0; i < pins->count; i++) {
		pins->far[i] = false;
		pins->fds[i] = shim.pins[i].held ? pass_pin(&shim.pins[i], &pins->far[i]) : -1;
	}
}

void exec_pins_drop(struct exec_pins *pins)
{
	for (unsigned i = 0; i < pins->count; i++)
		hold_drop(pins->fds[i]);
	pins->count = 0;
}

void exec_pins_keep(void)
{
	for (unsigned i = 0; shim_active() && i < shim.count; i++) {
		struct shim_pin *pin = &shim.pins[i];

		if (!pin->held || kept_descriptor(pin) >= 0)
			continue;
		int fd = take_again(pin);
		if (fd >= 0)
			__atomic_store_n(&pin->kept, hold_keep(fd), __ATOMIC_RELAXED);
	}
}

void exec_pins_settle(void)
{
	for (unsigned i = 0; shim_active() && i < shim.count; i++) {
		struct shim_pin *pin = &shim.pins[i];
		int fd = take_again(pin);

		if (fd < 0)
			continue;
		sys_close(fd);
		hold_drop(kept_descriptor(pin));
		__atomic_store_n(&pin->kept, -1, __ATOMIC_RELAXED);
	}
}

/*
 * Can ld.so find the shim from here? After chroot(2) it may be gone, and ld.so would say so on the program's stderr. Only ld.so knows
 * what a name without a slash, or with $LIB in it, leads to.
 */
static bool is_loadable(const char *self)
{
	return !strchr(self, '/') || strchr(self, '$') || sys_faccessat(AT_FDCWD, self, R_OK) == 0;
}

void exec_env_take(struct exec_env *e, char *const envp[])
{
	e->envp = envp;
	exec_pins_take(&e->pins);
	if (e->pins.count == 0)
		return;
	e->preload = value_in(envp, name_preload);
	e->loads = !shim.self || map_is_confined() || is_loadable(shim.self);
	while (envp && envp[e->entries])
		e->entries++;
	e->room = (e->entries + VARS + 1) * sizeof(char *);
	e->room += sizeof(ENV_PINS "=") + strlen(shim.pins_text);
	e->room += sizeof(ENV_FDS "=" HANDOVER_CONFINED) + e->pins.count * HANDOVER_ROOM;
	e->room += sizeof(ENV_STRICT "=1");
	e->room += sizeof(ENV_LAUNCHER "=") + (shim.launcher ? strlen(shim.launcher) : 0);
	if (shim.self)
		e->room += sizeof(name_preload) + preload_list_room(e->preload, shim.self);
}

/* Appends to a text; returns its end, where there is a zero. */
static char *add(char *to, const char *text)
{
	size_t length = strlen(text);

	memcpy(to, text, length + 1);
	return to + length;
}

static char *write_fds(char *to, const struct exec_pins *pins)
{
	to = add(add(to, ENV_FDS "="), map_is_confined() ? HANDOVER_CONFINED : "");
	for (unsigned i = 0; i < pins->count; i++) {
		if (i > 0)
			to = add(to, ",");
		const struct shim_pin *pin = &shim.pins[i];

		to += handover_format(
			&(struct handover){ pins->fds[i], pins->far[i], pin->file, pin->store, pin->root },
			to);
	}
	return to;
}

/* LD_PRELOAD with our entry, or without where that would lead nowhere; NULL where nothing is left of it. */
static char *write_preload(const struct exec_env *e, char *to)
{
	char *list = add(add(to, name_preload), "=");

	if (e->loads)
		preload_list_append(list, e->preload, shim.self);
	else if (!e->preload || preload_list_remove(list, e->preload, shim.self) == 0)
		return NULL;
	return to;
}

/* The texts of our variables, NULL where one shall not be there. */
static void write_vars(const struct exec_env *e, char *to, char *vars[VARS])
{
	vars[VAR_PINS] = to;
	to = add(add(to, ENV_PINS "="), shim.pins_text) + 1;
	vars[VAR_FDS] = to;
	to = write_fds(to, &e->pins) + 1;
	vars[VAR_STRICT] = shim.strict ? to : NULL;
	if (shim.strict)
		to = add(to, ENV_STRICT "=1") + 1;
	vars[VAR_LAUNCHER] = shim.launcher ? to : NULL;
	if (shim.launcher)
		to = add(add(to, ENV_LAUNCHER "="), shim.launcher) + 1;
	vars[VAR_PRELOAD] = shim.self ? write_preload(e, to) : NULL;
}

static int var_of(const char *entry)
{
	for (int i = 0; i < VARS; i++)
		if (value_of(entry, var_names[i]))
			return i;
	return VARS;
}

/* A variable of ours takes the place of the first that has its name; what is not there yet comes last. */
void exec_env_write(struct exec_env *e, char *room)
{
	char **to = (char **)(void *)room;
	char *vars[VARS];

	if (e->pins.count == 0)
		return;
	write_vars(e, room + (e->entries + VARS + 1) * sizeof(char *), vars);
	for (size_t i = 0; i < e->entries; i++) {
		int var = var_of(e->envp[i]);
		bool other = var == VARS || (var == VAR_PRELOAD && !shim.self) ||
			     (var == VAR_LAUNCHER && !shim.launcher);

		if (other) {
			*to++ = e->envp[i];
		} else if (vars[var]) {
			*to++ = vars[var];
			vars[var] = NULL;
		}
	}
	for (int i = 0; i < VARS; i++)
		if (vars[i])
			*to++ = vars[i];
	*to = NULL;
	e->envp = (char **)(void *)room;
}

void exec_env_drop(struct exec_env *e)
{
	exec_pins_drop(&e->pins);
}

void exec_pins_sweep(const struct shim_pin *pin)
{
	struct stat open;

	for (int fd = HOLD_FROM, gap = 0; gap < SWEEP_GAP; fd++) {
		if (sys_fstat(fd, &open) != 0)
			gap++;
		else
			gap = 0;
		if (gap == 0 && fd != pin->kept && open.st_dev == pin->file.device &&
		    open.st_ino == pin->file.inode)
			sys_close(fd);
	}
}

/* One word for sh: 'TEXT', each ' of it as '\''. */
static size_t quoted_length(const char *text)
{
	size_t length = 2;

	for (; *text; text++)
		length += *text == '\'' ? 4 : 1;
	return length;
}

static char *add_quoted(char *to, const char *text)
{
	*to++ = '\'';
	for (; *text; text++) {
		if (*text == '\'')
			to = add(to, "'\\''");
		else
			*to++ = *text;
	}
	return add(to, "'");
}

static const char shell_export[] = "export ";
static const char shell_exec[] = "; exec /bin/sh -c -- ";
static const char shell_name[] = " sh"; /* what it calls itself in messages */

static bool is_equal(const char *left, const char *right)
{
	size_t length = strlen(right);

	return left && strlen(left) == length && memcmp(left, right, length) == 0;
}

static bool environ_is_whole(void)
{
	const char *strict = value_in(environ, ENV_STRICT);

	return is_equal(value_in(environ, ENV_PINS), shim.pins_text) &&
	       (!shim.strict || is_equal(strict, "1")) &&
	       (!shim.launcher || is_equal(value_in(environ, ENV_LAUNCHER), shim.launcher)) &&
	       (!shim.self || preload_list_has(value_in(environ, name_preload), shim.self));
}

size_t exec_shell_room(const char *command)
{
	if (!command || !shim_active() || environ_is_whole())
		return 0;
	size_t room = sizeof(shell_export) + sizeof(shell_exec) + sizeof(shell_name) + quoted_length(command);
	room += sizeof(ENV_PINS "= ") + quoted_length(shim.pins_text);
	room += sizeof(ENV_STRICT "=1 ");
	room += sizeof(ENV_LAUNCHER "= ") + (shim.launcher ? quoted_length(shim.launcher) : 0);
	if (shim.self) {
		const char *preload = value_in(environ, name_preload);

		/* A list may have quotes in it: fourfold at the worst. */
		room += sizeof(name_preload) + 2 + 5 * preload_list_room(preload, shim.self);
	}
	return room;
}

void exec_shell_write(char *to, const char *command)
{
	to = add_quoted(add(add(to, shell_export), ENV_PINS "="), shim.pins_text);
	if (shim.strict)
		to = add(to, " " ENV_STRICT "=1");
	if (shim.launcher)
		to = add_quoted(add(to, " " ENV_LAUNCHER "="), shim.launcher);
	if (shim.self) {
		const char *preload = value_in(environ, name_preload);
		char *list = __builtin_alloca(preload_list_room(preload, shim.self));

		preload_list_append(list, preload, shim.self);
		to = add_quoted(add(add(add(to, " "), name_preload), "="), list);
	}
	to = add_quoted(add(to, shell_exec), command);
	add(to, shell_name);
}

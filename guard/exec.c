/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs: what is started is guarded as well, whatever became of its environment. The two variables are put back as they were at this
 * program's start, in a copy on the caller's stack; what will not load us is refused.
 *
 * libc's functions that start one call each other inside libc, past us: so each has a body here, and hands its own environment to the one
 * that takes it as an argument.
 */
#define EXPORT_exec EXPORT
#include <linux/limits.h>
#include <unistd.h>

#include "core/loads.h"
#include "core/preload_list.h"
#include "core/sys.h"
#include "guard/next.h"

static const char name_preload[] = "LD_PRELOAD=";
static const char name_guard[] = ENV_GUARD "=";

/* What execvp(3) searches where PATH is not set: confstr(_CS_PATH). */
static const char path_default[] = "/bin:/usr/bin";

/* ---- the environment ---- */

static const char *value_of(const char *entry, const char *name)
{
	for (; *name; entry++, name++)
		if (*entry != *name)
			return NULL;
	return entry;
}

static const char *value_in(char *const envp[], const char *name)
{
	const char *found = NULL;

	for (; envp && *envp; envp++)
		if (value_of(*envp, name))
			found = value_of(*envp, name);
	return found;
}

static bool is_equal(const char *left, const char *right)
{
	return left && strcmp(left, right) == 0;
}

static bool is_whole(char *const envp[])
{
	return is_equal(value_in(envp, name_guard), guard.text) &&
	       (!guard.self || preload_list_has(value_in(envp, name_preload), guard.self));
}

static size_t entries(char *const envp[])
{
	size_t count = 0;

	while (envp && envp[count])
		count++;
	return count;
}

/* The array, then the two texts. */
static size_t environment_room(char *const envp[])
{
	if (!guard_active() || is_whole(envp))
		return 0;
	return (entries(envp) + 3) * sizeof(char *) + sizeof(name_guard) + strlen(guard.text) +
	       (guard.self
			? sizeof(name_preload) + preload_list_room(value_in(envp, name_preload), guard.self)
			: 0);
}

static char **environment_write(char *const envp[], char *room)
{
	char **array = (char **)(void *)room, **to = array;
	char *text = room + (entries(envp) + 3) * sizeof(char *);

	*to++ = text;
	memcpy(text, name_guard, sizeof(name_guard) - 1);
	memcpy(text + sizeof(name_guard) - 1, guard.text, strlen(guard.text) + 1);
	text += sizeof(name_guard) + strlen(guard.text);
	if (guard.self) {
		*to++ = text;
		memcpy(text, name_preload, sizeof(name_preload) - 1);
		preload_list_append(text + sizeof(name_preload) - 1, value_in(envp, name_preload),
				    guard.self);
	}
	for (; envp && *envp; envp++)
		if (!value_of(*envp, name_guard) && !(guard.self && value_of(*envp, name_preload)))
			*to++ = *envp;
	*to = NULL;
	return array;
}

/* `whole` is `envp`, or a copy in the caller's frame that has what is ours. */
#define GUARDED(whole, envp)                                \
	char *const *whole = (envp);                        \
	const size_t whole##_room = environment_room(envp); \
	if (whole##_room)                                   \
	whole = environment_write((envp), __builtin_alloca(whole##_room))

/* ---- what may be started ---- */

static bool refused(int dir, const char *path, int flags)
{
	return guard_active() && path && loads_preload(dir, path, flags, NULL) != LOADS;
}

/* The file that execvp(3) would run; of several that are found the first that may be run. `to` has room for any. */
static bool find_program(const char *file, const char *path, char *to)
{
	const size_t file_length = strlen(file);
	struct stat st;

	while (path) {
		const char *end = strchr(path, ':');
		size_t length = end ? (size_t)(end - path) : strlen(path);

		memcpy(to, path, length);
		if (length > 0)
			to[length++] = '/';
		memcpy(to + length, file, file_length + 1);
		if (sys_fstatat(AT_FDCWD, to, &st, 0) == 0 && S_ISREG(st.st_mode) &&
		    sys_faccessat(AT_FDCWD, to, X_OK) == 0)
			return true;
		path = end ? end + 1 : NULL;
	}
	return false;
}

__attribute__((noinline)) static bool refused_by_name(const char *file)
{
	const char *path = value_in(environ, "PATH=");

	if (!guard_active() || strchr(file, '/'))
		return refused(AT_FDCWD, file, 0);
	if (!path)
		path = path_default;
	char *program = __builtin_alloca(strlen(path) + 1 + strlen(file) + 1);
	return find_program(file, path, program) && refused(AT_FDCWD, program, 0);
}

/* ---- exec ---- */

static int run(const char *path, char *const argv[], char *const envp[])
{
	if (refused(AT_FDCWD, path, 0))
		return fail(EPERM);
	GUARDED(whole, envp);
	return NEXT(execve)(path, argv, whole);
}

static int run_by_name(const char *file, char *const argv[], char *const envp[])
{
	if (refused_by_name(file))
		return fail(EPERM);
	GUARDED(whole, envp);
	return NEXT(execvpe)(file, argv, whole);
}

/* The arguments of execl() and its kin as an array in the caller's frame; `arguments` is left behind the NULL. */
#define ARRAY_OF(array, first, arguments)                                       \
	do {                                                                    \
		va_list count_;                                                 \
		size_t n_ = 0;                                                  \
		va_copy(count_, arguments);                                     \
		for (const char *a_ = (first); a_; a_ = va_arg(count_, char *)) \
			n_++;                                                   \
		va_end(count_);                                                 \
		(array) = __builtin_alloca((n_ + 1) * sizeof(char *));          \
		(array)[0] = (char *)(uintptr_t)(first);                        \
		for (size_t i_ = 1; i_ <= n_; i_++)                             \
			(array)[i_] = va_arg(arguments, char *);                \
	} while (0)

int wrap_execve(const char *path, char *const argv[], char *const envp[])
{
	return run(path, argv, envp);
}

int wrap_execv(const char *path, char *const argv[])
{
	return run(path, argv, environ);
}

int wrap_execvp(const char *file, char *const argv[])
{
	return run_by_name(file, argv, environ);
}

int wrap_execvpe(const char *file, char *const argv[], char *const envp[])
{
	return run_by_name(file, argv, envp);
}

int wrap_execl(const char *path, const char *argument, ...)
{
	va_list arguments;
	char **argv;

	va_start(arguments, argument);
	ARRAY_OF(argv, argument, arguments);
	va_end(arguments);
	return run(path, argv, environ);
}

int wrap_execle(const char *path, const char *argument, ...)
{
	va_list arguments;
	char **argv;

	va_start(arguments, argument);
	ARRAY_OF(argv, argument, arguments);
	char **envp = va_arg(arguments, char **);
	va_end(arguments);
	return run(path, argv, envp);
}

int wrap_execlp(const char *file, const char *argument, ...)
{
	va_list arguments;
	char **argv;

	va_start(arguments, argument);
	ARRAY_OF(argv, argument, arguments);
	va_end(arguments);
	return run_by_name(file, argv, environ);
}

int wrap_fexecve(int fd, char *const argv[], char *const envp[])
{
	if (refused(fd, "", AT_EMPTY_PATH))
		return fail(EPERM);
	GUARDED(whole, envp);
	return NEXT(fexecve)(fd, argv, whole);
}

int wrap_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	if (refused(dir, path, flags))
		return fail(EPERM);
	GUARDED(whole, envp);
	return NEXT(execveat)(dir, path, argv, whole, flags);
}

/* ---- posix_spawn: the child looks the path up after its file actions, which may have changed its directory ---- */

int wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	if (refused(AT_FDCWD, path, 0))
		return EPERM;
	GUARDED(whole, envp);
	return NEXT(posix_spawn)(pid, path, actions, attributes, argv, whole);
}

int wrap_posix_spawn_old(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	if (refused(AT_FDCWD, path, 0))
		return EPERM;
	GUARDED(whole, envp);
	return NEXT(posix_spawn_old)(pid, path, actions, attributes, argv, whole);
}

int wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	if (refused_by_name(file))
		return EPERM;
	GUARDED(whole, envp);
	return NEXT(posix_spawnp)(pid, file, actions, attributes, argv, whole);
}

int wrap_posix_spawnp_old(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	if (refused_by_name(file))
		return EPERM;
	GUARDED(whole, envp);
	return NEXT(posix_spawnp_old)(pid, file, actions, attributes, argv, whole);
}

/* libc opens it in the child, past us. From another directory, that an action before changes to, a relative path is not ours to know. */
int wrap_posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd, const char *path,
					  int flags, mode_t mode)
{
	const int error = errno;

	if (own_open(AT_FDCWD, path, flags) == 0)
		return NEXT(posix_spawn_file_actions_addopen)(actions, fd, path, flags, mode);
	const int refusal = errno;
	errno = error;
	return refusal;
}

/* ---- the shell, which libc starts inside libc, with `environ` ---- */

/*
 * Where `environ` lacks what is ours, the shell's first act is to set it and to begin anew; until then it writes nothing. A command longer
 * than one argument may be then (128 KiB) fails with E2BIG.
 */
static const char shell_export[] = "export ";
static const char shell_exec[] = "; exec /bin/sh -c -- ";
static const char shell_name[] = " sh";

/* One word for sh: 'TEXT', each ' of it as '\''. */
static size_t quoted_length(const char *text)
{
	size_t length = 2;

	for (; *text; text++)
		length += *text == '\'' ? 4 : 1;
	return length;
}

static char *add(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
	return to + strlen(text);
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

static size_t shell_room(const char *command)
{
	if (!command || !guard_active() || is_whole(environ))
		return 0;
	size_t room = sizeof(shell_export) + sizeof(shell_exec) + sizeof(shell_name) +
		      quoted_length(command) + sizeof(name_guard) + quoted_length(guard.text);
	/* A list may have quotes in it: fourfold at the worst. */
	if (guard.self)
		room += sizeof(name_preload) + 3 +
			4 * preload_list_room(value_in(environ, name_preload), guard.self);
	return room;
}

static void shell_write(char *to, const char *command)
{
	to = add_quoted(add(add(to, shell_export), name_guard), guard.text);
	if (guard.self) {
		const char *before = value_in(environ, name_preload);
		char *list = __builtin_alloca(preload_list_room(before, guard.self));

		preload_list_append(list, before, guard.self);
		to = add_quoted(add(add(to, " "), name_preload), list);
	}
	add(add_quoted(add(to, shell_exec), command), shell_name);
}

/* `text` is `command`, or what leads to it, in the caller's frame. */
#define SHELL_COMMAND(text, command)                       \
	const char *text = (command);                      \
	const size_t text##_room = shell_room(command);    \
	if (text##_room) {                                 \
		char *to_ = __builtin_alloca(text##_room); \
		shell_write(to_, (command));               \
		text = to_;                                \
	}

int wrap_system(const char *command)
{
	SHELL_COMMAND(text, command)
	return NEXT(system)(text);
}

FILE *wrap_popen(const char *command, const char *type)
{
	SHELL_COMMAND(text, command)
	return NEXT(popen)(text, type);
}

FILE *wrap__IO_popen(const char *command, const char *type)
{
	SHELL_COMMAND(text, command)
	return NEXT(_IO_popen)(text, type);
}

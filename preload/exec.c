/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs. libc's functions that start one call each other inside libc, past us: so each has a body here.
 */
#define EXPORT_exec EXPORT
#include <errno.h>
#include <linux/limits.h>
#include <paths.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/actions.h"
#include "preload/exec_env.h"
#include "preload/launch.h"
#include "preload/script.h"
#include "preload/wrap.h"

/* What execvp(3) searches where PATH is not set: confstr(_CS_PATH). */
#define DEFAULT_PATH "/bin:/usr/bin"

/*
 * The arguments of execl() and its kin as an array in the caller's frame; `arguments` is left behind the
 * NULL.
 */
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

static int launch(const char *path, char *const argv[], const struct exec_env *e)
{
	char **longer = __builtin_alloca(launcher_room(argv));

	launcher_arguments(LAUNCHER_ENTER, path, argv, longer);
	return next()->execve(launcher_path(), longer, e->envp);
}

/* `depth`: how many scripts have led here. */
static int attempt_as(const char *path, char *const argv[], const struct exec_env *e, unsigned depth)
{
	struct script script;
	bool is_script;

	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	switch (exec_way(e, AT_FDCWD, m.path, 0, &is_script)) {
	case EXEC_REFUSED:
		return fail(EPERM);
	case EXEC_LAUNCHED:
		return launch(m.path, argv, e);
	case EXEC_DIRECT:
		break;
	}
	if (!shim_active() || !is_script || depth == SCRIPTS_MAX || !script_read(&script, m.path))
		return next()->execve(m.path, argv, e->envp);
	char **longer = __builtin_alloca(script_arguments_room(argv));
	script_arguments(&script, m.path, argv, longer);
	return attempt_as(script.interpreter, longer, e, depth + 1);
}

/* The environment is ready: one attempt. */
static int attempt(const char *path, char *const argv[], const struct exec_env *e)
{
	return attempt_as(path, argv, e, 0);
}

static int run(const char *path, char *const argv[], char *const envp[])
{
	EXEC_ENV(e, envp);
	return attempt(path, argv, &e);
}

int wrap_execve(const char *path, char *const argv[], char *const envp[])
{
	return run(path, argv, envp);
}

int wrap_execv(const char *path, char *const argv[])
{
	return run(path, argv, environ);
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

/* --- by a descriptor --- */

#define OPENED "/dev/fd/"

/* What the kernel calls the file then, and tells the interpreter of a script (fs/exec.c). */
static size_t opened_room(const char *path)
{
	return sizeof(OPENED) + SNAPSHOT_NUMBER_ROOM + 1 + strlen(path);
}

static const char *opened_text(int dir, const char *path, char *room)
{
	size_t used = sizeof(OPENED) - 1;

	memcpy(room, OPENED, used);
	used += snapshot_number_format((uint64_t)dir, room + used);
	if (*path)
		room[used++] = '/';
	memcpy(room + used, path, strlen(path) + 1);
	return room;
}

/* Is it a script whose interpreter the kernel must not look for (script.h)? If the exec closes the descriptor there is nothing to read. */
static bool is_script_at(int dir, const char *text)
{
	struct script script;

	if (!shim_active() || map_is_confined() || sys_fcntl(dir, F_GETFD, 0) != 0)
		return false;
	MAPPED(m);
	MAP(m, AT_FDCWD, text, LEAF_FOLLOW);
	return script_read(&script, m.path);
}

int wrap_fexecve(int fd, char *const argv[], char *const envp[])
{
	char text[sizeof(OPENED) + SNAPSHOT_NUMBER_ROOM + 1];

	EXEC_ENV(e, envp);
	if (exec_way(&e, fd, "", AT_EMPTY_PATH, NULL) == EXEC_REFUSED)
		return fail(EPERM);
	if (argv && envp && is_script_at(fd, opened_text(fd, "", text)))
		return attempt(text, argv, &e);
	return next()->fexecve(fd, argv, e.envp);
}

int wrap_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
	EXEC_ENV(e, envp);
	if (path && flags == 0 && (dir == AT_FDCWD || path[0] == '/'))
		return attempt(path, argv, &e);
	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	const enum exec_way way = exec_way(&e, m.dir, m.path, flags, NULL);
	if (way == EXEC_REFUSED)
		return fail(EPERM);
	if (way == EXEC_LAUNCHED && !(flags & AT_SYMLINK_NOFOLLOW))
		return launch(m.path, argv, &e);
	if (path && m.dir != AT_FDCWD && m.path[0] != '/' && !(flags & AT_SYMLINK_NOFOLLOW)) {
		char *text = __builtin_alloca(opened_room(m.path));

		if (is_script_at(m.dir, opened_text(m.dir, m.path, text)))
			return attempt(text, argv, &e);
	}
	return next()->execveat(m.dir, m.path, argv, e.envp, flags);
}

/* --- by PATH --- */

/*
 * A search through PATH as glibc's execvp does it (posix/execvpe.c): an empty entry is the working directory.
 */
struct search {
	const char *file;
	size_t file_length;
	const char *rest; /* of PATH; NULL after its last entry */
	size_t room;      /* of one candidate */
};

/* 0 or an errno. */
static int search_init(struct search *s, const char *file)
{
	static const char name[] = "PATH=";

	*s = (struct search){ .file = file, .file_length = strlen(file), .rest = DEFAULT_PATH };
	if (s->file_length == 0)
		return ENOENT;
	if (s->file_length > NAME_MAX)
		return ENAMETOOLONG;
	for (char **entry = environ; entry && *entry; entry++) {
		if (strlen(*entry) >= sizeof(name) - 1 && memcmp(*entry, name, sizeof(name) - 1) == 0) {
			s->rest = *entry + sizeof(name) - 1;
			break;
		}
	}
	size_t longest = 0, length = 0;
	for (const char *p = s->rest; *p; p++) {
		length = *p == ':' ? 0 : length + 1;
		if (longest < length && length < PATH_MAX)
			longest = length;
	}
	s->room = longest + 1 + s->file_length + 1;
	return 0;
}

/* The next candidate. An entry that no path can begin with is passed over. */
static bool search_next(struct search *s, char *to)
{
	while (s->rest) {
		const char *entry = s->rest, *end = strchr(entry, ':');
		size_t length = end ? (size_t)(end - entry) : strlen(entry);

		s->rest = end ? end + 1 : NULL;
		if (length >= PATH_MAX)
			continue;
		memcpy(to, entry, length);
		if (length > 0)
			to[length++] = '/';
		memcpy(to + length, s->file, s->file_length + 1);
		return true;
	}
	return false;
}

/* A file that is neither a program nor begins with #! is the shell's. */
static int attempt_or_shell(const char *path, char *const argv[], const struct exec_env *e)
{
	size_t count = 0;
	int result = attempt(path, argv, e);

	if (errno != ENOEXEC)
		return result;
	while (argv[count])
		count++;
	char **shell = __builtin_alloca((count + 3) * sizeof(*shell));
	shell[0] = (char *)(uintptr_t)_PATH_BSHELL;
	shell[1] = (char *)(uintptr_t)path;
	shell[2] = NULL;
	for (size_t i = 1; i <= count; i++)
		shell[i + 1] = argv[i];
	return attempt(_PATH_BSHELL, shell, e);
}

/* The candidate is not there, or not for us: another may be. */
static bool goes_on(int error)
{
	return error == EACCES || error == ENOENT || error == ESTALE || error == ENOTDIR || error == ENODEV ||
	       error == ETIMEDOUT;
}

static int run_by_name(const char *file, char *const argv[], char *const envp[])
{
	struct search s;
	bool denied = false;

	EXEC_ENV(e, envp);
	if (strchr(file, '/'))
		return attempt_or_shell(file, argv, &e);
	int error = search_init(&s, file);
	if (error)
		return fail(error);
	char *candidate = __builtin_alloca(s.room);
	while (search_next(&s, candidate)) {
		attempt_or_shell(candidate, argv, &e);
		if (!goes_on(errno))
			return -1;
		denied = denied || errno == EACCES;
	}
	return denied ? fail(EACCES) : -1;
}

int wrap_execvp(const char *file, char *const argv[])
{
	return run_by_name(file, argv, environ);
}

int wrap_execvpe(const char *file, char *const argv[], char *const envp[])
{
	return run_by_name(file, argv, envp);
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

/* --- posix_spawn --- */

/* The path as it can be mapped; NULL where it cannot. */
#define AS_CHILD(text, actions, path)                                                             \
	const char *text = (path);                                                                \
	do {                                                                                      \
		size_t room_ = shim_active() ? actions_room((actions), (path)) : 0;               \
		if (room_)                                                                        \
			(text) = actions_text((actions), (path), __builtin_alloca(room_), room_); \
	} while (0)

typedef int spawn_call(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]);

/* Everything but the name, and the two calls of libc that start by a path and by a name. */
struct spawn {
	spawn_call *by_path;
	spawn_call *by_name;
	pid_t *pid;
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attributes;
	char *const *argv;
	char *const *envp;
	unsigned scripts; /* how many have led here */
};

static int spawn_launched(const struct spawn *s, const char *program, const struct exec_env *e)
{
	char **longer = __builtin_alloca(launcher_room(s->argv));

	launcher_arguments(LAUNCHER_ENTER, program, s->argv, longer);
	return s->by_path(s->pid, launcher_path(), s->actions, s->attributes, longer, e->envp);
}

/*
 * The child looks the path up after its file actions, which may have changed its directory (actions.h). An action that closes our descriptors (closefrom) leaves the new program to take
 * the pin by its number; until it has done so, a moment after its exec, nothing but this process holds the
 * pin.
 */
static int spawn_path(const struct spawn *s, const char *path)
{
	struct script script;

	MAPPED(m);
	AS_CHILD(seen, s->actions, path);
	MAP(m, AT_FDCWD, seen, LEAF_FOLLOW);
	const char *program = m.kind == MAP_MOVED ? m.path : path;
	if (shim_active() && !map_is_confined() && m.path && s->scripts < SCRIPTS_MAX &&
	    script_read(&script, m.path)) {
		struct spawn interpreter = *s;
		char **longer = __builtin_alloca(script_arguments_room(s->argv));

		script_arguments(&script, program, s->argv, longer);
		interpreter.argv = longer;
		interpreter.scripts++;
		return spawn_path(&interpreter, script.interpreter);
	}
	EXEC_ENV(e, s->envp);
	switch (exec_way(&e, AT_FDCWD, m.path, 0, NULL)) {
	case EXEC_REFUSED:
		return EPERM;
	case EXEC_LAUNCHED:
		return spawn_launched(s, program, &e);
	case EXEC_DIRECT:
		break;
	}
	return s->by_path(s->pid, program, s->actions, s->attributes, s->argv, e.envp);
}

static bool is_program(const char *path, bool *moved)
{
	struct stat st;

	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	*moved = m.kind == MAP_MOVED;
	return sys_fstatat(AT_FDCWD, m.path, &st, 0) == 0 && S_ISREG(st.st_mode) &&
	       sys_faccessat(AT_FDCWD, m.path, X_OK) == 0;
}

/*
 * libc searches in the child. What it will find we can tell beforehand; only a program in a repository is
 * started by its path instead.
 */
static int spawn_name(const struct spawn *s, const char *file)
{
	struct search search;
	bool moved = false, found = false;

	if (strchr(file, '/'))
		return spawn_path(s, file);
	if (!shim_active() || search_init(&search, file) != 0)
		return s->by_name(s->pid, file, s->actions, s->attributes, s->argv, s->envp);
	char *candidate = __builtin_alloca(search.room);
	while (!found && !map_is_confined() && search_next(&search, candidate))
		found = is_program(candidate, &moved);
	struct script script;
	if (found && (moved || script_read(&script, candidate)))
		return spawn_path(s, candidate);
	EXEC_ENV(e, s->envp);
	const enum exec_way way = found ? exec_way(&e, AT_FDCWD, candidate, 0, NULL) : EXEC_DIRECT;
	if (way == EXEC_REFUSED)
		return EPERM;
	if (way == EXEC_LAUNCHED)
		return spawn_launched(s, candidate, &e);
	return s->by_name(s->pid, file, s->actions, s->attributes, s->argv, e.envp);
}

int wrap_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		     const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return spawn_path(&(struct spawn){ next()->posix_spawn, next()->posix_spawnp, pid, actions,
					   attributes, argv, envp, 0 },
			  path);
}

int wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		      const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return spawn_name(&(struct spawn){ next()->posix_spawn, next()->posix_spawnp, pid, actions,
					   attributes, argv, envp, 0 },
			  file);
}

/* The old versions give what execve(2) does not know to the shell. */
int wrap_posix_spawn_old(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return spawn_path(&(struct spawn){ next()->posix_spawn_old, next()->posix_spawnp_old, pid, actions,
					   attributes, argv, envp, 0 },
			  path);
}

int wrap_posix_spawnp_old(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return spawn_name(&(struct spawn){ next()->posix_spawn_old, next()->posix_spawnp_old, pid, actions,
					   attributes, argv, envp, 0 },
			  file);
}

/* A write that is to be refused is refused now, from where the child will be: the action could only fail otherwise. */
int wrap_posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd, const char *path,
					  int flags, mode_t mode)
{
	MAPPED(m);
	AS_CHILD(seen, actions, path);
	MAP(m, AT_FDCWD, seen, open_leaf(seen, flags));
	int error = seen ? refuse_open(m.dir, m.path, flags) : 0;
	if (error)
		return error;
	return next()->posix_spawn_file_actions_addopen(actions, fd, m.kind == MAP_MOVED ? m.path : path,
							flags, mode);
}

int wrap_posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path)
{
	MAPPED(m);
	AS_CHILD(seen, actions, path);
	MAP(m, AT_FDCWD, seen, LEAF_FOLLOW);
	return next()->posix_spawn_file_actions_addchdir_np(actions, m.kind == MAP_MOVED ? m.path : path);
}

/* --- the shell --- */

/*
 * libc starts the shell inside libc, with `environ`. Where that lacks what is ours, the shell's first act is
 * to set it and to begin anew. A command that is longer than one argument may be then (128 KiB) fails with
 * E2BIG.
 */
#define SHELL_COMMAND(text, command)                         \
	do {                                                 \
		size_t room_ = exec_shell_room(command);     \
		(text) = (command);                          \
		if (room_) {                                 \
			char *to_ = __builtin_alloca(room_); \
			exec_shell_write(to_, (command));    \
			(text) = to_;                        \
		}                                            \
	} while (0)

/*
 * Descriptors that the shell gets without knowing of them hold the pin until it has taken it by its number
 * (exec_pins_sweep()): after popen(3) the caller may end at once.
 */
int wrap_system(const char *command)
{
	const char *text;

	SHELL_COMMAND(text, command);
	EXEC_PINS(pins);
	if (command && !exec_shell_pinnable(&pins))
		return fail(EPERM);
	int result = next()->system(text);
	memory_forget();
	return result;
}

static FILE *open_pipe(FILE *(*call)(const char *, const char *), const char *command, const char *type)
{
	const char *text;

	SHELL_COMMAND(text, command);
	EXEC_PINS(pins);
	if (!exec_shell_pinnable(&pins)) {
		errno = EPERM;
		return NULL;
	}
	return call(text, type);
}

FILE *wrap_popen(const char *command, const char *type)
{
	return open_pipe(next()->popen, command, type);
}

FILE *wrap__IO_popen(const char *command, const char *type)
{
	return open_pipe(next()->_IO_popen, command, type);
}

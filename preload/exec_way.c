/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/elf_kind.h"
#include "core/names.h"
#include "core/sys.h"
#include "preload/exec_env.h"
#include "preload/launch.h"
#include "preload/script.h"

static const char capability[] = "security.capability";

/*
 * ld.so is in secure mode, where it loads no preload with a slash, when the ids in effect are not the real
 * ones (cap_bprm_creds_from_file()).
 */
static bool changes_id(const struct stat *st)
{
	long user = sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
	long group = sys_call(SYS_getegid, 0, 0, 0, 0, 0, 0);

	if (st->st_mode & S_ISUID)
		user = (long)st->st_uid;
	if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		group = (long)st->st_gid;
	return user != sys_call(SYS_getuid, 0, 0, 0, 0, 0, 0) ||
	       group != sys_call(SYS_getgid, 0, 0, 0, 0, 0, 0);
}

/* File capabilities put ld.so in secure mode for everybody but root, who has them anyway. */
static bool adds_capabilities(int fd)
{
	return sys_call(SYS_getuid, 0, 0, 0, 0, 0, 0) != 0 &&
	       sys_call(SYS_fgetxattr, fd, (long)capability, 0, 0, 0, 0) > 0;
}

/* Without blocking on what is no file. */
static int open_program(int dir, const char *path, int flags)
{
	char door[sizeof("/proc/self/fd/") + SNAPSHOT_NUMBER_ROOM] = "/proc/self/fd/";

	if (path[0] == '\0' && (flags & AT_EMPTY_PATH)) {
		snapshot_number_format((uint64_t)dir, door + sizeof("/proc/self/fd/") - 1);
		path = door;
	}
	return sys_openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

enum loads {
	LOADS, /* or execve(2) shall say what is wrong */
	LOADS_NOT,
	LOADS_GAINS, /* nor would it in a user namespace be what it is outside */
};

static enum loads gains(void)
{
	return sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) == 0 ? LOADS_NOT : LOADS_GAINS;
}

/* LOADS with *script: its interpreter decides. `bytes` has ELF_KIND_ROOM, *length are set then. */
static enum loads program_loads(int dir, const char *path, int flags, char *bytes, size_t *length,
				bool *script)
{
	struct stat st;

	*script = false;
	if (sys_fstatat(dir, path, &st, flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0 ||
	    !S_ISREG(st.st_mode))
		return LOADS;
	if (changes_id(&st))
		return gains();
	int fd = open_program(dir, path, flags);
	if (fd < 0)
		return sys_faccessat(dir, path, X_OK) == 0 ? LOADS_NOT : LOADS;
	const bool capable = adds_capabilities(fd);
	ssize_t count = sys_read(fd, bytes, ELF_KIND_ROOM);
	sys_close(fd);
	if (capable)
		return gains();
	if (count < 0)
		return LOADS_NOT;
	*length = (size_t)count;
	const enum elf_kind kind = elf_kind(bytes, *length);
	*script = kind == ELF_SCRIPT;
	return kind == ELF_STATIC || kind == ELF_FOREIGN ? LOADS_NOT : LOADS;
}

/* Apart, so that the stack is given back before the exec. */
__attribute__((noinline)) static enum loads loads_shim(int dir, const char *path, int flags)
{
	char bytes[ELF_KIND_ROOM + 1];
	size_t length;
	bool script;

	for (int depth = 0; depth <= SCRIPTS_MAX; depth++) {
		enum loads loads = program_loads(dir, path, flags, bytes, &length, &script);

		if (!script)
			return loads;
		const char *interpreter = elf_script_interpreter(bytes, length, &length);
		if (length == 0)
			return LOADS;
		bytes[(size_t)(interpreter - bytes) + length] = '\0';
		dir = AT_FDCWD;
		path = interpreter;
		flags = 0;
	}
	return LOADS;
}

/* Every pin is handed on, and was held to begin with. */
static bool is_whole(const struct exec_pins *pins)
{
	for (unsigned i = 0; i < pins->count; i++)
		if (pins->fds[i] < 0)
			return false;
	return true;
}

/*
 * Can rcu-exec be told this program, as it is asked for, by a path? Not by a descriptor: that may be closed by its
 * exec. What cannot be executed shall fail in the caller.
 */
static bool is_launchable(int dir, const char *path)
{
	const char *launcher = launcher_path();

	return launcher && (dir == AT_FDCWD || path[0] == '/') && sys_faccessat(dir, path, X_OK) == 0 &&
	       sys_faccessat(AT_FDCWD, launcher, X_OK) == 0;
}

enum exec_way exec_way(const struct exec_env *e, int dir, const char *path, int flags)
{
	if (!shim_active() || !path || (!shim.strict && !launcher_path()))
		return EXEC_DIRECT;
	if (shim.strict && !is_whole(&e->pins))
		return EXEC_REFUSED;
	const enum loads loads = loads_shim(dir, path, flags);
	if (loads == LOADS && (e->loads || !shim.strict))
		return EXEC_DIRECT;
	if (loads == LOADS_NOT && is_launchable(dir, path))
		return EXEC_LAUNCHED;
	return shim.strict ? EXEC_REFUSED : EXEC_DIRECT;
}

bool exec_shell_pinnable(const struct exec_pins *pins)
{
	if (!shim_active() || !shim.strict)
		return true;
	for (unsigned i = 0; i < pins->count; i++)
		if (pins->far[i])
			return false;
	return is_whole(pins);
}

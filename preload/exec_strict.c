/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/elf_kind.h"
#include "core/names.h"
#include "core/sys.h"
#include "preload/exec_env.h"
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

/* ELF_LOADS and ELF_UNKNOWN: let execve(2) try. `bytes` has ELF_KIND_ROOM, *length are set. */
static enum elf_kind program_kind(int dir, const char *path, int flags, char *bytes, size_t *length)
{
	struct stat st;

	if (sys_fstatat(dir, path, &st, flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0 ||
	    !S_ISREG(st.st_mode))
		return ELF_UNKNOWN;
	if (changes_id(&st))
		return ELF_STATIC;
	int fd = open_program(dir, path, flags);
	if (fd < 0)
		return sys_faccessat(dir, path, X_OK) == 0 ? ELF_STATIC : ELF_UNKNOWN;
	ssize_t count = adds_capabilities(fd) ? -1 : sys_read(fd, bytes, ELF_KIND_ROOM);
	sys_close(fd);
	if (count < 0)
		return ELF_STATIC;
	*length = (size_t)count;
	return elf_kind(bytes, *length);
}

/* Apart, so that only --strict pays for the stack. */
__attribute__((noinline)) static bool loads_shim(int dir, const char *path, int flags)
{
	char bytes[ELF_KIND_ROOM + 1];
	size_t length;

	for (int depth = 0; depth <= SCRIPTS_MAX; depth++) {
		enum elf_kind kind = program_kind(dir, path, flags, bytes, &length);

		if (kind != ELF_SCRIPT)
			return kind == ELF_LOADS || kind == ELF_UNKNOWN;
		const char *interpreter = elf_script_interpreter(bytes, length, &length);
		if (length == 0)
			return true;
		bytes[(size_t)(interpreter - bytes) + length] = '\0';
		dir = AT_FDCWD;
		path = interpreter;
		flags = 0;
	}
	return true;
}

/* Every pin is handed on, and was held to begin with. */
static bool is_whole(const struct exec_pins *pins)
{
	for (unsigned i = 0; i < pins->count; i++)
		if (pins->fds[i] < 0)
			return false;
	return true;
}

bool exec_pinnable(const struct exec_env *e, int dir, const char *path, int flags)
{
	if (!shim_active() || !shim.strict || !path)
		return true;
	return is_whole(&e->pins) && e->loads && loads_shim(dir, path, flags);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/loads.h"

#include "core/elf_kind.h"
#include "core/names.h"
#include "core/sys.h"

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
	if (kind == ELF_OTHER_SIZE)
		return LOADS_OTHER_SIZE;
	return kind == ELF_STATIC || kind == ELF_MUSL || kind == ELF_FOREIGN ? LOADS_NOT : LOADS;
}

/* Apart, so that the stack is given back before the exec. */
__attribute__((noinline)) enum loads loads_preload(int dir, const char *path, int flags, bool *is_script)
{
	char bytes[ELF_KIND_ROOM + 1];
	size_t length = 0;
	bool script;

	for (int depth = 0; depth <= LOADS_SCRIPTS_MAX; depth++) {
		enum loads loads = program_loads(dir, path, flags, bytes, &length, &script);

		if (is_script && depth == 0)
			*is_script = script || length == 0;
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/loadable.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define INTERPRETERS_MAX 4 /* fs/exec.c: then ELOOP */
#define PATH_DEFAULT "/bin:/usr/bin"

static bool may_run(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *loadable_find(const char *command)
{
	const char *path = getenv("PATH");

	if (strchr(command, '/'))
		return alloc_copy(command);
	if (!path)
		path = PATH_DEFAULT;
	for (;;) {
		size_t length = strcspn(path, ":");
		char *file = alloc_printf("%.*s%s%s", (int)length, path, length ? "/" : "./", command);

		if (may_run(file))
			return file;
		free(file);
		if (path[length] == '\0')
			return NULL;
		path += length + 1;
	}
}

/*
 * ld.so is in secure mode, and ignores a preload by path, where the exec changes a user or group, or gives
 * capabilities to somebody who is not root (ld.so(8), capabilities(7)).
 */
static bool gains_privileges(const char *path, const struct stat *st)
{
	if ((st->st_mode & S_ISUID) && st->st_uid != getuid())
		return true;
	if ((st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getgid())
		return true;
	return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

enum elf_kind loadable_look(const char *path, char **interpreter)
{
	char head[ELF_KIND_ROOM];
	size_t length = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const ssize_t got = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);

	if (fd >= 0)
		close(fd);
	*interpreter = NULL;
	if (got < 0)
		return ELF_UNKNOWN;
	const enum elf_kind kind = elf_kind(head, (size_t)got);
	const char *name = kind == ELF_SCRIPT ? elf_script_interpreter(head, (size_t)got, &length) : NULL;
	if (length != 0)
		*interpreter = alloc_printf("%.*s", (int)length, name);
	return kind;
}

static enum loadable say(const char **why, enum loadable what, const char *text)
{
	*why = text;
	return what;
}

static enum loadable judge(const char *path, unsigned depth, const char **why)
{
	struct stat st;
	char *interpreter;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return LOADABLE_YES;
	if (gains_privileges(path, &st))
		return say(why, LOADABLE_PRIVILEGED,
			   "gains privileges when it starts, so it ignores LD_PRELOAD");
	switch (loadable_look(path, &interpreter)) {
	case ELF_STATIC:
		return say(why, LOADABLE_NOT, "is a static program, which loads no library");
	case ELF_OTHER_SIZE:
		return say(why, LOADABLE_OTHER_SIZE, "is a 32-bit program, for which no shim is installed");
	case ELF_FOREIGN:
		return say(why, LOADABLE_NOT, "is for another machine");
	case ELF_MUSL:
		return say(why, LOADABLE_NOT, "is for musl's C library, and the shim is for glibc's");
	case ELF_SCRIPT:
		break;
	default:
		return LOADABLE_YES;
	}
	enum loadable result = LOADABLE_YES;
	if (interpreter != NULL && depth != INTERPRETERS_MAX)
		result = judge(interpreter, depth + 1, why);
	free(interpreter);
	return result;
}

enum loadable loadable_judge(const char *path, const char **why)
{
	*why = NULL;
	return judge(path, 0, why);
}

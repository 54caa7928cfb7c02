/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/launcher/loadable.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/elf_kind.h"
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

static ssize_t read_head(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : pread(fd, to, room, 0);

	if (fd >= 0)
		close(fd);
	return got;
}

static enum loadable say(const char **why, enum loadable what, const char *text)
{
	*why = text;
	return what;
}

static enum loadable judge(const char *path, unsigned depth, const char **why)
{
	char head[ELF_KIND_ROOM];
	struct stat st;
	size_t length;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return LOADABLE_YES;
	if (gains_privileges(path, &st))
		return say(why, LOADABLE_PRIVILEGED,
			   "gains privileges when it starts, so it ignores LD_PRELOAD");
	const ssize_t got = read_head(path, head, sizeof(head));
	if (got < 0)
		return LOADABLE_YES;
	switch (elf_kind(head, (size_t)got)) {
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
	const char *interpreter = elf_script_interpreter(head, (size_t)got, &length);
	if (length == 0 || depth == INTERPRETERS_MAX)
		return LOADABLE_YES;
	char *name = alloc_printf("%.*s", (int)length, interpreter);
	enum loadable result = judge(name, depth + 1, why);
	free(name);
	return result;
}

enum loadable loadable_judge(const char *path, const char **why)
{
	*why = NULL;
	return judge(path, 0, why);
}

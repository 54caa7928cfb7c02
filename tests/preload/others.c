/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * others: another preload, as most are: it exports names without versions, and looks for the next with dlsym. It says on stderr what it was
 * asked for. contexts.bats puts it before the shim and behind it.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int access(const char *path, int mode);
int stat(const char *path, struct stat *st);
int lstat(const char *path, struct stat *st);
char *realpath(const char *path, char *resolved);

static void tell(const char *name, const char *path)
{
	char line[1024] = "others: ";

	strncat(line, name, 64);
	strcat(line, " ");
	strncat(line, path ? path : "NULL", 900);
	strcat(line, "\n");
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		_exit(99);
}

int access(const char *path, int mode)
{
	int (*next)(const char *, int);

	*(void **)&next = dlsym(RTLD_NEXT, "access");
	tell("access", path);
	return next(path, mode);
}

int stat(const char *path, struct stat *st)
{
	int (*next)(const char *, struct stat *);

	*(void **)&next = dlsym(RTLD_NEXT, "stat");
	tell("stat", path);
	return next(path, st);
}

int lstat(const char *path, struct stat *st)
{
	int (*next)(const char *, struct stat *);

	*(void **)&next = dlsym(RTLD_NEXT, "lstat");
	tell("lstat", path);
	return next(path, st);
}

char *realpath(const char *path, char *resolved)
{
	char *(*next)(const char *, char *);

	*(void **)&next = dlsym(RTLD_NEXT, "realpath");
	tell("realpath", path);
	return next(path, resolved);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * old DIRECTORY SHIM: calls in the versions that programs of long ago are linked to, which differ from today's in more than their number.
 * Prints what each says of DIRECTORY; with SHIM not empty each must be bound to that library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OLD(id, symbol, version, result, parameters) \
	result id parameters;                        \
	__asm__(".symver " #id "," #symbol "@" version);

OLD(realpath_old, realpath, "GLIBC_2.2.5", char *, (const char *path, char *resolved))
OLD(glob_old, glob, "GLIBC_2.2.5", int, (const char *, int, int (*)(const char *, int), glob_t *))
OLD(glob64_old, glob64, "GLIBC_2.2.5", int, (const char *, int, int (*)(const char *, int), glob64_t *))
OLD(nftw_old, nftw, "GLIBC_2.2.5", int,
    (const char *, int (*)(const char *, const struct stat *, int, struct FTW *), int, int))
OLD(nftw64_old, nftw64, "GLIBC_2.2.5", int,
    (const char *, int (*)(const char *, const struct stat64 *, int, struct FTW *), int, int))
OLD(spawn_old, posix_spawn, "GLIBC_2.2.5", int,
    (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
     char *const[]))
OLD(spawnp_old, posix_spawnp, "GLIBC_2.2.5", int,
    (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
     char *const[]))
OLD(dlopen_old, dlopen, "GLIBC_2.2.5", void *, (const char *, int))
OLD(dlmopen_old, dlmopen, "GLIBC_2.3.4", void *, (Lmid_t, const char *, int))
OLD(xstat, __xstat, "GLIBC_2.2.5", int, (int, const char *, struct stat *))
OLD(lxstat, __lxstat, "GLIBC_2.2.5", int, (int, const char *, struct stat *))
OLD(xstat64, __xstat64, "GLIBC_2.2.5", int, (int, const char *, struct stat64 *))
OLD(lxstat64, __lxstat64, "GLIBC_2.2.5", int, (int, const char *, struct stat64 *))
OLD(fxstatat, __fxstatat, "GLIBC_2.4", int, (int, int, const char *, struct stat *, int))
OLD(fxstatat64, __fxstatat64, "GLIBC_2.4", int, (int, int, const char *, struct stat64 *, int))
OLD(xmknod, __xmknod, "GLIBC_2.2.5", int, (int, const char *, mode_t, dev_t *))
OLD(xmknodat, __xmknodat, "GLIBC_2.4", int, (int, int, const char *, mode_t, dev_t *))

extern char **environ;

static char file[4096], text[4096], script[4096];
static const char *shim;

typedef void any_call(void);

/* What a call says, and whose it is. */
static void say(const char *name, any_call *call, long result)
{
	Dl_info found = { 0 };
	int error = errno;
	void *address;

	memcpy(&address, &call, sizeof(address));
	printf("%s %ld %s%s\n", name, result, error ? strerrorname_np(error) : "",
	       *shim && (!dladdr(address, &found) || !strstr(found.dli_fname, shim)) ? " not the shim's"
										     : "");
	errno = 0;
}

#define SAY(call, ...)                                           \
	do {                                                     \
		errno = 0;                                       \
		say(#call, (any_call *)call, call(__VA_ARGS__)); \
	} while (0)

static int first(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)type;
	return strcmp(path + where->base, "version") == 0 ? 100 + (int)st->st_size : 0;
}

static int first64(const char *path, const struct stat64 *st, int type, struct FTW *where)
{
	return first(path, (const struct stat *)(const void *)st, type, where);
}

static void names(void)
{
	glob_t plain = { 0 };
	glob64_t large = { 0 };
	char pattern[4200];

	/* a link that leads nowhere is there for the old ones, too */
	snprintf(pattern, sizeof(pattern), "%s/dang*", text);
	SAY(glob_old, pattern, 0, NULL, &plain);
	SAY(glob64_old, pattern, 0, NULL, &large);
	snprintf(pattern, sizeof(pattern), "%s/version", text);
	SAY(glob_old, pattern, GLOB_APPEND, NULL, &plain);
	printf("%zu %zu\n", plain.gl_pathc, large.gl_pathc);
	globfree(&plain);
	globfree64(&large);
	errno = 0;
	say("realpath_old NULL", (any_call *)realpath_old, (long)realpath_old(file, NULL)); /* EINVAL */
	char resolved[4096];
	say("realpath_old", (any_call *)realpath_old, realpath_old(file, resolved) != NULL);
	printf("%s\n", strrchr(resolved, '/'));
}

static void objects(void)
{
	struct stat st = { 0 };
	struct stat64 st64 = { 0 };
	dev_t none = 0;

	SAY(xstat, 1, file, &st);
	SAY(lxstat, 1, file, &st);
	SAY(xstat64, 1, file, &st64);
	SAY(lxstat64, 1, file, &st64);
	SAY(fxstatat, 1, AT_FDCWD, file, &st, 0);
	SAY(fxstatat64, 1, AT_FDCWD, file, &st64, AT_SYMLINK_NOFOLLOW);
	printf("%ld %ld\n", (long)st.st_size, (long)st64.st_size);
	/* of a structure that nobody has */
	SAY(xstat, 7, file, &st);
	SAY(lxstat64, 7, file, &st64);
	SAY(fxstatat, 7, AT_FDCWD, file, &st, 0);
	SAY(xmknod, 0, file, S_IFREG, &none);
	SAY(xmknod, 7, file, S_IFREG, &none);
	SAY(xmknodat, 0, AT_FDCWD, file, S_IFREG, &none);
	/* flags that it does not know are nothing to it */
	SAY(nftw_old, text, first, 4, FTW_PHYS | 1 << 20);
	SAY(nftw64_old, text, first64, 4, FTW_PHYS | 1 << 20);
}

static void ended(int error, pid_t pid)
{
	int status = -1;

	if (error == 0)
		waitpid(pid, &status, 0);
	printf("%d %x\n", error, (unsigned)status);
}

/* What is no program is the shell's. */
static void programs(void)
{
	char *const argv[] = { script, NULL };
	pid_t pid = 0;
	int error;

	fflush(stdout);
	error = spawn_old(&pid, script, NULL, NULL, argv, environ);
	ended(error, pid);
	fflush(stdout);
	error = spawnp_old(&pid, script, NULL, NULL, argv, environ);
	ended(error, pid);
	fflush(stdout);
	error = posix_spawn(&pid, script, NULL, NULL, argv, environ);
	ended(error, pid);
	errno = 0;
	say("dlopen_old", (any_call *)dlopen_old, dlopen_old(file, RTLD_NOW) != NULL);
	say("dlmopen_old", (any_call *)dlmopen_old, dlmopen_old(LM_ID_BASE, file, RTLD_NOW) != NULL);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	snprintf(text, sizeof(text), "%s", argv[1]);
	shim = argv[2];
	snprintf(file, sizeof(file), "%s/version", argv[1]);
	snprintf(script, sizeof(script), "%s/bare", argv[1]);
	names();
	objects();
	programs();
	return 0;
}

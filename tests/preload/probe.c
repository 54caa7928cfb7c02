/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe: every wrapped call that only reads, on one path, as text.
 *
 *     probe [-r ROOT] [-c CWD] [-d DIR] PATH all|at|CALL...
 *     probe --list
 *
 * For each call one line: its name, what it returned, errno (0 before each call, so what a success leaves there is seen, too), and
 * facts by which one object is told from another: device and inode, size, the first bytes, names in a directory. Nothing in a
 * line depends on how PATH is spelled: results that repeat the spelling are printed without it. So the same call on the
 * same object gives the same line, however the object was named, with and without the shim.
 *
 * -r changes the root first. `all` is every call; `at` those with a directory descriptor, which is DIR's (-d) or AT_FDCWD. The PATH @NULL@ is NULL.
 */
#include "tests/preload/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What libc exports and no header declares. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st, int flags);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st, int flags);
int __statfs(const char *path, struct statfs *st);
FILE *_IO_fopen(const char *path, const char *mode);
ssize_t __readlink_chk(const char *path, char *to, size_t room, size_t known);
ssize_t __readlinkat_chk(int dir, const char *path, char *to, size_t room, size_t known);
char *__realpath_chk(const char *path, char *resolved, size_t known);
char *realpath_old(const char *path, char *resolved);
int glob_old(const char *pattern, int flags, int (*on_error)(const char *, int), glob_t *result);
int glob64_old(const char *pattern, int flags, int (*on_error)(const char *, int), glob64_t *result);
__asm__(".symver realpath_old, realpath@GLIBC_2.2.5");
__asm__(".symver glob_old, glob@GLIBC_2.2.5");
__asm__(".symver glob64_old, glob64@GLIBC_2.2.5");

#define STAT_VERSION 1
#define TEXT_ROOM 8192

const char *path;
int dir = AT_FDCWD;

void say(long result)
{
	int error = errno;

	printf(" = %ld errno %d", result, error);
	errno = 0;
}

void say_stat(const struct stat *st)
{
	printf(" dev %lx ino %lu mode %o size %lld mtime %lld", (unsigned long)st->st_dev,
	       (unsigned long)st->st_ino, st->st_mode, S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size,
	       (long long)st->st_mtime);
}

void say_name(const char *name)
{
	for (; *name; name++)
		printf(*name == '\n' ? "\\n" : "%c", *name);
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

void say_names(char **names, size_t count)
{
	qsort(names, count, sizeof(*names), by_text);
	for (size_t i = 0; i < count; i++) {
		printf(" [");
		say_name(names[i]);
		printf("]");
	}
}

static void say_bytes(int fd)
{
	char text[64];
	ssize_t length = read(fd, text, sizeof(text));

	for (ssize_t i = 0; i < length; i++)
		putchar(text[i] == '\n' ? '|' : text[i]);
}

static void say_fd(int fd)
{
	struct stat st;

	say(fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		say_stat(&st);
		putchar(' ');
		if (S_ISREG(st.st_mode))
			say_bytes(fd);
	}
	close(fd);
}

/* open and its kin */
#define OPEN(c) ((int (*)(const char *, int, ...))(c))
#define OPENAT(c) ((int (*)(int, const char *, int, ...))(c))

static void open_read(any_call *call)
{
	say_fd(OPEN(call)(path, O_RDONLY));
}

static void open_directory(any_call *call)
{
	say_fd(OPEN(call)(path, O_RDONLY | O_DIRECTORY));
}

static void open_nofollow(any_call *call)
{
	say_fd(OPEN(call)(path, O_RDONLY | O_NOFOLLOW));
}

static void open_path_nofollow(any_call *call)
{
	say_fd(OPEN(call)(path, O_PATH | O_NOFOLLOW));
}

static void open_2(any_call *call)
{
	say_fd(((int (*)(const char *, int))call)(path, O_RDONLY));
}

static void openat_read(any_call *call)
{
	say_fd(OPENAT(call)(dir, path, O_RDONLY));
}

static void openat_nofollow(any_call *call)
{
	say_fd(OPENAT(call)(dir, path, O_RDONLY | O_NOFOLLOW));
}

static void openat_2(any_call *call)
{
	say_fd(((int (*)(int, const char *, int))call)(dir, path, O_RDONLY));
}

/* stat and its kin; struct stat64 is struct stat on x86_64 */
static void say_result_stat(int result, const struct stat *st)
{
	say(result);
	if (result == 0)
		say_stat(st);
}

static void stat_plain(any_call *call)
{
	struct stat st;

	say_result_stat(((int (*)(const char *, struct stat *))call)(path, &st), &st);
}

static void stat_version(any_call *call)
{
	struct stat st;

	say_result_stat(((int (*)(int, const char *, struct stat *))call)(STAT_VERSION, path, &st), &st);
}

static void stat_at(any_call *call)
{
	struct stat st;

	say_result_stat(((int (*)(int, const char *, struct stat *, int))call)(dir, path, &st, 0), &st);
}

static void stat_at_nofollow(any_call *call)
{
	struct stat st;
	int result = ((int (*)(int, const char *, struct stat *, int))call)(dir, path, &st,
									    AT_SYMLINK_NOFOLLOW);

	say_result_stat(result, &st);
}

static void stat_at_empty(any_call *call)
{
	struct stat st;

	say_result_stat(((int (*)(int, const char *, struct stat *, int))call)(dir, path, &st, AT_EMPTY_PATH),
			&st);
}

static void stat_version_at(any_call *call)
{
	struct stat st;
	int result = ((int (*)(int, int, const char *, struct stat *, int))call)(STAT_VERSION, dir, path, &st,
										 AT_SYMLINK_NOFOLLOW);

	say_result_stat(result, &st);
}

static void statx_flags(any_call *call, int flags)
{
	struct statx st;
	int result = ((int (*)(int, const char *, int, unsigned, struct statx *))call)(
		dir, path, flags, STATX_BASIC_STATS, &st);

	say(result);
	if (result == 0)
		printf(" ino %llu mode %o size %llu", (unsigned long long)st.stx_ino, st.stx_mode,
		       S_ISDIR(st.stx_mode) ? 0 : (unsigned long long)st.stx_size);
}

static void statx_follow(any_call *call)
{
	statx_flags(call, 0);
}

static void statx_nofollow(any_call *call)
{
	statx_flags(call, AT_SYMLINK_NOFOLLOW);
}

static void statfs_plain(any_call *call)
{
	struct statfs st;
	int result = ((int (*)(const char *, struct statfs *))call)(path, &st);

	say(result);
	if (result == 0)
		printf(" type %lx fsid %x %x", (unsigned long)st.f_type, (unsigned)st.f_fsid.__val[0],
		       (unsigned)st.f_fsid.__val[1]);
}

static void statvfs_plain(any_call *call)
{
	struct statvfs st;
	int result = ((int (*)(const char *, struct statvfs *))call)(path, &st);

	say(result);
	if (result == 0)
		printf(" fsid %lx", st.f_fsid);
}

/* other calls on one path */
static void access_modes(any_call *call)
{
	for (int mode = F_OK; mode <= (R_OK | X_OK); mode++)
		if (!(mode & W_OK))
			say(((int (*)(const char *, int))call)(path, mode));
}

static void access_at(any_call *call)
{
	say(((int (*)(int, const char *, int, int))call)(dir, path, R_OK, 0));
	say(((int (*)(int, const char *, int, int))call)(dir, path, R_OK, AT_EACCESS));
	say(((int (*)(int, const char *, int, int))call)(dir, path, F_OK, AT_SYMLINK_NOFOLLOW));
}

static void change_directory(any_call *call)
{
	char text[TEXT_ROOM];
	int back = open(".", O_PATH | O_DIRECTORY);
	errno = 0;
	int result = ((int (*)(const char *))call)(path);

	say(result);
	if (result == 0)
		say_name(getcwd(text, sizeof(text)) ? text : "?");
	if (fchdir(back) != 0)
		exit(3);
	close(back);
}

/* In a child; needs root. */
static void change_root(any_call *call)
{
	fflush(stdout);
	pid_t child = fork();

	if (child == 0) {
		struct stat st;
		int result = ((int (*)(const char *))call)(path);

		say(result);
		if (result == 0 && stat("/", &st) == 0)
			say_stat(&st);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	errno = 0;
}

static void path_value(any_call *call)
{
	say(((long (*)(const char *, int))call)(path, _PC_NAME_MAX));
	say(((long (*)(const char *, int))call)(path, _PC_LINK_MAX));
}

static void xattr_get(any_call *call)
{
	char value[64];
	ssize_t length = ((ssize_t(*)(const char *, const char *, void *, size_t))call)(path, "user.version",
											value, sizeof(value));

	say(length);
	if (length > 0)
		printf(" %.*s", (int)length, value);
}

static void xattr_list(any_call *call)
{
	char names[256];

	say(((ssize_t(*)(const char *, char *, size_t))call)(path, names, sizeof(names)));
}

/* directories */
static void directory_names(any_call *call)
{
	char *names[256];
	size_t count = 0;
	DIR *stream = ((DIR * (*)(const char *)) call)(path);

	say(stream ? 0 : -1);
	if (!stream)
		return;
	struct stat st;
	if (fstat(dirfd(stream), &st) == 0)
		say_stat(&st);
	for (struct dirent *entry; count < 256 && (entry = readdir(stream));)
		names[count++] = strdup(entry->d_name);
	say_names(names, count);
	while (count)
		free(names[--count]);
	closedir(stream);
}

static void say_list(int count, struct dirent **list)
{
	say(count);
	for (int i = 0; i < count; i++) {
		printf(" [%lu ", (unsigned long)list[i]->d_ino);
		say_name(list[i]->d_name);
		putchar(']');
		free(list[i]);
	}
	if (count >= 0)
		free(list);
}

static int no_dots(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

typedef int pick_call(const struct dirent *);
typedef int compare_call(const struct dirent **, const struct dirent **);

static void directory_list(any_call *call)
{
	struct dirent **list = NULL;
	int count = ((int (*)(const char *, struct dirent ***, pick_call *, compare_call *))call)(
		path, &list, no_dots, alphasort);

	say_list(count, list);
}

static void directory_list_at(any_call *call)
{
	struct dirent **list = NULL;
	int count = ((int (*)(int, const char *, struct dirent ***, pick_call *, compare_call *))call)(
		dir, path, &list, no_dots, alphasort);

	say_list(count, list);
}

/*
 * PATH itself and what is below it as patterns. The results have to begin with PATH as it was given, but for slashes at its end.
 * glob() is not said to set errno.
 */
static void glob_flags(any_call *call, const char *tail, int flags)
{
	glob_t result = { 0 };
	char pattern[2 * TEXT_ROOM];

	snprintf(pattern, sizeof(pattern), "%s%s", path ? path : "", tail);
	int error = ((int (*)(const char *, int, int (*)(const char *, int), glob_t *))call)(
		path ? pattern : NULL, flags, NULL, &result);
	printf(" = %d", error);
	if (error != 0)
		return;
	size_t length = strlen(path);
	while (length != 0 && path[length - 1] == '/')
		length--;
	printf(" flags %x", (unsigned)result.gl_flags);
	for (size_t i = 0; i < result.gl_pathc; i++) {
		const char *name = result.gl_pathv[i];
		bool spelled = strncmp(name, path, length) == 0;

		if (spelled)
			name += length;
		while (spelled && name[0] == '/' && name[1] == '/')
			name++;
		printf(" [%s", spelled ? "" : "other spelling: ");
		say_name(name);
		putchar(']');
	}
	globfree(&result);
}

static void glob_names(any_call *call)
{
	glob_flags(call, "", 0);
	glob_flags(call, "/", 0);
	glob_flags(call, "*", GLOB_MARK);
	glob_flags(call, "/*", GLOB_MARK);
	glob_flags(call, "/di*/*", 0);
}

/* stdio */
static void say_stream(FILE *stream)
{
	char text[64];

	say(stream ? 0 : -1);
	if (!stream)
		return;
	struct stat st;
	if (fstat(fileno(stream), &st) == 0)
		say_stat(&st);
	if (S_ISREG(st.st_mode) && fgets(text, sizeof(text), stream))
		printf(" %.*s", (int)strcspn(text, "\n"), text);
	fclose(stream);
}

static void stream_open(any_call *call)
{
	say_stream(((FILE * (*)(const char *, const char *)) call)(path, "re"));
}

static void stream_reopen(any_call *call)
{
	FILE *stream = fopen("/dev/null", "r");

	errno = 0;
	FILE *other = ((FILE * (*)(const char *, const char *, FILE *)) call)(path, "r", stream);
	say_stream(other);
	if (!other)
		fclose(stream);
}

/* calls that answer with a path */
static void say_text(ssize_t length, const char *text)
{
	say(length);
	if (length > 0)
		printf(" %.*s", (int)length, text);
}

static void link_text(any_call *call)
{
	char text[TEXT_ROOM];
	ssize_t (*readlink_call)(const char *, char *,
				 size_t) = (ssize_t(*)(const char *, char *, size_t))call;

	say_text(readlink_call(path, text, sizeof(text)), text);
	say_text(readlink_call(path, text, 3), text);
	say_text(readlink_call(path, text, 0), text);
}

static void link_text_checked(any_call *call)
{
	char text[TEXT_ROOM];
	ssize_t length = ((ssize_t(*)(const char *, char *, size_t, size_t))call)(path, text, sizeof(text),
										  sizeof(text));

	say_text(length, text);
}

static void link_text_at(any_call *call)
{
	char text[TEXT_ROOM];

	say_text(((ssize_t(*)(int, const char *, char *, size_t))call)(dir, path, text, sizeof(text)), text);
}

static void link_text_at_checked(any_call *call)
{
	char text[TEXT_ROOM];
	ssize_t length = ((ssize_t(*)(int, const char *, char *, size_t, size_t))call)(
		dir, path, text, sizeof(text), sizeof(text));

	say_text(length, text);
}

/* What realpath() leaves in errno on success depends on how many links it met. */
static void say_path(const char *text)
{
	if (text)
		errno = 0;
	say(text ? 0 : -1);
	putchar(' ');
	say_name(text ? text : "");
}

static void real_path(any_call *call)
{
	char text[TEXT_ROOM] = "";
	char *(*realpath_call)(const char *, char *) = (char *(*)(const char *, char *))call;

	say_path(realpath_call(path, text));
	char *own = realpath_call(path, NULL);
	say_path(own);
	free(own);
}

static void real_path_checked(any_call *call)
{
	char text[TEXT_ROOM] = "";

	say_path(((char *(*)(const char *, char *, size_t))call)(path, text, sizeof(text)));
}

static void real_path_only(any_call *call)
{
	char *own = ((char *(*)(const char *))call)(path);

	say_path(own);
	free(own);
}

static const struct probe probes[] = {
	PROBE(open, "", open_read, false, true),
	PROBE(open, "+O_DIRECTORY", open_directory, false, true),
	PROBE(open, "+O_NOFOLLOW", open_nofollow, false, true),
	PROBE(open, "+O_PATH+O_NOFOLLOW", open_path_nofollow, false, true),
	PROBE(open64, "", open_read, false, true),
	PROBE(__open, "", open_read, false, true),
	PROBE(__open64, "", open_read, false, true),
	PROBE(__open_2, "", open_2, false, true),
	PROBE(__open64_2, "", open_2, false, true),
	PROBE(openat, "", openat_read, true, true),
	PROBE(openat, "+O_NOFOLLOW", openat_nofollow, true, true),
	PROBE(openat64, "", openat_read, true, true),
	PROBE(__openat_2, "", openat_2, true, true),
	PROBE(__openat64_2, "", openat_2, true, true),
	PROBE(stat, "", stat_plain, false, true),
	PROBE(stat64, "", stat_plain, false, true),
	PROBE(lstat, "", stat_plain, false, true),
	PROBE(lstat64, "", stat_plain, false, true),
	PROBE(fstatat, "", stat_at, true, true),
	PROBE(fstatat, "+NOFOLLOW", stat_at_nofollow, true, true),
	PROBE(fstatat, "+EMPTY_PATH", stat_at_empty, true, true),
	PROBE(fstatat64, "", stat_at, true, true),
	PROBE(fstatat64, "+NOFOLLOW", stat_at_nofollow, true, true),
	PROBE(__xstat, "", stat_version, false, true),
	PROBE(__xstat64, "", stat_version, false, true),
	PROBE(__lxstat, "", stat_version, false, true),
	PROBE(__lxstat64, "", stat_version, false, true),
	PROBE(__fxstatat, "", stat_version_at, true, true),
	PROBE(__fxstatat64, "", stat_version_at, true, true),
	PROBE(statx, "", statx_follow, true, true),
	PROBE(statx, "+NOFOLLOW", statx_nofollow, true, true),
	PROBE(statfs, "", statfs_plain, false, true),
	PROBE(__statfs, "", statfs_plain, false, true),
	PROBE(statfs64, "", statfs_plain, false, true),
	PROBE(statvfs, "", statvfs_plain, false, true),
	PROBE(statvfs64, "", statvfs_plain, false, true),
	PROBE(access, "", access_modes, false, true),
	PROBE(eaccess, "", access_modes, false, true),
	PROBE(euidaccess, "", access_modes, false, true),
	PROBE(faccessat, "", access_at, true, true),
	PROBE(chdir, "", change_directory, false, true),
	PROBE(chroot, "", change_root, false, true),
	PROBE(pathconf, "", path_value, false, false),
	PROBE(getxattr, "", xattr_get, false, true),
	PROBE(lgetxattr, "", xattr_get, false, true),
	PROBE(listxattr, "", xattr_list, false, true),
	PROBE(llistxattr, "", xattr_list, false, true),
	PROBE(opendir, "", directory_names, false, false),
	PROBE(scandir, "", directory_list, false, false),
	PROBE(scandir64, "", directory_list, false, false),
	PROBE(scandirat, "", directory_list_at, true, false),
	PROBE(scandirat64, "", directory_list_at, true, false),
	PROBE(glob, "", glob_names, false, true),
	PROBE(glob64, "", glob_names, false, true),
	PROBE(glob_old, "", glob_names, false, true),
	PROBE(glob64_old, "", glob_names, false, true),
	PROBE(fopen, "", stream_open, false, true),
	PROBE(fopen64, "", stream_open, false, true),
	PROBE(_IO_fopen, "", stream_open, false, true),
	PROBE(freopen, "", stream_reopen, false, true),
	PROBE(freopen64, "", stream_reopen, false, true),
	PROBE(readlink, "", link_text, false, true),
	PROBE(__readlink_chk, "", link_text_checked, false, true),
	PROBE(readlinkat, "", link_text_at, true, true),
	PROBE(__readlinkat_chk, "", link_text_at_checked, true, true),
	PROBE(realpath, "", real_path, false, true),
	PROBE(realpath_old, "", real_path, false, true),
	PROBE(__realpath_chk, "", real_path_checked, false, true),
	PROBE(canonicalize_file_name, "", real_path_only, false, true),
};

#define PROBES (sizeof(probes) / sizeof(probes[0]))

static bool wanted(const struct probe *p, const char *what)
{
	if (!path && !p->null)
		return false;
	return strcmp(what, "all") == 0 || (strcmp(what, "at") == 0 && p->at) || strcmp(what, p->id) == 0;
}

static void list(const struct probe *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		puts(table[i].id);
}

static void run(const struct probe *table, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++) {
		if (!wanted(&table[i], what))
			continue;
		printf("%s%s", table[i].id, table[i].how);
		errno = 0;
		table[i].shape(table[i].call);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	int option;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list(probes, PROBES);
		list(more_probes, more_probes_count);
		return 0;
	}
	while ((option = getopt(argc, argv, "r:c:d:")) != -1) {
		if (option == 'r' && (chroot(optarg) != 0 || chdir("/") != 0))
			return 3;
		if (option == 'c' && chdir(optarg) != 0)
			return 3;
		if (option == 'd' && (dir = open(optarg, O_RDONLY | O_DIRECTORY)) < 0)
			return 3;
		if (option == '?')
			return 2;
	}
	if (argc - optind < 2)
		return 2;
	path = strcmp(argv[optind], "@NULL@") == 0 ? NULL : argv[optind];
	for (int a = optind + 1; a < argc; a++) {
		run(probes, PROBES, argv[a]);
		run(more_probes, more_probes_count, argv[a]);
	}
	return 0;
}

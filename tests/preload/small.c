/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * small DIRECTORY [COMMAND...]: a program of another word size than the system's. Looks at DIRECTORY/version and its neighbours by calls of
 * every family, says what does not agree with what open() reads, then that, and executes COMMAND. Built as it is, where off_t and
 * time_t may have 32 bits, with 64 bits of off_t, and with 64 of both (-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <utime.h>

static char file[4096], text[4096];
static struct stat expected;

static int wrong(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int is_expected(const struct stat *st)
{
	return st->st_ino == expected.st_ino && st->st_dev == expected.st_dev &&
	       st->st_size == expected.st_size;
}

static int met(const char *path, const struct stat *st, int type, struct FTW *where)
{
	return type == FTW_F && where->level == 1 && strcmp(path, file) == 0 && is_expected(st) ? 7 : 0;
}

static int met_plain(const char *path, const struct stat *st, int type)
{
	return type == FTW_F && strcmp(path, file) == 0 && is_expected(st) ? 7 : 0;
}

static int looks(const char *directory)
{
	struct stat st;
	struct statvfs fs;
	char resolved[4096];
	int bad = 0;

	if (stat(file, &st) != 0 || !is_expected(&st))
		bad += wrong("stat");
	if (lstat(file, &st) != 0 || !is_expected(&st))
		bad += wrong("lstat");
	if (fstatat(AT_FDCWD, file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !is_expected(&st))
		bad += wrong("fstatat");
	if (access(file, R_OK) != 0 || statvfs(file, &fs) != 0)
		bad += wrong("access, statvfs");
	if (!realpath(file, resolved) || stat(resolved, &st) != 0 || !is_expected(&st))
		bad += wrong("realpath");
	if (syscall(SYS_access, file, R_OK) != 0)
		bad += wrong("access by number");
	if (nftw(directory, met, 4, 0) != 7)
		bad += wrong("nftw");
	if (ftw(directory, met_plain, 4) != 7)
		bad += wrong("ftw");
	return bad;
}

static int lists(const char *directory)
{
	char pattern[4096];
	glob_t names = { 0 };
	DIR *stream = opendir(directory);
	int count = 0, bad = 0;

	for (struct dirent *entry; stream && (entry = readdir(stream));)
		count += strcmp(entry->d_name, "version") == 0;
	if (count != 1 || closedir(stream) != 0)
		bad += wrong("opendir");
	snprintf(pattern, sizeof(pattern), "%s/vers*", directory);
	if (glob(pattern, 0, NULL, &names) != 0 || names.gl_pathc != 1 ||
	    strcmp(names.gl_pathv[0], file) != 0)
		bad += wrong("glob");
	globfree(&names);
	char *roots[] = { (char *)directory, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW, NULL);
	FTSENT *entry;
	count = 0;
	while (fts && (entry = fts_read(fts)))
		count += entry->fts_level == 1 && strcmp(entry->fts_path, file) == 0 &&
			 is_expected(entry->fts_statp);
	if (count != 1 || fts_close(fts) != 0)
		bad += wrong("fts");
	return bad;
}

static int refused(const char *what, int result)
{
	return result == 0 || errno != EROFS ? wrong(what) : 0;
}

/* To what is no socket: refused as that, which is another errno than that of a name which is not there. */
static int sends(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to) } };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), bad = 0;

	if (fd < 0 || strlen(file) >= sizeof(to.sun_path))
		return wrong("socket");
	strcpy(to.sun_path, file);
	if (sendmsg(fd, &message.msg_hdr, 0) == 0 || errno != ECONNREFUSED)
		bad += wrong("sendmsg");
	if (sendmmsg(fd, &message, 1, 0) == 0 || errno != ECONNREFUSED)
		bad += wrong("sendmmsg");
	close(fd);
	return bad;
}

static int writes(void)
{
	struct timeval times[2] = { { 0 } };
	int bad = 0, flags = 0, fd = open(file, O_RDONLY);

	bad += refused("truncate", truncate(file, 1));
	bad += refused("chown", chown(file, getuid(), getgid()));
	bad += refused("utimes", utimes(file, times));
	bad += refused("lutimes", lutimes(file, times));
	bad += refused("utime", utime(file, NULL));
	bad += refused("futimesat", futimesat(AT_FDCWD, file, times));
	bad += refused("utimensat", utimensat(AT_FDCWD, file, NULL, 0));
	bad += refused("futimens", futimens(fd, NULL));
	bad += refused("futimes", futimes(fd, times));
	bad += refused("ioctl", ioctl(fd, FS_IOC_SETFLAGS, &flags));
	bad += sends();
	close(fd);
	bad += refused("unlink", unlink(file));
	bad += refused("open", open(file, O_RDWR) < 0);
	return bad;
}

/* Does a mapping hold a pin? */
static int is_held(void)
{
	char line[8192];
	FILE *maps = fopen("/proc/self/maps", "r");
	int held = 0;

	while (maps && fgets(line, sizeof(line), maps))
		held = held || strstr(line, "/.rcu-repo/pins/") != NULL;
	if (maps)
		fclose(maps);
	return held;
}

int main(int argc, char **argv)
{
	FILE *stream;
	int fd, bad;

	if (argc < 2)
		return 2;
	snprintf(file, sizeof(file), "%s/version", argv[1]);
	fd = open(file, O_RDONLY);
	if (fd < 0 || fstat(fd, &expected) != 0 || read(fd, text, sizeof(text) - 1) < 0)
		return wrong(file);
	stream = fopen(file, "r");
	char again[sizeof(text)] = "";
	if (!stream || !fgets(again, sizeof(again), stream) || strcmp(again, text) != 0)
		return wrong("fopen");
	bad = looks(argv[1]) + lists(argv[1]);
	if (!getenv("SMALL_BARE"))
		bad += writes();
	if (bad)
		return 1;
	printf("%zu bits%s: %s", 8 * sizeof(long), is_held() ? ", held" : "", text);
	fflush(stdout);
	if (argc > 2) {
		execvp(argv[2], argv + 2);
		return wrong(argv[2]);
	}
	return 0;
}

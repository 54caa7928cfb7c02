/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/preload/probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <libintl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <mntent.h>
#include <nl_types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <wordexp.h>

int nftw_old(const char *name, int (*callback)(const char *, const struct stat *, int, struct FTW *),
	     int streams, int flags);
int nftw64_old(const char *name, int (*callback)(const char *, const struct stat64 *, int, struct FTW *),
	       int streams, int flags);
__asm__(".symver nftw_old, nftw@GLIBC_2.2.5");
__asm__(".symver nftw64_old, nftw64@GLIBC_2.2.5");

/* What libc exports and no header declares. */
FILE *__setmntent(const char *name, const char *mode);
FILE *_IO_file_fopen(FILE *stream, const char *name, const char *mode, int is32);
FILE *_IO_file_open(FILE *stream, const char *name, int flags, int mode, int can, int is32);
int __connect(int fd, const struct sockaddr *name, socklen_t length);
void *dlopen_old(const char *name, int mode);
void *dlmopen_old(Lmid_t space, const char *name, int mode);
__asm__(".symver dlopen_old, dlopen@GLIBC_2.2.5");
__asm__(".symver dlmopen_old, dlmopen@GLIBC_2.3.4");

#define WALK_MAX 60

static int met;
static bool there; /* FTW_CHDIR */

/* Longer walks stop; the root of the machine holds what others change. */
static bool walkable(void)
{
	struct stat st, root;

	met = 0;
	if (path && stat(path, &st) == 0 && stat("/", &root) == 0 && st.st_ino == root.st_ino &&
	    st.st_dev == root.st_dev)
		return false;
	errno = 0;
	return true;
}

/* A path below PATH, without it: its own spelling has to be kept, but for slashes at its end. */
static void say_below(const char *text)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (strncmp(text, path, length) != 0) {
		printf("other spelling: %s", text);
		return;
	}
	text += length;
	while (*text == '/')
		text++;
	say_name(text);
}

static int say_met(const char *text, const struct stat *st, int type)
{
	printf(" [%d ", type);
	say_below(text);
	if (type != FTW_NS)
		printf(" %lu %o", (unsigned long)st->st_ino, st->st_mode);
	putchar(']');
	return ++met < WALK_MAX ? 0 : 7;
}

static int say_met_at(const char *text, const struct stat *st, int type, struct FTW *where)
{
	int result = say_met(text, st, type);
	const char *slash = strrchr(text, '/');
	struct stat here;

	if (where->level > 0 || (slash && slash[1]))
		printf("%d%s", where->level, slash && text + where->base == slash + 1 ? "" : " other base");
	if (there && where->level > 0 && type == FTW_F)
		printf("%s", lstat(text + where->base, &here) == 0 ? " here" : "");
	errno = 0;
	return result;
}

/* ftw() follows links, also those that lead through latest again. */
static int say_first(const char *text, const struct stat *st, int type)
{
	int result = say_met(text, st, type);

	return getenv("PROBE_FOLLOW") ? result : 7;
}

static void tree_plain(any_call *call)
{
	if (walkable())
		say(((int (*)(const char *, int (*)(const char *, const struct stat *, int), int))call)(
			path, say_first, 20));
}

/* nftw() drops slashes at the end, and then it is the link that it looks at: a dot behind them stays. */
static const char *walk_path(char *room)
{
	sprintf(room, "%s%s", path, path[0] && path[strlen(path) - 1] == '/' ? "." : "");
	return room;
}

static void tree_flags(any_call *call, int streams, int flags)
{
	int follow = getenv("PROBE_FOLLOW") ? 0 : FTW_PHYS;
	char *room = malloc(strlen(path) + 2);
	char *before = getcwd(NULL, 0);

	there = flags & FTW_CHDIR;
	/* with FTW_CHDIR a path that is too long for the kernel is good, if its directory is not: pinned and bare differ */
	if (walkable() && !(strlen(path) >= PATH_MAX && there))
		say(((int (*)(const char *, int (*)(const char *, const struct stat *, int, struct FTW *),
			      int, int))call)(walk_path(room), say_met_at, streams, flags | follow));
	char *after = getcwd(NULL, 0);
	if (!before || !after || strcmp(before, after) != 0)
		printf(" another working directory");
	free(room);
	free(before);
	free(after);
	errno = 0;
}

static void tree_pre(any_call *call)
{
	tree_flags(call, 20, 0);
}

static void tree_post(any_call *call)
{
	tree_flags(call, 1, FTW_DEPTH | FTW_MOUNT);
}

static void tree_there(any_call *call)
{
	tree_flags(call, 2, FTW_CHDIR);
}

static void tree_there_post(any_call *call)
{
	tree_flags(call, 1, FTW_CHDIR | FTW_DEPTH);
}

static void tree_unknown_flag(any_call *call)
{
	tree_flags(call, 1, 1 << 20);
}

/* --- fts --- */

typedef FTS *open_call(char *const *, int, int (*)(const FTSENT **, const FTSENT **));
typedef FTSENT *read_call(FTS *);
typedef FTSENT *children_call(FTS *, int);
typedef int close_call(FTS *);

static open_call *stream_open;
static read_call *stream_read;
static children_call *stream_children;
static close_call *stream_close;

static int by_name(const FTSENT **left, const FTSENT **right)
{
	return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void say_entry(const FTSENT *e)
{
	printf(" [%d %d ", e->fts_info, e->fts_level);
	say_below(e->fts_path);
	if (strlen(e->fts_path) != e->fts_pathlen || strlen(e->fts_name) != e->fts_namelen)
		printf(" other length");
	if (e->fts_level > 0) {
		putchar(' ');
		say_name(e->fts_name);
	}
	if (e->fts_info != FTS_NS && e->fts_info != FTS_DNR)
		printf(" %lu", (unsigned long)e->fts_statp->st_ino);
	int error = errno;
	struct stat st;
	if (e->fts_info == FTS_F || e->fts_info == FTS_SL)
		printf("%s",
		       lstat(e->fts_accpath, &st) == 0 && st.st_ino == e->fts_statp->st_ino ? " there" : "");
	errno = error;
	putchar(']');
}

static void stream_walk(int options)
{
	char *roots[] = { (char *)path, NULL };
	FTS *fts;
	FTSENT *e = NULL;

	if (!walkable())
		return;
	fts = stream_open(roots, options, by_name);
	say(fts ? 0 : -1);
	if (!fts)
		return;
	while (met++ < WALK_MAX && (e = stream_read(fts))) {
		size_t count = 0;

		say_entry(e);
		if (e->fts_info != FTS_D)
			continue;
		/* afterwards libc may have left a slash at the end of the path */
		for (FTSENT *c = stream_children(fts, 0); c; c = c->fts_link)
			count++;
		printf(" %zu children", count);
	}
	say(e != NULL);
	say(stream_close(fts));
}

/* PROBE_FROZEN is set where the pinned program and the bare one see one version in latest. */
static void stream_walks(any_call *call)
{
	(void)call;
	stream_walk(FTS_PHYSICAL);
	stream_walk(FTS_PHYSICAL | FTS_NOCHDIR);
	stream_walk(FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_SEEDOT);
	if (getenv("PROBE_FROZEN"))
		stream_walk(FTS_LOGICAL);
}

#define STREAM(open, read, children, close)                        \
	stream_open = (open_call *)(any_call *)(open);             \
	stream_read = (read_call *)(any_call *)(read);             \
	stream_children = (children_call *)(any_call *)(children); \
	stream_close = (close_call *)(any_call *)(close)

static void stream(any_call *call)
{
	STREAM(fts_open, fts_read, fts_children, fts_close);
	stream_walks(call);
}

static void stream64(any_call *call)
{
	STREAM(fts64_open, fts64_read, fts64_children, fts64_close);
	stream_walks(call);
}

/* --- system calls by number --- */

static void say_object(long fd)
{
	struct stat st;

	say(fd < 0 ? -1 : 0);
	if (fd >= 0 && fstat((int)fd, &st) == 0)
		say_stat(&st);
	if (fd >= 0)
		close((int)fd);
	errno = 0;
}

static void say_looked(long result, const struct stat *st)
{
	say(result);
	if (result == 0)
		say_stat(st);
}

static void say_said(long length, const char *text)
{
	say(length);
	if (length > 0)
		printf(" %.*s", (int)length, text);
}

static void raw_open(any_call *call)
{
	(void)call;
	say_object(syscall(SYS_open, path, O_RDONLY));
	say_object(syscall(SYS_open, path, O_RDONLY | O_NOFOLLOW | O_PATH));
}

static void raw_openat(any_call *call)
{
	(void)call;
	say_object(syscall(SYS_openat, dir, path, O_RDONLY));
	say_object(syscall(SYS_openat, dir, path, O_RDONLY | O_DIRECTORY));
}

/* EAGAIN: somebody, anywhere, has renamed or mounted something while a ".." was walked (openat2(2)). */
static long open_in_root(int root, struct open_how *how)
{
	long fd;

	do {
		errno = 0;
		fd = syscall(SYS_openat2, root, path, how, sizeof(*how));
	} while (fd < 0 && errno == EAGAIN);
	return fd;
}

static void in_root(int root)
{
	struct open_how how = { .resolve = RESOLVE_IN_ROOT };

	for (int flags = O_RDONLY; flags <= O_RDWR; flags += O_RDWR) {
		how.flags = (unsigned)flags;
		say_object(open_in_root(root, &how));
		how.flags |= O_NOFOLLOW;
		say_object(open_in_root(root, &how));
	}
}

static void raw_openat2(any_call *call)
{
	struct open_how how = { .flags = O_RDONLY };

	(void)call;
	say_object(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
	how.flags = O_PATH | O_NOFOLLOW;
	say_object(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
	if (getenv("PROBE_FROZEN")) {
		in_root(dir);
		int root = open("/", O_PATH | O_DIRECTORY);
		in_root(root);
		close(root);
	}
}

static void raw_stat(any_call *call)
{
	struct stat st;

	(void)call;
	say_looked(syscall(SYS_stat, path, &st), &st);
	say_looked(syscall(SYS_lstat, path, &st), &st);
}

static void raw_statat(any_call *call)
{
	struct stat st;
	struct statx stx;

	(void)call;
	say_looked(syscall(SYS_newfstatat, dir, path, &st, 0), &st);
	say_looked(syscall(SYS_newfstatat, dir, path, &st, AT_SYMLINK_NOFOLLOW), &st);
	for (int flags = 0; flags <= AT_SYMLINK_NOFOLLOW; flags += AT_SYMLINK_NOFOLLOW) {
		long result = syscall(SYS_statx, dir, path, flags, STATX_BASIC_STATS, &stx);

		say(result);
		if (result == 0)
			printf(" %llu", (unsigned long long)stx.stx_ino);
	}
}

static void raw_access(any_call *call)
{
	(void)call;
	say(syscall(SYS_access, path, R_OK));
	say(syscall(SYS_faccessat, dir, path, F_OK));
	say(syscall(SYS_faccessat2, dir, path, R_OK, AT_SYMLINK_NOFOLLOW));
}

static void raw_link(any_call *call)
{
	char text[4096];

	(void)call;
	say_said(syscall(SYS_readlink, path, text, sizeof(text)), text);
	say_said(syscall(SYS_readlinkat, dir, path, text, sizeof(text)), text);
}

static void raw_xattr(any_call *call)
{
	char text[256];

	(void)call;
	say_said(syscall(SYS_getxattr, path, "user.version", text, sizeof(text)), text);
	say_said(syscall(SYS_lgetxattr, path, "user.version", text, sizeof(text)), text);
	say(syscall(SYS_listxattr, path, text, sizeof(text)));
	say(syscall(SYS_llistxattr, path, text, sizeof(text)));
}

static void raw_chdir(any_call *call)
{
	char text[8192];
	int back = open(".", O_PATH | O_DIRECTORY);

	(void)call;
	errno = 0;
	long result = syscall(SYS_chdir, path);
	say(result);
	if (result == 0)
		say_name(getcwd(text, sizeof(text)) ? text : "?");
	if (fchdir(back) != 0)
		exit(3);
	close(back);
	errno = 0;
}

static void raw_ring(any_call *call)
{
	char parameters[256] = { 0 };

	(void)call;
	/* pinned: ENOSYS; the test looks for that */
	long ring = syscall(SYS_io_uring_setup, 1, parameters);
	if (getenv("PROBE_RING"))
		say(ring);
	if (ring >= 0)
		close((int)ring);
	errno = 0;
}

/* --- calls of one purpose --- */

/* What a watch or mark of this process is on: the line of fdinfo that names an inode. */
static void say_watched(int fd, const char *what)
{
	char name[64], line[512];

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(name, "r");
	while (info && fgets(line, sizeof(line), info))
		if (strncmp(line, what, strlen(what)) == 0 && strstr(line, "ino:"))
			printf(" %.*s", (int)strcspn(strstr(line, "ino:"), " \n"), strstr(line, "ino:"));
	if (info)
		fclose(info);
	errno = 0;
}

static void watch(any_call *call)
{
	int fd = inotify_init1(IN_CLOEXEC);

	(void)call;
	errno = 0;
	say(inotify_add_watch(fd, path, IN_MODIFY) < 0 ? -1 : 0);
	say_watched(fd, "inotify");
	say(inotify_add_watch(fd, path, IN_MODIFY | IN_DONT_FOLLOW) < 0 ? -1 : 0);
	say_watched(fd, "inotify");
	close(fd);
}

static void mark(any_call *call)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);

	(void)call;
	if (fd < 0) { /* not for us here */
		errno = 0;
		return;
	}
	say(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, dir, path));
	say_watched(fd, "fanotify ino");
	close(fd);
}

static void handle(any_call *call)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h;

	(void)call;
	for (int flags = 0; flags <= AT_SYMLINK_FOLLOW; flags += AT_SYMLINK_FOLLOW) {
		int mount = 0;

		memset(&h, 0, sizeof(h));
		h.handle.handle_bytes = MAX_HANDLE_SZ;
		int result = name_to_handle_at(dir, path, &h.handle, &mount, flags);
		say(result);
		for (unsigned i = 0; result == 0 && i < h.handle.handle_bytes; i++)
			printf("%02x", h.handle.f_handle[i]);
	}
}

static void key(any_call *call)
{
	(void)call;
	say(ftok(path, 'k'));
}

static void catalogue(any_call *call)
{
	nl_catd catalogue = catopen(path, 0);

	(void)call;
	say(catalogue == (nl_catd)-1 ? -1 : 0);
	if (catalogue != (nl_catd)-1)
		catclose(catalogue);
}

static void domain(any_call *call)
{
	const char *directory = bindtextdomain("probe", path);
	struct stat st;

	(void)call;
	say(directory ? 0 : -1);
	if (directory && stat(directory, &st) == 0)
		say_stat(&st);
	errno = 0;
}

static void table(any_call *call)
{
	FILE *stream = ((FILE * (*)(const char *, const char *)) call)(path, "r");

	say_object(stream ? dup(fileno(stream)) : -1);
	if (stream)
		fclose(stream);
	errno = 0;
}

static void stream_on(any_call *call)
{
	FILE *stream = fopen("/dev/null", "r");

	(void)call;
	close(fileno(stream));
	stream->_fileno = -1;
	errno = 0;
	FILE *opened = _IO_file_fopen(stream, path, "r", 0);
	say_object(opened ? dup(opened->_fileno) : -1);
	fclose(stream);
	errno = 0;
}

static void stream_by_flags(any_call *call)
{
	FILE *stream = fopen("/dev/null", "r");

	(void)call;
	close(fileno(stream));
	stream->_fileno = -1;
	errno = 0;
	FILE *opened = _IO_file_open(stream, path, O_RDONLY, 0, 0x8, 0);
	say_object(opened ? dup(opened->_fileno) : -1);
	fclose(stream);
	errno = 0;
}

static void say_words(const char *end)
{
	char *text = malloc(strlen(path) + strlen(end) + 3);
	wordexp_t words;

	sprintf(text, "\"%s\"%s", path, end);
	int error = wordexp(text, &words, WRDE_NOCMD);
	printf(" %d", error);
	for (size_t i = 0; error == 0 && i < words.we_wordc; i++) {
		putchar(' ');
		say_below(words.we_wordv[i]);
	}
	if (error == 0)
		wordfree(&words);
	free(text);
	errno = 0;
}

static void expand(any_call *call)
{
	(void)call;
	say_words("*");
	say_words("/*");
	say_words("/\"di\"?/*");
	say_words("/[!*]*");
}

/* ld.so says what it thinks of a file that is no object. */
static void say_loaded(void *object)
{
	const char *error = dlerror();
	const char *cause = error ? strrchr(error, ':') : NULL;

	printf(" %s%s", object ? "loaded" : "", cause ? cause : "");
	if (object)
		dlclose(object);
	errno = 0;
}

static void load(any_call *call)
{
	say_loaded(((void *(*)(const char *, int))call)(path, RTLD_LAZY));
}

static void load_in(any_call *call)
{
	say_loaded(((void *(*)(Lmid_t, const char *, int))call)(LM_ID_BASE, path, RTLD_LAZY));
}

static socklen_t address_of(struct sockaddr_un *name)
{
	memset(name, 0, sizeof(*name));
	name->sun_family = AF_UNIX;
	if (!path || strlen(path) > sizeof(name->sun_path))
		return 0;
	memcpy(name->sun_path, path, strlen(path));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

static void socket_connect(any_call *call)
{
	struct sockaddr_un name;
	socklen_t length = address_of(&name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	/* a path that has no room in an address has none for its other spelling's errno */
	if (length)
		say(((int (*)(int, const struct sockaddr_un *, socklen_t))call)(fd, &name, length));
	close(fd);
}

static void socket_send(any_call *call)
{
	struct sockaddr_un name;
	struct mmsghdr message = { .msg_hdr = { .msg_name = &name, .msg_namelen = address_of(&name) } };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (message.msg_hdr.msg_namelen) {
		if (call == (any_call *)sendto)
			say(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, message.msg_hdr.msg_namelen));
		else if (call == (any_call *)sendmsg)
			say(sendmsg(fd, &message.msg_hdr, 0));
		else
			say(sendmmsg(fd, &message, 1, 0));
	}
	close(fd);
}

static void tree_opened(any_call *call)
{
	(void)call;
	say_object(open_tree(dir, path, 0));
	say_object(open_tree(dir, path, AT_SYMLINK_NOFOLLOW));
}

const struct probe more_probes[] = {
	PROBE(ftw, "", tree_plain, false, false),
	PROBE(ftw64, "", tree_plain, false, false),
	PROBE(nftw, "", tree_pre, false, false),
	PROBE(nftw, "+DEPTH", tree_post, false, false),
	PROBE(nftw, "+CHDIR", tree_there, false, false),
	PROBE(nftw, "+CHDIR+DEPTH", tree_there_post, false, false),
	PROBE(nftw, "+unknown", tree_unknown_flag, false, false),
	PROBE(nftw64, "", tree_post, false, false),
	PROBE(nftw_old, "+unknown", tree_unknown_flag, false, false),
	PROBE(nftw64_old, "+CHDIR", tree_there, false, false),
	PROBE(fts_open, "", stream, false, false),
	PROBE(fts_read, "", stream, false, false),
	PROBE(fts_children, "", stream, false, false),
	PROBE(fts_close, "", stream, false, false),
	PROBE(fts64_open, "", stream64, false, false),
	PROBE(fts64_read, "", stream64, false, false),
	PROBE(fts64_children, "", stream64, false, false),
	PROBE(fts64_close, "", stream64, false, false),
	PROBE(wordexp, "", expand, false, false),
	PROBE(inotify_add_watch, "", watch, false, true),
	PROBE(fanotify_mark, "", mark, true, false),
	PROBE(name_to_handle_at, "", handle, true, true),
	PROBE(ftok, "", key, false, true),
	PROBE(catopen, "", catalogue, false, false),
	PROBE(bindtextdomain, "", domain, false, true),
	PROBE(setmntent, "", table, false, false),
	PROBE(__setmntent, "", table, false, false),
	PROBE(_IO_file_fopen, "", stream_on, false, false),
	PROBE(_IO_file_open, "", stream_by_flags, false, false),
	PROBE(dlopen, "", load, false, false),
	PROBE(dlopen_old, "", load, false, false),
	PROBE(dlmopen, "", load_in, false, false),
	PROBE(dlmopen_old, "", load_in, false, false),
	PROBE(connect, "", socket_connect, false, false),
	PROBE(__connect, "", socket_connect, false, false),
	PROBE(sendto, "", socket_send, false, false),
	PROBE(sendmsg, "", socket_send, false, false),
	PROBE(sendmmsg, "", socket_send, false, false),
	PROBE(open_tree, "", tree_opened, true, true),
	PROBE(syscall, "+open", raw_open, false, true),
	PROBE(syscall, "+openat", raw_openat, true, true),
	PROBE(syscall, "+openat2", raw_openat2, true, true),
	PROBE(syscall, "+stat", raw_stat, false, true),
	PROBE(syscall, "+statx", raw_statat, true, true),
	PROBE(syscall, "+access", raw_access, false, true),
	PROBE(syscall, "+readlink", raw_link, false, true),
	PROBE(syscall, "+xattr", raw_xattr, false, true),
	PROBE(syscall, "+chdir", raw_chdir, false, true),
	PROBE(syscall, "+io_uring", raw_ring, false, true),
};

const size_t more_probes_count = sizeof(more_probes) / sizeof(more_probes[0]);

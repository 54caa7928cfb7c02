/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/tree/tree.h"
#include "tests/unit/skip.h"

#define DEEP 10000
#define LONG_NAME_BYTES 255

static char root[64];
static int at; /* the test's directory, also our cwd */

/* A child says what it found by its exit status. */
enum {
	CHILD_GOOD,
	CHILD_BAD,
	CHILD_SKIP = 77
};

static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/rcu-tree.XXXXXX");
	if (mkdtemp(root) == NULL || chdir(root) != 0)
		return -1;
	at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	umask(022);
	return at < 0;
}

static int tear_down(void **state)
{
	char *command = alloc_printf("rm -rf -- %s", root);

	(void)state;
	close(at);
	int result = chdir("/") != 0 || system(command) != 0;
	free(command);
	return result;
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void set_time(const char *name, time_t seconds, long nanoseconds)
{
	const struct timespec times[2] = { { seconds + 1, nanoseconds }, { seconds, nanoseconds } };

	assert_int_equal(utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static struct stat look(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st;
}

static ino_t ino(const char *name)
{
	return look(name).st_ino;
}

static bool is_there(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void run_ok(const char *command)
{
	assert_int_equal(system(command), 0);
}

#define good(call)                                           \
	do {                                                 \
		struct err err = ERR_NONE;                   \
		if ((call) != 0)                             \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

static int same(const char *a, const char *b)
{
	struct err err = ERR_NONE;
	int result = tree_same(at, a, at, b, &err);

	if (result < 0)
		fail_msg("%s", err.text);
	return result;
}

static void copy(const char *from, const char *to)
{
	const mode_t was = umask(077); /* nothing may depend on it */

	good(tree_copy(at, from, at, to, &err));
	umask(was);
}

static void share(const char *mine, const char *theirs)
{
	good(tree_share(at, mine, at, theirs, "spare", &err));
	assert_false(is_there("spare"));
}

/* Runs `body` in a child; its status. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_BAD;
}

static void child_good(int (*body)(void))
{
	int status = in_child(body);

	if (status == CHILD_SKIP)
		skip_test("this machine lacks a right that it needs");
	assert_int_equal(status, CHILD_GOOD);
}

static void make_long_name(char *name)
{
	memset(name, 'n', LONG_NAME_BYTES);
	name[LONG_NAME_BYTES] = '\0';
}

/* What a tree can hold, as far as this user and this file system can make it. */
static void make_rich(const char *name)
{
	char long_name[LONG_NAME_BYTES + 1];
	char target[4000];
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };

	assert_int_equal(mkdir(name, 0750), 0);
	umask(0);
	assert_int_equal(chdir(name), 0);
	put("file", "content");
	put("empty", "");
	put("set-id", "x");
	chmod("set-id", 06755);
	put("no one", "secret");
	chmod("no one", 0);
	put(" a\nb\t\\ \xff\x01", "odd name");
	make_long_name(long_name);
	put(long_name, "long name");
	mkdir("dir", 01777);
	mkdir("dir/closed", 0700);
	put("dir/closed/deep", "deep");
	chmod("dir/closed", 0500);
	mkdir("dir/empty", 0711);
	assert_int_equal(link("file", "dir/closed/file-too"), 0);
	assert_int_equal(link("file", "dir/file-three"), 0);
	assert_int_equal(symlink("no such thing", "dangling"), 0);
	assert_int_equal(link("dangling", "dangling-too"), 0);
	memset(target, 't', sizeof(target));
	for (size_t i = 100; i < sizeof(target); i += 100)
		target[i] = '/';
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(symlink(target, "long-target"), 0);
	assert_int_equal(symlink("../..", "up"), 0);
	assert_int_equal(mkfifo("fifo", 0640), 0);
	assert_int_equal(link("fifo", "dir/fifo-too"), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	fd = open("sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, "middle", 6, 5000000), 6);
	assert_int_equal(ftruncate(fd, 10000000), 0);
	close(fd);
	run_ok("head -c 300001 /dev/urandom > big");
	if (geteuid() == 0) {
		assert_int_equal(lchown("dangling", 12, 34), 0);
		assert_int_equal(chown("dir/empty", 5, 6), 0);
		assert_int_equal(chown("set-id", 1, 1), 0);
		chmod("set-id", 06755);
		assert_int_equal(chown("fifo", 7, 8), 0);
	}
	set_time("file", 1000000007, 123456789);
	set_time("sparse", -5, 999999999);
	set_time("dangling", 1111111111, 1);
	set_time("fifo", 1222222222, 2);
	set_time("dir/closed", 1333333333, 3);
	set_time("dir/empty", 1333333334, 4);
	set_time("dir", 1444444444, 5);
	set_time(".", 1555555555, 6);
	umask(022);
	assert_int_equal(chdir(root), 0);
}

/* 0 where this user and file system have them. */
static int make_attributes(const char *name)
{
	static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 4 };
	int missing;

	assert_int_equal(chdir(name), 0);
	struct stat was = look("dir/empty");
	missing = setxattr("set-id", "security.capability", capability, sizeof(capability), 0);
	missing |= setxattr("file", "user.empty", "", 0, 0);
	missing |= setxattr("file", "user.one", "a\0b", 3, 0);
	missing |= setxattr("dir", "user.of-dir", "dir", 3, 0);
	missing |= lsetxattr("dangling", "trusted.of-link", "link", 4, 0);
	missing |= lsetxattr("fifo", "trusted.of-fifo", "fifo", 4, 0);
	missing |= system("setfacl -m u:12:rwx,g:34:r big && setfacl -m d:u:12:rx,u:13:rwx dir/empty");
	set_time("dir/empty", was.st_mtim.tv_sec, was.st_mtim.tv_nsec);
	assert_int_equal(chdir(root), 0);
	return missing;
}

/* What another program makes of it: rsync sees no difference. */
static void rsync_agrees(const char *a, const char *b)
{
	char *command = alloc_printf(
		"rsync -naHAXi --specials --devices --delete --modify-window=-1 -c %s/ %s/ > out", a, b);

	run_ok(command);
	free(command);
	if (look("out").st_size != 0) {
		run_ok("cat out >&2");
		fail_msg("rsync would still change something");
	}
}

static bool shares_inode(const char *a, const char *b)
{
	char *command = alloc_printf(
		"{ find %s -printf '%%i\\n' | sort -u; find %s -printf '%%i\\n' | sort -u; } |"
		" sort | uniq -d | grep -q .",
		a, b);
	int status = system(command);

	free(command);
	return status == 0;
}

static void test_copy_is_faithful(void **state)
{
	(void)state;
	make_rich("a");
	copy("a", "b");
	assert_int_equal(look("b/file").st_atim.tv_sec, 1000000008);
	assert_int_equal(same("a", "b"), 1);
	assert_false(shares_inode("a", "b"));
	assert_int_equal(ino("b/file"), ino("b/dir/closed/file-too"));
	assert_int_equal(ino("b/file"), ino("b/dir/file-three"));
	assert_int_equal(look("b/file").st_nlink, 3);
	assert_int_equal(ino("b/dangling"), ino("b/dangling-too"));
	assert_int_equal(ino("b/fifo"), ino("b/dir/fifo-too"));
	assert_int_equal(look("b/set-id").st_mode & 07777, 06755);
	assert_int_equal(look("b/dir").st_mode & 07777, 01777);
	assert_int_equal(look("b").st_mtim.tv_nsec, 6);
	assert_int_equal(look("b").st_mtim.tv_sec, 1555555555);
	assert_true(look("b/sparse").st_blocks <= look("a/sparse").st_blocks);
	assert_int_equal(look("b/sparse").st_size, 10000000);
}

static void test_rsync_sees_no_difference(void **state)
{
	(void)state;
	if (system("rsync --version >/dev/null 2>&1") != 0)
		skip_not_installed("there is no rsync here");
	make_rich("a");
	make_attributes("a");
	copy("a", "b");
	rsync_agrees("a", "b");
	assert_int_equal(truncate("b/big", 5), 0);
	assert_int_equal(same("a", "b"), 0);
}

static void test_copy_keeps_attributes(void **state)
{
	char value[8];

	(void)state;
	make_rich("a");
	if (make_attributes("a") != 0)
		skip_test("this file system, or user, cannot set all attributes");
	copy("a", "b");
	assert_int_equal(same("a", "b"), 1);
	assert_int_equal(getxattr("b/file", "user.one", value, sizeof(value)), 3);
	assert_memory_equal(value, "a\0b", 3);
	assert_int_equal(getxattr("b/file", "user.empty", value, sizeof(value)), 0);
	assert_int_equal(lgetxattr("b/dangling", "trusted.of-link", value, sizeof(value)), 4);
	assert_int_equal(lgetxattr("b/fifo", "trusted.of-fifo", value, sizeof(value)), 4);
	assert_true(getxattr("b/set-id", "security.capability", NULL, 0) > 0);
	assert_true(getxattr("b/big", "system.posix_acl_access", NULL, 0) > 0);
	assert_true(getxattr("b/dir/empty", "system.posix_acl_default", NULL, 0) > 0);
}

/* The directory that it is made in hands down an ACL, which is not the source's. */
static void test_copy_takes_no_acl_from_its_parent(void **state)
{
	(void)state;
	make_rich("a");
	assert_int_equal(mkdir("parent", 0755), 0);
	if (system("setfacl -m d:u:55:rwx parent 2>/dev/null") != 0)
		skip_test("no ACL can be set here");
	copy("a", "parent/b");
	assert_int_equal(same("a", "parent/b"), 1);
	assert_int_equal(getxattr("parent/b", "system.posix_acl_default", NULL, 0), -1);
	assert_int_equal(getxattr("parent/b/file", "system.posix_acl_access", NULL, 0), -1);
}

static void test_copy_makes_devices(void **state)
{
	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	if (mknod("a/null", S_IFCHR | 0666, makedev(1, 3)) != 0 ||
	    mknod("a/loop", S_IFBLK | 0660, makedev(7, 1)) != 0)
		skip_test("no device node can be made here");
	copy("a", "b");
	assert_int_equal(same("a", "b"), 1);
	assert_true(S_ISCHR(look("b/null").st_mode));
	assert_int_equal(look("b/loop").st_rdev, makedev(7, 1));
	unlink("b/null");
	assert_int_equal(mknod("b/null", S_IFCHR | 0666, makedev(1, 5)), 0);
	chmod("b/null", look("a/null").st_mode & 07777);
	set_time("b/null", look("a/null").st_mtim.tv_sec, look("a/null").st_mtim.tv_nsec);
	set_time("b", look("a").st_mtim.tv_sec, look("a").st_mtim.tv_nsec);
	assert_int_equal(same("a", "b"), 0);
}

static void test_copy_refuses_what_exists(void **state)
{
	struct err err = ERR_NONE;

	(void)state;
	make_rich("a");
	assert_int_equal(mkdir("b", 0755), 0);
	assert_int_equal(tree_copy(at, "a", at, "b", &err), -1);
	assert_non_null(strstr(err.text, "File exists"));
	assert_false(is_there("b/file"));
	err_clear(&err);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(tree_copy(at, "link", at, "c", &err), -1);
	assert_false(is_there("c/file"));
}

/* Each makes one difference to the copy "b"; 1 where it cannot be made here. */
static int differ_mode(void)
{
	return chmod("b/file", 0600);
}

static int differ_set_id(void)
{
	return chmod("b/set-id", 0755);
}

static int differ_dir_mode(void)
{
	return chmod("b/dir/closed", 0700);
}

static int differ_owner(void)
{
	return lchown("b/dangling", 12, 35);
}

static int differ_time(void)
{
	set_time("b/file", 1000000007, 123456788);
	return 0;
}

static int differ_dir_time(void)
{
	set_time("b/dir/closed", 1333333333, 4);
	return 0;
}

static int differ_root_time(void)
{
	set_time("b", 1555555555, 7);
	return 0;
}

static int differ_link_time(void)
{
	set_time("b/dangling", 1111111111, 2);
	return 0;
}

/* Puts "b"'s own times back, so that the difference is not seen by them. */
static int restore_root(void)
{
	set_time("b", 1555555555, 6);
	return 0;
}

static int differ_content(void)
{
	put("b/file", "Content");
	set_time("b/file", 1000000007, 123456789);
	return 0;
}

static int differ_late_content(void)
{
	struct stat was = look("b/big");
	int fd = open("b/big", O_WRONLY | O_CLOEXEC);
	char last;
	int from = open("a/big", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(from, &last, 1, 300000), 1);
	last = (char)(last + 1);
	assert_int_equal(pwrite(fd, &last, 1, 300000), 1);
	close(fd);
	close(from);
	set_time("b/big", was.st_mtim.tv_sec, was.st_mtim.tv_nsec);
	return 0;
}

static int differ_more_names(void)
{
	put("b/new", "");
	return restore_root();
}

static int differ_fewer_names(void)
{
	unlink("b/empty");
	return restore_root();
}

static int differ_name(void)
{
	rename("b/empty", "b/Empty");
	return restore_root();
}

static int differ_target(void)
{
	struct stat was = look("b/up");

	unlink("b/up");
	assert_int_equal(symlink("../.,", "b/up"), 0);
	set_time("b/up", was.st_mtim.tv_sec, was.st_mtim.tv_nsec);
	return restore_root();
}

static int differ_kind(void)
{
	struct stat was = look("b/empty");

	unlink("b/empty");
	assert_int_equal(mkdir("b/empty", 0644), 0);
	set_time("b/empty", was.st_mtim.tv_sec, was.st_mtim.tv_nsec);
	return restore_root();
}

static int differ_parted_link(void)
{
	rename("b/dir/file-three", "kept");
	run_ok("cp -a kept b/dir/file-three");
	set_time("b/dir", 1444444444, 5);
	return 0;
}

static int differ_joined_link(void)
{
	run_ok("cp -a a/file a/twin; cp -a b/file b/twin");
	set_time("a", 1555555555, 6);
	restore_root();
	assert_int_equal(same("a", "b"), 1);
	unlink("b/twin");
	assert_int_equal(link("b/file", "b/twin"), 0);
	return restore_root();
}

static int differ_attribute(void)
{
	return setxattr("b/file", "user.more", "1", 1, 0);
}

static int differ_attribute_value(void)
{
	assert_int_equal(setxattr("a/file", "user.value", "1", 1, 0), 0);
	assert_int_equal(setxattr("b/file", "user.value", "1", 1, 0), 0);
	assert_int_equal(same("a", "b"), 1);
	return setxattr("b/file", "user.value", "2", 1, 0);
}

static int differ_dir_attribute(void)
{
	return setxattr("a/dir", "user.more", "1", 1, 0);
}

static int differ_acl(void)
{
	return system("setfacl -m d:u:55:rwx b/dir/empty 2>/dev/null");
}

static void test_same_sees_every_difference(void **state)
{
	static const struct {
		const char *name;
		int (*make)(void);
	} list[] = {
		{ "mode", differ_mode },
		{ "set-id", differ_set_id },
		{ "mode of a directory", differ_dir_mode },
		{ "owner", differ_owner },
		{ "nanoseconds", differ_time },
		{ "time of a directory", differ_dir_time },
		{ "time of the root", differ_root_time },
		{ "time of a link", differ_link_time },
		{ "content", differ_content },
		{ "last byte of a big file", differ_late_content },
		{ "one name more", differ_more_names },
		{ "one name less", differ_fewer_names },
		{ "another name", differ_name },
		{ "target of a link", differ_target },
		{ "kind", differ_kind },
		{ "a hard link parted", differ_parted_link },
		{ "two files joined", differ_joined_link },
		{ "an attribute more", differ_attribute },
		{ "value of an attribute", differ_attribute_value },
		{ "attribute of a directory", differ_dir_attribute },
		{ "default ACL", differ_acl },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		make_rich("a");
		copy("a", "b");
		assert_int_equal(same("a", "b"), 1);
		if (list[i].make() != 0)
			print_message("# not possible here: %s\n", list[i].name);
		else if (same("a", "b") != 0 || same("b", "a") != 0)
			fail_msg("not seen: %s", list[i].name);
		run_ok("rm -rf a b kept");
	}
}

/* Everything with a chain of directories that no path could name, and few descriptors. */
static void make_deep(const char *name)
{
	char long_name[LONG_NAME_BYTES + 1];
	int dir = fcntl(at, F_DUPFD_CLOEXEC, 0);

	make_long_name(long_name);
	for (int i = 0; i < DEEP; i++) {
		const char *part = i == 0 ? name : i % 100 == 0 ? long_name : "d";

		assert_int_equal(mkdirat(dir, part, 0755), 0);
		int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(dir);
		dir = next;
		if (i == 50)
			assert_int_equal(mkdirat(dir, "beside", 0755), 0);
		if (i == 60) /* linked again far below */
			assert_int_equal(close(openat(dir, "first", O_WRONLY | O_CREAT, 0644)), 0);
	}
	int fd = openat(dir, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "bottom", 6), 6);
	assert_int_equal(linkat(dir, "bottom", dir, "bottom-too", 0), 0);
	close(fd);
	close(dir);
}

static void test_ten_thousand_levels(void **state)
{
	const struct rlimit few = { 100, 100 };
	struct rlimit was;
	uint64_t files, bytes, own;

	(void)state;
	make_deep("a");
	getrlimit(RLIMIT_NOFILE, &was);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ few.rlim_cur, was.rlim_max }), 0);
	copy("a", "b");
	assert_int_equal(same("a", "b"), 1);
	share("b", "a");
	assert_int_equal(same("a", "b"), 1);
	good(tree_measure(at, "b", &files, &bytes, &own, &err));
	assert_int_equal(files, 3);
	assert_true(own < bytes);
	good(tree_delete(at, "a", &err));
	good(tree_measure(at, "b", &files, &bytes, &own, &err));
	assert_int_equal(own, bytes);
	good(tree_delete(at, "b", &err));
	setrlimit(RLIMIT_NOFILE, &was);
	assert_false(is_there("a"));
	assert_false(is_there("b"));
}

/* A directory that only one side has, deeper than descriptors are kept, and a file behind it. */
static void test_share_behind_a_deep_directory(void **state)
{
	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("a/c", 0755), 0);
	put("a/c/z", "z");
	copy("a", "b");
	run_ok("mkdir -p b/c/$(printf 'd/%.0s' $(seq 100))");
	share("b", "a");
	assert_int_equal(ino("a/c/z"), ino("b/c/z"));
}

static void test_hard_links_far_apart(void **state)
{
	(void)state;
	run_ok("mkdir -p a/b/$(printf 'd/%.0s' $(seq 80)) a/c/$(printf 'd/%.0s' $(seq 60));"
	       "echo 1 > a/b/$(printf 'd/%.0s' $(seq 80))x; ln a/b/$(printf 'd/%.0s' $(seq 80))x"
	       " a/c/$(printf 'd/%.0s' $(seq 60))x");
	copy("a", "b");
	assert_int_equal(same("a", "b"), 1);
	run_ok("test $(find b -name x -links 2 -printf '%i\\n' | sort -u | wc -l) = 1");
}

static void test_share_links_what_is_equal(void **state)
{
	struct stat before;

	(void)state;
	make_rich("a");
	copy("a", "b");
	put("b/empty", "no more");
	chmod("b/no one", 0400);
	set_time("b", 1555555555, 6);
	before = look("a");
	share("b", "a");
	assert_int_equal(ino("a/big"), ino("b/big"));
	assert_int_equal(ino("a/dir/closed/deep"), ino("b/dir/closed/deep"));
	assert_int_equal(ino("a/up"), ino("b/up"));
	assert_int_equal(ino("a/fifo"), ino("b/dir/fifo-too"));
	assert_int_equal(ino("a/file"), ino("b/dir/closed/file-too"));
	assert_int_not_equal(ino("a/empty"), ino("b/empty"));
	assert_int_not_equal(ino("a/no one"), ino("b/no one"));
	assert_int_equal(look("b").st_mtim.tv_nsec, 6);
	assert_int_equal(look("b/dir").st_mtim.tv_nsec, 5);
	assert_int_equal(look("b/dir/closed").st_mtim.tv_nsec, 3);
	assert_int_equal(look("a").st_ctim.tv_nsec, before.st_ctim.tv_nsec);
	share("b", "a"); /* nothing left to do */
	assert_int_equal(same("a", "b"), 0);
	run_ok("cp -p a/empty b/empty; chmod 0 'b/no one'");
	set_time("b", 1555555555, 6);
	assert_int_equal(same("a", "b"), 1);
}

/* Two trees with the files x, y, z of one content and time; `one` and `other` say how their names belong together. */
static void make_groups(const char *tree, const char *groups)
{
	char *command = alloc_printf(
		"mkdir %s && cd %s && for g in %s; do f=${g%%%%,*}; echo 1 > $f; chmod 644 $f;"
		" touch -d @1000000000 $f; for n in $(echo $g | tr , ' '); do"
		" [ $n = $f ] || ln $f $n; done; done; touch -d @1000000000 .",
		tree, tree, groups);

	run_ok(command);
	free(command);
}

/* "xy z": which of the names are one inode within the tree. */
static void groups_are(const char *tree, const char *groups)
{
	char *command = alloc_printf(
		"cd %s && got=$(find . -type f -printf '%%i %%f\\n' | sort -k2 | awk '{ g[$1] = g[$1]"
		" (g[$1] == \"\" ? \"\" : \",\") $2 } END { for (i in g) print g[i] }' | sort |"
		" xargs) && want=$(printf '%%s\\n' %s | sort | xargs) &&"
		" { [ \"$got\" = \"$want\" ] || { echo \"# $got, not $want\" >&2; false; }; }",
		tree, groups);

	run_ok(command);
	free(command);
}

static void test_share_keeps_hard_link_groups(void **state)
{
	static const struct {
		const char *mine, *theirs;
		int shared; /* how many of mine's names end up as theirs */
	} list[] = {
		{ "x,y z", "x,y z", 3 },     { "x,y z", "x y z", 1 }, { "x y z", "x,y z", 2 },
		{ "x,y,z", "x,y z", 0 },     { "x,y z", "x,y,z", 2 }, { "x y z", "x,y,z", 1 },
		{ "x,y,z", "x,y,z", 3 },     { "x,z y", "x,y z", 1 }, { "w,x,y z", "x,y z", 1 },
		{ "x,y z", "w,x,y z", 3 },   { "x y z", "x y z", 3 }, { "x,y w,z", "w,x,y,z", 2 },
		{ "a,z b c", "a b c,z", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int shared = 0;

		make_groups("mine", list[i].mine);
		make_groups("theirs", list[i].theirs);
		print_message("# %s with %s\n", list[i].mine, list[i].theirs);
		share("mine", "theirs");
		groups_are("mine", list[i].mine);
		groups_are("theirs", list[i].theirs);
		for (const char *name = "abcwxyz"; *name != '\0'; name++) {
			char one[] = { 'm', 'i', 'n', 'e', '/', *name, '\0' };
			char other[] = { 't', 'h', 'e', 'i', 'r', 's', '/', *name, '\0' };

			if (is_there(one) && is_there(other))
				shared += ino(one) == ino(other);
		}
		assert_int_equal(shared, list[i].shared);
		assert_int_equal(same("mine", "theirs"), strcmp(list[i].mine, list[i].theirs) == 0);
		run_ok("rm -r mine theirs");
	}
}

/* Mine has their file already, by another name than theirs. */
static void test_share_joins_nothing(void **state)
{
	(void)state;
	make_groups("theirs", "x y");
	make_groups("mine", "x");
	assert_int_equal(link("theirs/x", "mine/z"), 0);
	share("mine", "theirs");
	groups_are("mine", "x z");
}

static void test_share_where_no_link_is_left(void **state)
{
	char name[32];
	unsigned long made = 0;
	int dir;

	(void)state;
	make_groups("theirs", "x,y z");
	make_groups("mine", "x,y z");
	assert_int_equal(mkdir("links", 0755), 0);
	dir = open("links", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* One link is left for the file that has two names in the tree. */
	for (; made < 70000; made++) {
		snprintf(name, sizeof(name), "%lu", made);
		if (linkat(at, "theirs/x", dir, name, 0) != 0)
			break;
	}
	if (made == 70000)
		skip_test("this file system has no limit on links");
	assert_int_equal(errno, EMLINK);
	assert_int_equal(unlinkat(dir, "0", 0), 0);
	close(dir);
	share("mine", "theirs");
	groups_are("mine", "x,y z");
	assert_int_equal(ino("mine/z"), ino("theirs/z"));
	assert_int_not_equal(ino("mine/x"), ino("theirs/x"));
	assert_int_equal(same("mine", "theirs"), 1);
}

static void test_delete_what_is_no_directory(void **state)
{
	(void)state;
	good(tree_delete(at, "nothing", &err));
	put("file", "");
	good(tree_delete(at, "file", &err));
	assert_false(is_there("file"));
	make_rich("a");
	assert_int_equal(symlink("a", "link"), 0);
	good(tree_delete(at, "link", &err));
	assert_false(is_there("link"));
	assert_true(is_there("a/file"));
	assert_int_equal(mkdir("b", 0755), 0);
	assert_int_equal(symlink("../a", "b/link"), 0);
	assert_int_equal(symlink(root, "b/absolute"), 0);
	good(tree_delete(at, "b", &err));
	assert_false(is_there("b"));
	assert_true(is_there("a/file"));
	good(tree_delete(at, "a", &err));
	assert_false(is_there("a"));
}

/* As a user who is stopped by permissions. */
static int delete_as_user(void)
{
	struct err err = ERR_NONE;

	if (geteuid() == 0 && (chown("user", 65534, 65534) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
		return CHILD_SKIP;
	int user = open("user", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (user < 0 || fchdir(user) != 0 ||
	    system("mkdir -p t/a/b/c && touch t/a/b/f t/f && chmod 0 t/a/b/c t/a/b && chmod 500 t/a && chmod "
		   "0 t") != 0)
		return CHILD_BAD;
	if (tree_delete(user, "t", &err) != 0) {
		fprintf(stderr, "# %s\n", err.text);
		return CHILD_BAD;
	}
	return access("t", F_OK) == 0 ? CHILD_BAD : CHILD_GOOD;
}

static void test_delete_without_permissions(void **state)
{
	(void)state;
	assert_int_equal(mkdir("user", 0755), 0);
	chmod("user", 0755);
	chmod(".", 0755);
	child_good(delete_as_user);
}

/* As a user: a directory that cannot be copied is an error that says where, and so is an owner not to be kept. */
static int copy_as_user(void)
{
	struct err err = ERR_NONE;

	if (geteuid() != 0 || chown("user", 65534, 65534) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
		return CHILD_SKIP;
	int user = open("user", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (user < 0 || fchdir(user) != 0)
		return CHILD_BAD;
	if (tree_copy(at, "foreign", user, "copy", &err) != -1 ||
	    strstr(err.text, "cannot copy x/theirs") == NULL)
		return CHILD_BAD;
	err_clear(&err);
	if (system("mkdir -p mine/closed && touch mine/closed/file && chmod 500 mine/closed mine") != 0)
		return CHILD_BAD;
	if (tree_copy(user, "mine", user, "copy-of-mine", &err) != 0 ||
	    tree_same(user, "mine", user, "copy-of-mine", &err) != 1)
		return CHILD_BAD;
	return CHILD_GOOD;
}

static void test_copy_as_a_user(void **state)
{
	(void)state;
	assert_int_equal(mkdir("user", 0755), 0);
	chmod("user", 0755);
	chmod(".", 0755);
	run_ok("mkdir -p foreign/x; echo 1 > foreign/x/theirs; chmod -R a+rX foreign");
	child_good(copy_as_user);
}

/* A descriptor from before would go on showing the mounts that there were. */
static int mounts_of_our_own(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return -1;
	close(at);
	at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -1 : fchdir(at);
}

static bool says(const struct err *err, const char *text)
{
	if (strstr(err->text, text) != NULL)
		return true;
	fprintf(stderr, "# \"%s\" does not say \"%s\"\n", err->text, text);
	return false;
}

static int delete_with_mounts(void)
{
	struct err err = ERR_NONE;

	if (mounts_of_our_own() != 0)
		return CHILD_SKIP;
	/* One of the same file system, which no device number tells; one of another; one on a file. */
	if (mount("precious", "t/a/bound", NULL, MS_BIND, NULL) != 0 ||
	    mount("tmpfs", "t/z/tmpfs", "tmpfs", 0, NULL) != 0 ||
	    mount("precious/data", "t/file", NULL, MS_BIND, NULL) != 0 ||
	    mount("precious", "whole", NULL, MS_BIND, NULL) != 0)
		return CHILD_SKIP;
	if (system("touch t/z/tmpfs/data") != 0)
		return CHILD_BAD;
	if (tree_delete(at, "t", &err) != -1 || !says(&err, "t: something is mounted on a/bound"))
		return CHILD_BAD;
	if (access("precious/data", F_OK) != 0 || access("t/z/tmpfs/data", F_OK) != 0 ||
	    access("t/a/bound/data", F_OK) != 0)
		return CHILD_BAD;
	if (access("t/a/rest", F_OK) == 0 || access("t/z/rest", F_OK) == 0)
		return CHILD_BAD;
	err_clear(&err);
	if (tree_delete(at, "whole", &err) != -1 || !says(&err, "whole: something is mounted on it"))
		return CHILD_BAD;
	err_clear(&err);
	if (tree_copy(at, "t", at, "copy", &err) != -1 || !says(&err, "something is mounted on a/bound"))
		return CHILD_BAD;
	umount2("t/a/bound", MNT_DETACH);
	umount2("t/z/tmpfs", MNT_DETACH);
	umount2("t/file", MNT_DETACH);
	err_clear(&err);
	if (tree_delete(at, "t", &err) != 0 || access("precious/data", F_OK) != 0)
		return CHILD_BAD;
	return CHILD_GOOD;
}

static void test_delete_stays_off_mounts(void **state)
{
	(void)state;
	run_ok("mkdir -p t/a/bound t/z/tmpfs precious whole; touch precious/data t/a/rest t/z/rest t/file");
	child_good(delete_with_mounts);
	assert_true(is_there("precious/data"));
}

static pid_t start(void (*body)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Goes on writing in t/in until it is ended, or the directory is gone for good. */
static void write_on(void)
{
	char name[32];
	int dir = open("t/in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "%u", i);
		close(openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		mkdir("t", 0755);
		mkdir("t/in", 0755);
		snprintf(name, sizeof(name), "t/in/n%u", i);
		mkdir(name, 0755);
	}
}

static void test_delete_against_a_writer(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct err first = ERR_NONE;

		assert_true(mkdir("t", 0755) == 0 || errno == EEXIST);
		assert_true(mkdir("t/in", 0755) == 0 || errno == EEXIST);
		pid_t writer = start(write_on);
		usleep(2000);
		if (tree_delete(at, "t", &first) != 0)
			assert_non_null(strstr(first.text, "cannot"));
		end(writer);
		good(tree_delete(at, "t", &err));
		assert_false(is_there("t"));
	}
}

static void delete_traced(void)
{
	struct err err = ERR_NONE;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(CHILD_SKIP);
	raise(SIGSTOP);
	_exit(tree_delete(at, "t", &err) == 0 ? CHILD_GOOD : CHILD_BAD);
}

/* Is the child about to open "swap"? */
static bool opens_swap(pid_t pid)
{
	struct __ptrace_syscall_info info;
	union {
		long word;
		char text[sizeof(long)];
	} name;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_openat)
		return false;
	name.word = ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)info.entry.args[1], NULL);
	return strncmp(name.text, "swap", sizeof(name.text)) == 0;
}

/* At the worst moment, when it was seen to be a directory and is about to be opened, a link is in its place. */
static void test_delete_follows_no_swapped_link(void **state)
{
	unsigned swaps = 0;
	int status;

	(void)state;
	run_ok("mkdir -p precious t/in/swap; touch precious/data t/in/swap/a; ln -s ../../precious link");
	pid_t pid = start(delete_traced);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		skip_test("no process can be traced here");
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
	while (WIFSTOPPED(status)) {
		if (opens_swap(pid) && swaps < 3) {
			assert_int_equal(renameat2(at, "t/in/swap", at, "link", RENAME_EXCHANGE), 0);
			swaps++;
		}
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_int_equal(swaps, 1);
	assert_int_equal(status, 0);
	assert_false(is_there("t"));
	assert_true(is_there("precious/data"));
	assert_true(is_there("link/a")); /* it was taken out in time */
}

static void delete_too(void)
{
	struct err err = ERR_NONE;

	_exit(tree_delete(at, "t", &err) == 0 ? CHILD_GOOD : CHILD_BAD);
}

static void test_two_delete_at_once(void **state)
{
	int status;

	(void)state;
	for (int round = 0; round < 10; round++) {
		run_ok("mkdir -p t; for i in 1 2 3 4 5 6 7 8; do mkdir -p t/$i/a/b/c; touch t/$i/1 t/$i/a/2 "
		       "t/$i/a/b/3; done");
		pid_t other = start(delete_too);
		good(tree_delete(at, "t", &err));
		assert_int_equal(waitpid(other, &status, 0), other);
		assert_int_equal(status, 0);
		assert_false(is_there("t"));
	}
}

static void test_measure(void **state)
{
	uint64_t files, bytes, own;

	(void)state;
	run_ok("mkdir -p a/b; head -c 10000 /dev/zero > a/two; ln a/two a/b/two; head -c 20000 /dev/zero > "
	       "a/out;"
	       "ln a/out outside; head -c 30000 /dev/zero > a/one; ln -s one a/link");
	good(tree_measure(at, "a", &files, &bytes, &own, &err));
	const uint64_t two = (uint64_t)look("a/two").st_blocks * 512,
		       out = (uint64_t)look("a/out").st_blocks * 512;
	const uint64_t one = (uint64_t)look("a/one").st_blocks * 512;
	const uint64_t dirs = (uint64_t)(look("a").st_blocks + look("a/b").st_blocks) * 512;
	assert_int_equal(files, 5);
	assert_int_equal(bytes, one + two + out + dirs);
	assert_int_equal(own, one + two + dirs);
}

static void test_missing_trees_are_errors(void **state)
{
	uint64_t files, bytes, own;
	struct err err = ERR_NONE;

	(void)state;
	assert_int_equal(tree_measure(at, "none", &files, &bytes, &own, &err), -1);
	assert_string_equal(err.text, "none: cannot open this directory: No such file or directory");
	err_clear(&err);
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(tree_same(at, "a", at, "none", &err), -1);
	err_clear(&err);
	assert_int_equal(tree_share(at, "none", at, "a", "spare", &err), -1);
	err_clear(&err);
	assert_int_equal(tree_copy(at, "none", at, "b", &err), -1);
}

static int copy_to_a_full_disk(void)
{
	struct err err = ERR_NONE;

	if (mounts_of_our_own() != 0 || mount("tmpfs", "small", "tmpfs", 0, "size=128k") != 0)
		return CHILD_SKIP;
	if (tree_copy(at, "a", at, "small/b", &err) != -1 ||
	    !says(&err, "a: cannot copy in/big: No space left"))
		return CHILD_BAD;
	err_clear(&err);
	int small = open("small", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree_delete(small, "b", &err) != 0 || tree_copy(at, "few", small, "b", &err) != 0 ||
	    tree_same(at, "few", small, "b", &err) != 1)
		return !says(&err, "nothing");
	return CHILD_GOOD;
}

static void test_full_disk(void **state)
{
	(void)state;
	run_ok("mkdir -p a/in few small; head -c 400000 /dev/urandom > a/in/big; echo 1 > few/file");
	child_good(copy_to_a_full_disk);
}

#define one(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		one(test_copy_is_faithful),
		one(test_rsync_sees_no_difference),
		one(test_copy_keeps_attributes),
		one(test_copy_takes_no_acl_from_its_parent),
		one(test_copy_makes_devices),
		one(test_copy_refuses_what_exists),
		one(test_copy_as_a_user),
		one(test_same_sees_every_difference),
		one(test_ten_thousand_levels),
		one(test_hard_links_far_apart),
		one(test_share_links_what_is_equal),
		one(test_share_behind_a_deep_directory),
		one(test_share_keeps_hard_link_groups),
		one(test_share_joins_nothing),
		one(test_share_where_no_link_is_left),
		one(test_delete_what_is_no_directory),
		one(test_delete_without_permissions),
		one(test_delete_stays_off_mounts),
		one(test_delete_against_a_writer),
		one(test_delete_follows_no_swapped_link),
		one(test_two_delete_at_once),
		one(test_measure),
		one(test_missing_trees_are_errors),
		one(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

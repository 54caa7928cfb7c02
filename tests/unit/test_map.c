/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * preload/map.c against the kernel: a path that is mapped and then walked with latest -> snapshots/2 must reach what the
 * path itself reaches with latest -> snapshots/1.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/names.h"
#include "preload/map.h"
#include "preload/memory.h"
#include "preload/state.h"
#include "tests/unit/skip.h"

/* The shim's state, as its start would have set it. */
struct shim shim;
int shim_started = 1;

void shim_start(void)
{
}

static char top[] = "/tmp/rcu-map-XXXXXX";
static char store[PATH_MAX], snapshot[PATH_MAX], location[PATH_MAX], latest[PATH_MAX];

static void make_dir(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_link(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

static void point_latest(int number)
{
	char target[32];

	snprintf(target, sizeof(target), "snapshots/%d", number);
	int dir = open(top, O_PATH | O_DIRECTORY);
	assert_true(dir >= 0);
	unlinkat(dir, "store/latest", 0);
	assert_int_equal(symlinkat(target, dir, "store/latest"), 0);
	close(dir);
}

static const char *in_top(const char *below)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", top, below);
	return path;
}

/*
 * top/                 cwd of the tests
 *   store/snapshots/{1,2}/...      latest -> snapshots/N
 *   repos/gentoo -> top/store/latest               (LOCATION)
 *   parent -> repos        other -> repos/gentoo   chain -> other     profile -> repos/gentoo/profiles/base
 *   plain/file             plain/deep/up -> ../../repos/gentoo
 */
static int build(void **state)
{
	static const char *const per_snapshot[] = { "profiles", "profiles/base", "dev", "dev/pkg" };
	char path[PATH_MAX];

	(void)state;
	assert_non_null(mkdtemp(top));
	assert_int_equal(chdir(top), 0);
	assert_non_null(getcwd(top, sizeof(top)));
	make_dir("store");
	make_dir("store/snapshots");
	for (int n = 1; n <= 2; n++) {
		snprintf(path, sizeof(path), "store/snapshots/%d", n);
		make_dir(path);
		for (size_t i = 0; i < sizeof(per_snapshot) / sizeof(*per_snapshot); i++) {
			snprintf(path, sizeof(path), "store/snapshots/%d/%s", n, per_snapshot[i]);
			make_dir(path);
		}
		snprintf(path, sizeof(path), "store/snapshots/%d/file", n);
		make_file(path, "x");
		snprintf(path, sizeof(path), "store/snapshots/%d/dev/pkg/ebuild", n);
		make_file(path, "x");
		snprintf(path, sizeof(path), "store/snapshots/%d/inner", n);
		make_link("dev/pkg", path);
		snprintf(path, sizeof(path), "store/snapshots/%d/again", n);
		make_link(in_top("repos/gentoo/dev"), path);
		snprintf(path, sizeof(path), "store/snapshots/%d/upwards", n);
		make_link("../../latest/file", path);
		snprintf(path, sizeof(path), "store/snapshots/%d/latest", n);
		make_link("dev", path);
		snprintf(path, sizeof(path), "store/snapshots/%d/out", n);
		make_link(in_top("plain"), path);
	}
	make_dir("repos");
	make_link(in_top("store/latest"), "repos/gentoo");
	make_link("repos", "parent");
	make_link("repos/gentoo", "other");
	make_link("other", "chain");
	make_link("repos/gentoo/profiles/base", "profile");
	make_link("loop", "loop");
	make_link("nowhere/x", "dangling");
	make_dir("plain");
	make_dir("plain/deep");
	make_file("plain/file", "x");
	make_link("../../repos/gentoo", "plain/deep/up");
	make_link("file", "plain/link");
	make_link("../plain", "plain/latest");

	snprintf(store, sizeof(store), "%s/store", top);
	snprintf(snapshot, sizeof(snapshot), "%s/store/snapshots/1", top);
	snprintf(location, sizeof(location), "%s/repos/gentoo", top);
	snprintf(latest, sizeof(latest), "%s/store/latest", top);
	struct stat st;
	assert_int_equal(stat(store, &st), 0);
	shim.pins[0] = (struct shim_pin){
		.snapshot = snapshot,
		.snapshot_length = strlen(snapshot),
		.store_length = strlen(store),
		.number = 1,
		.store = { st.st_dev, st.st_ino },
		.alias = { { location, strlen(location), snapshot, strlen(snapshot) },
			   { latest, strlen(latest), snapshot, strlen(snapshot) },
			   { NULL, 0, snapshot, strlen(snapshot) },
			   { NULL, 0, snapshot, strlen(snapshot) } },
	};
	shim.count = 1;
	shim.longest = strlen(snapshot);
	shim.hash_key = 42;
	memory_start();
	return 0;
}

static int destroy(void **state)
{
	char command[PATH_MAX + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

struct reached {
	bool entry;
	int error;
	dev_t dev;
	ino_t ino;
};

static const char *const leaf_names[] = {
	[LEAF_FOLLOW] = "follow", [LEAF_TRY] = "try", [LEAF_OPEN] = "open", [LEAF_NOFOLLOW] = "nofollow"
};

static struct reached reach(int dir, const char *path, enum map_leaf leaf)
{
	struct stat st;
	struct reached r = { .error = 0 };

	if (fstatat(dir, path, &st, leaf == LEAF_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) != 0) {
		r.error = errno;
	} else {
		r.dev = st.st_dev;
		r.ino = st.st_ino;
	}
	return r;
}

/* What MAP_OPENED has opened, or why not. */
static struct reached reach_opened(int opened)
{
	struct reached r = { .error = opened < 0 ? -opened : 0 };
	struct stat st;

	if (opened >= 0) {
		assert_int_equal(fstat(opened, &st), 0);
		r.dev = st.st_dev;
		r.ino = st.st_ino;
		close(opened);
	}
	return r;
}

/* As a wrapper does it. */
static struct reached reach_mapped(int dir, const char *path, enum map_leaf leaf)
{
	struct stat st;

	MAPPED(m);
	m.flags = O_RDONLY | O_CLOEXEC;
	MAP(m, dir, path, leaf);
	if (m.kind == MAP_OPENED)
		return reach_opened(m.opened);
	if (m.unsure) {
		struct reached tried = reach(m.dir, m.path, LEAF_NOFOLLOW);

		if (tried.error || fstatat(m.dir, m.path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISLNK(st.st_mode))
			return tried;
		MAP(m, dir, path, LEAF_FOLLOW);
	}
	if (m.kind == MAP_ENTRY)
		return (struct reached){ .entry = true };
	return reach(m.dir, m.path, leaf);
}

/* The oracle's answer while latest is 1, ours while it is 2. */
static void compare(int dir, const char *path, enum map_leaf leaf)
{
	point_latest(1);
	struct reached want = reach(dir, path, leaf);
	point_latest(2);

	struct reached got = reach_mapped(dir, path, leaf);
	if (got.entry)
		return; /* the link itself: its own inode is not what is pinned */
	if (want.error != got.error || want.ino != got.ino || want.dev != got.dev)
		fail_msg("%s (%s): error %d, should be %d; inode %lu, should be %lu", path, leaf_names[leaf],
			 got.error, want.error, (unsigned long)got.ino, (unsigned long)want.ino);
}

static void compare_all(int dir, const char *path)
{
	compare(dir, path, LEAF_TRY);
	compare(dir, path, LEAF_FOLLOW);
	compare(dir, path, LEAF_FOLLOW); /* what the first one remembered */
	compare(dir, path, LEAF_NOFOLLOW);
	compare(dir, path, LEAF_TRY);
	compare(dir, path, LEAF_FOLLOW);
}

static const char *const spellings[] = {
	"repos/gentoo/file",
	"repos/gentoo",
	"repos/gentoo/",
	"repos//gentoo///dev/./pkg/ebuild",
	"parent/gentoo/file",
	"other/file",
	"chain/dev/pkg/ebuild",
	"profile",
	"profile/",
	"profile/../../file",
	"profile/../../../1/file",
	"store/latest/file",
	"store/latest",
	"store/latest/",
	"store/latest/.",
	"store/latest/..",
	"store/latest/../../latest/file",
	"store/latest/../2/file",
	"store/snapshots/2/file",
	"store/snapshots/1/../../latest/file",
	"plain/file",
	"plain/link",
	"plain/link/",
	"plain/deep/up/file",
	"plain/deep/up/../../latest/file",
	"plain/deep/../../repos/gentoo/file",
	"plain/latest/file",
	"plain/latest",
	"repos/gentoo/inner/ebuild",
	"repos/gentoo/inner",
	"repos/gentoo/again/pkg/ebuild",
	"repos/gentoo/again",
	"repos/gentoo/upwards",
	"repos/gentoo/latest/pkg/ebuild",
	"repos/gentoo/latest",
	"repos/gentoo/out/file",
	"repos/gentoo/out/../store/latest/file",
	"repos/gentoo/out/deep/up/file",
	"repos/gentoo/missing",
	"repos/gentoo/missing/x",
	"repos/gentoo/file/x",
	"repos/gentoo/file/../file",
	"loop",
	"loop/x",
	"dangling",
	"dangling/../plain/file",
	".",
	"..",
	"./",
	"./store/./latest/./file",
	"",
	"missing",
	"missing/../store/latest/file",
	"plain/file/../deep",
};
#define SPELLINGS (sizeof(spellings) / sizeof(*spellings))

static void test_relative(void **state)
{
	(void)state;
	memory_forget();
	for (size_t i = 0; i < SPELLINGS; i++)
		compare_all(AT_FDCWD, spellings[i]);
}

static void test_absolute(void **state)
{
	char path[PATH_MAX];

	(void)state;
	memory_forget();
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < SPELLINGS; i++) {
			snprintf(path, sizeof(path), "%s/%s", top, spellings[i]);
			compare_all(AT_FDCWD, path);
		}
}

static void test_directory_descriptors(void **state)
{
	static const char *const from[] = {
		".", "store", "repos", "plain", "plain/deep", "store/snapshots", "store/snapshots/1"
	};
	static const char *const paths[] = {
		"latest/file",
		"latest",
		"latest/",
		"gentoo/file",
		"gentoo",
		"../store/latest/file",
		"../../store/latest/file",
		"up/file",
		"deep/up/file",
		"1/file",
		"1/../../latest/file",
		"../latest/file",
		"file",
		"dev/pkg/ebuild",
		"again/pkg/ebuild",
		"upwards",
		"../repos/gentoo/file",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(from) / sizeof(*from); i++) {
		int dir = open(from[i], O_PATH | O_DIRECTORY);

		assert_true(dir >= 0);
		for (size_t j = 0; j < sizeof(paths) / sizeof(*paths); j++)
			compare_all(dir, paths[j]);
		close(dir);
	}
}

static void test_procfs_doors(void **state)
{
	char path[128];
	int in_store = open("store", O_PATH | O_DIRECTORY), in_plain = open("plain", O_PATH | O_DIRECTORY);

	(void)state;
	compare_all(AT_FDCWD, "/proc/self/cwd/repos/gentoo/file");
	compare_all(AT_FDCWD, "/proc/self/cwd/../");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/latest/file", in_store);
	compare_all(AT_FDCWD, path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/../repos/gentoo/dev/pkg/ebuild", in_plain);
	compare_all(AT_FDCWD, path);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", in_plain);
	compare_all(AT_FDCWD, path);
	compare_all(AT_FDCWD, "/proc/self/exe");
	close(in_store);
	close(in_plain);
}

/* What a door leads to changes with the process: nothing behind one is remembered. */
static void test_doors_are_not_remembered(void **state)
{
	char path[64];
	int dir = open("plain", O_PATH | O_DIRECTORY), other = open("repos", O_PATH | O_DIRECTORY);

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/gentoo/file", dir);
	assert_int_equal(mkdirat(dir, "gentoo", 0755), 0);
	compare_all(AT_FDCWD, path);
	assert_int_equal(dup2(other, dir), dir);
	compare_all(AT_FDCWD, path);
	close(dir);
	close(other);
	assert_int_equal(rmdir("plain/gentoo"), 0);
}

/* A door leads to its object also where the object's text no longer does: something was mounted over it. */
static void test_door_is_not_its_text(void **state)
{
	char path[128];
	int dir = open("plain/deep", O_PATH | O_DIRECTORY);

	(void)state;
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "plain/deep", "tmpfs", 0, NULL) != 0) {
		close(dir);
		skip_test("this machine does not let us mount");
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d/up/file", dir);
	compare_all(AT_FDCWD, path);
	assert_int_equal(umount("plain/deep"), 0);
	close(dir);
}

static void test_entry_itself(void **state)
{
	(void)state;
	MAPPED(m);
	MAP(m, AT_FDCWD, "store/latest", LEAF_NOFOLLOW);
	assert_int_equal(m.kind, MAP_ENTRY);
	assert_int_equal(m.pin, 0);
	MAPPED(n);
	MAP(n, AT_FDCWD, latest, LEAF_NOFOLLOW);
	assert_int_equal(n.kind, MAP_ENTRY);
	MAPPED(o);
	MAP(o, AT_FDCWD, location, LEAF_NOFOLLOW);
	assert_int_equal(o.kind, MAP_SAME);
	assert_ptr_equal(o.path, location);
}

/* The canonical path, exactly: what realpath() and getcwd() will show. */
static void test_canonical_text(void **state)
{
	char path[PATH_MAX], want[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/repos/gentoo/dev/pkg", top);
	snprintf(want, sizeof(want), "%s/store/snapshots/1/dev/pkg", top);
	for (int i = 0; i < 3; i++) {
		MAPPED(m);
		MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
		assert_int_equal(m.kind, MAP_MOVED);
		assert_string_equal(m.path, want);
	}
}

/* A path that fits into PATH_MAX as it is spelled, and not as it is mapped; and one that does not fit at all. */
static void test_long_paths(void **state)
{
	char path[2 * PATH_MAX], name[256];
	int dir = open("store/snapshots/1", O_PATH | O_DIRECTORY);

	(void)state;
	memset(name, 'd', 250);
	name[250] = '\0';
	snprintf(path, sizeof(path), "other");
	while (strlen(path) + 251 + 5 < PATH_MAX) {
		assert_int_equal(mkdirat(dir, name, 0755), 0);
		int next = openat(dir, name, O_PATH | O_DIRECTORY);
		close(dir);
		dir = next;
		strcat(strcat(path, "/"), name);
	}
	while (strlen(path) + 3 < PATH_MAX)
		strcat(path, "/.");
	close(openat(dir, "f", O_CREAT | O_WRONLY, 0644));
	close(dir);
	compare_all(AT_FDCWD, path);
	strcat(path, "/");
	while (strlen(path) < PATH_MAX + 10)
		strcat(path, "x");
	compare_all(AT_FDCWD, path);
	memset(path, 'n', 300);
	path[300] = '\0';
	compare_all(AT_FDCWD, path);
	compare_all(AT_FDCWD, "repos/gentoo/with\nnewline and blank");
}

/* --- what is remembered of relative paths --- */

static bool is_remembered(const char *path)
{
	struct mapped m = { .door = -1 };

	return map_quick(&m, AT_FDCWD, path, LEAF_FOLLOW) == 0;
}

static void change_to(const char *path)
{
	memory_cwd_begin();
	int result = chdir(path);
	memory_cwd_end(result == 0);
	assert_int_equal(result, 0);
}

/* "gentoo/dev" in plain is a directory, in repos it leads through L: what is known of one is not known of the other. */
static void test_working_directory(void **state)
{
	(void)state;
	assert_int_equal(mkdir("plain/gentoo", 0755), 0);
	assert_int_equal(mkdir("plain/gentoo/dev", 0755), 0);
	change_to("plain");
	compare_all(AT_FDCWD, "gentoo/dev");
	assert_true(is_remembered("gentoo/dev"));
	change_to("../repos");
	assert_false(is_remembered("gentoo/dev"));
	compare_all(AT_FDCWD, "gentoo/dev");
	change_to("../plain");
	compare_all(AT_FDCWD, "gentoo/dev");
	memory_forget();
	assert_false(is_remembered("gentoo/dev"));
	compare_all(AT_FDCWD, "gentoo/dev");
	/* a failed change changes nothing; while one is going on nothing is known */
	memory_cwd_begin();
	assert_false(is_remembered("gentoo/dev"));
	memory_cwd_end(false);
	assert_true(is_remembered("gentoo/dev"));
	change_to("..");
}

static unsigned known_as(const char *path)
{
	struct mapped m = { .door = -1 };

	map_quick(&m, AT_FDCWD, path, LEAF_FOLLOW);
	return m.known;
}

/* What leads to the entry and is none of the pin's own texts is an alias, too, as long as there is room for its length. */
static void test_other_aliases(void **state)
{
	(void)state;
	memory_forget();
	for (unsigned i = ALIAS_OTHER; i < SHIM_ALIASES; i++)
		shim.pins[0].alias[i].length = 0;
	compare_all(AT_FDCWD, "other/dev/pkg");
	assert_int_equal(known_as("other/dev/pkg"), KNOWN_ALIAS + ALIAS_OTHER);
	assert_int_equal(known_as("other/dev"), KNOWN_ALIAS + ALIAS_OTHER);
	compare_all(AT_FDCWD, "chain/dev/pkg");
	assert_int_equal(known_as("chain/dev/pkg"), KNOWN_ALIAS + ALIAS_OTHER);
	compare_all(AT_FDCWD, "parent/gentoo/dev/pkg");
	assert_int_equal(known_as("parent/gentoo/dev/pkg"), KNOWN_ALIAS + ALIAS_OTHER + 1);
	compare_all(AT_FDCWD, "repos/gentoo/dev/pkg");
	assert_int_equal(known_as("repos/gentoo/dev/pkg"), KNOWN_NOT);
	compare_all(AT_FDCWD, in_top("repos/gentoo/dev/pkg"));
	assert_int_equal(known_as(in_top("repos/gentoo/dev/pkg")), KNOWN_ALIAS);
	/* relative texts are those of this directory */
	change_to("plain");
	assert_int_equal(known_as("other/dev/pkg"), KNOWN_NOT);
	compare_all(AT_FDCWD, "../other/dev/pkg");
	change_to("..");
}

/* A child that shares the memory has a working directory of its own. */
static int in_other_directory(void *argument)
{
	bool *right = argument;

	change_to("../repos");
	compare_all(AT_FDCWD, "gentoo/dev");
	right[0] = !is_remembered("gentoo/dev");
	change_to("../repos");
	compare_all(AT_FDCWD, "gentoo/dev");
	right[1] = !is_remembered("gentoo/dev");
	return 0;
}

static void test_shared_memory(void **state)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	static bool right[3];

	(void)state;
	change_to("plain");
	compare_all(AT_FDCWD, "gentoo/dev");
	assert_true(is_remembered("gentoo/dev"));
	int child = clone(in_other_directory, stack + sizeof(stack), CLONE_VM | SIGCHLD, right);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(right[0] && right[1]);
	/* ours is what it was */
	assert_true(is_remembered("gentoo/dev"));
	compare_all(AT_FDCWD, "gentoo/dev");

	/* the copy in a fork child is the child's own, once it says so */
	child = fork();
	if (child == 0) {
		memory_own();
		bool kept = is_remembered("gentoo/dev");
		change_to("../repos");
		_exit(kept || is_remembered("gentoo/dev"));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	change_to("..");
	assert_int_equal(rmdir("plain/gentoo/dev"), 0);
	assert_int_equal(rmdir("plain/gentoo"), 0);
}

/* The table begins small. What is known is taken along as it grows, and never becomes another thing. */
static void test_memory_grows(void **state)
{
	const unsigned facts = MEMORY_SLOTS / 8;
	const uint64_t seed = memory_seed();
	unsigned found = 0;
	char text[32];

	(void)state;
	for (unsigned i = 0; i < facts; i++) {
		const unsigned known = i % 3 ? KNOWN_CLEAR : KNOWN_ALIAS;

		snprintf(text, sizeof(text), "/grows/%u", i);
		memory_add(seed, text, strlen(text), known);
		assert_int_equal(memory_find(seed, text, strlen(text)), known);
	}
	assert_int_equal(memory_used, MEMORY_SLOTS - 1);
	for (unsigned i = 0; i < facts; i++) {
		snprintf(text, sizeof(text), "/grows/%u", i);
		const unsigned known = memory_find(seed, text, strlen(text));

		assert_true(known == KNOWN_NOT || known == (i % 3 ? KNOWN_CLEAR : KNOWN_ALIAS));
		found += known != KNOWN_NOT;
	}
	assert_true(found > facts - facts / 4);
	memory_forget();
}

/* Last: nothing is remembered afterwards. */
static void test_memory_off(void **state)
{
	(void)state;
	compare_all(AT_FDCWD, "plain/deep/..");
	assert_true(is_remembered("plain/deep/.."));
	compare_all(AT_FDCWD, "/");
	assert_true(is_remembered("/"));
	memory_off();
	memory_forget();
	assert_false(is_remembered("plain/deep/.."));
	assert_false(is_remembered("/"));
	compare_all(AT_FDCWD, "plain/deep/..");
	compare_all(AT_FDCWD, "repos/gentoo/file");
	compare_all(AT_FDCWD, location);
}

static unsigned long random_state;

static unsigned random_below(unsigned bound)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(random_state >> 33) % bound;
}

/* Paths put together at random of names that mean something here, from random directories. */
static void test_random_paths(void **state)
{
	static const char *const names[] = {
		"store",   "latest", "snapshots", "1",       "2",      "repos",   "gentoo",
		"parent",  "other",  "chain",     "profile", "plain",  "deep",    "up",
		"link",    "file",   "dev",       "pkg",     "ebuild", "inner",   "again",
		"upwards", "out",    "..",        ".",       "..",     "missing", "",
	};
	static const char *const from[] = {
		".", "store", "repos", "plain/deep", "store/snapshots/1/dev", "store/snapshots/2"
	};
	static const enum map_leaf leaves[] = { LEAF_FOLLOW, LEAF_TRY, LEAF_OPEN, LEAF_NOFOLLOW };
	const char *runs = getenv("MAP_RANDOM_PATHS");
	const char *seed = getenv("MAP_RANDOM_SEED");

	(void)state;
	random_state = seed ? strtoul(seed, NULL, 10) : 1;
	memory_forget();
	for (long i = 0; i < (runs ? atol(runs) : 20000); i++) {
		char path[PATH_MAX] = "";
		int dir = AT_FDCWD;

		if (random_below(3) == 0)
			strcpy(path, top);
		else if (random_below(3) == 0)
			dir = open(from[random_below(sizeof(from) / sizeof(*from))], O_PATH | O_DIRECTORY);
		for (unsigned n = 1 + random_below(7); n > 0; n--) {
			if (*path)
				strcat(path, "/");
			strcat(path, names[random_below(sizeof(names) / sizeof(*names))]);
		}
		if (random_below(8) == 0) {
			/* what a call that makes or removes an entry leaves in the memory */
			MAPPED(m);
			MAP(m, dir, path, LEAF_NAME);
		}
		compare(dir, path, leaves[random_below(sizeof(leaves) / sizeof(*leaves))]);
		if (dir != AT_FDCWD)
			close(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relative),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_directory_descriptors),
		cmocka_unit_test(test_procfs_doors),
		cmocka_unit_test(test_doors_are_not_remembered),
		cmocka_unit_test(test_door_is_not_its_text),
		cmocka_unit_test(test_entry_itself),
		cmocka_unit_test(test_canonical_text),
		cmocka_unit_test(test_random_paths),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_working_directory),
		cmocka_unit_test(test_other_aliases),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_memory_grows),
		cmocka_unit_test(test_memory_off),
	};

	return cmocka_run_group_tests(tests, build, destroy);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What seal() finds, and what record/N says of it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/store/publish.h"
#include "helper/store/reclaim.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

#define good(call)                                           \
	do {                                                 \
		struct err err = ERR_NONE;                   \
		if ((call) != 0)                             \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

static struct store store;
static struct staging staging;

static int enter(void **state)
{
	if (scratch_make(state) != 0 || chdir(*state) != 0)
		return -1;
	store = (struct store)STORE_CLOSED;
	staging = (struct staging)STAGING_NONE;
	char *path = scratch_path(*state, "store");
	scratch_open(&store, path);
	free(path);
	return 0;
}

static int leave(void **state)
{
	store_close(&store);
	staging_release(&staging);
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

/* In the staging tree, which is a branch of latest, or an empty one for the first. */
static void stage_and_run(const char *commands)
{
	char *command;

	staging_release(&staging);
	good(store.storage->stage(&store, STAGE_BRANCH, &staging, &err));
	command = alloc_printf("cd %s && %s", staging.path, commands);
	assert_int_equal(system(command), 0);
	free(command);
}

static uint64_t latest(void)
{
	uint64_t number;

	good(store_latest(&store, &number, &err));
	return number;
}

static void seal(struct record *record, const char *const *hint)
{
	struct changes changes = CHANGES_NONE;

	for (size_t i = 0; hint != NULL && hint[i] != NULL; i++)
		changes_add(&changes, hint[i], strlen(hint[i]));
	changes_sort(&changes);
	*record = (struct record)RECORD_NONE;
	good(store.storage->seal(&store, &staging, latest(), hint != NULL ? &changes : NULL, record, &err));
	changes_release(&changes);
}

static uint64_t publish_staged(const char *const *hint)
{
	struct record record;
	uint64_t number = 0;

	seal(&record, hint);
	good(publish(&store, &staging, &record, &number, &err));
	record_release(&record);
	return number;
}

static struct record read_record(uint64_t number)
{
	struct record record;

	assert_int_equal(record_read(&store, number, &record), RECORD_GOOD);
	return record;
}

/* The record as text: "op path" a line. */
static void expect(const struct record *record, const char *want)
{
	static const char ops[] = "=+!-i";
	char *text = alloc_copy("");

	for (size_t i = 0; i < record->count; i++) {
		const struct record_entry *entry = &record->entries[i];
		char *longer = alloc_printf("%s%c%s\n", text, ops[entry->op], entry->path);

		free(text);
		text = longer;
	}
	assert_string_equal(text, want);
	free(text);
}

#define FIRST                                                                                           \
	"mkdir -p d/e && echo one > d/one && echo two > d/e/two && ln -s one d/l && : > z && touch -d " \
	"@1000000000 d/e d ."

static void test_first_is_whole(void **state)
{
	(void)state;
	stage_and_run(FIRST);
	assert_int_equal(publish_staged(NULL), 1);
	struct record record = read_record(1);
	assert_true(record.whole && record.base == 0 && !record.several && record.total == record.count);
	expect(&record, "+\n+d\n+d/e\n+d/e/two\n+d/l\n+d/one\n+z\n");
	const struct record_entry *one = record_find(&record, "d/one");
	struct digest digest;
	struct stat st;
	assert_int_equal(lstat("store/snapshots/1/d/one", &st), 0);
	digest_bytes("one\n", 4, &digest);
	assert_memory_equal(one->content.bytes, digest.bytes, DIGEST_SIZE);
	assert_true(one->ino == st.st_ino && one->size == 4 && one->mode == st.st_mode &&
		    one->mtime == st.st_mtim.tv_sec && one->mtime_ns == (uint32_t)st.st_mtim.tv_nsec);
	digest_bytes("one", 3, &digest);
	assert_memory_equal(record_find(&record, "d/l")->content.bytes, digest.bytes, DIGEST_SIZE);
	assert_null(record_find(&record, "d/three"));
	record_release(&record);
}

static void test_changes(void **state)
{
	(void)state;
	stage_and_run(FIRST " && seq 200 | xargs touch");
	publish_staged(NULL);
	stage_and_run("rm z && echo uno > n && mv n d/one && mkdir f && : > f/g && touch -d @1000000000 d");
	assert_int_equal(publish_staged(NULL), 2);
	struct record record = read_record(2), all;
	assert_true(!record.whole && record.base == 1 && record.chain == record.count);
	expect(&record, "!\n!d/one\n+f\n+f/g\n-z\n");
	record_release(&record);
	assert_int_equal(record_manifest(&store, 2, &all), RECORD_GOOD);
	assert_int_equal(all.count, 200 + 8);
	assert_non_null(record_find(&all, "f/g"));
	assert_null(record_find(&all, "z"));
	assert_int_equal(record_find(&all, "d/one")->size, 4);
	record_release(&all);
}

/* With a hint the rest is not looked at; all that is in a directory on the way is. */
static void test_hint(void **state)
{
	static const char *const hint[] = { "d/e/two", NULL };
	struct record record;

	(void)state;
	stage_and_run(FIRST " && mkdir other && seq 200 | xargs touch");
	publish_staged(NULL);
	stage_and_run("echo t > n && mv n d/e/two && echo u > n && mv n d/one && : > other/unseen");
	seal(&record, hint);
	expect(&record, "!\n!d\n!d/e\n!d/e/two\n!d/one\n");
	record_release(&record);
	seal(&record, (const char *const[]){ "other", NULL });
	expect(&record, "!\n!other\n+other/unseen\n");
	record_release(&record);
}

static void test_equal_files_are_shared(void **state)
{
	struct record record;
	struct stat mine, theirs;

	(void)state;
	stage_and_run(FIRST);
	publish_staged(NULL);
	stage_and_run("cp -a d/one n && mv n d/one && touch -d @1000000000 d .");
	seal(&record, NULL);
	assert_true(record_empty(&record) && record.count == 0);
	record_release(&record);
	char *path = alloc_printf("%s/d/one", staging.path);
	assert_true(lstat(path, &mine) == 0 && lstat("store/snapshots/1/d/one", &theirs) == 0);
	assert_int_equal(mine.st_ino, theirs.st_ino);
	free(path);
	/* P17: nothing else was linked anew. */
	assert_int_equal(lstat("store/snapshots/1/d/e/two", &theirs), 0);
	stage_and_run("true");
	struct stat before = theirs;
	assert_int_equal(lstat("store/snapshots/1/d/e/two", &before), 0);
	seal(&record, NULL);
	record_release(&record);
	assert_int_equal(lstat("store/snapshots/1/d/e/two", &theirs), 0);
	assert_memory_equal(&before.st_ctim, &theirs.st_ctim, sizeof(before.st_ctim));
}

/* Names that become one file, or are one no more, are news, though each reads as before. */
static void test_links(void **state)
{
	struct record record;

	(void)state;
	stage_and_run("echo x > a && echo x > b && ln a c && touch -d @1000000000 a b .");
	publish_staged(NULL);
	record = read_record(1);
	assert_true(record.several);
	record_release(&record);
	stage_and_run("cp -a a n && mv n c && touch -d @1000000000 .");
	seal(&record, NULL);
	assert_false(record_empty(&record));
	record_release(&record);
	stage_and_run("ln -f a b && touch -d @1000000000 .");
	seal(&record, NULL);
	assert_false(record_empty(&record));
	record_release(&record);
	stage_and_run("cp -a a n && ln -f n c && mv n a && cp -a b n && mv n b && touch -d @1000000000 .");
	seal(&record, NULL);
	assert_true(record_empty(&record));
	record_release(&record);
}

/* A record of each publish, until they are as large as the tree: then a whole one. */
static void test_chain(void **state)
{
	struct changes changes = CHANGES_NONE;
	bool whole = false;

	(void)state;
	stage_and_run(FIRST);
	publish_staged(NULL);
	for (int i = 0; i < 8; i++) {
		stage_and_run("date +%N > n && mv n z && touch -d @1000000000 .");
		publish_staged(NULL);
		struct record record = read_record(latest()), all;
		whole = whole || record.whole;
		assert_int_equal(record.base, latest() - 1);
		record_release(&record);
		assert_int_equal(record_manifest(&store, latest(), &all), RECORD_GOOD);
		assert_int_equal(all.count, 7);
		record_release(&all);
		record_changes(&store, 2, latest(), &changes);
		assert_false(changes.unknown);
		changes_sort(&changes);
		assert_true(changes.count <= 1 && (changes.count == 0 || strcmp(changes.paths[0], "z") == 0));
		changes_release(&changes);
	}
	assert_true(whole);
	record_changes(&store, 3, 3, &changes);
	assert_true(changes.count == 0 && !changes.unknown);
}

static void test_doubt(void **state)
{
	struct changes changes = CHANGES_NONE;
	struct record record;

	(void)state;
	stage_and_run(FIRST);
	publish_staged(NULL);
	stage_and_run("echo a > a");
	publish_staged(NULL);
	assert_int_equal(
		system("printf x | dd of=store/.rcu-repo/record/2 bs=1 seek=250 conv=notrunc 2>/dev/null"),
		0);
	assert_int_equal(record_read(&store, 2, &record), RECORD_TORN);
	assert_int_equal(record_manifest(&store, 2, &record), RECORD_TORN);
	record_changes(&store, 1, 2, &changes);
	assert_true(changes.unknown);
	changes_release(&changes);
	/* Portage makes the next one: it has no record, or what we left of ours. */
	assert_int_equal(system("cd store; cp -al snapshots/2 snapshots/3; ln -sfn snapshots/3 latest;"
				"cp .rcu-repo/record/1 .rcu-repo/record/3"),
			 0);
	assert_int_equal(record_read(&store, 4, &record), RECORD_MISSING);
	assert_int_equal(record_read(&store, 3, &record), RECORD_TORN);
	stage_and_run("echo b > b");
	assert_int_equal(publish_staged(NULL), 4);
	record = read_record(4);
	assert_true(record.whole && record.base == 3);
	expect(&record, "!\n=a\n+b\n=d\n=d/e\n=d/e/two\n=d/l\n=d/one\n=z\n");
	record_release(&record);
	/* Another tree under the same number. */
	assert_int_equal(system("cd store/snapshots && cp -al 4 new && mv 4 old && mv new 4 && rm -r old"),
			 0);
	assert_int_equal(record_read(&store, 4, &record), RECORD_FOREIGN);
	record_changes(&store, 3, 4, &changes);
	assert_true(changes.unknown);
	changes_release(&changes);
}

static void test_sweep(void **state)
{
	(void)state;
	stage_and_run(FIRST " && seq 50 | xargs touch");
	publish_staged(NULL);
	for (int i = 0; i < 3; i++) {
		stage_and_run("date +%N > n && mv n z");
		publish_staged(NULL);
	}
	scratch_write("store/.rcu-repo/record/77", "left over");
	assert_int_equal(system("rm -r store/snapshots/1 store/snapshots/3"), 0);
	good(record_sweep(&store, &err));
	/* 4 stands on 3, and all on 1, the whole one. */
	assert_int_equal(system("test \"$(ls store/.rcu-repo/record | xargs)\" = '1 2 3 4'"), 0);
	assert_int_equal(system("rm -r store/snapshots/4"), 0);
	good(record_sweep(&store, &err));
	assert_int_equal(system("test \"$(ls store/.rcu-repo/record | xargs)\" = '1 2'"), 0);
}

static bool is_plain(int64_t looked, const char *commands)
{
	stage_and_run(commands);
	staging.looked = looked;
	publish_staged(NULL);
	stage_and_run("true");
	return staging.plain;
}

/* Is it known of a tree that it has neither links nor attributes, and for how long? */
static void test_plain(void **state)
{
	const int64_t now = time(NULL), day = 24 * 60 * 60;

	(void)state;
	assert_true(is_plain(now, FIRST));
	assert_true(staging.looked == now);
	assert_true(is_plain(now - day + 600, "echo a > a"));
	assert_false(is_plain(now - day, "echo b > b"));
	assert_false(is_plain(now + 600, "echo c > c"));
	assert_false(is_plain(0, "echo d > g"));
	assert_true(is_plain(now, "echo e > e"));
	if (system("touch x && setfattr -n user.k -v v x") == 0) {
		assert_false(is_plain(now, "echo f > h && setfattr -n user.k -v v h"));
		assert_true(staging.looked == now);
		assert_false(is_plain(now, "echo g > i"));
		assert_true(staging.looked == now);
	}
}

static void test_not_plain_with_links(void **state)
{
	(void)state;
	assert_false(is_plain(time(NULL), FIRST " && ln z same"));
	assert_false(is_plain(time(NULL), "echo a > a"));
}

/* The content of the spare directory, in one line. */
static void expect_spares(const char *want)
{
	char *command = alloc_printf("test \"$(ls store/.rcu-repo/spare | sed 's/@.*//' | xargs)\" = '%s'",
				     want);

	assert_int_equal(system(command), 0);
	free(command);
}

static void publish_some(int count)
{
	for (int i = 0; i < count; i++) {
		stage_and_run("date +%N > n && mv n z");
		publish_staged(NULL);
	}
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static void need_all_processes(void)
{
	scratch_need_root();
	if (system("test \"$(readlink /proc/self/ns/pid)\" = 'pid:[4026531836]'") != 0)
		skip_test("in a PID namespace it cannot be said that nobody is in a tree");
}

static void reclaim_one(void)
{
	const struct reclaim_rules rules = { .spares = 0, .recycle = true };

	good(reclaim(&store, &rules, NULL, NULL, &err));
}

/* What would be deleted is the next staging tree, brought forward. */
static void test_recycle(void **state)
{
	(void)state;
	need_all_processes();
	stage_and_run(FIRST " && seq 50 | xargs touch");
	publish_staged(NULL);
	const ino_t first = inode_of("store/snapshots/1");
	publish_some(2);
	reclaim_one();
	expect_spares("1");
	assert_int_equal(system("test \"$(ls store/snapshots)\" = 3"), 0);
	stage_and_run("true");
	assert_int_equal(inode_of(staging.path), first);
	expect_spares("");
	assert_int_equal(store.storage->same(&store, &staging, 3, &(struct err)ERR_NONE), 1);
	/* It was not needed: it is the next one's. */
	good(store.storage->put_back(&store, &staging, 3, &err));
	expect_spares("3");
	publish_some(1);
	assert_int_equal(inode_of("store/snapshots/4"), first);
	/* With no record that says what changed all is compared, and so it is under another boot. */
	reclaim_one();
	expect_spares("3");
	assert_int_equal(system("rm store/.rcu-repo/record/* && cd store/.rcu-repo/spare && mv * 3@x"), 0);
	const ino_t third = inode_of("store/.rcu-repo/spare/3@x");
	stage_and_run("true");
	assert_int_equal(inode_of(staging.path), third);
	assert_int_equal(store.storage->same(&store, &staging, 4, &(struct err)ERR_NONE), 1);
	/* Made ready ahead: then it is as latest, and is taken as it is. */
	good(store.storage->put_back(&store, &staging, 3, &err));
	good(store.storage->ready_spare(&store, &err));
	expect_spares("4");
	assert_int_equal(system("test -d store/.rcu-repo/spare/4@*@clear && rm -f store/.rcu-repo/record/*"),
			 0);
	good(store.storage->ready_spare(&store, &err));
	stage_and_run("true");
	assert_int_equal(inode_of(staging.path), third);
	assert_int_equal(store.storage->same(&store, &staging, 4, &(struct err)ERR_NONE), 1);
	/* gc takes it. */
	good(store.storage->put_back(&store, &staging, 4, &err));
	expect_spares("4");
	good(store.storage->drop_spare(&store, &err));
	expect_spares("");
}

/* A shell that says when it is where `way` has brought it, and stays there. */
static pid_t occupy(const char *way)
{
	char *script = alloc_printf("top=$PWD; %s && : >\"$top/there\" && exec sleep 1000", way);
	const pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("unshare", "unshare", "-m", "sh", "-c", script, NULL);
		_exit(127);
	}
	free(script);
	for (int tries = 0; !scratch_exists("there"); tries++) {
		assert_true(tries < 6000);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		usleep(10000);
	}
	assert_int_equal(unlink("there"), 0);
	return pid;
}

/* Snapshot `number` may go, and somebody is in it: it becomes the spare, which is not used. */
static void expect_occupied(uint64_t number, const char *way)
{
	char *snapshot = alloc_printf("store/snapshots/%ju", (uintmax_t)number),
	     *spare = alloc_printf("%ju", (uintmax_t)number);
	const ino_t inode = inode_of(snapshot);
	const pid_t pid = occupy(way);

	reclaim_one();
	good(store.storage->ready_spare(&store, &err));
	expect_spares(spare);
	stage_and_run("date +%N > n && mv n z");
	assert_true(inode_of(staging.path) != inode);
	expect_spares("");
	publish_staged(NULL);
	scratch_end(pid);
	free(snapshot);
	free(spare);
}

/* Who is in the tree without a pin sees it as it was, or go; never become another one. By whatever way he came in. */
static void test_occupied_is_not_recycled(void **state)
{
	(void)state;
	need_all_processes();
	if (system("unshare -m true") != 0)
		skip_test("no mount namespaces here");
	stage_and_run(FIRST);
	publish_staged(NULL);
	publish_some(1);
	scratch_mkdir("else");
	expect_occupied(1, "cd store/snapshots/1/d");
	expect_occupied(2, "mount --bind store else && cd else/snapshots/2/d");
	expect_occupied(3, "mount --bind store/snapshots/3/d else && cd else");
	expect_occupied(4, "mount --bind store/snapshots else && exec 9<else/4");
}

/* Portage publishes here, and may be deleting what we would take. */
static void test_not_beside_portage(void **state)
{
	(void)state;
	need_all_processes();
	stage_and_run(FIRST);
	publish_staged(NULL);
	assert_int_equal(system("cd store && cp -al snapshots/1 snapshots/2 && ln -sfn snapshots/2 latest"),
			 0);
	reclaim_one();
	expect_spares("");
	assert_int_equal(system("test \"$(ls store/snapshots)\" = 2"), 0);
}

#define record_test(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		record_test(test_first_is_whole),
		record_test(test_changes),
		record_test(test_hint),
		record_test(test_equal_files_are_shared),
		record_test(test_links),
		record_test(test_chain),
		record_test(test_doubt),
		record_test(test_sweep),
		record_test(test_plain),
		record_test(test_not_plain_with_links),
		record_test(test_recycle),
		record_test(test_occupied_is_not_recycled),
		record_test(test_not_beside_portage),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

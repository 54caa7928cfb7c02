/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/config/user.h"
#include "helper/snapshot/storage.h"
#include "helper/store/lock.h"
#include "helper/store/meta.h"
#include "helper/store/migrate.h"
#include "helper/store/trust.h"
#include "tests/unit/scratch.h"

/* ---- every call that changes a name, or makes it durable, passes here: the program is linked with --wrap
 * ----
 */

static int calls_until_death; /* 0: live */
static bool exchange_is_missing;

static void step(void)
{
	if (calls_until_death > 0 && --calls_until_death == 0)
		_exit(9);
}

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_symlinkat(const char *target, int dir, const char *name);
int __wrap_symlinkat(const char *target, int dir, const char *name);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	step();
	if (exchange_is_missing && flags == RENAME_EXCHANGE) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	step();
	return __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_symlinkat(const char *target, int dir, const char *name)
{
	step();
	return __real_symlinkat(target, dir, name);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	step();
	return __real_unlinkat(dir, name, flags);
}

int __wrap_fsync(int fd)
{
	step();
	return __real_fsync(fd);
}

/* ---- a repository that is being migrated ---- */

struct fixture {
	char *location, *store, *parent;
	struct repo repo;
};

static void fixture_make(struct fixture *fixture, const char *top, const char *location, const char *store)
{
	fixture->parent = scratch_path(top, "repos");
	scratch_mkdir(fixture->parent);
	fixture->location = scratch_path(top, "%s", location);
	fixture->store = scratch_path(top, "%s", store);
	fixture->repo = (struct repo){ .name = (char *)"test",
				       .location = fixture->location,
				       .store = fixture->store };
}

static void fixture_free(struct fixture *fixture)
{
	free(fixture->parent);
	free(fixture->location);
	free(fixture->store);
}

static void make_old_tree(const struct fixture *fixture)
{
	scratch_mkdir(fixture->location);
	char *file = scratch_path(fixture->location, "version");
	scratch_write(file, "old");
	free(file);
}

/* What `DIRECTORY/version` says; "" where there is none. */
static char *version(const char *directory)
{
	char *file = scratch_path(directory, "version"), *text = scratch_read(file);

	free(file);
	return text == NULL ? alloc_copy("") : text;
}

static void assert_version(const char *directory, const char *wanted)
{
	char *text = version(directory);

	assert_string_equal(text, wanted);
	free(text);
}

static enum location_state check(const struct fixture *fixture)
{
	enum location_state state;
	struct err err = ERR_NONE;

	if (migrate_check(&fixture->repo, &state, &err) != 0 || migrate_try(&fixture->repo, state, &err) != 0)
		fail_msg("%s", err.text);
	return state;
}

static void refused_as(const struct fixture *fixture, int status, const char *why)
{
	enum location_state state;
	struct err err = ERR_NONE;

	if (migrate_check(&fixture->repo, &state, &err) == 0)
		assert_int_equal(migrate_try(&fixture->repo, state, &err), -1);
	assert_int_equal(err.status, status);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void refused(const struct fixture *fixture, const char *why)
{
	refused_as(fixture, STATUS_USAGE, why);
}

/* As sync does it; *beside is the caller's. */
static int migrate(const struct fixture *fixture, char **beside, struct err *err)
{
	const enum location_state state = check(fixture);
	struct store store;

	scratch_open(&store, fixture->store);
	assert_int_equal(user_trusted(&fixture->repo, &store.sync_user, err), 0);
	int result = migrate_prepare(&store, &fixture->repo, state, err);
	if (result == 0) {
		scratch_publish(&store, "new");
		result = migrate_finish(&store, &fixture->repo, state, beside, err);
	}
	store_close(&store);
	return result;
}

static void migrate_well(const struct fixture *fixture)
{
	struct err err = ERR_NONE;
	char *beside;

	if (migrate(fixture, &beside, &err) != 0)
		fail_msg("%s", err.text);
	assert_null(beside);
}

static unsigned entries_beside(const struct fixture *fixture)
{
	struct stat st;
	char *command = alloc_printf("test \"$(ls -A '%s' | wc -l)\" = 1", fixture->parent);
	int result = stat(fixture->parent, &st) == 0 ? system(command) : 1;

	free(command);
	return result == 0 ? 1 : 2;
}

/* The link, what it shows, and the old tree as a retired snapshot with a number below. */
static void assert_migrated(const struct fixture *fixture)
{
	char target[4096] = "", *wanted = alloc_printf("%s/latest", fixture->store);
	struct numbers numbers;
	struct store store;
	struct err err = ERR_NONE;
	unsigned old = 0;
	uint64_t latest;

	assert_true(readlink(fixture->location, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, wanted);
	assert_version(fixture->location, "new");
	assert_int_equal(check(fixture), LOCATION_LINKED);
	assert_int_equal(entries_beside(fixture), 1);
	scratch_open(&store, fixture->store);
	assert_false(store_has(&store, STORE_MIGRATION));
	assert_int_equal(store_latest(&store, &latest, &err), 0);
	assert_int_equal(store_numbers(&store, &numbers, NULL, NULL, &err), 0);
	for (size_t i = 0; i < numbers.count; i++) {
		char *path = store_snapshot_path(&store, numbers.list[i]), *text = version(path);
		struct meta meta;
		assert_int_equal(meta_read(&store, numbers.list[i], &meta, &err), 0);
		if (strcmp(text, "old") == 0) {
			old++;
			assert_true(numbers.list[i] < latest);
			assert_true(meta.retired > 0);
		}
		free(text);
		free(path);
	}
	assert_int_equal(old, 1);
	numbers_release(&numbers);
	store_close(&store);
	free(wanted);
}

/* ---- the good ways ---- */

static void test_absent_becomes_a_link(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/not/there/yet", "store");
	assert_int_equal(check(&fixture), LOCATION_ABSENT);
	migrate_well(&fixture);
	assert_version(fixture.location, "new");
	assert_int_equal(check(&fixture), LOCATION_LINKED);
	migrate_well(&fixture); /* nothing to do */
	assert_int_equal(check(&fixture), LOCATION_LINKED);
	fixture_free(&fixture);
}

/* P26: readers see the old tree, and then the new one: nothing empty, and nothing missing, at any moment. */
static void test_p26_directory_becomes_a_link(void **state)
{
	struct fixture fixture;
	volatile int *stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	char *file = scratch_path(fixture.location, "version");
	pid_t pid = fork();
	if (pid == 0) {
		while (!*stop)
			if (access(file, R_OK) != 0)
				_exit(1);
		_exit(0);
	}
	assert_int_equal(check(&fixture), LOCATION_DIRECTORY);
	migrate_well(&fixture);
	*stop = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_migrated(&fixture);
	munmap((void *)stop, 4096);
	free(file);
	fixture_free(&fixture);
}

/* P5: a slash behind the location. */
static void test_p5_trailing_slashes(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	char *slashes = alloc_printf("%s///", fixture.location);
	fixture.repo.location = slashes;
	migrate_well(&fixture);
	fixture.repo.location = fixture.location;
	assert_migrated(&fixture);
	free(slashes);
	fixture_free(&fixture);
}

static void test_names_of_any_bytes(void **state)
{
	struct fixture fixture;
	char name[256], *location;

	memset(name, 'n', 255);
	memcpy(name, "a \n\\040\t", 8);
	name[8] = 'x';
	name[255] = '\0';
	location = alloc_printf("repos/%s", name);
	fixture_make(&fixture, *state, location, "store\n");
	make_old_tree(&fixture);
	migrate_well(&fixture);
	assert_version(fixture.location, "new");
	assert_int_equal(check(&fixture), LOCATION_LINKED);
	free(location);
	fixture_free(&fixture);
}

/* ---- P3: a crash at every call ---- */

/* Dies before the call number `at`; false where the migration was over before. */
static bool migrate_and_die(const struct fixture *fixture, int at)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const enum location_state state = check(fixture);
		struct store store;
		struct err err = ERR_NONE;
		char *beside;
		scratch_open(&store, fixture->store);
		store.durable = true;
		calls_until_death = at;
		if (migrate_prepare(&store, &fixture->repo, state, &err) != 0)
			_exit(1);
		scratch_publish(&store, "new");
		if (migrate_finish(&store, &fixture->repo, state, &beside, &err) != 0)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != 9)
		assert_int_equal(WEXITSTATUS(status), 0);
	return WEXITSTATUS(status) == 9;
}

static void test_p3_a_crash_at_every_step(void **state)
{
	struct fixture fixture;
	int at;

	for (at = 1;; at++) {
		char *top = scratch_path(*state, "crash%d", at);
		scratch_mkdir(top);
		fixture_make(&fixture, top, "repos/gentoo", "store");
		make_old_tree(&fixture);
		const bool died = migrate_and_die(&fixture, at);
		/* Never missing: the old one, or the new one. */
		char *shown = version(fixture.location);
		assert_true(strcmp(shown, "old") == 0 || strcmp(shown, "new") == 0);
		/* The next command mends it; the old tree is in one place. */
		struct store store;
		scratch_open(&store, fixture.store);
		assert_false(store_has(&store, STORE_MIGRATION));
		store_close(&store);
		assert_int_equal(entries_beside(&fixture), 1);
		if (strcmp(shown, "old") == 0) {
			assert_int_equal(check(&fixture), LOCATION_DIRECTORY);
			migrate_well(&fixture);
		}
		assert_migrated(&fixture);
		free(shown);
		fixture_free(&fixture);
		free(top);
		if (!died)
			break;
	}
	print_message("# %d crashes\n", at - 1);
	assert_true(at > 15);
}

/* ---- refusals ---- */

static void test_p2_neither_in_the_other(void **state)
{
	struct fixture fixture;
	char *link = scratch_path(*state, "link"), *real = scratch_path(*state, "repos/gentoo");

	fixture_make(&fixture, *state, "repos/gentoo", "repos/gentoo/.store");
	refused(&fixture, "is inside the location"); /* neither is there */
	make_old_tree(&fixture);
	refused(&fixture, "is inside the location");
	assert_int_equal(symlink(real, link), 0);
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "repos/gentoo", "link/deep/store");
	refused(&fixture, "is inside the location"); /* through a link */
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "repos/gentoo", "repos/gentoo");
	refused(&fixture, "is inside the location");
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "repos/gentoo/x", "repos/gentoo");
	refused(&fixture, "inside the store");
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "link/x/y", "repos/gentoo");
	refused(&fixture, "inside the store");
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "new/x/y", "new/x");
	refused(&fixture, "inside the store");
	fixture_free(&fixture);
	fixture_make(&fixture, *state, "new/xy", "new/x"); /* only looks like it */
	assert_int_equal(check(&fixture), LOCATION_ABSENT);
	fixture_free(&fixture);
	assert_version(real, "old");
	free(link);
	free(real);
}

/* P2 by another name of the location: only identity tells. */
static void test_p2_through_a_bind_mount(void **state)
{
	struct fixture fixture;
	char *alias = scratch_path(*state, "alias"), *mounted = scratch_path(*state, "mounted");

	fixture_make(&fixture, *state, "repos/gentoo", "alias/store");
	make_old_tree(&fixture);
	scratch_mount(mounted, "size=64k");
	scratch_mkdir(alias);
	assert_int_equal(mount(fixture.location, alias, "none", MS_BIND, NULL), 0);
	refused(&fixture, "is inside the location");
	assert_int_equal(umount(alias), 0);
	assert_int_equal(umount(mounted), 0);
	fixture_free(&fixture);
	free(alias);
	free(mounted);
}

/* P1: a mount point, and mounts inside. */
static void test_p1_mounts(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gen too", "store");
	make_old_tree(&fixture);
	char *inside = scratch_path(fixture.location, "metadata/a\tb\n\\"),
	     *bind = scratch_path(*state, "bind");
	scratch_mount(inside, "size=64k");
	refused(&fixture, "is mounted inside it");
	assert_int_equal(umount(inside), 0);
	assert_int_equal(check(&fixture), LOCATION_DIRECTORY);
	scratch_mkdir(bind); /* of the same file system: st_dev does not tell */
	assert_int_equal(mount(bind, fixture.location, "none", MS_BIND, NULL), 0);
	refused(&fixture, "is a mount point");
	assert_int_equal(umount(fixture.location), 0);
	scratch_mount(fixture.location, "size=64k");
	refused(&fixture, "is a mount point");
	assert_int_equal(umount(fixture.location), 0);
	assert_version(fixture.location, "old");
	free(bind);
	free(inside);
	fixture_free(&fixture);
}

static void test_what_is_no_directory(void **state)
{
	struct fixture fixture;
	struct store store;
	char *other = scratch_path(*state, "other"), *latest = scratch_path(*state, "other/latest");

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	scratch_write(fixture.location, "a file");
	refused(&fixture, "is a file");
	assert_int_equal(unlink(fixture.location), 0);
	assert_int_equal(symlink("nowhere", fixture.location), 0);
	refused(&fixture, "dangling");
	assert_int_equal(unlink(fixture.location), 0);
	scratch_open(&store, other);
	scratch_publish(&store, "x");
	store_close(&store);
	assert_int_equal(symlink(latest, fixture.location), 0);
	refused(&fixture, "leads elsewhere, to the store");
	assert_int_equal(unlink(fixture.location), 0);
	assert_int_equal(symlink("/", fixture.location), 0);
	refused(&fixture, "leads elsewhere");
	assert_int_equal(unlink(fixture.location), 0);
	/* The right one, whose store is not there, or is the mount point that it is mounted on. */
	char *right = alloc_printf("%s/latest", fixture.store);
	assert_int_equal(symlink(right, fixture.location), 0);
	refused_as(&fixture, STATUS_FAILED, "is its file system mounted");
	assert_int_equal(access(fixture.store, F_OK), -1);
	scratch_mkdir(fixture.store);
	refused_as(&fixture, STATUS_FAILED, "is its file system mounted");
	/* Portage's, and what of ours was never published, are stores. */
	char *portage = scratch_path(fixture.store, "latest"),
	     *ours = scratch_path(fixture.store, STORE_OURS);
	assert_int_equal(symlink("snapshots/1", portage), 0);
	assert_int_equal(check(&fixture), LOCATION_LINKED);
	assert_int_equal(unlink(portage), 0);
	scratch_mkdir(ours);
	assert_int_equal(check(&fixture), LOCATION_LINKED);
	free(portage);
	free(ours);
	free(right);
	free(other);
	free(latest);
	fixture_free(&fixture);
}

/* P25: data that exists once, where Portage's excludes keep it out of every sync. */
static void test_p25_distfiles(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	char *distfiles = scratch_path(fixture.location, "distfiles");
	scratch_mkdir(distfiles);
	assert_int_equal(check(&fixture), LOCATION_DIRECTORY);
	fixture.repo.from_portage = true;
	refused(&fixture, "distfiles/");
	free(distfiles);
	fixture_free(&fixture);
}

static void test_others_may_write_to_the_parent(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	assert_int_equal(chmod(fixture.parent, 0777), 0);
	refused(&fixture, "may be written to by everybody");
	fixture_free(&fixture);
}

/* Checks, lets `meanwhile` happen, and finishes: it must be refused, and nothing made at the location. */
static void refused_late(const struct fixture *fixture, void (*meanwhile)(const char *), const char *why)
{
	const enum location_state state = check(fixture);
	struct err err = ERR_NONE;
	struct store store;
	struct stat st;
	char *beside;

	scratch_open(&store, fixture->store);
	assert_int_equal(migrate_prepare(&store, &fixture->repo, state, &err), 0);
	scratch_publish(&store, "new");
	meanwhile(fixture->parent);
	assert_int_equal(migrate_finish(&store, &fixture->repo, state, &beside, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_true(lstat(fixture->location, &st) != 0 || S_ISDIR(st.st_mode));
	store_close(&store);
}

static void theirs_is_made(const char *parent)
{
	char *theirs = scratch_path(parent, "missing");

	scratch_mkdir(theirs);
	assert_int_equal(chown(theirs, 65534, 65534), 0);
	free(theirs);
}

/* To a directory that nobody else may write to. */
static void theirs_is_linked(const char *parent)
{
	char *theirs = scratch_path(parent, "missing");

	assert_int_equal(symlink("../ours", theirs), 0);
	assert_int_equal(lchown(theirs, 65534, 65534), 0);
	free(theirs);
}

static void parent_is_opened(const char *parent)
{
	assert_int_equal(chmod(parent, 0777), 0);
}

static void test_a_missing_parent_is_made_by_somebody_else(void **state)
{
	void (*const meanwhile[])(const char *) = { theirs_is_made, theirs_is_linked };
	struct fixture fixture;

	scratch_need_root();
	for (size_t i = 0; i < sizeof(meanwhile) / sizeof(meanwhile[0]); i++) {
		char *top = scratch_path(*state, "%zu", i), *ours = scratch_path(top, "ours");
		scratch_mkdir(ours);
		fixture_make(&fixture, top, "repos/missing/more/gentoo", "store");
		assert_int_equal(chmod(fixture.parent, 01777), 0);
		refused_late(&fixture, meanwhile[i], "repos/missing is owned by user 65534");
		char *made = scratch_path(fixture.parent, "missing/more");
		assert_false(scratch_exists(made));
		free(made);
		fixture_free(&fixture);
		free(ours);
		free(top);
	}
}

/* The sync-user is one of us at the end, too. */
static void test_the_sync_user_owns_the_parent(void **state)
{
	struct fixture fixture;

	scratch_need_root();
	fixture_make(&fixture, *state, "repos/gentoo", "store");
	fixture.repo.sync_user = (char *)"65534";
	make_old_tree(&fixture);
	assert_int_equal(chown(fixture.parent, 65534, 65534), 0);
	migrate_well(&fixture);
	assert_migrated(&fixture);
	fixture_free(&fixture);
}

static void test_others_may_write_to_the_parent_by_now(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	refused_late(&fixture, parent_is_opened, "may be written to by everybody");
	assert_version(fixture.location, "old");
	fixture_free(&fixture);
}

static void test_no_exchange_no_migration(void **state)
{
	struct fixture fixture;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	exchange_is_missing = true;
	refused(&fixture, "RENAME_EXCHANGE");
	exchange_is_missing = false;
	assert_int_equal(entries_beside(&fixture), 1); /* no scratch name is left */
	assert_version(fixture.location, "old");
	fixture_free(&fixture);
}

/* Killed in the trial of an exchange, at every call: the next one leaves nothing beside the location. */
static void test_a_killed_check_leaves_nothing_for_good(void **state)
{
	struct fixture fixture;
	int status = 0, at = 0;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	do {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			calls_until_death = ++at;
			check(&fixture);
			_exit(0);
		}
		at++;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(check(&fixture), LOCATION_DIRECTORY);
		assert_int_equal(entries_beside(&fixture), 1);
	} while (WEXITSTATUS(status) == 9);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(at > 4);
	fixture_free(&fixture);
}

/* ---- the store is on another file system ---- */

static void test_another_file_system(void **state)
{
	struct fixture fixture;
	struct store store;
	struct err err = ERR_NONE;
	char *beside, *disk = scratch_path(*state, "disk");

	fixture_make(&fixture, *state, "repos/gentoo", "disk/store");
	char *taken = alloc_printf("%s.before-rcu", fixture.location), *wanted = alloc_printf("%s.1", taken);
	make_old_tree(&fixture);
	scratch_mount(disk, "size=1m,mode=0755");
	scratch_mkdir(taken);
	if (migrate(&fixture, &beside, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(beside, wanted);
	assert_version(beside, "old");
	assert_version(fixture.location, "new");
	scratch_open(&store, fixture.store);
	assert_false(store_has(&store, "snapshots/1"));
	assert_false(store_has(&store, STORE_MIGRATION));
	store_close(&store);
	assert_int_equal(umount(disk), 0);
	free(beside);
	free(taken);
	free(wanted);
	free(disk);
	fixture_free(&fixture);
}

/* Dies right behind the exchange: the old tree is still beside the location. */
static void die_behind_the_exchange(const struct fixture *fixture)
{
	struct stat st = { .st_mode = 0 };

	for (int at = 1; !S_ISLNK(st.st_mode); at++) {
		assert_true(migrate_and_die(fixture, at));
		assert_int_equal(lstat(fixture->location, &st), 0);
	}
}

/* Exchanged, and not mounted when the next commands run: the bare mount point is there, or not even that. */
static void test_p3_not_mounted_at_recovery(void **state)
{
	struct fixture fixture;
	struct store store;
	struct err err = ERR_NONE;
	enum location_state absent;
	char *away = scratch_path(*state, "away");

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	die_behind_the_exchange(&fixture);
	assert_version(fixture.location, "new");
	assert_int_equal(rename(fixture.parent, away), 0);
	for (int bare = 0; bare < 2; bare++) {
		if (bare)
			scratch_mkdir(fixture.parent);
		scratch_open(&store, fixture.store); /* goes on, and forgets nothing */
		assert_true(store_has(&store, STORE_MIGRATION));
		assert_int_equal(migrate_check(&fixture.repo, &absent, &err), 0);
		assert_int_equal(absent, LOCATION_ABSENT);
		assert_int_equal(migrate_prepare(&store, &fixture.repo, absent, &err), -1);
		assert_non_null(strstr(err.text, "was interrupted"));
		err_clear(&err);
		store_close(&store);
	}
	assert_int_equal(rmdir(fixture.parent), 0);
	assert_int_equal(rename(away, fixture.parent), 0);
	scratch_open(&store, fixture.store);
	assert_false(store_has(&store, STORE_MIGRATION));
	store_close(&store);
	assert_int_equal(entries_beside(&fixture), 1);
	assert_migrated(&fixture);
	free(away);
	fixture_free(&fixture);
}

/* What is under our name there may be anybody's by now. */
static void test_others_may_write_to_the_parent_at_recovery(void **state)
{
	struct fixture fixture;
	struct store store = STORE_CLOSED;
	struct err err = ERR_NONE;

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	die_behind_the_exchange(&fixture);
	assert_int_equal(chmod(fixture.parent, 0777), 0);
	assert_int_equal(store_open(&store, fixture.store, STORE_CHANGE, false, &err), 0);
	assert_int_equal(store_lock(&store, "unit test", true, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_non_null(strstr(err.text, "may be written to by everybody"));
	assert_true(store_has(&store, STORE_MIGRATION));
	store_close(&store);
	assert_int_equal(chmod(fixture.parent, 0755), 0);
	scratch_open(&store, fixture.store);
	store_close(&store);
	assert_migrated(&fixture);
	fixture_free(&fixture);
}

static void test_the_parent_is_gone_by_now(void **state)
{
	struct fixture fixture;
	struct store store;
	struct err err = ERR_NONE;
	char *beside, *away = scratch_path(*state, "away");

	fixture_make(&fixture, *state, "repos/gentoo", "store");
	make_old_tree(&fixture);
	const enum location_state found = check(&fixture);
	scratch_open(&store, fixture.store);
	assert_int_equal(migrate_prepare(&store, &fixture.repo, found, &err), 0);
	scratch_publish(&store, "new");
	assert_int_equal(rename(fixture.parent, away), 0);
	assert_int_equal(migrate_finish(&store, &fixture.repo, found, &beside, &err), -1);
	char *wanted = alloc_printf("%s: the directory that it is in, %s, is not there any more",
				    fixture.location, fixture.parent);
	assert_string_equal(err.text, wanted);
	store_close(&store);
	free(wanted);
	free(away);
	fixture_free(&fixture);
}

static void test_a_damaged_journal_stops(void **state)
{
	const char *const bad[] = { "",
				    "x",
				    "1\n.rcu-repo-1\n",
				    "1\n.rcu-repo-1\n2\n",
				    "1\n.rcu-repo-1\n/a/b\n",
				    "1\n.rcu-repo-1\n2\nrelative\n",
				    "1\n.rcu-repo-1\n-2\n/a/b\n",
				    "1\n../x\n2\n/a/b\n",
				    "0\n.rcu-repo-1\n2\n/a/b\n",
				    "1\n.rcu-repo-/../x\n2\n/a/b\n" };
	struct store store;
	struct err err = ERR_NONE;
	char *path = scratch_path(*state, "store");

	scratch_open(&store, path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store_write_file(&store, STORE_MIGRATION, bad[i], 0644, &err), 0);
		assert_int_equal(migrate_recover(&store, &err), -1);
		err_clear(&err);
	}
	store_close(&store);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_test(test_absent_becomes_a_link),
		scratch_test(test_p26_directory_becomes_a_link),
		scratch_test(test_p5_trailing_slashes),
		scratch_test(test_names_of_any_bytes),
		scratch_test(test_p3_a_crash_at_every_step),
		scratch_test(test_p2_neither_in_the_other),
		scratch_test(test_p2_through_a_bind_mount),
		scratch_test(test_p1_mounts),
		scratch_test(test_what_is_no_directory),
		scratch_test(test_p25_distfiles),
		scratch_test(test_others_may_write_to_the_parent),
		scratch_test(test_a_missing_parent_is_made_by_somebody_else),
		scratch_test(test_the_sync_user_owns_the_parent),
		scratch_test(test_others_may_write_to_the_parent_by_now),
		scratch_test(test_no_exchange_no_migration),
		scratch_test(test_a_killed_check_leaves_nothing_for_good),
		scratch_test(test_another_file_system),
		scratch_test(test_p3_not_mounted_at_recovery),
		scratch_test(test_others_may_write_to_the_parent_at_recovery),
		scratch_test(test_the_parent_is_gone_by_now),
		scratch_test(test_a_damaged_journal_stops),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}

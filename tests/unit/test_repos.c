/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/base/alloc.h"
#include "helper/config/keys.h"
#include "helper/config/repos.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

#define GOOD "[gentoo]\nlocation = /r/gentoo\nsync-rcu-store-dir = /s/gentoo\n"

static int enter(void **state)
{
	return scratch_make(state) == 0 ? chdir(*state) : -1;
}

static int leave(void **state)
{
	return chdir("/") == 0 ? scratch_remove(state) : -1;
}

static void good(struct repos *repos, const char *text, char **set)
{
	const struct repos_override override = { .set = set };
	struct err err = ERR_NONE;

	scratch_write("c", text);
	if (repos_read(repos, "c", &override, &err) != 0)
		fail_msg("%s: %s", text, err.text);
}

/* Every error is one of configuration and names file, line, key and value. */
static void bad(const char *text, const char *message)
{
	struct err err = ERR_NONE;
	struct repos repos;

	scratch_write("c", text);
	assert_int_equal(repos_read(&repos, "c", NULL, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, message);
	repos_release(&repos);
}

static void test_defaults(void **state)
{
	struct repos repos;

	(void)state;
	good(&repos, GOOD "sync-rcu-max-delete = 50%\n", NULL);
	assert_int_equal(repos.count, 1);
	const struct repo *repo = repos_find(&repos, "gentoo");
	assert_non_null(repo);
	assert_string_equal(repo->location, "/r/gentoo");
	assert_string_equal(repo->store, "/s/gentoo");
	assert_null(repo->sync_type);
	assert_null(repo->sync_uri);
	assert_null(repo->sync_user);
	assert_null(repo->verify[0]);
	assert_null(repo->hooks);
	assert_null(repo->sync_opts[0]);
	assert_true(repo->rcu);
	assert_true(repo->auto_sync);
	assert_true(repo->durable);
	assert_false(repo->from_portage);
	assert_int_equal(repo->spares, 1);
	assert_int_equal(repo->ttl_days, 7);
	assert_null(repos_find(&repos, "Gentoo"));
	repos_release(&repos);
}

static void test_every_key(void **state)
{
	struct repos repos;

	(void)state;
	good(&repos,
	     "[DEFAULT]\nsync-rcu-ttl-days = 30\nauto-sync = No\nmain-repo = x\n[x]\n"
	     "location = /r//x///\nsync-type = rsync\nsync-uri = rsync://h/m ; \nsync-user = u:g\n"
	     "sync-rcu = TRUE\nsync-rcu-store-dir = /s/x/\nsync-rcu-spare-snapshots = "
	     "0\nsync-allow-hardlinks = yes\n"
	     "sync-rcu-durability = none\nsync-rcu-verify = v -x\nsync-rcu-hooks = /h\nsync-rcu-max-delete = "
	     "10%%\n"
	     "sync-rsync-extra-opts = --exclude='a b' \"-c\\\"\" d\\ e\n  -f\npriority = 10\n",
	     NULL);
	const struct repo *repo = repos_find(&repos, "x");
	assert_string_equal(repo->location, "/r/x");
	assert_string_equal(repo->store, "/s/x");
	assert_string_equal(repo->sync_type, "rsync");
	assert_string_equal(repo->sync_uri, "rsync://h/m ;");
	assert_string_equal(repo->sync_user, "u:g");
	assert_string_equal(repo->verify[0], "v");
	assert_string_equal(repo->verify[1], "-x");
	assert_null(repo->verify[2]);
	assert_string_equal(repo->hooks, "/h");
	assert_false(repo->auto_sync);
	assert_false(repo->durable);
	assert_int_equal(repo->spares, 0);
	assert_int_equal(repo->ttl_days, 30);
	assert_string_equal(repo->sync_opts[0], "--exclude=a b");
	assert_string_equal(repo->sync_opts[1], "-c\"");
	assert_string_equal(repo->sync_opts[2], "d e");
	assert_string_equal(repo->sync_opts[3], "-f");
	assert_null(repo->sync_opts[4]);
	repos_release(&repos);
}

static void test_bad_values(void **state)
{
	(void)state;
	bad(GOOD "sync-rcu-ttl-days = 7d\n",
	    "c:4: [gentoo] sync-rcu-ttl-days = 7d: not a number from 0 to 1000000");
	bad(GOOD "sync-rcu-ttl-days = -1\n",
	    "c:4: [gentoo] sync-rcu-ttl-days = -1: not a number from 0 to 1000000");
	bad(GOOD "sync-rcu-spare-snapshots = 1000001\n",
	    "c:4: [gentoo] sync-rcu-spare-snapshots = 1000001: not a number from 0 to 1000000");
	bad(GOOD "sync-rcu-spare-snapshots = 99999999999999999999\n",
	    "c:4: [gentoo] sync-rcu-spare-snapshots = 99999999999999999999: not a number from 0 to 1000000");
	bad(GOOD "\nsync-rcu = maybe\n", "c:5: [gentoo] sync-rcu = maybe: neither yes nor no");
	bad(GOOD "auto-sync = 1\n", "c:4: [gentoo] auto-sync = 1: neither yes nor no");
	bad(GOOD "sync-rcu-durability = some\n",
	    "c:4: [gentoo] sync-rcu-durability = some: neither full nor none");
	bad(GOOD "sync-allow-hardlinks = no\n",
	    "c:4: [gentoo] sync-allow-hardlinks = no: sync-rcu needs hard links");
	bad(GOOD "sync-rcu-max-delete = many\n",
	    "c:4: [gentoo] sync-rcu-max-delete = many: not a share from 0% to 100%");
	bad(GOOD "sync-rcu-max-delete = 101%%\n",
	    "c:4: [gentoo] sync-rcu-max-delete = 101%%: not a share from 0% to 100%");
	bad(GOOD "sync-rsync-extra-opts = 'a\n",
	    "c:4: [gentoo] sync-rsync-extra-opts = 'a: a quote is not closed");
	bad(GOOD "other = %(none)s\n", "c:4: other = %(none)s: %(...)s names a key that is not set");
	bad("[DEFAULT]\nsync-rcu-ttl-days = x\n" GOOD,
	    "c:2: [gentoo] sync-rcu-ttl-days = x: not a number from 0 to 1000000");
}

static void test_bad_paths(void **state)
{
	(void)state;
	bad("[a]\nlocation = r\n", "c:2: [a] location = r: not an absolute path");
	bad("[a]\nlocation = /r\nsync-rcu-store-dir = s\n",
	    "c:3: [a] sync-rcu-store-dir = s: not an absolute path");
	bad("[a]\nlocation = /r/../x\n", "c:2: [a] location = /r/../x: has . or .. in it");
	bad("[a]\nlocation = ///\n", "c:2: [a] location = /: is the root directory");
	bad("[a]\nsync-type = rsync\n", "c:1: [a] location = : not set");
	bad("[a]\nlocation =\n", "c:1: [a] location = : not set");
	bad("[a]\nlocation = /r\n", "c:1: [a] sync-rcu-store-dir = : not set, and sync-rcu needs it");
	bad("[a]\nlocation = /r\nsync-rcu-store-dir = /r/s\n",
	    "c:3: [a] sync-rcu-store-dir = /r/s: the store is inside the location");
	bad("[a]\nlocation = /r\nsync-rcu-store-dir = /r/\n",
	    "c:3: [a] sync-rcu-store-dir = /r: the store is inside the location");
	bad("[a]\nlocation = /s/r\nsync-rcu-store-dir = /s\n",
	    "c:3: [a] sync-rcu-store-dir = /s: the location is inside the store");
}

static void test_repositories_in_each_others_way(void **state)
{
	struct repos repos;

	(void)state;
	bad(GOOD "[b]\nlocation = /r/b\nsync-rcu-store-dir = /s//gentoo/\n",
	    "c:6: [b] sync-rcu-store-dir = /s//gentoo/: in the way of repository gentoo, whose "
	    "sync-rcu-store-dir is /s/gentoo");
	bad(GOOD "[b]\nlocation = /r/gentoo\nsync-rcu-store-dir = /s/b\n",
	    "c:5: [b] location = /r/gentoo: in the way of repository gentoo, whose location is /r/gentoo");
	bad(GOOD "[b]\nlocation = /r/b\nsync-rcu-store-dir = /s/gentoo/b\n",
	    "c:6: [b] sync-rcu-store-dir = /s/gentoo/b: in the way of repository gentoo, whose "
	    "sync-rcu-store-dir is /s/gentoo");
	bad(GOOD "[b]\nlocation = /r/b\nsync-rcu-store-dir = /r/gentoo/b\n",
	    "c:6: [b] sync-rcu-store-dir = /r/gentoo/b: in the way of repository gentoo, whose location is "
	    "/r/gentoo");
	bad(GOOD "[b]\nlocation = /s/gentoo/b\nsync-rcu = no\n",
	    "c:5: [b] location = /s/gentoo/b: in the way of repository gentoo, whose sync-rcu-store-dir is "
	    "/s/gentoo");
	bad(GOOD "[b]\nlocation = /r/b\nsync-rcu-store-dir = /s\n",
	    "c:6: [b] sync-rcu-store-dir = /s: in the way of repository gentoo, whose sync-rcu-store-dir is "
	    "/s/gentoo");
	bad(GOOD "[b]\nlocation = /r/b\nsync-rcu-store-dir = /r\n",
	    "c:6: [b] sync-rcu-store-dir = /r: the location is inside the store");
	bad(GOOD "[b]\nlocation = /x/b\nsync-rcu-store-dir = /r\n",
	    "c:6: [b] sync-rcu-store-dir = /r: in the way of repository gentoo, whose location is /r/gentoo");
	/* The outer one's sync would bring a tree without the inner one, whose data exists once. */
	bad(GOOD "[b]\nlocation = /r/gentoo/local/b\nsync-rcu-store-dir = /s/b\n",
	    "c:5: [b] location = /r/gentoo/local/b: in the way of repository gentoo, whose location is "
	    "/r/gentoo");
	bad(GOOD "[b]\nlocation = /r/gentoo/local/b\nsync-rcu = no\n",
	    "c:5: [b] location = /r/gentoo/local/b: in the way of repository gentoo, whose location is "
	    "/r/gentoo");
	bad(GOOD "[b]\nlocation = /r\nsync-rcu-store-dir = /x/b\n",
	    "c:5: [b] location = /r: in the way of repository gentoo, whose location is /r/gentoo");
	bad(GOOD "[b]\nlocation = /r\nsync-rcu = no\n",
	    "c:5: [b] location = /r: in the way of repository gentoo, whose location is /r/gentoo");
	good(&repos, GOOD "[b]\nlocation = /r/gentoo-b\nsync-rcu-store-dir = /s/gentoo-b\n", NULL);
	assert_int_equal(repos.count, 2);
	repos_release(&repos);
	/* Two that are not ours are Portage's business. */
	good(&repos, GOOD "[b]\nlocation = /x\nsync-rcu = no\n[c]\nlocation = /x/c\nsync-rcu = no\n", NULL);
	assert_int_equal(repos.count, 3);
	repos_release(&repos);
}

static void test_set_overrides_literally(void **state)
{
	char *set[] = { (char *)"sync-uri=/a%20 b=c", (char *)"Sync-RCU-ttl-days=3", NULL };
	const struct repos_override nothing = { .set = (char *[]){ (char *)"=x", NULL } };
	struct err err = ERR_NONE;
	struct repos repos;

	(void)state;
	good(&repos, GOOD "sync-uri = /x\n[b]\nlocation = /b\nsync-rcu = no\n", set);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(repos.list[i].sync_uri, "/a%20 b=c");
		assert_int_equal(repos.list[i].ttl_days, 3);
	}
	repos_release(&repos);
	assert_int_equal(repos_read(&repos, "c", &nothing, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	repos_release(&repos);
}

static void test_directory_in_order_of_names(void **state)
{
	struct err err = ERR_NONE;
	struct repos repos;

	(void)state;
	scratch_mkdir("d");
	scratch_write("d/20.conf", GOOD "sync-rcu-ttl-days = 20\n");
	scratch_write("d/10.conf",
		      "[first]\nlocation = /f\nsync-rcu = no\n[gentoo]\nsync-rcu-ttl-days = 10\n");
	scratch_write("d/30.conf.bak", "nonsense");
	scratch_write("d/.40.conf", "nonsense");
	assert_int_equal(repos_read(&repos, "d", NULL, &err), 0);
	assert_int_equal(repos.count, 2);
	assert_string_equal(repos.list[0].name, "first");
	assert_int_equal(repos.list[1].ttl_days, 20);
	repos_release(&repos);
	assert_int_equal(repos_read(&repos, "none", NULL, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	repos_release(&repos);
}

/* Portage's places are below $EPREFIX and $PORTAGE_CONFIGROOT, and sync-rcu is off there. */
static void test_portages_files(void **state)
{
	char *prefix = alloc_printf("%s/prefix", (char *)*state),
	     *root = alloc_printf("%s/root", (char *)*state);
	char *expected = alloc_printf("%s/var/db/repos/gentoo", prefix);
	struct err err = ERR_NONE;
	struct repos repos;

	if (access("/etc/rcu-repo/repos.conf", F_OK) == 0)
		skip_test("this machine has an /etc/rcu-repo/repos.conf");
	unsetenv("RCU_REPO_CONFIG");
	setenv("EPREFIX", prefix, 1);
	setenv("PORTAGE_CONFIGROOT", root, 1);
	scratch_mkdir("prefix/usr/share/portage/config");
	scratch_write(
		"prefix/usr/share/portage/config/repos.conf",
		"[DEFAULT]\nmain-repo = gentoo\n[gentoo]\nlocation = %(EPREFIX)s/var/db/repos/gentoo\n"
		"sync-type = rsync\nsync-uri = rsync://r/g\nx = %(ROOT)s %(EROOT)s %(PORTAGE_CONFIGROOT)s\n");
	scratch_mkdir("root/etc/portage/repos.conf");
	scratch_write("root/etc/portage/repos.conf/a.conf", "[gentoo]\nsync-uri = /mirror\n");
	assert_int_equal(repos_read(&repos, NULL, NULL, &err), 0);
	const struct repo *repo = repos_find(&repos, "gentoo");
	assert_string_equal(repo->location, expected);
	assert_string_equal(repo->sync_uri, "/mirror");
	assert_true(repo->from_portage);
	assert_false(repo->rcu);
	repos_release(&repos);
	scratch_write("env.conf", GOOD);
	setenv("RCU_REPO_CONFIG", "env.conf", 1);
	assert_int_equal(repos_read(&repos, NULL, NULL, &err), 0);
	assert_string_equal(repos.source, "env.conf");
	assert_false(repos.list[0].from_portage);
	repos_release(&repos);
	unsetenv("RCU_REPO_CONFIG");
	unsetenv("EPREFIX");
	unsetenv("PORTAGE_CONFIGROOT");
	free(prefix);
	free(root);
	free(expected);
}

/* What is wrong is shown as it was given. */
static void test_set_is_shown_as_it_was_given(void **state)
{
	char *set[] = { (char *)"sync-rcu-store-dir=/r/gentoo/50%", NULL };
	const struct repos_override override = { .set = set };
	struct err err = ERR_NONE;
	struct repos repos;

	(void)state;
	scratch_write("c", "[gentoo]\nlocation = /r/gentoo\n");
	assert_int_equal(repos_read(&repos, "c", &override, &err), -1);
	assert_string_equal(
		err.text,
		"--set: [gentoo] sync-rcu-store-dir = /r/gentoo/50%: the store is inside the location");
	repos_release(&repos);
}

static void test_order_is_by_priority(void **state)
{
	struct repos repos;

	(void)state;
	good(&repos,
	     "[DEFAULT]\nmain-repo = m\nsync-rcu = no\n[z]\nlocation = /z\n[b]\nlocation = /b\npriority = 5\n"
	     "[a]\nlocation = /a\npriority = -7\n[m]\nlocation = /m\n[y]\nlocation = /y\n",
	     NULL);
	const char *const order[] = { "m", "a", "z", "y", "b" };
	assert_int_equal(repos.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(repos.list[i].name, order[i]);
	repos_release(&repos);
	bad(GOOD "priority = high\n", "c:4: [gentoo] priority = high: not a number from -1000000 to 1000000");
}

static void test_names_of_others(void **state)
{
	struct repos repos;

	(void)state;
	good(&repos,
	     "[DEFAULT]\nsync-rcu = no\n[a]\nlocation = /a\nmasters =\naliases = c d\n[b]\nlocation = /b\n"
	     "masters = a\n\tx\nsync-umask = 0027\nsync-hooks-only-on-change = true\n[c]\nlocation = /c\n",
	     NULL);
	assert_non_null(repos.list[0].masters);
	assert_null(repos.list[0].masters[0]);
	assert_int_equal(repos.list[0].sync_umask, -1);
	assert_string_equal(repos.list[1].masters[0], "a");
	assert_string_equal(repos.list[1].masters[1], "x");
	assert_null(repos.list[1].masters[2]);
	assert_int_equal(repos.list[1].sync_umask, 027);
	assert_true(repos.list[1].hooks_only_on_change);
	assert_null(repos.list[2].masters);
	/* a name is before an alias */
	assert_string_equal(repos_find(&repos, "c")->location, "/c");
	assert_string_equal(repos_find(&repos, "d")->location, "/a");
	repos_release(&repos);
	bad(GOOD "sync-umask = 8\n", "c:4: [gentoo] sync-umask = 8: not an octal mask from 0 to 777");
	bad(GOOD "sync-umask = 1000\n", "c:4: [gentoo] sync-umask = 1000: not an octal mask from 0 to 777");
}

static void test_misspelt_keys(void **state)
{
	char *set[] = { (char *)"Sync-RCU-tll-days=3", NULL };
	struct repos repos;

	(void)state;
	good(&repos,
	     "[DEFAULT]\nmine = 1\nauto-snyc = no\n" GOOD "sync-rcu-verfy = v\nsync-rcu-what-ever = 1\n"
	     "sync_rcu_durability = none\nloc = 1\nsync-git-env = A=1\nsync-future = x\n",
	     set);
	const char *const expected[] = {
		"--set: sync-rcu-tll-days: there is no such key: is sync-rcu-ttl-days meant?",
		"c:3: [DEFAULT] auto-snyc: there is no such key: is auto-sync meant?",
		"c:7: [gentoo] sync-rcu-verfy: there is no such key: is sync-rcu-verify meant?",
		"c:8: [gentoo] sync-rcu-what-ever: there is no such key",
		"c:9: [gentoo] sync_rcu_durability: there is no such key: is sync-rcu-durability meant?",
	};
	assert_int_equal(repos.warnings.count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < repos.warnings.count; i++)
		assert_string_equal(repos.warnings.list[i], expected[i]);
	repos_release(&repos);
}

static void meant(const char *name, const char *expected)
{
	const char *found;

	assert_true(key_odd(name, &found));
	if (expected)
		assert_string_equal(found, expected);
	else
		assert_null(found);
}

static void test_what_is_meant(void **state)
{
	const char *found;

	(void)state;
	meant("sync-rcu-ttl", "sync-rcu-ttl-days");
	meant("sync-rcu-spares", "sync-rcu-spare-snapshots");
	meant("sync-rcu-hook", "sync-rcu-hooks");
	meant("sync_rcu_hook_timeout", "sync-rcu-hook-timeout");
	meant("sync-webrsync-verify", "sync-webrsync-verify-signature");
	/* More than one begins so, or none is near. */
	meant("sync-rcu-max", NULL);
	meant("sync-rcu-keep", NULL);
	meant("sync-rcu-user", NULL);
	meant("rcu-x", NULL);
	assert_false(key_odd("sync-rcu-ttl-days", &found));
	assert_false(key_odd("sync-git", &found));
	assert_false(key_odd("mirror", &found));
}

static void portage_begin(const char *top)
{
	char *prefix = alloc_printf("%s/eprefix", top), *root = alloc_printf("%s/configroot", top);

	if (access("/etc/rcu-repo/repos.conf", F_OK) == 0)
		skip_test("this machine has an /etc/rcu-repo/repos.conf");
	unsetenv("RCU_REPO_CONFIG");
	setenv("EPREFIX", prefix, 1);
	setenv("PORTAGE_CONFIGROOT", root, 1);
	free(prefix);
	free(root);
}

static void portage_end(void)
{
	unsetenv("EPREFIX");
	unsetenv("PORTAGE_CONFIGROOT");
	unsetenv("PORTAGE_REPOSITORIES");
	unsetenv("PORTAGE_RSYNC_EXTRA_OPTS");
}

/* Which files of a directory Portage reads, and in which order: the last one to say a key wins. */
static void test_portages_directories(void **state)
{
	static const struct {
		const char *name, *key;
	} files[] = {
		{ "10", "sync-uri" },
		{ "20/deeper/x.txt", "sync-uri" },
		{ "20/.hidden/x", "sync-type" },
		{ "20/old~/x", "sync-type" },
		{ "CVS/x", "sync-type" },
		{ "SCCS/x", "sync-type" },
		{ "30.conf~", "sync-type" },
		{ ".40.conf", "sync-type" },
		{ "5", "sync-user" },
	};
	struct err err = ERR_NONE;
	struct repos repos;

	portage_begin(*state);
	scratch_mkdir("configroot/etc/portage/repos.conf/20/deeper");
	scratch_mkdir("configroot/etc/portage/repos.conf/20/.hidden");
	scratch_mkdir("configroot/etc/portage/repos.conf/20/old~");
	scratch_mkdir("configroot/etc/portage/repos.conf/CVS");
	scratch_mkdir("configroot/etc/portage/repos.conf/SCCS");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char *path = alloc_printf("configroot/etc/portage/repos.conf/%s", files[i].name);
		char *text = alloc_printf("[x]\nlocation = /x\n%s = %s\n", files[i].key, files[i].name);

		scratch_write(path, text);
		free(path);
		free(text);
	}
	assert_int_equal(mkfifo("configroot/etc/portage/repos.conf/60", 0600), 0);
	assert_int_equal(symlink("..", "configroot/etc/portage/repos.conf/20/round"), 0);
	assert_int_equal(symlink("nowhere", "configroot/etc/portage/repos.conf/70"), 0);
	if (repos_read(&repos, NULL, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(repos.count, 1);
	assert_string_equal(repos.list[0].sync_uri, "20/deeper/x.txt");
	assert_string_equal(repos.list[0].sync_user, "5");
	assert_null(repos.list[0].sync_type);
	repos_release(&repos);
	portage_end();
}

static void test_portages_variables(void **state)
{
	struct err err = ERR_NONE;
	struct repos repos;

	portage_begin(*state);
	scratch_mkdir("configroot/etc/portage/repos.conf");
	scratch_write("configroot/etc/portage/repos.conf/10", "[x]\nlocation = /x\n");
	setenv("PORTAGE_REPOSITORIES",
	       "[DEFAULT]\nmain-repo = y\n[z]\nlocation = /z\n[y]\nlocation = /y\n[a]\nlocation = /a\n"
	       "sync-rsync-extra-opts = -6\n",
	       1);
	setenv("PORTAGE_RSYNC_EXTRA_OPTS", "--bwlimit=10% -4", 1);
	if (repos_read(&repos, NULL, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(repos.source, "PORTAGE_REPOSITORIES");
	assert_int_equal(repos.count, 3);
	/* the main repository, then by name */
	assert_string_equal(repos.list[0].name, "y");
	assert_string_equal(repos.list[1].name, "a");
	assert_string_equal(repos.list[2].name, "z");
	assert_string_equal(repos.list[1].sync_opts[0], "-6");
	assert_string_equal(repos.list[2].sync_opts[0], "--bwlimit=10%");
	assert_string_equal(repos.list[2].sync_opts[1], "-4");
	repos_release(&repos);
	setenv("PORTAGE_REPOSITORIES", "[x]\nlocation = y\n", 1);
	assert_int_equal(repos_read(&repos, NULL, NULL, &err), -1);
	assert_string_equal(err.text, "PORTAGE_REPOSITORIES:2: [x] location = y: not an absolute path");
	repos_release(&repos);
	portage_end();
}

static void test_from_the_command_line(void **state)
{
	struct err err = ERR_NONE;
	struct repos repos;

	(void)state;
	assert_int_equal(
		repos_from_options(&repos, "/odd\nname %(x)s /", "/s ", "rsync", "/u%41", NULL, &err), 0);
	assert_string_equal(repos.list[0].name, "/odd\nname %(x)s ");
	assert_string_equal(repos.list[0].location, "/odd\nname %(x)s ");
	assert_string_equal(repos.list[0].store, "/s ");
	assert_string_equal(repos.list[0].sync_uri, "/u%41");
	assert_true(repos.list[0].rcu);
	repos_release(&repos);
	assert_int_equal(repos_from_options(&repos, "relative", "/s", NULL, NULL, NULL, &err), -1);
	assert_string_equal(err.text, "--location: [--location] location = relative: not an absolute path");
	repos_release(&repos);
	err_clear(&err);
	assert_int_equal(repos_from_options(&repos, "/nothing/here", NULL, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_non_null(strstr(err.text, "needs --store"));
	repos_release(&repos);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_paths),
		cmocka_unit_test(test_repositories_in_each_others_way),
		cmocka_unit_test(test_set_overrides_literally),
		cmocka_unit_test(test_directory_in_order_of_names),
		cmocka_unit_test(test_portages_files),
		cmocka_unit_test(test_set_is_shown_as_it_was_given),
		cmocka_unit_test(test_order_is_by_priority),
		cmocka_unit_test(test_names_of_others),
		cmocka_unit_test(test_misspelt_keys),
		cmocka_unit_test(test_what_is_meant),
		cmocka_unit_test(test_portages_directories),
		cmocka_unit_test(test_portages_variables),
		cmocka_unit_test(test_from_the_command_line),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}

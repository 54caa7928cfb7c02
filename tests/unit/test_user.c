/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/config/user.h"
#include "helper/programs/run.h"
#include "tests/unit/scratch.h"

#define NOBODY ((uid_t)-1)

static struct repo repo_with(const char *sync_user)
{
	return (struct repo){ .name = (char *)"r",
			      .location = (char *)"/",
			      .sync_user = (char *)sync_user,
			      .sync_umask = -1,
			      .where = { [REPO_SYNC_USER] = (char *)"c:4" } };
}

static void finds(const char *sync_user, uid_t uid, gid_t gid, const char *name)
{
	const struct repo repo = repo_with(sync_user);
	struct err err = ERR_NONE;
	struct user user;

	if (user_find(&repo, &user, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(user.uid, uid);
	assert_int_equal(user.gid, gid);
	assert_int_equal(user.umask, 022);
	if (name)
		assert_string_equal(user.name, name);
	else
		assert_null(user.name);
	user_release(&user);
}

static void refuses(const char *sync_user, const char *message)
{
	const struct repo repo = repo_with(sync_user);
	struct err err = ERR_NONE;
	struct user user;

	assert_int_equal(user_find(&repo, &user, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_string_equal(err.text, message);
	user_release(&user);
}

static void test_names_and_numbers(void **state)
{
	(void)state;
	finds(NULL, NOBODY, (gid_t)NOBODY, NULL);
	finds("nobody", 65534, 65534, "nobody");
	finds("65534", 65534, 65534, "nobody");
	finds("nobody:root", 65534, 0, "nobody");
	finds(":12", NOBODY, 12, NULL);
	finds("4711:4712", 4711, 4712, NULL);
	finds("4711", 4711, 4711, NULL);
}

static void test_unknown(void **state)
{
	(void)state;
	refuses("no-such-one", "c:4: [r] sync-user = no-such-one: there is no such user");
	refuses("root:no-such-one", "c:4: [r] sync-user = root:no-such-one: there is no such group");
	refuses("-1", "c:4: [r] sync-user = -1: there is no such user");
	refuses("4294967295", "c:4: [r] sync-user = 4294967295: there is no such user");
	refuses("root:", "c:4: [r] sync-user = root:: there is no such group");
	refuses("12x", "c:4: [r] sync-user = 12x: there is no such user");
}

static void fetched_as(const struct repo *repo, const char *features, uid_t uid, mode_t mask)
{
	struct err err = ERR_NONE;
	struct user user;

	features ? setenv("FEATURES", features, 1) : unsetenv("FEATURES");
	if (user_of_fetch(repo, &user, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(user.uid, uid);
	assert_int_equal(user.umask, mask);
	user_release(&user);
	unsetenv("FEATURES");
}

static void test_usersync(void **state)
{
	char *place = scratch_path(*state, "%s", "place");
	struct repo repo = repo_with(NULL);

	scratch_need_root();
	scratch_mkdir(place);
	assert_int_equal(chown(place, 65534, 65534), 0);
	repo.location = place;
	repo.from_portage = true;
	fetched_as(&repo, NULL, NOBODY, 022);
	fetched_as(&repo, "sandbox usersync", 65534, 022);
	fetched_as(&repo, "usersync -usersync", NOBODY, 022);
	fetched_as(&repo, "usersync -* userpriv", NOBODY, 022);
	fetched_as(&repo, "-* usersync", 65534, 022);
	assert_int_equal(chmod(place, 0775), 0);
	fetched_as(&repo, "usersync", 65534, 002);
	repo.sync_umask = 077;
	fetched_as(&repo, "usersync", 65534, 077);
	repo.sync_user = (char *)"root";
	fetched_as(&repo, "usersync", 0, 077);
	repo.sync_user = NULL;
	repo.from_portage = false;
	fetched_as(&repo, "usersync", NOBODY, 077);
	repo.from_portage = true;
	assert_int_equal(chown(place, 4711, 4711), 0);
	fetched_as(&repo, "usersync", NOBODY, 077);
	free(place);
}

/* What is run as somebody has his numbers, no group but his, his environment and the umask. */
static void test_become(void **state)
{
	static const char script[] =
		"[ \"$(id -u) $(id -G) $(umask) $LOGNAME\" = '65534 65534 0027 nobody' ] && "
		"[ -n \"$HOME\" ]";
	struct repo repo = repo_with("nobody");
	struct err err = ERR_NONE;
	struct user user;

	(void)state;
	scratch_need_root();
	repo.sync_umask = 027;
	assert_int_equal(user_of_fetch(&repo, &user, &err), 0);
	const struct run sh = { .argv = (const char *const[]){ "sh", "-c", script, NULL },
				.cwd = "/",
				.user = &user,
				.subject = "sh" };
	if (run(&sh, &err) != 0)
		fail_msg("%s", err.text);
	user_release(&user);
}

/* Who is not root becomes nobody else, and is told so before anything is run. */
static void test_only_root(void **state)
{
	struct repo repo = repo_with("root");
	struct err err = ERR_NONE;
	struct user user;
	int status;

	(void)state;
	scratch_need_root();
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(65534, 65534, 65534) != 0 || user_of_fetch(&repo, &user, &err) != -1)
			_exit(1);
		_exit(strcmp(err.text, "c:4: [r] sync-user = root: only root can become another user") != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_numbers),
		cmocka_unit_test(test_unknown),
		scratch_test(test_usersync),
		cmocka_unit_test(test_become),
		cmocka_unit_test(test_only_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

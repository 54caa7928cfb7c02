/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/git_run.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/words.h"
#include "helper/programs/run.h"

/*
 * For all: nothing in the background, no hook, what is fetched as one pack (half of it is one file, tmp_NAME), and a server that says nothing for a while is one that hangs.
 */
static const char *const always[] = { "git",
				      "-c",
				      "core.hooksPath=/dev/null",
				      "-c",
				      "core.fsmonitor=false",
				      "-c",
				      "core.logAllRefUpdates=false",
				      "-c",
				      "gc.auto=0",
				      "-c",
				      "maintenance.auto=false",
				      "-c",
				      "transfer.unpackLimit=1",
				      "-c",
				      "http.lowSpeedLimit=1",
				      "-c",
				      "http.lowSpeedTime=120",
				      NULL };
static const char *const at_home[] = { "-c", "core.attributesFile=/dev/null", "-c",
				       "core.excludesFile=/dev/null", NULL };

/* Variables that would lead it elsewhere; a name without "=" is removed (run.h). */
static const char *const removed[] = { "GIT_ALTERNATE_OBJECT_DIRECTORIES",
				       "GIT_COMMON_DIR",
				       "GIT_CONFIG",
				       "GIT_CONFIG_COUNT",
				       "GIT_CONFIG_PARAMETERS",
				       "GIT_DIR",
				       "GIT_EXTERNAL_DIFF",
				       "GIT_INDEX_FILE",
				       "GIT_LITERAL_PATHSPECS",
				       "GIT_NAMESPACE",
				       "GIT_OBJECT_DIRECTORY",
				       "GIT_SHALLOW_FILE",
				       "GIT_WORK_TREE",
				       NULL };
static const char *const env_at_home[] = { "GIT_ATTR_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
					   "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", NULL };

int git_run(const struct git_run *given, struct err *err)
{
	struct words argv = WORDS_NONE, env = WORDS_NONE;

	words_add_copies(&argv, always);
	words_add_copies(&argv, given->outside ? NULL : at_home);
	words_add_copies(&argv, given->words);
	words_add_copies(&env, removed);
	words_add_copies(&env, given->outside ? NULL : env_at_home);
	words_add_copies(&env, (const char *const *)given->env);
	words_add(&env, alloc_printf("GIT_DIR=%s", given->dir));
	if (given->tree)
		words_add(&env, alloc_printf("GIT_WORK_TREE=%s", given->tree));
	const struct run git = { .argv = (const char *const *)argv.list,
				 .env = (const char *const *)env.list,
				 .cwd = given->tree ? given->tree : "/",
				 .subject = given->what,
				 .umask = 022,
				 .in = given->in,
				 .out = given->out,
				 .timeout = given->repo->timeout };
	const int result = run(&git, err);
	words_release(&argv);
	words_release(&env);
	return result;
}

static int read_all(int fd, char **text, size_t *size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	*size = (size_t)st.st_size;
	*text = alloc_grow(NULL, *size + 1, 1);
	(*text)[*size] = '\0';
	return file_read(fd, *text, *size, 0) == st.st_size ? 0 : -1;
}

int git_read(const struct git_run *given, char **text, size_t *size, struct err *err)
{
	struct git_run run = *given;
	int result;

	*text = NULL;
	run.out = memfd_create("git", MFD_CLOEXEC);
	if (run.out < 0)
		return err_errno(err, STATUS_FAILED, run.what, "memfd");
	result = git_run(&run, err);
	if (result == 0 && read_all(run.out, text, size) != 0)
		result = err_errno(err, STATUS_FAILED, run.what, "its output cannot be read");
	close(run.out);
	return result;
}

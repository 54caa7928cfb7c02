/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
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

#include "core/hold.h"
#include "helper/base/alloc.h"
#include "helper/store/lock.h"
#include "helper/store/publish.h"
#include "helper/tree/tree.h"
#include "tests/unit/scratch.h"
#include "tests/unit/skip.h"

int scratch_make(void **state)
{
	const char *base = getenv("TMPDIR");
	char *template = alloc_printf("%s/rcu-unit.XXXXXX", base == NULL ? "/tmp" : base);

	if (mkdtemp(template) == NULL)
		return -1;
	*state = realpath(template, NULL);
	free(template);
	return *state == NULL ? -1 : 0;
}

/* By the directory that it is in: TMPDIR may be another mount than where we are. */
int scratch_remove(void **state)
{
	struct err err = ERR_NONE;
	char *name = strrchr(*state, '/');

	*name++ = '\0';
	int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = tree_delete(dir, name, &err);
	close(dir);
	free(*state);
	return result;
}

void scratch_need_root(void)
{
	if (geteuid() != 0)
		skip_test("needs root");
}

char *scratch_path(const char *top, const char *format, ...)
{
	va_list arguments;
	char *rest;

	va_start(arguments, format);
	assert_true(vasprintf(&rest, format, arguments) >= 0);
	va_end(arguments);
	char *path = alloc_printf("%s/%s", top, rest);
	free(rest);
	return path;
}

void scratch_mkdir(const char *path)
{
	char *part = alloc_copy(path);

	for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	assert_true(mkdir(part, 0755) == 0 || errno == EEXIST);
	free(part);
}

void scratch_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

char *scratch_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (file == NULL)
		return NULL;
	if (getdelim(&text, &room, '\0', file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

bool scratch_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void scratch_open(struct store *store, const char *path)
{
	struct err err = ERR_NONE;

	*store = (struct store)STORE_CLOSED;
	if (store_open(store, path, STORE_CHANGE, false, &err) != 0 ||
	    store_lock(store, "unit test", true, &err) != 0)
		fail_msg("%s", err.text);
}

uint64_t scratch_publish(struct store *store, const char *text)
{
	struct staging staging = STAGING_NONE;
	struct err err = ERR_NONE;
	uint64_t number = 0;

	if (store->storage->stage(store, STAGE_EMPTY, &staging, &err) != 0)
		fail_msg("%s", err.text);
	char *path = alloc_printf("%s/version", staging.path);
	scratch_write(path, text);
	free(path);
	if (publish(store, &staging, NULL, &number, &err) != 0)
		fail_msg("%s", err.text);
	staging_release(&staging);
	return number;
}

void scratch_mount(const char *path, const char *options)
{
	static bool own_namespace;

	scratch_need_root();
	/* Mounts of our own, which end with this program, whatever becomes of the test. */
	if (!own_namespace)
		own_namespace = unshare(CLONE_NEWNS) == 0 &&
				mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
	scratch_mkdir(path);
	if (!own_namespace || mount("tmpfs", path, "tmpfs", 0, options) != 0)
		skip_test("this machine does not let us mount");
}

/* In the child. Mapped: nothing but the mapping is left; what tells that it is ready goes last. */
static void __attribute__((noreturn)) hold_for_ever(int dir, uint64_t number, bool mapped, int ready)
{
	int fd = hold_take(dir, number);

	if (fd < 0 || (mapped && hold_map(fd, number) != 0))
		_exit(1);
	for (int other = 0; mapped && other < 256; other++)
		if (other != ready)
			close(other);
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	for (;;)
		pause();
}

pid_t scratch_reader(const struct store *store, uint64_t number, bool mapped)
{
	int ready[2];
	char byte = 'x';

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		hold_for_ever(store->dir, number, mapped, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

void scratch_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

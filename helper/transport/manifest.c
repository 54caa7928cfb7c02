/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/transport/manifest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/launcher/loadable.h"
#include "helper/programs/run.h"
#include "helper/transport/source.h"

#define GEMATO "gemato"
#define STAMP "TIMESTAMP "
#define DAY (24 * 3600)

int manifest_check(const struct repo *repo, struct err *err)
{
	char *path = repo->verify_manifest ? loadable_find(GEMATO) : NULL;
	const bool found = path != NULL;

	free(path);
	if (!repo->verify_manifest || found)
		return 0;
	return repo_refuse(repo, REPO_VERIFY_MANIFEST, GEMATO " is not here, and nothing else can judge it",
			   err);
}

/* --- the keys --- */

/* The ring with what the network knows of its keys, revocations above all, written to `ring`. */
static int keys_refresh_once(const struct repo *repo, int ring, struct err *err)
{
	static const char *const begin[] = { GEMATO, "gpg-wrap", "--quiet", "--openpgp-key", NULL };
	static const char *const export[] = { "--", "gpg", "--batch", "--no-autostart", "--export", NULL };
	struct words argv = WORDS_NONE;

	words_add_copies(&argv, begin);
	words_add(&argv, alloc_copy(repo->key_path));
	if (repo->key_refresh == KEY_REFRESH_KEYSERVER)
		words_add(&argv, alloc_copy("--no-wkd"));
	if (repo->keyserver)
		words_add(&argv, alloc_printf("--keyserver=%s", repo->keyserver));
	words_add_copies(&argv, export);
	const struct run gemato = { .argv = (const char *const *)argv.list,
				    .out = ring,
				    .cwd = "/",
				    .timeout = repo->hook_timeout,
				    .subject = "the keys cannot be refreshed: " GEMATO };
	const int result = run(&gemato, err);
	words_release(&argv);
	return result;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Before another try: longer each time, and by chance, so that not all ask the server at the same moment. */
static void delay(const struct repo *repo, unsigned tries)
{
	double seconds = repo->refresh_mult;

	for (unsigned i = 0; i < tries && seconds < repo->refresh_max; i++)
		seconds *= repo->refresh_base;
	if (seconds > repo->refresh_max)
		seconds = repo->refresh_max;
	seconds *= (double)random() / (double)INT32_MAX;
	struct timespec left = { .tv_sec = (time_t)seconds };
	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static int keys_refresh(const struct repo *repo, int ring, struct err *err)
{
	const double begin = now();

	srandom((unsigned)getpid());
	for (unsigned tries = 0;; tries++) {
		struct err why = ERR_NONE;

		if (ftruncate(ring, 0) == 0 && lseek(ring, 0, SEEK_SET) == 0 &&
		    keys_refresh_once(repo, ring, &why) == 0)
			return 0;
		if (tries >= repo->refresh_count ||
		    (repo->refresh_timeout > 0 && now() - begin > repo->refresh_timeout)) {
			*err = why;
			return -1;
		}
		delay(repo, tries);
	}
}

/* --- the tree --- */

/*
 * The whole tree. `keys`: whose signature is good, and nothing else is looked up; NULL: our own key ring. gemato takes
 * the Manifest of a directory above, where there is none in the tree: judge_time() wants one there.
 */
static int judge(const struct repo *repo, const char *path, const char *keys, struct err *err)
{
	static const char *const begin[] = { GEMATO, "verify", "--quiet", "--require-signed-manifest", NULL };
	struct words argv = WORDS_NONE;

	words_add_copies(&argv, begin);
	if (keys) {
		words_add(&argv, alloc_copy("--no-refresh-keys"));
		words_add(&argv, alloc_printf("--openpgp-key=%s", keys));
	}
	if (repo->verify_jobs != 0)
		words_add(&argv, alloc_printf("--jobs=%u", repo->verify_jobs));
	words_add(&argv, alloc_copy("--"));
	words_add(&argv, alloc_copy(path));
	const struct run gemato = { .argv = (const char *const *)argv.list,
				    .cwd = "/",
				    .timeout = repo->hook_timeout,
				    .subject = "the tree is not what its Manifest says: " GEMATO };
	const int result = run(&gemato, err);
	words_release(&argv);
	return result;
}

static int judge_with_keys(const struct repo *repo, const char *path, struct err *err)
{
	char *keys = NULL;
	int ring = -1, result = 0;

	if (repo->key_path && repo->key_refresh == KEY_REFRESH_NO)
		keys = alloc_copy(repo->key_path);
	else if (repo->key_path && (ring = memfd_create("keys", MFD_CLOEXEC)) < 0)
		return err_errno(err, STATUS_FAILED, repo->key_path, "memfd");
	if (ring >= 0) {
		result = keys_refresh(repo, ring, err);
		keys = alloc_printf("/proc/%d/fd/%d", (int)getpid(), ring);
	}
	if (result == 0)
		result = judge(repo, path, keys, err);
	if (ring >= 0)
		close(ring);
	free(keys);
	return result;
}

/* Nothing but what is signed counts: not the headers in front of it (RFC 9580, 7.1), nor what is behind it. */
static time_t time_read(FILE *file)
{
	char *line = NULL;
	size_t room = 0;
	time_t time = 0;
	bool header = false;

	while (time == 0 && getline(&line, &room, file) > 0) {
		if (strncmp(line, "-----BEGIN PGP SIGNATURE", strlen("-----BEGIN PGP SIGNATURE")) == 0)
			break;
		if (strncmp(line, "-----BEGIN ", strlen("-----BEGIN ")) == 0)
			header = true;
		else if (line[0] == '\n' || line[0] == '\r')
			header = false;
		else if (!header && strncmp(line, STAMP, strlen(STAMP)) == 0)
			time = source_time(line + strlen(STAMP), "%Y-%m-%dT%H:%M:%SZ");
	}
	free(line);
	return time;
}

/* The time that the Manifest of a tree says that it is of; 0: there is none, or it says none. */
static time_t manifest_time(const char *path)
{
	char *name = alloc_printf("%s/Manifest", path);
	FILE *file = source_open(name);
	const time_t time = file ? time_read(file) : 0;

	if (file)
		fclose(file);
	free(name);
	return time;
}

/* Behind judge(): what is said here was signed. */
static int judge_time(const struct repo *repo, const char *path, const char *base, struct words *notes,
		      struct err *err)
{
	const time_t fresh = manifest_time(path), old = base ? manifest_time(base) : 0;

	if (fresh == 0)
		return err_fail(err, STATUS_FAILED, "its Manifest", "it says no time (TIMESTAMP)");
	if (repo->verify_max_age != 0 && time(NULL) - fresh > (time_t)repo->verify_max_age * DAY)
		words_add(notes,
			  alloc_printf("its Manifest is older than %u day%s: is this mirror updated? (%s)",
				       repo->verify_max_age, repo->verify_max_age == 1 ? "" : "s",
				       repo->sync_uri));
	return source_compare_times(repo, fresh, old, err);
}

int manifest_verify(const struct repo *repo, const char *path, const char *base, struct words *notes,
		    struct err *err)
{
	if (!repo->verify_manifest)
		return 0;
	if (repo->key_path && repo->key_refresh == KEY_REFRESH_NO && !repo->key_refresh_quiet)
		words_add(notes, alloc_copy("sync-openpgp-key-refresh = no: a key that was revoked is taken "
					    "for good"));
	return judge_with_keys(repo, path, err) != 0 ? -1 : judge_time(repo, path, base, notes, err);
}

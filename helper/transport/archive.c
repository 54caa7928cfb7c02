/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * webrsync: a snapshot of the whole tree as one file. It is fetched (or opened), its signature is judged, and then it is
 * unpacked, each from one open file: nobody can exchange it between the steps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/words.h"
#include "helper/programs/run.h"
#include "helper/transport/source.h"
#include "helper/transport/transport.h"
#include "helper/transport/unpack.h"

/* Of a mirror of Gentoo's, whose address ends with a slash. */
#define MIRRORS_NAME "snapshots/gentoo-latest.tar.xz"

static const char *const signature_suffixes[] = { ".gpgsig", ".asc", ".sig" };

static bool is_http(const char *uri)
{
	return strncmp(uri, "http://", strlen("http://")) == 0 ||
	       strncmp(uri, "https://", strlen("https://")) == 0;
}

static int archive_check(const struct repo *repo, struct err *err)
{
	if (!repo->sync_uri)
		return repo_refuse(repo, REPO_SYNC_URI, "not set", err);
	if (!source_path(repo->sync_uri) && !is_http(repo->sync_uri))
		return repo_refuse(repo, REPO_SYNC_URI, "not an absolute path, file://, http:// or https://",
				   err);
	if (repo->verify_archive && !repo->key_path)
		return repo_refuse(repo, REPO_KEY_PATH,
				   "not set, and sync-webrsync-verify-signature needs it", err);
	return source_check_user(repo, err);
}

static char *address_of(const struct repo *repo)
{
	const char *uri = repo->sync_uri;

	return alloc_printf("%s%s", uri, uri[strlen(uri) - 1] == '/' ? MIRRORS_NAME : "");
}

/* A file without a name, beside the staging tree: nothing is left of it when we die. */
static int nameless(const struct staging *staging, struct err *err)
{
	char *name = alloc_printf("%s.archive", staging->path);
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || unlink(name) != 0) {
		err_errno(err, STATUS_FAILED, name, "cannot be made");
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(name);
	return fd;
}

/* curl(1), EXIT CODES */
static const char *curl_explain(int status)
{
	switch (status) {
	case 6:
	case 7:
		return "the server cannot be reached";
	case 18:
		return "it broke off before its end";
	case 22:
		return "the server has no such file, or refused";
	case 23:
		return "it cannot be written here";
	case 28:
		return "the server is too slow, or says nothing";
	default:
		return NULL;
	}
}

static int download(const struct repo *repo, const char *address, int fd, struct err *err)
{
	const char *const argv[] = { "curl",
				     "--silent",
				     "--show-error",
				     "--fail",
				     "--location",
				     "--globoff",
				     "--proto",
				     "=http,https",
				     "--proto-redir",
				     "=http,https",
				     "--connect-timeout",
				     "60",
				     "--speed-limit",
				     "1",
				     "--speed-time",
				     "120",
				     "--url",
				     address,
				     NULL };
	const struct run curl = { .argv = argv,
				  .subject = "curl",
				  .cwd = "/",
				  .out = fd,
				  .timeout = repo->timeout,
				  .explain = curl_explain };

	return run(&curl, err);
}

/* The whole of a file that others may write to meanwhile. */
static int copy_file(int from, int to)
{
	ssize_t done;

	while ((done = sendfile(to, from, NULL, 1 << 30)) > 0)
		;
	return done == 0 ? 0 : -1;
}

/* The archive, open for reading. What is to be judged first is a copy that nobody else can write to. */
static int archive_get(const struct repo *repo, const struct staging *staging, const char *address,
		       struct err *err)
{
	const char *path = source_path(address);
	int fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1, copy;
	struct stat st;

	if (path && fd < 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be opened");
	if (path && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return err_fail(err, STATUS_FAILED, path, "not an ordinary file");
	}
	if (path && !repo->verify_archive)
		return fd;
	copy = nameless(staging, err);
	if (copy >= 0 && (path ? copy_file(fd, copy) : download(repo, address, copy, err)) != 0) {
		err_errno(err, STATUS_FAILED, address, "cannot be copied");
		close(copy);
		copy = -1;
	}
	if (fd >= 0)
		close(fd);
	return copy;
}

/* --- the signature --- */

/* The detached signature, in memory: the archive's name with one of the suffixes. */
static int signature_get(const struct repo *repo, const char *address, struct err *err)
{
	int fd = memfd_create("signature", MFD_CLOEXEC);
	struct err last = ERR_NONE;

	for (size_t i = 0; fd >= 0 && i < sizeof(signature_suffixes) / sizeof(signature_suffixes[0]); i++) {
		char *name = alloc_printf("%s%s", address, signature_suffixes[i]);
		const char *path = source_path(name);
		const int from = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
		bool got;

		err_clear(&last);
		got = path ? from >= 0 && copy_file(from, fd) == 0 : download(repo, name, fd, &last) == 0;
		if (from >= 0)
			close(from);
		free(name);
		if (got)
			return fd;
	}
	if (fd >= 0)
		close(fd);
	return err_fail(err, STATUS_FAILED, address, "it has no signature (.gpgsig, .asc, .sig)%s%s",
			last.text[0] ? ": " : "", last.text);
}

/* The keys as gpgv(1) takes them: those of an armored file are taken out of their armor. */
static int keyring_get(const struct repo *repo, struct err *err)
{
	static const char armor[] = "-----BEGIN PGP";
	const char *const argv[] = { "gpg",       "--batch", "--quiet", "--no-options", "--no-autostart",
				     "--dearmor", NULL };
	char begin[sizeof(armor) - 1];
	int keys = open(repo->key_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), ring;

	if (keys < 0)
		return err_errno(err, STATUS_FAILED, repo->key_path, "cannot be opened");
	if (file_read(keys, begin, sizeof(begin), 0) != (ssize_t)sizeof(begin) ||
	    memcmp(begin, armor, sizeof(begin)) != 0)
		return keys;
	ring = memfd_create("keys", MFD_CLOEXEC);
	const struct run gpg = {
		.argv = argv, .subject = "gpg", .in = keys, .out = ring, .timeout = repo->timeout
	};
	if (ring >= 0 && run(&gpg, err) != 0) {
		close(ring);
		ring = -1;
	}
	close(keys);
	return ring;
}

static const char *gpgv_explain(int status)
{
	return status == 1 ? "the signature is bad"
			   : "the signature is not good, or of no key in sync-openpgp-key-path";
}

/* Our open files have names for what we run; none of them can be exchanged. */
static int signature_judge(const struct repo *repo, int archive, int signature, int keys, struct err *err)
{
	struct words argv = WORDS_NONE;
	const int pid = (int)getpid();

	words_add(&argv, alloc_copy("gpgv"));
	words_add(&argv, alloc_copy("--quiet"));
	words_add(&argv, alloc_copy("--keyring"));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, keys));
	words_add(&argv, alloc_copy("--"));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, signature));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, archive));
	const struct run gpgv = { .argv = (const char *const *)argv.list,
				  .subject = "gpgv",
				  .cwd = "/",
				  .timeout = repo->timeout,
				  .explain = gpgv_explain };
	const int result = run(&gpgv, err);
	words_release(&argv);
	return result;
}

static int signature_check(const struct repo *repo, int archive, const char *address, struct err *err)
{
	int result = -1, signature, keys;

	if (!repo->verify_archive)
		return 0;
	signature = signature_get(repo, address, err);
	if (signature < 0)
		return -1;
	keys = keyring_get(repo, err);
	if (keys >= 0) {
		result = signature_judge(repo, archive, signature, keys, err);
		close(keys);
	}
	close(signature);
	return result;
}

/* --- all of it --- */

static bool begins_with(int fd, const void *magic, size_t size)
{
	char begin[8];

	return file_read(fd, begin, size, 0) == (ssize_t)size && memcmp(begin, magic, size) == 0;
}

static int rewind_to_begin(int fd, struct err *err)
{
	return lseek(fd, 0, SEEK_SET) == 0 ? 0 : err_errno(err, STATUS_FAILED, "the archive", "seek");
}

/* libarchive judges the sums of all formats but that of gzip. */
static int gzip_check(const struct unpack *unpack, struct err *err)
{
	const char *const argv[] = { "gzip", "-t", NULL };
	const struct run gzip = {
		.argv = argv, .subject = "gzip", .in = unpack->archive, .timeout = unpack->repo->timeout
	};

	return rewind_to_begin(unpack->archive, err) == 0 ? run(&gzip, err) : -1;
}

static int unpack(const struct unpack *unpack, struct err *err)
{
	if (begins_with(unpack->archive, "hsqs", 4))
		return unpack_squashfs(unpack, err);
	if (begins_with(unpack->archive, "\x1f\x8b", 2) && gzip_check(unpack, err) != 0)
		return -1;
	return rewind_to_begin(unpack->archive, err) == 0 ? unpack_tar(unpack, err) : -1;
}

/* The file that was opened is the file that is there now, with nothing written to it meanwhile. */
static int unchanged_check(int archive, const struct stat *before, struct err *err)
{
	struct stat now;

	if (fstat(archive, &now) == 0 && now.st_size == before->st_size &&
	    now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
		return 0;
	return err_fail(err, STATUS_FAILED, "the archive", "it was changed while it was read");
}

static int archive_fetch(const struct repo *repo, const struct staging *staging, const char *base,
			 struct changes *changes, struct err *err)
{
	char *address = address_of(repo);
	struct unpack job = { .repo = repo, .path = staging->path, .changes = changes, .tree = -1 };
	struct stat before;
	int result = -1;

	(void)base;
	job.archive = archive_get(repo, staging, address, err);
	if (job.archive >= 0 && fstat(job.archive, &before) == 0 &&
	    signature_check(repo, job.archive, address, err) == 0) {
		job.tree = open(staging->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (job.tree < 0)
			err_errno(err, STATUS_FAILED, staging->path, "cannot be opened");
		else if (unpack(&job, err) == 0)
			result = unchanged_check(job.archive, &before, err);
	}
	if (job.tree >= 0)
		close(job.tree);
	if (job.archive >= 0)
		close(job.archive);
	free(address);
	return result;
}

/* A signature is good for ever: an old archive has one, too. */
static int archive_verify(const struct repo *repo, const char *path, const char *base, struct words *notes,
			  struct err *err)
{
	(void)notes;
	return source_check_age(repo, path, base, err);
}

const struct transport transport_archive = { .type = "webrsync",
					     .check = archive_check,
					     .stage = STAGE_BRANCH,
					     .fetch = archive_fetch,
					     .verify = archive_verify };

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
#include "helper/transport/apart.h"
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
	return 0;
}

/* Where it is from, and as whom it is fetched. */
struct source {
	const struct repo *repo;
	const struct user *user;
	bool quiet; /* that it is not there is an answer: nothing but our error says so */
};

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

static int download(const struct source *source, const char *address, int fd, struct err *err)
{
	const char *const argv[] = { "curl",
				     "--silent",
				     source->quiet ? "--no-show-error" : "--show-error",
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
				  .user = source->user,
				  .out = fd,
				  .timeout = source->repo->timeout,
				  .explain = curl_explain };

	return run(&curl, err);
}

/* The file that was opened is the file that is there now, with nothing written to it meanwhile. */
static bool is_unchanged(int fd, const struct stat *before)
{
	struct stat now;

	return fstat(fd, &now) == 0 && now.st_size == before->st_size &&
	       now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* What copy() could not do. */
enum {
	NOT_OPENED = 1,
	NOT_A_FILE,
	NOT_READ,
	NOT_UNCHANGED
};

static const char *copy_explain(int status)
{
	static const char *const why[] = { [NOT_OPENED] = "it cannot be opened",
					   [NOT_A_FILE] = "not an ordinary file",
					   [NOT_READ] = "it cannot be read, or not be written here",
					   [NOT_UNCHANGED] = "it was changed while it was read" };

	return status > 0 && status < (int)(sizeof(why) / sizeof(why[0])) ? why[status] : NULL;
}

/* The whole of a file that others may write to meanwhile, to the standard output: by whom it may be read. */
static int copy(const void *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat before;
	ssize_t done;

	if (fd < 0)
		return NOT_OPENED;
	if (fstat(fd, &before) != 0 || !S_ISREG(before.st_mode))
		return NOT_A_FILE;
	while ((done = sendfile(STDOUT_FILENO, fd, NULL, 1 << 30)) > 0)
		;
	return done != 0 ? NOT_READ : is_unchanged(fd, &before) ? 0 : NOT_UNCHANGED;
}

/* The content of an address, a path or not, to `fd`, fetched by the sync-user. */
static int get(const struct source *source, const char *address, int fd, struct err *err)
{
	const char *path = source_path(address), *const argv[] = { path, NULL };
	const struct run reader = { .argv = argv,
				    .body = copy,
				    .context = path,
				    .subject = path,
				    .user = source->user,
				    .out = fd,
				    .timeout = source->repo->timeout,
				    .explain = copy_explain };

	return path ? run(&reader, err) : download(source, address, fd, err);
}

/*
 * The archive, open for reading. What is to be judged first is a copy that nobody else can write to; and what is to be
 * unpacked by somebody else is one that he may open.
 */
static int archive_get(const struct source *source, const struct staging *staging, const char *address,
		       struct err *err)
{
	const bool other = user_is_other(source->user);
	const char *path = source_path(address);
	int fd;
	struct stat st;

	if (!path || source->repo->verify_archive || other) {
		fd = nameless(staging, err);
		if (fd >= 0 && get(source, address, fd, err) == 0 &&
		    (!other || fchown(fd, source->user->uid, source->user->gid) == 0))
			return fd;
		err_errno(err, STATUS_FAILED, address, "cannot be given to the sync-user");
	} else if ((fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		err_errno(err, STATUS_FAILED, path, "cannot be opened");
	} else if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		return fd;
	} else {
		err_fail(err, STATUS_FAILED, path, "not an ordinary file");
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* --- the signature --- */

/* The detached signature, in memory: the archive's name with one of the suffixes. */
static int signature_get(const struct source *source, const char *address, struct err *err)
{
	struct source probe = *source;
	int fd = memfd_create("signature", MFD_CLOEXEC);
	struct err last = ERR_NONE;

	probe.quiet = true;
	for (size_t i = 0; fd >= 0 && i < sizeof(signature_suffixes) / sizeof(signature_suffixes[0]); i++) {
		char *name = alloc_printf("%s%s", address, signature_suffixes[i]);

		err_clear(&last);
		const int result = get(&probe, name, fd, &last);
		free(name);
		if (result == 0)
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

/* All of a file to the standard error, as far as it goes. */
static void show(int fd)
{
	char text[4096];
	ssize_t got;

	for (off_t at = 0; (got = pread(fd, text, sizeof(text), at)) > 0; at += got)
		if (write(STDERR_FILENO, text, (size_t)got) != got)
			return;
}

/*
 * Our open files have names for what we run; none of them can be exchanged. What gpgv says of a good signature is nobody's
 * interest, and of one that is not good, everybody's.
 */
static int signature_judge(const struct repo *repo, int archive, int signature, int keys, struct err *err)
{
	struct words argv = WORDS_NONE;
	const int pid = (int)getpid(), said = memfd_create("said", MFD_CLOEXEC);

	if (said < 0)
		return err_errno(err, STATUS_FAILED, "gpgv", "memfd");
	words_add(&argv, alloc_copy("gpgv"));
	words_add(&argv, alloc_copy("--quiet"));
	words_add(&argv, alloc_copy("--logger-fd"));
	words_add(&argv, alloc_copy("1"));
	words_add(&argv, alloc_copy("--keyring"));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, keys));
	words_add(&argv, alloc_copy("--"));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, signature));
	words_add(&argv, alloc_printf("/proc/%d/fd/%d", pid, archive));
	const struct run gpgv = { .argv = (const char *const *)argv.list,
				  .subject = "gpgv",
				  .cwd = "/",
				  .out = said,
				  .timeout = repo->timeout,
				  .explain = gpgv_explain };
	const int result = run(&gpgv, err);
	if (result != 0)
		show(said);
	close(said);
	words_release(&argv);
	return result;
}

static int signature_check(const struct source *source, int archive, const char *address, struct err *err)
{
	const struct repo *repo = source->repo;
	int result = -1, signature, keys;

	if (!repo->verify_archive)
		return 0;
	signature = signature_get(source, address, err);
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

struct work {
	struct unpack job;
	bool other;
	bool first; /* there was no tree before: nothing is to be said of what changed */
};

/* It is his tree. */
static int archive_work(void *context, struct changes *changes, struct err *err)
{
	struct work *work = context;
	struct unpack *job = &work->job;
	struct stat before;
	int result = -1;

	job->changes = changes;
	if (work->first)
		changes_set_unknown(changes);
	if (work->other)
		job->archive = STDIN_FILENO;
	job->tree = open(job->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (job->tree < 0 || fstat(job->archive, &before) != 0)
		err_errno(err, STATUS_FAILED, job->path, "cannot be opened");
	else if (unpack(job, err) == 0)
		result = is_unchanged(job->archive, &before) ? 0
							     : err_fail(err, STATUS_FAILED, "the archive",
									"it was changed while it was read");
	if (job->tree >= 0)
		close(job->tree);
	return result;
}

static int archive_fetch(const struct repo *repo, const struct staging *staging, const char *base,
			 struct changes *changes, struct err *err)
{
	char *address = address_of(repo);
	struct user user;
	const struct source source = { .repo = repo, .user = &user };
	struct work work = { .job = { .repo = repo, .path = staging->path, .archive = -1, .tree = -1 },
			     .first = !base };
	struct apart apart = { .repo = repo, .user = &user, .work = archive_work, .context = &work };
	int result = user_of_fetch(repo, &user, err), archive = -1;

	if (result == 0)
		archive = work.job.archive = apart.in = archive_get(&source, staging, address, err);
	work.other = user_is_other(&user);
	result = archive >= 0 && signature_check(&source, archive, address, err) == 0
			 ? apart_run(&apart, changes, err)
			 : -1;
	if (archive >= 0)
		close(archive);
	free(address);
	user_release(&user);
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

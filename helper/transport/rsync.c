/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rsync, straight into a branch of latest: what is unchanged is there already, and what changes rsync writes to a new
 * file and renames. Where it changes one in place (--perms, --times, and whatever options say), the guard gives the
 * file an inode of its own first (P15). In a copy, where there is no guard, nothing can be reached at all. Options that
 * make it write elsewhere, or end well without having copied the whole, are refused.
 *
 * What it changed it says itself: a line for each name (--out-format), to a file in memory.
 *
 * Hard links, ACLs and extended attributes cost rsync half as much again as all the rest, and nearly no source has any.
 * So in a tree that has none (`plain`, storage.h) it is not asked for them. Of what it did change, a source on this
 * machine is then looked at, and where that has some after all rsync comes a second time and brings them. What appeared
 * on a file that is otherwise unchanged, or elsewhere, is seen when the tree is not `plain`: after a day at most.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/programs/run.h"
#include "helper/transport/manifest.h"
#include "helper/transport/source.h"
#include "helper/transport/transport.h"

/*
 * Of the user's options, those that we refuse: they write elsewhere than into new files of the staging tree,
 * link to what others can write or to what is not the same, or make rsync end well without having copied the
 * whole.
 */
static const char *const refused[] = {
	"append",
	"append-verify",
	"backup",
	"backup-dir",
	"compare-dest",
	"copy-dest",
	"daemon",
	"dry-run",
	"existing",
	"files-from",
	"help",
	"inplace",
	"ignore-non-existing",
	"keep-dirlinks",
	"link-dest",
	"list-only",
	"max-size",
	"min-size",
	"modify-window",
	"only-write-batch",
	"partial-dir",
	"read-batch",
	"relative",
	"remove-sent-files",
	"remove-source-files",
	"sender",
	"server",
	"size-only",
	"temp-dir",
	"version",
	"write-batch",
	"write-devices",
};
/* The same by letter; of the letters that take an argument, @ and T are refused and the others end a cluster. */
static const char refused_letters[] = "@KRTVbn";
static const char letters_with_argument[] = "@BMTef";

/* Options whose argument may be a word of its own. Any other bare word would be a second source. */
static const char *const with_argument[] = {
	"address",        "block-size",
	"bwlimit",        "checksum-choice",
	"checksum-seed",  "chmod",
	"chown",          "compress-choice",
	"compress-level", "contimeout",
	"copy-as",        "debug",
	"exclude",        "exclude-from",
	"filter",         "groupmap",
	"iconv",          "include",
	"include-from",   "info",
	"log-file",       "log-file-format",
	"max-alloc",      "max-delete",
	"out-format",     "outbuf",
	"password-file",  "port",
	"remote-option",  "rsh",
	"rsync-path",     "skip-compress",
	"sockopts",       "stop-after",
	"stop-at",        "suffix",
	"timeout",        "usermap",
};

static bool long_option_refused(const char *option)
{
	size_t length = strcspn(option, "=");

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strlen(refused[i]) == length && strncmp(refused[i], option, length) == 0)
			return true;
	return false;
}

static bool letters_refused(const char *cluster)
{
	for (; *cluster && *cluster != ' '; cluster++) {
		if (strchr(refused_letters, *cluster))
			return true;
		if (strchr(letters_with_argument, *cluster))
			return false;
	}
	return false;
}

/* Is the next word the argument of this one? */
static bool takes_next_word(const char *word)
{
	if (word[0] != '-')
		return false;
	if (word[1] != '-')
		return strlen(word) > 1 && strcspn(word + 1, letters_with_argument) == strlen(word) - 2;
	for (size_t i = 0; i < sizeof(with_argument) / sizeof(with_argument[0]); i++)
		if (strcmp(word + 2, with_argument[i]) == 0)
			return true;
	return false;
}

static int refuse_word(const struct repo *repo, const char *word, struct err *err)
{
	char *why = alloc_printf("%s cannot be used with snapshots", word);
	int result = repo_refuse(repo, REPO_SYNC_OPTS, why, err);

	free(why);
	return result;
}

static int check_options(const struct repo *repo, struct err *err)
{
	bool is_argument = false;

	for (char **word = repo->sync_opts; word && *word; word++) {
		const char *text = *word;
		bool bad;

		if (is_argument) {
			is_argument = false;
			continue;
		}
		if (text[0] != '-' || text[1] == '\0')
			bad = true;
		else if (text[1] == '-')
			bad = text[2] == '\0' || long_option_refused(text + 2);
		else
			bad = letters_refused(text + 1);
		if (bad)
			return refuse_word(repo, text, err);
		is_argument = takes_next_word(text);
	}
	return 0;
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static int check_uri(const struct repo *repo, struct err *err)
{
	static const char *const remote[] = { "rsync://", "ssh://" };
	const char *uri = repo->sync_uri;

	if (!uri)
		return repo_refuse(repo, REPO_SYNC_URI, "not set", err);
	if (source_path(uri))
		return 0;
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (has_prefix(uri, remote[i]) && strchr(uri + strlen(remote[i]), '/'))
			return 0;
	if (!strstr(uri, "://") && source_is_remote(uri))
		return 0;
	return repo_refuse(repo, REPO_SYNC_URI,
			   "not an absolute path, file://, rsync://, ssh:// or HOST:PATH", err);
}

/*
 * A checkout that somebody works in would be migrated, and go when its snapshot does. (That of a snapshot came by
 * rsync itself.)
 */
static int check_checkout(const struct repo *repo, struct err *err)
{
	static const char *const dirs[] = { "CVS", "RCS", "SCCS", ".bzr", ".git", ".hg", ".svn" };
	struct stat st;
	bool found = false;
	size_t i;

	if (repo->vcs_ignore || lstat(repo->location, &st) != 0 || !S_ISDIR(st.st_mode))
		return 0;
	for (i = 0; !found && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char *path = alloc_printf("%s/%s", repo->location, dirs[i]);

		found = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
		free(path);
	}
	if (!found)
		return 0;
	char *why = alloc_printf("%s/%s is there: it is somebody's checkout", repo->location, dirs[i - 1]);
	const int result = repo_refuse(repo, REPO_VCS_IGNORE, why, err);
	free(why);
	return result;
}

static int rsync_check(const struct repo *repo, struct err *err)
{
	return check_uri(repo, err) != 0 || check_options(repo, err) != 0 || check_checkout(repo, err) != 0 ||
			       manifest_check(repo, err) != 0
		       ? -1
		       : source_check_place(repo, err);
}

/* rsync(1), EXIT VALUES: what the usual ones mean for a snapshot. */
static const char *explain(int status)
{
	switch (status) {
	case 5:
		return "the server refused, or knows no such module";
	case 10:
	case 12:
	case 30:
	case 35:
		return "the connection failed or broke off";
	case 11:
		return "a file could not be read or written";
	case 20:
		return "it was interrupted";
	case 23:
		return "some files could not be copied";
	case 24:
		return "files vanished from the source meanwhile: what was copied is not one version of it";
	default:
		return NULL;
	}
}

struct arguments {
	char **list; /* NULL-terminated, each allocated */
	size_t count;
};

static void add(struct arguments *arguments, char *text)
{
	arguments->list = alloc_grow(arguments->list, arguments->count + 2, sizeof(*arguments->list));
	arguments->list[arguments->count++] = text;
	arguments->list[arguments->count] = NULL;
}

/* Portage's form ssh://[USER@]HOST[:PORT]/PATH, which rsync does not know, as HOST:/PATH. */
static char *add_ssh(struct arguments *arguments, const char *rest)
{
	const char *path = strchr(rest, '/');
	const char *bracket = memchr(rest, ']', (size_t)(path - rest));
	const char *from = bracket ? bracket : rest;
	const char *port = memchr(from, ':', (size_t)(path - from));

	if (port)
		add(arguments, alloc_printf("--rsh=ssh -p %.*s", (int)(path - port - 1), port + 1));
	return alloc_printf("%.*s:%s", (int)((port ? port : path) - rest), rest, path);
}

/* Where to copy from, with the one slash at its end that means: what is in it. */
static char *source_of(struct arguments *arguments, const char *uri)
{
	char *source;

	if (source_path(uri))
		source = alloc_copy(source_path(uri));
	else if (has_prefix(uri, "ssh://"))
		source = add_ssh(arguments, uri + strlen("ssh://"));
	else
		source = alloc_copy(uri);
	size_t length = strlen(source);
	while (length > 0 && source[length - 1] == '/')
		source[--length] = '\0';
	char *slashed = alloc_printf("%s/", source);
	free(source);
	return slashed;
}

/*
 * Options of the user's that make rsync say more, or less, than the lines that we ask for: then nothing is concluded from
 * what it says.
 */
static bool changes_output(const char *word)
{
	static const char *const loud[] = { "verbose", "no-verbose", "quiet",      "info",
					    "debug",   "progress",   "iconv",      "stats",
					    "outbuf",  "out-format", "log-format", "itemize-changes",
					    "stderr",  "msgs2stderr" };

	if (word[0] != '-')
		return false;
	if (word[1] != '-')
		return strpbrk(word, "vqPih8") != NULL;
	for (size_t i = 0; i < sizeof(loud) / sizeof(loud[0]); i++)
		if (has_prefix(word + 2, loud[i]))
			return true;
	return false;
}

static bool says_changes(const struct repo *repo)
{
	for (char **word = repo->sync_opts; word && *word; word++)
		if (changes_output(*word))
			return false;
	return true;
}

/* rsync(1), --8-bit-output: a byte that cannot be shown is \#ooo, and so is the backslash of a name with "\#". */
static size_t unescape(char *text, size_t length)
{
	size_t to = 0;

	for (size_t at = 0; at < length; to++) {
		const char *code = text + at;

		if (length - at >= 5 && code[0] == '\\' && code[1] == '#' && code[2] >= '0' &&
		    code[2] <= '3' && code[3] >= '0' && code[3] <= '7' && code[4] >= '0' && code[4] <= '7') {
			text[to] = (char)((code[2] - '0') << 6 | (code[3] - '0') << 3 | (code[4] - '0'));
			at += 5;
		} else {
			text[to] = text[at++];
		}
	}
	return to;
}

/* "YXcstpoguax NAME" or "*deleting   NAME": rsync(1), --itemize-changes. False: it is none. */
static bool line_parse(char *line, size_t length, struct changes *changes)
{
	static const char deleting[] = "*deleting   ";
	static const char letters[] = ".+?cstTpogunbax ";
	size_t name = 12;

	if (length > sizeof(deleting) - 1 && memcmp(line, deleting, sizeof(deleting) - 1) == 0) {
		name = sizeof(deleting) - 1;
	} else {
		if (length <= name || line[0] == '\0' || !strchr("<>ch.", line[0]) || line[1] == '\0' ||
		    !strchr("fdLDS", line[1]) || line[11] != ' ')
			return false;
		for (size_t i = 2; i < 11; i++)
			if (line[i] == '\0' || !strchr(letters, line[i]))
				return false;
	}
	changes_add(changes, line + name, unescape(line + name, length - name));
	return true;
}

/* What is no such line may be anything: then it is not known what changed. */
static void lines_parse(char *text, size_t size, struct changes *changes)
{
	while (size > 0 && !changes->unknown) {
		char *end = memchr(text, '\n', size);

		if (end == NULL || !line_parse(text, (size_t)(end - text), changes)) {
			changes_set_unknown(changes);
			return;
		}
		size -= (size_t)(end - text) + 1;
		text = end + 1;
	}
}

static void changes_read(int fd, struct changes *changes)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		changes_set_unknown(changes);
		return;
	}
	char *text = alloc_grow(NULL, (size_t)st.st_size, 1);
	if (file_read(fd, text, (size_t)st.st_size, 0) == st.st_size)
		lines_parse(text, (size_t)st.st_size, changes);
	else
		changes_set_unknown(changes);
	free(text);
}

/* Has dir/path links or attributes that rsync -a would not bring? What is gone has none. */
static bool is_more(const char *dir, const char *path)
{
	char *name = alloc_printf("%s/%s", dir, path);
	struct stat st;
	const bool more = lstat(name, &st) == 0 &&
			  ((!S_ISDIR(st.st_mode) && st.st_nlink > 1) || llistxattr(name, NULL, 0) > 0);

	free(name);
	return more;
}

static bool source_has_more(const struct repo *repo, const struct changes *changes)
{
	const char *source = source_path(repo->sync_uri);
	bool more = false;

	for (size_t i = 0; source != NULL && !more && i < changes->count; i++)
		more = is_more(source, changes->paths[i]);
	return more;
}

struct fetching {
	const struct repo *repo;
	const struct staging *staging;
	int lines;  /* where it tells what it changes; -1: it does not */
	bool plain; /* links and attributes are left out */
};

/*
 * All words. What is excluded is not in the new version, whether the branch had it
 * or not (--delete-excluded): a version is made of its source and the options, and not of the one before it. But what
 * Portage leaves alone (P25) goes on from version to version, as in a store that Portage writes.
 */
static void arguments_make(struct arguments *arguments, const struct fetching *fetching)
{
	static const char *const always[] = { "--delete", "--delete-excluded", "--modify-window=-1",
					      "--numeric-ids" };
	const struct repo *repo = fetching->repo;

	add(arguments, alloc_copy("rsync"));
	add(arguments, alloc_copy(fetching->plain ? "-a" : "-aHAX"));
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		add(arguments, alloc_copy(always[i]));
	for (size_t i = 0; repo->from_portage && repo_portage_excludes[i]; i++) {
		add(arguments, alloc_printf("--exclude=/%s", repo_portage_excludes[i]));
		add(arguments, alloc_printf("--filter=P /%s", repo_portage_excludes[i]));
	}
	/* A server may hang. */
	if (!source_path(repo->sync_uri))
		add(arguments, alloc_copy("--timeout=180"));
	for (char **word = repo->sync_opts; word && *word; word++)
		add(arguments, alloc_copy(*word));
	/* A server's greeting would be among the lines. */
	if (fetching->lines >= 0) {
		add(arguments, alloc_copy("--no-motd"));
		add(arguments, alloc_copy("--out-format=%i %n"));
	}
	char *source = source_of(arguments, repo->sync_uri);
	add(arguments, alloc_copy("--"));
	add(arguments, source);
	add(arguments, alloc_printf("%s/", fetching->staging->path));
}

static void arguments_release(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++)
		free(arguments->list[i]);
	free(arguments->list);
}

static int fetch_once(const struct fetching *fetching, struct changes *changes, struct err *err)
{
	struct arguments arguments = { .list = NULL };
	struct user user;
	int result = user_of_fetch(fetching->repo, &user, err);

	arguments_make(&arguments, fetching);
	const struct run rsync = { .argv = (const char *const *)arguments.list,
				   .out = fetching->lines >= 0 ? fetching->lines : 0,
				   .user = &user,
				   .guard = fetching->staging->guard,
				   .subject = "rsync",
				   .explain = explain,
				   .timeout = fetching->repo->timeout };
	if (result == 0)
		result = run(&rsync, err);
	if (result == 0 && fetching->lines >= 0)
		changes_read(fetching->lines, changes);
	arguments_release(&arguments);
	user_release(&user);
	return result;
}

static int rsync_fetch(const struct repo *repo, const struct staging *staging, const char *base,
		       struct changes *changes, struct err *err)
{
	/* Without the lines we learn less, and what rsync does is the same. */
	struct fetching fetching = { .repo = repo,
				     .staging = staging,
				     .lines = says_changes(repo) ? memfd_create("rsync", MFD_CLOEXEC) : -1 };

	(void)base; /* the staging tree is a branch of it */
	if (fetching.lines < 0)
		changes_set_unknown(changes);
	fetching.plain = staging->plain && !changes->unknown;
	int result = fetch_once(&fetching, changes, err);
	if (result == 0 && fetching.plain && (changes->unknown || source_has_more(repo, changes))) {
		fetching.plain = false;
		result = fetch_once(&fetching, changes, err);
	}
	if (fetching.lines >= 0)
		close(fetching.lines);
	return result;
}

static int rsync_verify(const struct repo *repo, const char *path, const char *base, struct words *notes,
			struct err *err)
{
	return source_check_age(repo, path, base, err) != 0 ? -1
							    : manifest_verify(repo, path, base, notes, err);
}

static const char *rsync_program(const struct repo *repo)
{
	(void)repo;
	return "rsync";
}

const struct transport transport_rsync = { .type = "rsync",
					   .check = rsync_check,
					   .stage = STAGE_BRANCH,
					   .program = rsync_program,
					   .kind = GUARD_KNOWN,
					   .fetch = rsync_fetch,
					   .verify = rsync_verify };

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * git, into a branch of latest. All objects of all snapshots are in one bare repository, STORE/.rcu-repo/git. Each
 * snapshot has a worktree in it, under the ID that it was staged by, as git-worktree(1) knows them: HEAD (the commit),
 * index, and in the snapshot a file `.git` that leads there. So git works in a snapshot for whoever may read it, its
 * objects live as long as it does, and nothing of git's that is ever written is in a snapshot (P16).
 *
 * What differs between the commit of the staged tree and the new one is deleted and checked out; git itself replaces a
 * file by unlinking it, so no write reaches an inode that is shared. That the staged tree is its commit and nothing
 * else is known where latest is the very snapshot that this ID was published as (`number`); else the tree is compared
 * by content with the index.
 *
 * If we die anywhere here: a worktree that no snapshot names, and half of what git was writing, which the next fetch
 * removes, and objects, which `git gc` collects in its time. Where it fails and we live, what is half goes at once: it may
 * be all that fills the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/words.h"
#include "helper/programs/hooks.h"
#include "helper/programs/run.h"
#include "helper/transport/apart.h"
#include "helper/transport/below.h"
#include "helper/transport/git_run.h"
#include "helper/transport/source.h"
#include "helper/transport/transport.h"
#include "helper/tree/tree.h"

#define OBJECTS "git"
#define WORKTREES OBJECTS "/worktrees"
#define LINK ".git"
#define LINK_BEGIN "gitdir: "
#define REFS "refs/rcu/"
#define UPSTREAM REFS "upstream"

/* A commit, in hexadecimal: SHA-1 or SHA-256. */
#define COMMIT_ROOM 65

struct git {
	const struct repo *repo;
	const struct staging *staging;
	struct changes *changes;
	char *ours;     /* STORE/.rcu-repo */
	char *objects;  /* STORE/.rcu-repo/git */
	char *worktree; /* of the staged tree, to be made */
	char *old_id;   /* of the worktree that the staged tree came with, or NULL */
	char old[COMMIT_ROOM], fresh[COMMIT_ROOM];
	uint64_t base; /* the number of latest, 0: there is none */
	uint64_t next; /* the number that this tree will have, if nobody takes it first */
	int dir;       /* STORE/.rcu-repo */
	int tree;      /* the staged tree */
};

/*
 * Of readers' interest: status trusts a file whose size and whole second are those of the index, for inode and change
 * time are others in each snapshot.
 */
static const char config[] =
	"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	"\tlogAllRefUpdates = false\n\ttrustctime = false\n\tcheckStat = minimal\n"
	"[gc]\n\tauto = 0\n\tworktreePruneExpire = never\n[maintenance]\n\tauto = false\n";

/* --- running it --- */

static int git_in(const struct git *git, const char *dir, bool tree, const char *what, int in,
		  const char *const *words, struct err *err)
{
	const struct git_run run = { .repo = git->repo,
				     .dir = dir,
				     .tree = tree ? git->staging->path : NULL,
				     .what = what,
				     .words = words,
				     .in = in };

	return git_run(&run, err);
}

/* With the staged tree and its index. */
static int git_tree(const struct git *git, const char *what, int in, const char *const *words,
		    struct err *err)
{
	return git_in(git, git->worktree, true, what, in, words, err);
}

static int git_tree_read(const struct git *git, const char *what, const char *const *words, char **text,
			 size_t *size, struct err *err)
{
	const struct git_run run = { .repo = git->repo,
				     .dir = git->worktree,
				     .tree = git->staging->path,
				     .what = what,
				     .words = words };

	return git_read(&run, text, size, err);
}

/* Text that a program is to read. */
static FILE *feed_open(struct err *err)
{
	int fd = memfd_create("feed", MFD_CLOEXEC);
	FILE *feed = fd < 0 ? NULL : fdopen(fd, "w+");

	if (!feed)
		err_errno(err, STATUS_FAILED, "git", "memfd");
	return feed;
}

/* One entry, with the zero byte behind it. Takes the text. */
static void feed_add(FILE *feed, char *text)
{
	fwrite(text, strlen(text) + 1, 1, feed);
	free(text);
}

/* The descriptor, at its beginning. */
static int feed_ready(FILE *feed, struct err *err)
{
	if (fflush(feed) != 0 || lseek(fileno(feed), 0, SEEK_SET) != 0)
		return err_errno(err, STATUS_FAILED, "git", "memfd");
	return fileno(feed);
}

/* --- files of the object store --- */

static int write_text(int dir, const char *name, const char *text, struct err *err)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	int result = fd < 0 ? -1 : fchmod(fd, 0644);

	if (result == 0)
		result = file_write(fd, text, strlen(text), 0);
	if (result != 0)
		err_errno(err, STATUS_FAILED, name, "cannot be written");
	if (fd >= 0)
		close(fd);
	return result;
}

static int make_dir(int dir, const char *name, struct err *err)
{
	if (mkdirat(dir, name, 0755) == 0 ? fchmodat(dir, name, 0755, 0) == 0 : errno == EEXIST)
		return 0;
	return err_errno(err, STATUS_FAILED, name, "cannot be made");
}

/* What `git init --bare` makes; made whole again where we died in it. HEAD comes last. */
static int objects_make(const struct git *git, struct err *err)
{
	static const char *const dirs[] = { OBJECTS, OBJECTS "/objects", OBJECTS "/refs", WORKTREES };

	if (faccessat(git->dir, OBJECTS "/HEAD", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (make_dir(git->dir, dirs[i], err) != 0)
			return -1;
	return write_text(git->dir, OBJECTS "/config", config, err) == 0
		       ? write_text(git->dir, OBJECTS "/HEAD", "ref: refs/heads/none\n", err)
		       : -1;
}

/* A line of a small file without its newline, or "". */
static void read_line(int dir, const char *name, char *to, size_t room)
{
	struct stat st;

	to[0] = '\0';
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    file_read_text(dir, name, to, room) >= 0)
		to[strcspn(to, "\n")] = '\0';
}

/* The ID that the `.git` of a tree leads to, or NULL. The caller frees it. */
static char *tree_id(int dir, const char *name)
{
	char line[4096];

	read_line(dir, name, line, sizeof(line));
	const char *at = strstr(line, "/" WORKTREES "/");
	if (strncmp(line, LINK_BEGIN, strlen(LINK_BEGIN)) != 0 || !at)
		return NULL;
	at += strlen("/" WORKTREES "/");
	return *at && !strchr(at, '/') && at[0] != '.' ? alloc_copy(at) : NULL;
}

/* Which worktrees do snapshots name? */
static int ids_in_use(const struct git *git, struct words *ids, struct err *err)
{
	DIR *snapshots = directory_open(git->dir, "../" STORE_SNAPSHOTS);
	const struct dirent *entry;

	if (!snapshots)
		return errno == ENOENT ? 0 : err_errno(err, STATUS_FAILED, git->ours, "../" STORE_SNAPSHOTS);
	while ((entry = directory_next(snapshots)) != NULL) {
		char *name = alloc_printf("%s/" LINK, entry->d_name);
		char *id = tree_id(dirfd(snapshots), name);

		free(name);
		if (id)
			words_add(ids, id);
	}
	const int error = errno;
	closedir(snapshots);
	errno = error;
	return error == 0 ? 0 : err_errno(err, STATUS_FAILED, git->ours, "../" STORE_SNAPSHOTS);
}

static bool words_have(const struct words *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (strcmp(words->list[i], word) == 0)
			return true;
	return false;
}

/* The ref goes last: without its worktree it is found again. */
static int worktree_delete(const struct git *git, int worktrees, const char *id, struct err *err)
{
	char *ref = alloc_printf(REFS "%s", id);
	const char *const words[] = { "update-ref", "-d", ref, NULL };
	int result = git_in(git, git->objects, false, "git update-ref", 0, words, err);

	if (result == 0)
		result = tree_delete(worktrees, id, err);
	free(ref);
	return result;
}

/* Worktrees whose snapshots are gone; under the store's lock there is no staged tree but ours, which has none yet. */
static int worktrees_prune(const struct git *git, struct err *err)
{
	struct words used = WORDS_NONE, unused = WORDS_NONE;
	DIR *worktrees = NULL;
	int result = ids_in_use(git, &used, err);

	if (git->old_id)
		words_add(&used, alloc_copy(git->old_id));
	if (result == 0 && !(worktrees = directory_open(git->dir, WORKTREES)))
		result = err_errno(err, STATUS_FAILED, git->objects, "worktrees");
	for (const struct dirent *entry; result == 0 && (entry = directory_next(worktrees)) != NULL;)
		if (!words_have(&used, entry->d_name))
			words_add(&unused, alloc_copy(entry->d_name));
	for (size_t i = 0; result == 0 && i < unused.count; i++)
		result = worktree_delete(git, dirfd(worktrees), unused.list[i], err);
	if (worktrees)
		closedir(worktrees);
	words_release(&used);
	words_release(&unused);
	return result;
}

/* --- what is there --- */

static uint64_t number_of(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' ? strtoull(text, NULL, 10) : 0;
}

/* The commit that the staged tree is of, as far as its `.git` says so. */
static void old_find(struct git *git)
{
	git->old_id = tree_id(git->tree, LINK);
	if (!git->old_id)
		return;
	char *head = alloc_printf(WORKTREES "/%s/HEAD", git->old_id);
	read_line(git->dir, head, git->old, sizeof(git->old));
	free(head);
	if (strlen(git->old) < 40 || git->old[strspn(git->old, "0123456789abcdef")] != '\0')
		git->old[0] = '\0';
}

/* Nothing but a git of this store has made the staged tree: it is its commit, to the letter. */
static bool old_is_exact(const struct git *git)
{
	char *name = alloc_printf(WORKTREES "/%s/number", git->old_id), line[32];

	read_line(git->dir, name, line, sizeof(line));
	free(name);
	return git->base != 0 && number_of(line) == git->base;
}

/* STORE/.rcu-repo. The caller frees it. */
static char *ours_of(const struct staging *staging)
{
	const size_t tail = strlen(STORE_STAGING) - strlen(STORE_OURS) + 1 + strlen(staging->id);

	return alloc_printf("%.*s", (int)(strlen(staging->path) - tail), staging->path);
}

/* The number that publish() will give out; 0: nobody knows, and then the next fetch compares. */
static uint64_t next_find(const struct git *git)
{
	struct store store = STORE_CLOSED;
	struct err ignored = ERR_NONE;
	uint64_t highest;
	const bool known = store_open(&store, git->repo->store, STORE_LOOK, false, &ignored) == 0 &&
			   store_highest(&store, &highest, &ignored) == 0;

	store_close(&store);
	return known ? highest + 1 : 0;
}

static int git_init(struct git *git, const char *base, struct err *err)
{
	const char *path = git->staging->path;

	git->ours = ours_of(git->staging);
	git->objects = alloc_printf("%s/" OBJECTS, git->ours);
	git->worktree = alloc_printf("%s/" WORKTREES "/%s", git->ours, git->staging->id);
	git->dir = open(git->ours, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	git->tree = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (git->dir < 0 || git->tree < 0)
		return err_errno(err, STATUS_FAILED, path, "cannot be opened");
	const char *slash = base ? strrchr(base, '/') : NULL;
	git->base = slash ? number_of(slash + 1) : 0;
	git->next = next_find(git);
	old_find(git);
	return 0;
}

static void git_release(struct git *git)
{
	free(git->ours);
	free(git->objects);
	free(git->worktree);
	free(git->old_id);
	if (git->dir >= 0)
		close(git->dir);
	if (git->tree >= 0)
		close(git->tree);
}

/* --- fetching --- */

/* The branch that sync-git-clone-extra-opts names, or NULL: the upstream's HEAD. -1: a word that means nothing here. */
static int branch_find(const struct repo *repo, const char **branch, struct err *err)
{
	*branch = NULL;
	for (char **word = repo->git_options; word && *word; word++) {
		if (strncmp(*word, "--branch=", strlen("--branch=")) == 0) {
			*branch = *word + strlen("--branch=");
		} else if ((strcmp(*word, "--branch") == 0 || strcmp(*word, "-b") == 0) && word[1]) {
			*branch = *++word;
		} else if (strcmp(*word, "--single-branch") != 0 && strcmp(*word, "--no-tags") != 0) {
			char *why = alloc_printf("%s cannot be used with snapshots", *word);
			int result = repo_refuse(repo, REPO_GIT_OPTS, why, err);

			free(why);
			return result;
		}
	}
	if (*branch && ((*branch)[0] == '-' || strpbrk(*branch, ":*^~?[\\ ")))
		return repo_refuse(repo, REPO_GIT_OPTS, "not the name of a branch", err);
	return 0;
}

static int fetch_upstream(const struct git *git, struct err *err)
{
	struct words words = WORDS_NONE, env = WORDS_NONE;
	const char *branch = NULL;
	const bool first = faccessat(git->dir, OBJECTS "/FETCHED", F_OK, 0) != 0;
	static const char *const fetch[] = { "fetch",
					     "--quiet",
					     "--force",
					     "--no-tags",
					     "--no-write-fetch-head",
					     "--no-recurse-submodules",
					     "--no-auto-maintenance",
					     "--update-shallow",
					     NULL };

	if (branch_find(git->repo, &branch, err) != 0)
		return -1;
	words_add_copies(&words, fetch);
	if (git->repo->depth != 0)
		words_add(&words, alloc_printf("--depth=%u", git->repo->depth));
	else if (faccessat(git->dir, OBJECTS "/shallow", F_OK, 0) == 0)
		words_add(&words, alloc_copy("--unshallow"));
	words_add(&words, alloc_copy("--"));
	words_add(&words, alloc_copy(git->repo->sync_uri));
	words_add(&words,
		  branch ? alloc_printf("+refs/heads/%s:" UPSTREAM, branch) : alloc_copy("+HEAD:" UPSTREAM));
	words_add_copies(&env, (const char *const *)git->repo->git_env);
	words_add_copies(&env,
			 (const char *const *)(first ? git->repo->git_clone_env : git->repo->git_pull_env));
	const struct git_run run = { .repo = git->repo,
				     .dir = git->objects,
				     .what = "git fetch",
				     .outside = true,
				     .env = env.list,
				     .words = (const char *const *)words.list };
	int result = git_run(&run, err);
	words_release(&words);
	words_release(&env);
	return result == 0 ? write_text(git->dir, OBJECTS "/FETCHED", "", err) : -1;
}

static int upstream_find(struct git *git, struct err *err)
{
	const char *const words[] = { "rev-parse", "--verify", "--quiet", UPSTREAM "^{commit}", NULL };
	const struct git_run run = {
		.repo = git->repo, .dir = git->objects, .what = "git rev-parse", .words = words
	};
	char *text;
	size_t size;

	if (git_read(&run, &text, &size, err) != 0) {
		free(text);
		return -1;
	}
	text[strcspn(text, "\n")] = '\0';
	const bool good = strlen(text) < COMMIT_ROOM;
	if (good)
		memcpy(git->fresh, text, strlen(text) + 1);
	free(text);
	return good ? 0 : err_fail(err, STATUS_FAILED, "git rev-parse", "no commit");
}

/* --- the signature of the commit --- */

/* A keyring of gpg's own that has the keys of the file, and nothing else. */
static int keyring_make(const struct repo *repo, const char *home, struct err *err)
{
	char *env_home = alloc_printf("GNUPGHOME=%s", home);
	const char *const argv[] = { "gpg",      "--batch", "--quiet",      "--no-autostart",
				     "--import", "--",      repo->key_path, NULL };
	const char *const env[] = { env_home, NULL };
	const struct run gpg = { .argv = argv, .env = env, .subject = "gpg", .timeout = repo->timeout };
	int result = run(&gpg, err);

	free(env_home);
	return result;
}

/* G: good; U: good, of a key that no other key vouches for, as nobody does here; X, Y: expired, R: revoked. */
static int signature_judge(const struct git *git, const char *home, struct err *err)
{
	const char *const words[] = { "-c",
				      "gpg.program=gpg",
				      "-c",
				      "gpg.format=openpgp",
				      "-c",
				      "log.showSignature=false",
				      "log",
				      "-1",
				      "--format=%G?",
				      git->fresh,
				      NULL };
	char *env_home = alloc_printf("GNUPGHOME=%s", home), *env[] = { env_home, NULL };
	const struct git_run run = {
		.repo = git->repo, .dir = git->objects, .what = "git log", .env = env, .words = words
	};
	char *text;
	size_t size;
	int result = git_read(&run, &text, &size, err);

	if (result == 0 && text[0] != 'G' && text[0] != 'U')
		result = err_fail(err, STATUS_FAILED, git->repo->name, "commit %s: %s", git->fresh,
				  text[0] == 'N'   ? "it has no signature"
				  : text[0] == 'E' ? "its signature is of no key in sync-openpgp-key-path"
				  : text[0] == 'B' ? "its signature is bad"
						   : "its signature, or the key, has expired or is revoked");
	free(text);
	free(env_home);
	return result;
}

static int signature_check(const struct git *git, struct err *err)
{
	char *home;
	int result;

	if (!git->repo->verify_commit)
		return 0;
	const char *tmp = getenv("TMPDIR");
	home = alloc_printf("%s/rcu-repo.XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(home)) {
		err_errno(err, STATUS_FAILED, home, "cannot be made");
		free(home);
		return -1;
	}
	result = keyring_make(git->repo, home, err) == 0 ? signature_judge(git, home, err) : -1;
	struct err ignored = ERR_NONE;
	tree_delete(AT_FDCWD, home, &ignored);
	free(home);
	return result;
}

/* --- the new tree --- */

static int copy_index(const struct git *git, struct err *err)
{
	char *from = alloc_printf(WORKTREES "/%s/index", git->old_id);
	char *to = alloc_printf(WORKTREES "/%s/index", git->staging->id);
	int in = openat(git->dir, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int out = openat(git->dir, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t done = in < 0 || out < 0 ? -1 : 1;

	while (done > 0)
		done = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
	if (done != 0)
		err_errno(err, STATUS_FAILED, git->worktree, "the index cannot be copied");
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	free(from);
	free(to);
	return done == 0 ? 0 : -1;
}

/* `locked` keeps `git worktree prune` away: it does not know that the place of a tree changes when it is published. */
static int worktree_make(const struct git *git, struct err *err)
{
	char *name = alloc_printf(WORKTREES "/%s", git->staging->id);
	char *head = alloc_printf("%s\n", git->fresh);
	char *link = alloc_printf("%s/" LINK "\n", git->repo->location);
	char *ref = alloc_printf(REFS "%s", git->staging->id);
	/* What hooks do to the tree is not in its commit. */
	char *number = alloc_printf("%" PRIu64 "\n", hooks_any(git->repo) ? 0 : git->next);
	const char *const words[] = { "update-ref", ref, git->fresh, NULL };
	int result = make_dir(git->dir, name, err), dir = -1;

	if (result == 0 &&
	    (dir = openat(git->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		result = err_errno(err, STATUS_FAILED, git->worktree, "cannot be opened");
	if (result == 0 &&
	    (write_text(dir, "HEAD", head, err) != 0 || write_text(dir, "commondir", "../..\n", err) != 0 ||
	     write_text(dir, "gitdir", link, err) != 0 ||
	     write_text(dir, "locked", "kept by rcu-repo\n", err) != 0 ||
	     write_text(dir, "number", number, err) != 0 ||
	     git_in(git, git->objects, false, "git update-ref", 0, words, err) != 0))
		result = -1;
	if (dir >= 0)
		close(dir);
	free(name);
	free(head);
	free(link);
	free(ref);
	free(number);
	return result;
}

/* A new file: the one that is there is that of the latest snapshot. */
static int link_write(const struct git *git, struct err *err)
{
	char *text = alloc_printf(LINK_BEGIN "%s\n", git->worktree);
	int result = below_delete(git->tree, LINK, err);

	if (result == 0)
		result = write_text(git->tree, LINK, text, err);
	changes_add(git->changes, LINK, strlen(LINK));
	free(text);
	return result;
}

/* All of the commit, into an empty tree. */
static int checkout_whole(const struct git *git, struct err *err)
{
	const char *const read_tree[] = { "read-tree", git->fresh, NULL };
	const char *const checkout[] = { "checkout-index", "--quiet", "--all", "--force", "--index", NULL };

	changes_set_unknown(git->changes);
	return below_clear(git->tree, err) != 0 || worktree_make(git, err) != 0 ||
			       git_tree(git, "git read-tree", 0, read_tree, err) != 0 ||
			       git_tree(git, "git checkout-index", 0, checkout, err) != 0
		       ? -1
		       : link_write(git, err);
}

/* One of the differences, as diff-tree --raw -z writes it: ":OLDMODE MODE OLDOBJECT OBJECT STATUS" and the path. */
struct difference {
	const char *mode, *object; /* not terminated */
	int mode_length, object_length;
	char status;
	const char *path;
};

/* Reads one, and goes on behind it. False: that is no difference. */
static bool difference_read(const char **at, const char *end, struct difference *difference)
{
	const char *fields[5];
	const char *line = *at;
	const char *path = line + strlen(line) + 1;

	if (line[0] != ':' || path >= end)
		return false;
	for (size_t i = 0; i < 5; i++) {
		fields[i] = i == 0 ? line + 1 : strchr(fields[i - 1], ' ');
		if (!fields[i])
			return false;
		fields[i] += i != 0;
	}
	*difference = (struct difference){ .mode = fields[1],
					   .mode_length = (int)(fields[2] - fields[1]) - 1,
					   .object = fields[3],
					   .object_length = (int)(fields[4] - fields[3]) - 1,
					   .status = fields[4][0],
					   .path = path };
	*at = path + strlen(path) + 1;
	return below_good(path);
}

/* Deletes what is in the way of the new commit, and notes what is to be made: `index` for update-index, `paths` for
 * checkout-index. */
static int difference_apply(const struct git *git, const struct difference *difference, FILE *index,
			    FILE *paths, struct err *err)
{
	changes_add(git->changes, difference->path, strlen(difference->path));
	feed_add(index, alloc_printf("%.*s %.*s\t%s", difference->mode_length, difference->mode,
				     difference->object_length, difference->object, difference->path));
	if (difference->status != 'D')
		feed_add(paths, alloc_copy(difference->path));
	return strchr("DT", difference->status) ? below_delete(git->tree, difference->path, err) : 0;
}

static int differences_apply(const struct git *git, FILE *index, FILE *paths, struct err *err)
{
	const char *const words[] = { "diff-tree",    "-r",     "-z",       "--raw",
				      "--no-renames", git->old, git->fresh, NULL };
	struct difference difference;
	char *text;
	size_t size;
	int result = git_tree_read(git, "git diff-tree", words, &text, &size, err);

	for (const char *at = text, *end = text + size; result == 0 && at < end;)
		result = difference_read(&at, end, &difference)
				 ? difference_apply(git, &difference, index, paths, err)
				 : err_fail(err, STATUS_FAILED, "git diff-tree", "its output makes no sense");
	free(text);
	return result;
}

/*
 * The staged tree may differ from its commit: somebody else wrote in it since. What is in no commit goes, unless hooks
 * may have made it; what is not as in the index, which is the new one by now, is checked out again. By content: the
 * change time of an inode is no witness here, but a wrong one makes git look.
 */
static int doubts_note(const struct git *git, FILE *paths, struct err *err)
{
	const char *const others[] = { "ls-files", "-z", "--others", "--directory", NULL };
	const char *const wrong[] = { "-c",         "core.trustctime=true",
				      "-c",         "core.checkStat=default",
				      "ls-files",   "-z",
				      "--modified", "--deleted",
				      NULL };
	char *text = NULL;
	size_t size = 0;
	int result = 0;

	if (!hooks_any(git->repo))
		result = git_tree_read(git, "git ls-files", others, &text, &size, err);
	for (char *at = text, *next; result == 0 && at < text + size; at = next) {
		const size_t length = strlen(at);

		next = at + length + 1;
		if (length != 0 && at[length - 1] == '/')
			at[length - 1] = '\0';
		changes_add(git->changes, at, strlen(at));
		result = below_good(at)
				 ? below_delete(git->tree, at, err)
				 : err_fail(err, STATUS_FAILED, "git ls-files", "its output makes no sense");
	}
	free(text);
	text = NULL;
	size = 0;
	if (result == 0)
		result = git_tree_read(git, "git ls-files", wrong, &text, &size, err);
	for (const char *at = text; result == 0 && at < text + size; at += strlen(at) + 1) {
		changes_add(git->changes, at, strlen(at));
		feed_add(paths, alloc_copy(at));
	}
	free(text);
	return result;
}

static int checkout_difference(const struct git *git, bool exact, struct err *err)
{
	const char *const update[] = { "update-index", "-z", "--index-info", NULL };
	/* What is on the list is written, however much it looks like what is in the index. */
	const char *const checkout[] = { "-c",
					 "core.trustctime=true",
					 "-c",
					 "core.checkStat=default",
					 "checkout-index",
					 "--quiet",
					 "--force",
					 "--index",
					 "-z",
					 "--stdin",
					 NULL };
	FILE *index = feed_open(err), *paths = index ? feed_open(err) : NULL;
	int result = -1, in;

	if (paths && worktree_make(git, err) == 0 && copy_index(git, err) == 0 &&
	    (strcmp(git->old, git->fresh) == 0 || differences_apply(git, index, paths, err) == 0) &&
	    (in = feed_ready(index, err)) >= 0 && git_tree(git, "git update-index", in, update, err) == 0 &&
	    (exact || doubts_note(git, paths, err) == 0) && (in = feed_ready(paths, err)) >= 0)
		result = git_tree(git, "git checkout-index", in, checkout, err);
	if (result == 0 && (git->changes->count != 0 || strcmp(git->old, git->fresh) != 0))
		result = link_write(git, err);
	if (index)
		fclose(index);
	if (paths)
		fclose(paths);
	return result;
}

/*
 * Half a pack, object or graph, a directory of objects that came in, and the signs that a git is at work: on a file
 * (.lock), or on the ref for a pack that it has (.keep), which no `git gc` would ever collect then.
 */
static bool is_leftover(const char *name)
{
	static const char *const begin[] = { "tmp_", ".tmp-", "incoming-" };
	const char *end = strrchr(name, '.');

	for (size_t i = 0; i < sizeof(begin) / sizeof(begin[0]); i++)
		if (strncmp(name, begin[i], strlen(begin[i])) == 0)
			return true;
	return end && (strcmp(end, ".lock") == 0 || strcmp(end, ".keep") == 0);
}

static void leftovers_delete_in(int ours, const char *name)
{
	DIR *dir = directory_open(ours, name);
	const struct dirent *entry;
	struct err ignored = ERR_NONE;

	while (dir && (entry = directory_next(dir)) != NULL)
		if (is_leftover(entry->d_name))
			tree_delete(dirfd(dir), entry->d_name, &ignored);
	if (dir)
		closedir(dir);
}

/*
 * What a git that was killed, or had no room, left half: it takes the room of the next one, or makes it wait in vain.
 * Nobody else writes here under the store's lock; a child of a git that was killed may, and what it has then is a file
 * without a name, which it cannot put in its place. `ours` is STORE/.rcu-repo.
 */
static void leftovers_delete(int ours)
{
	static const char *const dirs[] = { OBJECTS,
					    OBJECTS "/refs/rcu",
					    OBJECTS "/objects",
					    OBJECTS "/objects/info",
					    OBJECTS "/objects/info/commit-graphs",
					    OBJECTS "/objects/pack" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		leftovers_delete_in(ours, dirs[i]);
	DIR *objects = directory_open(ours, OBJECTS "/objects");
	const struct dirent *entry;
	while (objects && (entry = directory_next(objects)) != NULL)
		if (strlen(entry->d_name) == 2) /* of loose ones: the first byte of their names */
			leftovers_delete_in(dirfd(objects), entry->d_name);
	if (objects)
		closedir(objects);
}

/* Few packs and no objects of nobody's; what cannot be done now is done another time. */
static void objects_collect(const struct git *git)
{
	const char *const words[] = { "-c", "gc.auto=6700", "-c",      "gc.autoDetach=false",
				      "gc", "--auto",       "--quiet", NULL };
	struct err ignored = ERR_NONE;

	git_in(git, git->objects, false, "git gc", 0, words, &ignored);
}

static int fetch_and_checkout(struct git *git, struct err *err)
{
	if (objects_make(git, err) != 0)
		return -1;
	leftovers_delete(git->dir);
	if (worktrees_prune(git, err) != 0)
		return -1;
	objects_collect(git);
	if (fetch_upstream(git, err) != 0 || upstream_find(git, err) != 0 || signature_check(git, err) != 0)
		return -1;
	if (git->old[0] == '\0')
		return checkout_whole(git, err);
	const bool exact = old_is_exact(git);
	return exact && strcmp(git->old, git->fresh) == 0 ? 0 : checkout_difference(git, exact, err);
}

struct work {
	const struct repo *repo;
	const struct staging *staging;
	const char *base;
};

static int git_work(void *context, struct changes *changes, struct err *err)
{
	const struct work *work = context;
	struct git git = {
		.repo = work->repo, .staging = work->staging, .changes = changes, .dir = -1, .tree = -1
	};
	int result = git_init(&git, work->base, err);

	if (result == 0)
		result = fetch_and_checkout(&git, err);
	git_release(&git);
	return result;
}

/* The error is known: that of the fetch. */
static int clean_work(void *context, struct changes *changes, struct err *err)
{
	const struct work *work = context;
	char *ours = ours_of(work->staging);
	const int dir = open(ours, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	(void)changes;
	(void)err;
	if (dir >= 0) {
		leftovers_delete(dir);
		close(dir);
	}
	free(ours);
	return 0;
}

/* By a process of its own, where there is another user: the one that fetched may have been killed. */
static void clean_up(const struct apart *fetched)
{
	struct apart apart = *fetched;
	struct changes none = CHANGES_NONE;
	struct err ignored = ERR_NONE;

	apart.work = clean_work;
	apart_run(&apart, &none, &ignored);
}

/*
 * All of it is the sync-user's, the object store, too: git does not work in a repository of somebody else's, and is
 * right, for what it says there may be run.
 */
static int git_fetch(const struct repo *repo, const struct staging *staging, const char *base,
		     struct changes *changes, struct err *err)
{
	struct work work = { .repo = repo, .staging = staging, .base = base };
	struct user user;
	const struct apart apart = { .repo = repo, .user = &user, .work = git_work, .context = &work };
	int result = user_of_fetch(repo, &user, err);
	char *ours = ours_of(staging), *objects = alloc_printf("%s/" OBJECTS, ours);

	if (result == 0)
		result = apart_own(&user, objects, err);
	if (result == 0 && (result = apart_run(&apart, changes, err)) != 0)
		clean_up(&apart);
	free(objects);
	free(ours);
	user_release(&user);
	return result;
}

static int git_check(const struct repo *repo, struct err *err)
{
	const char *branch;
	char *const *const env[] = { repo->git_env, repo->git_clone_env, repo->git_pull_env };

	if (!repo->sync_uri)
		return repo_refuse(repo, REPO_SYNC_URI, "not set", err);
	if (repo->sync_uri[0] == '-')
		return repo_refuse(repo, REPO_SYNC_URI, "begins with -", err);
	if (!source_path(repo->sync_uri) && !source_is_remote(repo->sync_uri))
		return repo_refuse(repo, REPO_SYNC_URI, "not an absolute path, an address or HOST:PATH", err);
	for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
		for (char *const *word = env[i]; word && *word; word++)
			if (!strchr(*word, '=') || **word == '=')
				return err_fail(err, STATUS_USAGE, repo->name,
						"sync-git-env: %s is no NAME=value", *word);
	if (repo->verify_commit && !repo->key_path)
		return repo_refuse(repo, REPO_KEY_PATH,
				   "not set, and sync-git-verify-commit-signature needs it", err);
	return branch_find(repo, &branch, err);
}

const struct transport transport_git = {
	.type = "git", .check = git_check, .stage = STAGE_BRANCH, .fetch = git_fetch
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/config/repos.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "helper/base/alloc.h"
#include "helper/config/conf.h"
#include "helper/config/keys.h"
#include "helper/config/places.h"
#include "helper/store/pin.h"

#define MAX_DELETE "sync-rcu-max-delete"
#define STORE_DIR "sync-rcu-store-dir"

/* No count of snapshots and no age needs more, and a product with seconds stays far from any limit. */
#define NUMBER_MAX 1000000

const char *const repo_portage_excludes[] = { "distfiles", "local", "packages", NULL };

static const char *const key_names[] = { [REPO_SYNC_TYPE] = "sync-type",
					 [REPO_SYNC_URI] = "sync-uri",
					 [REPO_SYNC_OPTS] = "sync-rsync-extra-opts",
					 [REPO_HOOKS] = "sync-rcu-hooks",
					 [REPO_SYNC_USER] = "sync-user",

					 [REPO_GIT_OPTS] = "sync-git-clone-extra-opts",
					 [REPO_KEY_PATH] = "sync-openpgp-key-path",
					 [REPO_COMMAND] = "sync-rcu-command",
					 [REPO_VERIFY_MANIFEST] = "sync-rsync-verify-metamanifest",
					 [REPO_VCS_IGNORE] = "sync-rsync-vcs-ignore" };

/* One section on its way to a struct repo. */
struct reading {
	const struct conf *conf;
	const struct conf_section *section;
	struct err *err;
};

static int bad_value(const struct reading *reading, const struct conf_key *key, const char *value,
		     const char *why)
{
	return err_fail(reading->err, STATUS_USAGE, key->where, "[%s] %s = %s: %s", reading->section->name,
			key->name, value, why);
}

/*
 * The value. What a file says has no blanks around it but for newlines before a value that begins on the next
 * line; what the command line says stays as it is, so that a path may end in a blank. *value is NULL where it
 * is not set, or empty; the caller frees it.
 */
static const struct conf_key *value_of(const struct reading *reading, const char *name, char **value)
{
	const struct conf_key *key = conf_find(reading->conf, reading->section, name);

	*value = NULL;
	if (!key || conf_value(reading->conf, reading->section, key, value, reading->err) != 0)
		return key;
	size_t newlines = strspn(*value, "\n");
	memmove(*value, *value + newlines, strlen(*value) - newlines + 1);
	if (**value == '\0') {
		free(*value);
		*value = NULL;
	}
	return key;
}

static int read_text(const struct reading *reading, const char *name, char **to)
{
	value_of(reading, name, to);
	return reading->err->status == STATUS_DONE ? 0 : -1;
}

/* "/a//b/" is "/a/b": one spelling, so that two keys can be compared. */
static void path_tidy(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++)
		if (from[0] != '/' || (from[1] != '/' && from[1] != '\0'))
			*to++ = *from;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static bool path_has_dots(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/.")); at += 2)
		if (at[2] == '/' || at[2] == '\0' || (at[2] == '.' && (at[3] == '/' || at[3] == '\0')))
			return true;
	return false;
}

static int read_path(const struct reading *reading, const char *name, char **to)
{
	const struct conf_key *key = value_of(reading, name, to);

	if (!*to)
		return reading->err->status == STATUS_DONE ? 0 : -1;
	if ((*to)[0] != '/')
		return bad_value(reading, key, *to, "not an absolute path");
	if (strlen(*to) >= PATH_MAX)
		return bad_value(reading, key, *to, "longer than a path can be");
	path_tidy(*to);
	if (path_has_dots(*to))
		return bad_value(reading, key, *to, "has . or .. in it");
	if (strcmp(*to, "/") == 0)
		return bad_value(reading, key, *to, "is the root directory");
	return 0;
}

static int read_bool(const struct reading *reading, const char *name, bool *to)
{
	char *value;
	const struct conf_key *key = value_of(reading, name, &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	if (!value)
		return result;
	if (strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0)
		*to = true;
	else if (strcasecmp(value, "no") == 0 || strcasecmp(value, "false") == 0)
		*to = false;
	else
		result = bad_value(reading, key, value, "neither yes nor no");
	free(value);
	return result;
}

static int read_number(const struct reading *reading, const char *name, unsigned *to)
{
	char *value;
	const struct conf_key *key = value_of(reading, name, &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	if (!value)
		return result;
	size_t digits = strspn(value, "0123456789");
	if (digits == 0 || value[digits] != '\0' || digits > 9 || strtoul(value, NULL, 10) > NUMBER_MAX)
		result = bad_value(reading, key, value, "not a number from 0 to 1000000");
	else
		*to = (unsigned)strtoul(value, NULL, 10);
	free(value);
	return result;
}

/* Seconds, or a factor: "4" or "0.5". */
static int read_decimal(const struct reading *reading, const char *name, double *to)
{
	char *value, *end;
	const struct conf_key *key = value_of(reading, name, &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	if (!value)
		return result;
	*to = strtod(value, &end);
	if (value[strspn(value, "0123456789.")] != '\0' || end == value || *end != '\0' || *to > NUMBER_MAX)
		result = bad_value(reading, key, value, "not a number from 0 to 1000000");
	free(value);
	return result;
}

/* A priority may be negative. */
static int read_priority(const struct reading *reading, struct repo *repo)
{
	char *value, *end;
	const struct conf_key *key = value_of(reading, "priority", &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	if (!value)
		return result;
	errno = 0;
	const long number = strtol(value, &end, 10);
	if (errno != 0 || *end != '\0' || number < -NUMBER_MAX || number > NUMBER_MAX)
		result = bad_value(reading, key, value, "not a number from -1000000 to 1000000");
	repo->priority = (int)number;
	free(value);
	return result;
}

/* Portage's int(value, 8). */
static int read_umask(const struct reading *reading, int *to)
{
	char *value, *end;
	const struct conf_key *key = value_of(reading, "sync-umask", &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	*to = -1;
	if (!value)
		return result;
	const char *digits = strncasecmp(value, "0o", 2) == 0 ? value + 2 : value;
	const unsigned long mask = strtoul(digits, &end, 8);
	if (digits[strspn(digits, "01234567")] != '\0' || end == digits || mask > 0777)
		result = bad_value(reading, key, value, "not an octal mask from 0 to 777");
	*to = (int)mask;
	free(value);
	return result;
}

/* The main repository is looked at first, unless it has a priority of its own. */
static void default_priority(const struct reading *reading, struct repo *repo)
{
	const struct conf_key *key = conf_find(reading->conf, reading->conf->sections, "main-repo");

	if (!conf_find(reading->conf, reading->section, "priority") && key &&
	    strcmp(key->value, repo->name) == 0)
		repo->priority = -1000;
}

/*
 * sync-rcu-max-delete, the one value that is taken as it is written: Portage needs 50%% in its own files, and people
 * will write 50% in ours.
 */
static int read_share(const struct reading *reading, unsigned *share)
{
	const struct conf_key *key = conf_find(reading->conf, reading->section, MAX_DELETE);

	if (!key)
		return 0;
	const size_t digits = strspn(key->value, "0123456789");
	const char *unit = key->value + digits;
	if (digits == 0 || digits > 3 || strtoul(key->value, NULL, 10) > 100 ||
	    (strcmp(unit, "%") != 0 && strcmp(unit, "%%") != 0))
		return bad_value(reading, key, key->value, "not a share from 0% to 100%");
	*share = (unsigned)strtoul(key->value, NULL, 10);
	return 0;
}

static int read_durability(const struct reading *reading, bool *durable)
{
	char *value;
	const struct conf_key *key = value_of(reading, "sync-rcu-durability", &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	if (!value)
		return result;
	*durable = strcmp(value, "none") != 0;
	if (*durable && strcmp(value, "full") != 0)
		result = bad_value(reading, key, value, "neither full nor none");
	free(value);
	return result;
}

/*
 * Python's shlex.split() of a value: blanks separate, '...' takes all as it is, "..." all but \" and \\, and
 * outside of quotes \ takes the next character. False where a quote is not closed.
 */
struct splitter {
	const char *at;
	char *word; /* being made: as long as the rest of the value is enough */
	size_t length;
};

static bool split_quoted(struct splitter *splitter)
{
	const char quote = *splitter->at++;

	for (; *splitter->at != quote; splitter->at++) {
		if (quote == '"' && splitter->at[0] == '\\' &&
		    (splitter->at[1] == '"' || splitter->at[1] == '\\'))
			splitter->at++;
		if (*splitter->at == '\0')
			return false;
		splitter->word[splitter->length++] = *splitter->at;
	}
	splitter->at++;
	return true;
}

static bool split_word(struct splitter *splitter)
{
	while (*splitter->at && !strchr(" \t\r\n", *splitter->at)) {
		if (*splitter->at == '\'' || *splitter->at == '"') {
			if (!split_quoted(splitter))
				return false;
			continue;
		}
		if (*splitter->at == '\\' && *++splitter->at == '\0')
			return false;
		splitter->word[splitter->length++] = *splitter->at++;
	}
	splitter->word[splitter->length] = '\0';
	return true;
}

static int read_words(const struct reading *reading, const char *name, char ***to)
{
	char *value;
	const struct conf_key *key = value_of(reading, name, &value);
	size_t count = 0;
	int result = reading->err->status == STATUS_DONE ? 0 : -1;

	*to = alloc_grow(NULL, 1, sizeof(**to));
	(*to)[0] = NULL;
	if (!value)
		return result;
	struct splitter splitter = { .at = value };
	while (result == 0 && *(splitter.at += strspn(splitter.at, " \t\r\n")) != '\0') {
		splitter.word = alloc_grow(NULL, strlen(splitter.at) + 1, 1);
		splitter.length = 0;
		if (!split_word(&splitter))
			result = bad_value(reading, key, value, "a quote is not closed");
		splitter.word[splitter.length] = '\0';
		*to = alloc_grow(*to, count + 2, sizeof(**to));
		(*to)[count++] = splitter.word;
		(*to)[count] = NULL;
	}
	free(value);
	return result;
}

/* Names between blanks; NULL where the key is not set at all, which is not the same as set to nothing. */
static int read_names(const struct reading *reading, const char *name, char ***to)
{
	struct words words = WORDS_NONE;
	char *value;
	const struct conf_key *key = value_of(reading, name, &value);

	*to = NULL;
	if (reading->err->status != STATUS_DONE)
		return -1;
	if (!key)
		return 0;
	for (const char *at = value ? value : ""; *(at += strspn(at, " \t\r\n")) != '\0';) {
		const int length = (int)strcspn(at, " \t\r\n");

		words_add(&words, alloc_printf("%.*s", length, at));
		at += length;
	}
	*to = words.list ? words.list : alloc_grow(NULL, 1, sizeof(**to));
	(*to)[words.count] = NULL;
	free(value);
	return 0;
}

static void words_free(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

static void repo_clear(struct repo *repo)
{
	free(repo->name);
	free(repo->location);
	free(repo->store);
	free(repo->sync_type);
	free(repo->sync_uri);
	free(repo->sync_user);
	words_free(repo->verify);
	free(repo->hooks);
	words_free(repo->sync_opts);
	words_free(repo->masters);
	words_free(repo->aliases);
	words_free(repo->git_env);
	words_free(repo->command);
	words_free(repo->git_clone_env);
	words_free(repo->git_pull_env);
	words_free(repo->git_options);
	free(repo->git_options_text);
	free(repo->key_path);
	free(repo->keyserver);
	free(repo->sync_opts_text);
	for (int key = 0; key < REPO_KEYS; key++)
		free(repo->where[key]);
}

void repos_shrink(struct repos *repos, size_t count)
{
	while (repos->count > count)
		repo_clear(&repos->list[--repos->count]);
}

void repos_release(struct repos *repos)
{
	for (size_t i = 0; i < repos->count; i++)
		repo_clear(&repos->list[i]);
	free(repos->list);
	free(repos->source);
	words_release(&repos->warnings);
	*repos = (struct repos)REPOS_NONE;
}

/* Is `inner` below `outer`, or the same? Both are tidy. */
static bool path_within(const char *inner, const char *outer)
{
	size_t length = strlen(outer);

	return strncmp(inner, outer, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}

/* What one repository must hold for itself. */
static int repo_check(const struct reading *reading, const struct repo *repo, bool hardlinks)
{
	const char *where = reading->section->where;
	const char *name = reading->section->name;
	const struct conf_key *key;

	if (!repo->location)
		return err_fail(reading->err, STATUS_USAGE, where, "[%s] location = : not set", name);
	if (!repo->rcu)
		return 0;
	if (!repo->store)
		return err_fail(reading->err, STATUS_USAGE, where,
				"[%s] sync-rcu-store-dir = : not set, and sync-rcu needs it", name);
	if (!hardlinks) {
		key = conf_find(reading->conf, reading->section, "sync-allow-hardlinks");
		return bad_value(reading, key, key->value, "sync-rcu needs hard links");
	}
	key = conf_find(reading->conf, reading->section, STORE_DIR);
	if (path_within(repo->store, repo->location))
		return bad_value(reading, key, repo->store, "the store is inside the location");
	if (path_within(repo->location, repo->store))
		return bad_value(reading, key, repo->store, "the location is inside the store");
	return 0;
}

/* Where the keys are that a transport judges later. */
static void note_places(const struct reading *reading, struct repo *repo)
{
	for (int key = 0; key < REPO_KEYS; key++) {
		const struct conf_key *found = conf_find(reading->conf, reading->section, key_names[key]);

		repo->where[key] = alloc_copy(found ? found->where : reading->section->where);
	}
}

/* Every value of the section, as Portage gets them all: a bad %(...)s anywhere is an error. */
static int check_values(const struct reading *reading)
{
	const struct conf_section *both[] = { reading->section, reading->conf->sections };

	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < both[i]->count; j++) {
			const char *name = both[i]->keys[j].name;
			const struct conf_key *key = conf_find(reading->conf, reading->section, name);
			char *value;

			if (strcmp(name, MAX_DELETE) == 0)
				continue;
			if (conf_value(reading->conf, reading->section, key, &value, reading->err) != 0)
				return -1;
			free(value);
		}
	return 0;
}

static int read_key_refresh(const struct reading *reading, struct repo *repo)
{
	static const struct {
		const char *value;
		enum key_refresh refresh;
		bool quiet;
	} known[] = {
		{ "yes", KEY_REFRESH_WKD, false },        { "true", KEY_REFRESH_WKD, false },
		{ "wkd", KEY_REFRESH_WKD, false },        { "keyserver", KEY_REFRESH_KEYSERVER, false },
		{ "no", KEY_REFRESH_NO, false },          { "false", KEY_REFRESH_NO, false },
		{ "false-nowarn", KEY_REFRESH_NO, true },
	};
	char *value;
	const struct conf_key *key = value_of(reading, "sync-openpgp-key-refresh", &value);
	int result = reading->err->status == STATUS_DONE ? 0 : -1;
	size_t i = 0;

	if (!value)
		return result;
	while (i < sizeof(known) / sizeof(known[0]) && strcasecmp(value, known[i].value) != 0)
		i++;
	if (i == sizeof(known) / sizeof(known[0])) {
		result = bad_value(reading, key, value, "none of yes, wkd, keyserver, no, false-nowarn");
	} else {
		repo->key_refresh = known[i].refresh;
		repo->key_refresh_quiet = known[i].quiet;
	}
	free(value);
	return result;
}

/* Whose signature is good, and what must be signed. */
static int read_openpgp(const struct reading *reading, struct repo *repo)
{
	return read_path(reading, "sync-openpgp-key-path", &repo->key_path) != 0 ||
			       read_text(reading, "sync-openpgp-keyserver", &repo->keyserver) != 0 ||
			       read_key_refresh(reading, repo) != 0 ||
			       read_number(reading, "sync-openpgp-key-refresh-retry-count",
					   &repo->refresh_count) != 0 ||
			       read_decimal(reading, "sync-openpgp-key-refresh-retry-delay-exp-base",
					    &repo->refresh_base) != 0 ||
			       read_decimal(reading, "sync-openpgp-key-refresh-retry-delay-mult",
					    &repo->refresh_mult) != 0 ||
			       read_decimal(reading, "sync-openpgp-key-refresh-retry-delay-max",
					    &repo->refresh_max) != 0 ||
			       read_decimal(reading, "sync-openpgp-key-refresh-retry-overall-timeout",
					    &repo->refresh_timeout) != 0 ||
			       read_bool(reading, "sync-rsync-verify-metamanifest", &repo->verify_manifest) !=
				       0 ||
			       read_number(reading, "sync-rsync-verify-jobs", &repo->verify_jobs) != 0 ||
			       read_number(reading, "sync-rsync-verify-max-age", &repo->verify_max_age) !=
				       0 ||
			       read_bool(reading, "sync-git-verify-commit-signature", &repo->verify_commit) !=
				       0 ||
			       read_bool(reading, "sync-webrsync-verify-signature", &repo->verify_archive) !=
				       0
		       ? -1
		       : 0;
}

/* What a transport alone looks at. */
static int read_transport(const struct reading *reading, struct repo *repo)
{
	return read_text(reading, "sync-rsync-extra-opts", &repo->sync_opts_text) != 0 ||
			       read_words(reading, "sync-rsync-extra-opts", &repo->sync_opts) != 0 ||
			       read_number(reading, "sync-depth", &repo->depth) != 0 ||
			       read_words(reading, "sync-git-env", &repo->git_env) != 0 ||
			       read_words(reading, "sync-git-clone-env", &repo->git_clone_env) != 0 ||
			       read_words(reading, "sync-git-pull-env", &repo->git_pull_env) != 0 ||
			       read_text(reading, "sync-git-clone-extra-opts", &repo->git_options_text) !=
				       0 ||
			       read_words(reading, "sync-git-clone-extra-opts", &repo->git_options) != 0 ||
			       read_words(reading, "sync-rcu-command", &repo->command) != 0 ||
			       read_bool(reading, "sync-rsync-vcs-ignore", &repo->vcs_ignore) != 0 ||
			       read_bool(reading, "sync-rcu-allow-older", &repo->allow_older) != 0 ||
			       read_bool(reading, "sync-rcu-strip", &repo->strip) != 0 ||
			       read_number(reading, "sync-rcu-max-size", &repo->max_size) != 0 ||
			       read_number(reading, "sync-rcu-max-files", &repo->max_files) != 0 ||
			       read_openpgp(reading, repo) != 0
		       ? -1
		       : 0;
}

/* Fills in `repo`, which is cleared by the caller also after a failure. */
static int repo_read(const struct reading *reading, bool from_portage, struct repo *repo)
{
	bool hardlinks = true;

	*repo = (struct repo){
		.name = alloc_copy(reading->section->name),
		.rcu = !from_portage,
		.auto_sync = true,
		.durable = true,
		.from_portage = from_portage,
		.spares = 1,
		.ttl_days = 7,
		.timeout = 4 * 3600,
		.hook_timeout = 3600,
		.max_delete = 50,
		.depth = 1,
		.strip = true,
		.max_size = 16384,
		.max_files = 1000000,
		.verify_jobs = 1,
		.refresh_base = 2,
		.refresh_mult = 1,
		.refresh_max = 60,
	};
	if (check_values(reading) != 0 || read_path(reading, "location", &repo->location) != 0 ||
	    read_path(reading, STORE_DIR, &repo->store) != 0 ||
	    read_text(reading, "sync-type", &repo->sync_type) != 0 ||
	    read_text(reading, "sync-uri", &repo->sync_uri) != 0 ||
	    read_text(reading, "sync-user", &repo->sync_user) != 0 ||
	    read_words(reading, "sync-rcu-verify", &repo->verify) != 0 ||
	    read_path(reading, "sync-rcu-hooks", &repo->hooks) != 0 || read_transport(reading, repo) != 0 ||
	    read_bool(reading, "sync-rcu", &repo->rcu) != 0 ||
	    read_bool(reading, "auto-sync", &repo->auto_sync) != 0 ||
	    read_bool(reading, "sync-hooks-only-on-change", &repo->hooks_only_on_change) != 0 ||
	    read_bool(reading, "sync-allow-hardlinks", &hardlinks) != 0 ||
	    read_umask(reading, &repo->sync_umask) != 0 || read_priority(reading, repo) != 0 ||
	    read_names(reading, "masters", &repo->masters) != 0 ||
	    read_names(reading, "aliases", &repo->aliases) != 0 ||
	    read_number(reading, "sync-rcu-spare-snapshots", &repo->spares) != 0 ||
	    read_number(reading, "sync-rcu-ttl-days", &repo->ttl_days) != 0 ||
	    read_number(reading, "sync-rcu-timeout", &repo->timeout) != 0 ||
	    read_number(reading, "sync-rcu-hook-timeout", &repo->hook_timeout) != 0 ||
	    read_share(reading, &repo->max_delete) != 0 || read_durability(reading, &repo->durable) != 0)
		return -1;
	default_priority(reading, repo);
	note_places(reading, repo);
	return repo_check(reading, repo, hardlinks);
}

int repo_refuse(const struct repo *repo, enum repo_key key, const char *why, struct err *err)
{
	const char *const values[REPO_KEYS] = { [REPO_SYNC_TYPE] = repo->sync_type,
						[REPO_SYNC_URI] = repo->sync_uri,
						[REPO_SYNC_OPTS] = repo->sync_opts_text,
						[REPO_HOOKS] = repo->hooks,
						[REPO_GIT_OPTS] = repo->git_options_text,
						[REPO_KEY_PATH] = repo->key_path,
						[REPO_SYNC_USER] = repo->sync_user,
						[REPO_VERIFY_MANIFEST] = repo->verify_manifest ? "yes" : "no",
						[REPO_VCS_IGNORE] = repo->vcs_ignore ? "yes" : "no" };

	return err_fail(err, STATUS_USAGE, repo->where[key] ? repo->where[key] : repo->name,
			"[%s] %s = %s: %s", repo->name, key_names[key], values[key] ? values[key] : "", why);
}

/* Is one of them where the other's tree is, or will be? */
static bool paths_overlap(const char *a, const char *b)
{
	return path_within(a, b) || path_within(b, a);
}

/* What of two repositories is in each other's way (P6): the key of the later one, and of the earlier one. */
struct collision {
	const char *key, *other;
};

static struct collision repos_collide(const struct repo *earlier, const struct repo *later)
{
	if (earlier->rcu && later->rcu && paths_overlap(earlier->store, later->store))
		return (struct collision){ STORE_DIR, STORE_DIR };
	if (later->rcu && paths_overlap(earlier->location, later->store))
		return (struct collision){ STORE_DIR, "location" };
	if (earlier->rcu && paths_overlap(earlier->store, later->location))
		return (struct collision){ "location", STORE_DIR };
	/*
	 * Also where only one of them is ours: a sync of the outer one makes a new tree, without the inner one;
	 * and what syncs the inner one would write into a snapshot.
	 */
	if ((earlier->rcu || later->rcu) && paths_overlap(earlier->location, later->location))
		return (struct collision){ "location", "location" };
	return (struct collision){ NULL, NULL };
}

static int repos_check_last(const struct repos *repos, const struct reading *reading)
{
	const struct repo *last = &repos->list[repos->count - 1];

	for (const struct repo *other = repos->list; other < last; other++) {
		const struct collision found = repos_collide(other, last);

		if (!found.key)
			continue;
		const struct conf_key *key = conf_find(reading->conf, reading->section, found.key);
		return err_fail(reading->err, STATUS_USAGE, key->where,
				"[%s] %s = %s: in the way of repository %s, whose %s is %s", last->name,
				found.key, key->value, other->name, found.other,
				strcmp(found.other, "location") == 0 ? other->location : other->store);
	}
	return 0;
}

/* What `override` sets the key to, the last one; NULL where it does not. */
static const char *override_find(const struct repos_override *override, const char *name)
{
	const size_t length = strlen(name);
	const char *found = NULL;

	for (char **set = override ? override->set : NULL; set && *set; set++)
		if (strncasecmp(*set, name, length) == 0 && (*set)[length] == '=')
			found = *set;
	return found;
}

/* The key of one KEY=VALUE, in lower case. The caller frees it. */
static char *set_name(const char *set)
{
	char *name = alloc_printf("%.*s", (int)strcspn(set, "="), set);

	for (char *at = name; *at; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
	return name;
}

static void apply_override(struct conf_section *section, const struct repos_override *override)
{
	for (char **set = override ? override->set : NULL; set && *set; set++) {
		char *name = set_name(*set);

		conf_set_literally(section, name, strchr(*set, '=') + 1, "--set");
		free(name);
	}
}

/* A key that nobody knows is passed over, by Portage as by us; where it looks like one that we know, not in silence. */
static void warn_of_key(struct repos *repos, const char *where, const char *name)
{
	const char *meant;

	if (key_odd(name, &meant))
		words_add(&repos->warnings,
			  alloc_printf("%s%s: there is no such key%s%s%s", where, name, meant ? ": is " : "",
				       meant ? meant : "", meant ? " meant?" : ""));
}

static void warn_of_keys(struct repos *repos, const struct conf_section *section)
{
	for (size_t i = 0; i < section->count; i++) {
		char *where = alloc_printf("%s: [%s] ", section->keys[i].where, section->name);

		warn_of_key(repos, where, section->keys[i].name);
		free(where);
	}
}

/* Once, and not for each repository that it is for. */
static int check_override(struct repos *repos, const struct repos_override *override, struct err *err)
{
	for (char **set = override ? override->set : NULL; set && *set; set++) {
		if (strcspn(*set, "=") == 0 || !strchr(*set, '='))
			return err_fail(err, STATUS_USAGE, "--set", "not KEY=VALUE: %s", *set);
		char *name = set_name(*set);
		warn_of_key(repos, "--set: ", name);
		free(name);
	}
	return 0;
}

/* Portage's order: by priority, then by name. */
static int by_priority(const void *a, const void *b)
{
	const struct repo *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->from_portage)
		return strcmp(x->name, y->name);
	return x->order < y->order ? -1 : x->order > y->order;
}

static int repos_from_conf(struct repos *repos, struct conf *conf, bool from_portage,
			   const struct repos_override *override, struct err *err)
{
	if (check_override(repos, override, err) != 0)
		return -1;
	warn_of_keys(repos, conf->sections);
	for (size_t i = 1; i < conf->count; i++) {
		struct reading reading = { .conf = conf, .section = &conf->sections[i], .err = err };

		warn_of_keys(repos, &conf->sections[i]);
		apply_override(&conf->sections[i], override);
		repos->list = alloc_grow(repos->list, repos->count + 1, sizeof(*repos->list));
		const int result = repo_read(&reading, from_portage, &repos->list[repos->count++]);
		repos->list[repos->count - 1].order = i;
		if (result != 0 || repos_check_last(repos, &reading) != 0)
			return -1;
	}
	if (repos->count > 1)
		qsort(repos->list, repos->count, sizeof(*repos->list), by_priority);
	return 0;
}

int repos_read(struct repos *repos, const char *path, const struct repos_override *override, struct err *err)
{
	bool from_portage;
	struct conf conf;

	*repos = (struct repos)REPOS_NONE;
	conf_init(&conf);
	int result = places_read(&conf, path, &from_portage, &repos->source, &repos->warnings, err);
	if (result == 0)
		result = repos_from_conf(repos, &conf, from_portage, override, err);
	conf_release(&conf);
	return result;
}

const struct repo *repos_find(const struct repos *repos, const char *name)
{
	for (size_t i = 0; i < repos->count; i++)
		if (strcmp(repos->list[i].name, name) == 0)
			return &repos->list[i];
	for (size_t i = 0; i < repos->count; i++)
		for (char **alias = repos->list[i].aliases; alias && *alias; alias++)
			if (strcmp(*alias, name) == 0)
				return &repos->list[i];
	return NULL;
}

/* The store that an existing LOCATION leads to, for a command line without --store. */
static char *store_of(const char *location, struct err *err)
{
	struct err cause = ERR_NONE;
	char *store = NULL;

	if (pin_find_store(location, &store, &cause) != 0)
		err_fail(err, STATUS_USAGE, "--location", "needs --store as well: %s", cause.text);
	return store;
}

/* A key of the repository that the command line stands for, from its own option: --set may not say it, too. */
static int set_option(struct conf_section *section, const char *key, const char *value, const char *option,
		      const struct repos_override *override, struct err *err)
{
	const char *set = value ? override_find(override, key) : NULL;

	if (set)
		return err_fail(err, STATUS_USAGE, "--set", "%.*s = %s: %s says it already",
				(int)strcspn(set, "="), set, strchr(set, '=') + 1, option);
	if (value)
		conf_set_literally(section, key, value, option);
	return 0;
}

int repos_from_options(struct repos *repos, const char *location, const char *store, const char *type,
		       const char *uri, const struct repos_override *override, struct err *err)
{
	struct conf conf;
	char *found = NULL;
	int result = -1;

	*repos = (struct repos)REPOS_NONE;
	repos->source = alloc_copy("the command line");
	conf_init(&conf);
	struct conf_section *section = conf_section(&conf, "--location", "the command line");
	const bool good = set_option(section, "location", location, "--location", override, err) == 0 &&
			  set_option(section, STORE_DIR, store, "--store", override, err) == 0 &&
			  set_option(section, "sync-type", type, "--type", override, err) == 0 &&
			  set_option(section, "sync-uri", uri, "--uri", override, err) == 0;
	if (good && !store && !override_find(override, STORE_DIR)) {
		found = store_of(location, err);
		if (found)
			conf_set_literally(section, STORE_DIR, found, "--store");
	}
	if (err->status == STATUS_DONE)
		result = repos_from_conf(repos, &conf, false, override, err);
	if (result == 0) {
		free(repos->list[0].name);
		repos->list[0].name = alloc_copy(repos->list[0].location);
	}
	free(found);
	conf_release(&conf);
	return result;
}

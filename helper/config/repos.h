/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * repos.h: the configuration, Portage's repos.conf (rcu-repo(8), CONFIGURATION).
 *
 * The parser of lines is inih; what is said about them (inheritance, interpolation, types, defaults,
 * duplicate sections) is Python's configparser as Portage uses it. Values longer than inih's line are fed to
 * it as continuation lines. A bad value is an error with STATUS_USAGE that names file, line, key and value,
 * and nothing else has been done by then.
 */
#ifndef HELPER_CONFIG_REPOS_H
#define HELPER_CONFIG_REPOS_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/base/err.h"
#include "helper/base/words.h"

/* The keys whose values a transport judges: repo_refuse(). */
enum repo_key {
	REPO_SYNC_TYPE,
	REPO_SYNC_URI,
	REPO_SYNC_OPTS,
	REPO_HOOKS,
	REPO_SYNC_USER,
	REPO_GIT_OPTS,
	REPO_KEY_PATH,
	REPO_COMMAND,
	REPO_VERIFY_MANIFEST,
	REPO_VCS_IGNORE,
	REPO_KEYS
};

/* sync-openpgp-key-refresh */
enum key_refresh {
	KEY_REFRESH_WKD, /* and where that fails by a keyserver */
	KEY_REFRESH_KEYSERVER,
	KEY_REFRESH_NO,
};

struct repo {
	char *name;      /* the section, or the location where the command line stands for a repository */
	char *location;  /* absolute, no trailing slash, never NULL */
	char *store;     /* sync-rcu-store-dir: absolute, no trailing slash; NULL if not given */
	char *sync_type; /* NULL if not given */
	char *sync_uri;
	char *sync_user;  /* NULL: none; helper/config/user.h says what it means */
	int sync_umask;   /* -1: not given */
	char **verify;    /* sync-rcu-verify, split into words as sync_opts; no word: not given */
	char *hooks;      /* sync-rcu-hooks: an absolute path; NULL if not given */
	char **sync_opts; /* more arguments for the transport, NULL-terminated (sync-rsync-extra-opts, split
			     at blanks with shell quoting) */
	char *sync_opts_text;   /* the same as it was given; NULL if it was not */
	char *where[REPO_KEYS]; /* "FILE:LINE" of each key, or of the section that does not have it */
	char **masters;         /* the names in `masters`, NULL-terminated; NULL if it is not set */
	char **aliases;         /* other names of this repository, NULL-terminated */
	int priority;           /* 0 if not given; of the main repository -1000 */
	bool rcu;               /* sync-rcu */
	bool auto_sync;
	bool hooks_only_on_change; /* sync-hooks-only-on-change */
	bool durable;              /* sync-rcu-durability is full */
	bool from_portage;         /* read from Portage's files: Portage's excludes apply */
	unsigned spares;           /* sync-rcu-spare-snapshots */
	unsigned ttl_days;         /* sync-rcu-ttl-days */
	unsigned timeout;          /* sync-rcu-timeout: seconds for a fetch as a whole; 0: no limit */
	unsigned hook_timeout; /* sync-rcu-hook-timeout: seconds for verify and for each hook; 0: no limit */
	unsigned max_delete;   /* sync-rcu-max-delete, in percent */
	size_t order;          /* among the sections of the files */
	unsigned depth;        /* sync-depth: of the history that git fetches; 0: all of it */
	char **git_env;        /* sync-git-env, and sync-git-clone-env and -pull-env: words NAME=value */
	char **git_clone_env;
	char **git_pull_env;
	char **git_options;     /* sync-git-clone-extra-opts: words */
	char *git_options_text; /* the same as it was given; NULL if it was not */
	bool verify_commit;     /* sync-git-verify-commit-signature */
	char **command;         /* sync-rcu-command: words */
	bool verify_archive;    /* sync-webrsync-verify-signature */
	bool strip;             /* sync-rcu-strip: cut off the one directory that an archive has all in */
	unsigned max_size;      /* sync-rcu-max-size: of an archive unpacked, in MiB */
	unsigned max_files;     /* sync-rcu-max-files */
	char *key_path;         /* sync-openpgp-key-path: NULL if not given */
	char *keyserver;        /* sync-openpgp-keyserver: NULL if not given */
	enum key_refresh key_refresh;
	bool key_refresh_quiet; /* it is not worth a warning that there is none */
	unsigned refresh_count; /* sync-openpgp-key-refresh-retry-count, and so on; seconds */
	double refresh_base, refresh_mult, refresh_max, refresh_timeout; /* the last: 0: no limit */
	bool verify_manifest;                                            /* sync-rsync-verify-metamanifest */
	unsigned verify_jobs;    /* sync-rsync-verify-jobs; 0: as many as there are processors */
	unsigned verify_max_age; /* sync-rsync-verify-max-age, in days; 0: any */
	bool vcs_ignore;         /* sync-rsync-vcs-ignore */
	bool allow_older;        /* sync-rcu-allow-older */
};

struct repos {
	/*
	 * By priority, as Portage has them; those of the same priority by name where they are from Portage's files, else in
	 * the order of the files. [DEFAULT] is not one of them.
	 */
	struct repo *list;
	size_t count;
	struct words warnings; /* what is no error: a key that looks misspelt, "FILE:LINE: text" each */
	char *source; /* where they are from, for messages: a path, or the places that were looked at */
};
#define REPOS_NONE           \
	{                    \
		.list = NULL \
	}

/* One --set KEY=VALUE; overrides the key in every repository. */
struct repos_override {
	char **set; /* NULL-terminated, or NULL */
};

/*
 * Reads the configuration: `path` if not NULL (--config), else $RCU_REPO_CONFIG, else
 * /etc/rcu-repo/repos.conf, else Portage's (helper/config/places.h). It is an error where a store or a location is another one, or inside another one, of the same
 * section or of two of which one has sync-rcu. Release with repos_release() also after a failure.
 */
int repos_read(struct repos *repos, const char *path, const struct repos_override *override, struct err *err);
void repos_release(struct repos *repos);

/* Keeps the first `count` of them. */
void repos_shrink(struct repos *repos, size_t count);

/*
 * What Portage's rsync leaves alone at the top of a repository, NULL-terminated: no sync brings it, and none may lose it
 * (P25). For repositories that are from_portage.
 */
extern const char *const repo_portage_excludes[];

/*
 * Says that the value of a key will not do: "FILE:LINE: [NAME] KEY = VALUE: why", STATUS_USAGE; where it is not set,
 * VALUE is empty. Always -1.
 */
int repo_refuse(const struct repo *repo, enum repo_key key, const char *why, struct err *err);

/* The repository of that name, or else with that alias, as in `emaint sync -r`; NULL if there is none. */
const struct repo *repos_find(const struct repos *repos, const char *name);

/*
 * The repository that --location, --store, --type and --uri stand for, with the defaults of our own files and
 * --set on top: of a key that one of these options says already --set is an error. `store` may be NULL where LOCATION is a link into one: it is found by pin_find_store()
 * (helper/store/pin.h). Released with repos_release().
 */
int repos_from_options(struct repos *repos, const char *location, const char *store, const char *type,
		       const char *uri, const struct repos_override *override, struct err *err);

#endif

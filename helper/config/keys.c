/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/config/keys.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
static const char *const known[] = {
	/* ours */
	"sync-rcu-allow-older", "sync-rcu-command", "sync-rcu-durability", "sync-rcu-hook-timeout", "sync-rcu-hooks", "sync-rcu-max-delete",
	"sync-rcu-max-files", "sync-rcu-max-size", "sync-rcu-strip", "sync-rcu-timeout", "sync-rcu-verify",
	/* Portage's: portage(5), repos.conf, and what its sync modules declare */
	"aliases", "auto-sync", "clone-depth", "eclass-overrides", "force", "format", "location", "main-repo", "masters",
	"priority", "strict-misc-digests", "sync-allow-hardlinks", "sync-cvs-repo", "sync-depth", "sync-git-clone-env",
	"sync-git-clone-extra-opts", "sync-git-env", "sync-git-pull-env", "sync-git-pull-extra-opts",
	"sync-git-verify-commit-signature", "sync-git-verify-max-age-days", "sync-hooks-only-on-change",
	"sync-mercurial-clone-env", "sync-mercurial-clone-extra-opts", "sync-mercurial-env", "sync-mercurial-pull-env",
	"sync-mercurial-pull-extra-opts", "sync-openpgp-key-package", "sync-openpgp-key-path",
	"sync-openpgp-key-refresh", "sync-openpgp-key-refresh-retry-count",
	"sync-openpgp-key-refresh-retry-delay-exp-base", "sync-openpgp-key-refresh-retry-delay-max",
	"sync-openpgp-key-refresh-retry-delay-mult", "sync-openpgp-key-refresh-retry-overall-timeout",
	"sync-openpgp-keyserver", "sync-rcu", "sync-rcu-spare-snapshots", "sync-rcu-store-dir", "sync-rcu-ttl-days",
	"sync-rsync-extra-opts", "sync-rsync-vcs-ignore", "sync-rsync-verify-jobs", "sync-rsync-verify-max-age",
	"sync-rsync-verify-metamanifest", "sync-type", "sync-umask", "sync-uri", "sync-user", "sync-webrsync-delta",
	"sync-webrsync-keep-snapshots", "sync-webrsync-verify-signature", "usepkg-exclude", "usepkg-include", "volatile",
	/* what %(...)s may name without it being set */
	"eprefix", "eroot", "portage_configroot", "root",
};
/* clang-format on */

/* More than the longest has. */
#define ROOM 64
/* So far two names may differ and still be meant for one another. */
#define NEAR 2
/* So far one may differ from the beginning of the other. */
#define NEAR_BEGUN 1
/* Shorter names are near to each other by chance. */
#define SHORTEST 6

static size_t least(size_t a, size_t b, size_t c)
{
	const size_t less = a < b ? a : b;

	return less < c ? less : c;
}

/* An underscore for a hyphen is no mistake in what is meant. */
static bool same_letter(char a, char b)
{
	return a == b || (a == '_' && b == '-');
}

/*
 * How many letters must be put in, left out, replaced, or exchanged with their neighbour, to make `b` of `a`; and in
 * *begun, to make some beginning of `b` of it. Both have less than ROOM.
 */
static size_t distance(const char *a, const char *b, size_t *begun)
{
	size_t rows[3][ROOM];

	for (size_t j = 0; j <= strlen(b); j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= strlen(a); i++) {
		size_t *now = rows[i % 3];
		const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= strlen(b); j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1,
				       last[j - 1] + !same_letter(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1, now[j]);
		}
	}
	const size_t *end = rows[strlen(a) % 3];
	*begun = end[0];
	for (size_t j = 1; j <= strlen(b); j++)
		*begun = end[j] < *begun ? end[j] : *begun;
	return end[strlen(b)];
}

/* The key that is nearest; else the only one that is begun so. */
static const char *nearest(const char *name)
{
	const char *near = NULL, *longer = NULL;
	size_t best = NEAR + 1, best_begun = NEAR_BEGUN + 1, begun;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const size_t far = distance(name, known[i], &begun);

		if (far < best) {
			best = far;
			near = known[i];
		}
		if (begun < best_begun) {
			best_begun = begun;
			longer = known[i];
		} else if (begun == best_begun) {
			longer = NULL;
		}
	}
	return near ? near : longer;
}

bool key_odd(const char *name, const char **meant)
{
	const bool ours = strstr(name, "rcu") != NULL &&
			  (strncmp(name, "sync", 4) == 0 || strncmp(name, "rcu-", 4) == 0);

	*meant = NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], name) == 0)
			return false;
	if (strlen(name) >= SHORTEST && strlen(name) < ROOM)
		*meant = nearest(name);
	return ours || *meant;
}

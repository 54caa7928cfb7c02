/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/config/places.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"

#define OUR_CONFIG "/etc/rcu-repo/repos.conf"
#define PORTAGE_DEFAULTS "/usr/share/portage/config/repos.conf"

struct reading {
	struct conf *conf;
	struct words *warnings;
	struct err *err;
};

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* ---- ours ---- */

/* ".conf" at the end, and not hidden. */
static int is_conf_file(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int read_directory(const struct reading *reading, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_conf_file, by_bytes), result = 0;

	if (count < 0)
		return err_errno(reading->err, STATUS_USAGE, path, "cannot be read");
	for (int i = 0; i < count; i++) {
		char *file = alloc_printf("%s/%s", path, entries[i]->d_name);

		if (result == 0)
			result = conf_read(reading->conf, file, reading->err);
		free(file);
		free(entries[i]);
	}
	free(entries);
	return result;
}

/*
 * A file, or a directory of *.conf. *found, where it is not NULL, says whether there is one: it need not
 * be.
 */
static int read_ours(const struct reading *reading, const char *path, bool *found)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (found && (errno == ENOENT || errno == ENOTDIR))
			return 0;
		return err_errno(reading->err, STATUS_USAGE, path, "cannot be read");
	}
	if (found)
		*found = true;
	return S_ISDIR(st.st_mode) ? read_directory(reading, path)
				   : conf_read(reading->conf, path, reading->err);
}

/* ---- Portage's ---- */

static bool is_hidden(const char *name)
{
	const size_t length = strlen(name);

	return name[0] == '.' || (length > 0 && name[length - 1] == '~');
}

static bool is_version_control(const char *name)
{
	return strcmp(name, "CVS") == 0 || strcmp(name, "RCS") == 0 || strcmp(name, "SCCS") == 0;
}

static int is_no_dot(const struct dirent *entry)
{
	return !is_hidden(entry->d_name);
}

/* A directory, and the ones that it was reached through. */
struct trail {
	const struct trail *up;
	struct stat st;
};

/* A link back to where we come from: Portage goes round until the kernel has enough of it, and reads the same again. */
static bool trail_has(const struct trail *trail, const struct stat *st)
{
	for (; trail; trail = trail->up)
		if (stat_same_inode(&trail->st, st))
			return true;
	return false;
}

static void pass_over(const struct reading *reading, const char *path, int error)
{
	words_add(reading->warnings,
		  alloc_printf("%s: cannot be read, and is passed over, as Portage does: %s", path,
			       strerror(error)));
}

static int read_tree(const struct reading *reading, const char *path, const char *name,
		     const struct trail *up);

static int read_below(const struct reading *reading, const char *path, const struct trail *trail)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_no_dot, by_bytes), result = 0;

	if (count < 0)
		pass_over(reading, path, errno);
	for (int i = 0; i < count; i++) {
		char *inner = alloc_printf("%s/%s", path, entries[i]->d_name);

		if (result == 0)
			result = read_tree(reading, inner, entries[i]->d_name, trail);
		free(inner);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return result;
}

static int read_tree(const struct reading *reading, const char *path, const char *name,
		     const struct trail *up)
{
	struct trail trail = { .up = up };

	if (stat(path, &trail.st) != 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			pass_over(reading, path, errno);
		return 0;
	}
	if (S_ISDIR(trail.st.st_mode))
		return is_version_control(name) || trail_has(up, &trail.st)
			       ? 0
			       : read_below(reading, path, &trail);
	if (!S_ISREG(trail.st.st_mode))
		return 0;
	if (access(path, R_OK) != 0) {
		pass_over(reading, path, errno);
		return 0;
	}
	return conf_read(reading->conf, path, reading->err);
}

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

char *place_of_portage(const char *name)
{
	return alloc_printf("%s/etc/portage/%s",
			    environment("PORTAGE_CONFIGROOT", environment("EPREFIX", "")), name);
}

static int read_portage(const struct reading *reading, char **source)
{
	const char *prefix = environment("EPREFIX", ""), *text = getenv("PORTAGE_REPOSITORIES");
	int result = 0;

	if (text) {
		*source = alloc_copy("PORTAGE_REPOSITORIES");
		return conf_read_text(reading->conf, *source, text, strlen(text), reading->err);
	}
	char *defaults = alloc_printf("%s%s", prefix, PORTAGE_DEFAULTS);
	char *config = place_of_portage("repos.conf");
	const bool found = access(defaults, F_OK) == 0 || access(config, F_OK) == 0;
	*source = found ? alloc_copy(config) : alloc_printf("%s, %s, %s", OUR_CONFIG, defaults, config);
	if (read_tree(reading, defaults, "repos.conf", NULL) != 0 ||
	    read_tree(reading, config, "repos.conf", NULL) != 0)
		result = -1;
	free(defaults);
	free(config);
	return result;
}

/* ---- all ---- */

/* A root of Portage's without double slashes and with one at its end. */
static void set_root(struct conf *conf, const char *key, const char *where, char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++)
		if (from[0] != '/' || from[1] != '/')
			*to++ = *from;
	*to = '\0';
	conf_set_literally(&conf->sections[0], key, path, where);
	free(path);
}

static void set_roots(struct conf *conf)
{
	const char *prefix = environment("EPREFIX", "");
	const char *root = environment("ROOT", "");

	conf_set_literally(&conf->sections[0], "eprefix", prefix, "EPREFIX");
	set_root(conf, "root", "ROOT", alloc_printf("%s/", root));
	set_root(conf, "portage_configroot", "PORTAGE_CONFIGROOT",
		 alloc_printf("%s/", environment("PORTAGE_CONFIGROOT", prefix)));
	set_root(conf, "eroot", "EROOT",
		 getenv("EROOT") ? alloc_printf("%s/", getenv("EROOT"))
				 : alloc_printf("%s/%s/", root, prefix));
}

int places_read(struct conf *conf, const char *path, bool *from_portage, char **source,
		struct words *warnings, struct err *err)
{
	const struct reading reading = { .conf = conf, .warnings = warnings, .err = err };
	const char *asked = path ? path : environment("RCU_REPO_CONFIG", NULL);
	const char *options = environment("PORTAGE_RSYNC_EXTRA_OPTS", NULL);
	bool found = false;

	*from_portage = false;
	set_roots(conf);
	int result = read_ours(&reading, asked ? asked : OUR_CONFIG, asked ? NULL : &found);
	if (asked || found) {
		*source = alloc_copy(asked ? asked : OUR_CONFIG);
		return result;
	}
	*from_portage = true;
	if (options)
		conf_set_literally(&conf->sections[0], "sync-rsync-extra-opts", options,
				   "PORTAGE_RSYNC_EXTRA_OPTS");
	return read_portage(&reading, source);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fts: walks by fts(3), told in full.
 *
 *     fts [-o OPTION[,OPTION]...] [-s] [-c|-n] [-f] [-a] [-k NAME] ROOT...
 *
 * OPTION is that of fts_open() in small letters (logical, nochdir ...). -s sorts by name; -c asks for the children of each directory, -n for their
 * names alone; -f follows links with fts_set(), -a reads each file once more, -k skips directories of this name. For each entry a line:
 * kind, level, path, name, errno, size, and whether the object is where fts_accpath says.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	int flag;
} names[] = { { "comfollow", FTS_COMFOLLOW }, { "logical", FTS_LOGICAL },   { "nochdir", FTS_NOCHDIR },
	      { "nostat", FTS_NOSTAT },       { "physical", FTS_PHYSICAL }, { "seedot", FTS_SEEDOT },
	      { "xdev", FTS_XDEV },           { "unknown", 0x800 } };

static int options_of(char *text)
{
	int options = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ","))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strcmp(word, names[i].name) == 0)
				options |= names[i].flag;
	return options;
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
	return strcmp((*left)->fts_name, (*right)->fts_name);
}

static int has_status(const FTSENT *e)
{
	return e->fts_info != FTS_NS && e->fts_info != FTS_NSOK && e->fts_info != FTS_DNR &&
	       e->fts_info != FTS_ERR && e->fts_info != FTS_INIT;
}

static void tell(const FTSENT *e, int options)
{
	struct stat st;

	printf("%d %d %s %s %s %d", e->fts_info, e->fts_level, e->fts_path, e->fts_name,
	       e->fts_parent->fts_name, e->fts_errno);
	if (e->fts_namelen != strlen(e->fts_name) || e->fts_pathlen != strlen(e->fts_path))
		printf(" lengths differ");
	if (e->fts_info == FTS_DC)
		printf(" cycle to %s", e->fts_cycle->fts_name);
	if (!(options & FTS_NOSTAT) && has_status(e)) {
		if (!S_ISDIR(e->fts_statp->st_mode))
			printf(" %ld %ld", (long)e->fts_statp->st_size, (long)e->fts_statp->st_mtime);
		printf(" %o%s", e->fts_statp->st_mode,
		       fstatat(AT_FDCWD, e->fts_accpath, &st,
			       S_ISLNK(e->fts_statp->st_mode) ? AT_SYMLINK_NOFOLLOW : 0) == 0 &&
				       st.st_ino == e->fts_statp->st_ino
			       ? " there"
			       : "");
	}
	putchar('\n');
}

static void tell_children(FTS *fts, int how)
{
	errno = 0;
	FTSENT *child = fts_children(fts, how);

	printf("children (%d):", child ? 0 : errno);
	for (; child; child = child->fts_link)
		printf(" %s %d", child->fts_name, how ? 0 : child->fts_info);
	putchar('\n');
}

int main(int argc, char **argv)
{
	int options = 0, option, children = -1, follow = 0, again = 0, sort = 0;
	const char *skip = "";
	char *before = getcwd(NULL, 0), *after;
	FTSENT *e, *last = NULL;

	while ((option = getopt(argc, argv, "o:scnfak:")) != -1) {
		if (option == 'o')
			options = options_of(optarg);
		else if (option == 'k')
			skip = optarg;
		else if (option == 'c' || option == 'n')
			children = option == 'n' ? FTS_NAMEONLY : 0;
		sort |= option == 's';
		follow |= option == 'f';
		again |= option == 'a';
	}
	FTS *fts = fts_open(argv + optind, options, sort ? by_name : NULL);
	if (!fts) {
		printf("open: %d\n", errno);
		return 0;
	}
	if (children >= 0)
		tell_children(fts, children);
	while ((e = fts_read(fts))) {
		tell(e, options);
		if (again && e != last && e->fts_info == FTS_F)
			fts_set(fts, e, FTS_AGAIN);
		last = e;
		if (follow && (e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE) && e->fts_errno == 0 &&
		    e->fts_number++ == 0)
			fts_set(fts, e, FTS_FOLLOW);
		if (e->fts_info == FTS_D && strcmp(e->fts_name, skip) == 0)
			fts_set(fts, e, FTS_SKIP);
		if (children >= 0 && e->fts_info == FTS_D)
			tell_children(fts, children);
	}
	printf("end: %d\n", errno);
	printf("close: %d\n", fts_close(fts));
	after = getcwd(NULL, 0);
	return !before || !after || strcmp(before, after) != 0;
}

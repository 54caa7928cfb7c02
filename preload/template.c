/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The template is argument and result: libc replaces its X's in place. In a mapped path it does so in our text, from where the letters
 * are brought back. The X's are part of the last component, which mapping leaves as it is.
 */
#define EXPORT_template EXPORT
#include <stdint.h>
#include <string.h>

#include "preload/wrap.h"

#define LETTERS 6

/* Where the X's are in `text`, with `suffix` characters behind them; NULL if it is not a template: libc says EINVAL. */
static char *template_letters(const char *text, int suffix)
{
	if (!text || suffix < 0)
		return NULL;
	size_t length = strlen(text);
	if (length < LETTERS + (size_t)suffix)
		return NULL;
	const char *letters = text + length - (size_t)suffix - LETTERS;
	return memcmp(letters, "XXXXXX", LETTERS) == 0 ? (char *)(uintptr_t)letters : NULL;
}

/* libc will look for a name that nobody has: as in removal, only the directory matters, not what has this name. */
static int template_refused(const struct mapped *m)
{
	return refuse_remove(m->dir, m->path);
}

/* What libc shall work on: the mapped text, which may be the caller's own; that, too, where it is no template. */
static char *template_work(const struct mapped *m, char *template, const char *letters)
{
	return letters ? (char *)(uintptr_t)m->path : template;
}

static void bring_back(char *letters, const char *work, const char *template, int suffix)
{
	if (letters && work != template)
		memcpy(letters, work + strlen(work) - (size_t)suffix - LETTERS, LETTERS);
}

static int make_file(int (*call)(char *), char *template)
{
	char *letters = template_letters(template, 0);
	MAPPED(m);
	MAP(m, AT_FDCWD, template, LEAF_NOFOLLOW);
	int error = letters ? template_refused(&m) : 0;
	if (error)
		return fail(error);
	char *work = template_work(&m, template, letters);
	int result = call(work);
	bring_back(letters, work, template, 0);
	return result;
}

/* The forms with one more number: flags of open(2), or the suffix's length. */
static int make_file_1(int (*call)(char *, int), char *template, int number, int suffix)
{
	char *letters = template_letters(template, suffix);
	MAPPED(m);
	MAP(m, AT_FDCWD, template, LEAF_NOFOLLOW);
	int error = letters ? template_refused(&m) : 0;
	if (error)
		return fail(error);
	char *work = template_work(&m, template, letters);
	int result = call(work, number);
	bring_back(letters, work, template, suffix);
	return result;
}

static int make_file_2(int (*call)(char *, int, int), char *template, int suffix, int flags)
{
	char *letters = template_letters(template, suffix);
	MAPPED(m);
	MAP(m, AT_FDCWD, template, LEAF_NOFOLLOW);
	int error = letters ? template_refused(&m) : 0;
	if (error)
		return fail(error);
	char *work = template_work(&m, template, letters);
	int result = call(work, suffix, flags);
	bring_back(letters, work, template, suffix);
	return result;
}

int wrap_mkstemp(char *template)
{
	return make_file(next()->mkstemp, template);
}

int wrap_mkstemp64(char *template)
{
	return make_file(next()->mkstemp64, template);
}

int wrap_mkostemp(char *template, int flags)
{
	return make_file_1(next()->mkostemp, template, flags, 0);
}

int wrap_mkostemp64(char *template, int flags)
{
	return make_file_1(next()->mkostemp64, template, flags, 0);
}

int wrap_mkstemps(char *template, int suffix)
{
	return make_file_1(next()->mkstemps, template, suffix, suffix);
}

int wrap_mkstemps64(char *template, int suffix)
{
	return make_file_1(next()->mkstemps64, template, suffix, suffix);
}

int wrap_mkostemps(char *template, int suffix, int flags)
{
	return make_file_2(next()->mkostemps, template, suffix, flags);
}

int wrap_mkostemps64(char *template, int suffix, int flags)
{
	return make_file_2(next()->mkostemps64, template, suffix, flags);
}

char *wrap_mkdtemp(char *template)
{
	char *letters = template_letters(template, 0);
	MAPPED(m);
	MAP(m, AT_FDCWD, template, LEAF_NOFOLLOW);
	int error = letters ? template_refused(&m) : 0;
	if (error) {
		errno = error;
		return NULL;
	}
	char *work = template_work(&m, template, letters);
	char *result = next()->mkdtemp(work);
	bring_back(letters, work, template, 0);
	return result ? template : NULL;
}

/* Makes nothing; on failure the template is made empty. */
char *wrap_mktemp(char *template)
{
	char *letters = template_letters(template, 0);
	MAPPED(m);
	MAP(m, AT_FDCWD, template, LEAF_NOFOLLOW);
	char *work = template_work(&m, template, letters);
	next()->mktemp(work);
	if (work != template && work[0] == '\0')
		template[0] = '\0';
	else
		bring_back(letters, work, template, 0);
	return template;
}

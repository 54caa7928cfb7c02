/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wordexp(3). libc expands a word and then matches it inside libc, in the version that is published. Only the matching is to be ours;
 * all else shall stay libc's, which differs from every shell (no matching of what a variable holds, arithmetic of its own, $1 is the
 * program's own argument), so it is not given to /bin/sh.
 *
 * 1. The text is given to libc with a mark before the first *, ? or [ of each word that begins a pattern. libc then makes the same pattern
 *    as ever, with the mark in it; no file has such a name, so it matches nothing, and what matches nothing stays as it is.
 * 2. A word that has come back with the mark is the very pattern that libc would have matched. The mark is taken out, and our glob() matches it, whose
 *    answers are spelled as the pattern is.
 * 3. The words, each character quoted, are expanded once more into what the caller gave us: so libc does what WRDE_APPEND, WRDE_REUSE
 *    and WRDE_DOOFFS ask for, and all memory that wordfree() will free is from its own malloc().
 *
 * Where a pattern begins is where libc's parser would see it. behind_token() and what it calls know of quotes, $ and ` just enough to tell: each
 * says where a piece of text ends, and where that is wrong libc fails anyway.
 *
 * One thing is out of reach: of `*$V`, where V has several fields, those between the first and the last are patterns of their own, which
 * libc matches. And commands are run by libc's own shell, as those of system(3) (exec.c), but with no way to mend an environment that
 * has lost what is ours: that shell, if the program has taken it out, is unpinned, or refused under --strict.
 */
#define EXPORT_words EXPORT
#include <string.h>
#include <unistd.h>

#include "preload/exec_env.h"
#include "preload/wrap.h"

#define MARK "\001\036\001"
#define MARK_LENGTH (sizeof(MARK) - 1)
#define DEFAULT_IFS " \t\n"

#define FLAGS_OF_TEXT (WRDE_NOCMD | WRDE_SHOWERR | WRDE_UNDEF) /* and the others are about the result */

/* --- where the pieces of a text end; each is given its first character, and answers with what is behind its last --- */

static const char *behind_dollar(const char *p);

static const char *behind_escape(const char *p)
{
	return p[1] ? p + 2 : p + 1;
}

static const char *behind_backtick(const char *p)
{
	for (p++; *p && *p != '`';)
		p = *p == '\\' ? behind_escape(p) : p + 1;
	return *p ? p + 1 : p;
}

static const char *behind_single_quotes(const char *p)
{
	const char *end = strchr(p + 1, '\'');

	return end ? end + 1 : p + strlen(p);
}

static const char *behind_double_quotes(const char *p)
{
	for (p++; *p && *p != '"';) {
		switch (*p) {
		case '$':
			p = behind_dollar(p);
			break;
		case '`':
			p = behind_backtick(p);
			break;
		case '\\':
			p = behind_escape(p);
			break;
		default:
			p++;
		}
	}
	return *p ? p + 1 : p;
}

/* Within "$((" or "$[", whose last character is given. */
static const char *behind_sum(const char *p, char open)
{
	unsigned depth = 1;

	for (p++; *p; p++) {
		while (*p == '$' || *p == '`' || *p == '\\')
			p = *p == '$' ? behind_dollar(p) : *p == '`' ? behind_backtick(p) : behind_escape(p);
		if (*p == ']' && open == '[')
			return p + 1;
		if (*p == '(')
			depth++;
		if (*p == ')' && --depth == 0)
			return p[1] ? p + 2 : p + 1;
		if (*p == '\0')
			break;
	}
	return p;
}

/* Within "$(" or "${": to the bracket that closes it, outside of quotes. */
static const char *behind_brackets(const char *p, char open, char close, bool escapes)
{
	unsigned depth = 0;
	char quote = '\0';

	for (; *p; p++) {
		if (*p == '\\' && escapes && !quote) {
			p = behind_escape(p) - 1;
			continue;
		}
		if (*p == quote)
			quote = '\0';
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (!quote && *p == open)
			depth++;
		else if (!quote && *p == close && --depth == 0)
			return p + 1;
	}
	return p;
}

/* "$((1+2))", not "$((a); (b))". */
static bool is_sum(const char *p)
{
	unsigned depth = 0;

	for (p += 3; *p && !(depth == 0 && *p == ')'); p++) {
		if (*p == '(')
			depth++;
		else if (*p == ')')
			depth--;
	}
	return p[0] == ')' && p[1] == ')';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Of one that stands alone nothing but itself. */
static const char *behind_dollar(const char *p)
{
	switch (p[1]) {
	case '(':
		return p[2] == '(' && is_sum(p) ? behind_sum(p + 2, '(')
						: behind_brackets(p + 1, '(', ')', false);
	case '[':
		return behind_sum(p + 1, '[');
	case '{':
		return behind_brackets(p + 1, '{', '}', true);
	case '#':
	case '*':
	case '@':
	case '$':
		return p + 2;
	default:
		break;
	}
	if (is_digit(p[1]))
		return p + 2;
	p++;
	if (is_name(*p))
		while (is_name(*p) || is_digit(*p))
			p++;
	return p;
}

static const char *behind_token(const char *p)
{
	switch (*p) {
	case '\\':
		return behind_escape(p);
	case '$':
		return behind_dollar(p);
	case '`':
		return behind_backtick(p);
	case '"':
		return behind_double_quotes(p);
	case '\'':
		return behind_single_quotes(p);
	default:
		return p + 1;
	}
}

static bool begins_pattern(char c)
{
	return c == '*' || c == '?' || c == '[';
}

/* The rest of a word from where its pattern begins: to a separator, be it in quotes. */
static const char *behind_pattern(const char *p, const char *separators)
{
	char quote = '\0';

	while (*p && !strchr(separators, *p)) {
		if (*p == quote)
			quote = '\0';
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if ((*p == '$' && quote != '\'') || *p == '\\') {
			p = *p == '$' ? behind_dollar(p) : behind_escape(p);
			continue;
		}
		p++;
	}
	return p;
}

static const char *separators(void)
{
	static const char name[] = "IFS=";

	for (char **entry = environ; entry && *entry; entry++)
		if (strlen(*entry) >= sizeof(name) - 1 && memcmp(*entry, name, sizeof(name) - 1) == 0)
			return *entry + sizeof(name) - 1;
	return DEFAULT_IFS;
}

/* --- the text with marks --- */

static size_t marked_room(const char *words)
{
	size_t room = 1;

	for (; *words; words++)
		room += begins_pattern(*words) ? 1 + MARK_LENGTH : 1;
	return room;
}

/* Returns how many. */
static unsigned mark(const char *words, char *to)
{
	const char *ends = separators();
	unsigned marks = 0;

	while (*words) {
		const char *behind = behind_token(words);

		if (begins_pattern(*words)) {
			behind = behind_pattern(words, ends);
			memcpy(to, MARK, MARK_LENGTH);
			to += MARK_LENGTH;
			marks++;
		}
		if (behind == words) /* a separator that is a * */
			behind++;
		memcpy(to, words, (size_t)(behind - words));
		to += behind - words;
		words = behind;
	}
	*to = '\0';
	return marks;
}

static char *find_mark(char *word)
{
	while ((word = strchr(word, MARK[0])) && (word[1] != MARK[1] || word[2] != MARK[2]))
		word++;
	return word;
}

/* False where there was none. */
static bool take_mark_out(char *word)
{
	char *found = find_mark(word);

	if (found)
		memmove(found, found + MARK_LENGTH, strlen(found + MARK_LENGTH) + 1);
	return found;
}

/* --- the words, quoted --- */

struct text {
	char *start;
	size_t length;
	size_t room;
};

static bool add(struct text *t, const char *more)
{
	size_t length = strlen(more);

	if (t->length + length + 1 > t->room) {
		size_t room = 2 * (t->length + length) + 256;
		char *start = next()->realloc(t->start, room);

		if (!start)
			return false;
		t->start = start;
		t->room = room;
	}
	memcpy(t->start + t->length, more, length + 1);
	t->length += length;
	return true;
}

/* By backslashes: a pair of quotes with nothing in it would be a word. Behind a backslash a newline would vanish. */
static bool add_quoted(struct text *t, const char *word)
{
	char one[] = "\\.";

	for (; *word; word++) {
		one[1] = *word;
		if (!add(t, *word == '\n' ? "'\n'" : one))
			return false;
	}
	return true;
}

static bool add_word(struct text *t, const char *word)
{
	return add(t, " ") && (*word ? add_quoted(t, word) : add(t, "''"));
}

/* Where nothing separates, libc makes one word of all that was matched. */
static bool add_matches(struct text *t, const glob_t *matches, bool joined)
{
	for (size_t i = 0; i < matches->gl_pathc; i++) {
		const bool goes_on = joined && i > 0;

		if (goes_on ? !add(t, "\\ ") || !add_quoted(t, matches->gl_pathv[i])
			    : !add_word(t, matches->gl_pathv[i]))
			return false;
	}
	return true;
}

/* 0 or WRDE_NOSPACE. */
static int match(struct text *t, const char *pattern, bool joined)
{
	glob_t matches;

	if (wrap_glob(pattern, GLOB_NOCHECK, NULL, &matches) != 0)
		return WRDE_NOSPACE;
	bool added = add_matches(t, &matches, joined);
	next()->globfree(&matches);
	return added ? 0 : WRDE_NOSPACE;
}

static int hand_on(wordexp_t *words, size_t first, wordexp_t *result, int flags)
{
	struct text t = { 0 };
	const bool joined = !*separators();
	int error = add(&t, "") ? 0 : WRDE_NOSPACE;

	for (size_t i = first; error == 0 && i < words->we_wordc; i++) {
		if (take_mark_out(words->we_wordv[i]))
			error = match(&t, words->we_wordv[i], joined);
		else
			error = add_word(&t, words->we_wordv[i]) ? 0 : WRDE_NOSPACE;
	}
	if (error == 0)
		error = next()->wordexp(t.start, result, flags);
	next()->free(t.start);
	return error;
}

/*
 * The same error once more, for what it does to the caller's words, by a text that makes no other mistake and runs nothing. Without memory
 * libc leaves the words that it has.
 */
static int fail_alike(int error, wordexp_t *result, int flags)
{
	switch (error) {
	case WRDE_BADCHAR:
		return next()->wordexp("|", result, flags);
	case WRDE_BADVAL:
		return next()->wordexp("${2147483647}", result, flags | WRDE_UNDEF);
	case WRDE_CMDSUB:
		return next()->wordexp("$(:)", result, flags | WRDE_NOCMD);
	case WRDE_SYNTAX:
		return next()->wordexp("'", result, flags);
	default:
		next()->wordexp("", result, flags);
		return error;
	}
}

static int expand_marked(const char *words, wordexp_t *result, int flags)
{
	wordexp_t own = { 0 };
	int error = 0, append = 0;

	/* "x=~" is expanded in the first word alone. */
	if ((flags & (WRDE_APPEND | WRDE_REUSE)) == WRDE_APPEND && result->we_wordc > 0) {
		error = next()->wordexp("x", &own, 0);
		append = WRDE_APPEND;
	}
	const size_t first = own.we_wordc;
	if (error == 0)
		error = next()->wordexp(words, &own, (flags & FLAGS_OF_TEXT) | append);
	error = error ? fail_alike(error, result, flags) : hand_on(&own, first, result, flags);
	next()->wordfree(&own);
	return error;
}

static int expand(const char *words, wordexp_t *result, int flags)
{
	const size_t room = marked_room(words);

	if (room == strlen(words) + 1)
		return next()->wordexp(words, result, flags);
	char *marked = next()->malloc(room);
	if (!marked)
		return WRDE_NOSPACE;
	int error = mark(words, marked) ? expand_marked(marked, result, flags)
					: next()->wordexp(words, result, flags);
	next()->free(marked);
	return error;
}

/* Where it is not certain, too: quotes are not looked at. */
static bool runs_commands(const char *words, int flags)
{
	if (flags & WRDE_NOCMD)
		return false;
	for (; *words; words++)
		if (*words == '`' || (words[0] == '$' && words[1] == '('))
			return true;
	return false;
}

/* As system(3): descriptors that the shell gets without knowing of them hold the pin until it has taken it by its number. */
static int expand_running(const char *words, wordexp_t *result, int flags)
{
	EXEC_PINS(pins);
	if (!exec_shell_pinnable(&pins) || (shim.strict && exec_shell_room(words) != 0))
		return fail_alike(WRDE_CMDSUB, result, flags);
	int error = expand(words, result, flags);
	memory_forget();
	return error;
}

/* A text that has the mark's letter in it is left to libc. */
int wrap_wordexp(const char *words, wordexp_t *result, int flags)
{
	if (!shim_active() || !words || strchr(words, MARK[0]))
		return next()->wordexp(words, result, flags);
	return runs_commands(words, flags) ? expand_running(words, result, flags)
					   : expand(words, result, flags);
}

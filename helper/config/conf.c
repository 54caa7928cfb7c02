/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How inih is made to agree with configparser. inih (as distributions build it) has lines of 200 bytes, cuts
 * values at " ;", strips each piece, takes any indented line as a continuation, and does not tell lines'
 * numbers. So the reader that we hand to ini_parse_stream() gives it prepared lines:
 *
 *     - comments and empty lines are left out; of a section's heading only "[s]" is passed on, since inih
 *       keeps 50 bytes of a name: which section it is, we know.
 *     - a line that begins a key begins in the first column; one that goes on with a value begins with a
 *       blank.
 *     - what inih would act on (; # blanks at a piece's ends, newlines) is written as ESCAPE and a letter,
 *       and turned back by the handler.
 *     - a line that is too long goes out in pieces, as continuation lines.
 *
 * inih calls the handler for a line before it asks for the next one, so the reader's state says at any time
 * which line of the file is meant.
 */
#include "helper/config/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"

#define DEFAULT_SECTION "DEFAULT"
#define ESCAPE '\001'
#define INTERPOLATION_DEPTH 10
#define FILE_MAX_BYTES (16 * 1024 * 1024)

static const char blanks[] = " \t\n\r\f\v";
static const char special[] = "\001;#\n \t\r\f\v";
static const char letters[] = "ehsnbtrfv"; /* in the order of `special` */

static bool is_blank(char c)
{
	return c != '\0' && strchr(blanks, c);
}

/*
 * What str.strip() of Python takes away is more than inih and C call a blank: a no-break space that came with a value
 * from a web page would be a part of a path. The bytes of the one blank that text[0 .. length) begins with; 0: none.
 */
static size_t blank_length(const char *text, size_t length)
{
	static const char *const wide[] = { "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\xA8",
					    "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80" };

	if (length != 0 && (is_blank(text[0]) || (text[0] >= '\x1C' && text[0] <= '\x1F')))
		return 1;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (length >= strlen(wide[i]) && memcmp(text, wide[i], strlen(wide[i])) == 0)
			return strlen(wide[i]);
	/* U+2000 ... U+200A */
	if (length >= 3 && memcmp(text, "\xE2\x80", 2) == 0 && (unsigned char)text[2] >= 0x80 &&
	    (unsigned char)text[2] <= 0x8A)
		return 3;
	return 0;
}

/* The length of the text without the blanks at its end. */
static size_t length_stripped(const char *text, size_t length)
{
	size_t size = 1;

	while (size <= 3 && size <= length)
		if (blank_length(text + length - size, size) == size) {
			length -= size;
			size = 1;
		} else {
			size++;
		}
	return length;
}

/* The text without the blanks at its beginning; *count, where it is not NULL, is how many they were. */
static const char *text_stripped(const char *text, size_t length, size_t *count)
{
	size_t blank, skipped = 0;

	for (; (blank = blank_length(text, length)) != 0; text += blank, length -= blank)
		skipped++;
	if (count)
		*count = skipped;
	return text;
}

/* One file on its way through inih. */
struct source {
	struct conf *conf;
	struct err *err;
	const char *file;
	const char *at, *end; /* what has not been read */
	unsigned line;        /* the number of the line that was read last */
	bool has_section, has_key;
	size_t section;   /* index of the section that we are in */
	size_t key;       /* index of the key that continuation lines belong to */
	size_t indent;    /* of that key's line */
	const char *text; /* the line, without blanks around it */
	size_t length;
	const char *left; /* what is left of it where it did not fit; NULL: nothing */
	size_t left_length;
	bool expected; /* the line handed out last begins a key, and the handler has not seen it yet */
};

static struct conf_section *section_at(struct source *source)
{
	return &source->conf->sections[source->section];
}

/* Ends the file: the reader answers NULL from now on. */
static char *bad_line(struct source *source, const char *why)
{
	char *subject = alloc_printf("%s:%u", source->file, source->line);
	const int shown = source->length > 200 ? 200 : (int)source->length;

	err_fail(source->err, STATUS_USAGE, subject, "%s: %.*s", why, shown, source->text);
	free(subject);
	return NULL;
}

/* The next line without its end, or NULL. */
static const char *next_line(struct source *source, size_t *length)
{
	const char *line = source->at, *end = line;

	if (line == source->end)
		return NULL;
	while (end < source->end && *end != '\n' && *end != '\r')
		end++;
	*length = (size_t)(end - line);
	if (end < source->end)
		end += end[0] == '\r' && end + 1 < source->end && end[1] == '\n' ? 2 : 1;
	source->at = end;
	source->line++;
	return line;
}

/*
 * Writes as much of text[0 .. length) as fits to to[0 .. room) and keeps the rest for the next calls. Blanks
 * are written as they are only in a line that begins a key, where inih has to strip them around the = ; such
 * a piece does not end in one.
 */
static char *hand_out(struct source *source, char *to, size_t room, const char *text, size_t length,
		      bool continues)
{
	char *out = to;
	size_t taken = 0;

	while (taken < length && (size_t)(out - to) + 4 <= room) {
		const char *found = strchr(special, text[taken]);
		bool plain = !found || (!continues && is_blank(text[taken]));

		if (!plain)
			*out++ = ESCAPE;
		*out++ = plain ? text[taken] : letters[found - special];
		taken++;
	}
	if (taken < length && !continues)
		for (; is_blank(out[-1]); taken--)
			out--;
	source->left = taken < length ? text + taken : NULL;
	source->left_length = length - taken;
	*out++ = '\n';
	*out = '\0';
	return to;
}

/* The same for a line, or the rest of one, that belongs to the value before it. */
static char *go_on(struct source *source, char *to, size_t room, const char *text, size_t length,
		   bool newline)
{
	size_t lead = 0;

	to[lead++] = ' ';
	if (newline) {
		to[lead++] = ESCAPE;
		to[lead++] = 'n';
	}
	hand_out(source, to + lead, room - lead, text, length, true);
	return to;
}

static char *begin_section(struct source *source, char *to, const char *name, size_t length)
{
	struct conf *conf = source->conf;
	char *copy = alloc_printf("%.*s", (int)length, name);
	char *where = alloc_printf("%s:%u", source->file, source->line);
	struct conf_section *section = conf_section(conf, copy, where);
	bool again = section->reading == conf->reading && section != conf->sections;

	section->reading = conf->reading;
	source->section = (size_t)(section - conf->sections);
	source->has_section = true;
	source->has_key = false;
	if (again)
		bad_line(source, "the section is there twice");
	free(where);
	free(copy);
	return again ? NULL : memcpy(to, "[s]\n", sizeof("[s]\n"));
}

static char *begin_line(struct source *source, char *to, size_t room)
{
	const char *text = source->text;
	/* configparser's \[(.+)\]: up to the last bracket, and what follows does not matter. */
	const char *bracket = text[0] == '[' ? memrchr(text, ']', source->length) : NULL;

	if (bracket && bracket > text + 1)
		return begin_section(source, to, text + 1, (size_t)(bracket - text) - 1);
	if (!source->has_section)
		return bad_line(source, strncmp(text, "\xEF\xBB\xBF", 3) == 0
						? "the file begins with a byte order mark"
						: "a line before the first [section]");
	source->expected = true;
	return hand_out(source, to, room, text, source->length, false);
}

/* Reads the next line into source->text; returns how far it is indented, or -1 at the end. */
static ssize_t next_text(struct source *source)
{
	size_t length, indent;
	const char *line = next_line(source, &length);

	if (!line)
		return -1;
	length = length_stripped(line, length);
	source->text = text_stripped(line, length, &indent);
	source->length = length - (size_t)(source->text - line);
	return (ssize_t)indent;
}

/* fgets for inih: the next prepared line, NULL at the end and after an error. */
static char *prepare_line(char *to, int room, void *context)
{
	struct source *source = context;
	const size_t size = (size_t)room;
	ssize_t indent;

	if (source->err->status != STATUS_DONE)
		return NULL;
	if (source->expected)
		return bad_line(source, source->left ? "a key that is too long"
						     : "neither [section] nor key = value");
	if (source->left)
		return go_on(source, to, size, source->left, source->left_length, false);
	while ((indent = next_text(source)) >= 0) {
		if (source->length && (*source->text == '#' || *source->text == ';'))
			continue;
		if (source->has_key && (source->length == 0 || (size_t)indent > source->indent))
			return go_on(source, to, size, source->text, source->length, true);
		if (source->length == 0)
			continue;
		source->indent = (size_t)indent;
		return begin_line(source, to, size);
	}
	return NULL;
}

/* Turns back what hand_out() did. */
static char *restored(const char *piece)
{
	char *text = alloc_copy(piece), *to = text;

	for (const char *from = piece; *from; from++) {
		const char *letter = *from == ESCAPE ? strchr(letters, from[1]) : NULL;

		*to++ = letter ? special[letter - letters] : *from;
		from += letter != NULL;
	}
	*to = '\0';
	return text;
}

static void lower_case(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static struct conf_key *key_in(const struct conf_section *section, const char *name)
{
	for (size_t i = 0; i < section->count; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

static void begin_key(struct source *source, char *name, const char *value)
{
	struct conf_section *section = section_at(source);
	struct conf_key *key;

	name[length_stripped(name, strlen(name))] = '\0';
	lower_case(name);
	value = text_stripped(value, strlen(value), NULL);
	key = key_in(section, name);
	if (name[0] == '\0') {
		bad_line(source, "a value without a key");
	} else if (key && key->reading == source->conf->reading) {
		bad_line(source, "the key is there twice in this section");
	} else {
		char *where = alloc_printf("%s:%u", source->file, source->line);

		conf_set(section, name, value, where);
		key = key_in(section, name);
		key->reading = source->conf->reading;
		source->key = (size_t)(key - section->keys);
		source->has_key = true;
		free(where);
	}
}

/*
 * inih's handler. Not 0: go on. The section and, in a continuation, the name are cut at 50 bytes: ours
 * hold.
 */
static int take_piece(void *context, const char *section, const char *name, const char *value)
{
	struct source *source = context;
	char *text = restored(value);

	(void)section;
	if (source->expected) {
		char *key = restored(name);

		source->expected = false;
		begin_key(source, key, text);
		free(key);
	} else if (source->err->status == STATUS_DONE) {
		struct conf_key *key = &section_at(source)->keys[source->key];
		char *joined = alloc_printf("%s%s", key->value, text);

		free(key->value);
		key->value = joined;
	}
	free(text);
	return 1;
}

/*
 * O_NONBLOCK is for the open alone: a FIFO that nobody has open for writing is an empty file, instead of a
 * command that hangs. What has a writer, like the pipe of --config <(command), is waited for.
 */
static int open_file(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && fcntl(fd, F_SETFL, 0) != 0) {
		const int cause = errno;
		close(fd);
		errno = cause;
		return -1;
	}
	return fd;
}

/* The whole file, terminated; NULL and *err where it cannot be had. */
static char *slurp(const char *file, size_t *length, struct err *err)
{
	int fd = open_file(file);
	char *text = NULL;
	struct stat st;
	ssize_t got = -1;

	*length = 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		errno = EISDIR;
	else if (fd >= 0)
		do {
			text = alloc_grow(text, *length + 65536 + 1, 1);
			got = read(fd, text + *length, 65536);
			*length += got > 0 ? (size_t)got : 0;
		} while (got > 0 && *length <= FILE_MAX_BYTES);
	if (got != 0) {
		if (got > 0)
			err_fail(err, STATUS_USAGE, file, "larger than 16 MiB");
		else
			err_errno(err, STATUS_USAGE, file, "cannot be read");
		free(text);
		text = NULL;
	} else {
		text[*length] = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/* configparser joins the lines of a value and drops the blanks at its end. */
static void end_values(struct conf *conf)
{
	for (size_t i = 0; i < conf->count; i++)
		for (size_t j = 0; j < conf->sections[i].count; j++) {
			const struct conf_key *key = &conf->sections[i].keys[j];

			if (key->reading == conf->reading)
				key->value[length_stripped(key->value, strlen(key->value))] = '\0';
		}
}

int conf_read(struct conf *conf, const char *file, struct err *err)
{
	size_t length;
	char *text = slurp(file, &length, err);
	int result = text ? conf_read_text(conf, file, text, length, err) : -1;

	free(text);
	return result;
}

int conf_read_text(struct conf *conf, const char *name, const char *text, size_t length, struct err *err)
{
	struct source source = { .conf = conf, .err = err, .file = name, .at = text, .end = text + length };

	conf->reading++;
	bool zero = false;
	while (!zero && next_text(&source) >= 0)
		zero = memchr(source.text, '\0', source.length) != NULL;
	if (zero) {
		source.length = 0;
		bad_line(&source, "a zero byte");
	} else {
		source.at = text;
		source.line = 0;
		ini_parse_stream(prepare_line, &source, take_piece, &source);
		end_values(conf);
	}
	return err->status == STATUS_DONE ? 0 : -1;
}

void conf_init(struct conf *conf)
{
	*conf = (struct conf){ .sections = NULL };
	conf_section(conf, DEFAULT_SECTION, "DEFAULT");
}

void conf_release(struct conf *conf)
{
	for (size_t i = 0; i < conf->count; i++) {
		struct conf_section *section = &conf->sections[i];

		for (size_t j = 0; j < section->count; j++) {
			free(section->keys[j].name);
			free(section->keys[j].value);
			free(section->keys[j].where);
		}
		free(section->keys);
		free(section->name);
		free(section->where);
	}
	free(conf->sections);
	*conf = (struct conf){ .sections = NULL };
}

struct conf_section *conf_section(struct conf *conf, const char *name, const char *where)
{
	for (size_t i = 0; i < conf->count; i++)
		if (strcmp(conf->sections[i].name, name) == 0)
			return &conf->sections[i];
	conf->sections = alloc_grow(conf->sections, conf->count + 1, sizeof(*conf->sections));
	conf->sections[conf->count] = (struct conf_section){ .name = alloc_copy(name),
							     .where = alloc_copy(where) };
	return &conf->sections[conf->count++];
}

void conf_set(struct conf_section *section, const char *name, const char *value, const char *where)
{
	struct conf_key *key = key_in(section, name);

	if (!key) {
		section->keys = alloc_grow(section->keys, section->count + 1, sizeof(*section->keys));
		key = &section->keys[section->count++];
		*key = (struct conf_key){ .name = alloc_copy(name) };
	}
	free(key->value);
	free(key->where);
	key->value = alloc_copy(value);
	key->where = alloc_copy(where);
	key->reading = 0;
	key->literal = false;
}

void conf_set_literally(struct conf_section *section, const char *name, const char *value, const char *where)
{
	conf_set(section, name, value, where);
	key_in(section, name)->literal = true;
}

const struct conf_key *conf_find(const struct conf *conf, const struct conf_section *section,
				 const char *name)
{
	const struct conf_key *key = key_in(section, name);

	return key ? key : key_in(conf->sections, name);
}

/* What conf_value() works on: everything that stays the same on the way down. */
struct expansion {
	const struct conf *conf;
	const struct conf_section *section;
	const struct conf_key *key; /* whose value was asked for, for messages */
	char *text;
	size_t length;
	struct err *err;
};

static void expansion_add(struct expansion *expansion, const char *text, size_t length)
{
	expansion->text = alloc_grow(expansion->text, expansion->length + length + 1, 1);
	memcpy(expansion->text + expansion->length, text, length);
	expansion->length += length;
	expansion->text[expansion->length] = '\0';
}

static int expansion_fail(struct expansion *expansion, const char *why)
{
	const struct conf_key *key = expansion->key;

	return err_fail(expansion->err, STATUS_USAGE, key->where, "%s = %s: %s", key->name, key->value, why);
}

static int expand(struct expansion *expansion, const struct conf_key *key, unsigned depth);

/* *rest is at "%("; it is advanced behind ")s". */
static int expand_name(struct expansion *expansion, const char **rest, unsigned depth)
{
	const char *name = *rest + 2, *end = strchr(name, ')');

	if (!end || end == name || end[1] != 's')
		return expansion_fail(expansion, "%( without a name and )s");
	*rest = end + 2;
	char *wanted = alloc_printf("%.*s", (int)(end - name), name);
	lower_case(wanted);
	const struct conf_key *key = conf_find(expansion->conf, expansion->section, wanted);
	free(wanted);
	if (!key)
		return expansion_fail(expansion, "%(...)s names a key that is not set");
	if (depth == INTERPOLATION_DEPTH && !key->literal && strchr(key->value, '%'))
		return expansion_fail(expansion, "%(...)s goes too deep");
	return expand(expansion, key, depth + 1);
}

static int expand(struct expansion *expansion, const struct conf_key *key, unsigned depth)
{
	const char *rest = key->value;

	if (key->literal) {
		expansion_add(expansion, rest, strlen(rest));
		return 0;
	}
	while (*rest) {
		size_t plain = strcspn(rest, "%");

		expansion_add(expansion, rest, plain);
		rest += plain;
		if (rest[0] == '%' && rest[1] == '%') {
			expansion_add(expansion, rest, 1);
			rest += 2;
		} else if (rest[0] == '%' && rest[1] == '(') {
			if (expand_name(expansion, &rest, depth) != 0)
				return -1;
		} else if (rest[0] == '%') {
			return expansion_fail(expansion, "a % must be followed by % or (");
		}
	}
	return 0;
}

int conf_value(const struct conf *conf, const struct conf_section *section, const struct conf_key *key,
	       char **value, struct err *err)
{
	struct expansion expansion = { .conf = conf, .section = section, .key = key, .err = err };

	expansion_add(&expansion, "", 0);
	*value = NULL;
	if (expand(&expansion, key, 1) != 0) {
		free(expansion.text);
		return -1;
	}
	*value = expansion.text;
	return 0;
}

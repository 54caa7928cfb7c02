/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper/base/alloc.h"

#define HELP_COLUMN 30

bool options_named(const char *names, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = names; *at; at += strspn(at, " ")) {
		size_t word = strcspn(at, " ");

		if (word == length && strncmp(at, name, length) == 0)
			return true;
		at += word;
	}
	return false;
}

static bool accepted(const struct option_rule *rule, const char *names)
{
	return !names || options_named(names, rule->name);
}

static size_t typed_length(const struct option_rule *rule)
{
	return strcspn(rule->name, "/");
}

struct parser {
	char **words; /* the next word */
	const struct option_rule *rules;
	const char *names;
	void *target;
	struct err *err;
};

static const struct option_rule *rule_by_name(const struct parser *parser, const char *name, size_t length)
{
	for (const struct option_rule *rule = parser->rules; rule->name; rule++)
		if (typed_length(rule) == length && strncmp(rule->name, name, length) == 0 &&
		    accepted(rule, parser->names))
			return rule;
	return NULL;
}

static const struct option_rule *rule_by_letter(const struct parser *parser, char letter)
{
	for (const struct option_rule *rule = parser->rules; rule->name; rule++)
		if (rule->letter == letter && accepted(rule, parser->names))
			return rule;
	return NULL;
}

/* `value` is what was written with the option, or NULL: then the next word is taken where one is needed. */
static int apply(struct parser *parser, const struct option_rule *rule, const char *value)
{
	char subject[64];

	snprintf(subject, sizeof(subject), "--%.*s", (int)typed_length(rule), rule->name);
	if (rule->argument && !value)
		value = *parser->words ? *parser->words++ : NULL;
	if (rule->argument && !value)
		return err_fail(parser->err, STATUS_USAGE, subject, "needs %s", rule->argument);
	if (!rule->argument && value)
		return err_fail(parser->err, STATUS_USAGE, subject, "takes no value");
	return rule->take(parser->target, value, parser->err);
}

static int parse_long(struct parser *parser, const char *word)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	const struct option_rule *rule = rule_by_name(parser, name,
						      equals ? (size_t)(equals - name) : strlen(name));

	if (!rule)
		return err_fail(parser->err, STATUS_USAGE, word, "unknown option");
	return apply(parser, rule, equals ? equals + 1 : NULL);
}

static int parse_letters(struct parser *parser, const char *word)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct option_rule *rule = rule_by_letter(parser, *letter);

		if (!rule)
			return err_fail(parser->err, STATUS_USAGE, word, "unknown option");
		if (rule->argument)
			return apply(parser, rule, letter[1] ? letter + 1 : NULL);
		if (apply(parser, rule, NULL) != 0)
			return -1;
	}
	return 0;
}

int options_parse(char **words, const struct option_rule *rules, const char *names, bool first, void *target,
		  struct option_words *left, struct err *err)
{
	struct parser parser = {
		.words = words, .rules = rules, .names = names, .target = target, .err = err
	};
	size_t count = 0;
	int result = 0;

	*left = (struct option_words){ .operands = alloc_grow(NULL, 1, sizeof(char *)) };
	left->operands[0] = NULL;
	while (result == 0 && *parser.words) {
		char *word = *parser.words;
		bool operand = word[0] != '-' || word[1] == '\0', end = strcmp(word, "--") == 0;

		if (first && (operand || end))
			break;
		parser.words++;
		if (end) {
			left->command = parser.words;
			return 0;
		}
		if (operand) {
			left->operands = alloc_grow(left->operands, count + 2, sizeof(char *));
			left->operands[count++] = word;
			left->operands[count] = NULL;
		} else {
			result = word[1] == '-' ? parse_long(&parser, word) : parse_letters(&parser, word);
		}
	}
	left->rest = parser.words;
	return result;
}

void options_help(const struct option_rule *rules, const char *names)
{
	for (; rules->name; rules++) {
		char letter[] = "    ";

		if (!rules->help || !accepted(rules, names))
			continue;
		if (rules->letter)
			snprintf(letter, sizeof(letter), "-%c, ", rules->letter);
		int width = printf("  %s--%.*s%s%s", letter, (int)typed_length(rules), rules->name,
				   rules->argument ? " " : "", rules->argument ? rules->argument : "");
		printf("%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 2, "", rules->help);
	}
}

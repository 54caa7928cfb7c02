/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "helper/base/text.h"

const char *err_program = "rcu-repo";
int err_quiet;

/* "subject: cause[: reason]" */
static void __attribute__((format(printf, 4, 0)))
compose(char *to, size_t room, const char *subject, const char *format, va_list arguments, const char *reason)
{
	char raw[sizeof(((struct err *)NULL)->text)];
	int used = snprintf(raw, sizeof(raw), "%s: ", subject);

	if (used >= 0 && (size_t)used < sizeof(raw)) {
		int more = vsnprintf(raw + used, sizeof(raw) - (size_t)used, format, arguments);
		used = more < 0 ? used : used + more;
	}
	if (reason != NULL && used >= 0 && (size_t)used < sizeof(raw))
		snprintf(raw + used, sizeof(raw) - (size_t)used, ": %s", reason);
	text_show(to, room, raw);
}

int err_fail(struct err *err, int status, const char *subject, const char *format, ...)
{
	va_list arguments;

	if (err->status != STATUS_DONE)
		return -1;
	err->status = status;
	va_start(arguments, format);
	compose(err->text, sizeof(err->text), subject, format, arguments, NULL);
	va_end(arguments);
	return -1;
}

int err_errno(struct err *err, int status, const char *subject, const char *format, ...)
{
	const int error = errno;
	va_list arguments;

	if (err->status != STATUS_DONE)
		return -1;
	err->status = status;
	va_start(arguments, format);
	compose(err->text, sizeof(err->text), subject, format, arguments, strerror(error));
	va_end(arguments);
	return -1;
}

void err_clear(struct err *err)
{
	err->status = STATUS_DONE;
	err->text[0] = '\0';
}

int err_print(const struct err *err)
{
	if (err->status != STATUS_DONE)
		fprintf(stderr, "%s: %s\n", err_program, err->text);
	return err->status;
}

static void __attribute__((format(printf, 2, 0)))
say(const char *subject, const char *format, va_list arguments)
{
	char text[sizeof(((struct err *)NULL)->text)];

	compose(text, sizeof(text), subject, format, arguments, NULL);
	fprintf(stderr, "%s: %s\n", err_program, text);
}

void warn(const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(subject, format, arguments);
	va_end(arguments);
}

void note(const char *subject, const char *format, ...)
{
	va_list arguments;

	if (err_quiet)
		return;
	va_start(arguments, format);
	say(subject, format, arguments);
	va_end(arguments);
}

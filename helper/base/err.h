/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * err.h: why something failed, as one line for a person and one exit status for a script.
 *
 * Library functions return 0 (or a result) or -1, and take a `struct err *` as their last parameter, never
 * NULL, which they fill in when they return -1. They never print and never exit: mains and command files do
 * (err_print). Where a failure is reported on top of another one the first stays.
 */
#ifndef HELPER_BASE_ERR_H
#define HELPER_BASE_ERR_H

/* Exit statuses of rcu-repo (the contract's section 4); rcu-exec has its own on top (helper/rcu-exec.c). */
enum {
	STATUS_DONE = 0,
	STATUS_FAILED = 1, /* the published state is as before */
	STATUS_USAGE = 2,  /* usage or configuration: nothing was touched */
	STATUS_BUSY = 75,  /* another process holds the lock */
};

struct err {
	int status;      /* 0: nothing failed yet */
	char text[1024]; /* "subject: cause", one line; shown as text_show() does */
};

#define ERR_NONE                      \
	{                             \
		.status = STATUS_DONE \
	}

/* Each sets *err to "subject: cause" with a status, unless it is set already, and returns -1. err_errno adds
 * ": " and strerror(errno). */
int err_fail(struct err *err, int status, const char *subject, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int err_errno(struct err *err, int status, const char *subject, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

void err_clear(struct err *err);

/* Prints "PROGRAM: text" to stderr (nothing if unset); returns the status. For command files and mains. */
int err_print(const struct err *err);

/* A message that is no failure: "PROGRAM: subject: text" to stderr, for command files and mains. note() is
 * silent under --quiet. */
void warn(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));
void note(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set once by main: the name before the first colon, and whether note() speaks. */
extern const char *err_program;
extern int err_quiet;

#endif

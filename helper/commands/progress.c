/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/progress.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/err.h"
#include "helper/base/text.h"

#define CLEAR "\r\033[K"

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool running, ending, shown;
	time_t begun;
	char text[160];
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* Once a second, under the lock but for the waiting. */
static void *show(void *unused)
{
	struct timespec next;

	(void)unused;
	pthread_mutex_lock(&progress.lock);
	clock_gettime(CLOCK_MONOTONIC, &next);
	while (!progress.ending) {
		next.tv_sec++;
		while (!progress.ending &&
		       pthread_cond_timedwait(&progress.end, &progress.lock, &next) != ETIMEDOUT)
			;
		if (progress.ending)
			break;
		fprintf(stderr, CLEAR "%s: %s (%jd s)", err_program, progress.text,
			(intmax_t)(now() - progress.begun));
		fflush(stderr);
		progress.shown = true;
	}
	pthread_mutex_unlock(&progress.lock);
	return NULL;
}

static void start(void)
{
	pthread_condattr_t attributes;
	sigset_t all, old;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&progress.end, &attributes);
	pthread_condattr_destroy(&attributes);
	progress.begun = now();
	progress.ending = progress.shown = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	progress.running = pthread_create(&progress.thread, NULL, show, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void progress_step(const char *format, ...)
{
	char text[sizeof(progress.text)];
	va_list arguments;

	if (err_quiet || !isatty(STDERR_FILENO))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	pthread_mutex_lock(&progress.lock);
	text_show(progress.text, sizeof(progress.text), text);
	pthread_mutex_unlock(&progress.lock);
	if (!progress.running)
		start();
}

void progress_end(void)
{
	if (!progress.running)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.ending = true;
	pthread_cond_signal(&progress.end);
	pthread_mutex_unlock(&progress.lock);
	pthread_join(progress.thread, NULL);
	pthread_cond_destroy(&progress.end);
	if (progress.shown) {
		fputs(CLEAR, stderr);
		fflush(stderr);
	}
	progress.running = false;
}

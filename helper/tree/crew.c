/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "helper/base/alloc.h"

#define CREW_MAX 8

/* With less to do than this one thread is done before another has started. */
#define JOBS_ALONE 16

struct worker {
	struct crew *crew;
	pthread_t thread;
	pthread_mutex_t lock; /* of the jobs; nothing else is locked under it */
	void **jobs;          /* jobs[first .. end) */
	size_t first, end, room;
};

struct crew {
	crew_work work;
	void *context;
	struct worker workers[CREW_MAX];
	unsigned count;       /* that there could be */
	atomic_uint started;  /* that there are */
	atomic_size_t undone; /* jobs that were added and have not returned */
	pthread_mutex_t idle_lock;
	pthread_cond_t idle; /* a job was added, or the last one returned */
	atomic_uint sleeping;
};

static void wake(struct crew *crew)
{
	if (atomic_load(&crew->sleeping) == 0)
		return;
	pthread_mutex_lock(&crew->idle_lock);
	pthread_cond_broadcast(&crew->idle);
	pthread_mutex_unlock(&crew->idle_lock);
}

static size_t jobs_push(struct worker *worker, void *job)
{
	pthread_mutex_lock(&worker->lock);
	if (worker->end == worker->room) {
		const size_t count = worker->end - worker->first;

		if (count * 2 >= worker->room) {
			worker->room = worker->room * 2 + 64;
			worker->jobs = alloc_grow(worker->jobs, worker->room, sizeof(*worker->jobs));
		}
		memmove(worker->jobs, worker->jobs + worker->first, count * sizeof(*worker->jobs));
		worker->first = 0;
		worker->end = count;
	}
	worker->jobs[worker->end++] = job;
	const size_t count = worker->end - worker->first;
	pthread_mutex_unlock(&worker->lock);
	return count;
}

/* The newest (for its owner) or the oldest job; NULL: there is none. */
static void *jobs_pop(struct worker *worker, bool newest)
{
	void *job = NULL;

	pthread_mutex_lock(&worker->lock);
	if (worker->first < worker->end)
		job = worker->jobs[newest ? --worker->end : worker->first++];
	pthread_mutex_unlock(&worker->lock);
	return job;
}

static void *job_find(struct worker *self)
{
	struct crew *crew = self->crew;
	const unsigned count = atomic_load(&crew->started), at = (unsigned)(self - crew->workers);
	void *job = jobs_pop(self, true);

	for (unsigned i = 1; job == NULL && i < count; i++)
		job = jobs_pop(&crew->workers[(at + i) % count], false);
	return job;
}

/*
 * Looks once more after it has said that it sleeps: who adds a job behind that look sees somebody sleeping, and wakes
 * him under the lock, which he has until he waits.
 */
static void *job_wait(struct worker *self)
{
	struct crew *crew = self->crew;
	void *job;

	pthread_mutex_lock(&crew->idle_lock);
	atomic_fetch_add(&crew->sleeping, 1);
	while ((job = job_find(self)) == NULL && atomic_load(&crew->undone) != 0)
		pthread_cond_wait(&crew->idle, &crew->idle_lock);
	atomic_fetch_sub(&crew->sleeping, 1);
	pthread_mutex_unlock(&crew->idle_lock);
	return job;
}

static void *worker_run(void *argument)
{
	struct worker *self = argument;
	struct crew *crew = self->crew;
	void *job;

	while ((job = job_find(self)) != NULL || (job = job_wait(self)) != NULL) {
		crew->work(self, job);
		if (atomic_fetch_sub(&crew->undone, 1) == 1)
			wake(crew);
	}
	return NULL;
}

/* Only the caller's thread gets here, and only once. One that cannot be started is not missed. */
static void crew_start(struct crew *crew)
{
	for (unsigned i = 1; i < crew->count; i++) {
		if (pthread_create(&crew->workers[i].thread, NULL, worker_run, &crew->workers[i]) != 0)
			break;
		atomic_store(&crew->started, i + 1);
	}
	crew->count = atomic_load(&crew->started);
}

void crew_add(struct worker *worker, void *job)
{
	struct crew *crew = worker->crew;

	atomic_fetch_add(&crew->undone, 1);
	const size_t count = jobs_push(worker, job);
	if (count >= JOBS_ALONE && worker == crew->workers && atomic_load(&crew->started) == 1 &&
	    crew->count > 1)
		crew_start(crew);
	wake(crew);
}

void *crew_context(const struct worker *worker)
{
	return worker->crew->context;
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	const int count = CPU_COUNT(&set);
	return count > CREW_MAX ? CREW_MAX : (unsigned)count;
}

void crew_run(crew_work work, void *context, void *first)
{
	struct crew crew = { .work = work, .context = context, .count = processors() };

	atomic_init(&crew.started, 1);
	atomic_init(&crew.undone, 0);
	atomic_init(&crew.sleeping, 0);
	pthread_mutex_init(&crew.idle_lock, NULL);
	pthread_cond_init(&crew.idle, NULL);
	for (unsigned i = 0; i < CREW_MAX; i++) {
		crew.workers[i].crew = &crew;
		pthread_mutex_init(&crew.workers[i].lock, NULL);
	}
	crew_add(&crew.workers[0], first);
	worker_run(&crew.workers[0]);
	for (unsigned i = 1; i < atomic_load(&crew.started); i++)
		pthread_join(crew.workers[i].thread, NULL);
	for (unsigned i = 0; i < CREW_MAX; i++) {
		pthread_mutex_destroy(&crew.workers[i].lock);
		free(crew.workers[i].jobs);
	}
	pthread_cond_destroy(&crew.idle);
	pthread_mutex_destroy(&crew.idle_lock);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/commands/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/text.h"

/* A line without an end is passed on when it has become so long. */
#define LINE_MAX_BYTES 65536
#define COLUMNS_DEFAULT 80

/* The first byte of what goes through the pair of sockets. */
enum {
	SAYS_STEP = 's',
	SAYS_MESSAGE = 'm'
};

struct job {
	pid_t pid;  /* 0: not begun, or ended */
	int output; /* its stderr */
	int talk;   /* our end of the pair of sockets */
	bool begun, resting;
	time_t since;
	char step[32];
	char *line; /* what it has written since its last newline */
	size_t length;
};

struct jobs_state {
	struct jobs *jobs;
	struct job *list;
	int signals;   /* a signalfd */
	sigset_t mask; /* as it was */
	int ended_by;  /* the signal that somebody sent us; 0: none */
	bool terminal; /* stderr is one */
	size_t shown;  /* lines of progress at its bottom now */
	char *out;     /* what is to be written to it */
	size_t out_length;
};

/* In a child: the other end of the pair. */
static int child_talk = -1;

/* ---- the child's side ---- */

static void end_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int say(char kind, const char *text)
{
	const size_t length = strlen(text);

	if (child_talk < 0 || length + 2 > JOB_MESSAGE_MAX)
		return -1;
	char *message = alloc_printf("%c%s", kind, text);
	const ssize_t sent = send(child_talk, message, length + 1, MSG_NOSIGNAL);
	free(message);
	return sent < 0 ? -1 : 0;
}

void job_step(const char *what)
{
	say(SAYS_STEP, what);
}

int job_say(const char *message)
{
	return say(SAYS_MESSAGE, message);
}

int job_hear(char *to)
{
	ssize_t length;

	if (child_talk < 0)
		return -1;
	while ((length = recv(child_talk, to, JOB_MESSAGE_MAX - 1, 0)) < 0 && errno == EINTR)
		;
	if (length <= 0)
		return -1;
	to[length] = '\0';
	return 0;
}

static void __attribute__((noreturn))
child_run(struct jobs_state *state, size_t number, pid_t parent, int output, int talk)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(STATUS_FAILED);
	for (size_t i = 0; i < state->jobs->count; i++)
		if (state->list[i].pid != 0) {
			end_close(&state->list[i].output);
			end_close(&state->list[i].talk);
		}
	close(state->signals);
	/* Two that ask at one terminal cannot be told apart. */
	if (dup2(output, STDERR_FILENO) < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0)
		_exit(STATUS_FAILED);
	close(output);
	close(nothing);
	child_talk = talk;
	sigprocmask(SIG_SETMASK, &state->mask, NULL);
	const int status = state->jobs->work(state->jobs->context, number);
	fflush(NULL);
	_exit(status);
}

/* ---- what is shown ---- */

static void out_add(struct jobs_state *state, const char *text, size_t length)
{
	state->out = alloc_grow(state->out, state->out_length + length, 1);
	memcpy(state->out + state->out_length, text, length);
	state->out_length += length;
}

static void out_text(struct jobs_state *state, const char *text)
{
	out_add(state, text, strlen(text));
}

static void out_write(struct jobs_state *state)
{
	for (size_t done = 0; done < state->out_length;) {
		ssize_t wrote = write(STDERR_FILENO, state->out + done, state->out_length - done);

		if (wrote < 0 && errno != EINTR)
			break;
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	state->out_length = 0;
}

static void progress_hide(struct jobs_state *state)
{
	for (; state->shown > 0; state->shown--)
		out_text(state, "\033[A\033[2K");
}

static void progress_line(struct jobs_state *state, size_t number, size_t columns)
{
	const struct job *job = &state->list[number];
	char *name = text_line(state->jobs->name(state->jobs->context, number));
	char *line = alloc_printf("%s: %s, %jd s", name, job->step, (intmax_t)(time(NULL) - job->since));

	/* One that is wider than the terminal would be two. Bytes are not columns, but never fewer. */
	out_add(state, line, strnlen(line, columns - 1));
	out_text(state, "\n");
	free(line);
	free(name);
	state->shown++;
}

static void progress_show(struct jobs_state *state)
{
	struct winsize size;

	if (!state->terminal || err_quiet)
		return;
	const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && size.ws_row > 1;
	const size_t columns = known ? size.ws_col : COLUMNS_DEFAULT;
	const size_t rows = known ? size.ws_row - 1U : SIZE_MAX;
	progress_hide(state);
	for (size_t i = 0; i < state->jobs->count && state->shown < rows; i++)
		if (state->list[i].pid != 0)
			progress_line(state, i, columns);
}

/* One line of a job's, without its end: ours as it is, anybody else's with the job's name. */
static void line_show(struct jobs_state *state, size_t number)
{
	struct job *job = &state->list[number];
	const size_t ours = strlen(err_program);

	progress_hide(state);
	if (job->length <= ours || strncmp(job->line, err_program, ours) != 0 || job->line[ours] != ':') {
		char *name = text_line(state->jobs->name(state->jobs->context, number));

		out_text(state, name);
		out_text(state, ": ");
		free(name);
	}
	out_add(state, job->line, job->length);
	out_text(state, "\n");
	job->length = 0;
}

static void output_take(struct jobs_state *state, size_t number, const char *text, size_t length)
{
	struct job *job = &state->list[number];

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n' || job->length == LINE_MAX_BYTES)
			line_show(state, number);
		if (text[i] != '\n')
			job->line[job->length++] = text[i];
	}
}

/* What is there now. */
static void output_read(struct jobs_state *state, size_t number)
{
	int *output = &state->list[number].output;
	char text[16384];
	ssize_t length;

	if (*output < 0)
		return;
	while ((length = read(*output, text, sizeof(text))) > 0)
		output_take(state, number, text, (size_t)length);
	if (length == 0)
		end_close(output);
}

/* ---- the parent's side ---- */

static void talk_read(struct jobs_state *state, size_t number)
{
	struct job *job = &state->list[number];
	char *message = alloc_grow(NULL, JOB_MESSAGE_MAX, 1);
	ssize_t length = -1;

	while (job->talk >= 0 && (length = recv(job->talk, message, JOB_MESSAGE_MAX - 1, MSG_DONTWAIT)) > 0) {
		message[length] = '\0';
		if (message[0] == SAYS_STEP)
			snprintf(job->step, sizeof(job->step), "%.31s", message + 1);
		else if (state->jobs->heard)
			state->jobs->heard(state->jobs->context, number, message + 1, 0);
	}
	if (length == 0)
		end_close(&job->talk);
	free(message);
}

void jobs_tell(const struct jobs *jobs, size_t number, const char *message)
{
	struct job *job = &jobs->state->list[number];

	if (job->pid != 0)
		send(job->talk, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT);
	job->resting = false;
}

void jobs_rest(const struct jobs *jobs, size_t number)
{
	jobs->state->list[number].resting = true;
}

static void job_ended(struct jobs_state *state, size_t number, int status)
{
	struct job *job = &state->list[number];

	/* What it started may live on and keep the pipe: what is in it now is all that counts. */
	output_read(state, number);
	if (job->length)
		line_show(state, number);
	talk_read(state, number);
	end_close(&job->output);
	end_close(&job->talk);
	free(job->line);
	job->line = NULL;
	job->pid = 0;
	if (state->jobs->heard)
		state->jobs->heard(state->jobs->context, number, NULL,
				   WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int job_begin(struct jobs_state *state, size_t number, struct err *err)
{
	struct job *job = &state->list[number];
	int output[2], talk[2];

	if (pipe2(output, O_CLOEXEC) != 0)
		return err_errno(err, STATUS_FAILED, "jobs", "pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk) != 0) {
		close(output[0]);
		close(output[1]);
		return err_errno(err, STATUS_FAILED, "jobs", "socketpair");
	}
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	fflush(NULL);
	const pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		child_run(state, number, parent, output[1], talk[1]);
	close(output[1]);
	close(talk[1]);
	job->output = output[0];
	job->talk = talk[0];
	if (pid < 0) {
		close(output[0]);
		close(talk[0]);
		return err_errno(err, STATUS_FAILED, "jobs", "fork");
	}
	job->begun = true;
	job->pid = pid;
	job->since = time(NULL);
	job->line = alloc_grow(NULL, LINE_MAX_BYTES, 1);
	snprintf(job->step, sizeof(job->step), "%s", "starting");
	return 0;
}

static int jobs_begin(struct jobs_state *state, struct err *err)
{
	size_t running = 0;
	int result = 0;

	for (size_t i = 0; i < state->jobs->count; i++)
		running += state->list[i].pid != 0 && !state->list[i].resting;
	for (size_t i = 0; i < state->jobs->count && running < state->jobs->limit; i++) {
		if (state->list[i].begun || state->ended_by != 0)
			continue;
		if (job_begin(state, i, err) != 0) {
			result = -1;
			break;
		}
		running++;
	}
	return result;
}

/* None is begun any more: those that were not have ended, as far as others may wait for them. */
static void jobs_give_up(struct jobs_state *state)
{
	for (size_t i = 0; i < state->jobs->count; i++)
		if (!state->list[i].begun) {
			state->list[i].begun = true;
			if (state->jobs->heard)
				state->jobs->heard(state->jobs->context, i, NULL, STATUS_FAILED);
		}
}

/* One signal that came. What the terminal sends reaches the children without us. */
static void signal_take(struct jobs_state *state)
{
	struct signalfd_siginfo info;
	int status;

	while (read(state->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		state->ended_by = (int)info.ssi_signo;
		for (size_t i = 0; i < state->jobs->count && info.ssi_code != SI_KERNEL; i++)
			if (state->list[i].pid != 0)
				kill(state->list[i].pid, (int)info.ssi_signo);
	}
	for (size_t i = 0; i < state->jobs->count; i++)
		if (state->list[i].pid != 0 &&
		    waitpid(state->list[i].pid, &status, WNOHANG) == state->list[i].pid)
			job_ended(state, i, status);
}

static bool jobs_running(const struct jobs_state *state)
{
	for (size_t i = 0; i < state->jobs->count; i++)
		if (state->list[i].pid != 0)
			return true;
	return false;
}

/* Waits until something happens, and for what is shown a second at most. */
static void jobs_listen(struct jobs_state *state)
{
	const size_t count = state->jobs->count;
	struct pollfd *polls = alloc_grow(NULL, 2 * count + 1, sizeof(*polls));

	polls[2 * count] = (struct pollfd){ .fd = state->signals, .events = POLLIN };
	for (size_t i = 0; i < count; i++) {
		const struct job *job = &state->list[i];

		polls[2 * i] = (struct pollfd){ .fd = job->pid ? job->output : -1, .events = POLLIN };
		polls[2 * i + 1] = (struct pollfd){ .fd = job->pid ? job->talk : -1, .events = POLLIN };
	}
	if (poll(polls, 2 * count + 1, state->terminal ? 1000 : -1) > 0) {
		for (size_t i = 0; i < count; i++) {
			if (polls[2 * i].revents)
				output_read(state, i);
			if (polls[2 * i + 1].revents)
				talk_read(state, i);
		}
		if (polls[2 * count].revents)
			signal_take(state);
	}
	free(polls);
}

/* Blocks what we want to hear of; what is ignored (nohup) stays so. */
static int signals_take(struct jobs_state *state, struct err *err)
{
	static const int handed_on[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t taken;

	sigemptyset(&taken);
	sigaddset(&taken, SIGCHLD);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++) {
		struct sigaction now;

		if (sigaction(handed_on[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&taken, handed_on[i]);
	}
	state->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (state->signals < 0)
		return err_errno(err, STATUS_FAILED, "jobs", "signalfd");
	sigprocmask(SIG_BLOCK, &taken, &state->mask);
	return 0;
}

int jobs_run(struct jobs *jobs, struct err *err)
{
	struct jobs_state state = { .jobs = jobs, .terminal = isatty(STDERR_FILENO) == 1 };

	if (signals_take(&state, err) != 0)
		return -1;
	jobs->state = &state;
	state.list = alloc_grow(NULL, jobs->count, sizeof(*state.list));
	memset(state.list, 0, jobs->count * sizeof(*state.list));
	int result = jobs_begin(&state, err);
	while (jobs_running(&state)) {
		jobs_listen(&state);
		if (result == 0)
			result = jobs_begin(&state, err);
		if (result != 0 || state.ended_by != 0)
			jobs_give_up(&state);
		progress_show(&state);
		out_write(&state);
	}
	progress_hide(&state);
	out_write(&state);
	if (state.ended_by != 0)
		result = err_fail(err, STATUS_FAILED, "jobs", "ended by signal %d (%s)", state.ended_by,
				  strsignal(state.ended_by));
	sigprocmask(SIG_SETMASK, &state.mask, NULL);
	close(state.signals);
	free(state.list);
	free(state.out);
	jobs->state = NULL;
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that name no path, after which a path may mean something else: what is remembered of paths must not outlive them (memory.h).
 *
 * None of them is refused or changed; each tells the memory what has happened, and keeps errno.
 */
#define EXPORT_view EXPORT
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "preload/exec.h"
#include "preload/wrap.h"

/* --- the working directory --- */

int wrap_fchdir(int fd)
{
	memory_cwd_begin();
	int result = next()->fchdir(fd);
	memory_cwd_end(result == 0);
	return result;
}

/* libc forks inside, and the parent ends there: who comes back is the child, in "/". */
int wrap_daemon(int keep_directory, int keep_streams)
{
	memory_cwd_begin();
	int result = next()->daemon(keep_directory, keep_streams);
	if (result == 0)
		memory_own();
	memory_cwd_end(result == 0 && !keep_directory);
	return result;
}

/* What shall fork. */
static const struct next *forker(void)
{
	if (shim_active())
		next_find_exec();
	return next();
}

static pid_t owned(pid_t pid)
{
	if (pid == 0)
		memory_own();
	return pid;
}

pid_t wrap_fork(void)
{
	return owned(forker()->fork());
}

pid_t wrap__Fork(void)
{
	return owned(forker()->_Fork());
}

pid_t wrap___fork(void)
{
	return owned(forker()->__fork());
}

/* --- namespaces --- */

/* A thread that has a root and a cwd of its own shares its memory all the same. */
int wrap_unshare(int flags)
{
	int result = next()->unshare(flags);

	if (result == 0 && (flags & (CLONE_FS | CLONE_NEWNS | CLONE_NEWUSER)))
		memory_off();
	return result;
}

int wrap_setns(int fd, int type)
{
	exec_pins_keep();
	int result = next()->setns(fd, type);

	exec_pins_settle();
	if (result == 0 && (type == 0 || (type & (CLONE_NEWNS | CLONE_NEWUSER))))
		memory_off();
	return result;
}

/* --- a filter of system calls --- */

/* Variadic in libc; what was not passed is a register with anything in it, and goes on as it came. */
typedef int prctl_call(int, unsigned long, unsigned long, unsigned long, unsigned long);

static int control(prctl_call *call, int option, unsigned long a, unsigned long b, unsigned long c,
		   unsigned long d)
{
	bool filters = option == PR_SET_SECCOMP && shim_active();

	if (filters)
		map_confine_prepare();
	int result = call(option, a, b, c, d);
	if (filters && result == 0)
		map_confine();
	return result;
}

int wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return control(next()->prctl, option, a, b, c, d);
}

#ifdef __i386__
int wrap___prctl_time64(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return control(next()->__prctl_time64, option, a, b, c, d);
}
#endif

/* --- children: one that has ended may have moved links (a script that runs ln -s) --- */

static pid_t ended(pid_t pid)
{
	/* With SIGCHLD ignored the last one has ended when there is none. */
	if (pid > 0 || (pid < 0 && errno == ECHILD))
		memory_forget();
	return pid;
}

pid_t wrap_wait(int *status)
{
	return ended(next()->wait(status));
}

pid_t wrap___wait(int *status)
{
	return ended(next()->__wait(status));
}

pid_t wrap_waitpid(pid_t pid, int *status, int options)
{
	return ended(next()->waitpid(pid, status, options));
}

pid_t wrap___waitpid(pid_t pid, int *status, int options)
{
	return ended(next()->__waitpid(pid, status, options));
}

pid_t wrap_wait3(int *status, int options, struct rusage *usage)
{
	return ended(next()->wait3(status, options, usage));
}

pid_t wrap_wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	return ended(next()->wait4(pid, status, options, usage));
}

#ifdef __i386__
pid_t wrap___wait3_time64(int *status, int options, struct rusage_time64 *usage)
{
	return ended(next()->__wait3_time64(status, options, usage));
}

pid_t wrap___wait4_time64(pid_t pid, int *status, int options, struct rusage_time64 *usage)
{
	return ended(next()->__wait4_time64(pid, status, options, usage));
}
#endif

/* Success without a child is told by si_pid alone (WNOHANG). */
int wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	int result = next()->waitid(type, id, info, options);

	if (result == 0 ? !info || info->si_pid != 0 : errno == ECHILD)
		memory_forget();
	return result;
}

int wrap_pclose(FILE *stream)
{
	int result = next()->pclose(stream);

	memory_forget();
	return result;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys.h: system calls without libc.
 *
 * The shim decides things inside other people's processes: between vfork and exec, in signal handlers, before
 * libc's constructors, behind other preloads. What it asks the kernel for its own decisions therefore goes
 * past every wrapper, its own included, and never touches errno.
 *
 * Every function returns what the kernel returned: a result, or -errno (in -4095 ... -1). None allocates,
 * locks or is a cancellation point. `struct stat` is the kernel's own on x86_64 (bits/struct_stat.h says the
 * same).
 */
#ifndef CORE_SYS_H
#define CORE_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>

#ifndef __x86_64__
#error "core/sys.h: write sys_call for this machine"
#endif

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline int sys_openat(int dir, const char *path, int flags)
{
	return (int)sys_call(SYS_openat, dir, (long)path, flags, 0, 0, 0);
}

static inline int sys_close(int fd)
{
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline ssize_t sys_read(int fd, void *to, size_t room)
{
	return sys_call(SYS_read, fd, (long)to, (long)room, 0, 0, 0);
}

static inline int sys_fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return (int)sys_call(SYS_newfstatat, dir, (long)path, (long)st, flags, 0, 0);
}

static inline int sys_fstat(int fd, struct stat *st)
{
	return (int)sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0);
}

static inline int sys_fstatfs(int fd, struct statfs *fs)
{
	return (int)sys_call(SYS_fstatfs, fd, (long)fs, 0, 0, 0, 0);
}

static inline int sys_faccessat(int dir, const char *path, int mode)
{
	return (int)sys_call(SYS_faccessat, dir, (long)path, mode, 0, 0, 0);
}

/* The target is not terminated; a result of `room` may have been cut. */
static inline ssize_t sys_readlinkat(int dir, const char *path, char *to, size_t room)
{
	return sys_call(SYS_readlinkat, dir, (long)path, (long)to, (long)room, 0, 0);
}

static inline int sys_fcntl(int fd, int command, long argument)
{
	return (int)sys_call(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

/* An address, or -errno: compare with sys_failed(). */
static inline long sys_mmap(size_t length, int protection, int flags, int fd, off_t offset)
{
	return sys_call(SYS_mmap, 0, (long)length, protection, flags, fd, offset);
}

static inline int sys_munmap(void *address, size_t length)
{
	return (int)sys_call(SYS_munmap, (long)address, (long)length, 0, 0, 0, 0);
}

static inline int sys_failed(long result)
{
	return (unsigned long)result > -4096UL;
}

#endif

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
 * same); on i386 it is where off_t has 64 bits (_FILE_OFFSET_BITS), and only there can it be asked for.
 */
#ifndef CORE_SYS_H
#define CORE_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>

#if defined(__i386__)

/* Those that fill struct stat64. */
#define SYS_newfstatat SYS_fstatat64
#undef SYS_fstat
#define SYS_fstat SYS_fstat64

/* The compiler keeps ebx and ebp for itself: they are put in by hand, out of an array. */
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	const long all[] = { number, a, b, c, d, e, f };
	long result;

	__asm__ volatile("push %%ebx\n\tpush %%ebp\n\t"
			 "mov 4(%%eax), %%ebx\n\tmov 8(%%eax), %%ecx\n\tmov 12(%%eax), %%edx\n\t"
			 "mov 16(%%eax), %%esi\n\tmov 20(%%eax), %%edi\n\tmov 24(%%eax), %%ebp\n\t"
			 "mov (%%eax), %%eax\n\tint $0x80\n\t"
			 "pop %%ebp\n\tpop %%ebx"
			 : "=a"(result)
			 : "a"(all)
			 : "ecx", "edx", "esi", "edi", "memory");
	return result;
}

#elif defined(__x86_64__)

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

#else
#error "core/sys.h: write sys_call for this machine"
#endif

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

#if !defined(__i386__) || defined(_FILE_OFFSET_BITS)

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
#ifdef __i386__
	return (int)sys_call(SYS_fstatfs64, fd, sizeof(*fs), (long)fs, 0, 0, 0);
#else
	return (int)sys_call(SYS_fstatfs, fd, (long)fs, 0, 0, 0, 0);
#endif
}

#endif

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
#ifdef __i386__
	return sys_call(SYS_mmap2, 0, (long)length, protection, flags, fd, (long)(offset / 4096));
#else
	return sys_call(SYS_mmap, 0, (long)length, protection, flags, fd, offset);
#endif
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

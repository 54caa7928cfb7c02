/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_open EXPORT
#include "guard/next.h"

#define MODE_LETTERS 7 /* as many as libc looks at (_IO_new_file_fopen) */

/* Only then is there an argument behind the flags: reading one that was not passed is undefined. */
static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define TAKE_MODE(mode, last)                   \
	mode_t mode = 0;                        \
	if (takes_mode(last)) {                 \
		va_list list_;                  \
		va_start(list_, last);          \
		(mode) = va_arg(list_, mode_t); \
		va_end(list_);                  \
	}

int wrap_open(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(open)(path, flags, mode);
}

int wrap_open64(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(open64)(path, flags, mode);
}

int wrap___open(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(__open)(path, flags, mode);
}

int wrap___open64(const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(__open64)(path, flags, mode);
}

int wrap_openat(int dir, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(dir, path, flags) ? -1 : NEXT(openat)(dir, path, flags, mode);
}

int wrap_openat64(int dir, const char *path, int flags, ...)
{
	TAKE_MODE(mode, flags)
	return own_open(dir, path, flags) ? -1 : NEXT(openat64)(dir, path, flags, mode);
}

/* The forms of _FORTIFY_SOURCE end the program where a mode is missing: that is libc's to do. */
int wrap___open_2(const char *path, int flags)
{
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(__open_2)(path, flags);
}

int wrap___open64_2(const char *path, int flags)
{
	return own_open(AT_FDCWD, path, flags) ? -1 : NEXT(__open64_2)(path, flags);
}

int wrap___openat_2(int dir, const char *path, int flags)
{
	return own_open(dir, path, flags) ? -1 : NEXT(__openat_2)(dir, path, flags);
}

int wrap___openat64_2(int dir, const char *path, int flags)
{
	return own_open(dir, path, flags) ? -1 : NEXT(__openat64_2)(dir, path, flags);
}

#define CREATES (O_CREAT | O_WRONLY | O_TRUNC)

int wrap_creat(const char *path, mode_t mode)
{
	return own_open(AT_FDCWD, path, CREATES) ? -1 : NEXT(creat)(path, mode);
}

int wrap_creat64(const char *path, mode_t mode)
{
	return own_open(AT_FDCWD, path, CREATES) ? -1 : NEXT(creat64)(path, mode);
}

/* ---- streams: libc opens inside libc, past us ---- */

/* A mode that is none is taken for reading: libc says EINVAL. */
static int stream_flags(const char *mode)
{
	int flags = mode[0] == 'w' || mode[0] == 'a' ? O_WRONLY | O_CREAT : O_RDONLY;

	for (int i = 0; i < MODE_LETTERS && mode[i]; i++) {
		if (mode[i] == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (mode[i] == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

static FILE *stream_open(FILE *(*call)(const char *, const char *), const char *path, const char *mode)
{
	return own_open(AT_FDCWD, path, stream_flags(mode)) ? NULL : call(path, mode);
}

FILE *wrap_fopen(const char *path, const char *mode)
{
	return stream_open(NEXT(fopen), path, mode);
}

FILE *wrap_fopen64(const char *path, const char *mode)
{
	return stream_open(NEXT(fopen64), path, mode);
}

FILE *wrap__IO_fopen(const char *path, const char *mode)
{
	return stream_open(NEXT(_IO_fopen), path, mode);
}

/* A path of NULL is the stream's own file once more, with another mode. */
static FILE *stream_reopen(FILE *(*call)(const char *, const char *, FILE *), const char *path,
			   const char *mode, FILE *stream)
{
	const int flags = stream_flags(mode);
	int result = 0;

	if (path)
		result = own_open(AT_FDCWD, path, flags);
	else if ((flags & O_ACCMODE) != O_RDONLY && stream->_fileno >= 0)
		result = own_descriptor(stream->_fileno);
	if (result == 0)
		return call(path, mode, stream);
	const int error = errno;
	call("", mode, stream); /* a failure, too, closes the stream */
	errno = error;
	return NULL;
}

FILE *wrap_freopen(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(NEXT(freopen), path, mode, stream);
}

FILE *wrap_freopen64(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(NEXT(freopen64), path, mode, stream);
}

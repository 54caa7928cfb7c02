/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define EXPORT_stdio EXPORT
#include "core/names.h"
#include "preload/wrap.h"

#define MODE_LETTERS 7 /* as many as libc looks at (_IO_new_file_fopen) */

/* The flags of open(2) that a mode of fopen(3) stands for. A mode that is none is taken for reading: libc says EINVAL. */
int stream_flags(const char *mode)
{
	int flags;

	switch (mode[0]) {
	case 'w':
		flags = O_WRONLY | O_CREAT | O_TRUNC;
		break;
	case 'a':
		flags = O_WRONLY | O_CREAT | O_APPEND;
		break;
	default:
		flags = O_RDONLY;
	}
	if (mode[0] == '\0')
		return flags;
	for (int i = 1; i < MODE_LETTERS && mode[i]; i++) {
		if (mode[i] == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (mode[i] == 'x')
			flags |= O_EXCL;
	}
	return flags;
}

/* What libc opens for a path of NULL: the stream's own file once more, by procfs (fd_to_filename() in glibc). */
static int again_refused(FILE *stream, int flags)
{
	char door[] = "/proc/self/fd/2147483647";
	struct mapped m = { .dir = AT_FDCWD, .path = door };

	if (stream->_fileno < 0)
		return 0;
	snapshot_number_format((uint64_t)stream->_fileno, door + sizeof("/proc/self/fd/") - 1);
	return open_refused(&m, flags);
}

static FILE *stream_open(FILE *(*call)(const char *, const char *), const char *path, const char *mode)
{
	int flags = stream_flags(mode);
	MAPPED(m);
	MAP(m, AT_FDCWD, path, open_leaf(path, flags));
	int error = open_refused(&m, flags);
	if (error == 0)
		return call(m.path, mode);
	errno = error;
	return NULL;
}

FILE *wrap_fopen(const char *path, const char *mode)
{
	return stream_open(next()->fopen, path, mode);
}

FILE *wrap_fopen64(const char *path, const char *mode)
{
	return stream_open(next()->fopen64, path, mode);
}

FILE *wrap__IO_fopen(const char *path, const char *mode)
{
	return stream_open(next()->_IO_fopen, path, mode);
}

/* The path may be NULL: the stream's own file with another mode. */
static FILE *stream_reopen(FILE *(*call)(const char *, const char *, FILE *), const char *path,
			   const char *mode, FILE *stream)
{
	int flags = stream_flags(mode);
	MAPPED(m);
	MAP(m, AT_FDCWD, path, open_leaf(path, flags));
	int error = path ? open_refused(&m, flags) : again_refused(stream, flags);
	if (error == 0)
		return call(m.path, mode, stream);
	call("", mode, stream); /* a failure, too, closes the stream */
	errno = error;
	return NULL;
}

FILE *wrap_freopen(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(next()->freopen, path, mode, stream);
}

FILE *wrap_freopen64(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(next()->freopen64, path, mode, stream);
}

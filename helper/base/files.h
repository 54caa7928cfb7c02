/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files.h: the small things that every module does with descriptors. All return -1, NULL or false and errno; a
 * message is the caller's.
 */
#ifndef HELPER_BASE_FILES_H
#define HELPER_BASE_FILES_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Reads from offset `at` until `room` is full or the file ends: how much it was. */
ssize_t file_read(int fd, void *to, size_t room, off_t at);

/* The beginning of dir/name as text, terminated: its length. For /proc and other small files. */
ssize_t file_read_text(int dir, const char *name, char *to, size_t room);

/* Writes all of it at offset `at`: 0. */
int file_write(int fd, const void *from, size_t size, off_t at);

bool stat_same_inode(const struct stat *a, const struct stat *b);

/* Has dir/name (a link is not followed) still the inode that is open? False and errno 0: something else has it. */
bool file_is_named(int fd, int dir, const char *name);

/* dir/name, which is no link, for readdir(). */
DIR *directory_open(int dir, const char *name);

/* The next entry but "." and ".."; NULL at the end, and with errno set where it cannot be read. */
const struct dirent *directory_next(DIR *stream);

#endif

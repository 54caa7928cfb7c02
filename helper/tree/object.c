/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/tree/object.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/tree/climb.h"

#define CONTENT_BUFFER 65536

int object_open(int dir, const char *name, const struct statx *st, struct object *object)
{
	const bool ordinary = S_ISREG(st->stx_mode);
	const int flags = ordinary ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH;
	struct stat opened;

	object->proc[0] = '\0';
	object->fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (object->fd < 0)
		return -1;
	if (!ordinary)
		snprintf(object->proc, sizeof(object->proc), "/proc/self/fd/%d", object->fd);
	if (fstat(object->fd, &opened) == 0) {
		if (opened.st_ino == st->stx_ino && opened.st_dev == statx_dev(st) &&
		    ((opened.st_mode ^ st->stx_mode) & S_IFMT) == 0)
			return 0;
		errno = ESTALE;
	}
	object_close(object);
	return -1;
}

void object_close(struct object *object)
{
	const int error = errno;

	if (object->fd >= 0)
		close(object->fd);
	object->fd = -1;
	errno = error;
}

struct object object_of(int fd)
{
	return (struct object){ .fd = fd };
}

/* The four calls on extended attributes, by descriptor or through /proc. */

static ssize_t attr_list(const struct object *object, char *to, size_t room)
{
	return object->proc[0] != '\0' ? listxattr(object->proc, to, room) : flistxattr(object->fd, to, room);
}

static ssize_t attr_get(const struct object *object, const char *name, void *to, size_t room)
{
	return object->proc[0] != '\0' ? getxattr(object->proc, name, to, room)
				       : fgetxattr(object->fd, name, to, room);
}

static int attr_set(const struct object *object, const char *name, const void *value, size_t size)
{
	return object->proc[0] != '\0' ? setxattr(object->proc, name, value, size, 0)
				       : fsetxattr(object->fd, name, value, size, 0);
}

static int attr_remove(const struct object *object, const char *name)
{
	return object->proc[0] != '\0' ? removexattr(object->proc, name) : fremovexattr(object->fd, name);
}

struct bytes {
	char *data; /* NULL: there is no such thing */
	size_t size;
};

/* The value of an attribute, or with no name the list of names. */
static int attr_read(const struct object *object, const char *name, struct bytes *bytes)
{
	ssize_t size;

	bytes->data = NULL;
	bytes->size = 0;
	for (;;) {
		size = name != NULL ? attr_get(object, name, NULL, 0) : attr_list(object, NULL, 0);
		if (size <= 0)
			break;
		bytes->data = alloc_grow(bytes->data, (size_t)size, 1);
		size = name != NULL ? attr_get(object, name, bytes->data, (size_t)size)
				    : attr_list(object, bytes->data, (size_t)size);
		if (size >= 0 || errno != ERANGE)
			break;
	}
	if (size >= 0) {
		if (bytes->data == NULL)
			bytes->data = alloc_grow(NULL, 1, 1);
		bytes->size = (size_t)size;
		return 0;
	}
	free(bytes->data);
	bytes->data = NULL;
	return errno == ENODATA || errno == ENOTSUP ? 0 : -1;
}

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

static bool owners_left;

void object_leave_owners(void)
{
	owners_left = true;
}

/* What belongs to a file, and not to the file system that shows it. An EVM signature is of one inode. */
static bool attr_counts(const char *name)
{
	if (strcmp(name, "security.evm") == 0)
		return false;
	if (strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0)
		return !owners_left;
	return strncmp(name, "user.", 5) == 0 || strcmp(name, ACL_ACCESS) == 0 ||
	       strcmp(name, ACL_DEFAULT) == 0;
}

static bool bytes_same(const struct bytes *a, const struct bytes *b)
{
	if (a->data == NULL || b->data == NULL)
		return a->data == b->data;
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* 1 if both have the same value for `name`, or neither has one. `of_a` is the caller's to free. */
static int attr_same(const struct object *a, const struct object *b, const char *name, struct bytes *of_a)
{
	struct bytes of_b;

	if (attr_read(a, name, of_a) != 0)
		return -1;
	if (attr_read(b, name, &of_b) != 0)
		return -1;
	int same = bytes_same(of_a, &of_b);
	free(of_b.data);
	return same;
}

/* The next name of a list that counts, from *at on. */
static const char *attr_next(const struct bytes *list, size_t *at)
{
	while (*at < list->size) {
		const char *name = list->data + *at;

		*at += strlen(name) + 1;
		if (attr_counts(name))
			return name;
	}
	return NULL;
}

/* An equal value is not set again: a label or a capability may be there already for one who may not set it. */
static int attr_copy(const struct object *from, const struct object *to, const char *name)
{
	struct bytes value;
	int result = attr_same(from, to, name, &value);

	if (result == 0)
		result = value.data != NULL ? attr_set(to, name, value.data, value.size)
					    : attr_remove(to, name);
	else if (result == 1)
		result = 0;
	free(value.data);
	return result;
}

/* An ACL that a new object got from its directory's default is taken off where the source has none. Other names
 * do not come by themselves, or (labels) are the system's to give. */
static int drop_inherited(const struct object *from, const struct object *to)
{
	struct bytes list;
	const char *name;
	size_t at = 0;
	int result = 0;

	if (attr_read(to, NULL, &list) != 0)
		return -1;
	while (result == 0 && (name = attr_next(&list, &at)) != NULL)
		if (strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0)
			result = attr_copy(from, to, name);
	free(list.data);
	return result;
}

/* 1 if there was something to do, 0 if neither has any. */
static int attrs_copy(const struct object *from, const struct object *to, bool inherits)
{
	struct bytes list;
	const char *name;
	size_t at = 0;

	if (attr_read(from, NULL, &list) != 0)
		return -1;
	const int some = inherits || list.size != 0;
	int result = inherits ? drop_inherited(from, to) : 0;
	while (result == 0 && (name = attr_next(&list, &at)) != NULL)
		result = attr_copy(from, to, name);
	free(list.data);
	return result == 0 ? some : -1;
}

/* 1 if every attribute of a is in b with the same value; *count of them. */
static int attrs_within(const struct object *a, const struct object *b, size_t *count)
{
	struct bytes list, value;
	const char *name;
	size_t at = 0;
	int same = 1;

	*count = 0;
	if (attr_read(a, NULL, &list) != 0)
		return -1;
	while (same == 1 && (name = attr_next(&list, &at)) != NULL) {
		same = attr_same(a, b, name, &value);
		free(value.data);
		++*count;
	}
	free(list.data);
	return same;
}

int object_same_attributes(const struct object *a, const struct object *b)
{
	size_t of_a, of_b;
	int same = attrs_within(a, b, &of_a);

	return same == 1 ? attrs_within(b, a, &of_b) : same;
}

static int attr_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in `list` that count, in order; the caller frees them. */
static const char **attr_names(const struct bytes *list, size_t *count)
{
	const char **names = NULL, *name;
	size_t at = 0;

	*count = 0;
	while ((name = attr_next(list, &at)) != NULL) {
		names = alloc_grow(names, *count + 1, sizeof(*names));
		names[(*count)++] = name;
	}
	if (*count > 1)
		qsort(names, *count, sizeof(*names), attr_order);
	return names;
}

int object_attrs(const struct object *object,
		 void (*each)(void *context, const char *name, const void *value, size_t size), void *context)
{
	struct bytes list, value;
	size_t count;
	int result = 0;

	if (attr_read(object, NULL, &list) != 0)
		return -1;
	const char **names = attr_names(&list, &count);
	for (size_t i = 0; result == 0 && i < count; i++) {
		result = attr_read(object, names[i], &value);
		if (result == 0 && value.data != NULL)
			each(context, names[i], value.data, value.size);
		free(value.data);
	}
	free(names);
	free(list.data);
	return result;
}

static struct timespec time_of(const struct statx_timestamp *from)
{
	return (struct timespec){ .tv_sec = from->tv_sec, .tv_nsec = (long)from->tv_nsec };
}

int object_set_times(const struct object *object, const struct statx *st)
{
	const struct timespec times[2] = { time_of(&st->stx_atime), time_of(&st->stx_mtime) };

	if (object->proc[0] == '\0')
		return futimens(object->fd, times);
	return utimensat(AT_FDCWD, object->proc, times, 0);
}

static int set_mode(const struct object *object, const struct statx *st)
{
	const mode_t mode = st->stx_mode & 07777;

	if (S_ISLNK(st->stx_mode))
		return 0;
	return object->proc[0] != '\0' ? chmod(object->proc, mode) : fchmod(object->fd, mode);
}

int object_copy_metadata(const struct object *from, const struct statx *st, const struct object *to)
{
	struct statx now;

	return statx(to->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &now) != 0
		       ? -1
		       : object_give_metadata(from, st, to, &now, true);
}

int object_give_metadata(const struct object *from, const struct statx *st, const struct object *to,
			 const struct statx *now, bool inherits)
{
	const bool owned = owners_left || (now->stx_uid == st->stx_uid && now->stx_gid == st->stx_gid);

	/* chown drops set-id bits and capabilities; setting an ACL changes the mode's group bits. */
	if (!owned && fchownat(to->fd, "", st->stx_uid, st->stx_gid, AT_EMPTY_PATH) != 0)
		return -1;
	const int attrs = attrs_copy(from, to, inherits);
	if (attrs < 0)
		return -1;
	if ((!owned || attrs > 0 || now->stx_mode != st->stx_mode) && set_mode(to, st) != 0)
		return -1;
	return object_set_times(to, st);
}

bool object_inherits(const struct object *object)
{
	struct bytes list = { .data = NULL };
	const char *name;
	size_t at = 0;
	bool found = attr_read(object, NULL, &list) != 0;

	while (!found && (name = attr_next(&list, &at)) != NULL)
		found = strcmp(name, ACL_DEFAULT) == 0;
	free(list.data);
	return found;
}

static int copy_by_bytes(int from, int to, off_t at, off_t end)
{
	char *buffer = alloc_grow(NULL, CONTENT_BUFFER, 1);
	int result = 0;

	while (at < end && result == 0) {
		size_t want = end - at < CONTENT_BUFFER ? (size_t)(end - at) : CONTENT_BUFFER;
		ssize_t got = file_read(from, buffer, want, at);

		if (got > 0)
			result = file_write(to, buffer, (size_t)got, at);
		else
			result = -1;
		if (got == 0)
			errno = ESTALE;
		at += got;
	}
	free(buffer);
	return result;
}

/* One stretch of data. In the kernel where it can: some file systems refuse, and some end it early. */
static int copy_stretch(int from, int to, off_t at, off_t end)
{
	while (at < end) {
		loff_t in = at, out = at;
		ssize_t done = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
			return -1;
		if (done <= 0)
			return copy_by_bytes(from, to, at, end);
		at += done;
	}
	return 0;
}

/* Where data begins at or after `at`: `size` if there is none; `at` where the file system has no holes to tell of. */
static off_t next_data(int fd, off_t at, off_t size)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	if (data >= 0)
		return data < size ? data : size;
	return errno == ENXIO ? size : at;
}

static off_t next_hole(int fd, off_t at, off_t size)
{
	off_t hole = lseek(fd, at, SEEK_HOLE);

	return hole > at && hole < size ? hole : size;
}

int object_copy_content(const struct object *from, const struct statx *st, const struct object *to)
{
	const off_t size = (off_t)st->stx_size;

	if (size == 0 || ioctl(to->fd, FICLONE, from->fd) == 0)
		return 0;
	for (off_t at = 0; (at = next_data(from->fd, at, size)) < size;) {
		off_t end = next_hole(from->fd, at, size);

		if (copy_stretch(from->fd, to->fd, at, end) != 0)
			return -1;
		at = end;
	}
	return ftruncate(to->fd, size);
}

char *object_target(const struct object *object)
{
	size_t room = 128;
	char *target = NULL;

	for (;;) {
		target = alloc_grow(target, room, 1);
		ssize_t size = readlinkat(object->fd, "", target, room);
		if (size < 0) {
			free(target);
			return NULL;
		}
		if ((size_t)size < room) {
			target[size] = '\0';
			return target;
		}
		room *= 2;
	}
}

/* Makes the object without its metadata and opens it. */
static int make_object(int dir, const char *name, const struct statx *st, const struct object *from,
		       struct object *to)
{
	struct statx made;
	int result;

	if (S_ISREG(st->stx_mode)) {
		*to = object_of(openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
		return to->fd < 0 ? -1 : 0;
	}
	if (S_ISLNK(st->stx_mode)) {
		char *target = object_target(from);

		result = target != NULL ? symlinkat(target, dir, name) : -1;
		free(target);
	} else {
		result = mknodat(dir, name, (st->stx_mode & S_IFMT) | 0600,
				 makedev(st->stx_rdev_major, st->stx_rdev_minor));
	}
	if (result == 0)
		result = statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &made);
	return result == 0 ? object_open(dir, name, &made, to) : -1;
}

int object_copy_named(int from_dir, int to_dir, const char *name, const struct statx *st)
{
	struct object from, to = { .fd = -1 };

	if (object_open(from_dir, name, st, &from) != 0)
		return -1;
	int result = make_object(to_dir, name, st, &from, &to);
	if (result == 0 && S_ISREG(st->stx_mode))
		result = object_copy_content(&from, st, &to);
	if (result == 0)
		result = object_copy_metadata(&from, st, &to);
	object_close(&to);
	object_close(&from);
	return result;
}

bool object_same_stat(const struct statx *a, const struct statx *b)
{
	const bool sized = S_ISREG(a->stx_mode) || S_ISLNK(a->stx_mode);

	return a->stx_mode == b->stx_mode &&
	       (owners_left || (a->stx_uid == b->stx_uid && a->stx_gid == b->stx_gid)) &&
	       a->stx_mtime.tv_sec == b->stx_mtime.tv_sec && a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec &&
	       a->stx_rdev_major == b->stx_rdev_major && a->stx_rdev_minor == b->stx_rdev_minor &&
	       (!sized || a->stx_size == b->stx_size);
}

static int same_target(const struct object *a, const struct object *b)
{
	char *of_a = object_target(a);
	char *of_b = of_a != NULL ? object_target(b) : NULL;
	int same = of_b != NULL ? strcmp(of_a, of_b) == 0 : -1;

	free(of_a);
	free(of_b);
	return same;
}

static int same_content(const struct object *a, const struct object *b)
{
	char *buffer = alloc_grow(NULL, CONTENT_BUFFER, 2);
	ssize_t of_a, of_b;
	off_t at = 0;
	int same;

	do {
		of_a = file_read(a->fd, buffer, CONTENT_BUFFER, at);
		of_b = file_read(b->fd, buffer + CONTENT_BUFFER, CONTENT_BUFFER, at);
		same = of_a < 0 || of_b < 0
			       ? -1
			       : of_a == of_b && memcmp(buffer, buffer + CONTENT_BUFFER, (size_t)of_a) == 0;
		at += CONTENT_BUFFER;
	} while (same == 1 && of_a == CONTENT_BUFFER);
	free(buffer);
	return same;
}

int object_same_content(const struct object *a, const struct object *b, const struct statx *st)
{
	return S_ISLNK(st->stx_mode) ? same_target(a, b) : S_ISREG(st->stx_mode) ? same_content(a, b) : 1;
}

int object_same(const struct object *a, const struct object *b, const struct statx *st)
{
	const int same = object_same_attributes(a, b);

	return same == 1 ? object_same_content(a, b, st) : same;
}

int object_same_named(int a_dir, int b_dir, const char *name, const struct statx *a, const struct statx *b)
{
	struct object of_a, of_b;
	int result = -1;

	if (object_open(a_dir, name, a, &of_a) != 0)
		return -1;
	if (object_open(b_dir, name, b, &of_b) == 0) {
		result = object_same(&of_a, &of_b, a);
		object_close(&of_b);
	}
	object_close(&of_a);
	return result;
}

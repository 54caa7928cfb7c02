/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses of AF_UNIX sockets are paths. The kernel takes 108 bytes of them, and the pinned snapshot's own path may not go in: then a
 * descriptor stands for the socket, or for the directory of one that is to be made, by its name below /proc/self/fd.
 */
#define EXPORT_socket EXPORT
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/names.h"
#include "core/sys.h"
#include "preload/wrap.h"

#define PATH_ROOM sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* An address as the kernel shall have it: the caller's, or ours. */
struct address {
	const void *at;
	socklen_t length;
	int door; /* -1, or a descriptor that our address goes by */
	int error;
	struct sockaddr_un own;
	char text[PATH_ROOM + 1]; /* the caller's path, terminated */
};

#define ADDRESS(a) __attribute__((cleanup(address_release))) struct address a = { .door = -1 }

static void address_release(struct address *a)
{
	if (a->door >= 0)
		sys_close(a->door);
}

/* The path of an address; NULL if it has none: another family, an abstract name, none at all. */
static const char *address_path(struct address *a, const void *at, socklen_t length)
{
	const struct sockaddr_un *name = at;

	a->at = at;
	a->length = length;
	if (!at || length <= PATH_AT || length > sizeof(*name) || name->sun_family != AF_UNIX ||
	    name->sun_path[0] == '\0')
		return NULL;
	memcpy(a->text, name->sun_path, length - PATH_AT);
	a->text[length - PATH_AT] = '\0';
	return a->text;
}

/* Our address: `prefix`, then `number` if it is none of -1, then `rest`. False if that is too long. */
static bool address_write(struct address *a, const char *prefix, int number, const char *rest)
{
	char digits[SNAPSHOT_NUMBER_ROOM] = "";
	size_t first = strlen(prefix), second, third = strlen(rest);

	if (number >= 0)
		snapshot_number_format((uint64_t)number, digits);
	second = strlen(digits);
	if (first + second + third + 1 > PATH_ROOM)
		return false;
	a->own.sun_family = AF_UNIX;
	memcpy(a->own.sun_path, prefix, first);
	memcpy(a->own.sun_path + first, digits, second);
	memcpy(a->own.sun_path + first + second, rest, third + 1);
	a->at = &a->own;
	a->length = (socklen_t)(PATH_AT + first + second + third + 1);
	return true;
}

static const char door_prefix[] = "/proc/self/fd/";

/* The socket at (dir, path), which is mapped. */
static void address_move(struct address *a, const char *path)
{
	if (address_write(a, path, -1, ""))
		return;
	a->door = sys_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
	if (a->door < 0)
		a->error = -a->door;
	else if (!address_write(a, door_prefix, a->door, ""))
		a->error = ENAMETOOLONG;
}

/* The socket that is to be made at the mapped path: its directory is opened, its name stays. */
static void address_move_new(struct address *a, char *path)
{
	char *name = strrchr(path, '/');

	if (address_write(a, path, -1, "") || !name)
		return;
	*name = '\0';
	a->door = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*name = '/';
	if (a->door < 0)
		a->error = -a->door;
	else if (!address_write(a, door_prefix, a->door, name))
		a->error = ENAMETOOLONG;
}

/* To a socket that is there. 0 or an errno. */
static int address_find(struct address *a, const void *at, socklen_t length)
{
	const char *path = address_path(a, at, length);

	if (!path || !shim_active())
		return 0;
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_FOLLOW);
	if (m.kind == MAP_MOVED)
		address_move(a, m.path);
	return a->error;
}

/* To one that is to be made: a name that exists is "in use". */
static int address_make(struct address *a, const void *at, socklen_t length)
{
	const char *path = address_path(a, at, length);

	if (!path || !shim_active())
		return 0;
	MAPPED(m);
	MAP(m, AT_FDCWD, path, LEAF_NAME);
	int error = refuse_create(m.dir, m.path, false);
	if (error == 0 && m.kind == MAP_MOVED)
		address_move_new(a, (char *)(uintptr_t)m.path);
	return error ? error : a->error;
}

int wrap_bind(int fd, const struct sockaddr *at, socklen_t length)
{
	ADDRESS(a);
	int error = address_make(&a, at, length);
	return error ? fail(error) : next()->bind(fd, a.at, a.length);
}

int wrap_connect(int fd, const struct sockaddr *at, socklen_t length)
{
	ADDRESS(a);
	int error = address_find(&a, at, length);
	return error ? fail(error) : next()->connect(fd, a.at, a.length);
}

int wrap___connect(int fd, const struct sockaddr *at, socklen_t length)
{
	ADDRESS(a);
	int error = address_find(&a, at, length);
	return error ? fail(error) : next()->__connect(fd, a.at, a.length);
}

ssize_t wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *at,
		    socklen_t length)
{
	ADDRESS(a);
	int error = address_find(&a, at, length);
	return error ? fail(error) : next()->sendto(fd, data, size, flags, a.at, a.length);
}

typedef ssize_t message_call(int fd, const struct msghdr *message, int flags);
typedef int messages_call(int fd, struct mmsghdr *messages, unsigned count, int flags);

static ssize_t message_send(message_call *call, int fd, const struct msghdr *message, int flags)
{
	ADDRESS(a);
	int error = message ? address_find(&a, message->msg_name, message->msg_namelen) : 0;
	if (error)
		return fail(error);
	if (!message || a.at == message->msg_name)
		return call(fd, message, flags);
	struct msghdr own = *message;
	own.msg_name = (void *)(uintptr_t)a.at;
	own.msg_namelen = a.length;
	return call(fd, &own, flags);
}

/* One by one where one of the addresses is ours, until one fails: that is what the kernel does. */
static int messages_send(messages_call *all, message_call *one, int fd, struct mmsghdr *messages,
			 unsigned count, int flags)
{
	unsigned moved = 0, sent = 0;

	for (unsigned i = 0; shim_active() && i < count; i++) {
		ADDRESS(a);
		moved += address_find(&a, messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen) !=
				 0 ||
			 a.at != messages[i].msg_hdr.msg_name;
	}
	if (moved == 0)
		return all(fd, messages, count, flags);
	for (; sent < count; sent++) {
		ssize_t length = message_send(one, fd, &messages[sent].msg_hdr, flags);
		if (length < 0)
			break;
		messages[sent].msg_len = (unsigned)length;
	}
	return sent ? (int)sent : -1;
}

ssize_t wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return message_send(next()->sendmsg, fd, message, flags);
}

int wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return messages_send(next()->sendmmsg, next()->sendmsg, fd, messages, count, flags);
}

#ifdef __i386__
ssize_t wrap___sendmsg64(int fd, const struct msghdr *message, int flags)
{
	return message_send(next()->__sendmsg64, fd, message, flags);
}

int wrap___sendmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	return messages_send(next()->__sendmmsg64, next()->__sendmsg64, fd, messages, count, flags);
}
#endif

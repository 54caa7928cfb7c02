/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/hold.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/names.h"
#include "core/sys.h"

#define PIN_PAGE 4096

/* Is what we opened still what the name means? If not, a reclaimer took it away between look-up and open. */
static int still_named(int fd, int store, const char *pin)
{
	struct stat ours, named;
	int error = sys_fstat(fd, &ours);

	if (error == 0)
		error = sys_fstatat(store, pin, &named, AT_SYMLINK_NOFOLLOW);
	if (error != 0)
		return error == -ENOENT ? -EAGAIN : error;
	return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino ? 0 : -EAGAIN;
}

int hold_take(int store, uint64_t number)
{
	char name[STORE_NAME_ROOM];
	struct stat st;

	/* R2, the look-up, and R3, the open */
	pin_name(number, name);
	int fd = sys_openat(store, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fd;
	int error = still_named(fd, store, name); /* R4 */
	if (error == 0) {
		/* R5: of a number that was skipped there is a pin file, too */
		snapshot_name(number, name);
		error = sys_fstatat(store, name, &st, AT_SYMLINK_NOFOLLOW);
	}
	if (error == 0 && !S_ISDIR(st.st_mode))
		error = -ENOENT;
	if (error == 0)
		return fd;
	sys_close(fd);
	return error;
}

int hold_map(int fd, uint64_t number)
{
	long address = sys_mmap(PIN_PAGE, PROT_NONE, MAP_SHARED, fd, (off_t)(number * PIN_PAGE));

	return sys_failed(address) ? (int)address : 0;
}

static int move(int fd, int command)
{
	int copy = sys_fcntl(fd, command, HOLD_FROM);

	if (copy == -EINVAL || copy == -EMFILE)
		copy = sys_fcntl(fd, command, 3);
	sys_close(fd);
	return copy;
}

int hold_pass(int fd)
{
	return move(fd, F_DUPFD);
}

int hold_keep(int fd)
{
	return move(fd, F_DUPFD_CLOEXEC);
}

void hold_drop(int fd)
{
	if (fd >= 0)
		sys_close(fd);
}

static int identify(struct file_id *id, int dir, const char *name, int flags)
{
	struct stat st;
	int error = sys_fstatat(dir, name, &st, flags);

	if (error == 0)
		*id = (struct file_id){ st.st_dev, st.st_ino };
	return error;
}

int hold_identify(struct handover *handover, int store, uint64_t number)
{
	char name[STORE_NAME_ROOM];
	int error = identify(&handover->store, store, "", AT_EMPTY_PATH);

	snapshot_name(number, name);
	if (error == 0)
		error = identify(&handover->root, store, name, AT_SYMLINK_NOFOLLOW);
	pin_name(number, name);
	if (error == 0)
		error = identify(&handover->pin, store, name, AT_SYMLINK_NOFOLLOW);
	return error;
}

bool hold_is_pin(const struct handover *handover, int fd)
{
	struct stat st;

	return fd >= 0 && sys_fstat(fd, &st) == 0 && st.st_dev == handover->pin.device &&
	       st.st_ino == handover->pin.inode;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts: after each, paths may lead elsewhere, so what is remembered of directories is forgotten; and a store may be out of
 * sight, so its pin is kept before (exec.h). To mount upon something in a snapshot changes nothing in it, and is not refused
 * on a read-only mount either.
 */
#define EXPORT_mount EXPORT
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "preload/exec.h"
#include "preload/layers.h"
#include "preload/wrap.h"

/* As in linux/mount.h, which cannot be read beside sys/mount.h; that has them from glibc 2.36 on only. */
enum {
	FROM_FOLLOWS = 0x1,  /* MOVE_MOUNT_F_SYMLINKS */
	TO_FOLLOWS = 0x10,   /* MOVE_MOUNT_T_SYMLINKS */
	PICK_NOFOLLOW = 0x2, /* FSPICK_SYMLINK_NOFOLLOW */
	SET_STRING = 1,      /* FSCONFIG_SET_STRING */
	SET_PATH = 3,        /* FSCONFIG_SET_PATH */
	SET_PATH_EMPTY = 4,
};

static int changed(int result)
{
	exec_pins_settle();
	if (result >= 0 && shim_active())
		memory_forget();
	return result;
}

static bool is_overlay(const char *type)
{
	return shim_active() && type && strcmp(type, "overlay") == 0;
}

/* The source is a path only where a tree is bound or moved; else it is a device, or any text. */
int wrap_mount(const char *source, const char *target, const char *type, unsigned long flags,
	       const void *data)
{
	MAPPED(s);
	MAPPED(t);
	MAP(s, AT_FDCWD, flags & (MS_BIND | MS_MOVE) ? source : NULL, LEAF_FOLLOW);
	MAP(t, AT_FDCWD, target, LEAF_FOLLOW);
	if (data && is_overlay(type) && !(flags & (MS_BIND | MS_MOVE))) {
		size_t room = layers_room(data);

		data = layers_in_options(data, __builtin_alloca(room), room);
	}
	exec_pins_keep();
	return changed(next()->mount(s.path ? s.path : source, t.path, type, flags, data));
}

int wrap_umount(const char *target)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, target, LEAF_FOLLOW);
	exec_pins_keep();
	return changed(next()->umount(m.path));
}

int wrap_umount2(const char *target, int flags)
{
	MAPPED(m);
	MAP(m, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	exec_pins_keep();
	return changed(next()->umount2(m.path, flags));
}

int wrap_pivot_root(const char *root, const char *old)
{
	MAPPED(r);
	MAPPED(o);
	MAP(r, AT_FDCWD, root, LEAF_FOLLOW);
	MAP(o, AT_FDCWD, old, LEAF_FOLLOW);
	exec_pins_keep();
	return changed(next()->pivot_root(r.path, o.path));
}

int wrap_open_tree(int dir, const char *path, unsigned flags)
{
	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	return next()->open_tree(m.dir, m.path, flags);
}

int wrap_move_mount(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	MAPPED(f);
	MAPPED(t);
	MAP(f, from_dir, from, flags & FROM_FOLLOWS ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	MAP(t, to_dir, to, flags & TO_FOLLOWS ? LEAF_FOLLOW : LEAF_NOFOLLOW);
	exec_pins_keep();
	return changed(next()->move_mount(f.dir, f.path, t.dir, t.path, flags));
}

int wrap_fspick(int dir, const char *path, unsigned flags)
{
	MAPPED(m);
	MAP(m, dir, path, flags & PICK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	return next()->fspick(m.dir, m.path, flags);
}

int wrap_fsconfig(int fd, unsigned command, const char *key, const void *value, int dir)
{
	bool path = command == SET_PATH || command == SET_PATH_EMPTY;

	MAPPED(m);
	MAP(m, dir, path ? value : NULL, LEAF_FOLLOW);
	/* Of which file system it is cannot be told; no other has options of these names that are paths. */
	if (command == SET_STRING && key && value && shim_active()) {
		size_t room = layers_room(value);

		value = layers_in_option(key, value, __builtin_alloca(room), room);
	}
	return next()->fsconfig(fd, command, key, m.path ? m.path : value, dir);
}

int wrap_mount_setattr(int dir, const char *path, unsigned flags, struct mount_attr *attributes, size_t size)
{
	MAPPED(m);
	MAP(m, dir, path, flags & AT_SYMLINK_NOFOLLOW ? LEAF_NOFOLLOW : LEAF_FOLLOW);
	return next()->mount_setattr(m.dir, m.path, flags, attributes, size);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namespace.h: pins that the kernel itself enforces, for every kind of program: static ones, raw system
 * calls, io_uring, and what root runs set-id.
 *
 * Invariant 1: in the namespace every path walk that begins at the root or in the working directory, by
 * whatever call, sees the pinned snapshots. Invariant 2: the pins are held until the last process of the
 * namespace has ended, whatever it closes, forks or executes.
 *
 *     namespace_allowed    may we? Nothing changes
 *     namespace_enter      this process goes into a namespace of its own; exec the command then
 *     namespace_leave      rcu-repo, started in one, sees the store as it is
 *
 * How 1 is met. What a swap changes is the entry `latest` of STORE. In a private mount namespace a small
 * read-only tmpfs is mounted over STORE, which has a `latest` of its own, and binds of all else that STORE
 * has; the pinned snapshot is bound read-only, once more, onto itself. So no walk meets the real `latest`,
 * whether it comes by LOCATION, by STORE or by a link from anywhere; readlink(2), realpath(3), getcwd(3) say
 * what the contract says, and a write below the snapshot gets what a read-only mount says. The other ways
 * were worse: a bind mount over `latest` goes with the swap (the kernel detaches what is mounted on an entry
 * that is renamed over); a link mounted onto LOCATION (open_tree of a symbolic link, move_mount) changes
 * what readlink(LOCATION) says, and leaves STORE/latest as it is. Where the directory STORE can also be
 * reached by another mount of its file system (mountinfo tells) that place is covered as well. The working
 * directory is entered anew, because a walk from below a mount does not see the mount.
 *
 * Mounts of the outside still arrive in the namespace (its mounts are slaves); nothing goes the other way.
 *
 * How 2 is met. Programs in the namespace have no shim and hold nothing, so a keeper process, outside of the
 * namespace, holds the descriptors of the pins, and watches the tmpfs: when its superblock goes, because the
 * last mount namespace that has it is gone, the kernel says IN_UNMOUNT, and the keeper ends. It is a child
 * of nobody who waits for it, has no other descriptor and no terminal. Who may kill it can end the
 * pin, so can the machine's lack of memory. A private binfmt_misc with the pin file as an interpreter
 * (flag F, kernel 6.7) would keep it open with no process, but opens nothing that is not executable, and
 * a pin file has mode 0644 by the contract.
 *
 * Unprivileged, a user namespace comes first; it maps the caller's uid and gid to themselves and has no
 * others. So after the exec the command is who it was, with the same rights to files; but files of others
 * show as nobody's, and no set-id or file-capability program in it gains anything (sudo, su, mount).
 *
 * `writable`: instead of read-only, the snapshot is the lower layer of an overlay whose upper one is a tmpfs
 * of this namespace alone. It needs no place that others could reach, and nothing is left to be cleaned up
 * whatever is killed; the price is that what the command writes has to fit into half of the memory
 * and swap (tmpfs(5), size). Files are copied whole at the first write; a tree is megabytes, a change is less.
 *
 * What it needs: mount_setattr(2) (Linux 5.12); /proc where a user namespace is needed; for `writable` without
 * privileges Linux 6.6 (user.* attributes on tmpfs).
 */
#ifndef HELPER_LAUNCHER_NAMESPACE_H
#define HELPER_LAUNCHER_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "helper/store/pin.h"

/*
 * Can this process have such a namespace? Asked of the kernel in a child that ends at once, because some
 * systems give a user namespace and then refuse what is done in it. 0, or -1 and why not.
 */
int namespace_allowed(struct err *err);

/* Would the namespace be a user namespace, in which no program gains privileges? */
bool namespace_is_users(void);

/*
 * This process goes into a mount namespace of its own, unprivileged in a user namespace that has its ids alone. What it mounts there is
 * not seen outside; `path` (absolute) names a mount where the root directory is none (chroot). For guard_kernel.c, too.
 */
int namespace_separate(const char *path, struct err *err);

/*
 * Enters a namespace in which each of the pins is what its store says. The pins' descriptors are left open,
 * for the caller to close: the keeper has its own. After a failure with *inside this process is half inside: it must
 * end; without, nothing has changed (no keeper could be started, for instance). No two pins may be of one store.
 */
int namespace_enter(const struct pin *pins, size_t count, bool writable, bool *inside, struct err *err);

/*
 * For rcu-repo and what it runs, and for rcu-exec --fresh: if a store is covered in this mount namespace, goes into a copy of it
 * where none is. An error where the kernel does not let us (in a user namespace). Nothing is covered: 0, and
 * nothing happens.
 */
int namespace_leave(struct err *err);

#endif

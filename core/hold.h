/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hold.h: the reader's half of the pin protocol. (The reclaimer's half is helper/store/reclaim.h.)
 *
 * A pin is an open file description of STORE/.rcu-repo/pins/N: nothing is written, no lock is taken, no
 * process is registered. The kernel counts open descriptions of an inode however they are kept: by a
 * descriptor, or by a mapping when the descriptor is closed; whatever ends the last process that has one
 * releases it. The reclaimer asks with fcntl(F_SETLEASE, F_WRLCK), which is granted only while nobody else
 * has the file open (fcntl_locking(2); the count is the inode's, so it is also right through bind mounts and
 * other namespaces).
 *
 * While a program runs, its pin is a PROT_NONE mapping: no descriptor that it could see, close or hand on.
 * Over an exec, which drops mappings, the pin is a descriptor without FD_CLOEXEC, made just before and mapped
 * and closed again by the shim's constructor in the new image.
 *
 * Invariant: who holds a pin of N that was checked by hold_take() has a snapshot N that reclaim does not
 * touch. Argument. The reclaimer takes the lease, renames the pin file away, looks whether it still has the
 * lease, and only then moves the snapshot. An open before the lease makes the lease fail. An open while it is
 * held fails with EWOULDBLOCK (O_NONBLOCK) and breaks the lease, which the reclaimer sees at its look, and it
 * renames back. An open after the lease was given back finds either the old name (reclaim gave up) or none;
 * or, where the name was looked up earlier, an inode that no longer has the name: hold_take() compares, and
 * says -EAGAIN. tests/model/rcu.pml has this as a model; the R and C of its steps stand in hold.c and reclaim.c.
 *
 * This is the one piece of I/O that launcher and shim must do alike, hence its place in core. It uses raw
 * system calls: no errno, no allocation, no lock, no cancellation. Errors come as -errno.
 */
#ifndef CORE_HOLD_H
#define CORE_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/handover.h"

/*
 * Opens and checks the pin of `number` in the store whose directory is `store` (any descriptor of it, O_PATH
 * will do). Returns a descriptor with FD_CLOEXEC that holds the pin, or
 *     -EAGAIN  a reclaimer was at it: choose again (read latest again) and retry
 *     -ENOENT  there is no pin file, or no such snapshot: choose again, or give up if it was asked for
 *     other    as open(2) said: EACCES, EMFILE, ...
 */
int hold_take(int store, uint64_t number);

/*
 * Turns a descriptor that holds the pin of `number` into a mapping at the file offset number * 4096 (so that
 * /proc/PID/maps says who pins what). The descriptor is left open. 0 or -errno. The mapping is never undone:
 * it ends with the process image.
 */
int hold_map(int fd, uint64_t number);

/*
 * Below 64 on purpose: so many descriptors the kernel has room for from the beginning (NR_OPEN_DEFAULT). For more it makes a
 * larger table, in each process that starts another, and where threads share the table it first waits for all processors.
 */
#define HOLD_FROM 48

/*
 * Makes a copy of the descriptor that survives one exec, out of the way of the numbers that programs use (HOLD_FROM
 * and up, or 3 and up where RLIMIT_NOFILE is that low), and closes the original. Returns the copy or -errno
 * (the original is closed then, too).
 */
int hold_pass(int fd);

/* The same, but the copy does not survive an exec: for a pin that cannot be taken anew. */
int hold_keep(int fd);

/*
 * Sets the three identities of `handover` by looking from the store's directory. 0, or -errno of the first
 * that cannot be told; `fd` and `far` stay as they are.
 */
int hold_identify(struct handover *handover, int store, uint64_t number);

/* Is this descriptor, if it is one, of the file that `handover` says is the pin's? */
bool hold_is_pin(const struct handover *handover, int fd);

/* Closes a descriptor from hold_take(), hold_pass() or hold_keep(); -1 is nothing. */
void hold_drop(int fd);

#endif

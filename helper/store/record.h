/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * record.h: what a publish changed, in STORE/.rcu-repo/record/N, one file a snapshot. It is at once
 *  - the journal: record_changes() says which paths two snapshots may differ in, for recycling and `diff`;
 *  - the manifest: record_manifest() gives each name that snapshot N was published with, its metadata and the digests of
 *    its content and attributes, for `check`.
 *
 * A record is written once, before its snapshot has its number, and never changed. It belongs to that one tree, which
 * it names by the inode number and birth time of its root: what Portage publishes under a number that we had chosen
 * does not get our record. A digest of the whole stands at its end, so a torn one is known.
 *
 * A record says what differs from its `base`, the snapshot that was latest; a whole one (the first, one whose base is in
 * doubt, and again where the records since the last whole one have grown to the size of the tree) names everything. So a
 * chain of records, down to a whole one, is the manifest of each snapshot in it. A snapshot without a good record
 * (Portage's, a migrated tree, one of an older version) is "in doubt": everything has to be looked at.
 *
 * The format: little endian; a header (struct record without the lists, and the file's size) and its SHA-256, `count`
 * entries in path_order(), SHA-256 of all before it. Names are as on disk, any bytes but slash and zero. Readers need no
 * lock: a record that is there and good does not change, and one that goes while it is read is a missing one.
 */
#ifndef HELPER_STORE_RECORD_H
#define HELPER_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper/base/identity.h"
#include "helper/store/digest.h"
#include "helper/store/store.h"
#include "helper/tree/changes.h"

enum record_op {
	RECORD_SAME, /* in a whole record: as in the base */
	RECORD_ADDED,
	RECORD_CHANGED, /* content, kind or metadata */
	RECORD_REMOVED, /* the rest of the entry is zeros */
	RECORD_INODE,   /* the same in every respect, but another inode: it could not be shared */
};

struct record_entry {
	char *path; /* below the tree; "": its root */
	enum record_op op;
	uint32_t mode; /* with the kind: st_mode */
	uint32_t uid, gid;
	uint64_t rdev;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size; /* of regular files and symbolic links, else 0 */
	uint64_t ino;
	struct digest content, attrs; /* digest.h */
};

/* Which tree it is. */
struct record_root {
	uint64_t ino;
	int64_t born;
	uint32_t born_ns; /* zeros where the file system does not know */
};

struct record {
	uint64_t number;
	uint64_t base; /* 0: none, or one in doubt */
	bool whole;
	bool several;            /* there may be files with several names in this tree */
	bool attrs;              /* there may be extended attributes or ACLs */
	bool durable;            /* it was on disk before its snapshot had its number */
	char boot[BOOT_ID_ROOM]; /* under which it was written */
	uint64_t chain;          /* entries in the records since the last whole one, this one included */
	uint64_t total;          /* entries of the last whole one */
	uint64_t bottom;         /* the number of the last whole one */
	int64_t looked;          /* when links and attributes were last asked for, too; 0: not known */
	struct record_root root;

	struct record_entry *entries; /* in path_order() */
	size_t count, room;
	char *data; /* what a record that was read is made of; NULL: paths are allocated each */
};
#define RECORD_NONE             \
	{                       \
		.entries = NULL \
	}

enum record_state {
	RECORD_GOOD,
	RECORD_MISSING,
	RECORD_TORN,    /* or not of a kind that we know, or not to be read */
	RECORD_FOREIGN, /* of another tree than the one that is snapshot N now */
};

/* Reads record N; anything but GOOD leaves RECORD_NONE. That its snapshot is gone does not matter. */
enum record_state record_read(const struct store *store, uint64_t number, struct record *record);

/*
 * The header of record N alone, whatever the size of the rest, which is not looked at but for its length: for who builds
 * on a record, not on what it says of single names. There is nothing to release.
 */
enum record_state record_head(const struct store *store, uint64_t number, struct record *record);

/* May what is on disk be older than the record? A machine that lost power keeps what it likes of what is not durable. */
bool record_unsure(const struct record *record);

void record_release(struct record *record);

/* The entry of a path, or NULL. */
const struct record_entry *record_find(const struct record *record, const char *path);

/*
 * All that snapshot N was published with: *record is whole, without RECORD_REMOVED. What is not GOOD anywhere in the chain
 * is the state of the whole.
 */
enum record_state record_manifest(const struct store *store, uint64_t number, struct record *record);

/*
 * Adds to `changes` all paths that snapshots a and b may differ in, by the records between them; unknown where one of
 * those is not good, or may not agree with what is on disk (another boot, and not durable).
 */
void record_changes(const struct store *store, uint64_t a, uint64_t b, struct changes *changes);

/* ---- for who publishes (snapshot/seal.h, publish.c) ---- */

/* A new entry at the end, zeros but for its path, which it takes over. It stays where it is until the next one. */
struct record_entry *record_add(struct record *record, char *path);
void record_sort(struct record *record);

/* `above` becomes whole: what `below`, a whole one, says, with what it said itself on top. */
void record_fold(const struct record *below, struct record *above);

/* Does it say that anything is not as in the base? */
bool record_empty(const struct record *record);

/*
 * The record has all that differs from `base`: sets what follows from the base's record, and makes it whole where it is
 * time. Without a good record of the base only a whole one will do.
 */
void record_follow(const struct store *store, struct record *record);

/* Which tree the directory `fd` is. -1 and errno. */
int record_root_of(int fd, struct record_root *root);

/* Writes the record of `number`. publish() has it on disk before the snapshot has its number, where the store is durable. */
int record_write(const struct store *store, struct record *record, uint64_t number, struct err *err);

/*
 * Removes records that nobody needs: what is older than all trees that there are, and than the last whole record of each, or
 * newer than all. Under the lock.
 */
int record_sweep(const struct store *store, struct err *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/store/record.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper/base/alloc.h"
#include "helper/base/files.h"
#include "helper/base/identity.h"
#include "helper/snapshot/storage.h"

#define RECORD_NAME_ROOM (sizeof(STORE_RECORD) + 1 + SNAPSHOT_NUMBER_ROOM)
#define RECORD_MAX ((off_t)1 << 40)

static const char magic[16] = "rcu-repo record\n";

enum {
	FLAG_WHOLE = 1,
	FLAG_SEVERAL = 2,
	FLAG_DURABLE = 4,
	FLAG_ATTRS = 8,
	FORMAT = 2,
	HEADER_SIZE = 16 + 4 * 2 + 8 * 5 + 8 * 3 + 8 * 3 + 40 + DIGEST_SIZE,
	ENTRY_SIZE = 4 * 2 + 4 * 4 + 8 * 4 + 8 + 2 * DIGEST_SIZE, /* before its path */
};

static void record_name(uint64_t number, char *to)
{
	memcpy(to, STORE_RECORD "/", sizeof(STORE_RECORD));
	snapshot_number_format(number, to + sizeof(STORE_RECORD));
}

/* ---- in memory ---- */

struct record_entry *record_add(struct record *record, char *path)
{
	if (record->count == record->room) {
		record->room = record->room * 2 + 64;
		record->entries = alloc_grow(record->entries, record->room, sizeof(*record->entries));
	}
	struct record_entry *entry = &record->entries[record->count++];
	memset(entry, 0, sizeof(*entry));
	entry->path = path;
	return entry;
}

static int by_path(const void *a, const void *b)
{
	return path_order(((const struct record_entry *)a)->path, ((const struct record_entry *)b)->path);
}

void record_sort(struct record *record)
{
	if (record->count > 1)
		qsort(record->entries, record->count, sizeof(*record->entries), by_path);
}

void record_release(struct record *record)
{
	for (size_t i = 0; record->data == NULL && i < record->count; i++)
		free(record->entries[i].path);
	free(record->entries);
	free(record->data);
	*record = (struct record)RECORD_NONE;
}

const struct record_entry *record_find(const struct record *record, const char *path)
{
	const struct record_entry wanted = { .path = (char *)path };

	if (record->count == 0)
		return NULL;
	return bsearch(&wanted, record->entries, record->count, sizeof(wanted), by_path);
}

bool record_empty(const struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->entries[i].op != RECORD_SAME && record->entries[i].op != RECORD_INODE)
			return false;
	return true;
}

/* ---- as bytes ---- */

static void put32(char **at, uint32_t value)
{
	value = htole32(value);
	memcpy(*at, &value, sizeof(value));
	*at += sizeof(value);
}

static void put64(char **at, uint64_t value)
{
	value = htole64(value);
	memcpy(*at, &value, sizeof(value));
	*at += sizeof(value);
}

static void put(char **at, const void *bytes, size_t size)
{
	memcpy(*at, bytes, size);
	*at += size;
}

static uint32_t get32(const char **at)
{
	uint32_t value;

	memcpy(&value, *at, sizeof(value));
	*at += sizeof(value);
	return le32toh(value);
}

static uint64_t get64(const char **at)
{
	uint64_t value;

	memcpy(&value, *at, sizeof(value));
	*at += sizeof(value);
	return le64toh(value);
}

static void get(const char **at, void *bytes, size_t size)
{
	memcpy(bytes, *at, size);
	*at += size;
}

static void put_header(char **at, const struct record *record, size_t size)
{
	const char *begin = *at;
	struct digest digest;

	put(at, magic, sizeof(magic));
	put32(at, FORMAT);
	put32(at, (record->whole ? FLAG_WHOLE : 0u) | (record->several ? FLAG_SEVERAL : 0u) |
			  (record->durable ? FLAG_DURABLE : 0u) | (record->attrs ? FLAG_ATTRS : 0u));
	put64(at, record->number);
	put64(at, record->base);
	put64(at, record->chain);
	put64(at, record->total);
	put64(at, record->count);
	put64(at, record->root.ino);
	put64(at, (uint64_t)record->root.born);
	put64(at, record->root.born_ns);
	put64(at, record->bottom);
	put64(at, (uint64_t)record->looked);
	put64(at, size);
	put(at, record->boot, sizeof(record->boot));
	digest_bytes(begin, (size_t)(*at - begin), &digest);
	put(at, digest.bytes, DIGEST_SIZE);
}

static void put_entry(char **at, const struct record_entry *entry)
{
	const size_t length = strlen(entry->path);

	put32(at, (uint32_t)length);
	put32(at, entry->op);
	put32(at, entry->mode);
	put32(at, entry->uid);
	put32(at, entry->gid);
	put32(at, entry->mtime_ns);
	put64(at, entry->rdev);
	put64(at, (uint64_t)entry->mtime);
	put64(at, entry->size);
	put64(at, entry->ino);
	put64(at, 0);
	put(at, entry->content.bytes, DIGEST_SIZE);
	put(at, entry->attrs.bytes, DIGEST_SIZE);
	put(at, entry->path, length + 1);
}

static char *record_bytes(const struct record *record, size_t *size)
{
	*size = HEADER_SIZE + DIGEST_SIZE;
	for (size_t i = 0; i < record->count; i++)
		*size += ENTRY_SIZE + strlen(record->entries[i].path) + 1;
	char *bytes = alloc_grow(NULL, *size, 1), *at = bytes;
	struct digest digest;

	put_header(&at, record, *size);
	for (size_t i = 0; i < record->count; i++)
		put_entry(&at, &record->entries[i]);
	digest_bytes(bytes, (size_t)(at - bytes), &digest);
	put(&at, digest.bytes, DIGEST_SIZE);
	return bytes;
}

static void get_fields(const char **at, struct record *record, uint64_t *size)
{
	const uint32_t flags = get32(at);

	record->whole = (flags & FLAG_WHOLE) != 0;
	record->several = (flags & FLAG_SEVERAL) != 0;
	record->durable = (flags & FLAG_DURABLE) != 0;
	record->attrs = (flags & FLAG_ATTRS) != 0;
	record->number = get64(at);
	record->base = get64(at);
	record->chain = get64(at);
	record->total = get64(at);
	record->room = (size_t)get64(at);
	record->root.ino = get64(at);
	record->root.born = (int64_t)get64(at);
	record->root.born_ns = (uint32_t)get64(at);
	record->bottom = get64(at);
	record->looked = (int64_t)get64(at);
	*size = get64(at);
	get(at, record->boot, sizeof(record->boot));
}

/* `size` is that of the file: half a one is known from its header. */
static bool get_header(const char **at, struct record *record, uint64_t size)
{
	const char *begin = *at;
	char mark[sizeof(magic)];
	struct digest digest;
	uint64_t written;

	get(at, mark, sizeof(mark));
	if (memcmp(mark, magic, sizeof(magic)) != 0 || get32(at) != FORMAT)
		return false;
	get_fields(at, record, &written);
	digest_bytes(begin, (size_t)(*at - begin), &digest);
	const bool same = memcmp(digest.bytes, *at, DIGEST_SIZE) == 0;
	*at += DIGEST_SIZE;
	return same && written == size && record->boot[sizeof(record->boot) - 1] == '\0';
}

static bool get_entry(const char **at, const char *end, struct record_entry *entry)
{
	if (end - *at < ENTRY_SIZE + 1)
		return false;
	const uint32_t length = get32(at);
	entry->op = get32(at);
	entry->mode = get32(at);
	entry->uid = get32(at);
	entry->gid = get32(at);
	entry->mtime_ns = get32(at);
	entry->rdev = get64(at);
	entry->mtime = (int64_t)get64(at);
	entry->size = get64(at);
	entry->ino = get64(at);
	get64(at);
	get(at, entry->content.bytes, DIGEST_SIZE);
	get(at, entry->attrs.bytes, DIGEST_SIZE);
	entry->path = (char *)*at;
	if ((size_t)(end - *at) < (size_t)length + 1 || strnlen(*at, (size_t)length + 1) != length)
		return false;
	*at += length + 1;
	return entry->op <= RECORD_INODE;
}

/* The digest is good, so these are bytes that we wrote: what does not fit is of a later version. */
static bool record_parse(struct record *record, size_t size)
{
	const char *at = record->data, *end = record->data + size - DIGEST_SIZE;
	struct digest digest;

	digest_bytes(record->data, size - DIGEST_SIZE, &digest);
	if (memcmp(digest.bytes, end, DIGEST_SIZE) != 0 || !get_header(&at, record, size) ||
	    record->room > size / ENTRY_SIZE)
		return false;
	record->entries = alloc_grow(NULL, record->room, sizeof(*record->entries));
	while (record->count < record->room && get_entry(&at, end, &record->entries[record->count]))
		record->count++;
	return record->count == record->room && at == end;
}

/* ---- on disk ---- */

int record_root_of(int fd, struct record_root *root)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0)
		return -1;
	*root = (struct record_root){ .ino = st.stx_ino };
	if ((st.stx_mask & STATX_BTIME) != 0) {
		root->born = st.stx_btime.tv_sec;
		root->born_ns = st.stx_btime.tv_nsec;
	}
	return 0;
}

/* Is snapshot N, where it is there, the tree that the record is of? */
static bool is_of_snapshot(const struct store *store, const struct record *record)
{
	char name[STORE_NAME_ROOM];
	struct record_root root;

	snapshot_name(record->number, name);
	int fd = openat(store->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	const bool same = record_root_of(fd, &root) == 0 && root.ino == record->root.ino &&
			  root.born == record->root.born && root.born_ns == record->root.born_ns;
	close(fd);
	return same;
}

/* A descriptor, and the size of what may be a record by that; -1: there is none, or errno is not ENOENT. */
static int record_open(const struct store *store, uint64_t number, off_t *size)
{
	char name[RECORD_NAME_ROOM];
	struct stat st;

	record_name(number, name);
	int fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= HEADER_SIZE + DIGEST_SIZE &&
	    st.st_size < RECORD_MAX) {
		*size = st.st_size;
		return fd;
	}
	close(fd);
	errno = EINVAL;
	return -1;
}

static enum record_state record_load(const struct store *store, uint64_t number, struct record *record)
{
	off_t size;
	int fd = record_open(store, number, &size);

	if (fd < 0)
		return errno == ENOENT ? RECORD_MISSING : RECORD_TORN;
	record->data = alloc_grow(NULL, (size_t)size, 1);
	const bool good = file_read(fd, record->data, (size_t)size, 0) == size &&
			  record_parse(record, (size_t)size) && record->number == number;
	close(fd);
	return good ? RECORD_GOOD : RECORD_TORN;
}

enum record_state record_read(const struct store *store, uint64_t number, struct record *record)
{
	*record = (struct record)RECORD_NONE;
	enum record_state state = record_load(store, number, record);
	if (state == RECORD_GOOD && !is_of_snapshot(store, record))
		state = RECORD_FOREIGN;
	if (state != RECORD_GOOD)
		record_release(record);
	return state;
}

enum record_state record_head(const struct store *store, uint64_t number, struct record *record)
{
	char header[HEADER_SIZE];
	const char *at = header;
	off_t size;
	int fd = record_open(store, number, &size);

	*record = (struct record)RECORD_NONE;
	if (fd < 0)
		return errno == ENOENT ? RECORD_MISSING : RECORD_TORN;
	const bool good = file_read(fd, header, sizeof(header), 0) == sizeof(header) &&
			  get_header(&at, record, (uint64_t)size) && record->number == number;
	close(fd);
	record->room = 0;
	if (!good)
		return RECORD_TORN;
	return is_of_snapshot(store, record) ? RECORD_GOOD : RECORD_FOREIGN;
}

/*
 * Straight to its name: what is cut short by a crash or a full disk is known by its digest, and has no snapshot. One
 * that was left by a publish that died is in the way, and nobody's.
 */
int record_write(const struct store *store, struct record *record, uint64_t number, struct err *err)
{
	char name[RECORD_NAME_ROOM];
	size_t size;

	record->number = number;
	if (record->whole)
		record->bottom = number;
	record->durable = store->durable;
	identity_boot(record->boot);
	record_name(number, name);
	char *bytes = record_bytes(record, &size);
	unlinkat(store->dir, name, 0);
	int fd = openat(store->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int result = fd < 0 ? -1 : fchmod(fd, 0644);
	if (result == 0)
		result = store_give(store, fd);
	if (result == 0)
		result = file_write(fd, bytes, size, 0);
	if (result != 0) {
		err_errno(err, STATUS_FAILED, store->path, "%s: cannot write", name);
		unlinkat(store->dir, name, 0);
	}
	if (fd >= 0)
		close(fd);
	free(bytes);
	return result;
}

/* ---- chains ---- */

static void add_changed(const struct record *record, struct changes *changes)
{
	for (size_t i = 0; i < record->count; i++)
		if (record->entries[i].op != RECORD_SAME)
			changes_add(changes, record->entries[i].path, strlen(record->entries[i].path));
}

bool record_unsure(const struct record *record)
{
	char boot[sizeof(record->boot)];

	identity_boot(boot);
	return !record->durable && strcmp(boot, record->boot) != 0;
}

/* A base has a lower number than what is based on it: the larger of both goes back to its own, until they meet. */
void record_changes(const struct store *store, uint64_t a, uint64_t b, struct changes *changes)
{
	while (a != b && !changes->unknown) {
		uint64_t *later = a > b ? &a : &b;
		struct record record;

		if (record_read(store, *later, &record) != RECORD_GOOD || record.base == 0 ||
		    record.base >= *later || record_unsure(&record))
			changes_set_unknown(changes);
		else
			add_changed(&record, changes);
		*later = record.base;
		record_release(&record);
	}
}

static void entry_copy(struct record *to, const struct record_entry *from)
{
	struct record_entry *entry = record_add(to, alloc_copy(from->path));
	char *path = entry->path;

	*entry = *from;
	entry->path = path;
}

void record_fold(const struct record *below, struct record *above)
{
	struct record to = *above;

	to.entries = NULL;
	to.data = NULL;
	to.count = to.room = 0;
	for (size_t i = 0, j = 0; i < below->count || j < above->count;) {
		const int order = i == below->count ? 1
				  : j == above->count
					  ? -1
					  : path_order(below->entries[i].path, above->entries[j].path);

		if (order < 0) {
			entry_copy(&to, &below->entries[i]);
			to.entries[to.count - 1].op = RECORD_SAME;
		} else {
			entry_copy(&to, &above->entries[j++]);
		}
		i += order <= 0;
	}
	record_release(above);
	*above = to;
	above->whole = true;
}

/* A manifest has nothing that is gone, and of what is there it does not matter since when. */
static void drop_removed(struct record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->count; i++) {
		if (record->entries[i].op != RECORD_REMOVED)
			record->entries[kept++] = record->entries[i];
		else if (record->data == NULL)
			free(record->entries[i].path);
	}
	record->count = kept;
}

enum record_state record_manifest(const struct store *store, uint64_t number, struct record *record)
{
	struct record *chain = NULL;
	size_t length = 0;
	enum record_state state = RECORD_GOOD;

	*record = (struct record)RECORD_NONE;
	do {
		chain = alloc_grow(chain, length + 1, sizeof(*chain));
		state = record_read(store, number, &chain[length]);
		if (state == RECORD_GOOD && !chain[length].whole &&
		    (chain[length].base == 0 || chain[length].base >= number))
			state = RECORD_TORN;
		number = chain[length++].base;
	} while (state == RECORD_GOOD && !chain[length - 1].whole);
	if (state == RECORD_GOOD) {
		*record = chain[--length];
		drop_removed(record);
	}
	while (length > 0) {
		struct record *above = &chain[--length];

		if (state == RECORD_GOOD) {
			record_fold(record, above);
			record_release(record);
			*record = *above;
			drop_removed(record);
		} else {
			record_release(above);
		}
	}
	free(chain);
	return state;
}

static bool digest_any(const struct digest *digest)
{
	static const struct digest none;

	return memcmp(digest, &none, sizeof(none)) != 0;
}

static bool has_attrs(const struct record *record)
{
	for (size_t i = 0; i < record->count; i++)
		if (digest_any(&record->entries[i].attrs))
			return true;
	return false;
}

void record_follow(const struct store *store, struct record *record)
{
	struct record base, manifest;

	record->attrs = has_attrs(record);
	if (!record->whole && record_head(store, record->base, &base) == RECORD_GOOD) {
		record->chain = base.chain + record->count;
		record->total = base.total;
		record->bottom = base.bottom;
		record->attrs = record->attrs || base.attrs;
		if (record->chain > record->total &&
		    record_manifest(store, record->base, &manifest) == RECORD_GOOD) {
			record_fold(&manifest, record);
			record_release(&manifest);
			record->attrs = has_attrs(record);
		}
	}
	if (record->whole) {
		record->chain = 0;
		record->total = record->count;
	}
}

/* ---- which are needed ---- */

/*
 * Each snapshot needs what is between it and its last whole record, for the manifest. A record whose header is bad ends
 * its chain anyway.
 */
static uint64_t lowest_needed(const struct store *store, const struct numbers *snapshots, uint64_t lowest)
{
	for (size_t i = 0; i < snapshots->count; i++) {
		struct record record;

		if (record_head(store, snapshots->list[i], &record) == RECORD_GOOD && record.bottom < lowest)
			lowest = record.bottom;
	}
	return lowest;
}

/* From the lowest to the highest of all trees that there are: the spare may be older or newer than all snapshots. */
static void range_find(const struct store *store, const struct numbers *snapshots, uint64_t *lowest,
		       uint64_t *highest)
{
	struct err ignored = ERR_NONE;
	uint64_t spare;

	if (snapshots->count != 0) {
		*lowest = snapshots->list[0];
		*highest = snapshots->list[snapshots->count - 1];
	}
	if (store->storage->look_spare(store, &spare, NULL, &ignored) == 1 && spare != 0) {
		*lowest = spare < *lowest ? spare : *lowest;
		*highest = spare > *highest ? spare : *highest;
	}
}

int record_sweep(const struct store *store, struct err *err)
{
	struct numbers records = { NULL, 0 }, snapshots = { NULL, 0 };
	char name[RECORD_NAME_ROOM];
	uint64_t lowest = UINT64_MAX, highest = 0;
	int result = -1;

	if (store_names(store, STORE_RECORD, "", &records, err) == 0 &&
	    store_numbers(store, &snapshots, NULL, NULL, err) == 0)
		result = 0;
	range_find(store, &snapshots, &lowest, &highest);
	lowest = lowest_needed(store, &snapshots, lowest);
	for (size_t i = 0; result == 0 && i < records.count; i++) {
		if (records.list[i] >= lowest && records.list[i] <= highest)
			continue;
		record_name(records.list[i], name);
		if (unlinkat(store->dir, name, 0) != 0 && errno != ENOENT)
			result = err_errno(err, STATUS_FAILED, store->path, "%s: unlink", name);
	}
	numbers_release(&records);
	numbers_release(&snapshots);
	return result;
}

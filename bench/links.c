/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-links SOURCE TARGET THREADS: what no clone by hard links can do without. SOURCE is read beforehand; then TARGET
 * gets its directories and a link of each file in them, and nothing else: no metadata, no look at what is there. Says
 * how many nanoseconds that took.
 *
 * A thread takes a subtree below the root at a time, so the threads do not meet in a directory but the root.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct entry {
	ino_t inode;
	struct directory *directory; /* NULL: a file */
	char *name;
};

struct directory {
	struct entry *entries;
	size_t count, room;
};

static struct directory *tree;
static int from, to;
static atomic_size_t next;

static void *must(void *memory)
{
	if (memory == NULL)
		err(1, "memory");
	return memory;
}

static int by_inode(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static struct directory *read_directory(int parent, const char *name)
{
	struct directory *directory = must(calloc(1, sizeof(*directory)));
	DIR *stream = must(fdopendir(openat(parent, name, O_RDONLY | O_DIRECTORY)));
	const struct dirent *entry;

	while ((entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (directory->count == directory->room) {
			directory->room = directory->room * 2 + 8;
			directory->entries = must(
				realloc(directory->entries, directory->room * sizeof(*directory->entries)));
		}
		directory->entries[directory->count++] = (struct entry){
			.inode = entry->d_ino,
			.directory = entry->d_type == DT_DIR ? read_directory(dirfd(stream), entry->d_name)
							     : NULL,
			.name = must(strdup(entry->d_name))
		};
	}
	closedir(stream);
	if (directory->count != 0)
		qsort(directory->entries, directory->count, sizeof(*directory->entries), by_inode);
	return directory;
}

static int open_directory(int parent, const char *name)
{
	const int fd = openat(parent, name, O_PATH | O_DIRECTORY);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void make(const struct entry *entry, int source, int target)
{
	if (entry->directory == NULL) {
		if (linkat(source, entry->name, target, entry->name, 0) != 0)
			err(1, "%s", entry->name);
		return;
	}
	if (mkdirat(target, entry->name, 0755) != 0)
		err(1, "%s", entry->name);
	const int source_in = open_directory(source, entry->name), in = open_directory(target, entry->name);

	for (size_t i = 0; i < entry->directory->count; i++)
		make(&entry->directory->entries[i], source_in, in);
	close(source_in);
	close(in);
}

static void *work(void *unused)
{
	for (size_t i; (i = atomic_fetch_add(&next, 1)) < tree->count;)
		make(&tree->entries[i], from, to);
	return unused;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	pthread_t threads[64];
	size_t count;

	if (argc != 4 || (count = strtoul(argv[3], NULL, 10)) == 0 || count > 64)
		errx(2, "SOURCE TARGET THREADS");
	tree = read_directory(AT_FDCWD, argv[1]);
	from = open_directory(AT_FDCWD, argv[1]);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (mkdir(argv[2], 0755) != 0)
		err(1, "%s", argv[2]);
	to = open_directory(AT_FDCWD, argv[2]);
	for (size_t i = 1; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			err(1, "a thread");
	work(NULL);
	for (size_t i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + (end.tv_nsec - begin.tv_nsec));
	return 0;
}

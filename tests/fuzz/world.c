/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE "RCU_FUZZ_INSIDE" /* pid:TOP */

const char *const world_dirs[WORLD_DIRS] = {
	".",
	"s1",
	"s1/snapshots",
	"s1/snapshots/1",
	"s1/snapshots/1/d",
	"s1/snapshots/1/d/e",
	"s1/snapshots/2/d",
	"s1/snapshots/10",
	"s2",
	"s2/snapshots/3",
	"s2/snapshots/4/d",
	"a",
	"a/aa",
	"b",
	"b/m",
	"b/m/aa",
	"b/n",
	"b/n/snapshots/1/d",
	"c",
	"c/s3",
	"b/o",
};

struct world world = {
	.pins = {
		{ .store = "s1", .location = "loc", .numbers = { 1, 2, 10 } },
		{ .store = "s2", .location = "b/m/loc2", .numbers = { 3, 4 } },
		{ .store = "c/s3", .location = "c/loc3", .numbers = { 9, 12 } },
	},
	.slots = {
		{ .parent = ".", .name = "loc", .usual = "%s/s1/latest" },
		{ .parent = "a", .name = "loc2", .usual = "%s/s2/latest" },
		{ .parent = "c", .name = "loc3", .usual = "s3/latest" },
		{ .parent = ".", .name = "x" },
		{ .parent = ".", .name = "y" },
		{ .parent = ".", .name = "z" },
		{ .parent = ".", .name = "q" },
		{ .parent = "a", .name = "x" },
		{ .parent = "a", .name = "latest" },
		{ .parent = "a/aa", .name = "x" },
		{ .parent = "a/aa", .name = "y" },
		{ .parent = "b", .name = "x" },
		{ .parent = "b", .name = "s2" },
		{ .parent = "c", .name = "x" },
		{ .parent = "c", .name = "latest" },
		{ .parent = "s1", .name = "x" },
		{ .parent = "s1/snapshots", .name = "x" },
		{ .parent = "s1/snapshots/1", .name = "x" },
		{ .parent = "s1/snapshots/2", .name = "x" },
		{ .parent = "s1/snapshots/10", .name = "x" },
		{ .parent = "s1/snapshots/1/d", .name = "y" },
		{ .parent = "s1/snapshots/2/d", .name = "y" },
		{ .parent = "s1/snapshots/1/d", .name = "latest" },
		{ .parent = "s2/snapshots/3", .name = "x" },
		{ .parent = "s2/snapshots/4", .name = "x" },
		{ .parent = "c/s3/snapshots/9", .name = "x" },
		{ .parent = "c/s3/snapshots/12", .name = "x" },
	},
};

static char root[PATH_MAX];

void world_broken(const char *format, ...)
{
	va_list list;
	int error = errno;

	va_start(list, format);
	fputs("fuzz: ", stderr);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, ": %s\n", strerror(error));
	abort();
}

__attribute__((format(printf, 2, 3))) static const char *path_in(char *path, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	if (vsnprintf(path, PATH_MAX, format, list) >= PATH_MAX)
		world_broken("a long path");
	va_end(list);
	return path;
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) != 0)
		world_broken("%s", path);
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, path, strlen(path)) < 0)
		world_broken("%s", path);
	close(fd);
}

static void make_link(const char *target, const char *path)
{
	if (symlink(target, path) != 0)
		world_broken("%s", path);
}

/* Relative to TOP/w. */
static void make_snapshot(const char *store, int number, bool pinned)
{
	char base[PATH_MAX], path[PATH_MAX];

	path_in(base, "%s/snapshots/%d", store, number);
	make_dir(base);
	make_dir(path_in(path, "%s/d", base));
	make_dir(path_in(path, "%s/d/e", base));
	make_dir(path_in(path, "%s/latest", base));
	make_file(path_in(path, "%s/f", base));
	make_file(path_in(path, "%s/d/f", base));
	make_file(path_in(path, "%s/latest/f", base));
	make_file(path_in(path, pinned ? "%s/old" : "%s/new", base));
	make_file(path_in(path, "%s/.rcu-repo/pins/%d", store, number));
}

static void make_store(const struct world_pin *pin)
{
	static const char *const dirs[] = { "", "/snapshots", "/.rcu-repo", "/.rcu-repo/pins" };
	char path[PATH_MAX], frozen[PATH_MAX], target[32];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		make_dir(path_in(path, "%s%s", pin->store, dirs[i]));
	for (int i = 0; pin->numbers[i]; i++)
		make_snapshot(pin->store, pin->numbers[i], i == 0);
	snprintf(target, sizeof(target), "snapshots/%d", pin->numbers[1]);
	make_link(target, path_in(path, "%s/latest", pin->store));
	snprintf(target, sizeof(target), "snapshots/%d", pin->numbers[0]);
	make_link(target, path_in(frozen, "../hold/%d", pin->numbers[0]));
}

/* The text TOP/w means the world, too, where the world is the root. */
static void make_inner_top(void)
{
	char path[PATH_MAX];

	for (char *slash = strchr(root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		make_dir(path_in(path, ".%s", root));
		*slash = '/';
	}
	make_link("/", path_in(path, ".%s", root));
}

static void make_world(const char *top)
{
	static const char *const dirs[] = { "a", "a/aa", "b", "b/m", "b/n", "b/o", "c", "x0", "proc" };

	if (chdir(top) != 0)
		world_broken("%s", top);
	make_dir("hold");
	make_dir("w");
	if (chdir("w") != 0)
		world_broken("%s/w", top);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		make_dir(dirs[i]);
	make_file("f");
	make_file("a/f");
	make_link("../loc", "x0/x");
	make_link("../../loc", "b/o/x");
	make_link("../../loc/d", "b/o/loc");
	for (int i = 0; i < WORLD_PINS; i++)
		make_store(&world.pins[i]);
	snprintf(root, sizeof(root), "%s/w", top);
	make_inner_top();
	if (chmod("x0", 0) != 0)
		world_broken("x0");
	if (mount("a", "b/m", NULL, MS_BIND, NULL) == 0 && mount("s1", "b/n", NULL, MS_BIND, NULL) == 0 &&
	    mount("/proc", "proc", NULL, MS_BIND, NULL) == 0)
		return;
	/* with a's content in its stead */
	make_link("../../s2/latest", "b/m/loc2");
	make_dir("b/m/aa");
	for (const char *const *dir =
		     (const char *const[]){ "b/n/snapshots", "b/n/snapshots/1", "b/n/snapshots/1/d", NULL };
	     *dir; dir++)
		make_dir(*dir);
}

/* RCU_EXEC_PINS for all pins; an input uses as many as it likes. */
static void set_pins(void)
{
	char text[8192] = "";
	size_t used = 0;

	for (int i = 0; i < WORLD_PINS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s/%s=%s/%s/snapshots/%d\n", root,
					 world.pins[i].location, root, world.pins[i].store,
					 world.pins[i].numbers[0]);
	if (setenv("RCU_EXEC_PINS", text, 1) != 0)
		world_broken("setenv");
}

/* In a process of its own, which becomes the program again. */
__attribute__((noreturn)) static void begin(const char *top, char **argv)
{
	char inside[PATH_MAX + 32];
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", top, "tmpfs", 0, "size=64m") != 0)
		perror("fuzz: no tmpfs");
	umask(022);
	make_world(top);
	set_pins();
	snprintf(inside, sizeof(inside), "%ld:%s", (long)getpid(), top);
	if (setenv(INSIDE, inside, 1) != 0 || fchdir(here) != 0)
		world_broken("setenv");
	execv("/proc/self/exe", argv);
	world_broken("exec");
}

/* The other half of begin(): the descriptors, and what can be done here. */
static void look_around(const char *top)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat a, m;

	snprintf(root, sizeof(root), "%s/w", top);
	world.root = root;
	int w = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w < 0)
		world_broken("%s", root);
	world.hold = openat(w, "../hold", O_PATH | O_DIRECTORY | O_CLOEXEC);
	world.started_in = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	world.root_dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < WORLD_DIRS; i++)
		world.dirs[i] = openat(w, world_dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < WORLD_SLOTS; i++)
		world.slots[i].dir = openat(w, world.slots[i].parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < WORLD_PINS; i++) {
		char name[16];

		world.pins[i].dir = openat(w, world.pins[i].store, O_PATH | O_DIRECTORY | O_CLOEXEC);
		world.pins[i].live = world.pins[i].numbers[1];
		snprintf(name, sizeof(name), "%d", world.pins[i].numbers[0]);
		if (fstatat(world.hold, name, &world.pins[i].frozen, AT_SYMLINK_NOFOLLOW) != 0)
			world_broken("hold/%s", name);
	}
	world.mounts = fstatat(w, "a", &a, 0) == 0 && fstatat(w, "b/m", &m, 0) == 0 && a.st_ino == m.st_ino;
	/* What was opened there is now below a mount, and its text in procfs leads to something else. */
	if (world.mounts &&
	    mount(path_in(from, "%s/a/aa", root), path_in(to, "%s/b/o", root), NULL, MS_BIND, NULL) != 0)
		world_broken("b/o");
	/* Nor can a path see what is exchanged with the links there. */
	if (world.mounts && mount("none", path_in(to, "%s/../hold", root), "tmpfs", 0, "size=4k") != 0)
		world_broken("hold");
	world.chroots = geteuid() == 0 && chroot("/") == 0;
	close(w);
}

void world_enter(char **argv)
{
	char top[PATH_MAX], command[PATH_MAX + 64];
	const char *inside = getenv(INSIDE), *place = getenv("TMPDIR");
	int status;

	if (inside && strtol(inside, NULL, 10) == (long)getpid() && strchr(inside, ':')) {
		look_around(strchr(inside, ':') + 1);
		return;
	}
	snprintf(top, sizeof(top), "%s/rcu-fuzz-XXXXXX", place && *place ? place : "/tmp");
	char *made = mkdtemp(top) ? realpath(top, NULL) : NULL;
	if (!made)
		world_broken("%s", top);
	pid_t child = fork();
	if (child == 0)
		begin(made, argv);
	if (child < 0 || waitpid(child, &status, 0) != child)
		world_broken("fork");
	snprintf(command, sizeof(command), "chmod -f 755 '%s/w/x0'; rm -rf '%s'", made, made);
	if (system(command) != 0)
		fprintf(stderr, "fuzz: %s is left\n", made);
	free(made);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int world_dir(const char *path)
{
	for (int i = 0; i < WORLD_DIRS; i++)
		if (strcmp(world_dirs[i], path) == 0)
			return world.dirs[i];
	world_broken("%s", path);
}

void world_put(struct world_slot *slot, const struct slot_content *want)
{
	struct slot_content *now = &slot->now;

	if (now->kind == want->kind && (now->kind != SLOT_LINK || strcmp(now->target, want->target) == 0))
		return;
	if (now->kind != SLOT_NONE &&
	    unlinkat(slot->dir, slot->name, now->kind == SLOT_DIR ? AT_REMOVEDIR : 0) != 0)
		world_broken("%s/%s", slot->parent, slot->name);
	int error = 0;
	if (want->kind == SLOT_LINK)
		error = symlinkat(want->target, slot->dir, slot->name);
	else if (want->kind == SLOT_FILE)
		error = mknodat(slot->dir, slot->name, S_IFREG | 0755, 0);
	else if (want->kind == SLOT_DIR)
		error = mkdirat(slot->dir, slot->name, 0755);
	if (error != 0)
		world_broken("%s/%s", slot->parent, slot->name);
	*now = *want;
}

void world_publish(struct world_pin *pin, int number)
{
	char target[32];

	if (pin->live == number)
		return;
	snprintf(target, sizeof(target), "snapshots/%d", number);
	if (symlinkat(target, world.hold, "next") != 0 ||
	    renameat(world.hold, "next", pin->dir, "latest") != 0)
		world_broken("%s/latest", pin->store);
	pin->live = number;
}

static void exchange(unsigned pins)
{
	char name[16];

	for (unsigned i = 0; i < pins; i++) {
		const struct world_pin *pin = &world.pins[i];

		snprintf(name, sizeof(name), "%d", pin->numbers[0]);
		if (renameat2(world.hold, name, pin->dir, "latest", RENAME_EXCHANGE) != 0)
			world_broken("%s/latest", pin->store);
	}
}

void world_freeze(unsigned pins)
{
	exchange(pins);
}

void world_thaw(unsigned pins)
{
	exchange(pins);
}

struct world_pin *world_frozen(const struct stat *st, unsigned pins)
{
	for (unsigned i = 0; i < pins; i++)
		if (world.pins[i].frozen.st_dev == st->st_dev && world.pins[i].frozen.st_ino == st->st_ino)
			return &world.pins[i];
	return NULL;
}

bool world_in_snapshot(int dir, unsigned pins)
{
	struct stat here, above, snapshot;
	char path[64] = ".", name[32];

	for (int level = 0; level < 12; level++) {
		if (fstatat(dir, path, &here, 0) != 0)
			return false;
		for (unsigned i = 0; i < pins; i++) {
			snprintf(name, sizeof(name), "snapshots/%d", world.pins[i].numbers[0]);
			if (fstatat(world.pins[i].dir, name, &snapshot, 0) == 0 &&
			    snapshot.st_ino == here.st_ino && snapshot.st_dev == here.st_dev)
				return true;
		}
		strcat(path, "/..");
		if (fstatat(dir, path, &above, 0) != 0 ||
		    (above.st_ino == here.st_ino && above.st_dev == here.st_dev))
			return false;
	}
	return false;
}

void world_humble(bool humble)
{
	static struct __user_cap_data_struct all[2];
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	if (all[0].permitted == 0 && (syscall(SYS_capget, &header, all) != 0 || all[0].permitted == 0))
		return;
	struct __user_cap_data_struct some[2] = { all[0], all[1] };
	if (humble)
		some[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	if (syscall(SYS_capset, &header, some) != 0)
		world_broken("capset");
}

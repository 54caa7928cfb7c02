/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shim's wrapped calls against the kernel: a call by the shim, with `latest` as somebody else has published it, must answer as
 * the bare call does while `latest` is frozen at the pinned number. The wrappers are linked into this program under their own
 * names (wrap_openat), so that what is called here by libc's name is libc's.
 */
#include "tests/fuzz/fuzz_map.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/wrap.h"
#include "tests/fuzz/case.h"
#include "tests/fuzz/world.h"

#define ERRNO_BEFORE 7777
#define EXCHANGES_MAX CASE_STEPS_MAX
#define CHILD_STACK (256 * 1024)

/* What a call has answered. */
struct answer {
	int error;
	bool changed_errno;
	dev_t dev;
	ino_t ino;
	off_t size; /* of a link; else 0 */
	ssize_t length;
	char text[2 * PATH_MAX];
};

/* A name, by the directory that it was in at first: a path may lead elsewhere by now. */
struct name {
	const char *parent; /* one of world_dirs */
	const char *name;
};

struct exchange {
	struct name one, other;
};

static struct fuzz_case now;
static bool in_chroot;
static int lowest_free; /* descriptor */
static dev_t proc_device;
static unsigned exchanges;
static struct exchange exchanged[EXCHANGES_MAX];

static void answer_object(struct answer *a, int result, const struct stat *st)
{
	a->error = result < 0 ? errno : 0;
	a->changed_errno = result >= 0 && errno != ERRNO_BEFORE;
	if (result < 0)
		return;
	a->dev = st->st_dev;
	a->ino = st->st_ino;
	a->size = S_ISLNK(st->st_mode) ? st->st_size : 0;
}

/* What a descriptor is open on; it is closed. A link's size is what fstat() knows of it, not what we say. */
static void answer_opened(struct answer *a, int fd)
{
	struct stat st = { .st_ino = 0 };

	a->error = fd < 0 ? errno : 0;
	a->changed_errno = fd >= 0 && errno != ERRNO_BEFORE;
	if (fd < 0)
		return;
	if (fstat(fd, &st) != 0)
		world_broken("fstat");
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	close(fd);
}

static void ask_stat(const struct case_step *s, bool wrapped, struct answer *a)
{
	struct stat st;
	int result;

	if (!wrapped)
		result = fstatat(s->dir, s->path, &st, 0);
	else if (s->dir == AT_FDCWD && s->with % 2)
		result = wrap_stat(s->path, &st);
	else
		result = wrap_fstatat(s->dir, s->path, &st, 0);
	answer_object(a, result, &st);
}

static void ask_lstat(const struct case_step *s, bool wrapped, struct answer *a)
{
	struct stat st;
	int result;

	if (!wrapped)
		result = fstatat(s->dir, s->path, &st, AT_SYMLINK_NOFOLLOW);
	else if (s->dir == AT_FDCWD && s->with % 2)
		result = wrap_lstat(s->path, &st);
	else
		result = wrap_fstatat(s->dir, s->path, &st, AT_SYMLINK_NOFOLLOW);
	answer_object(a, result, &st);
}

static void ask_statx(const struct case_step *s, bool wrapped, struct answer *a)
{
	int flags = s->with % 2 ? AT_SYMLINK_NOFOLLOW : 0;
	struct statx st;
	struct stat plain;
	int result = wrapped ? wrap_statx(s->dir, s->path, flags, STATX_BASIC_STATS, &st)
			     : statx(s->dir, s->path, flags, STATX_BASIC_STATS, &st);

	if (result == 0) {
		plain.st_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
		plain.st_ino = st.stx_ino;
		plain.st_mode = st.stx_mode;
		plain.st_size = (off_t)st.stx_size;
	}
	answer_object(a, result, &plain);
}

static void ask_open(const struct case_step *s, bool wrapped, struct answer *a)
{
	static const int with[] = {
		O_RDONLY,
		O_PATH,
		O_PATH | O_NOFOLLOW,
		O_RDONLY | O_NOFOLLOW,
		O_RDONLY | O_DIRECTORY,
		O_PATH | O_NOFOLLOW | O_DIRECTORY,
		O_RDONLY | O_NONBLOCK | O_NOATIME,
		O_PATH | O_DIRECTORY,
	};
	int flags = with[s->with % 8] | O_CLOEXEC;

	if (!wrapped)
		answer_opened(a, openat(s->dir, s->path, flags));
	else if (s->dir == AT_FDCWD && s->with & 8)
		answer_opened(a, wrap_open(s->path, flags));
	else
		answer_opened(a, wrap_openat(s->dir, s->path, flags));
}

static void ask_opendir(const struct case_step *s, bool wrapped, struct answer *a)
{
	DIR *list = wrapped ? wrap_opendir(s->path) : opendir(s->path);
	int fd = list ? dup(dirfd(list)) : -1;

	answer_opened(a, fd);
	a->changed_errno = false;
	if (list)
		closedir(list);
}

static void ask_fopen(const struct case_step *s, bool wrapped, struct answer *a)
{
	FILE *file = wrapped ? wrap_fopen(s->path, "re") : fopen(s->path, "re");
	int fd = file ? dup(fileno(file)) : -1;

	answer_opened(a, fd);
	a->changed_errno = false;
	if (file)
		fclose(file);
}

static void ask_access(const struct case_step *s, bool wrapped, struct answer *a)
{
	static const int modes[] = { F_OK, R_OK, X_OK, R_OK | X_OK };
	static const int flags[] = { 0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, 0 };
	int mode = modes[s->with % 4], flag = flags[s->with / 4 % 4];
	int result;

	if (!wrapped)
		result = faccessat(s->dir, s->path, mode, flag);
	else if (s->dir == AT_FDCWD && flag == 0)
		result = wrap_access(s->path, mode);
	else
		result = wrap_faccessat(s->dir, s->path, mode, flag);
	a->error = result < 0 ? errno : 0;
}

static void ask_readlink(const struct case_step *s, bool wrapped, struct answer *a)
{
	size_t room = s->with % 4 == 3 ? 5 : PATH_MAX;

	if (!wrapped)
		a->length = readlinkat(s->dir, s->path, a->text, room);
	else if (s->dir == AT_FDCWD && s->with % 2)
		a->length = wrap_readlink(s->path, a->text, room);
	else
		a->length = wrap_readlinkat(s->dir, s->path, a->text, room);
	a->error = a->length < 0 ? errno : 0;
	a->changed_errno = a->length >= 0 && errno != ERRNO_BEFORE;
}

static void ask_realpath(const struct case_step *s, bool wrapped, struct answer *a)
{
	char *answer = wrapped ? wrap_realpath(s->path, a->text) : realpath(s->path, a->text);

	a->error = answer ? 0 : errno;
	a->length = answer ? (ssize_t)strlen(a->text) : 0;
}

/* Bare, it does not stay there. */
static void ask_chdir(const struct case_step *s, bool wrapped, struct answer *a)
{
	struct stat st;
	int here = wrapped ? -1 : open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result;

	errno = ERRNO_BEFORE;
	if (s->dir != AT_FDCWD && s->with % 4 == 3)
		result = wrapped ? wrap_fchdir(s->dir) : fchdir(s->dir);
	else
		result = wrapped ? wrap_chdir(s->path) : chdir(s->path);
	if (result == 0 && fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH) != 0)
		world_broken("where we are");
	answer_object(a, result, &st);
	if (!wrapped && (fchdir(here) != 0 || close(here) != 0))
		world_broken("fchdir");
}

static void ask_chroot(const struct case_step *s, bool wrapped, struct answer *a)
{
	struct stat st;

	if (wrapped) {
		int result = wrap_chroot(s->path);

		if (result == 0 && fstatat(AT_FDCWD, "/", &st, 0) != 0)
			world_broken("/");
		answer_object(a, result, &st);
		in_chroot = in_chroot || result == 0;
		return;
	}
	int fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	answer_object(a, fd < 0 ? -1 : fstatat(fd, ".", &st, 0), &st);
	if (fd >= 0)
		close(fd);
}

static void ask_descriptor(const struct case_step *s, bool wrapped, struct answer *a)
{
	int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int fd = wrapped ? wrap_openat(s->dir, s->path, flags) : openat(s->dir, s->path, flags);
	int keep = fd >= 0 && wrapped ? dup(fd) : -1;

	answer_opened(a, fd);
	if (keep < 0)
		return;
	if (dup2(keep, CASE_FD_FIRST + (int)(s->with % CASE_FDS)) < 0)
		world_broken("dup2");
	close(keep);
}

/* Only in the world: the directory that the new one would be in is on its file system. */
static bool in_world(const struct case_step *s)
{
	char parent[2 * PATH_MAX];
	size_t length = strlen(s->path);
	struct stat st, root;

	if (length >= sizeof(parent) - 2)
		return false;
	memcpy(parent, s->path, length + 1);
	while (length > 0 && parent[length - 1] == '/')
		length--;
	while (length > 0 && parent[length - 1] != '/')
		length--;
	parent[length] = '.';
	parent[length + 1] = '\0';
	return fstatat(s->dir, parent, &st, 0) == 0 &&
	       fstatat(world.dirs[0], "", &root, AT_EMPTY_PATH) == 0 && st.st_dev == root.st_dev;
}

/* The parent of what was made is the answer. It is removed again, by the frozen spelling. */
static void answer_made(const struct case_step *s, struct answer *a)
{
	struct stat st;
	int fd = openat(s->dir, s->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		world_broken("%s was made elsewhere", s->path);
	if (fstatat(fd, "..", &st, 0) == 0) { /* not where a directory was moved out of a bind mount */
		a->dev = st.st_dev;
		a->ino = st.st_ino;
	}
	a->length = world_in_snapshot(fd, now.pins);
	close(fd);
	if (unlinkat(s->dir, s->path, AT_REMOVEDIR) != 0)
		world_broken("cannot remove %s", s->path);
}

/* It was moved out of a bind mount, and has no path any more: procfs says that it is the root. */
static bool is_astray(int fd)
{
	char link[64], text[2];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return readlink(link, text, sizeof(text)) == 1;
}

static bool stands_at(int dir, const char *name, const struct stat *st)
{
	struct stat found;

	return fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_ino == st->st_ino &&
	       found.st_dev == st->st_dev;
}

/* The directory that a file was just made in, and its name there; where its text leads elsewhere, one of the world's. */
static int found_in(int fd, char *path, const char **name)
{
	char link[64];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t length = in_chroot ? -1 : readlink(link, path, PATH_MAX - 1);
	if (fstat(fd, &st) != 0 || length <= 0)
		return -1;
	path[length] = '\0';
	char *slash = strrchr(path, '/');
	*slash = '\0';
	*name = slash + 1;
	int parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0 && stands_at(parent, *name, &st))
		return parent;
	close(parent);
	for (int i = 0; i < WORLD_DIRS; i++)
		if (stands_at(world.dirs[i], *name, &st))
			return fcntl(world.dirs[i], F_DUPFD_CLOEXEC, 0);
	return -1;
}

/* The directory of a new file is the answer. It is removed again. */
static void answer_created(int fd, struct answer *a)
{
	char path[PATH_MAX];
	const char *name;
	struct stat st;
	int parent = found_in(fd, path, &name);

	if (parent < 0 || fstat(parent, &st) != 0)
		world_broken("%s: what was made is not found", path);
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	a->length = world_in_snapshot(parent, now.pins);
	if (unlinkat(parent, name, 0) != 0)
		world_broken("cannot remove %s", name);
	close(parent);
}

/* Of what a walk may begin at. */
static bool begins_astray(void)
{
	int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool astray = is_astray(fd);

	close(fd);
	for (int i = 0; i < CASE_FDS; i++)
		astray = astray || is_astray(CASE_FD_FIRST + i);
	return astray;
}

/* A file through whatever links there are, also one that leads to a name that is free. */
static void ask_create(const struct case_step *s, bool wrapped, struct answer *a)
{
	int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | (s->with & 16 ? O_NOFOLLOW : 0);
	struct stat st;
	bool there;

	if (in_chroot || (!wrapped && (!in_world(s) || begins_astray()))) {
		a->error = -1;
		return;
	}
	if (wrapped)
		world_freeze(now.pins);
	there = fstatat(s->dir, s->path, &st, 0) == 0;
	if (wrapped)
		world_thaw(now.pins);
	errno = ERRNO_BEFORE;
	int fd = wrapped ? wrap_openat(s->dir, s->path, flags, 0755) : openat(s->dir, s->path, flags, 0755);
	a->error = fd < 0 ? errno : 0;
	a->changed_errno = fd >= 0 && errno != ERRNO_BEFORE;
	if (fd < 0)
		return;
	if (!there) {
		answer_created(fd, a);
	} else if (fstat(fd, &st) == 0) {
		char path[PATH_MAX];
		const char *name;
		int parent = found_in(fd, path, &name);

		a->dev = st.st_dev;
		a->ino = st.st_ino;
		a->length = parent >= 0 && world_in_snapshot(parent, now.pins);
		if (parent >= 0)
			close(parent);
	}
	close(fd);
	if (!wrapped && a->length)
		*a = (struct answer){ .error = EROFS };
}

static void ask_mkdir(const struct case_step *s, bool wrapped, struct answer *a)
{
	if (s->with & 8) {
		ask_create(s, wrapped, a);
		return;
	}
	if (!wrapped && !in_world(s)) {
		a->error = -1; /* not asked */
		return;
	}
	int result = wrapped ? wrap_mkdirat(s->dir, s->path, 0755) : mkdirat(s->dir, s->path, 0755);

	a->error = result < 0 ? errno : 0;
	if (result < 0)
		return;
	if (wrapped)
		world_freeze(now.pins);
	answer_made(s, a);
	if (wrapped)
		world_thaw(now.pins);
	if (!wrapped && a->length)
		*a = (struct answer){ .error = EROFS };
}

typedef void ask(const struct case_step *s, bool wrapped, struct answer *a);

static ask *const asks[DO_KINDS] = {
	[DO_STAT] = ask_stat,         [DO_LSTAT] = ask_lstat,     [DO_OPEN] = ask_open,
	[DO_READLINK] = ask_readlink, [DO_CHDIR] = ask_chdir,     [DO_DESCRIPTOR] = ask_descriptor,
	[DO_MKDIR] = ask_mkdir,       [DO_CHROOT] = ask_chroot,   [DO_REALPATH] = ask_realpath,
	[DO_ACCESS] = ask_access,     [DO_OPENDIR] = ask_opendir, [DO_STATX] = ask_statx,
	[DO_FOPEN] = ask_fopen,
};

/* The link that is frozen stands for the one that is there now. */
static void translate(struct answer *a)
{
	struct stat st = { .st_dev = a->dev, .st_ino = a->ino };
	struct world_pin *pin = a->error == 0 ? world_frozen(&st, now.pins) : NULL;

	if (pin && fstatat(pin->dir, "latest", &st, AT_SYMLINK_NOFOLLOW) == 0)
		a->ino = st.st_ino;
}

static void print_answer(const char *who, const struct answer *a)
{
	fprintf(stderr, "%s: %s, inode %lu on %lx, size %ld, \"%.*s\"%s\n", who,
		a->error ? strerrorname_np(a->error) : "ok", (unsigned long)a->ino, (unsigned long)a->dev,
		(long)a->size, (int)(a->length > 0 ? a->length : 0), a->text,
		a->changed_errno ? ", changed errno" : "");
}

/* Back to where libFuzzer's own paths lead. */
static void go_home(void)
{
	if (in_chroot && (fchdir(world.root_dir) != 0 || chroot(".") != 0))
		world_broken("chroot");
	in_chroot = false;
	if (fchdir(world.started_in) != 0)
		world_broken("fchdir");
}

__attribute__((noreturn)) static void differs(unsigned step, const struct answer *want,
					      const struct answer *got)
{
	world_humble(false);
	go_home();
	fputs("a difference in this case:\n", stderr);
	case_print(&now, step, stderr);
	print_answer("wanted", want);
	print_answer("got   ", got);
	abort();
}

static bool is_same(const struct answer *want, const struct answer *got)
{
	return want->error == got->error && !got->changed_errno && want->dev == got->dev &&
	       want->ino == got->ino && want->size == got->size && want->length == got->length &&
	       (want->length <= 0 || memcmp(want->text, got->text, (size_t)want->length) == 0);
}

/*
 * In a child that shares our memory and not our working directory, as between vfork(2) and exec: it first goes to another one. What it has
 * learned must be right for us, too.
 */
struct child {
	const struct case_step *step;
	struct answer *answer;
};

static int child_directory(const struct case_step *s)
{
	return world.dirs[s->with / 8 % WORLD_DIRS];
}

static int run_child(void *argument)
{
	const struct child *child = argument;

	if (wrap_fchdir(child_directory(child->step)) != 0)
		world_broken("fchdir");
	errno = ERRNO_BEFORE;
	asks[child->step->kind](child->step, true, child->answer);
	return 0;
}

static void ask_child(const struct case_step *s, struct answer *a)
{
	static char stack[CHILD_STACK] __attribute__((aligned(64)));
	struct child child = { s, a };
	int status;
	pid_t pid = clone(run_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &child);

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		world_broken("child");
}

/* For it the bare call is made where it goes to. */
static void ask_elsewhere(const struct case_step *s, struct answer *a)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (here < 0 || fchdir(child_directory(s)) != 0)
		world_broken("fchdir");
	errno = ERRNO_BEFORE;
	asks[s->kind](s, false, a);
	if (fchdir(here) != 0 || close(here) != 0)
		world_broken("fchdir");
}

/* Of the calls that change nothing of the process. */
static bool is_for_child(const struct case_step *s)
{
	return (s->with & 0xc0) == 0xc0 && s->dir == AT_FDCWD &&
	       (s->kind == DO_STAT || s->kind == DO_OPEN || s->kind == DO_READLINK || s->kind == DO_ACCESS);
}

static void compare(unsigned number, const struct case_step *s)
{
	static struct answer want, got;
	bool child = is_for_child(s);

	if (s->kind == DO_CHROOT && !world.chroots)
		return;
	want = got = (struct answer){ .error = 0 };
	world_freeze(now.pins);
	errno = ERRNO_BEFORE;
	if (child)
		ask_elsewhere(s, &want);
	else
		asks[s->kind](s, false, &want);
	world_thaw(now.pins);
	if (want.error == -1)
		return;
	translate(&want);
	errno = ERRNO_BEFORE;
	if (child)
		ask_child(s, &got);
	if (child && want.dev == proc_device)
		want.ino = got.ino; /* of another process */
	if (!child)
		asks[s->kind](s, true, &got);
	if (!is_same(&want, &got))
		differs(number, &want, &got);
}

/* Where the process itself changes something it is by the wrappers, which have to notice. True if it was done. */
static bool unmake(struct world_slot *slot, const char *absolute)
{
	int flags = slot->now.kind == SLOT_DIR ? AT_REMOVEDIR : 0;
	int result;

	if (slot->now.kind == SLOT_NONE)
		return true;
	if (!absolute)
		result = wrap_unlinkat(slot->dir, slot->name, flags);
	else
		result = flags ? wrap_rmdir(absolute) : wrap_unlink(absolute);
	if (result == 0)
		slot->now.kind = SLOT_NONE;
	return result == 0;
}

static void make(struct world_slot *slot, const char *absolute, const struct slot_content *want)
{
	int dir = absolute ? AT_FDCWD : slot->dir;
	const char *name = absolute ? absolute : slot->name;
	int result = -1;

	if (want->kind == SLOT_LINK)
		result = wrap_symlinkat(want->target, dir, name);
	else if (want->kind == SLOT_FILE)
		result = wrap_mknodat(dir, name, S_IFREG | 0755, 0);
	else if (want->kind == SLOT_DIR)
		result = wrap_mkdirat(dir, name, 0755);
	if (result == 0)
		slot->now = *want;
}

/* Made aside, and then in one step. */
static void replace(struct world_slot *slot, const char *absolute, const struct slot_content *want)
{
	if (symlinkat(want->target, world.hold, "aside") != 0)
		world_broken("hold/aside");
	if (wrap_renameat(world.hold, "aside", absolute ? AT_FDCWD : slot->dir,
			  absolute ? absolute : slot->name) == 0)
		slot->now = *want;
	else if (unlinkat(world.hold, "aside", 0) != 0)
		world_broken("hold/aside");
}

static int exchange_names(const struct exchange *e,
			  int (*call)(int, const char *, int, const char *, unsigned))
{
	return call(world_dir(e->one.parent), e->one.name, world_dir(e->other.parent), e->other.name,
		    RENAME_EXCHANGE);
}

static void exchange(const struct case_step *s)
{
	static const struct exchange pairs[] = {
		{ { ".", "a" }, { ".", "c" } },   { { ".", "a" }, { ".", "s2" } },
		{ { "a", "aa" }, { ".", "s2" } }, { { ".", "b" }, { ".", "s1" } },
		{ { ".", "a" }, { ".", "q" } },   { { ".", "c" }, { ".", "x" } },
		{ { ".", "s2" }, { "a", "x" } },  { { "s1/snapshots", "2" }, { "s1/snapshots", "10" } },
		{ { "c", "s3" }, { "a", "x" } },  { { ".", "s1" }, { ".", "y" } },
	};
	const struct exchange *pair = &pairs[s->with % (sizeof(pairs) / sizeof(*pairs))];

	if (exchange_names(pair, wrap_renameat2) == 0)
		exchanged[exchanges++] = *pair;
}

/* What stands at the slot's name is not the slot's. */
static bool is_exchanged(const struct world_slot *slot)
{
	for (unsigned i = 0; i < exchanges; i++)
		if (strcmp(exchanged[i].other.parent, slot->parent) == 0 &&
		    strcmp(exchanged[i].other.name, slot->name) == 0)
			return true;
	return false;
}

static void change_slot(const struct case_step *s)
{
	struct world_slot *slot = &world.slots[s->with % WORLD_SLOTS];
	unsigned how = s->with / WORLD_SLOTS;
	char path[PATH_MAX];
	const char *absolute = NULL;

	if (is_exchanged(slot))
		return;
	if (how % 2 && exchanges == 0 && !in_chroot) {
		snprintf(path, sizeof(path), "%s/%s/%s", world.root, slot->parent, slot->name);
		absolute = path;
	}
	if (how / 2 % 2 && s->put.kind == SLOT_LINK && slot->now.kind != SLOT_DIR)
		replace(slot, absolute, &s->put);
	else if (unmake(slot, absolute))
		make(slot, absolute, &s->put);
}

static void publish(const struct case_step *s)
{
	struct world_pin *pin = &world.pins[s->with % WORLD_PINS];
	int numbers = pin->numbers[2] ? 3 : 2;

	world_publish(pin, pin->numbers[s->with / WORLD_PINS % (unsigned)numbers]);
}

static int free_descriptor(void)
{
	int fd = fcntl(world.hold, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

static void begin(void)
{
	for (int i = 0; i < WORLD_SLOTS; i++)
		world_put(&world.slots[i], &now.slots[i]);
	for (int i = 0; i < WORLD_PINS; i++)
		world_publish(&world.pins[i], world.pins[i].numbers[1]);
	for (int i = 0; i < CASE_FDS; i++)
		if (dup2(world.dirs[now.fds[i]], CASE_FD_FIRST + i) < 0)
			world_broken("dup2");
	if (fchdir(world.dirs[now.cwd]) != 0)
		world_broken("%s", world_dirs[now.cwd]);
	lowest_free = free_descriptor();
	exchanges = 0;
	in_chroot = false;
	shim.count = getenv("RCU_FUZZ_BLIND") ? 0 : now.pins;
	/* What was remembered of another tree is wrong in this one, as after changes by another process. */
	memory_start();
	memory_forget();
}

/* The lowest that is free is the one that was. */
static void check_descriptors(void)
{
	char path[64], target[PATH_MAX];
	int free_now = free_descriptor();

	if (free_now == lowest_free)
		return;
	case_print(&now, now.steps, stderr);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", lowest_free);
	ssize_t length = readlink(path, target, sizeof(target));
	world_broken("descriptor %d (%.*s) was left open, or %d was closed", lowest_free,
		     (int)(length > 0 ? length : 0), target, free_now);
}

static void end(void)
{
	go_home();
	while (exchanges > 0) {
		const struct exchange *pair = &exchanged[--exchanges];

		if (exchange_names(pair, renameat2) != 0)
			world_broken("%s and %s", pair->one.name, pair->other.name);
	}
	check_descriptors();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct stat st;

	(void)argc;
	world_enter(*argv);
	if (shim.count != WORLD_PINS)
		world_broken("%u pins", shim.count);
	if (stat("/proc", &st) != 0)
		world_broken("/proc");
	proc_device = st.st_dev;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	case_read(&now, data, size);
	begin();
	world_humble(true);
	for (unsigned i = 0; i < now.steps; i++) {
		const struct case_step *s = &now.step[i];

		if (s->kind == DO_SLOT)
			change_slot(s);
		else if (s->kind == DO_EXCHANGE)
			exchange(s);
		else if (s->kind == DO_PUBLISH)
			publish(s);
		else
			compare(i, s);
	}
	world_humble(false);
	end();
	return 0;
}

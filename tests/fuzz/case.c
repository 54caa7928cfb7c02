/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fuzz/case.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

struct input {
	const uint8_t *at, *end;
};

static unsigned take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* A name of 255 bytes, and one that is too long. */
#define N50 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define N255 N50 N50 N50 N50 N50 "nnnnn"

static const char *const words[] = {
	"..",
	"latest",
	"loc",
	"x",
	"d",
	"snapshots",
	"1",
	"f",
	"s1",
	"",
	".",
	"y",
	"old",
	"new",
	"loc2",
	"a",
	"aa",
	"b",
	"m",
	"n",
	"s2",
	"3",
	"4",
	"c",
	"s3",
	"9",
	"12",
	"q",
	"2",
	"10",
	"loc3",
	"z",
	"e",
	"missing",
	"x0",
	"..",
	"..",
	"..",
	"x",
	"x",
	"d",
	"proc",
	N255,
	"",
	".",
	N255 "n",
	"fd",
	"self",
	"cwd",
	"200",
	"201",
	"x",
	"y",
	"latest",
	"root",
	"f",
	"w",
	"hold",
	"...",
	" \n%=",
	"s1/latest",
	"s2/latest",
	"c/s3/latest",
	"b/n/latest",
	"b/m/loc2",
	"a/loc2",
	"c/loc3",
	"loc/d",
	"loc/d/..",
	"latest/d/..",
	"../latest",
	"../../latest",
	"../../../latest",
	"../../../../s1/latest",
	"../s1",
	"../loc",
	"d/f",
	"d/../f",
	"d/../../1/d",
	"loc//.//d",
	"loc/latest",
	"../../loc",
	"loc/../../latest",
	"d/../../../latest",
	"snapshots/1/..",
	"snapshots/2/../../latest",
	"f/",
	"d/",
	"latest/",
	"loc/x",
	"latest/x",
	"loc/d/y",
	"s1/snapshots/x",
	"q/latest",
	"../s2/latest",
};

/* Where a path begins that is neither relative nor in TOP/w; %s is that. */
static const char *const starts[] = {
	"/proc/self/root%s",
	"/proc/thread-self/cwd",
	"/dev/fd/200",
	"/proc/self/fd/202",
	"/",
	"/%s//",
	"%s/../w/.",
	"%s/loc",
	"%s/s1/latest",
	"%s/b/m/loc2",
	"%s/c/loc3",
	"%s/loc/d",
	"%s/b/n/latest",
	"%s/loc/",
	"%s/x",
	"/proc/self/fd/200",
	"/proc/self/fd/203",
	"/proc/self/task/../cwd",
	"/proc/self/exe",
};

struct text {
	char *at;
	size_t used, room;
};

static void add(struct text *t, const char *more)
{
	size_t length = strlen(more);

	if (t->used + length + 1 >= t->room)
		return;
	memcpy(t->at + t->used, more, length + 1);
	t->used += length;
}

static void add_start(struct text *t, unsigned how, struct input *in)
{
	const char *start;

	if (how == 1) {
		add(t, world.root);
	} else if (how == 2) {
		add(t, "/proc/self/cwd");
	} else if (how == 3) {
		start = starts[take(in) % (sizeof(starts) / sizeof(*starts))];
		const char *hole = strstr(start, "%s");
		if (hole) {
			char before[64] = "";

			memcpy(before, start, (size_t)(hole - start));
			add(t, before);
			add(t, world.root);
			start = hole + 2;
		}
		add(t, start);
	}
}

/* How it starts (2 bits), how many words (3), a slash behind it, and, rarely, about as long as the kernel takes. */
static void add_path(struct text *t, struct input *in)
{
	static const unsigned counts[] = { 1, 0, 1, 2, 2, 3, 4, 6 };
	unsigned how = take(in);
	size_t begin = t->used;

	add_start(t, how & 3, in);
	if ((how & 0xc0) == 0xc0 && take(in) % 8 == 0) {
		size_t length = PATH_MAX - 12 - take(in) % 64;

		if (t->used == begin)
			add(t, ".");
		while (t->used - begin < length && t->used + 8 < t->room)
			add(t, "/.");
	}
	for (unsigned i = 0; i < counts[how >> 2 & 7]; i++) {
		if (t->used != begin)
			add(t, "/");
		add(t, words[take(in) % (sizeof(words) / sizeof(*words))]);
	}
	if (how & 0x20)
		add(t, "/");
}

static const char *read_path(struct fuzz_case *c, struct input *in)
{
	struct text t = { .at = c->room + c->used, .room = sizeof(c->room) - c->used };

	t.at[0] = '\0';
	if (t.room > 2 * PATH_MAX)
		add_path(&t, in);
	c->used += t.used + 1;
	return t.at;
}

static void read_content(struct slot_content *content, struct input *in)
{
	struct text t = { .at = content->target, .room = sizeof(content->target) };
	unsigned kind = take(in) % 8;

	content->kind = kind == 0 ? SLOT_NONE : kind == 1 ? SLOT_FILE : kind == 2 ? SLOT_DIR : SLOT_LINK;
	t.at[0] = '\0';
	if (content->kind != SLOT_LINK)
		return;
	add_path(&t, in);
	if (t.used == 0)
		add(&t, "latest"); /* the kernel makes no empty link */
}

static void read_slots(struct fuzz_case *c, struct input *in)
{
	for (int i = 0; i < WORLD_SLOTS; i++) {
		struct slot_content *slot = &c->slots[i];
		const char *usual = world.slots[i].usual;

		slot->kind = usual ? SLOT_LINK : SLOT_NONE;
		slot->target[0] = '\0';
		if (!usual)
			continue;
		struct text t = { .at = slot->target, .room = sizeof(slot->target) };
		if (strncmp(usual, "%s", 2) == 0)
			add(&t, world.root);
		add(&t, usual + (strncmp(usual, "%s", 2) == 0 ? 2 : 0));
	}
	for (unsigned count = take(in) % 8; count > 0; count--) {
		unsigned which = take(in) % WORLD_SLOTS;

		read_content(&c->slots[which], in);
	}
}

static void read_step(struct fuzz_case *c, struct case_step *step, struct input *in)
{
	unsigned dir;

	step->kind = take(in) % DO_KINDS;
	step->with = take(in);
	step->dir = AT_FDCWD;
	step->path = "";
	switch (step->kind) {
	case DO_SLOT:
		read_content(&step->put, in);
		break;
	case DO_EXCHANGE:
	case DO_PUBLISH:
		break;
	default:
		dir = take(in) % 8;
		if (dir < CASE_FDS)
			step->dir = CASE_FD_FIRST + (int)dir;
		step->path = read_path(c, in);
	}
}

void case_read(struct fuzz_case *c, const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	c->used = 0;
	c->steps = 0;
	c->pins = 1 + take(&in) % WORLD_PINS;
	c->cwd = take(&in) % WORLD_DIRS;
	for (int i = 0; i < CASE_FDS; i++)
		c->fds[i] = take(&in) % WORLD_DIRS;
	read_slots(c, &in);
	while (c->steps < CASE_STEPS_MAX && in.at < in.end)
		read_step(c, &c->step[c->steps++], &in);
}

static void print_content(const struct slot_content *content, FILE *to)
{
	static const char *const kinds[] = { "nothing", "-> ", "a file", "a directory" };

	fprintf(to, "%s%s\n", kinds[content->kind], content->kind == SLOT_LINK ? content->target : "");
}

static void print_step(const struct case_step *step, FILE *to)
{
	static const char *const names[DO_KINDS] = {
		"stat",     "lstat",  "open",    "readlink", "chdir",  "descriptor", "mkdir", "slot",
		"exchange", "chroot", "publish", "realpath", "access", "opendir",    "statx", "fopen",
	};

	fprintf(to, "%s (%u) ", names[step->kind], step->with);
	if (step->kind == DO_SLOT) {
		const struct world_slot *slot = &world.slots[step->with % WORLD_SLOTS];

		fprintf(to, "%s/%s ", slot->parent, slot->name);
		print_content(&step->put, to);
		return;
	}
	if (step->dir != AT_FDCWD)
		fprintf(to, "%d: ", step->dir);
	fprintf(to, "\"%s\"\n", step->path);
}

void case_print(const struct fuzz_case *c, unsigned steps, FILE *to)
{
	fprintf(to, "pins: %u\nworld: %s\n", c->pins, world.root);
	for (int i = 0; i < WORLD_SLOTS; i++) {
		if (c->slots[i].kind == SLOT_NONE)
			continue;
		fprintf(to, "%s/%s ", world.slots[i].parent, world.slots[i].name);
		print_content(&c->slots[i], to);
	}
	fprintf(to, "in %s\n", world_dirs[c->cwd]);
	for (int i = 0; i < CASE_FDS; i++)
		fprintf(to, "descriptor %d: %s\n", CASE_FD_FIRST + i, world_dirs[c->fds[i]]);
	for (unsigned i = 0; i < c->steps && i <= steps; i++) {
		fprintf(to, "%u. ", i + 1);
		print_step(&c->step[i], to);
	}
}

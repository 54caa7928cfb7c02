/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/state.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "core/hold.h"
#include "core/names.h"
#include "core/pin_text.h"
#include "core/sys.h"
#include "preload/exec.h"
#include "preload/map.h"
#include "preload/memory.h"
#include "preload/wrap.h"

struct shim shim;
int shim_started;

/* ld.so's: where the kernel put argc, argv, envp, auxv. musl has none. */
extern void *__libc_stack_end __attribute__((weak));
extern char **environ __attribute__((weak));

static const char file_name[] = "librcu-exec.so";

#define ADOPT_TRIES 10000
/* What the text of one pin needs beyond 4 times its length: terminators, and "/latest". */
#define ARENA_SLACK 16

/* Room that lives as long as the process. Most need little of it: no mapping then, which the kernel would have to make and to undo. */
struct arena {
	char *at;
	size_t left;
};

static bool arena_init(struct arena *arena, size_t size)
{
	*arena = (struct arena){ shim.room, sizeof(shim.room) };
	if (size <= sizeof(shim.room))
		return true;
	long address = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed(address))
		return false;
	*arena = (struct arena){ (char *)address, size };
	return true;
}

static char *arena_take(struct arena *arena, size_t size)
{
	char *room = arena->at;

	if (size > arena->left)
		return NULL;
	arena->at += size;
	arena->left -= size;
	return room;
}

/* A copy of text[0 .. length) with `more` behind it. */
static const char *arena_text(struct arena *arena, const char *text, size_t length, const char *more)
{
	char *copy = arena_take(arena, length + strlen(more) + 1);

	if (copy) {
		memcpy(copy, text, length);
		memcpy(copy + length, more, strlen(more) + 1);
	}
	return copy;
}

/* NULL where the variable is not set; NULL for a NULL envp. */
static const char *environment_get(char **envp, const char *name)
{
	for (; envp && *envp; envp++) {
		size_t i = 0;

		while (name[i] && (*envp)[i] == name[i])
			i++;
		if (!name[i] && (*envp)[i] == '=')
			return *envp + i + 1;
	}
	return NULL;
}

static unsigned long auxiliary_get(char **envp, unsigned long type)
{
	while (*envp)
		envp++;
	for (const ElfW(auxv_t) *a = (const void *)(envp + 1); a->a_type != AT_NULL; a++)
		if (a->a_type == type)
			return a->a_un.a_val;
	return 0;
}

/* The entry of LD_PRELOAD that is us, known by the file's name: what it says ($LIB, another directory) stays as it was written. */
static const char *find_self(struct arena *arena, const char *list)
{
	const size_t name = sizeof(file_name) - 1;

	while (list && *list) {
		size_t length = 0;

		while (list[length] && list[length] != ':' && list[length] != ' ')
			length++;
		if (length >= name && memcmp(list + length - name, file_name, name) == 0)
			return arena_text(arena, list, length, "");
		list += length + (list[length] != '\0');
	}
	return NULL;
}

/* Tries for as long as a reclaimer that is just asking about the pin may need: microseconds. */
static int take_patiently(int store, uint64_t number)
{
	int fd = hold_take(store, number);

	for (int tries = 0; fd == -EAGAIN && tries < ADOPT_TRIES; tries++) {
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		fd = hold_take(store, number);
	}
	return fd;
}

/*
 * From a descriptor that holds the pin to a mapping, which is made before the descriptor is closed: there is no moment without.
 * The descriptor stays where nothing else could be handed on by the next exec, and where there can be no mapping.
 */
static void hold(struct shim_pin *pin, int fd, bool far)
{
	pin->held = fd >= 0 && hold_map(fd, pin->number) == 0;
	if (fd >= 0 && (far || !pin->held))
		pin->kept = hold_keep(fd);
	else if (fd >= 0)
		sys_close(fd);
	pin->held = pin->held || pin->kept >= 0;
}

/*
 * The pin was handed over, or (an exec past the shim; a program that closed what it did not know) is taken anew by its number, if
 * the store can be seen from here. The environment may be another program's: only a descriptor of the very file is believed, and
 * then the rest of what came with it.
 */
static void adopt(struct shim_pin *pin, const char *store, struct handover *given)
{
	int fd = given->fd;

	if (!hold_is_pin(given, fd)) {
		int dir = sys_openat(AT_FDCWD, store, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0)
			return;
		*given = (struct handover){ .fd = -1 };
		hold_identify(given, dir, pin->number);
		fd = take_patiently(dir, pin->number);
		sys_close(dir);
	}
	pin->store = given->store;
	pin->root = given->root;
	pin->file = given->pin;
	hold(pin, fd, given->far);
	exec_pins_sweep(pin);
}

static void add_alias(struct shim_alias *alias, const char *text, const struct shim_pin *pin)
{
	*alias = (struct shim_alias){ text, text ? strlen(text) : 0, pin->snapshot, pin->snapshot_length };
	if (shim.longest < alias->length)
		shim.longest = alias->length;
}

static bool add_pin(struct arena *arena, struct shim_pin *pin, const struct pin_text *text,
		    struct handover *given)
{
	if (!snapshot_path_split(text->snapshot, &pin->store_length, &pin->number))
		return false;
	const char *store = arena_text(arena, text->snapshot, pin->store_length, "");
	const char *latest = arena_text(arena, text->snapshot, pin->store_length, "/" STORE_LATEST);

	if (!store || !latest)
		return false;
	pin->snapshot = text->snapshot;
	pin->snapshot_length = strlen(text->snapshot);
	add_alias(&pin->alias[0], text->location, pin);
	add_alias(&pin->alias[ALIAS_LATEST], latest, pin);
	for (unsigned i = ALIAS_OTHER; i < SHIM_ALIASES; i++)
		add_alias(&pin->alias[i], NULL, pin);
	if (shim.longest < pin->snapshot_length)
		shim.longest = pin->snapshot_length;
	pin->kept = -1;
	adopt(pin, store, given);
	return true;
}

static void add_pins(struct arena *arena, const char *fds)
{
	const char *cursor = shim.pins_text;
	enum pin_text_result result;
	unsigned count = 0;

	while (count < SHIM_PINS_MAX) {
		struct handover given;
		struct pin_text text;
		const char *end = strchr(cursor[0] == '\n' ? cursor + 1 : cursor, '\n');
		size_t room = (end ? (size_t)(end - cursor) : strlen(cursor)) + 1;
		char *to = arena_take(arena, room);

		result = to ? pin_text_next(&cursor, to, room, &text) : PIN_TEXT_END;
		if (result == PIN_TEXT_END)
			break;
		/* An entry belongs to each line, also to one that cannot be used. */
		handover_parse(&given, &fds);
		if (result == PIN_TEXT_PIN && add_pin(arena, &shim.pins[count], &text, &given))
			count++;
	}
	shim.count = count;
}

/* What the kernel put on the stack, in ld.so's view; before libc has set `environ`, too. */
static char **initial_stack(int *argc, char ***argv)
{
	if (&__libc_stack_end && __libc_stack_end) {
		*argc = (int)*(long *)__libc_stack_end;
		*argv = (char **)__libc_stack_end + 1;
		return *argv + *argc + 1;
	}
	*argc = 0;
	*argv = NULL;
	return &environ ? environ : NULL;
}

static size_t count_lines(const char *text)
{
	size_t count = 1;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void read_environment(char **argv, char **envp)
{
	struct arena arena;
	const char *pins = environment_get(envp, ENV_PINS);
	const char *preload = environment_get(envp, "LD_PRELOAD");
	const char *strict = environment_get(envp, ENV_STRICT);
	const char *launcher = environment_get(envp, ENV_LAUNCHER);

	if (!arena_init(&arena, (pins ? 4 * strlen(pins) + ARENA_SLACK * count_lines(pins) : 0) +
					(preload ? strlen(preload) : 0) +
					(launcher ? strlen(launcher) + 1 : 0) + ARENA_SLACK))
		return;
	shim.self = find_self(&arena, preload);
	if (!pins) {
		if (shim.self && argv)
			exec_through_launcher(argv, envp);
		return;
	}
	shim.pins_text = arena_text(&arena, pins, strlen(pins), "");
	shim.strict = strict && strict[0] == '1';
	shim.launcher = launcher ? arena_text(&arena, launcher, strlen(launcher), "") : NULL;
	const char *fds = environment_get(envp, ENV_FDS);
	const bool confined = handover_confined(&fds);
	if (shim.pins_text)
		add_pins(&arena, fds);
	if (confined)
		map_confine_start();
}

void shim_start(void)
{
	int *error = __errno_location(), kept = *error;
	char **argv, **envp;
	int argc;

	/*
	 * Whoever comes here while another is still at it (a signal handler, a thread made by somebody's constructor) does the work
	 * again: it can neither wait nor go on without, and the result is the same.
	 */
	next_bind();
	envp = initial_stack(&argc, &argv);
	if (envp && !(argv && auxiliary_get(envp, AT_SECURE))) {
		const char *random = argv ? (const char *)auxiliary_get(envp, AT_RANDOM) : NULL;

		shim.hash_key = (uintptr_t)envp;
		if (random) /* anywhere on the stack: not aligned */
			memcpy(&shim.hash_key, random, sizeof(shim.hash_key));
		read_environment(argv, envp);
		if (!map_is_confined())
			memory_start();
	}
	__atomic_store_n(&shim_started, 1, __ATOMIC_RELEASE);
	*error = kept;
}

/* A look that writes: in most processes this is the first touch of the page, and the kernel then need not give it twice. */
__attribute__((constructor)) static void construct(void)
{
	if (__atomic_fetch_or(&shim_started, 0, __ATOMIC_ACQUIRE) == 0)
		shim_start();
}

void librcu_exec_stand_aside(void)
{
	shim_ready();
	shim.count = 0;
	memory_off();
}

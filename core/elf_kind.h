/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * elf_kind.h: will this program load the shim? Judged from the first bytes of its file.
 *
 * ld.so loads a preload into a dynamic program of its class, machine and libc. A static program has no
 * ld.so; a program for musl's loader would not find our symbols' versions; a script stands for its
 * interpreter. Whether the file is set-id or has file capabilities, so that ld.so runs in secure mode
 * (ld.so(8)), is the caller's to ask of stat(2) and getxattr(2).
 *
 * Pure: no I/O, no allocation. The bytes are data from a file, so they may be anything.
 */
#ifndef CORE_ELF_KIND_H
#define CORE_ELF_KIND_H

#include <stddef.h>

/* As many bytes as the caller should read from the file's beginning; program headers beyond them are taken as
 * absent. */
#define ELF_KIND_ROOM 1024

enum elf_kind {
	ELF_LOADS,   /* dynamic, ours: ld.so will load the shim */
	ELF_STATIC,  /* no interpreter */
	ELF_OTHER_SIZE, /* dynamic, for this machine's other word size (32 bits on x86_64): ld.so loads a shim of that size */
	ELF_MUSL,    /* dynamic, for musl's loader */
	ELF_FOREIGN, /* another machine */
	ELF_SCRIPT,  /* #!: the interpreter decides; see elf_script_interpreter() */
	ELF_UNKNOWN, /* not ELF, no #!: execve(2) will say ENOEXEC, and a shell may take it as a script */
};

enum elf_kind elf_kind(const void *bytes, size_t length);

/*
 * For ELF_SCRIPT: the interpreter's path, which ends with the line, at a blank, or with the bytes. Not
 * terminated: *path_length has its length, 0 if there is none.
 */
const char *elf_script_interpreter(const void *bytes, size_t length, size_t *path_length);

/*
 * The same for its one argument: what stands behind the interpreter up to the end of the line, blanks inside
 * included, those around it not (execve(2), "Interpreter scripts"). *argument_length is 0 if there is none.
 */
const char *elf_script_argument(const void *bytes, size_t length, size_t *argument_length);

#endif

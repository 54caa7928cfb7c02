# SPDX-License-Identifier: LGPL-2.1-or-later
# A probe is built plainly: what it calls is what its source says, and a sanitizer would stand between.
PROBE_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -U_FORTIFY_SOURCE

check_PROGRAMS += tests/preload/probe tests/preload/contexts
tests_preload_probe_SOURCES = tests/preload/probe.c tests/preload/probe.h tests/preload/probe-more.c
tests_preload_probe_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_probe_CFLAGS = $(WARN_CFLAGS)
tests_preload_probe_LDFLAGS =
tests_preload_contexts_SOURCES = tests/preload/contexts.c
tests_preload_contexts_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_contexts_CFLAGS = $(WARN_CFLAGS) -pthread
tests_preload_contexts_LDFLAGS = -pthread -Wl,--enable-new-dtags -Wl,-rpath,$(abs_top_builddir)/tests/preload/.libs

check_PROGRAMS += tests/preload/differential
tests_preload_differential_SOURCES = tests/preload/differential.c
tests_preload_differential_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_differential_CFLAGS = $(WARN_CFLAGS)
tests_preload_differential_LDFLAGS =

check_PROGRAMS += tests/preload/words
tests_preload_words_SOURCES = tests/preload/words.c
tests_preload_words_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_words_CFLAGS = $(WARN_CFLAGS)
tests_preload_words_LDFLAGS =

check_PROGRAMS += tests/preload/fts
tests_preload_fts_SOURCES = tests/preload/fts.c
tests_preload_fts_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_fts_CFLAGS = $(WARN_CFLAGS)
tests_preload_fts_LDFLAGS =

# Never installed; -rpath makes libtool build it as a shared object.
check_LTLIBRARIES += tests/preload/libothers.la
tests_preload_libothers_la_SOURCES = tests/preload/others.c
tests_preload_libothers_la_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_libothers_la_CFLAGS = $(WARN_CFLAGS)
tests_preload_libothers_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere

# A program that is not of the system's word size, and one that is.
check_PROGRAMS += tests/preload/small64
tests_preload_small64_SOURCES = tests/preload/small.c
tests_preload_small64_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_small64_CFLAGS = $(WARN_CFLAGS)
tests_preload_small64_LDFLAGS =
if MULTILIB
check_PROGRAMS += tests/preload/small32 tests/preload/small32-large tests/preload/small32-time64
check_PROGRAMS += tests/preload/fts32 tests/preload/fts32-large tests/preload/fts32-time64
tests_preload_small32_SOURCES = tests/preload/small.c
tests_preload_small32_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_small32_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_small32_LDFLAGS = -m32
tests_preload_small32_large_SOURCES = tests/preload/small.c
tests_preload_small32_large_CPPFLAGS = $(PROBE_CPPFLAGS) -D_FILE_OFFSET_BITS=64
tests_preload_small32_large_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_small32_large_LDFLAGS = -m32
tests_preload_small32_time64_SOURCES = tests/preload/small.c
tests_preload_small32_time64_CPPFLAGS = $(PROBE_CPPFLAGS) -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
tests_preload_small32_time64_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_small32_time64_LDFLAGS = -m32
tests_preload_fts32_SOURCES = tests/preload/fts.c
tests_preload_fts32_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_fts32_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_fts32_LDFLAGS = -m32
tests_preload_fts32_large_SOURCES = tests/preload/fts.c
tests_preload_fts32_large_CPPFLAGS = $(PROBE_CPPFLAGS) -D_FILE_OFFSET_BITS=64
tests_preload_fts32_large_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_fts32_large_LDFLAGS = -m32
tests_preload_fts32_time64_SOURCES = tests/preload/fts.c
tests_preload_fts32_time64_CPPFLAGS = $(PROBE_CPPFLAGS) -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
tests_preload_fts32_time64_CFLAGS = -m32 $(WARN_CFLAGS)
tests_preload_fts32_time64_LDFLAGS = -m32
endif

shim_bats = tests/preload/reading.bats tests/preload/differential.bats tests/preload/contexts.bats tests/preload/companions.bats \
	tests/preload/programs.bats tests/preload/walks.bats tests/preload/places.bats tests/preload/multilib.bats tests/preload/words.bats
TESTS += $(shim_bats)
EXTRA_DIST += $(shim_bats) tests/preload/pinned.bash

# SPDX-License-Identifier: LGPL-2.1-or-later
# The wrapped calls against the kernel, on random trees and paths. `make fuzz FUZZ_SECONDS=3600` looks for new cases with libFuzzer
# (clang); the corpus is tried in every build.
FUZZ_SOURCES = tests/fuzz/case.c tests/fuzz/case.h tests/fuzz/fuzz_map.c tests/fuzz/fuzz_map.h \
	tests/fuzz/world.c tests/fuzz/world.h $(SHIM_SOURCES) $(CORE_SOURCES)
# The bodies under their own names: nothing but our calls goes through them.
FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -U_FORTIFY_SOURCE '-DEXPORT(id,symbol,mark,version)=' \
	-DLAUNCHER_PATH='"$(bindir)/rcu-exec"'

check_PROGRAMS += tests/fuzz/replay
tests_fuzz_replay_SOURCES = tests/fuzz/replay.c $(FUZZ_SOURCES)
tests_fuzz_replay_CPPFLAGS = $(FUZZ_CPPFLAGS)
tests_fuzz_replay_CFLAGS = $(WARN_CFLAGS) -fno-strict-aliasing $(SAN_CFLAGS)

TESTS += tests/fuzz/map.bats
EXTRA_DIST += tests/fuzz/map.bats tests/fuzz/corpus.txt tests/fuzz/run

# With a compiler of its own, whatever the rest is built with. FUZZ_SANITIZE = fuzzer is twice as fast.
FUZZ_SANITIZE = fuzzer,address,undefined
FUZZ_SECONDS = 60
if HAVE_FUZZER
check_SCRIPTS += tests/fuzz/fuzz_map
endif
CLEANFILES += tests/fuzz/fuzz_map
tests/fuzz/fuzz_map: $(FUZZ_SOURCES)
	$(AM_V_GEN)$(MKDIR_P) tests/fuzz && cd $(srcdir) && \
	$(FUZZ_CC) $(DEFS) -I. $(FUZZ_CPPFLAGS) $(WARN_CFLAGS) -O1 -g -fno-strict-aliasing -fsanitize=$(FUZZ_SANITIZE) \
		-o $(abs_builddir)/$@ $$(printf '%s\n' $(FUZZ_SOURCES) | grep '\.c$$')

.PHONY: fuzz
fuzz: tests/fuzz/replay tests/fuzz/fuzz_map
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/fuzz/run -max_total_time=$(FUZZ_SECONDS)

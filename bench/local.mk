# SPDX-License-Identifier: LGPL-2.1-or-later
# `make bench`: figures, as medians and ratios within one run.  No test: nothing fails for being slow.
EXTRA_DIST += bench/bench
EXTRA_PROGRAMS += bench/bench-calls
bench_bench_calls_SOURCES = bench/bench-calls.c
CLEANFILES += $(EXTRA_PROGRAMS)

.PHONY: bench
bench: all bench/bench-calls
	@$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/bench/bench

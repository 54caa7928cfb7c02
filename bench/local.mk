# SPDX-License-Identifier: LGPL-2.1-or-later
# Figures, as medians and ratios within one run.  No test: nothing fails for being slow.
# `make bench` is all there is; `make bench-preload BENCH="--only calls --rounds 50"`: bench/bench-preload --help.
EXTRA_DIST += bench/bench-preload bench/bench-several bench/bench-store bench/bench-sync
EXTRA_PROGRAMS += bench/bench-worker bench/bench-phases bench/bench-links
bench_bench_worker_SOURCES = bench/worker.c
bench_bench_phases_SOURCES = bench/phases.c
bench_bench_links_SOURCES = bench/links.c
EXTRA_LTLIBRARIES = bench/empty.la
bench_empty_la_SOURCES = bench/empty.c
# -rpath: else libtool makes an archive of it
bench_empty_la_LDFLAGS = -module -avoid-version -shared -rpath $(pkglibdir) -XCClinker -nostdlib -XCClinker -nostartfiles
CLEANFILES += $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES) bench-preload.json bench-store.json bench-sync.json

.PHONY: bench bench-preload bench-several bench-store bench-sync
bench: bench-preload bench-store bench-sync
bench-preload: all bench/bench-worker bench/empty.la
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/bench/bench-preload $(BENCH)
# FILES: how large the trees are; the default is bench-store's own
bench-store: all bench/bench-phases bench/bench-links
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/bench/bench-store $(FILES:%=--files %) $(BENCH)
# several repositories that wait on slow sources, beside one of them
bench-several: all
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/bench/bench-several $(BENCH_SEVERAL)
# git and archives beside git and tar, and several repositories at once
bench-sync: all bench-several
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/bench/bench-sync $(BENCH_SYNC)

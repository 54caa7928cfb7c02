# SPDX-License-Identifier: LGPL-2.1-or-later
# Writes that are refused, and programs that are started.
check_PROGRAMS += tests/preload/refuse-probe
tests_preload_refuse_probe_SOURCES = tests/preload/refuse-probe.c
tests_preload_refuse_probe_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -U_FORTIFY_SOURCE
tests_preload_refuse_probe_CFLAGS = $(WARN_CFLAGS)
tests_preload_refuse_probe_LDFLAGS =

TESTS += tests/preload/refuse.bats
EXTRA_DIST += tests/preload/refuse.bats

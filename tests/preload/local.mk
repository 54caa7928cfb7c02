# SPDX-License-Identifier: LGPL-2.1-or-later
# The shim in real programs: probes that make one call, and programs of the system.
# A probe is built plainly: what it calls is what its source says, and a sanitizer would stand between.
PROBE_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE
PROBE_CFLAGS = $(WARN_CFLAGS)

check_PROGRAMS += tests/preload/probe
tests_preload_probe_SOURCES = tests/preload/probe.c
tests_preload_probe_CPPFLAGS = $(PROBE_CPPFLAGS) -U_FORTIFY_SOURCE
tests_preload_probe_CFLAGS = $(PROBE_CFLAGS)
tests_preload_probe_LDFLAGS =

TESTS += tests/preload/reading.bats
EXTRA_DIST += tests/preload/reading.bats

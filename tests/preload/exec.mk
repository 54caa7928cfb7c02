# SPDX-License-Identifier: LGPL-2.1-or-later
# Writes that are refused, and programs that are started.
check_PROGRAMS += tests/preload/refuse-probe tests/preload/refuse-probe-raw tests/preload/exec-probe tests/preload/exec-static
tests_preload_refuse_probe_SOURCES = tests/preload/refuse-probe.c
tests_preload_refuse_probe_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_refuse_probe_CFLAGS = $(WARN_CFLAGS)
tests_preload_refuse_probe_LDFLAGS =
tests_preload_refuse_probe_raw_SOURCES = tests/preload/refuse-probe.c
tests_preload_refuse_probe_raw_CPPFLAGS = $(PROBE_CPPFLAGS) -DBY_NUMBER
tests_preload_refuse_probe_raw_CFLAGS = $(WARN_CFLAGS)
tests_preload_refuse_probe_raw_LDFLAGS =
tests_preload_exec_probe_SOURCES = tests/preload/exec-probe.c
tests_preload_exec_probe_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_exec_probe_CFLAGS = $(WARN_CFLAGS) -pthread
tests_preload_exec_probe_LDFLAGS = -pthread
tests_preload_exec_static_SOURCES = tests/preload/exec-static.c
tests_preload_exec_static_CPPFLAGS =
tests_preload_exec_static_CFLAGS = $(WARN_CFLAGS)
tests_preload_exec_static_LDFLAGS = -all-static

check_PROGRAMS += tests/preload/processes tests/preload/old
tests_preload_processes_SOURCES = tests/preload/processes.c
tests_preload_processes_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_processes_CFLAGS = $(WARN_CFLAGS)
tests_preload_processes_LDFLAGS =
tests_preload_old_SOURCES = tests/preload/old.c
tests_preload_old_CPPFLAGS = $(PROBE_CPPFLAGS)
tests_preload_old_CFLAGS = $(WARN_CFLAGS)
tests_preload_old_LDFLAGS =

exec_bats = tests/preload/refuse.bats tests/preload/exec.bats tests/preload/processes.bats
TESTS += $(exec_bats)
EXTRA_DIST += $(exec_bats)

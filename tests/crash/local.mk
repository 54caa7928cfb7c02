# SPDX-License-Identifier: LGPL-2.1-or-later
# What is left after kill -9, a full disk, a read-only one, a transport that outlives us.
#   CRASH_RUNS=300 CRASH_POINTS=0 make check TESTS='tests/crash/kill9.bats tests/crash/points.bats'
CRASH_TESTS = \
	tests/crash/disk.bats \
	tests/crash/errors.bats \
	tests/crash/kill9.bats \
	tests/crash/outlive.bats \
	tests/crash/points.bats
TESTS += $(CRASH_TESTS)
EXTRA_DIST += $(CRASH_TESTS) tests/crash/crash.bash

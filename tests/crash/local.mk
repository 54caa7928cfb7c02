# SPDX-License-Identifier: LGPL-2.1-or-later
# What is left after kill -9, a full disk, a read-only one, a transport that outlives us.
#   CRASH_RUNS=300 make check TESTS=tests/crash/kill9.bats
CRASH_TESTS = \
	tests/crash/concurrent.bats \
	tests/crash/disk.bats \
	tests/crash/kill9.bats \
	tests/crash/outlive.bats
TESTS += $(CRASH_TESTS)
EXTRA_DIST += $(CRASH_TESTS) tests/crash/crash.bash tests/crash/portage-sync

# The fault matrix: some cases of each operation here, all by `make faults` (FAULTS="--operation gc ..."). Power cuts, on ext4,
# xfs and btrfs, in the same way. And that both find what is planted.
check_PROGRAMS += tests/crash/fault
tests_crash_fault_SOURCES = tests/crash/fault.c
FAULT_TESTS = tests/crash/faults tests/crash/powercuts tests/crash/plants
TESTS += $(FAULT_TESTS)
EXTRA_DIST += $(FAULT_TESTS)

.PHONY: faults powercuts print-plant
faults: all tests/crash/fault
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/tests/crash/faults --sample 0 $(FAULTS)
powercuts: all tests/crash/fault
	@$(AM_TESTS_ENVIRONMENT) /usr/bin/python3 $(top_srcdir)/tests/crash/powercuts --sample 0 $(POWERCUTS)
# For tests/crash/plants: how rcu-repo is built.
print-plant:
	@echo 'CC=$(COMPILE)'
	@echo 'LD=$(CCLD) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS)'
	@echo 'OBJECTS=$(helper_rcu_repo_OBJECTS)'
	@echo 'LIBS=$(helper_rcu_repo_LDADD) $(LIBS)'

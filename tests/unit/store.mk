# SPDX-License-Identifier: LGPL-2.1-or-later
# The store engine: one program a module, against a real store in a directory of its own.
store_unit_tests = \
	tests/unit/test_err \
	tests/unit/test_guard \
	tests/unit/test_identity \
	tests/unit/test_lock \
	tests/unit/test_meta \
	tests/unit/test_migrate \
	tests/unit/test_pin \
	tests/unit/test_publish \
	tests/unit/test_reclaim \
	tests/unit/test_reservation \
	tests/unit/test_set \
	tests/unit/test_store \
	tests/unit/test_trust
check_PROGRAMS += $(store_unit_tests)
TESTS += $(store_unit_tests)

STORE_UNIT_LIBS = $(HELPER_LIBS) $(CMOCKA_LIBS)
SCRATCH = tests/unit/scratch.c tests/unit/scratch.h tests/unit/skip.h
tests_unit_test_err_SOURCES = tests/unit/test_err.c
tests_unit_test_err_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_guard_SOURCES = tests/unit/test_guard.c $(SCRATCH)
tests_unit_test_guard_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_identity_SOURCES = tests/unit/test_identity.c
tests_unit_test_identity_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_lock_SOURCES = tests/unit/test_lock.c $(SCRATCH)
tests_unit_test_lock_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_meta_SOURCES = tests/unit/test_meta.c $(SCRATCH)
tests_unit_test_meta_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_migrate_SOURCES = tests/unit/test_migrate.c $(SCRATCH)
tests_unit_test_migrate_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_pin_SOURCES = tests/unit/test_pin.c $(SCRATCH)
tests_unit_test_pin_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_publish_SOURCES = tests/unit/test_publish.c $(SCRATCH)
tests_unit_test_publish_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_reclaim_SOURCES = tests/unit/test_reclaim.c $(SCRATCH)
tests_unit_test_reclaim_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_reservation_SOURCES = tests/unit/test_reservation.c $(SCRATCH)
tests_unit_test_reservation_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_set_SOURCES = tests/unit/test_set.c $(SCRATCH)
tests_unit_test_set_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(SCRATCH)
tests_unit_test_store_LDADD = $(STORE_UNIT_LIBS)
tests_unit_test_trust_SOURCES = tests/unit/test_trust.c $(SCRATCH)
tests_unit_test_trust_LDADD = $(STORE_UNIT_LIBS)
# Its hooks run a reader between two steps of the reclaimer.
tests_unit_test_reclaim_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=renameat
# Dies before each call that changes a name.
tests_unit_test_migrate_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=renameat,--wrap=renameat2,--wrap=symlinkat \
	-Wl,--wrap=unlinkat,--wrap=fsync

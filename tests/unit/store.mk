# SPDX-License-Identifier: LGPL-2.1-or-later
# The store engine: one program a module, against a real store in a directory of its own.
if HAVE_CMOCKA
STORE_TESTS = \
	tests/unit/test_err
check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)

STORE_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
STORE_TEST_LIBS = $(HELPER_LIBS) $(CMOCKA_LIBS)

tests_unit_test_err_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_err_LDADD = $(STORE_TEST_LIBS)
endif

# SPDX-License-Identifier: LGPL-2.1-or-later
# Trees and the storage made of them, on the file system that the temporary directory is on.
if HAVE_CMOCKA
TREE_TESTS = \
	tests/unit/test_branch \
	tests/unit/test_changes \
	tests/unit/test_crew \
	tests/unit/test_hardlink \
	tests/unit/test_record \
	tests/unit/test_tree
check_PROGRAMS += $(TREE_TESTS)
TESTS += $(TREE_TESTS)

TREE_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
TREE_TEST_LIBS = $(HELPER_LIBS) $(CMOCKA_LIBS)

tests_unit_test_branch_SOURCES = tests/unit/test_branch.c $(SCRATCH)
tests_unit_test_branch_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_branch_LDADD = $(TREE_TEST_LIBS)

tests_unit_test_changes_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_changes_LDADD = $(TREE_TEST_LIBS)

tests_unit_test_crew_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_crew_LDADD = $(TREE_TEST_LIBS)

tests_unit_test_hardlink_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_hardlink_LDADD = $(TREE_TEST_LIBS)

tests_unit_test_record_SOURCES = tests/unit/test_record.c $(SCRATCH)
tests_unit_test_record_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_record_LDADD = $(TREE_TEST_LIBS)

tests_unit_test_tree_CFLAGS = $(TREE_TEST_CFLAGS)
tests_unit_test_tree_LDADD = $(TREE_TEST_LIBS)
endif

# SPDX-License-Identifier: LGPL-2.1-or-later
# Configuration, option parsing, running programs, transports, readers, what rcu-exec asks of a command.
front_unit_tests = \
	tests/unit/test_conf \
	tests/unit/test_loadable \
	tests/unit/test_mounts \
	tests/unit/test_options \
	tests/unit/test_pinning \
	tests/unit/test_readers \
	tests/unit/test_repos \
	tests/unit/test_run \
	tests/unit/test_text \
	tests/unit/test_transport \
	tests/unit/test_user
check_PROGRAMS += $(front_unit_tests)
TESTS += $(front_unit_tests)

FRONT_UNIT_LIBS = $(HELPER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c $(SCRATCH)
tests_unit_test_conf_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_loadable_SOURCES = tests/unit/test_loadable.c $(SCRATCH)
tests_unit_test_loadable_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_mounts_SOURCES = tests/unit/test_mounts.c
tests_unit_test_mounts_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_options_SOURCES = tests/unit/test_options.c
tests_unit_test_options_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_pinning_SOURCES = tests/unit/test_pinning.c $(SCRATCH)
tests_unit_test_pinning_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_readers_SOURCES = tests/unit/test_readers.c $(SCRATCH)
tests_unit_test_readers_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_repos_SOURCES = tests/unit/test_repos.c $(SCRATCH)
tests_unit_test_repos_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_run_SOURCES = tests/unit/test_run.c $(SCRATCH)
tests_unit_test_run_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_text_SOURCES = tests/unit/test_text.c
tests_unit_test_text_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_transport_SOURCES = tests/unit/test_transport.c $(SCRATCH)
tests_unit_test_transport_LDADD = $(FRONT_UNIT_LIBS)
tests_unit_test_user_SOURCES = tests/unit/test_user.c $(SCRATCH)
tests_unit_test_user_LDADD = $(FRONT_UNIT_LIBS)

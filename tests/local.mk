# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test, in every language, speaks TAP and runs under automake's TAP driver: tests/README.md.
TEST_EXTENSIONS = .bats
TAP_RUN = $(top_srcdir)/build-aux/tap-run
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(SHELL) $(TAP_RUN)
BATS_LOG_DRIVER = $(LOG_DRIVER)
BATS_LOG_COMPILER = $(SHELL) $(TAP_RUN) $(BATS) --tap

# Where a test finds what was built, and its data.  A guest that ASan would refuse, because the shim is
# loaded before its library, is told not to.
AM_TESTS_ENVIRONMENT = \
	RCU_BUILD='$(abs_top_builddir)'; export RCU_BUILD; \
	RCU_SRC='$(abs_top_srcdir)'; export RCU_SRC; \
	RCU_EXEC_SHIM='$(abs_top_builddir)/preload/.libs/librcu-exec.so'; export RCU_EXEC_SHIM; \
	RCU_REPO_GUARD_LIBRARY='$(abs_top_builddir)/guard/.libs/librcu-guard.so'; export RCU_REPO_GUARD_LIBRARY; \
	ASAN_OPTIONS=verify_asan_link_order=0:$$ASAN_OPTIONS; export ASAN_OPTIONS;

TESTS += tests/harness.bats
EXTRA_DIST += tests/lib.bash tests/README.md tests/harness.bats

# One closing line over all suites; what was not run has failed.
.PHONY: check-totals print-tests
check-totals:
	@$(SHELL) $(top_srcdir)/build-aux/test-totals $(TEST_LOGS:.log=.trs)
print-tests:
	@echo $(TESTS)

include $(top_srcdir)/tests/unit/core.mk
include $(top_srcdir)/tests/unit/store.mk
include $(top_srcdir)/tests/unit/tree.mk
include $(top_srcdir)/tests/unit/front.mk
include $(top_srcdir)/tests/cli/local.mk
include $(top_srcdir)/tests/preload/local.mk
include $(top_srcdir)/tests/crash/local.mk
include $(top_srcdir)/tests/model/local.mk
include $(top_srcdir)/tests/contract/local.mk
include $(top_srcdir)/tests/storm/local.mk
include $(top_srcdir)/tests/fuzz/local.mk

# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test, in every language, speaks TAP and runs under automake's TAP driver: tests/README.md.
include $(top_srcdir)/tests/unit/core.mk
include $(top_srcdir)/tests/unit/store.mk
include $(top_srcdir)/tests/unit/tree.mk
include $(top_srcdir)/tests/unit/front.mk
include $(top_srcdir)/tests/cli/local.mk
include $(top_srcdir)/tests/preload/local.mk
include $(top_srcdir)/tests/crash/local.mk
include $(top_srcdir)/tests/contract/local.mk
include $(top_srcdir)/tests/storm/local.mk

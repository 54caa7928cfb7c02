# SPDX-License-Identifier: LGPL-2.1-or-later
include $(top_srcdir)/tests/contract/docs.mk
TESTS += tests/contract/shim-symbols.bats
EXTRA_DIST += tests/contract/shim-symbols.bats tests/contract/no-path.list preload/excused.def

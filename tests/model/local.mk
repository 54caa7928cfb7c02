# SPDX-License-Identifier: LGPL-2.1-or-later
# The pin / publish / reclaim protocol as a model for spin.
TESTS += tests/model/model.bats
EXTRA_DIST += tests/model/model.bats tests/model/rcu.pml

.PHONY: model
model:
	@$(AM_TESTS_ENVIRONMENT) MODEL_LARGE=yes $(BATS) --tap $(top_srcdir)/tests/model/model.bats

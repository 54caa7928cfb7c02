# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands, as a user calls them: one file a command.
cli_tests = \
	tests/cli/sync.bats
TESTS += $(cli_tests)
EXTRA_DIST += tests/cli/helpers.bash $(cli_tests)

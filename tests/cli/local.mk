# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands, as a user calls them: one file a command, and what stands across them.
cli_tests = \
	tests/cli/abort.bats \
	tests/cli/archive.bats \
	tests/cli/begin.bats \
	tests/cli/check.bats \
	tests/cli/command.bats \
	tests/cli/commit.bats \
	tests/cli/config.bats \
	tests/cli/diff.bats \
	tests/cli/gc.bats \
	tests/cli/guard.bats \
	tests/cli/keep.bats \
	tests/cli/git.bats \
	tests/cli/hooks.bats \
	tests/cli/hostile.bats \
	tests/cli/kinds.bats \
	tests/cli/list.bats \
	tests/cli/local.bats \
	tests/cli/lock.bats \
	tests/cli/manifest.bats \
	tests/cli/namespace.bats \
	tests/cli/portage-faults.bats \
	tests/cli/rcu-exec.bats \
	tests/cli/portage.bats \
	tests/cli/readers.bats \
	tests/cli/recipes.bats \
	tests/cli/release.bats \
	tests/cli/rollback.bats \
	tests/cli/several.bats \
	tests/cli/status.bats \
	tests/cli/sync.bats \
	tests/cli/together.bats \
	tests/cli/transports.bats \
	tests/cli/update.bats \
	tests/cli/user.bats
TESTS += $(cli_tests)
EXTRA_DIST += tests/cli/helpers.bash tests/cli/portage-steps.py $(cli_tests)

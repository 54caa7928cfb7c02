# SPDX-License-Identifier: LGPL-2.1-or-later
# Documents and programs agree; the source keeps the rules that a machine can judge.
CONTRACT_DOCS = tests/contract/docs.bats tests/contract/source.bats

TESTS += $(CONTRACT_DOCS)
EXTRA_DIST += $(CONTRACT_DOCS) build-aux/function-lengths.awk

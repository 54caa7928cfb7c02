#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo release (with what is kept: keep.bats)

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "what is not kept may be released, what is not there not" {
	sync_version A
	repo release 1
	refused 1 'there is no snapshot 2' repo release 2
	refused 2 'REPO and N are needed' repo release
}

@test "the age of a released one counts from when it was retired" {
	sync_version A
	sync_version B
	repo keep 1
	sed -i 's/^retired = .*/retired = 1000000000/' "$STORE/.rcu-repo/meta/1"
	repo release 1
	grep '^retired = 1000000000' "$STORE/.rcu-repo/meta/1"
	repo gc --set sync-rcu-spare-snapshots=0
	[ ! -e "$STORE/snapshots/1" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo abort

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "it drops what begin staged" {
	sync_version A
	local staged
	staged=$(repo begin)
	echo x >"$staged/x"
	repo abort --staging "$staged"
	[ ! -e "$staged" ]
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/trash"
	repo update -- true
}

@test "whatever LOCATION and the staged tree have become" {
	sync_version A
	local staged
	staged=$(repo begin)
	mv "$staged" "$T/moved"
	ln -s /etc "$staged"
	sync_version B
	[ "$(latest)" = 2 ]
	staged=$(repo begin)
	rm "$LOCATION"
	echo x >"$LOCATION"
	repo abort
	[ ! -e "$staged" ]
	[ "$(cat "$LOCATION")" = x ]
}

@test "a path that is not what is staged, and nothing that is" {
	sync_version A
	local staged
	staged=$(repo begin)
	refused 1 'is not what is staged now' repo abort --staging "$T"
	[ -e "$staged" ]
	repo abort
	refused 1 'nothing is staged' repo abort
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo begin

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

begin() { STAGED=$(repo begin "$@"); }

@test "it prints the path of a copy of the latest, and nothing else" {
	sync_version A
	run -0 --separate-stderr repo begin
	[ "${#lines[@]}" = 1 ]
	[ "$(version_of "$output")" = A ]
	[ "$output/version" -ef "$LOCATION/version" ] && return 1
	[ "$(latest)" = 1 ]
}

@test "each begin has a path of its own" {
	sync_version A
	begin
	local first=$STAGED
	repo abort
	begin
	[ "$STAGED" != "$first" ]
	[ ! -e "$first" ]
}

@test "other writers are kept out until then, and are told by whom" {
	sync_version A
	begin --owner $$
	refused 75 "pid $$ " repo begin
	refused 75 "pid $$ " repo update -- true
	refused 75 "pid $$ " repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$STAGED")" = A ]
	repo list >/dev/null
	repo gc >/dev/null
	[ "$(version_of "$STAGED")" = A ]
	repo abort
	repo update -- true
}

@test "it is void when the owner has ended, and what was staged is never published" {
	sync_version A
	background sleep 1000
	begin --owner "$BACKGROUND"
	echo late >"$STAGED/late"
	refused 75 "pid $BACKGROUND " repo begin
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	refused 1 'nothing is staged' repo commit
	[ ! -e "$LOCATION/late" ]
	[ ! -e "$STAGED" ]
	sync_version B
	[ ! -e "$LOCATION/late" ]
}

@test "an owner that does not exist" {
	sync_version A
	background true
	wait "$BACKGROUND" || :
	run -2 repo begin --owner "$BACKGROUND"
	is_empty "$STORE/.rcu-repo/staging"
	begin
}

@test "without an owner it is held for a day, and a reboot voids it" {
	sync_version A
	begin
	refused 75 'for a day' repo begin
	# the same reservation, of a day and a second ago; then of another boot
	cp "$STORE/.rcu-repo/reservation" "$T/reservation"
	grep '^made = ' "$T/reservation"
	sed -i "s/^made = .*/made = -86401/" "$STORE/.rcu-repo/reservation"
	refused 1 'nothing is staged' repo commit
	begin
	sed -i 's/\([0-9a-f]\{8\}\)-[0-9a-f]\{4\}-/\1-0000-/' "$STORE/.rcu-repo/reservation"
	cmp -s "$T/reservation" "$STORE/.rcu-repo/reservation" && return 1
	refused 1 'nothing is staged' repo commit
}

@test "a path that cannot be printed is not reserved" {
	[ -e /dev/full ] || skip "there is no /dev/full here"
	sync_version A
	run -1 bash -c '"$1" begin --location "$2" >/dev/full' bash "$RCU_REPO" "$LOCATION"
	begin
}

@test "the first begin of an ordinary directory is a copy of it" {
	make_version "$LOCATION" A
	begin
	[ "$(version_of "$STAGED")" = A ]
	[ ! -L "$LOCATION" ]
	[ "$(version_of "$LOCATION")" = A ]
}

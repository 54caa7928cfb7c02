#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# One writer a store, and no stale lock.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# A sync that waits in its transport until $T/go is there; its pid is in $BACKGROUND
slow_sync() {
	make_version "$SOURCE" "$1"
	rm -f "$T/started" "$T/go"
	rsync_with "touch '$T/started'; until [ -e '$T/go' ]; do sleep 0.02; done; real_rsync \"\$@\""
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	real_rsync_again
	wait_until test -e "$T/started"
}

@test "who has the lock is named: pid, host, command, start" {
	sync_version A
	slow_sync B
	refused 75 "pid $BACKGROUND .*$(uname -n).*[0-9]{4}-[0-9]{2}-[0-9]{2}" repo update -- true
	grep 'rcu-repo sync' "$T/refused.err"
	[ "$(wc -l <"$T/refused.err")" = 1 ]
	refused 75 "pid $BACKGROUND " repo gc
	refused 75 "pid $BACKGROUND " repo begin
	refused 75 "pid $BACKGROUND " repo commit
	refused 75 "pid $BACKGROUND " repo sync --type rsync --uri "$SOURCE"
	repo list >/dev/null
	repo readers >/dev/null
	touch "$T/go"
	wait "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = B ]
}

@test "kill -9 leaves no stale lock, and nothing half" {
	sync_version A
	slow_sync B
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = A ]
	repo update -- true
	is_empty "$STORE/.rcu-repo/staging"
	sync_version B
	[ "$(version_of "$LOCATION")" = B ]
}

@test "readers need no lock" {
	sync_version A
	slow_sync B
	[ "$(pinned_version_of "$LOCATION" -l "$LOCATION")" = A ]
	[ "$(version_of "$LOCATION")" = A ]
	touch "$T/go"
	wait "$BACKGROUND"
}

@test "a transport that outlives rcu-repo does not hold the lock" {
	sync_version A
	make_version "$SOURCE" B
	rsync_with "setsid sleep 1000 & echo \$! >'$T/pid'; real_rsync \"\$@\""
	repo sync --type rsync --uri "$SOURCE"
	LIB_JOBS+=("$(cat "$T/pid")")
	kill -0 "$(cat "$T/pid")"
	real_rsync_again
	repo update -- true
}

@test "of many at once each ends well or says who is in the way, and one version is there" {
	local i pids=() status busy=0
	sync_version A
	for i in 1 2 3 4 5 6; do
		make_version "$T/source$i" "V$i"
		background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$T/source$i"
		pids+=("$BACKGROUND")
	done
	for i in "${pids[@]}"; do
		status=0
		wait "$i" || status=$?
		[ "$status" = 0 ] || [ "$status" = 75 ]
		[ "$status" = 0 ] || busy=$((busy + 1))
	done
	[ "$busy" -lt 6 ]
	[[ $(version_of "$LOCATION") == V* ]]
	for i in "$STORE"/snapshots/*; do
		version_of "$i"
	done
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 at random moments. CRASH_RUNS says how many.

load ../lib
load crash

setup() { crash_init; }
teardown() { lib_done; }

@test "kill -9 of sync: latest names a whole snapshot, location is never missing, the next sync works" {
	local run published=0 want=A
	sync_from "$A"
	recovers B
	watch_location
	for ((run = 0; run < CRASH_RUNS; run++)); do
		want=$(other "$(whole "$LOCATION")")
		# the machine's speed changes: the last undisturbed run, which was just before, says how long one takes
		kill_at "$(moment "$LONG")" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$T/$want"
		sound
		[ "$(whole "$LOCATION")" != "$want" ] || published=$((published + 1))
		recovers "$want"
	done
	watched
	echo "# $run runs, $published of them killed when they had published, or not at all" >&3
	# else the moments were none
	[ "$published" -lt "$run" ]
}

@test "kill -9 of sync with all its children" {
	local run long want
	sync_from "$A"
	long=$(milliseconds sync_from "$B")
	for ((run = 0; run < CRASH_RUNS / 4; run++)); do
		want=$(other "$(whole "$LOCATION")")
		timeout -s KILL "$(moment "$long")" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync \
			--uri "$T/$want" >"$T/killed.out" 2>&1 || :
		sound
		recovers "$want"
	done
}

@test "kill -9 of update" {
	local run long want
	sync_from "$A"
	long=$(milliseconds repo update -- rsync -aH --delete "$B/" ./)
	for ((run = 0; run < CRASH_RUNS / 2; run++)); do
		want=$(other "$(whole "$LOCATION")")
		kill_at "$(moment "$long")" "$RCU_REPO" update --location "$LOCATION" --store "$STORE" -- \
			rsync -aH --delete "$T/$want/" ./
		sound
		recovers "$want"
	done
}

@test "kill -9 of the migration of a live location" {
	local run long
	migrate() { sync_from "$B"; }
	cp -a "$A" "$LOCATION"
	long=$(milliseconds migrate)
	for ((run = 0; run < CRASH_RUNS; run++)); do
		rm -rf "$LOCATION" "$STORE"
		cp -a "$A" "$LOCATION"
		watch_location
		kill_at "$(moment "$long")" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
		sound
		sync_from "$B"
		[ -L "$LOCATION" ]
		[ "$(whole "$LOCATION")" = B ]
		# the old tree is a retired snapshot
		whole_a=0
		for snapshot in "$STORE"/snapshots/*; do [ "$(whole "$snapshot")" != A ] || whole_a=$((whole_a + 1)); done
		[ "$whole_a" = 1 ]
		watched
		kill -9 "$WATCHER"
		no_junk
	done
}

@test "kill -9 of gc" {
	local run long i
	sync_from "$A"
	fill() {
		for i in 1 2 3; do sync_from "$B" && sync_from "$A"; done
	}
	fill
	collect() { repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0; }
	long=$(milliseconds collect)
	for ((run = 0; run < CRASH_RUNS / 4; run++)); do
		fill
		kill_at "$(moment "$long")" "$RCU_REPO" gc --location "$LOCATION" --store "$STORE" --set sync-rcu-ttl-days=0 \
			--set sync-rcu-spare-snapshots=0
		sound
		collect
		[ "$(ls "$STORE/snapshots" | wc -l)" = 1 ]
		no_junk
	done
}

@test "kill -9 of begin and of commit" {
	local run long path
	sync_from "$A"
	step() {
		path=$(repo begin --owner $$) && rsync -aH --delete "$B/" "$path/" && repo commit --staging "$path"
	}
	long=$(milliseconds step)
	for ((run = 0; run < CRASH_RUNS / 4; run++)); do
		recovers A
		kill_at "$(moment $((long / 2)))" "$RCU_REPO" begin --location "$LOCATION" --store "$STORE" --owner $$
		sound
		repo abort >"$T/abort.out" 2>&1 || grep -q 'nothing is staged' "$T/abort.out"
		path=$(repo begin --owner $$)
		rsync -aH --delete "$B/" "$path/"
		kill_at "$(moment $((long / 2)))" "$RCU_REPO" commit --location "$LOCATION" --store "$STORE" --staging "$path"
		sound
		# it is either still there to be committed, or it was
		repo commit --staging "$path" >"$T/commit.out" 2>&1 || grep -q 'nothing is staged' "$T/commit.out"
		sound
		recovers B
	done
}

@test "kill -9 of rsync alone: sync fails, says so, and the next one works" {
	sync_from "$A"
	crash_version "$B" B 300000
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B" \
		--set sync-rsync-extra-opts=--bwlimit=1 2>"$T/sync.out"
	local pid=$BACKGROUND status=0
	# much is there already
	begun() { compgen -G "$STORE/.rcu-repo/staging/*/many/.big.*" >/dev/null; }
	wait_until begun
	kill -9 "$(pgrep -P "$pid" -x rsync)"
	wait "$pid" || status=$?
	[ "$status" = 1 ]
	grep -q 'rsync: killed by signal 9' "$T/sync.out"
	[ "$(wc -l <"$T/sync.out")" = 1 ]
	crash_version "$B" B
	[ "$(whole "$LOCATION")" = A ]
	sound
	recovers B
}

@test "kill -9 of a reader lets its snapshot go" {
	local run long pid
	sync_from "$A"
	background "$RCU_EXEC" -l "$LOCATION" -- bash -c 'cd "$1" && touch "$2" && exec sleep 1000' bash "$LOCATION" "$T/ready.out"
	pid=$BACKGROUND
	wait_until [ -e "$T/ready.out" ]
	sync_from "$B"
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots" | wc -l)" = 2 ]
	kill -9 "$pid"
	wait_until gone "$pid"
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots" | wc -l)" = 1 ]
	reader() { rcu_exec -l "$LOCATION" -- cat "$LOCATION/version"; }
	long=$(milliseconds reader)
	for ((run = 0; run < CRASH_RUNS; run++)); do
		kill_at "$(moment "$long")" "$RCU_EXEC" -l "$LOCATION" -- cat "$LOCATION/version"
	done
	recovers A
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots" | wc -l)" = 1 ]
	no_junk
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 before every single call of rcu-repo that changes the file system: what kill9.bats meets by chance, wholly,
# and the same on every machine.

load ../lib
load crash

setup() {
	crash_init
	skip_unless_strace
}
teardown() { lib_done; }

# A is published, and B is what comes.
published_a() {
	rm -rf "$STORE" "$LOCATION"
	sync_from "$A" 2>/dev/null
}

sound_and_b_comes() { sound && recovers B; }

@test "sync, before each call" {
	sweep published_a sound_and_b_comes \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "update, before each call" {
	sweep published_a sound_and_b_comes \
		"$RCU_REPO" update --location "$LOCATION" --store "$STORE" -- rsync -aH --delete "$B/" ./
}

@test "the first sync, before each call" {
	nothing() { rm -rf "$STORE" "$LOCATION"; }
	# a reader sees nothing, or all of it (P26)
	nothing_or_b() {
		if [ -e "$LOCATION" ]; then sound || return; fi
		recovers B
	}
	sweep nothing nothing_or_b \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "migration, before each call" {
	ordinary_a() {
		rm -rf "$STORE" "$LOCATION"
		cp -a "$A" "$LOCATION"
	}
	migrates() {
		local snapshot kept=0
		sound || return
		sync_from "$B" 2>/dev/null || return
		for snapshot in "$STORE"/snapshots/*; do [ "$(whole "$snapshot")" != A ] || kept=$((kept + 1)); done
		[ "$kept" = 1 ] || { echo "the old tree is there $kept times"; return 1; }
		[ -L "$LOCATION" ] && recovers B
	}
	sweep ordinary_a migrates \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "gc, before each call" {
	old_ones() { rm -rf "$STORE" "$LOCATION"; { sync_from "$A" && sync_from "$B" && sync_from "$A"; } 2>/dev/null; }
	collects() {
		sound || return
		repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 >/dev/null || return
		[ "$(ls "$STORE/snapshots")" = 3 ] && recovers B
	}
	SWEEP_LEAST=5 sweep old_ones collects "$RCU_REPO" gc --location "$LOCATION" --store "$STORE" \
		--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
}

@test "begin, before each call" {
	# it is reserved for us, or it is not; either way there is a way on
	can_go_on() {
		sound || return
		repo abort >"$T/abort.out" 2>&1 || grep -q 'nothing is staged' "$T/abort.out" || return
		recovers B
	}
	sweep published_a can_go_on "$RCU_REPO" begin --location "$LOCATION" --store "$STORE" --owner $$
}

@test "commit and abort, before each call" {
	staged_b() {
		published_a && STAGED=$(repo begin --owner $$) && rsync -aH --delete "$B/" "$STAGED/"
	}
	# what was staged can still be committed, or it was, or it is gone and says so
	can_go_on() {
		sound || return
		repo commit >"$T/commit.out" 2>&1 || grep -q 'nothing is staged' "$T/commit.out" || return
		sound && recovers B
	}
	sweep staged_b can_go_on "$RCU_REPO" commit --location "$LOCATION" --store "$STORE"
	sweep staged_b can_go_on "$RCU_REPO" abort --location "$LOCATION" --store "$STORE"
}

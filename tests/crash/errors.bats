#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each call of rcu-repo that changes the file system fails once, with EIO: 1 says that readers see what they saw
# before, and 0 that they see the new version, whatever failed behind the swap.

load ../lib
load crash

setup() {
	crash_init
	skip_unless_strace
}
teardown() { lib_done; }

# fails_before CALL K COMMAND [ARG...]: that call is not made, and says EIO; the command's status is in $STATUS, what it
# said in $T/failed.out
fails_before() {
	local call=$1 k=$2
	shift 2
	STATUS=0
	strace -o /dev/null -e trace="$call" -e inject="$call:error=EIO:when=$k" "$@" >"$T/failed.out" 2>&1 || STATUS=$?
}

# Agree the status and what readers see? true_to OLD NEW; OLD may be "nothing"
true_to() {
	local seen=nothing want=$1
	[ "$STATUS" != 0 ] || want=$2
	[ ! -e "$LOCATION" ] || seen=$(whole "$LOCATION") || { echo "$seen"; return 1; }
	[ "$seen" = "$want" ] || { echo "exit $STATUS, and readers see $seen"; return 1; }
	[ "$STATUS" = 0 ] || [ "$STATUS" = 1 ] || [ "$STATUS" = 2 ] || { echo "exit $STATUS"; return 1; }
}

# every_failure PREPARE OLD COMMAND [ARG...]: COMMAND, with each call failing once, brings B, or says that it does not;
# and then the next sync brings it
every_failure() {
	local prepare=$1 old=$2 call k
	shift 2
	FAILED=0 WARNED=0
	"$prepare" || return
	points "$@" >"$T/points.out" || { echo "undisturbed: $*"; return 1; }
	while read -r call k <&4; do
		"$prepare" || { echo "cannot prepare: $call $k fails"; return 1; }
		fails_before "$call" "$k" "$@"
		{ true_to "$old" B && { repo abort >"$T/abort.out" 2>&1 || :; } && recovers B; } ||
			{ echo "with EIO from $call number $k: $*"; cat "$T/failed.out"; return 1; }
		FAILED=$((FAILED + (STATUS != 0)))
		if grep -q 'is published, but: ' "$T/failed.out"; then WARNED=$((WARNED + 1)); fi
	done 4<"$T/points.out"
	echo "# $(wc -l <"$T/points.out") points: $FAILED refused, $WARNED published with a warning" >&3
	[ "$FAILED" -ge 10 ] && [ "$WARNED" -ge 1 ]
}

published_a() {
	rm -rf "$STORE" "$LOCATION"
	sync_from "$A" 2>/dev/null
}

@test "sync, each call fails" {
	every_failure published_a A "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "the first sync, each call fails" {
	nothing() { rm -rf "$STORE" "$LOCATION"; }
	every_failure nothing nothing "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "migration, each call fails" {
	ordinary_a() {
		rm -rf "$STORE" "$LOCATION"
		cp -a "$A" "$LOCATION"
	}
	every_failure ordinary_a A "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B"
}

@test "commit, each call fails" {
	staged_b() {
		published_a && STAGED=$(repo begin --owner $$) && rsync -aH --delete "$B/" "$STAGED/"
	}
	every_failure staged_b A "$RCU_REPO" commit --location "$LOCATION" --store "$STORE"
}

@test "the last fsync fails: published, a warning, and nothing is reclaimed" {
	local k last
	published_a
	sync_from "$B" 2>/dev/null
	sync_from "$A" 2>/dev/null
	# the one of STORE behind the swap: the first call behind the last renameat
	strace -o "$T/order.log" -e trace=fsync,renameat "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" \
		--type rsync --uri "$B" --set sync-rcu-ttl-days=30 2>/dev/null
	k=$(awk '/^fsync/ { n++; if (swapped) { print n; exit } } /latest\.new/ { swapped = 1 }' "$T/order.log")
	published_a
	sync_from "$B" 2>/dev/null
	sync_from "$A" 2>/dev/null
	fails_before fsync "$k" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B" \
		--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	cat "$T/failed.out"
	[ "$STATUS" = 0 ]
	grep -q 'the new version is published, but: .*fsync: Input/output error' "$T/failed.out"
	[ "$(whole "$LOCATION")" = B ]
	[ "$(ls "$STORE/snapshots" | sort -n | xargs)" = "1 2 3 4" ]
	last=$(latest)
	recovers A
	[ "$(latest)" -gt "$last" ]
}

@test "commit prints its number to nobody: published all the same, and it says so" {
	local status=0
	published_a
	STAGED=$(repo begin --owner $$)
	rsync -aH --delete "$B/" "$STAGED/"
	repo commit >/dev/full 2>"$T/full.err" || status=$?
	[ "$status" = 0 ]
	grep -q 'stdout cannot be written: No space left' "$T/full.err"
	[ "$(whole "$LOCATION")" = B ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several writers, of ours and as Portage is, and readers, on one store: no reader fails or sees a mixed tree, no writer
# fails but for the lock. CONCURRENT_ROUNDS says how much each of them does.

load ../lib
load crash

ROUNDS=${CONCURRENT_ROUNDS:-4}

setup() {
	crash_init
	make_version "$A" A
	make_version "$B" B
}
teardown() { lib_done; }

# writer NAME COMMAND [ARG...]: until it was done so often, with A and B in turns for VERSION in its words; beaten by
# another one's lock is well
writer() {
	local name=$1 done=0 try status version
	shift
	for ((try = 0; done < ROUNDS && try < 100 * ROUNDS; try++)); do
		version=$([ $((done % 2)) = 0 ] && echo "$A" || echo "$B")
		status=0
		"${@//VERSION/$version}" >"$T/$name.out" 2>&1 || status=$?
		echo "$status" >>"$T/$name.statuses"
		case $status in
		0) done=$((done + 1)) ;;
		75) ;;
		*)
			sed "s/^/$name: /" "$T/$name.out" >>"$T/failed"
			break
			;;
		esac
	done
}

# Reads until the writers are done.
reader() {
	while [ ! -e "$T/done" ]; do
		if pinned_version_of "$LOCATION" -l "$LOCATION" >"$T/reader$1.out" 2>&1; then
			echo good >>"$T/reads"
		else
			sed "s/^/reader: /" "$T/reader$1.out" >>"$T/failed"
		fi
	done
}

# together NAME...: the writers of these names, beside two readers
together() {
	local name pids=() readers=() words=(--location "$LOCATION" --store "$STORE" --set sync-rcu-ttl-days=0)
	local -A command=(
		[sync1]="$RCU_REPO sync --type rsync --uri VERSION" [sync2]="$RCU_REPO sync --type rsync --uri VERSION"
		[update]="$RCU_REPO update" [gc]="$RCU_REPO gc" [list]="$RCU_REPO list")
	touch "$T/failed" "$T/reads"
	for name in 1 2; do
		background reader "$name"
		readers+=("$BACKGROUND")
	done
	for name; do
		case $name in
		portage) background writer portage "$RCU_SRC/tests/crash/portage-sync" "$STORE" VERSION ;;
		update) background writer update ${command[update]} "${words[@]}" -- rsync -aH --delete VERSION/ ./ ;;
		list) background writer list ${command[list]} "${words[@]:0:4}" ;;
		*) background writer "$name" ${command[$name]} "${words[@]}" ;;
		esac
		pids+=("$BACKGROUND")
	done
	wait "${pids[@]}"
	touch "$T/done"
	wait "${readers[@]}"
	for name; do echo "# $name: $(sort "$T/$name.statuses" | uniq -c | xargs) (runs, exit status)" >&3; done
	echo "# $(wc -l <"$T/reads") reads, $(grep -c '^reader' "$T/failed") failed or mixed" >&3
	cat "$T/failed"
	[ ! -s "$T/failed" ] && [ "$(wc -l <"$T/reads")" -ge 2 ]
}

# Afterwards all is well, and what was published last is whole.
settled() {
	local snapshot
	for snapshot in "$STORE"/snapshots/*; do version_of "$snapshot" >"$T/version.out" || { cat "$T/version.out"; return 1; }; done
	sync_from "$A" && [ "$(version_of "$LOCATION")" = A ]
	sync_from "$B" && [ "$(version_of "$LOCATION")" = B ]
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots" | wc -l)" = 1 ]
	! repo --help | grep -q 'rcu-repo check' || repo check
}

@test "rcu-repo beside itself: sync, update, gc and list" {
	sync_from "$A"
	together sync1 sync2 update gc list
	# each of those that were done was seen: a number a publish
	[ "$(cat "$T"/sync?.statuses | grep -c '^0$')" -ge 1 ]
	settled
}

@test "rcu-repo beside an unmodified Portage" {
	sync_from "$A"
	together sync1 portage list
	settled
}

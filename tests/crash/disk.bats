#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A store on a disk that is full, or read-only: what is published stays, one line says why, and when there is room
# again all is well.

load ../lib
load crash

setup() {
	crash_init
	skip_unless_mount
	mount_tmpfs "$T/disk" 3m
	STORE=$T/disk/store
}
teardown() { lib_done; }

fill_disk() { head -c 100M /dev/zero >"$T/disk/filler" 2>/dev/null || :; }

# refused, and of our own lines there is one
refused_once() {
	refused "$@" || return
	[ "$(grep -c '^rcu-repo: ' "$T/refused.err")" = 1 ] || { cat "$T/refused.err"; return 1; }
}

@test "sync to a full disk" {
	sync_from "$A"
	crash_version "$B" B 4000000
	refused_once 1 '^rcu-repo: .*rsync' sync_from "$B"
	sound
	crash_version "$B" B
	fill_disk
	refused_once 1 '^rcu-repo: ' sync_from "$B"
	[ "$(whole "$LOCATION")" = A ]
	rcu_exec -l "$LOCATION" -- cat "$LOCATION/version"
	rm "$T/disk/filler"
	recovers B
}

@test "begin and update on a full disk: say so, and the next command has the room again" {
	local before
	crash_version "$A" A 1500000
	sync_from "$A"
	before=$(df --output=used "$T/disk" | tail -n 1)
	head -c 800000 /dev/zero >"$T/disk/filler"
	# a full copy is measured first, and nothing is begun
	refused_once 1 'no room for a copy: it needs [0-9]+ KiB, and [0-9]+ KiB are free' repo begin
	[ -z "$(ls "$STORE/.rcu-repo/staging")" ]
	refused 1 . repo update -- sh -c 'cat many/big many/big >many/bigger'
	rm "$T/disk/filler"
	[ -z "$(ls "$STORE/.rcu-repo/staging")" ]
	repo gc
	[ "$(df --output=used "$T/disk" | tail -n 1)" -le $((before + 300)) ]
	crash_version "$A" A
	recovers B
}

@test "gc on a full disk makes room" {
	sync_from "$A"
	crash_version "$T/C" C 800000
	sync_from "$T/C"
	sync_from "$B"
	fill_disk
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots")" = 3 ]
	[ "$(df --output=avail "$T/disk" | tail -n 1)" -ge 700 ]
	rm "$T/disk/filler"
	recovers A
}

@test "full at any moment: sync with less and less room" {
	local room failed=0
	sync_from "$A"
	for room in 600 400 300 250 200 150 120 100 80 60 40 20 8 4; do
		recovers A
		head -c "$(($(df --output=avail -B1 "$T/disk" | tail -n 1) - room * 1024))" /dev/zero >"$T/disk/filler"
		sync_from "$B" >"$T/sync.out" 2>&1 || failed=$((failed + 1))
		sound
		rm "$T/disk/filler"
		recovers B
	done
	echo "# $failed of 14 did not fit" >&3
	[ "$failed" -ge 2 ] && [ "$failed" -lt 14 ]
}

@test "a store on a read-only mount" {
	sync_from "$A"
	mount -o remount,ro "$T/disk"
	for command in "sync --type rsync --uri $B" "gc" "begin" "update -- true"; do
		refused_once 1 'Read-only file system' repo $command
	done
	[ "$(whole "$LOCATION")" = A ]
	[ "$(rcu_exec -l "$LOCATION" -- cat "$LOCATION/version")" = A ]
	repo list | grep -qw 1
	mount -o remount,rw "$T/disk"
	recovers B
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo keep, and what rcu-exec does with a name

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

gc_all() { repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 "$@"; }

two_versions() {
	sync_version A --set sync-rcu-spare-snapshots=9
	sync_version B --set sync-rcu-spare-snapshots=9
}

@test "a kept snapshot stays, pinned or not, also against --force, until it is released" {
	two_versions
	repo keep 1
	gc_all
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	refused 1 'snapshot 1 is kept: release it first' gc_all --force 1
	repo release 1
	gc_all
	[ ! -e "$STORE/snapshots/1" ]
}

@test "a name: for rcu-exec, for release, and one snapshot's alone" {
	two_versions
	repo keep 1 --name before-upgrade
	[ "$(pinned_version_of "$LOCATION" -l "$LOCATION" -s before-upgrade)" = A ]
	[ "$(pinned_version_of "$LOCATION" -l "$LOCATION" -s "$LOCATION=before-upgrade")" = A ]
	refused 125 'no snapshot is kept as other' rcu_exec -l "$LOCATION" -s other true
	refused 1 'snapshot 1 has the name before-upgrade already' repo keep 2 --name before-upgrade
	# again, without a name or with another one
	repo keep 1
	repo keep before-upgrade --name fallback
	refused 125 'no snapshot is kept as before-upgrade' rcu_exec -l "$LOCATION" -s before-upgrade true
	[ "$(pinned_version_of "$LOCATION" -l "$LOCATION" -s fallback)" = A ]
	repo release fallback
	refused 125 'no snapshot is kept as fallback' rcu_exec -l "$LOCATION" -s fallback true
	gc_all
	[ ! -e "$STORE/snapshots/1" ]
}

@test "what is no name, no number, or not there" {
	local name
	two_versions
	for name in 7 7up '' -x .hidden 'a b' 'a=b' a/b $'a\nb' "$(printf 'x%.0s' {1..64})" 'a;b'; do
		refused 2 'a name has at most 63 of letters' repo keep 1 "--name=$name"
	done
	repo keep 1 --name "$(printf 'x%.0s' {1..63})"
	refused 1 'there is no snapshot 7' repo keep 7
	refused 1 'there is no snapshot seven' repo keep seven
	refused 2 'neither a snapshot' repo keep 0
	refused 2 'REPO and N are needed' repo keep
	refused 2 'REPO and N are needed' repo keep 1 2
	refused 125 'neither a snapshot' rcu_exec -l "$LOCATION" -s 7up true
	grep '^kept = no' "$STORE/.rcu-repo/meta/2"
}

@test "by the section's name" {
	two_repositories
	rcu_repo sync
	rcu_repo keep one 1 --name first
	grep '^name = first' "$T/store-one/.rcu-repo/meta/1"
	grep '^kept = no' "$T/store-two/.rcu-repo/meta/1"
	[ "$(pinned_version_of "$T/one" -r one -r two -s one=first)" = A ]
	refused 2 'REPO and N are needed' rcu_repo keep 1
	refused 2 'no such repository' rcu_repo keep three 1
}

@test "a directory that is no store is not taken for one" {
	mkdir -p "$STORE/snapshots/1"
	refused 1 'is no store' repo keep 1
	[ ! -e "$STORE/.rcu-repo" ]
}

@test "while another one writes it is busy; what begin reserved is no hindrance" {
	two_versions
	repo begin
	repo keep 1
	grep '^kept = yes' "$STORE/.rcu-repo/meta/1"
	background flock -F "$STORE/.rcu-repo/lock" sleep 1000
	wait_until bash -c '! flock -n "$1" true' bash "$STORE/.rcu-repo/lock"
	refused 75 'locked by' repo keep 2
}

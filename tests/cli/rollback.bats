#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo rollback

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

versions() {
	local name
	for name; do
		sync_version "$name" --set sync-rcu-spare-snapshots=9
	done
}

# meta N KEY
meta() { sed -n "s/^$2 = //p" "$STORE/.rcu-repo/meta/$1"; }

@test "the one before is published again, and what comes next has a new number" {
	versions A B C
	run -0 --separate-stderr repo rollback
	[ -z "$output" ]
	[[ $stderr == *"snapshot 2 is published again" ]]
	[ "$(latest) $(version_of "$LOCATION")" = "2 B" ]
	# times: what is latest is not retired, what is not has been just now
	[ "$(meta 2 retired)" = 0 ]
	[ "$(meta 3 retired)" -ge "$(meta 3 published)" ]
	[ "$(meta 3 retired)" -gt 0 ]
	# and the one before that
	repo rollback
	[ "$(latest) $(version_of "$LOCATION")" = "1 A" ]
	refused 1 'there is no snapshot before 1' repo rollback
	sync_version D --set sync-rcu-spare-snapshots=9
	[ "$(latest) $(version_of "$LOCATION")" = "4 D" ]
	# before 4 it was 1 that was latest
	repo rollback
	[ "$(latest)" = 1 ]
}

@test "by number, by name, and a number that is not there" {
	versions A B C
	repo rollback 1
	[ "$(latest) $(version_of "$LOCATION")" = "1 A" ]
	repo keep 3 --name good
	repo rollback good
	[ "$(latest) $(version_of "$LOCATION")" = "3 C" ]
	refused 1 'there is no snapshot 9' repo rollback 9
	refused 2 'at most one N' repo rollback 1 2
	[ "$(latest)" = 3 ]
	run -0 --separate-stderr repo rollback 3
	[[ $stderr == *"snapshot 3 is the latest" ]]
	[ "$(meta 3 retired)" = 0 ]
}

@test "what it went back from is the spare, and gc takes neither" {
	versions A B C
	repo rollback 1
	repo gc --set sync-rcu-ttl-days=0
	[ "$(ls "$STORE/snapshots" | tr '\n' ' ')" = "1 3 " ]
	[ "$(version_of "$LOCATION")" = A ]
}

@test "--hold: no sync, update, begin or commit publishes before sync --force" {
	versions A B
	staging=$(repo begin)
	repo rollback --hold
	[ "$(latest)" = 1 ]
	echo new >"$staging/new"
	refused 1 'snapshot 1 is held since .*sync --force' repo commit
	[ -e "$staging/new" ]
	repo abort
	make_version "$SOURCE" C
	refused 1 'snapshot 1 is held since' repo sync --type rsync --uri "$SOURCE"
	refused 1 'snapshot 1 is held since' repo update -- touch new
	refused 1 'snapshot 1 is held since' repo begin
	[ "$(latest) $(version_of "$LOCATION")" = "1 A" ]
	is_empty "$STORE/.rcu-repo/staging"
	# one that fails ends no hold
	refused 1 . repo sync --force --type rsync --uri "$T/nowhere"
	refused 1 'is held since' repo begin
	repo sync --force --type rsync --uri "$SOURCE"
	[ "$(latest) $(version_of "$LOCATION")" = "3 C" ]
	sync_version D
	[ "$(latest)" = 4 ]
}

@test "a sync of all passes over what is held, and says so" {
	two_repositories
	rcu_repo sync
	make_version "$T/source-one" B
	make_version "$T/source-two" B
	rcu_repo rollback one 1 --hold
	run -0 --separate-stderr rcu_repo sync
	[[ $stderr == *"one: snapshot 1 is held since "*": skipped"* ]]
	[ "$(version_of "$T/one")" = A ]
	[ "$(version_of "$T/two")" = B ]
	refused 1 'is held since' rcu_repo sync one
	rcu_repo sync one --force
	[ "$(version_of "$T/one")" = B ]
}

@test "a rollback without --hold ends a hold, and so does what swaps latest without asking" {
	versions A B
	repo rollback 1 --hold
	repo rollback 1
	sync_version C
	[ "$(latest)" = 3 ]
	repo rollback 1 --hold
	ln -sfn snapshots/3 "$STORE/latest"
	sync_version D
	[ "$(latest)" = 4 ]
}

@test "killed before the swap: nothing is published, nothing is held; behind it: both" {
	skip_unless_command strace
	local when swapped=0
	versions A B
	for when in 1 2 3 4; do
		run traced -f -o "$T/trace" -e trace=renameat -e "inject=renameat:signal=KILL:when=$when" \
			"$RCU_REPO" rollback 1 --location "$LOCATION" --store "$STORE" --hold
		[ "$status" = 137 ]
		if [ "$(latest)" = 2 ]; then
			[ "$swapped" = 0 ]
			repo abort --staging "$(repo begin)"
			[ "$(meta 2 retired)" = 0 ]
		else
			swapped=$((swapped + 1))
			[ "$(latest)" = 1 ]
			refused 1 'is held since' repo begin
			[ "$(meta 1 retired)" = 0 ]
			[ "$(meta 2 retired)" -gt 0 ]
			repo rollback 2
			rm -f "$STORE/.rcu-repo/hold"
		fi
	done
	[ "$swapped" -ge 1 ]
}

@test "a latest that names nothing is mended by it" {
	versions A B
	ln -sfn snapshots/77 "$STORE/latest"
	repo rollback 2
	[ "$(version_of "$LOCATION")" = B ]
	rm "$STORE/latest"
	refused 1 'nothing is published: say which number' repo rollback
	repo rollback 1
	[ "$(version_of "$LOCATION")" = A ]
}

@test "a store that Portage made: the highest number below" {
	make_version "$STORE/snapshots/3" A
	make_version "$STORE/snapshots/5" B
	ln -s snapshots/5 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	rcu_repo rollback --location "$LOCATION"
	[ "$(latest) $(version_of "$LOCATION")" = "3 A" ]
	[ -e "$STORE/.rcu-repo/pins/3" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo sync --together: who pins several sees all new or all old (P22)

load ../lib
load helpers

setup() {
	lib_init
	two_repositories
}
teardown() { lib_done; }

# both sources become version NAME
both() {
	make_version "$T/source-one" "$1"
	make_version "$T/source-two" "$1"
}

# The one version that who pins both sees; fails where they are two.
pinned_version() {
	local location snapshot first="" version
	while IFS=$'\t' read -r location snapshot; do
		version=$(version_of "$snapshot") || return
		[ -z "$first" ] || [ "$first" = "$version" ] || {
			echo "mixed: $first and $version at $location"
			return 1
		}
		first=$version
	done < <(rcu_exec -p -r one -r two)
	echo "$first"
}

# Nothing of a set is under way, and nothing is left of one.
at_rest() {
	local store
	for store in "$T/store-one" "$T/store-two"; do
		[ ! -e "$store/.rcu-repo/set" ] || return
		[ -z "$(ls -A "$store/.rcu-repo/staging")" ] || return
	done
}

@test "all of them, or none" {
	rcu_repo sync --together
	[ "$(pinned_version)" = A ]
	at_rest
	both B
	rsync_with 'case $staging in */store-two/*) exit 23 ;; esac; real_rsync "$@"'
	run -1 --separate-stderr rcu_repo sync --together
	[[ $stderr == *"one: "*"another repository of its set failed"* ]]
	[[ $stderr == *"sync: not synced: one, two"* ]]
	[ "$(pinned_version)" = A ]
	[ "$(ls "$T/store-one/snapshots")" = 1 ]
	at_rest
	real_rsync_again
	both B
	rcu_repo sync --together
	[ "$(pinned_version)" = B ]
	at_rest
}

@test "one that did not change takes no part" {
	rcu_repo sync --together
	make_version "$T/source-two" B
	run -0 --separate-stderr rcu_repo sync --together
	[[ $stderr == *"one: nothing changed"* ]]
	[ "$(version_of "$T/one")" = A ]
	[ "$(version_of "$T/two")" = B ]
	at_rest
	rcu_repo sync --together one
}

@test "one that is locked: nothing is published, and that is to be tried again; one that failed is a failure" {
	rcu_repo sync --together
	both B
	background flock -F "$T/store-one/.rcu-repo/lock" sleep 1000
	wait_until eval '! flock -n "$T/store-one/.rcu-repo/lock" true'
	refused 75 'two: .*another repository of its set failed' rcu_repo sync --together
	refused 1 'not synced' rcu_repo sync --together --set sync-rcu-verify=false
	kill "$BACKGROUND"
	[ "$(pinned_version)" = A ]
	rcu_repo sync --together
	[ "$(pinned_version)" = B ]
	at_rest
}

@test "--jobs 1 --together: who waits for the others is not in their way" {
	rcu_repo sync --together --jobs 1
	[ "$(pinned_version)" = A ]
}

@test "a master is published before its overlay" {
	rcu_repo sync --together
	both B
	sed -i 's/^\[one\]/&\nmasters = two/; s/^\[two\]/&\nmasters =/' "$T/repos.conf"
	traced -f -y -o "$T/strace" -e trace=renameat "$RCU_REPO" sync --together
	grep -E 'latest.new.*"latest"' "$T/strace" | grep -oE 'store-(one|two)' | uniq | tr '\n' ' ' >"$T/order"
	[ "$(cat "$T/order")" = "store-two store-one " ]
}

# RCU_TOGETHER_SETS=500 for a long one
@test "who pins both while they are published sees all new or all old" {
	local i sets=${RCU_TOGETHER_SETS-25} one two readers=()
	rcu_repo sync --together
	for ((i = 0; i < 3; i++)); do
		# the small file alone, so that there are many of them; mixed is what it prints
		background bash -c 'cd "$1"; while [ ! -e over ]; do
				mapfile -t pins < <("$RCU_BUILD/helper/rcu-exec" -p -r one -r two)
				[ ${#pins[@]} = 2 ] || { echo "no pins" >>mixed; exit; }
				one=$(<"${pins[0]#*$2}/version") two=$(<"${pins[1]#*$2}/version")
				[ "$one" = "$two" ] || echo "$one $two" >>mixed
				echo >>"readers-$3"
			done' bash "$T" $'\t' "$i"
		readers+=("$BACKGROUND")
	done
	for ((i = 1; i <= sets; i++)); do
		both "v$i"
		rcu_repo --quiet sync --together
	done
	touch "$T/over"
	wait "${readers[@]}"
	echo "# $sets sets, $(cat "$T"/readers-* | wc -l) readers, $(cat "$T/mixed" 2>/dev/null | wc -l) mixed" >&3
	[ ! -e "$T/mixed" ]
	at_rest
}

@test "killed anywhere in the middle: never mixed, and the next one goes on" {
	local n killed=0
	rcu_repo sync --together
	# each job is killed just before its Nth rename: of the numbers, of what is written for the set, of latest
	for ((n = 1; n <= 40; n++)); do
		both "v$n"
		traced -f -o "$T/strace" -e trace=renameat -e inject=renameat:signal=KILL:when="$n" \
			"$RCU_REPO" sync --together >"$T/out" 2>&1 && break
		killed=$((killed + 1))
		pinned_version
		[ $((n % 3)) != 0 ] || {
			rcu_repo --quiet sync --together
			[ "$(pinned_version)" = "v$n" ]
			at_rest
		}
	done
	[ "$killed" -ge 5 ]
	[ "$n" -le 40 ]
	rcu_repo sync --together
	[ "$(pinned_version)" = "v$n" ]
	at_rest
}

@test "one of them killed, at any time: never mixed, and the next one goes on" {
	local i victim
	rcu_repo sync --together
	for ((i = 0; i < 16; i++)); do
		both "v$i"
		background "$RCU_REPO" sync --together
		sleep "0.0$((RANDOM % 10))"
		# its children are the jobs; one of them, or itself
		victim=$(pgrep -P "$BACKGROUND" | shuf -n 1) || :
		[ $((i % 4)) != 0 ] || victim=$BACKGROUND
		[ -z "$victim" ] || kill -9 "$victim" 2>/dev/null || :
		pinned_version
		wait "$BACKGROUND" || :
		pinned_version
	done
	both last
	wait_until rcu_repo --quiet sync --together
	[ "$(pinned_version)" = last ]
	at_rest
}

@test "who rolls one of them back means it" {
	rcu_repo sync --together
	both B
	rcu_repo sync --together
	rcu_repo rollback two
	rcu_exec -p -r one -r two >"$T/pins"
	[ "$(cat "$T/pins")" = "$T/one"$'\t'"$T/store-one/snapshots/2"$'\n'"$T/two"$'\t'"$T/store-two/snapshots/1" ]
}

@test "one that is published alone later still belongs to the set before it" {
	rcu_repo sync --together
	both B
	rcu_repo sync --together
	make_version "$T/source-two" C
	rcu_repo sync two
	# as if who pins had read the first latest before the set
	ln -sfn snapshots/1 "$T/store-one/latest"
	printf '2\n2\n%s\n%s\n' "$(cat "$T/store-one/.rcu-repo/id")" "$T/store-one" >"$T/store-one/.rcu-repo/set"
	rcu_exec -p -r one -r two >"$T/pins"
	[ "$(cat "$T/pins")" = "$T/one"$'\t'"$T/store-one/snapshots/2"$'\n'"$T/two"$'\t'"$T/store-two/snapshots/3" ]
	# a number that is asked for stays
	rcu_exec -p -r one -r two -s one=1 >"$T/pins"
	[ "$(head -n 1 "$T/pins")" = "$T/one"$'\t'"$T/store-one/snapshots/1" ]
}

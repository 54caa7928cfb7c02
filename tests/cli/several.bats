#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo sync of several repositories at once

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# as many as in `names`, each from a source of its own at version NAME: several NAME
names="one two three four"
several() {
	local name
	for name in $names; do
		make_version "$T/source-$name" "$1"
	done
	[ -e "$T/repos.conf" ] || {
		printf '[DEFAULT]\nsync-type = rsync\n'
		for name in $names; do
			printf '[%s]\nlocation = %s\nsync-rcu-store-dir = %s\nsync-uri = %s\n' "$name" "$T/$name" \
				"$T/store-$name" "$T/source-$name"
		done
	} >"$T/text"
	config <"$T/text"
}

# All of them are at version NAME
all_at() {
	local name
	for name in $names; do
		[ "$(version_of "$T/$name")" = "$1" ] || return
	done
}

# for rsync_with: as long as less than N of them have begun, wait; then go on
begin_together='echo $$ >"$meet/$$"; until [ "$(ls "$meet" | wc -l)" -ge 4 ]; do sleep 0.02; done; real_rsync "$@"'

@test "they run at once: none gets on until all have begun" {
	several A
	mkdir "$T/meet"
	rsync_with "meet=$T/meet; $begin_together"
	rcu_repo sync
	all_at A
	[ "$(ls "$T/meet" | wc -l)" = 4 ]
}

@test "--jobs 1: one after the other" {
	several A
	rsync_with "mkdir '$T/running' || exit 9; real_rsync \"\$@\"; sleep 0.1; rmdir '$T/running'"
	rcu_repo sync --jobs 1
	all_at A
	rcu_repo sync --jobs=1 one two
	refused 2 'not a number of jobs: 0' rcu_repo sync --jobs 0
	refused 2 'not a number of jobs: x' rcu_repo sync --jobs x
}

@test "one that fails does not stop the others, and is named" {
	several A
	rm -r "$T/source-two"
	run -1 --separate-stderr rcu_repo sync
	[[ $stderr == *"rcu-repo: two: rsync: exit status 23"* ]]
	[[ $stderr == *"rcu-repo: sync: not synced: two"* ]]
	[[ $stderr == *"rcu-repo: one: snapshot 1 is published"* ]]
	names="one three four" all_at A
	[ ! -e "$T/two" ]
	# a bad key is one repository's as well
	run -1 --separate-stderr rcu_repo sync --set sync-type=none
	[[ $stderr == *"rcu-repo: sync: not synced: one, two, three, four"* ]]
}

@test "locks alone in the way: 75" {
	several A
	rcu_repo sync
	several B
	background "$RCU_REPO" update one -- bash -c "touch '$T/in'; sleep 1000"
	wait_until test -e "$T/in"
	run -75 --separate-stderr rcu_repo sync
	[[ $stderr == *"one: "*"locked by pid"* ]]
	[[ $stderr == *"sync: not synced: one"* ]]
	names="two three four" all_at B
	names=one all_at A
}

@test "what they write does not mix: whole lines, each with its repository's name" {
	local name
	several A
	rsync_with 'for i in {1..50}; do printf "%s" "${staging%/}" >&2; sleep 0.002; echo " and the rest $i" >&2; done
		real_rsync "$@"'
	run -0 --separate-stderr rcu_repo sync
	for name in $names; do
		[ "$(grep -cE "^$name: $T/store-$name/[^ ]* and the rest [0-9]+$" <<<"$stderr")" = 50 ]
		[ "$(grep -c "^rcu-repo: $name: snapshot 1 is published$" <<<"$stderr")" = 1 ]
	done
	[ "$(wc -l <<<"$stderr")" = 204 ]
	[ -z "$output" ]
}

@test "on a terminal each has a line, and the messages stay above" {
	skip_unless_command script
	several A
	rsync_with 'sleep 1.2; real_rsync "$@"'
	script -qec "'$RCU_REPO' sync" /dev/null </dev/null >"$T/screen"
	local name
	for name in $names; do
		grep -q "$name: fetching, [0-9]* s" "$T/screen"
	done
	# what is left on the screen: nothing but the four messages
	tr -d '\r' <"$T/screen" >"$T/plain"
	[ "$(grep -c 'snapshot 1 is published' "$T/plain")" = 4 ]
	rsync_with 'real_rsync "$@"'
	script -qec "'$RCU_REPO' sync --quiet" /dev/null </dev/null >"$T/screen"
	[ ! -s "$T/screen" ]
}

@test "told to end, all end, none is begun any more, and what is published stays" {
	several A
	rcu_repo sync
	several B
	rsync_with 'touch "'"$T"'/started-$$"; exec sleep 1000'
	background "$RCU_REPO" sync --jobs 3
	wait_until eval '[ "$(ls "$T" | grep -c started-)" = 3 ]'
	kill -TERM "$BACKGROUND"
	local got=0
	wait "$BACKGROUND" || got=$?
	[ "$got" = 1 ]
	[ "$(ls "$T" | grep -c started-)" = 3 ]
	all_at A
	real_rsync_again
	rcu_repo sync
	all_at B
}

@test "killed, it takes the others with it, and the next one goes on" {
	several A
	rcu_repo sync
	several B
	rsync_with 'echo $$ >"'"$T"'/started-$$"; exec sleep 1000'
	background "$RCU_REPO" sync
	wait_until eval '[ "$(cat "$T"/started-* 2>/dev/null | wc -l)" = 4 ]'
	kill -9 "$BACKGROUND"
	local pid
	for pid in $(cat "$T"/started-*); do
		wait_until gone "$pid"
	done
	all_at A
	real_rsync_again
	wait_until rcu_repo sync
	all_at B
}

@test "one that is killed is named, and the others go on" {
	several A
	rsync_with 'case $staging in */store-two/*) kill -9 $PPID; sleep 0.2;; esac; real_rsync "$@"'
	run -1 --separate-stderr rcu_repo sync
	[[ $stderr == *"two: killed by signal 9"* ]]
	[[ $stderr == *"sync: not synced: two"* ]]
	names="one three four" all_at A
	real_rsync_again
	rcu_repo sync
	all_at A
}

@test "Portage's hooks: each repository's behind its own sync, those of all once, and only on change where that is asked for" {
	[ ! -e /etc/rcu-repo/repos.conf ] || skip "this machine has a configuration of its own"
	several A
	mkdir -p "$T/root/etc/portage/repo.postsync.d" "$T/root/etc/portage/postsync.d"
	sed 's/^sync-type.*/&\nsync-rcu = yes/' "$T/repos.conf" >"$T/root/etc/portage/repos.conf"
	unset RCU_REPO_CONFIG
	export EPREFIX=$T/prefix PORTAGE_CONFIGROOT=$T/root
	printf '#!/bin/sh\necho "$1 $(cat "$3/version")" >>"%s/hooks"\n' "$T" >"$T/root/etc/portage/repo.postsync.d/it"
	printf '#!/bin/sh\necho all >>"%s/hooks"\n' "$T" >"$T/root/etc/portage/postsync.d/all"
	chmod 755 "$T"/root/etc/portage/*/*
	rcu_repo sync
	[ "$(sort "$T/hooks" | tr '\n' ' ')" = "all four A one A three A two A " ]
	[ "$(tail -n 1 "$T/hooks")" = all ]
	: >"$T/hooks"
	make_version "$T/source-two" B
	rcu_repo sync --set sync-hooks-only-on-change=yes
	[ "$(tr '\n' ' ' <"$T/hooks")" = "two B all " ]
	: >"$T/hooks"
	rcu_repo sync --set sync-hooks-only-on-change=yes
	[ ! -s "$T/hooks" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What rcu-repo started goes on after rcu-repo was killed, and goes on writing: no published tree gets any of it.

load ../lib
load crash

setup() { crash_init; }
teardown() {
	[ ! -e "$T/daemon.out" ] || kill -9 $(<"$T/daemon.out") 2>/dev/null || :
	lib_done
}

# A program that daemonizes and goes on writing without end where it was started: by its cwd, and by path.
write_script() {
	cat >"$T/A.sh" <<-'END'
		#!/bin/bash
		# OUT: where to say our pid, and that we have begun
		setsid bash -c '
			echo $$ >"$1/daemon.out"
			exec >/dev/null 2>&1
			i=0
			while :; do
				i=$((i + 1))
				echo junk >"junk$((i % 50))"
				echo junk >header
				mkdir -p "$RCU_REPO_STAGING/many"
				echo junk >"$RCU_REPO_STAGING/many/junk$((i % 50))"
				echo junk >"$RCU_REPO_STAGING/version"
				[ "$i" != 5 ] || : >"$1/begun.out"
			done' bash "$1" </dev/null &
	END
	echo "$1" >>"$T/A.sh"
	chmod 755 "$T/A.sh"
}

end_daemon() {
	kill -9 "$(<"$T/daemon.out")"
	wait_until gone "$(<"$T/daemon.out")"
}

@test "a command of update that outlives a killed rcu-repo writes into nothing that is published" {
	sync_from "$A"
	write_script 'exec sleep 1000'
	background "$RCU_REPO" update --location "$LOCATION" --store "$STORE" -- "$T/A.sh" "$T"
	wait_until [ -e "$T/begun.out" ]
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	sound
	# beside the writer, who may make directories in staging and trash faster than they go: gc may say so
	sync_from "$B"
	[ "$(whole "$LOCATION")" = B ]
	repo update -- rsync -aH --delete "$A/" ./
	[ "$(whole "$LOCATION")" = A ]
	path=$(repo begin)
	rsync -aH --delete "$B/" "$path/"
	repo commit
	[ "$(whole "$LOCATION")" = B ]
	gone_on=$(<"$T/daemon.out")
	kill -0 "$gone_on"
	end_daemon
	sound
	recovers A
}

@test "a command of update that fails, but goes on in the background, is not published" {
	sync_from "$A"
	write_script "while [ ! -e $T/begun.out ]; do sleep 0.02; done; exit 3"
	refused 1 'exit status 3' repo update -- "$T/A.sh" "$T"
	sound
	sync_from "$B"
	[ "$(whole "$LOCATION")" = B ]
	end_daemon
	sound
	recovers A
}

@test "what begin staged for an owner who ended is not published, though a child of his goes on writing" {
	sync_from "$A"
	write_script 'exit 0'
	background sleep 1000
	owner=$BACKGROUND
	path=$(repo begin --owner "$owner")
	(cd "$path" && RCU_REPO_STAGING=$path "$T/A.sh" "$T")
	wait_until [ -e "$T/begun.out" ]
	refused 75 'reserved' sync_from "$B"
	kill -9 "$owner"
	wait "$owner" || :
	refused 1 'nothing is staged' repo commit --staging "$path"
	sound
	sync_from "$B"
	[ "$(whole "$LOCATION")" = B ]
	end_daemon
	sound
	recovers A
}

@test "rsync that was stopped while rcu-repo was killed, and goes on after the next sync, changes nothing" {
	local pid family child
	sync_from "$A"
	crash_version "$B" B 3000000
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$B" \
		--set sync-rsync-extra-opts=--bwlimit=100
	pid=$BACKGROUND
	# all three of them, and the slow file begun
	begun() { compgen -G "$STORE/.rcu-repo/staging/*/many/.big.*" >"$T/slow.out"; }
	wait_until begun
	family=$(pgrep -P "$pid" -x rsync)
	for child in $family; do family="$family $(pgrep -P "$child")"; done
	for child in $family; do family="$family $(pgrep -P "$child" || :)"; done
	kill -STOP $family
	kill -9 "$pid"
	wait_until gone "$pid"
	sound
	crash_version "$B" B
	sync_from "$B"
	[ "$(whole "$LOCATION")" = B ]
	kill -CONT $family 2>/dev/null || :
	for child in $family; do wait_until gone "$child"; done
	sound
	recovers A
}

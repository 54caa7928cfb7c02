#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo update

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "COMMAND runs in a copy of the latest, which is published if it exits 0" {
	sync_version A
	run -0 --separate-stderr repo update -- sh -c 'pwd >"$1"; echo "$RCU_REPO_STAGING" >>"$1"
		echo "$RCU_REPO_LOCATION" >>"$1"; cp SUMS copy; echo out' sh "$T/seen"
	[ -z "$output" ] # stdout is for results
	[[ $stderr == *out*"snapshot 2 is published"* ]]
	[ "$(sed -n 1p "$T/seen")" = "$(sed -n 2p "$T/seen")" ]
	[[ $(sed -n 1p "$T/seen") == "$STORE"/.rcu-repo/staging/* ]]
	[ "$(sed -n 3p "$T/seen")" = "$LOCATION" ]
	[ -e "$LOCATION/copy" ]
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$STORE/snapshots/1/copy" ]
}

@test "no write in place reaches a snapshot" {
	sync_version A
	cp -a "$STORE/snapshots/1" "$T/before"
	repo update -- sh -c 'for f in $(find . -type f ! -name "* *"); do echo more >>"$f"; chmod 600 "$f"; done; touch -d @5 .'
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	grep more "$LOCATION/version"
}

@test "unchanged files are shared afterwards" {
	sync_version A
	repo update -- sh -c 'echo more >>header'
	[ "$STORE/snapshots/1/version" -ef "$STORE/snapshots/2/version" ]
}

@test "a COMMAND that fails, is killed or is not there publishes nothing" {
	sync_version A
	refused 1 'sh: exit status 7' repo update -- sh -c 'echo more >>header; exit 7'
	refused 1 'sh: killed by signal 9' repo update -- sh -c 'echo more >>header; kill -9 $$'
	refused 1 'no-such: not found' repo update -- no-such
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "nothing changed: nothing is published" {
	sync_version A
	repo update -- true 2>&1 | grep 'nothing changed'
	repo update -- sh -c 't=$(stat -c %y .); cp -a header x && mv x header; touch -d "$t" .' 2>&1 | grep 'nothing changed'
	[ "$(latest)" = 1 ]
}

@test "what COMMAND does to the staging directory itself" {
	sync_version A
	# behind an overlay it can do none of this
	refused 1 'sh: exit status' repo update -- sh -c 'rm -rf "$RCU_REPO_STAGING"'
	export RCU_REPO_GUARD_WAY=copy
	refused 1 'staging directory is gone' repo update -- sh -c 'cd / && mv "$RCU_REPO_STAGING" "$1"' sh "$T/away"
	refused 1 'something else is in the place' repo update -- sh -c 'cd / && mv "$RCU_REPO_STAGING" "$1" &&
		ln -s "$1" "$RCU_REPO_STAGING"' sh "$T/away2"
	refused 1 'something else is in the place' repo update -- sh -c 'cd / && rm -r "$RCU_REPO_STAGING" &&
		mkdir "$RCU_REPO_STAGING" && echo x >"$RCU_REPO_STAGING/x"'
	refused 1 'is empty: not published' repo update -- find . -mindepth 1 -delete
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	sync_version B
	[ "$(version_of "$LOCATION")" = B ]
}

@test "a process that COMMAND left behind in the staging tree: not published" {
	sync_version A
	# It lets go of its descriptors, and keeps its working directory.
	refused 1 'process [0-9]+ \(sleep\) is still at work in it' repo update -- sh -c \
		'echo x >x; (exec sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&-) & echo $! >"$1"' sh "$T/pid"
	kill "$(cat "$T/pid")"
	[ "$(latest)" = 1 ]
	[ ! -e "$LOCATION/x" ]
	# It is somewhere else, and has a file of the tree open.
	refused 1 'process [0-9]+ \(sleep\) is still at work in it' repo update -- sh -c \
		'echo x >x; (exec 3>"$RCU_REPO_STAGING/y" && cd / && exec sleep 1000 </dev/null >/dev/null 2>&1) & echo $! >"$1"
		until [ -e y ]; do sleep 0.01; done' sh "$T/pid"
	kill "$(cat "$T/pid")"
	[ "$(latest)" = 1 ]
	repo update -- sh -c \
		'echo x >x; (cd / && echo >"$1.left" && exec sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&-) & echo $! >"$1"
		until [ -e "$1.left" ]; do sleep 0.01; done' sh "$T/pid"
	kill "$(cat "$T/pid")"
	[ -e "$LOCATION/x" ]
}

@test "the first update fills a new repository" {
	repo update -- sh -c 'echo x >x'
	[ "$(cat "$LOCATION/x")" = x ]
}

@test "the first update of an ordinary directory changes a copy of it, and migrates" {
	make_version "$LOCATION" A
	repo update -- sh -c 'test -e header && echo x >x'
	[ -L "$LOCATION" ]
	[ "$(cat "$LOCATION/x")" = x ]
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	[ ! -e "$STORE/snapshots/1/x" ]
}

@test "COMMAND is not redirected by a pin that update is started under" {
	sync_version A
	make_version "$SOURCE" B
	rcu_exec -l "$LOCATION" -- "$RCU_REPO" update --location "$LOCATION" --store "$STORE" -- \
		rsync -a --delete "$SOURCE/" .
	[ "$(version_of "$LOCATION")" = B ]
	rcu_exec -l "$LOCATION" -- "$RCU_REPO" update --location "$LOCATION" --store "$STORE" -- \
		sh -c 'env >"$1"; echo x >x' sh "$T/env"
	[ -e "$LOCATION/x" ]
	[ "$(grep -cE '^(LD_PRELOAD=.*librcu-exec|RCU_EXEC_(PINS|FDS)=)' "$T/env")" = 0 ]
}

@test "descriptors that are closed are closed for nobody's files" {
	sync_version A
	repo update -- sh -c 'exec 5>data; echo noise >&2; echo more; echo good >&5' 0<&- 1>&- 2>&-
	[ "$(cat "$LOCATION/data")" = good ]
}

@test "no COMMAND, no REPO" {
	refused 2 'no COMMAND' repo update
	refused 2 'no COMMAND' repo update --
	refused 2 'exactly one REPO' rcu_repo update -- true
}

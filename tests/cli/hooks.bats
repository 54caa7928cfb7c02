#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-rcu-verify and sync-rcu-hooks before a publish, Portage's hooks after it, and time limits

load ../lib
load helpers

setup() {
	lib_init
	mkdir "$T/hooks"
}
teardown() { lib_done; }

# hook NAME: an executable in $T/hooks from stdin
hook() {
	{
		echo '#!/bin/sh'
		cat
	} >"$T/hooks/$1"
	chmod 755 "$T/hooks/$1"
}

judged() {
	local command=$1
	shift
	repo "$command" --set "sync-rcu-hooks=$T/hooks" "$@"
}

@test "verify and then the hooks, in order of their names, see the new tree before it is published" {
	sync_version A
	make_version "$SOURCE" B
	hook 10-ten <<-END
		echo "ten \$(cat version) \$PWD" >>"$T/seen"
	END
	hook 9-nine <<-END
		echo "nine \$RCU_REPO_STAGING \$RCU_REPO_LOCATION \$RCU_REPO_OLD \$RCU_REPO_NEW \$(cat "\$RCU_REPO_LOCATION/version")" >>"$T/seen"
	END
	hook .hidden <<<"echo hidden >>$T/seen"
	hook backup~ <<<"echo backup >>$T/seen"
	echo 'no program' >"$T/hooks/README"
	judged sync --type rsync --uri "$SOURCE" --set "sync-rcu-verify=sh -c 'echo \"verify \$RCU_REPO_NAME\" >>\"$T/seen\"'"
	cat "$T/seen"
	[ "$(sed -n 1p "$T/seen")" = "verify $LOCATION" ]
	[[ $(sed -n 2p "$T/seen") == "ten B $STORE/.rcu-repo/staging/"* ]]
	[[ $(sed -n 3p "$T/seen") == "nine $STORE/.rcu-repo/staging/"*" $LOCATION 1 2 A" ]]
	[ "$(wc -l <"$T/seen")" = 3 ]
	[ "$(version_of "$LOCATION")" = B ]
}

@test "a tree that is refused is not published, and stays for a look until the next run" {
	local tree
	sync_version A
	make_version "$SOURCE" B
	hook a <<<'exit 3'
	hook b <<<"touch $T/never"
	refused 1 "$T/hooks/a: exit status 3; the tree stays for a look: $STORE/.rcu-repo/staging/" \
		judged sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$T/never" ]
	tree=$(sed 's/.*for a look: //' "$T/refused.err")
	[ "$(version_of "$tree")" = B ]
	refused 1 'sh: killed by signal 9' repo sync --type rsync --uri "$SOURCE" --set 'sync-rcu-verify=sh -c "kill -9 $$"'
	[ ! -e "$tree" ]
	refused 1 'no-such-program: not found' repo sync --type rsync --uri "$SOURCE" --set sync-rcu-verify=no-such-program
	[ "$(latest)" = 1 ]
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = B ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "one that takes too long is ended" {
	sync_version A
	make_version "$SOURCE" B
	hook a <<<'exec sleep 1000'
	refused 1 'not done after 1 second' judged sync --type rsync --uri "$SOURCE" --set sync-rcu-hook-timeout=1
	[ "$(version_of "$LOCATION")" = A ]
	hook a <<<'trap "" TERM; while :; do sleep 0.1; done'
	refused 1 'not done after 1 second' judged sync --type rsync --uri "$SOURCE" --set sync-rcu-hook-timeout=1
	[ "$(version_of "$LOCATION")" = A ]
}

@test "what a hook changes is published, and reaches no older snapshot however it writes" {
	sync_version A
	cp -a "$STORE/snapshots/1" "$T/before"
	hook a <<-'END'
		echo cache >cache
		for f in header version; do echo more >>$f; chmod 600 $f; done
	END
	echo new >"$SOURCE/new"
	judged sync --type rsync --uri "$SOURCE"
	[ "$(latest)" = 2 ]
	[ "$(cat "$LOCATION/cache" "$LOCATION/new")" = "$(printf 'cache\nnew')" ]
	grep more "$LOCATION/header"
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	[ "$STORE/snapshots/1/SUMS" -ef "$STORE/snapshots/2/SUMS" ]
}

@test "nothing changed: nothing is judged; what a hook adds each time is no change" {
	sync_version A
	hook a <<<"touch $T/ran"
	judged sync --type rsync --uri "$SOURCE"
	[ ! -e "$T/ran" ]
	hook a <<<'t=$(stat -c %y .); echo made >made; touch -d @5 made; touch -d "$t" .'
	echo new >"$SOURCE/new"
	judged sync --type rsync --uri "$SOURCE"
	[ "$(latest)" = 2 ]
	judged sync --type rsync --uri "$SOURCE" 2>&1 | grep 'nothing changed: snapshot 2'
}

@test "a hook that leaves a process in the tree, or takes the tree away" {
	sync_version A
	make_version "$SOURCE" B
	hook a <<<'setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >'"$T/pid"
	refused 1 'process' judged sync --type rsync --uri "$SOURCE"
	kill "$(cat "$T/pid")"
	hook a <<<'cd / && mv "$RCU_REPO_STAGING" '"$T/away"
	# an overlay cannot be moved away
	RCU_REPO_GUARD_WAY=copy refused 1 'is gone' judged sync --type rsync --uri "$SOURCE"
	hook a <<<'find . -mindepth 1 -delete'
	refused 1 'is empty: not published' judged sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "update and commit are judged as well; what was begun stays begun" {
	local staging
	sync_version A
	hook a <<<'[ -e good ]'
	refused 1 'exit status 1' judged update -- touch bad
	judged update -- touch good
	[ "$(latest)" = 2 ]
	staging=$(repo begin)
	rm "$staging/good"
	refused 1 'exit status 1' judged commit
	[ -d "$staging" ]
	touch "$staging/good" "$staging/more"
	[ "$(judged commit)" = 3 ]
	[ -e "$LOCATION/more" ]
}

@test "hooks that others could write are not run" {
	skip_unless_root
	make_version "$SOURCE" A
	hook a <<<"touch $T/ran"
	chmod 777 "$T/hooks"
	refused 2 'written to by everybody' judged sync --type rsync --uri "$SOURCE"
	chmod 755 "$T/hooks"
	chmod 777 "$T/hooks/a"
	refused 1 'others may write to it' judged sync --type rsync --uri "$SOURCE"
	refused 2 'sync-rcu-hooks = /no/such: ' repo sync --type rsync --uri "$SOURCE" --set sync-rcu-hooks=/no/such
	refused 2 'sync-rcu-hooks = .*: not a directory' repo sync --type rsync --uri "$SOURCE" --set "sync-rcu-hooks=$T/hooks/a"
	[ ! -e "$T/ran" ]
	[ ! -e "$LOCATION" ]
}

@test "a source that hangs is given up" {
	sync_version A
	make_version "$SOURCE" B
	rsync_with 'exec sleep 1000'
	refused 1 'rsync: not done after 1 second' repo sync --type rsync --uri "$SOURCE" --set sync-rcu-timeout=1
	[ "$(version_of "$LOCATION")" = A ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "Portage's own hooks run after the publish, and see the new tree" {
	local etc=$T/etc/portage
	make_version "$SOURCE" A
	mkdir -p "$etc/repos.conf" "$etc/repo.postsync.d" "$etc/postsync.d"
	cat >"$etc/repos.conf/x.conf" <<-END
		[x]
		location = $LOCATION
		sync-type = rsync
		sync-uri = $SOURCE
		sync-rcu = yes
		sync-rcu-store-dir = $STORE
	END
	printf '#!/bin/sh\necho "$* $(cat "$3/version")" >>%q\n' "$T/seen" >"$etc/repo.postsync.d/a"
	printf '#!/bin/sh\nexit 4\n' >"$etc/repo.postsync.d/b"
	printf '#!/bin/sh\necho "all $#" >>%q\n' "$T/seen" >"$etc/postsync.d/a"
	chmod 755 "$etc"/*postsync.d/*
	[ ! -e /etc/rcu-repo/repos.conf ] || skip "this machine has a configuration of ours"
	run -0 env -u RCU_REPO_CONFIG PORTAGE_CONFIGROOT="$T" "$RCU_REPO" sync x
	[[ $output == *"b: exit status 4"* ]]
	[ "$(cat "$T/seen")" = "$(printf 'x %s %s A\nall 0' "$SOURCE" "$LOCATION")" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo commit

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "it publishes what begin staged, and prints the new number" {
	sync_version A
	local staged
	staged=$(repo begin)
	echo x >"$staged/x"
	run -0 --separate-stderr repo commit --staging "$staged"
	[ "$output" = 2 ]
	[ "$(cat "$LOCATION/x")" = x ]
	[ ! -e "$STORE/snapshots/1/x" ]
	[ "$(latest)" = 2 ]
	[ ! -e "$staged" ]
	repo update -- true
}

@test "nothing changed: it prints the number of the present latest" {
	sync_version A
	repo begin
	run -0 --separate-stderr repo commit
	[ "$output" = 1 ]
	[[ $stderr == *"nothing changed"* ]]
	[ "$(ls "$STORE/snapshots")" = 1 ]
	refused 1 'nothing is staged' repo commit
}

@test "a path that is not what is staged" {
	sync_version A
	local staged
	staged=$(repo begin)
	refused 1 'is not what is staged now' repo commit --staging "$staged.other"
	refused 1 'is not what is staged now' repo commit --staging "$LOCATION"
	repo abort
	repo begin
	refused 1 'is not what is staged now' repo commit --staging "$staged"
	repo abort
}

@test "nothing is staged" {
	sync_version A
	refused 1 'nothing is staged' repo commit
}

@test "what cannot be published stays staged" {
	sync_version A
	local staged
	staged=$(repo begin)
	find "$staged" -mindepth 1 -delete
	refused 1 'is empty: not published' repo commit
	echo x >"$staged/x"
	[ "$(repo commit)" = 2 ]
	[ "$(cat "$LOCATION/x")" = x ]
}

@test "once its files may be shared with latest nobody reaches a tree that is not published by its path" {
	sync_version A
	local staged
	staged=$(repo begin)
	echo x >"$staged/x"
	cp "$STORE/.rcu-repo/high-water" "$T/high-water"
	echo nonsense >"$STORE/.rcu-repo/high-water"
	refused 1 'high-water' repo commit
	cp "$T/high-water" "$STORE/.rcu-repo/high-water"
	[ ! -e "$staged" ]
	[ "$(latest)" = 1 ]
	[ "$(version_of "$LOCATION")" = A ]
	repo commit
	[ "$(cat "$LOCATION/x")" = x ]
}

@test "a process that writes into the tree: it stays staged" {
	sync_version A
	local staged
	staged=$(repo begin)
	exec 7>"$staged/open"
	refused 1 'still at work in it' repo commit 7>&-
	exec 7>&-
	[ "$(repo commit)" = 2 ]
}

@test "the staging directory is gone, or something else is in its place" {
	sync_version A
	local staged
	staged=$(repo begin)
	mv "$staged" "$T/away"
	run -1 repo commit
	ln -s "$T/away" "$staged"
	run -1 repo commit
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	sync_version B
	[ "$(version_of "$LOCATION")" = B ]
}

@test "that nobody reads what it says is no reason to end in the middle" {
	sync_version one
	staging=$(repo begin)
	echo more >"$staging/more"
	{ repo commit --quiet || echo $? >"$T/status"; } | true
	[ ! -e "$T/status" ]
	[ "$(cat "$LOCATION/more")" = more ]
	make_version "$SOURCE" two
	{ rcu_repo sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE" 2>&1 || echo $? >"$T/status"; } | true
	[ ! -e "$T/status" ]
	[ "$(cat "$LOCATION/version")" = two ]
	# what is run gets the signal as it was
	repo update -- sh -c 'kill -PIPE $$' && false
	[ "$(cat "$LOCATION/version")" = two ]
}

@test "by another process than begin's, in a row" {
	local i staged
	for i in 1 2 3; do
		staged=$(repo begin)
		echo "$i" >"$staged/file"
		[ "$(repo commit)" = "$i" ]
	done
	[ "$(cat "$LOCATION/file")" = 3 ]
	[ "$(cat "$STORE/snapshots/1/file")" = 1 ]
}

@test "it migrates an ordinary directory" {
	local staged
	make_version "$LOCATION" A
	staged=$(repo begin)
	echo x >"$staged/x"
	repo commit
	[ -L "$LOCATION" ]
	[ "$(version_of "$LOCATION")" = A ]
	[ -e "$LOCATION/x" ]
}

@test "a commit that fails can be done again, and nobody reaches the tree by its old path meanwhile" {
	skip_unless_command strace
	sync_version A
	local staged sealed
	staged=$(repo begin)
	echo x >"$staged/x"
	run -1 traced -o "$T/strace" -e trace=symlinkat -e inject=symlinkat:error=ENOSPC "$RCU_REPO" commit \
		--location "$LOCATION" --store "$STORE"
	# the failure was behind the end of the staging tree: it is a snapshot until the next command comes
	[ "$(cat "$STORE/snapshots/2/x")" = x ]
	repo gc
	[ ! -e "$STORE/snapshots/2" ]
	[ "$(repo commit --staging "$staged")" = 3 ]
	[ "$(cat "$LOCATION/x")" = x ]
	repo check
	staged=$(repo begin)
	echo y >"$staged/y"
	run -1 traced -o "$T/strace" -e trace=linkat -e inject=linkat:error=EIO "$RCU_REPO" commit \
		--location "$LOCATION" --store "$STORE" --staging "$staged"
	[ ! -e "$staged" ]
	refused 75 'reserved' repo sync --type rsync --uri "$SOURCE"
	refused 1 'is not what is staged now' repo commit --staging "$staged.sealed"
	[ "$(repo commit --staging "$staged")" = 4 ]
	[ "$(cat "$LOCATION/y")" = y ]
	refused 1 'nothing is staged: begin first' repo commit
}

@test "its number cannot be printed: published all the same, and it says so" {
	local staged
	sync_version A
	staged=$(repo begin)
	echo x >"$staged/x"
	repo commit >/dev/full 2>"$T/full.err"
	grep -q 'stdout cannot be written: No space left' "$T/full.err"
	[ "$(cat "$LOCATION/x")" = x ]
}

# commit_killed CALL [STRACE-OPTION...]: just before it makes CALL
commit_killed() {
	run -137 traced -o "$T/strace" -e "trace=$1" -e "inject=$1:signal=KILL" "${@:2}" "$RCU_REPO" commit \
		--location "$LOCATION" --store "$STORE"
}

@test "a commit killed before its swap can be done again, or aborted; killed behind it, it is published, and says so" {
	skip_unless_command strace
	local staged
	sync_version A
	staged=$(repo begin)
	echo x >"$staged/x"
	commit_killed symlinkat
	[ -e "$STORE/snapshots/2/x" ]
	repo abort
	[ "$(ls "$STORE/snapshots")" = 1 ]
	[ -z "$(ls "$STORE/.rcu-repo/staging")" ]
	staged=$(repo begin)
	echo x >"$staged/x"
	commit_killed symlinkat
	[ "$(repo commit)" = 4 ]
	[ "$(ls "$STORE/snapshots" | xargs)" = "1 4" ]
	staged=$(repo begin)
	echo y >"$staged/y"
	commit_killed unlinkat -P .rcu-repo/reservation
	[ "$(cat "$LOCATION/y")" = y ]
	refused 1 'not reserved any more: it is published, as snapshot 5' repo commit
}

@test "a commit killed before its swap, whose snapshot somebody has pinned: it is kept, and gc does not take it" {
	skip_unless_command strace
	local staged
	sync_version A
	staged=$(repo begin)
	echo x >"$staged/x"
	commit_killed symlinkat
	reader "$LOCATION" -s 2
	refused 1 'not reserved any more: .*it is snapshot 2, which was never the latest: see rollback' repo commit
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(cat "$STORE/snapshots/2/x")" = x ]
	repo rollback 2
	[ "$(cat "$LOCATION/x")" = x ]
}

@test "a reservation that is void says so, to commit and to the next writer" {
	sync_version A
	background sleep 1000
	repo begin --owner "$BACKGROUND"
	kill -9 "$BACKGROUND"
	wait "$BACKGROUND" || :
	refused 1 "nothing is staged: what begin staged for pid $BACKGROUND on .* not reserved any more: that process has ended" \
		repo commit
	background sleep 1000
	repo begin --owner "$BACKGROUND"
	kill -9 "$BACKGROUND"
	wait "$BACKGROUND" || :
	sync_version B 2>"$T/err"
	grep -q "what begin staged for pid $BACKGROUND on .* that process has ended" "$T/err"
}

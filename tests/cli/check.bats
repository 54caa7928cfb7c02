#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo check

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

versions() {
	local name
	for name; do
		sync_version "$name" --quiet --set sync-rcu-spare-snapshots=9
	done
}

# wrong REGEX...: check says exactly these, in any order, and exits 1
wrong() {
	local regex
	run -1 --separate-stderr repo check
	echo "$output"
	[ "${#lines[@]}" = $# ]
	for regex; do
		grep -E -- "$regex" <<<"$output"
	done
}

# clean: nothing is wrong
clean() {
	run -0 --separate-stderr repo check
	[ -z "$output" ]
}

# mended REGEX...: --repair mends exactly these, and then nothing is wrong
mended() {
	local regex
	run -0 --separate-stderr repo check --repair
	echo "$output"
	[ "${#lines[@]}" = $# ]
	for regex; do
		grep -E -- "$regex.* \(mended\)$" <<<"$output"
	done
	clean
}

@test "a store as it should be: after syncs, updates, gc, a rollback, with a reader" {
	versions A B
	clean
	repo update --quiet -- sh -c 'echo new >new; mkdir dir; ln -s new link; rm header; chmod 700 profiles'
	clean
	reader "$LOCATION"
	versions C
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	clean
	versions D
	repo rollback --quiet 3
	clean
	[ -z "$stderr" ]
}

# P15 and P16: what a writer in place, or through a shared inode, does to what is published
@test "what was changed in a snapshot since it was published: content, metadata, names, kinds" {
	versions A
	repo update --quiet -- sh -c 'echo other >other'
	clean
	cd "$STORE/snapshots/2"
	# content in place, with its size and time as they were: in both snapshots, which share it
	touch -r header "$T/time"
	tr a-z A-Z <header >"$T/shouted"
	cat "$T/shouted" >header
	touch -r "$T/time" header
	wrong 'snapshots/1/header: has another content' 'snapshots/2/header: has another content'
	repo check --repair >/dev/null || :
	wrong 'snapshots/1/header: has another content' 'snapshots/2/header: has another content'
	tr A-Z a-z <"$T/shouted" >"$T/back"
	sed -i '1s/.*/header of version A/' "$T/back"
	cat "$T/back" >header
	touch -r "$T/time" header
	clean
	chmod 600 other
	wrong 'snapshots/2/other: has another mode'
	chmod 644 other
	touch -d @1400000000 profiles
	wrong 'snapshots/2/profiles: has another mode, owner or time'
	touch -r "$STORE/snapshots/1/profiles" profiles
	clean
}

@test "names that came and went, and another kind" {
	versions A
	cd "$STORE/snapshots/1"
	restore() { touch -r "$T/app" app-misc && touch -r "$T/root" .; }
	touch -r app-misc "$T/app"
	touch -r . "$T/root"
	echo >app-misc/more
	restore
	wrong 'snapshots/1/app-misc/more: was not published'
	rm app-misc/more
	mv app-misc "$T/kept"
	touch -r "$T/root" .
	run -1 repo check
	grep 'snapshots/1/app-misc: is missing' <<<"$output"
	grep 'snapshots/1/app-misc/one/Manifest: is missing' <<<"$output"
	mv "$T/kept" app-misc
	restore
	clean
	rm app-misc/link
	mkdir app-misc/link
	restore
	wrong 'snapshots/1/app-misc/link: is of another kind'
}

@test "extended attributes" {
	skip_unless_command setfattr
	versions A
	cd "$STORE/snapshots/1"
	setfattr -n user.x -v y header 2>/dev/null || skip "no extended attributes here"
	wrong 'snapshots/1/header: has other attributes'
}

@test "many differences: the first are named, the others counted" {
	versions A
	mkdir "$T/many"
	touch "$T/many/"{1..50}
	repo sync --quiet --type rsync --uri "$T/many" --set sync-rcu-max-delete=100%
	chmod 600 "$STORE/snapshots/2/"*
	run -1 --separate-stderr repo check
	[ "${#lines[@]}" = 21 ]
	grep 'snapshots/2: 30 more differences' <<<"$output"
}

@test "a damaged record, one of another tree, and none" {
	versions A
	repo update --quiet -- sh -c 'echo other >other'
	cp "$STORE/.rcu-repo/record/2" "$T/record"
	printf x | dd of="$STORE/.rcu-repo/record/2" bs=1 seek=100 conv=notrunc status=none
	wrong 'snapshots/2: its record'
	cp "$T/record" "$STORE/.rcu-repo/record/2"
	clean
	rm "$STORE/.rcu-repo/record/2"
	run -0 --separate-stderr repo check
	[ -z "$output" ]
	[[ $stderr == *"whose content cannot be checked: 1"* ]]
	cp "$T/record" "$STORE/.rcu-repo/record/2"
	cp -a "$STORE/snapshots/2" "$STORE/snapshots/2.copy"
	rm -r "$STORE/snapshots/2"
	mv "$STORE/snapshots/2.copy" "$STORE/snapshots/2"
	wrong 'snapshots/2: is not the tree that was published'
}

@test "what a file is read for once, however many snapshots have it" {
	skip_unless_command strace
	versions A
	repo update --quiet -- sh -c 'echo 1 >1'
	repo update --quiet -- sh -c 'echo 2 >2'
	traced -f -o "$T/trace" -e trace=openat "$RCU_REPO" check --location "$LOCATION"
	[ "$(grep -c '"header"' "$T/trace")" = 1 ]
}

@test "our own files: modes, pins, meta, high-water, what a dead writer left" {
	local ours=$STORE/.rcu-repo
	versions A B
	chmod 700 "$ours/pins"
	wrong 'pins: has mode 0700, not 0755'
	mended 'pins: has mode 0700'
	rm "$ours/pins/1"
	wrong 'pins/1: is missing'
	mended 'pins/1: is missing'
	chmod 600 "$ours/pins/2"
	wrong 'pins/2: has not mode 0644'
	mended 'pins/2'
	rm "$ours/pins/2"
	ln -s /etc/passwd "$ours/pins/2"
	wrong 'pins/2: is no empty file'
	mended 'pins/2'
	[ ! -L "$ours/pins/2" ]
	echo nonsense >"$ours/meta/1"
	wrong 'meta/1: cannot be read as what it is'
	mended 'meta/1'
	# it may have been a kept one
	repo list | grep -E '^ *1 kept'
	echo 2x >"$ours/high-water"
	wrong 'high-water: is no number'
	mended 'high-water'
	[ "$(cat "$ours/high-water")" -gt 2 ]
	mkdir "$ours/staging/left"
	touch "$ours/latest.new" "$ours/pin.new" "$ours/meta/7.new" "$ours/pins/9.dead"
	wrong 'staging/left: was left' 'latest.new: was left' 'pin.new: was left' 'meta/7.new: was left' 'pins/9.dead: was left'
	rm "$ours/meta/7.new"
	mended 'staging/left' 'latest.new' 'pin.new' 'pins/9.dead'
	versions C
	clean
}

@test "a pin that somebody holds keeps its inode when it is mended" {
	versions A
	reader "$LOCATION"
	chmod 600 "$STORE/.rcu-repo/pins/1"
	repo check --repair
	versions B
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(version_of "$STORE/snapshots/1")" = A ]
}

@test "names, latest and location" {
	versions A B
	touch "$STORE/snapshots/lost+found"
	wrong 'snapshots/lost\+found: is no snapshot'
	rm "$STORE/snapshots/lost+found"
	ln -sfn snapshots/77 "$STORE/latest"
	wrong 'latest: names snapshot 77, which is not there'
	rm "$STORE/latest"
	run -1 repo check
	grep 'latest: is missing' <<<"$output"
	repo rollback --quiet 2
	clean
	mv "$LOCATION" "$T/elsewhere"
	wrong 'does not exist'
	mkdir "$LOCATION"
	wrong 'is a directory, not an RCU location'
}

@test "beside a writer: what it has under way is not judged" {
	versions A
	mkdir "$STORE/.rcu-repo/staging/at-work"
	background flock -F "$STORE/.rcu-repo/lock" sleep 1000
	wait_until bash -c '! flock -n "$1" true' bash "$STORE/.rcu-repo/lock"
	run -0 --separate-stderr repo check
	[ -z "$output" ]
	[[ $stderr == *"another process is writing"* ]]
	run -75 repo check --repair
	kill "$BACKGROUND"
	wait_until flock -n "$STORE/.rcu-repo/lock" true
	wrong 'staging/at-work: was left'
}

@test "what begin reserved is in order; a store of Portage's, too; one that is gone is not" {
	versions A
	repo begin --owner $$
	clean
	repo abort
	run -0 --separate-stderr rcu_repo check --location "$T/no" --store "$T/nowhere"
	[[ $stderr == *"not synced yet: $T/nowhere is not there" ]]
	ln -s "$T/nowhere/latest" "$T/no"
	refused 1 'cannot open the store' rcu_repo check --location "$T/no" --store "$T/nowhere"
	make_version "$T/other/snapshots/3" A
	ln -s snapshots/3 "$T/other/latest"
	ln -s "$T/other/latest" "$T/place"
	run -0 --separate-stderr rcu_repo check --location "$T/place" --repair
	run -0 --separate-stderr rcu_repo check --location "$T/place"
	[[ $stderr == *"cannot be checked: 1"* ]]
}

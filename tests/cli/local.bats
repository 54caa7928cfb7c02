#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-type local

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

sync_local() { repo sync --type local --uri "$SOURCE" "$@"; }
same_tree() { [ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$1/" "$2/")" ]; }

@test "a faithful copy, and unchanged files are shared" {
	make_version "$SOURCE" A
	ln "$SOURCE/header" "$SOURCE/app-misc/hard"
	ln -s /no/such "$SOURCE/dangling"
	mkfifo "$SOURCE/fifo"
	mkdir "$SOURCE/.copy.0"
	: >"$SOURCE/"$'new\nline'
	truncate -s 1M "$SOURCE/sparse"
	chmod 4711 "$SOURCE/tell"
	chmod 750 "$SOURCE"
	touch -d '2001-02-03 04:05:06.123456789' "$SOURCE"
	setfattr -n user.test -v value "$SOURCE/header" 2>/dev/null || :
	sync_local
	same_tree "$SOURCE" "$LOCATION"
	[ "$(stat -c '%a %y' "$LOCATION/.")" = "$(stat -c '%a %y' "$SOURCE")" ]
	[ "$LOCATION/header" -ef "$LOCATION/app-misc/hard" ]
	sync_local 2>&1 | grep 'nothing changed'
	echo more >>"$SOURCE/version"
	repo sync --type local --uri "file://$SOURCE/"
	same_tree "$SOURCE" "$LOCATION"
	[ "$STORE/snapshots/1/SUMS" -ef "$STORE/snapshots/2/SUMS" ]
	echo more >>"$SOURCE/header"
	[ "$(stat -c %s "$LOCATION/header")" != "$(stat -c %s "$SOURCE/header")" ]
}

@test "a source that is changed under us is no version" {
	make_version "$SOURCE" A
	head -c 20M /dev/urandom >"$SOURCE/large"
	sync_local
	make_version "$SOURCE" B
	head -c 20M /dev/urandom >"$SOURCE/large"
	# shellcheck disable=SC2016
	background bash -c 'while :; do echo $RANDOM$RANDOM >"$1/zz"; done' bash "$SOURCE"
	wait_until test -s "$SOURCE/zz"
	refused 1 . sync_local
	kill "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = A ]
	sync_local
	[ "$(version_of "$LOCATION")" = B ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a source that is not there, is no directory, is empty, holds the store, or is not of this machine" {
	make_version "$SOURCE" A
	sync_local
	refused 1 'cannot be opened' repo sync --type local --uri "$T/none"
	refused 1 'cannot be opened' repo sync --type local --uri "$SOURCE/version"
	mkdir "$T/empty"
	refused 1 'is empty' repo sync --type local --uri "$T/empty"
	refused 2 'it is in the store' repo sync --type local --uri "$LOCATION"
	refused 2 'the store is in it' repo sync --type local --uri "$T"
	refused 2 'not an absolute path or file://' repo sync --type local --uri rsync://h/m
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
}

@test "a hostile tree: 1,000 levels, and a mount" {
	make_version "$SOURCE" A
	/usr/bin/python3 - "$SOURCE" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for i in range(1000):
		    os.mkdir("d")
		    os.chdir("d")
		open("deep", "w").close()
	END
	sync_local
	[ "$(version_of "$LOCATION")" = A ]
	if [ "$(id -u)" = 0 ] && mkdir "$SOURCE/mount" && mount -t tmpfs none "$SOURCE/mount" 2>/dev/null; then
		refused 1 . sync_local || status=1
		umount "$SOURCE/mount"
		[ "${status-0}" = 0 ]
	fi
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo sync

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# Are two trees the same in everything that rsync can see?
same_tree() { [ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$1/" "$2/")" ]; }

@test "the first sync makes location and store" {
	sync_version A
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(readlink "$LOCATION")" = "$STORE/latest" ]
	[ "$(readlink "$STORE/latest")" = snapshots/1 ]
}

@test "a new version is published, the old one stays" {
	sync_version A
	sync_version B
	[ "$(version_of "$LOCATION")" = B ]
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	[ "$(latest)" = 2 ]
}

@test "nothing changed: nothing is published, and it says so" {
	sync_version A
	run -0 --separate-stderr sync_version A
	[[ $stderr == *"nothing changed"*"snapshot 1"* ]]
	[ -z "$output" ]
	[ "$(latest)" = 1 ]
	[ "$(ls "$STORE/snapshots")" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
	is_empty "$STORE/.rcu-repo/trash"
}

@test "--quiet says nothing, --verbose more" {
	run -0 --separate-stderr sync_version A --quiet
	[ -z "$stderr" ]
	run -0 --separate-stderr sync_version B --verbose
	[[ $stderr == *"fetching $SOURCE, on top of $STORE/snapshots/1"* ]]
}

@test "the copy is faithful: modes, times, links, attributes, odd names" {
	make_version "$SOURCE" A
	ln "$SOURCE/header" "$SOURCE/hard"
	ln -s /no/such "$SOURCE/dangling"
	mkfifo "$SOURCE/fifo"
	: >"$SOURCE/"$'new\nline'
	: >"$SOURCE/$(printf 'n%.0s' {1..255})"
	truncate -s 1M "$SOURCE/sparse"
	chmod 4711 "$SOURCE/tell"
	chmod 1770 "$SOURCE/empty"
	touch -d '2001-02-03 04:05:06.123456789' "$SOURCE/header" "$SOURCE/empty"
	setfattr -n user.test -v value "$SOURCE/header" 2>/dev/null || :
	setfacl -m u:1:r "$SOURCE/app-misc" 2>/dev/null || :
	if [ "$(id -u)" = 0 ]; then
		chown 12345:54321 "$SOURCE/version"
		mknod "$SOURCE/null" c 1 3 || :
	fi
	repo sync --type rsync --uri "$SOURCE"
	same_tree "$SOURCE" "$LOCATION"
	[ "$(stat -c %y "$LOCATION/empty/.")" = "$(stat -c %y "$SOURCE/empty")" ]
	[ "$(stat -c %h "$LOCATION/hard")" = 2 ]
	repo sync --type rsync --uri "$SOURCE" 2>&1 | grep 'nothing changed'
}

@test "unchanged files are shared, changed ones are not, also where only mode or time changed" {
	local file
	sync_version A
	cp -a "$STORE/snapshots/1" "$T/before"
	chmod 600 "$SOURCE/header"
	touch -d '2001-02-03 04:05:06.5' "$SOURCE/version"
	echo longer >>"$SOURCE/SUMS"
	rm "$SOURCE/tell"
	repo sync --type rsync --uri "$SOURCE"
	same_tree "$SOURCE" "$LOCATION"
	same_tree "$T/before" "$STORE/snapshots/1"
	for file in header version SUMS; do
		[ "$STORE/snapshots/1/$file" -ef "$STORE/snapshots/2/$file" ] && return 1
	done
	[ "$STORE/snapshots/1/profiles/repo_name" -ef "$STORE/snapshots/2/profiles/repo_name" ]
	[ ! -e "$LOCATION/tell" ]
}

@test "a change of nanoseconds is a change" {
	sync_version A
	touch -d "$(stat -c %y "$SOURCE/header" | sed 's/\.0*/.0000001/')" "$SOURCE/header"
	repo sync --type rsync --uri "$SOURCE"
	[ "$(latest)" = 2 ]
}

@test "the source is a file:// address" {
	make_version "$SOURCE" A
	repo sync --type rsync --uri "file://$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "the source is an rsync daemon" {
	local port tries
	make_version "$SOURCE" A
	printf 'use chroot = no\n[module]\npath = %s\n' "$SOURCE" >"$T/rsyncd.conf"
	for ((tries = 0; tries < 20; tries++)); do
		port=$((20000 + RANDOM % 20000))
		background rsync --daemon --no-detach --address=127.0.0.1 --port="$port" --config="$T/rsyncd.conf" \
			--log-file="$T/rsyncd.log"
		wait_until eval "gone $BACKGROUND || rsync rsync://127.0.0.1:$port/ >/dev/null 2>&1"
		gone "$BACKGROUND" || break
	done
	repo sync --type rsync --uri "rsync://127.0.0.1:$port/module"
	[ "$(version_of "$LOCATION")" = A ]
	refused 1 'rsync: exit status 5' repo sync --type rsync --uri "rsync://127.0.0.1:$port/none"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "location and store left out where LOCATION is a link into a store already" {
	sync_version A
	make_version "$SOURCE" B
	rcu_repo sync --location "$LOCATION" --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = B ]
	refused 2 'needs --store' rcu_repo sync --location "$T/other" --type rsync --uri "$SOURCE"
	[ ! -e "$T/other" ]
}

@test "an ordinary directory is migrated: it stays as a retired snapshot, and what is equal is shared with it" {
	make_version "$SOURCE" A
	cp -a "$SOURCE" "$LOCATION"
	echo more >>"$LOCATION/header"
	local inode
	inode=$(stat -c %i "$LOCATION/version")
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(stat -c %i "$LOCATION/version")" = "$inode" ]
	[ "$(latest)" = 2 ]
	grep more "$STORE/snapshots/1/header"
}

# --- failures: what is published stays ---

@test "a source that is not there" {
	sync_version A
	refused 1 'rsync: exit status 23' repo sync --type rsync --uri "$T/none"
	[ "$(version_of "$LOCATION")" = A ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a transport that fails half-way, or is killed, publishes nothing" {
	local end
	sync_version A
	make_version "$SOURCE" B
	for end in 'exit 23' 'exit 24' 'exit 30' 'kill -9 $$'; do
		rsync_with "real_rsync \"\$@\" --exclude=/header; $end"
		run -1 repo sync --type rsync --uri "$SOURCE"
		[ "$(version_of "$LOCATION")" = A ]
		[ "$(latest)" = 1 ]
	done
	rsync_with 'exit 24'
	refused 1 'files vanished' repo sync --type rsync --uri "$SOURCE"
	real_rsync_again
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = B ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a transport that outlives a killed rcu-repo writes into nothing that is ever used" {
	sync_version A
	make_version "$SOURCE" B
	rsync_with 'echo "$staging" >"'"$T"'/path"
		setsid bash -c '\''until [ -e "$1/go" ]; do sleep 0.05; done
			mkdir -p "$2"; echo late >"$2/late"; touch "$1/written"'\'' bash "'"$T"'" "$staging" &
		echo $! >"'"$T"'/writer"
		touch "'"$T"'/started"
		wait'
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	wait_until test -e "$T/started"
	LIB_JOBS+=("$(cat "$T/writer")")
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	real_rsync_again
	repo sync --type rsync --uri "$SOURCE"
	touch "$T/go"
	wait_until test -e "$T/written"
	[ "$(version_of "$LOCATION")" = B ]
	[ -z "$(find "$STORE/snapshots" -name late)" ]
	sync_version A
	[ -z "$(find "$STORE/snapshots" -name late)" ]
	[ ! -e "$(cat "$T/path")" ]
}

@test "a sync that is told to end ends, and leaves what is published" {
	sync_version A
	make_version "$SOURCE" B
	rsync_with "touch '$T/started'; sleep 1000"
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	wait_until test -e "$T/started"
	kill -TERM "$BACKGROUND"
	status=0
	wait "$BACKGROUND" || status=$?
	[ "$status" = 1 ]
	[ "$(version_of "$LOCATION")" = A ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "rsync is not installed" {
	mkdir "$T/bin"
	make_version "$SOURCE" A
	refused 1 'rsync: cannot be run: rsync: not found' env PATH="$T/bin" "$RCU_REPO" sync \
		--location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
}

@test "a source that holds the store, or is in it, or is the location" {
	make_version "$SOURCE" A
	refused 2 'the store is in it' rcu_repo sync --location "$LOCATION" --store "$SOURCE/deep/store" \
		--type rsync --uri "$SOURCE"
	refused 2 'the store is in it' rcu_repo sync --location "$LOCATION" --store "$SOURCE" --type rsync --uri "file://$SOURCE/."
	[ ! -e "$SOURCE/deep" ]
	refused 2 'it is the location' repo sync --type rsync --uri "$SOURCE/../${SOURCE##*/}" --set x=y --location "$SOURCE"
	sync_version A
	refused 2 'it is in the store' repo sync --type rsync --uri "$LOCATION"
	refused 2 'it is in the store' repo sync --type rsync --uri "$STORE/snapshots/1"
	[ "$(latest)" = 1 ]
}

@test "a latest whose snapshot is gone: the next sync starts from nothing" {
	sync_version A
	mv "$STORE/snapshots/1" "$T/gone"
	sync_version A
	[ "$(latest)" = 2 ]
	[ "$(version_of "$LOCATION")" = A ]
}

@test "the sync-user may own the store, nobody else" {
	[ "$(id -u)" = 0 ] || skip "not root"
	make_version "$SOURCE" A
	mkdir -p "$STORE"
	chown nobody "$STORE"
	chmod 755 "$T"
	refused 2 'owned by user' repo sync --type rsync --uri "$SOURCE"
	repo sync --type rsync --uri "$SOURCE" --set sync-user=nobody
	[ "$(version_of "$LOCATION")" = A ]
	repo gc --set sync-user=nobody
	refused 2 'no such user' repo sync --type rsync --uri "$SOURCE" --set sync-user=no-such-user
}

@test "the tree that was there before is not reclaimed by the sync that migrates" {
	make_version "$LOCATION" B
	echo once >"$LOCATION/once"
	sync_version A --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(cat "$STORE/snapshots/1/once")" = once ]
}

@test "a sync that filled the disk does not keep it full" {
	[ "$(id -u)" = 0 ] || skip "not root"
	mkdir "$STORE"
	mount -t tmpfs -o size=8m,mode=755 none "$STORE" || skip "cannot mount"
	make_version "$SOURCE" A
	head -c 16m /dev/urandom >"$SOURCE/big"
	local failed=0 works=0
	refused 1 'rsync' repo sync --type rsync --uri "$SOURCE" || failed=1
	head -c 5m /dev/urandom >"$SOURCE/big"
	repo sync --type rsync --uri "$SOURCE" || works=1
	umount "$STORE"
	[ "$failed$works" = 00 ]
}

@test "an empty tree is never published" {
	mkdir "$SOURCE"
	refused 1 'is empty: not published' repo sync --type rsync --uri "$SOURCE"
	[ ! -e "$LOCATION" ]
	sync_version A
	rm -rf "$SOURCE"
	mkdir "$SOURCE"
	refused 1 'is empty: not published' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "a full disk leaves what is published" {
	skip_unless_mount
	mount_tmpfs "$T/small" 1m
	STORE=$T/small/store
	sync_version A
	make_version "$SOURCE" B
	head -c 2M /dev/urandom >"$SOURCE/large"
	refused 1 'rsync: exit status' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	rm "$SOURCE/large"
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = B ]
}

@test "a store on a read-only file system leaves what is published" {
	skip_unless_mount
	mount_tmpfs "$T/small" 8m
	STORE=$T/small/store
	sync_version A
	mount -o remount,ro "$T/small"
	make_version "$SOURCE" B
	refused 1 'Read-only file system' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "a reader who changes nothing else keeps its version during a sync" {
	sync_version A
	rcu_exec -l "$LOCATION" -- bash -c '. "$RCU_SRC/tests/lib.bash"; T=$1 SOURCE=$2 STORE=$3 LOCATION=$4
		sync_version B; version_of "$LOCATION"' bash "$T" "$SOURCE" "$STORE" "$LOCATION" >"$T/out"
	[ "$(tail -n 1 "$T/out")" = A ]
	[ "$(version_of "$LOCATION")" = B ]
}

# --- several repositories ---

@test "without REPO every repository with sync-rcu and auto-sync is synced" {
	two_repositories
	printf '[three]\nlocation = %s\nsync-rcu-store-dir = %s\nsync-uri = %s\nauto-sync = no\n' \
		"$T/three" "$T/store-three" "$T/source-two" >>"$T/repos.conf"
	printf '[four]\nlocation = %s\nsync-rcu = no\nsync-uri = %s\n' "$T/four" "$T/source-two" >>"$T/repos.conf"
	rcu_repo sync
	[ "$(version_of "$T/one")" = A ]
	[ "$(version_of "$T/two")" = A ]
	[ ! -e "$T/three" ]
	[ ! -e "$T/four" ]
	rcu_repo sync three
	[ "$(version_of "$T/three")" = A ]
	refused 2 'four: does not have sync-rcu' rcu_repo sync four
	[ ! -e "$T/four" ]
}

@test "one that fails does not stop the others, and is named" {
	two_repositories
	rm -rf "$T/source-one"
	refused 1 '^rcu-repo: one: rsync: exit status 23' rcu_repo sync
	[ "$(version_of "$T/two")" = A ]
	[ ! -e "$T/one" ]
}

@test "75 where nothing but a lock is in the way, and the others are synced" {
	two_repositories
	rcu_repo sync
	make_version "$T/source-two" B
	rcu_repo begin one
	refused 75 '^rcu-repo: one: ' rcu_repo sync
	[ "$(version_of "$T/two")" = B ]
	rm -rf "$T/source-two"
	refused 1 '^rcu-repo: two: ' rcu_repo sync
}

@test "a repository that is named twice is synced once" {
	two_repositories
	run -0 --separate-stderr rcu_repo sync two two
	[ "${#stderr_lines[@]}" = 1 ]
}

# --- what is refused before anything is touched ---

@test "no transport, another one, no source, a relative one" {
	refused 2 'sync-type = : not set' repo sync --uri "$SOURCE"
	refused 2 'sync-type = cvs: none of .*rsync' repo sync --type cvs --uri "$SOURCE"
	refused 2 'sync-uri = : not set' repo sync --type rsync
	refused 2 'sync-uri = source: not an absolute path' repo sync --type rsync --uri source
	refused 2 'sync-uri = ../x:y: not an absolute path' repo sync --type git --uri ../x:y
	[ ! -e "$STORE" ]
}

@test "options of the user that cannot be used with snapshots" {
	make_version "$SOURCE" A
	refused 2 'inplace cannot be used' repo sync --type rsync --uri "$SOURCE" \
		--set 'sync-rsync-extra-opts=--exclude=/header --inplace'
	local option
	for option in "-v $T" "$T" "--delete-excluded $T" "--files-from=/f" --size-only --min-size=9 --max-size=9 --modify-window=9 -@9 -n; do
		refused 2 'cannot be used' repo sync --type rsync --uri "$SOURCE" --set "sync-rsync-extra-opts=$option"
	done
	[ ! -e "$STORE" ]
	repo sync --type rsync --uri "$SOURCE" --set 'sync-rsync-extra-opts=--exclude=/header'
	[ -e "$LOCATION/version" ]
	[ ! -e "$LOCATION/header" ]
}

@test "usage errors are one line and exit 2" {
	local words
	while read -r words; do
		# shellcheck disable=SC2086
		run -2 --separate-stderr rcu_repo $words
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == rcu-repo:* ]]
		[ -z "$output" ]
	done <<-END
		nonsense
		--nonsense
		sync --nonsense
		sync --json
		sync --location
		sync --store /s
		sync --quiet=yes
		sync a --location /l --store /s
		sync a -- b
		--set nonsense sync
		list
		list a b
		update a
		update a --
		begin --owner x a
		gc --force 0
		status
		rollback
	END
	run -2 rcu_repo
}

@test "global options stand before or after the command" {
	two_repositories
	unset RCU_REPO_CONFIG
	rcu_repo --config "$T/repos.conf" --quiet sync one
	rcu_repo sync two --quiet --config "$T/repos.conf"
	[ "$(version_of "$T/one")" = A ]
	[ "$(version_of "$T/two")" = A ]
}

@test "names with spaces, newlines and 255 bytes" {
	local name
	for name in 'a b' $'new\nline' "$(printf 'n%.0s' {1..255})" $' \t"%(x)s;#=:'"'"; do
		LOCATION=$T/at/$name
		STORE=$T/stores/$name
		mkdir -p "$T/at" "$T/stores"
		sync_version A
		sync_version B
		[ "$(version_of "$LOCATION")" = B ]
		[ "$(pinned_version_of "$LOCATION" -l "$LOCATION")" = B ]
		repo list >/dev/null
	done
}

@test "a store that cannot be made: the cause, not that it is missing" {
	for_everybody
	make_version "$SOURCE" one
	chmod -R a+rX "$T"
	mkdir "$T/closed"
	refused 1 "closed/store: cannot be opened or made: Permission denied" \
		unprivileged "$RCU_REPO" sync --location "$T/location" --store "$T/closed/store" --type rsync --uri "$SOURCE"
}

@test "an upstream that lost most of its files is refused, unless told" {
	local i
	make_version "$SOURCE" A
	for ((i = 0; i < 91; i++)); do echo "$i" >"$SOURCE/app-misc/$i"; done
	repo sync --type rsync --uri "$SOURCE"
	[ "$(find "$LOCATION/" ! -type d | wc -l)" = 100 ]
	for ((i = 0; i < 51; i++)); do rm "$SOURCE/app-misc/$i"; done
	refused 1 'lacks 51 of 100 files, more than sync-rcu-max-delete = 50%: not published' repo sync --type rsync --uri "$SOURCE"
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
	refused 1 'lacks 51 of 100' repo sync --type rsync --uri "$SOURCE" --set sync-rcu-max-delete=0%
	repo sync --type rsync --uri "$SOURCE" --set sync-rcu-max-delete=51%
	[ "$(latest)" = 2 ]
	rm -r "$SOURCE/app-misc"
	refused 1 'lacks 44 of 49 files' repo sync --type rsync --uri "$SOURCE"
	repo sync --type rsync --uri "$SOURCE" --set sync-rcu-max-delete=100%
	[ "$(latest)" = 3 ]
	# what update does is meant
	repo update -- sh -c 'rm -r profiles SUMS header tell version; touch one'
	[ "$(latest)" = 4 ]
}

@test "a migration that would lose most of what is at the location is refused, unless told; a checkout's own files do not count" {
	local i
	make_version "$LOCATION" A
	for ((i = 0; i < 91; i++)); do echo "$i" >"$LOCATION/app-misc/$i"; done
	mkdir "$LOCATION/.git"
	for ((i = 0; i < 300; i++)); do echo "$i" >"$LOCATION/.git/$i"; done
	cp -a "$LOCATION" "$T/before"
	mkdir "$SOURCE"
	cp -a "$LOCATION/." "$SOURCE"
	rm -r "$SOURCE/.git"
	for ((i = 0; i < 51; i++)); do rm "$SOURCE/app-misc/$i"; done
	refused 1 'lacks 51 of 100 files, more than sync-rcu-max-delete = 50%: not published' \
		repo sync --type local --uri "$SOURCE"
	[ ! -L "$LOCATION" ]
	same_tree "$T/before" "$LOCATION"
	is_empty "$STORE/snapshots"
	is_empty "$STORE/.rcu-repo/staging"
	repo sync --type local --uri "$SOURCE" --set sync-rcu-max-delete=51%
	[ -L "$LOCATION" ]
	[ ! -e "$LOCATION/app-misc/0" ]
}

@test "a location whose store is not mounted is refused, by all that would make it anew, and nothing is made" {
	skip_unless_mount
	local disk=$T/disk store command
	mount_tmpfs "$disk" 64m
	# the store below the mount point, and the mount point itself
	for store in "$disk/store" "$disk"; do
		STORE=$store
		rm -f "$LOCATION"
		sync_version A
		sync_version B
		mount_bind "$disk" "$T/aside"
		umount "$disk"
		for command in 'sync --type rsync --uri source' 'sync --together --type rsync --uri source' 'update -- touch new' begin; do
			refused 1 "^rcu-repo: .*$LOCATION: leads to the store $STORE, which is not there: is its file system mounted\\?.* remove $LOCATION" \
				repo ${command/source/$SOURCE}
		done
		for command in commit abort gc 'keep 1' rollback; do
			refused 1 . repo $command
		done
		for command in list status check; do
			run repo $command
		done
		is_empty "$disk"
		mount_bind "$T/aside" "$disk"
		umount "$T/aside"
		[ "$(latest) $(version_of "$LOCATION")" = "2 B" ]
		sync_version C
		[ "$(latest) $(version_of "$LOCATION")" = "3 C" ]
	done
	# to begin anew
	umount "$disk"
	rm "$LOCATION"
	sync_version D
	[ "$(latest) $(version_of "$LOCATION")" = "1 D" ]
}

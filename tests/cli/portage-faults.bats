#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What Portage's own sync-rcu gets wrong (the P numbers are the project's list of it), and we must not.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

gc_all() { repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 "$@"; }

# Portage's files, for one repository `gentoo` with sync-rcu; more lines from stdin
portage_config() {
	[ ! -e /etc/rcu-repo/repos.conf ] || skip "this machine has a configuration of its own"
	mkdir -p "$T/prefix" "$T/root/etc/portage"
	export EPREFIX=$T/prefix PORTAGE_CONFIGROOT=$T/root
	unset RCU_REPO_CONFIG
	cat >"$T/root/etc/portage/repos.conf" <<-END
		[gentoo]
		location = $LOCATION
		sync-type = rsync
		sync-uri = $SOURCE
		sync-rcu = yes
		sync-rcu-store-dir = $STORE
	END
	cat >>"$T/root/etc/portage/repos.conf"
}

# killed_at CALL N COMMAND...: runs it, and kills it with SIGKILL just before its Nth CALL.  False where it ended
# before.
killed_at() {
	local call=$1 n=$2 got=0
	shift 2
	traced -o "$T/strace" -e trace="$call" -e inject="$call:signal=KILL:when=$n" "$@" >"$T/out" 2>&1 || got=$?
	[ "$got" = 137 ]
}

@test "P1: a location that is a mount point is refused and left as it is" {
	skip_unless_mount
	make_version "$SOURCE" B
	make_version "$T/disk" A
	mount_bind "$T/disk" "$LOCATION"
	refused 2 'mount' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$STORE/latest" ]
	refused 2 'mount' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$T/disk")" = A ]
}

@test "P1: mounts inside the location are refused as well" {
	skip_unless_mount
	make_version "$SOURCE" B
	make_version "$LOCATION" A
	mount_bind "$SOURCE" "$LOCATION/empty"
	refused 2 'mount' repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(version_of "$LOCATION/empty")" = B ]
}

@test "P2: a store inside the location is refused, also through links and where it exists already" {
	make_version "$SOURCE" B
	make_version "$LOCATION" A
	refused 2 'store is inside the location' repo sync --store "$LOCATION/store" --type rsync --uri "$SOURCE"
	ln -s "$LOCATION/empty" "$T/alias"
	refused 2 'inside' repo sync --store "$T/alias/store" --type rsync --uri "$SOURCE"
	mkdir "$LOCATION/empty/store"
	refused 2 'inside' repo sync --store "$T/alias/store" --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -L "$LOCATION" ]
	is_empty "$LOCATION/empty/store"
}

@test "P3: killed at any rename of a migration, no tree is lost, and the next sync ends it" {
	skip_unless_command strace
	local call n runs=0
	for call in renameat2 renameat,rename symlinkat; do
		for n in 1 2 3 4 5 6 7 8; do
			rm -rf "$LOCATION" "$STORE"
			make_version "$SOURCE" B
			make_version "$LOCATION" A
			echo only >"$LOCATION/only-here"
			killed_at "$call" "$n" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync \
				--uri "$SOURCE" --set sync-rcu-durability=none || break
			runs=$((runs + 1))
			[[ $(version_of "$LOCATION") == [AB] ]]
			repo sync --type rsync --uri "$SOURCE"
			[ "$(version_of "$LOCATION")" = B ]
			[ "$(cat "$STORE"/snapshots/*/only-here)" = only ]
		done
	done
	[ "$runs" -ge 4 ]
}

@test "P4: reclaim protects what latest names, not the highest number" {
	local name
	for name in A B C; do
		sync_version "$name" --set sync-rcu-spare-snapshots=9
	done
	ln -sfn snapshots/1 "$STORE/latest"
	gc_all
	[ "$(ls "$STORE/snapshots")" = 1 ]
	[ "$(version_of "$LOCATION")" = A ]
	sync_version D
	[ "$(latest)" = 4 ]
}

@test "P5: a trailing slash in location" {
	make_version "$SOURCE" A
	config <<-END
		[it]
		location = $LOCATION///
		sync-rcu-store-dir = $STORE/
		sync-type = rsync
		sync-uri = $SOURCE/
	END
	rcu_repo sync
	rcu_repo sync
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(readlink "$LOCATION")" = "$STORE/latest" ]
	rcu_exec -l "$LOCATION/" cat "$LOCATION/version"
	make_version "$T/plain" A
	rcu_repo sync --location "$T/plain/" --store "$T/store-plain" --type rsync --uri "$SOURCE"
	[ -L "$T/plain" ]
}

@test "P6: a second location for one store is refused, and neither sees the other's tree" {
	sync_version A
	make_version "$T/other-source" B
	refused 2 "$LOCATION" rcu_repo sync --location "$T/other" --store "$STORE" --type rsync --uri "$T/other-source"
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$T/other" ]
	[ "$(latest)" = 1 ]
}

@test "P7: the first sync after enabling fetches only what changed" {
	make_version "$SOURCE" A
	cp -a "$SOURCE" "$LOCATION"
	head -c 100000 /dev/urandom >"$SOURCE/new"
	rsync_with "real_rsync --stats \"\$@\" | tee '$T/stats'"
	repo sync --type rsync --uri "$SOURCE"
	grep 'Number of regular files transferred: 1$' "$T/stats"
	[ -e "$LOCATION/new" ]
	# and where the store is on another file system, without links
	skip_unless_mount
	mount_tmpfs "$T/disk" 16m
	make_version "$SOURCE" B
	cp -a "$SOURCE" "$T/plain"
	head -c 100000 /dev/urandom >"$SOURCE/new"
	rcu_repo sync --location "$T/plain" --store "$T/disk/store" --type rsync --uri "$SOURCE"
	grep 'Number of regular files transferred: 1$' "$T/stats"
	[ "$(version_of "$T/plain")" = B ]
	[ "$(version_of "$T/plain.before-rcu")" = B ]
}

@test "P8: with a sync-user the store is collected like any other" {
	skip_unless_root
	id nobody >/dev/null || skip "there is no user nobody here"
	local name
	for name in A B C; do
		sync_version "$name" --set sync-user=nobody --set sync-rcu-spare-snapshots=9
	done
	gc_all --set sync-user=nobody
	[ "$(ls "$STORE/snapshots")" = 3 ]
}

@test "P9: age counts from retiring, not from the tree's own time" {
	sync_version A
	sync_version B --set sync-rcu-spare-snapshots=0
	# a tree of 2017, retired now
	[ "$(stat -c %Y "$STORE/snapshots/1")" -lt 1700000000 ]
	repo gc --set sync-rcu-spare-snapshots=0 --set sync-rcu-ttl-days=1
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	# retired 25 hours ago, whatever the tree says
	touch "$STORE/snapshots/1"
	sed -i "s/^retired = .*/retired = $(($(date +%s) - 25 * 3600))/" "$STORE/.rcu-repo/meta/1"
	repo gc --set sync-rcu-spare-snapshots=0 --set sync-rcu-ttl-days=2
	[ -e "$STORE/snapshots/1" ]
	repo gc --set sync-rcu-spare-snapshots=0 --set sync-rcu-ttl-days=1
	[ ! -e "$STORE/snapshots/1" ]
}

@test "P13: one sync cannot publish another's half-written tree" {
	sync_version A
	make_version "$SOURCE" B
	rsync_with "real_rsync --exclude=/header \"\$@\"; touch '$T/started'
		until [ -e '$T/go' ]; do sleep 0.02; done; real_rsync \"\$@\""
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	real_rsync_again
	wait_until test -e "$T/started"
	refused 75 "pid $BACKGROUND " repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	touch "$T/go"
	wait "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = B ]
}

@test "P14: a foreign name in snapshots/ is left alone and reported" {
	sync_version A
	mkdir "$STORE/snapshots/007" "$STORE/snapshots/lost+found"
	touch "$STORE/snapshots/"$'odd\nname' "$STORE/snapshots/-1"
	run -0 --separate-stderr sync_version B
	[ "$(grep -c 'left alone' <<<"$stderr")" = 4 ]
	gc_all
	[ "$(version_of "$LOCATION")" = B ]
	[ ! -e "$STORE/snapshots/1" ]
	[ -d "$STORE/snapshots/007" ]
	[ -e "$STORE/snapshots/"$'odd\nname' ]
}

@test "P15: modes, times and contents of older snapshots stay, whatever rsync is told" {
	local option
	sync_version A
	cp -a "$STORE/snapshots/1" "$T/before"
	for option in --perms --checksum --ignore-times --whole-file --no-whole-file --fake-super --chmod=F600; do
		chmod 640 "$SOURCE/version"
		touch "$SOURCE/header"
		echo "$option" >>"$SOURCE/tell"
		repo sync --type rsync --uri "$SOURCE" --set "sync-rsync-extra-opts=$option" --set sync-rcu-spare-snapshots=99
		[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	done
	refused 2 'inplace' repo sync --type rsync --uri "$SOURCE" --set sync-rsync-extra-opts=--inplace
	# in a plain clone of hard links it reaches the older one
	cp -al "$STORE/snapshots/1" "$T/clone"
	rsync -a "$SOURCE/" "$T/clone/"
	[ -n "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
}

# A clone of an upstream is what is published, with its .git.
git_published() {
	export HOME=$T GIT_CONFIG_NOSYSTEM=1
	git config --global user.name Somebody
	git config --global user.email somebody@example.org
	git config --global safe.directory '*'
	git init -q -b main "$SOURCE"
	upstream A
	git clone -q "$SOURCE" "$LOCATION"
	repo update -- git pull -q
}

# upstream NAME: one more commit there
upstream() {
	make_version "$T/version" "$1"
	cp -a "$T/version/." "$SOURCE"
	git -C "$SOURCE" add -A
	git -C "$SOURCE" commit -q -m "$1"
}

@test "P16: git in the new tree writes to no file of an older snapshot" {
	skip_unless_command git
	git_published
	upstream B
	cp -a "$STORE/snapshots/1" "$T/before"
	repo update --set sync-rcu-spare-snapshots=9 -- git pull -q
	[ "$(git -C "$LOCATION" log -1 --format=%s)" = B ]
	[ "$(git -C "$STORE/snapshots/1" log -1 --format=%s)" = A ]
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	# in a plain clone of hard links it does
	cp -al "$STORE/snapshots/1" "$T/clone"
	git -C "$T/clone" pull -q
	[ "$(rsync -aHAXcn --delete -i "$T/before/" "$STORE/snapshots/1/" | grep -c 'FETCH_HEAD\|logs/')" -ge 2 ]
}

# From here on a sync uses a retired snapshot again, and makes no link to what did not change.
recycling() {
	local name
	for name in A B A; do
		make_version "$SOURCE" "$name"
		head -c 3000000 /dev/zero >"$SOURCE/large"
		mkdir "$SOURCE/same"
		echo same >"$SOURCE/same/one"
		echo same >"$SOURCE/same/two"
		touch -d @1000000000 "$SOURCE/large" "$SOURCE"/same/*
		repo sync --type rsync --uri "$SOURCE" --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	done
	[ -n "$(ls "$STORE/.rcu-repo/spare")" ]
}

# tar_meanwhile DIR COMMAND...: tar reads DIR, and COMMAND runs while it is in the middle of DIR/large; what tar said is in $T/tar.err
tar_meanwhile() {
	local dir=$1 pid
	mkfifo "$T/tar.out"
	background tar -C "$dir" -cf "$T/tar.out" large 2>"$T/tar.err"
	pid=$BACKGROUND
	# it has begun, and waits for somebody to take the rest
	exec {TAR}<"$T/tar.out"
	head -c 20480 <&"$TAR" >"$T/tar.head"
	"${@:2}"
	cat <&"$TAR" >"$T/tar.rest"
	exec {TAR}<&-
	rm "$T/tar.out"
	TAR_STATUS=0
	wait "$pid" || TAR_STATUS=$?
}

@test "P17: a pinned tar is told of no change: what did not change keeps its change time" {
	local again=(repo sync --type rsync --uri "$SOURCE" --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0) snapshot
	recycling
	reader "$LOCATION"
	snapshot=$(readlink -f "$LOCATION")
	picture_of_times() { (cd "$1" && stat -c '%n %i %z' large same/one same/two); }
	picture_of_times "$snapshot" >"$T/before"
	make_version "$T/B" B
	rsync -a "$T/B/" "$SOURCE/"
	tar_meanwhile "$snapshot" "${again[@]}"
	cat "$T/tar.err"
	[ "$TAR_STATUS" = 0 ]
	[ ! -s "$T/tar.err" ]
	[ "$(version_of "$LOCATION")" = B ]
	[ "$LOCATION/large" -ef "$snapshot/large" ]
	picture_of_times "$snapshot" | diff "$T/before" -
	# a plain clone of hard links is what it complains about
	tar_meanwhile "$snapshot" cp -al "$snapshot" "$T/clone"
	[ "$TAR_STATUS" = 1 ]
	grep -q 'file changed as we read it' "$T/tar.err"
}

# git compares change times by whole seconds.
next_second() {
	local now=$EPOCHSECONDS
	is_later() { [ "$EPOCHSECONDS" -gt "$now" ]; }
	wait_until is_later
}

# How many of the files that are the same in all versions git opens to say what has changed in DIR
git_opens() {
	GIT_OPTIONAL_LOCKS=0 traced -f -o "$T/strace" -e trace=open,openat git -C "$1" status --porcelain >"$T/status.out"
	[ ! -s "$T/status.out" ] || { cat "$T/status.out"; return 1; }
	grep -c '"same/[0-9]' "$T/strace" || :
}

@test "P17: git reads nothing again in a new snapshot that did not change there" {
	skip_unless_command git strace
	local i
	export HOME=$T GIT_CONFIG_NOSYSTEM=1
	git config --global user.name Somebody
	git config --global user.email somebody@example.org
	git config --global safe.directory '*'
	git init -q -b main "$SOURCE"
	mkdir "$SOURCE/same"
	for i in 1 2 3 4 5 6 7 8 9; do echo "$i" >"$SOURCE/same/$i"; done
	for i in A B C D; do
		upstream "$i"
		next_second
		repo sync --type git --uri "file://$SOURCE" --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	done
	[ "$(git_opens "$LOCATION/.")" = 0 ]
	# a plain clone of hard links makes it read all
	git clone -q "$SOURCE" "$T/plain"
	touch -d @1000000000 "$T"/plain/same/*
	git -C "$T/plain" status >"$T/status.out"
	[ "$(git_opens "$T/plain")" = 0 ]
	next_second
	cp -al "$T/plain" "$T/clone"
	[ "$(git_opens "$T/plain")" = 9 ]
}

# What directories have beside their names
directories() { (cd "$1" && find . -type d -exec stat -c '%n %a %u %g' {} + && getfattr -R -d -m - . && getfacl -R -p .) 2>&1; }

# dressed NAME: $SOURCE is that version, with more about its directories
dressed() {
	make_version "$SOURCE" "$1"
	setfattr -n user.test -v x "$SOURCE/app-misc" 2>/dev/null || skip "no extended attributes here"
	setfacl -m u:65534:rx -m d:u:65534:rx "$SOURCE/app-misc/one" 2>/dev/null || skip "no ACLs here"
	# without SELinux it is an attribute as any
	setfattr -n security.selinux -v system_u:object_r:test_t:s0 "$SOURCE/app-misc/two words" 2>/dev/null || :
	chmod 2711 "$SOURCE/empty"
	[ "$(id -u)" != 0 ] || chown 65534:65534 "$SOURCE/empty"
}

@test "P18: ACLs, attributes, labels, modes and owners of directories are as in the source" {
	skip_unless_command setfattr getfattr setfacl getfacl
	local name
	dressed A
	directories "$SOURCE" | sort >"$T/before"
	grep -q 'user.test="x"' "$T/before"
	grep -q 'default:user:.*:r-x' "$T/before"
	# in the first one, in a clone, and in what was used before
	for name in A B C D; do
		dressed "$name"
		repo sync --type rsync --uri "$SOURCE" --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
		directories "$LOCATION/." | sort | diff "$T/before" -
	done
	repo update --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 -- sh -c 'echo more >>header'
	directories "$LOCATION/." | sort | diff "$T/before" -
	repo sync --type local --uri "$SOURCE"
	directories "$LOCATION/." | sort | diff "$T/before" -
	# Portage's own way
	rsync -a --link-dest "$STORE/snapshots/$(latest)" "$STORE/snapshots/$(latest)/" "$T/clone/"
	directories "$T/clone" | sort | diff "$T/before" - >"$T/diff" || :
	grep -q 'user.test' "$T/diff"
}

@test "P20: the tree is on disk before it is published, and the swap before we say so" {
	skip_unless_command strace
	local after
	make_version "$SOURCE" A
	traced -y -o "$T/strace" -e trace=syncfs,fsync,rename,renameat,renameat2 \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	grep -nE '^syncfs' "$T/strace" | cut -d: -f1 >"$T/syncfs"
	grep -nE '^rename.*snapshots>, "1"' "$T/strace" | cut -d: -f1 >"$T/publish"
	grep -nE '^rename.*"latest"' "$T/strace" | cut -d: -f1 >"$T/swap"
	[ "$(head -n 1 "$T/syncfs")" -lt "$(cat "$T/publish")" ]
	[ "$(cat "$T/publish")" -lt "$(cat "$T/swap")" ]
	# between them, and behind the swap, the directories
	sed -n "$(cat "$T/publish"),$(cat "$T/swap")p" "$T/strace" | grep -E '^fsync.*snapshots'
	after=$(($(cat "$T/swap") + 1))
	sed -n "$after,\$p" "$T/strace" | grep -E "^fsync\([0-9]+<$STORE>"
}

@test "P20: durability none flushes nothing" {
	skip_unless_command strace
	make_version "$SOURCE" A
	traced -o "$T/strace" -e trace=syncfs,fsync,fdatasync "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" \
		--type rsync --uri "$SOURCE" --set sync-rcu-durability=none
	[ "$(grep -c '^syncfs' "$T/strace")" = 0 ]
	[ "$(version_of "$LOCATION")" = A ]
}

@test "P21: killed while it deletes, reclaim leaves no half snapshot under its number" {
	skip_unless_command strace
	local n runs=0
	for n in 1 2 3 5 8 13 21; do
		rm -rf "$LOCATION" "$STORE"
		sync_version A
		sync_version B
		killed_at unlinkat "$n" "$RCU_REPO" gc --location "$LOCATION" --store "$STORE" \
			--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 --set sync-rcu-durability=none || break
		runs=$((runs + 1))
		[ ! -e "$STORE/snapshots/1" ] || [ "$(version_of "$STORE/snapshots/1")" = A ]
		[ "$(version_of "$LOCATION")" = B ]
		gc_all
		[ "$(ls "$STORE/snapshots")" = 2 ]
		is_empty "$STORE/.rcu-repo/trash"
	done
	[ "$runs" -ge 3 ]
}

@test "P25: distfiles, packages and local inside the location: the migration is refused, naming it" {
	local name
	make_version "$SOURCE" B
	make_version "$LOCATION" A
	portage_config </dev/null
	for name in distfiles packages local; do
		mkdir "$LOCATION/$name"
		echo once >"$LOCATION/$name/file"
		refused 2 "$name" rcu_repo sync
		[ "$(cat "$LOCATION/$name/file")" = once ]
		[ ! -L "$LOCATION" ]
		rm -r "${LOCATION:?}/$name"
	done
	rcu_repo sync
	[ "$(version_of "$LOCATION")" = B ]
	# of a source's own, none is copied: Portage's excludes
	mkdir "$SOURCE/distfiles"
	echo more >"$SOURCE/more"
	rcu_repo sync
	[ -e "$LOCATION/more" ]
	[ ! -e "$LOCATION/distfiles" ]
	# and what a version has of them goes on into the next
	rcu_repo update gentoo -- sh -c 'mkdir local && echo once >local/file'
	echo again >"$SOURCE/more-still"
	rcu_repo sync
	[ -e "$LOCATION/more-still" ]
	[ "$(cat "$LOCATION/local/file")" = once ]
}

@test "P26: a first sync into an empty location publishes the repository, never an empty one" {
	mkdir "$LOCATION"
	refused 1 'rsync: exit status 23' repo sync --type rsync --uri "$T/none"
	[ ! -e "$STORE/latest" ]
	[ -d "$LOCATION" ] && [ ! -L "$LOCATION" ]
	make_version "$SOURCE" A
	rsync_with "touch '$T/started'; until [ -e '$T/go' ]; do sleep 0.02; done; real_rsync \"\$@\""
	background "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE"
	wait_until test -e "$T/started"
	[ ! -e "$STORE/latest" ]
	[ ! -L "$LOCATION" ]
	touch "$T/go"
	wait "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = A ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Trees that somebody made to do harm, and disks that are full, through a whole sync.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# deep DIR LEVELS: directories in one another, further than a path can be long
deep() {
	/usr/bin/python3 - "$@" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for _ in range(int(sys.argv[2])):
		    os.mkdir("d")
		    os.chdir("d")
		open("end", "w").close()
	END
}

@test "links out of the tree stay links, and nothing is read or written through them" {
	make_version "$SOURCE" A
	mkdir "$T/outside"
	echo secret >"$T/outside/file"
	ln -s "$T/outside" "$SOURCE/dir"
	ln -s "$T/outside/file" "$SOURCE/file"
	ln -s ../../../../../../../../etc/passwd "$SOURCE/up"
	ln -s "$STORE/.rcu-repo/lock" "$SOURCE/lock"
	local before
	before=$(picture "$T/outside")
	repo sync --type rsync --uri "$SOURCE"
	# where a link was is a directory now, and the other way round
	rm "$SOURCE/dir"
	mkdir "$SOURCE/dir"
	echo new >"$SOURCE/dir/file"
	rm -r "$SOURCE/app-misc"
	ln -s "$T/outside" "$SOURCE/app-misc"
	repo sync --type rsync --uri "$SOURCE" --set sync-rcu-max-delete=100%
	[ "$(readlink "$LOCATION/app-misc")" = "$T/outside" ]
	[ "$(readlink "$LOCATION/file")" = "$T/outside/file" ]
	[ "$(cat "$LOCATION/dir/file")" = new ]
	repo update -- sh -c 'rm -r dir && ln -s "$1" dir' sh "$T/outside"
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 >/dev/null
	[ "$(picture "$T/outside")" = "$before" ]
	repo check
}

@test "names with newlines, escapes and no UTF-8 pass, and no message has a second line" {
	local odd=$'new\nline \e[31m \xff "quote" \\' file
	mkdir -p "$SOURCE/$odd"
	: >"$SOURCE/$odd/$odd"
	repo sync --type rsync --uri "$SOURCE"
	[ -e "$LOCATION/$odd/$odd" ]
	chmod 600 "$SOURCE/$odd/$odd"
	repo sync --type rsync --uri "$SOURCE"
	repo check
	repo diff 1 2 >"$T/diff"
	file=$(cat "$T/diff")
	[[ $file != *$'\e'* ]]
	# the repository itself may have such a name
	run -0 --separate-stderr rcu_repo sync --location "$T/$odd" --store "$T/store-$odd" --type rsync --uri "$SOURCE"
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[[ $stderr != *$'\e'* ]]
}

@test "set-id files are as in the source; fetched as sync-user they are his" {
	skip_unless_root
	make_version "$SOURCE" A
	chmod 6755 "$SOURCE/tell"
	repo sync --type rsync --uri "$SOURCE"
	[ "$(stat -c '%a %u' "$LOCATION/tell")" = "6755 0" ]
	rcu_repo sync --location "$T/his" --store "$T/store-his" --type rsync --uri "$SOURCE" --set sync-user=nobody
	[ "$(stat -c %u "$T/his/tell")" = 65534 ]
	[ -z "$(find "$T/store-his/snapshots/1" -perm /6000 -user root)" ]
}

@test "10,000 directories in one another: rsync does not get there, its time is limited, and what is published stays" {
	skip_unless_command /usr/bin/python3
	make_version "$SOURCE" A
	repo sync --type rsync --uri "$SOURCE"
	deep "$SOURCE" 10000
	run -1 repo sync --type rsync --uri "$SOURCE" --set sync-rcu-timeout=3
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
	make_version "$SOURCE" C
	repo sync --type rsync --uri "$SOURCE" --set sync-rcu-max-delete=100%
	[ "$(version_of "$LOCATION")" = C ]
}

@test "a full disk under one of a set: none is published, and the next one goes on" {
	skip_unless_mount
	two_repositories
	mount_tmpfs "$T/small" 2m
	sed -i "s|$T/store-two|$T/small/store|" "$T/repos.conf"
	rcu_repo sync --together
	make_version "$T/source-one" B
	make_version "$T/source-two" B
	head -c 4000000 /dev/urandom >"$T/source-two/large"
	run -1 --separate-stderr rcu_repo sync --together
	[[ $stderr == *"sync: not synced: one, two"* ]]
	[ "$(version_of "$T/one")" = A ]
	[ "$(version_of "$T/two")" = A ]
	rm "$T/source-two/large"
	rcu_repo sync --together
	[ "$(version_of "$T/one")" = B ]
	[ "$(version_of "$T/two")" = B ]
}

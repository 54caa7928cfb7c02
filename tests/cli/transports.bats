#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same trials for each transport: readers under a storm of syncs, kills at any moment, a full disk, an upstream that lost
# its files, one that cannot be reached, directories 10,000 deep.  What a transport has of its own is in its own file.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# of TYPE: what is fetched in this test
of() {
	TYPE=$1 MORE=()
	case $TYPE in
	rsync | local) URI=$SOURCE ;;
	git)
		skip_unless_command git
		URI=$T/git
		git init -q -b main "$URI"
		;;
	webrsync) URI=$T/it.tar.gz ;;
	command)
		URI=$SOURCE
		printf '#!/bin/sh\nexec rsync -a --inplace --delete "$RCU_REPO_URI/" ./\n' >"$T/bring"
		chmod 755 "$T/bring"
		MORE=(--set "sync-rcu-command=$T/bring")
		;;
	esac
}

# What is in $SOURCE is what upstream has now.
upstream_has() {
	case $TYPE in
	git)
		rsync -a --checksum --delete --exclude=/.git "$SOURCE/" "$URI/"
		git -C "$URI" add -A
		git -C "$URI" -c user.name=t -c user.email=t@localhost commit -q --allow-empty -m next
		;;
	webrsync)
		tar -C "$T" -czf "$T/new.tar.gz" "${SOURCE##*/}"
		mv "$T/new.tar.gz" "$URI"
		;;
	esac
}

upstream() {
	make_version "$SOURCE" "$1"
	upstream_has
}

# no function, so that its pid is rcu-repo's
fetch_words() { FETCH=("$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type "$TYPE" --uri "$URI" "${MORE[@]}" "$@"); }
fetch() {
	fetch_words "$@"
	"${FETCH[@]}"
}

storm() {
	local i name published=0
	of "$1"
	upstream A
	fetch --quiet
	for i in 1 2 3; do
		# shellcheck disable=SC2016
		background bash -c '. "$RCU_SRC/tests/lib.bash"
			until [ -e "$2/stop" ]; do
				rcu_exec -l "$1" -- bash -c ". \"\$RCU_SRC/tests/lib.bash\"; version_of \"\$1\"" bash "$1" >>"$2/seen$3" 2>&1 ||
					touch "$2/mixed"
			done; touch "$2/stopped$3"' bash "$LOCATION" "$T" "$i"
	done
	for i in 1 2 3 4 5 6 7 8; do
		name=$([ $((i % 2)) = 0 ] && echo A || echo B)
		upstream "$name"
		fetch --quiet --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
		[ "$(version_of "$LOCATION")" = "$name" ]
	done
	touch "$T/stop"
	for i in 1 2 3; do
		wait_until test -e "$T/stopped$i"
		[ -s "$T/seen$i" ]
		published=$((published + $(wc -l <"$T/seen$i")))
	done
	[ ! -e "$T/mixed" ] || { cat "$T"/seen*; return 1; }
	echo "# $published readers, 0 mixed" >&3
}

@test "rsync: readers under a storm of syncs see whole versions" { storm rsync; }
@test "git: readers under a storm of syncs see whole versions" { storm git; }
@test "webrsync: readers under a storm of syncs see whole versions" { storm webrsync; }
@test "local: readers under a storm of syncs see whole versions" { storm local; }
@test "command: readers under a storm of syncs see whole versions" { storm command; }

# With all that it has started, after 1 ms, 3 ms and so on: wherever that is (tests/crash/faults has each call of it).
killed() {
	local i before
	of "$1"
	upstream A
	fetch --quiet
	for i in 1 3 6 10 15 20 30 40 60 90; do
		upstream "v$i"
		before=$(version_of "$LOCATION")
		fetch_words --quiet
		background setsid "${FETCH[@]}"
		sleep "0.0$(printf %02d "$i")"
		kill -9 -- "-$BACKGROUND" 2>/dev/null || :
		wait "$BACKGROUND" || :
		[[ "$(version_of "$LOCATION")" = @("$before"|v$i) ]]
	done
	upstream Z
	# who outlived it, in a session of its own, has the lock for a moment
	wait_until fetch --quiet
	[ "$(version_of "$LOCATION")" = Z ]
	is_empty "$STORE/.rcu-repo/staging"
	repo check
}

@test "rsync: killed at any moment, published state as before or new" { killed rsync; }
@test "git: killed at any moment, published state as before or new" { killed git; }
@test "webrsync: killed at any moment, published state as before or new" { killed webrsync; }
@test "local: killed at any moment, published state as before or new" { killed local; }
@test "command: killed at any moment, published state as before or new" { killed command; }

room_again() { [ "$(df --output=pcent "$T/small" | tr -dc 0-9)" -lt 50 ]; }

full() {
	skip_unless_mount
	mount_tmpfs "$T/small" 4m
	STORE=$T/small/store
	of "$1"
	upstream A
	fetch
	head -c 5M /dev/urandom >"$SOURCE/large"
	upstream_has
	run -1 fetch
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	# what was fetched of it is gone, though nobody comes to sync again
	wait_until room_again
	if [ "$TYPE" = git ]; then
		# the history has it, and one commit is all that is fetched
		rm -r "$URI"
		git init -q -b main "$URI"
	fi
	upstream B
	fetch
	[ "$(version_of "$LOCATION")" = B ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "rsync: a full disk leaves what is published, and the next sync has the room again" { full rsync; }
@test "git: a full disk leaves what is published, and the next sync has the room again" { full git; }
@test "webrsync: a full disk leaves what is published, and the next sync has the room again" { full webrsync; }
@test "local: a full disk leaves what is published, and the next sync has the room again" { full local; }
@test "command: a full disk leaves what is published, and the next sync has the room again" { full command; }

lost() {
	of "$1"
	upstream A
	fetch
	find "$SOURCE" -mindepth 1 -delete
	upstream_has
	refused 1 'is empty|sync-rcu-max-delete' fetch
	echo left >"$SOURCE/left"
	upstream_has
	refused 1 'sync-rcu-max-delete' fetch
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
	fetch --set sync-rcu-max-delete=100%
	[ "$(cat "$LOCATION/left")" = left ]
	[ ! -e "$LOCATION/version" ]
}

@test "rsync: an upstream that deletes everything is refused, unless told" { lost rsync; }
@test "git: an upstream that deletes everything is refused, unless told" { lost git; }
@test "webrsync: an upstream that deletes everything is refused, unless told" { lost webrsync; }
@test "local: an upstream that deletes everything is refused, unless told" { lost local; }
@test "command: an upstream that deletes everything is refused, unless told" { lost command; }

# A server that takes the connection and says nothing, $PORT
silent_server() {
	exec /usr/bin/python3 -c '
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as f:
    f.write(str(server.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(1000)' "$T/port"
}

@test "rsync, git, webrsync: a server that cannot be reached, and one that says nothing" {
	skip_unless_command git curl /usr/bin/python3
	local uri port
	make_version "$SOURCE" A
	repo sync --type rsync --uri "$SOURCE"
	background silent_server
	wait_until test -s "$T/port"
	port=$(cat "$T/port")
	for uri in "rsync rsync://127.0.0.1:1/m" "git git://127.0.0.1:1/m" "webrsync http://127.0.0.1:1/m" "git http://127.0.0.1:1/m"; do
		refused 1 'exit status' repo sync --type "${uri% *}" --uri "${uri#* }"
	done
	for uri in "rsync rsync://127.0.0.1:$port/m" "git git://127.0.0.1:$port/m" "webrsync http://127.0.0.1:$port/m" \
		"git http://127.0.0.1:$port/m"; do
		refused 1 'not done after 1 second' repo sync --type "${uri% *}" --uri "${uri#* }" --set sync-rcu-timeout=1
	done
	refused 1 'rsync: exit status 30: the connection failed' repo sync --type rsync --uri "rsync://127.0.0.1:$port/m" \
		--set sync-rsync-extra-opts=--timeout=1
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "10,000 directories in one another: refused by git and webrsync, published by local" {
	skip_unless_command git /usr/bin/python3
	make_version "$SOURCE" A
	repo sync --type local --uri "$SOURCE"
	/usr/bin/python3 - "$T" "$SOURCE" <<-'END'
		import io, os, subprocess, sys, tarfile
		top, source = sys.argv[1:]
		deep = "d/" * 10000 + "end"
		with tarfile.open(top + "/it.tar", "w", format=tarfile.PAX_FORMAT) as tar:
		    entry = tarfile.TarInfo("source/" + deep)
		    tar.addfile(entry, io.BytesIO())
		subprocess.run(["git", "init", "-q", "-b", "main", top + "/git"], check=True)
		subprocess.run(["git", "-C", top + "/git", "fast-import", "--quiet"], check=True, text=True,
		               input=f"commit refs/heads/main\ncommitter t <t@localhost> 1 +0000\ndata 1\nx\nM 100644 inline {deep}\ndata 1\nx\n")
		os.chdir(source)
		for _ in range(10000):
		    os.mkdir("d")
		    os.chdir("d")
		open("end", "w").close()
	END
	run -1 repo sync --type webrsync --uri "$T/it.tar"
	run -1 repo sync --type git --uri "$T/git"
	[ "$(version_of "$LOCATION")" = A ]
	is_empty "$STORE/.rcu-repo/staging"
	repo sync --type local --uri "$SOURCE"
	[ "$(latest)" = 2 ]
	rm -r "$SOURCE/d"
	# it was one name of many
	repo sync --type local --uri "$SOURCE" --set sync-rcu-max-delete=100%
	[ "$(version_of "$LOCATION")" = A ]
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	is_empty "$STORE/.rcu-repo/trash"
}

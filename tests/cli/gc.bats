#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo gc

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# gc by rules that keep nothing
gc_all() { repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 "$@"; }

numbers() { ls "$STORE/snapshots" | sort -n | tr '\n' ' '; }

# Three versions, none of which was reclaimed yet
three_versions() {
	local name
	for name in A B C; do
		sync_version "$name" --set sync-rcu-spare-snapshots=9
	done
	[ "$(numbers)" = "1 2 3 " ]
}

@test "it takes what is past its grace period, and says what it took" {
	three_versions
	run -0 --separate-stderr gc_all
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[0]} == *" 1 is reclaimed" ]]
	[[ ${lines[1]} == *" 2 is reclaimed" ]]
	[ "$(numbers)" = "3 " ]
	[ "$(version_of "$LOCATION")" = C ]
	is_empty "$STORE/.rcu-repo/trash"
}

@test "spares, and what is younger than the ttl, stay" {
	three_versions
	repo gc --set sync-rcu-ttl-days=0
	[ "$(numbers)" = "2 3 " ]
	three_more() { sync_version D --set sync-rcu-spare-snapshots=9; }
	three_more
	repo gc --set sync-rcu-spare-snapshots=0
	[ "$(numbers)" = "2 3 4 " ]
}

@test "--dry-run writes nothing, not even what a lock mends; with another writer at work, and on what it may not write to" {
	three_versions
	mkdir "$STORE/.rcu-repo/staging/left" "$STORE/.rcu-repo/trash/left" "$STORE/snapshots/7"
	rm "$STORE/.rcu-repo/pins/"{2,40} "$STORE/.rcu-repo/meta/2"
	picture_of_all() { find "$STORE" -printf '%p %i %m %s %T@ %C@ %l\n' | sort; }
	picture_of_all >"$T/before"
	background flock -F "$STORE/.rcu-repo/lock" sleep 1000
	wait_until bash -c '! flock -n "$1" true' bash "$STORE/.rcu-repo/lock"
	run -0 --separate-stderr gc_all --dry-run
	echo "$output"
	diff "$T/before" <(picture_of_all)
	grep ' 1 would be reclaimed' <<<"$output"
	grep ' 2 would be reclaimed' <<<"$output"
	grep ' 3 stays: it is the latest' <<<"$output"
	for_everybody
	run -0 --separate-stderr unprivileged "$RCU_REPO" gc --location "$LOCATION" --dry-run \
		--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	grep ' 1 stays: whether it is pinned cannot be asked' <<<"$output"
	diff "$T/before" <(picture_of_all)
}

@test "a name that steers a terminal steers none" {
	local name=$'it\e[31m'
	three_versions
	printf '[%s]\nlocation = %s\nsync-rcu-store-dir = %s\n' "$name" "$LOCATION" "$STORE" >"$T/repos.conf"
	run -0 --separate-stderr rcu_repo --config "$T/repos.conf" gc --set sync-rcu-ttl-days=0
	[ "$output" = 'it\x1B[31m: 1 is reclaimed' ]
}

@test "--dry-run takes nothing, and says why the rest stays" {
	three_versions
	reader "$LOCATION" -s 1
	run -0 --separate-stderr repo gc --dry-run --set sync-rcu-ttl-days=0
	[ "$(grep -c . <<<"$output")" = 3 ]
	grep ' 1 stays: it is pinned' <<<"$output"
	grep ' 2 stays: it is a spare' <<<"$output"
	grep ' 3 stays: it is the latest' <<<"$output"
	run -0 --separate-stderr repo gc --dry-run --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	grep ' 2 would be reclaimed' <<<"$output"
	[ "$(numbers)" = "1 2 3 " ]
	run -0 --separate-stderr repo gc --dry-run --set sync-rcu-spare-snapshots=0
	grep ' 2 stays: it is younger' <<<"$output"
}

@test "a pinned snapshot stays as long as the reader lives, however it dies" {
	three_versions
	reader "$LOCATION" -s 1
	gc_all
	[ "$(numbers)" = "1 3 " ]
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	kill -9 "$BACKGROUND"
	wait_until gone "$BACKGROUND"
	gc_all
	[ "$(numbers)" = "3 " ]
}

@test "a reader that closes everything, forks and execs with an empty environment keeps its snapshot" {
	three_versions
	background "$RCU_EXEC" -l "$LOCATION" -s 1 -- /usr/bin/python3 -c '
import os, sys, time
done = sys.argv[1]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
open(done, "w").write(str(os.getpid()))
os.closerange(0, 4096)
os.execve("/usr/bin/sleep", ["sleep", "1000"], {})' "$T/pid"
	wait_until test -s "$T/pid"
	local pid
	pid=$(cat "$T/pid")
	LIB_JOBS+=("$pid")
	wait_until grep -q '^sleep' "/proc/$pid/cmdline" --text
	gc_all
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	kill -9 "$pid"
	wait_until gone "$pid"
	gc_all
	[ "$(numbers)" = "3 " ]
}

@test "without a latest that is there nothing is reclaimed" {
	sync_version A
	sync_version B
	mv "$STORE/latest" "$T/latest"
	refused 1 'nothing is reclaimed' repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	ln -s snapshots/77 "$STORE/latest"
	refused 1 'nothing is reclaimed' repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ -d "$STORE/snapshots/1" ]
	[ -d "$STORE/snapshots/2" ]
}

@test "a directory that is no store is not taken for one" {
	mkdir -p "$STORE/snapshots/1" "$STORE/snapshots/2"
	refused 1 'is no store' repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ -d "$STORE/snapshots/1" ]
	[ ! -e "$STORE/.rcu-repo" ]
}

@test "--force N is for one REPO" {
	two_repositories
	rcu_repo sync
	refused 2 'exactly one REPO' rcu_repo gc --force 1
}

@test "--force N takes a pinned one, a spare or a young one, never the latest" {
	three_versions
	reader "$LOCATION" -s 1
	repo gc --force 1
	[ "$(numbers)" = "2 3 " ]
	repo gc --force 2
	[ "$(numbers)" = "3 " ]
	refused 1 'snapshot 3 is the latest' repo gc --force 3
	refused 1 'there is no snapshot 7' repo gc --force 7
	[ "$(version_of "$LOCATION")" = C ]
}

@test "--force N says whose files it takes" {
	three_versions
	reader "$LOCATION" -s 1
	run -0 --separate-stderr repo gc --force 1 --dry-run
	grep -E " 1 would be reclaimed, though it is pinned by pid $BACKGROUND \($(id -un)\) since .*: (bash|sleep)" <<<"$output"
	[ -e "$STORE/snapshots/1" ]
	run -0 --separate-stderr repo gc --force 1
	grep -E " 1 is reclaimed, though it was pinned by pid $BACKGROUND " <<<"$output"
	# and nothing of the kind where nobody had it
	run -0 --separate-stderr repo gc --force 2
	grep -E ' 2 is reclaimed$' <<<"$output"
}

@test "a pin that is all that has kept a snapshot for longer than the ttl is named, by gc and by sync" {
	three_versions
	reader "$LOCATION" -s 1
	run -0 --separate-stderr gc_all
	[ -z "$stderr" ]
	sed -i "s/^retired = .*/retired = $(($(date +%s) - 2 * 86400))/" "$STORE/.rcu-repo/meta/1"
	run -0 --separate-stderr gc_all
	[ "${#stderr_lines[@]}" = 1 ]
	grep -E "snapshot 1, retired 2d ago, is still pinned by pid $BACKGROUND \(.*gc --force 1" <<<"$stderr"
	make_version "$SOURCE" D
	run -0 --separate-stderr repo sync --quiet --type rsync --uri "$SOURCE" --set sync-rcu-ttl-days=1
	[ "${#stderr_lines[@]}" = 1 ]
	grep -E "snapshot 1, .* is still pinned by pid $BACKGROUND " <<<"$stderr"
	run -0 --separate-stderr repo gc --set sync-rcu-ttl-days=3
	[ -z "$stderr" ]
}

@test "one whose file in meta is damaged stays, for that reason" {
	three_versions
	echo nonsense >"$STORE/.rcu-repo/meta/1"
	run -1 --separate-stderr gc_all
	grep ' 1 stays: its file in meta is damaged: it may be a kept one' <<<"$output"
	grep 'meta/1 is damaged' <<<"$stderr"
	[ "$(numbers)" = "1 3 " ]
	refused 1 'meta/1 is damaged' gc_all --force 1
}

# killed_before_swap VERSION RULE...: a sync dies when the new tree has its number, and latest is still the old one
killed_before_swap() {
	make_version "$SOURCE" "$1"
	shift
	run traced -o "$T/trace" -e trace=symlinkat -e inject=symlinkat:signal=KILL \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE" "$@"
	[ "$status" = 137 ]
}

@test "what was never the latest is no spare and needs no grace period: the version before stays, for a rollback" {
	skip_unless_command strace
	local rule=(--set sync-rcu-ttl-days=0)
	for name in A B C; do sync_version "$name" "${rule[@]}"; done
	[ "$(numbers)" = "2 3 " ]
	killed_before_swap D "${rule[@]}"
	[ "$(numbers) $(latest)" = "2 3 4  3" ]
	settled() {
		repo list --json >"$T/list"
		repo status --json "$@" >"$T/status"
		/usr/bin/python3 - "$T/list" "$T/status" <<-END
			import json, sys
			rows = json.load(open(sys.argv[1]))["snapshots"]
			known = [(r["number"], r["state"], r["published"] is not None, r["retired"] is not None) for r in rows]
			assert known == [(2, "retired", True, True), (3, "latest", True, False), (4, "unpublished", False, False)], known
			rows = [r for r in json.load(open(sys.argv[2]))["status"] if r["item"] == "snapshot"]
			assert [r["state"] for r in rows] == ["spare", "latest", "free"], rows
			assert "never the latest" in rows[2]["by"], rows
		END
	}
	# as it was left, and behind a lock that wrote it down
	settled "${rule[@]}"
	repo keep 2
	repo release 2
	settled "${rule[@]}"
	# with the default of days, too
	run -0 --separate-stderr repo gc
	[[ $output == *" 4 is reclaimed" ]]
	[ "$(numbers)" = "2 3 " ]
	killed_before_swap E "${rule[@]}"
	sync_version F "${rule[@]}"
	[ "$(numbers) $(latest)" = "3 6  6" ]
	repo rollback
	[ "$(latest) $(version_of "$LOCATION")" = "3 C" ]
}

@test "what was never the latest and is published by hand is a version as any other from then on" {
	skip_unless_command strace
	sync_version A
	killed_before_swap B
	repo rollback 2
	[ "$(version_of "$LOCATION")" = B ]
	repo rollback 1
	repo gc --set sync-rcu-ttl-days=0
	[ "$(numbers)" = "1 2 " ]
	run -0 --separate-stderr repo list
	grep -E '^ *2 retired +20[0-9-]+ ' <<<"$output"
}

# slow_deletes PROGRAM...: each of its first thread's deletions takes 20 ms, not those of its children
slow_deletes() { traced -o "$T/slow" -e trace=unlinkat -e inject=unlinkat:delay_enter=20000 "$@"; }

# trash COUNT: so many files in one directory
trash() {
	mkdir -p "$STORE/.rcu-repo/trash/left"
	(cd "$STORE/.rcu-repo/trash/left" && seq "$1" | xargs touch)
}

in_trash() { find "$STORE/.rcu-repo/trash" -type f | wc -l; }

@test "--budget ends it in time, and the rest is for the next one" {
	skip_unless_command strace
	local option
	sync_version A
	trash 2000
	run -0 --separate-stderr slow_deletes "$RCU_REPO" gc --location "$LOCATION" --budget 1
	[[ $stderr == *"time is up"* ]]
	[ "$(in_trash)" -gt 1000 ]
	[ "$(in_trash)" -lt 2000 ]
	run -0 --separate-stderr repo gc --budget 1000
	[ -z "$stderr" ]
	is_empty "$STORE/.rcu-repo/trash"
	for option in 0 -1 1x x '' 99999999999999999999; do
		refused 2 'not a number of seconds' repo gc "--budget=$option"
	done
}

@test "what a sync would have to wait for is deleted by a process that nobody waits for" {
	skip_unless_command strace
	sync_version A
	trash 2000
	make_version "$SOURCE" B
	# a pipe that it had would keep this from ending; strace holds only the sync itself up
	said=$(slow_deletes "$RCU_REPO" sync --location "$LOCATION" --type rsync --uri "$SOURCE" 2>&1)
	[ "$(version_of "$LOCATION")" = B ]
	wait_until is_empty "$STORE/.rcu-repo/trash"
	[[ $said != *trash* ]]
}

@test "that process has no descriptor but the store's, no terminal, and idle priority" {
	skip_unless_command strace
	sync_version A
	trash 2000
	background traced -f -o /dev/null -e trace=unlinkat -e inject=unlinkat:delay_enter=20000 \
		"$RCU_REPO" sync --location "$LOCATION" --type rsync --uri "$SOURCE"
	sweeper() { pid=$(grep -lx rcu-repo-trash /proc/[0-9]*/comm 2>/dev/null | while read -r comm; do
		ls -l "${comm%/comm}/fd" 2>/dev/null | grep -q " $STORE$" && echo "${comm//[!0-9]/}"; done) && [ -n "$pid" ]; }
	wait_until sweeper
	LIB_JOBS+=("$pid")
	# until its first deletion it is still getting there
	wait_until bash -c 'ls -l "/proc/$1/fd" | grep -q "$2/.rcu-repo/trash/left$"' bash "$pid" "$STORE"
	ls -l "/proc/$pid/fd" | sed -n 's/.* -> //p' | sort >"$T/open"
	cat "$T/open"
	[ "$(grep -cx /dev/null "$T/open")" = 3 ]
	[ "$(grep -vcE "^(/dev/null|$STORE|$STORE/.rcu-repo/trash(/left)?)\$" "$T/open")" = 0 ]
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	# no controlling terminal, nice 19
	awk '{ sub(/.*\) /, ""); if ($5 != 0 || $17 != 19) exit 1 }' "/proc/$pid/stat"
	ionice -p "$pid" | grep -x idle
	# another one finds that it is at work, and leaves it to it
	kill -9 "$pid"
	wait_until gone "$pid"
	[ "$(in_trash)" -gt 0 ]
	repo gc
	is_empty "$STORE/.rcu-repo/trash"
}

@test "several repositories, and one that has no store" {
	local command
	two_repositories
	rcu_repo sync one
	make_version "$T/source-one" B
	rcu_repo sync one --set sync-rcu-spare-snapshots=0
	[ "$(ls "$T/store-one/snapshots")" = 2 ]
	rcu_repo gc one
	for command in gc 'gc --dry-run' status readers check 'check --repair'; do
		run -0 --separate-stderr rcu_repo $command
		[[ $stderr == *"rcu-repo: two: not synced yet: $T/store-two is not there"* ]]
		[ ! -e "$T/store-two" ]
	done
	# one that is gone, or not mounted, is another thing
	ln -s "$T/store-two/latest" "$T/two"
	for command in gc 'gc --dry-run' status readers check 'check --repair'; do
		refused 1 "^rcu-repo: two: |$T/store-two" rcu_repo $command
	done
	[ ! -e "$T/store-two" ]
	[ "$(version_of "$T/one")" = B ]
}

@test "a number is never used again" {
	three_versions
	gc_all
	repo gc --force 2 || :
	sync_version A
	[ "$(latest)" = 4 ]
}

# There a lease does not see mappings (helper/store/reclaim.c), and processes that we may not look into would keep all
# snapshots, so it happens in a pid namespace of its own.
on_overlay() {
	mount_overlay "$T/overlay"
	STORE=$T/overlay/store
	LOCATION=$T/overlay/location
	three_versions
	reader "$LOCATION" -s 1
	gc_all
	[ "$(numbers)" = "1 3 " ]
	# its pin file was not taken away either: what it starts is pinned, too
	[ -e "$STORE/.rcu-repo/pins/1" ]
	kill "$BACKGROUND"
	wait "$BACKGROUND" || :
	gc_all
	[ "$(numbers)" = "3 " ]
}

@test "a pinned snapshot on an overlay file system stays, and goes when its reader ends" {
	skip_unless_mount
	skip_unless_overlay
	export T SOURCE
	run -0 unshare --pid --fork --mount-proc bash -ec '
		. "$RCU_SRC/tests/lib.bash"
		. "$RCU_SRC/tests/cli/helpers.bash"
		eval "$1"
		on_overlay' bash "$(declare -f gc_all numbers three_versions on_overlay)"
}

@test "what it asks of the kernel grows with the snapshots by little, whoever has them pinned" {
	skip_unless_command strace
	local count=200
	mkdir -p "$STORE/snapshots"
	(cd "$STORE/snapshots" && seq $count | xargs mkdir)
	ln -s snapshots/$count "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	repo gc
	background /usr/bin/python3 -c 'import os, sys, time
files = [os.open("%s/%d" % (sys.argv[1], n % 200 + 1), os.O_RDONLY) for n in range(800)]
open(sys.argv[2], "w").close()
time.sleep(1000)' "$STORE/.rcu-repo/pins" "$T/ready"
	wait_until test -e "$T/ready"
	traced -f -o "$T/trace" "$RCU_REPO" gc --location "$LOCATION" --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$STORE/snapshots" | wc -l)" = $count ]
	wc -l <"$T/trace"
	[ "$(wc -l <"$T/trace")" -lt $((40 * count + 1000)) ]
}

# keeps HOW COMMAND...: COMMAND runs `rcu-exec -s 1` its own way, and snapshot 1 stays for as long as what it started
keeps() {
	local how=$1
	shift
	rm -f "$T/open/pinned"
	background "$@" -- bash -c 'touch "$1"; exec sleep 1000' bash "$T/open/pinned"
	wait_until test -e "$T/open/pinned"
	gc_all >/dev/null
	[ -e "$STORE/snapshots/1" ] || { echo "lost: $how"; return 1; }
	kill -9 "$BACKGROUND"
	wait "$BACKGROUND" || :
}

@test "a pin through a bind mount, an overlay, a user namespace or all of them keeps its snapshot" {
	skip_unless_mount
	skip_unless_overlay
	for_everybody
	mkdir -m 777 "$T/open"
	three_versions
	keeps bind unshare -m --kill-child bash -ec 'mkdir -p "$2"; mount --bind "$1" "$2"
		shift 2; exec "$@"' bash "$STORE" "$T/bound" "$RCU_EXEC" -l "$T/bound/latest" -s 1
	keeps overlay unshare -m --kill-child bash -ec 'mkdir -p "$2" "$2.w"; mount -t tmpfs tmpfs "$2.w"; mkdir "$2.w/u" "$2.w/w"
		mount -t overlay -o "lowerdir=$1,upperdir=$2.w/u,workdir=$2.w/w" overlay "$2"
		shift 2; exec "$@"' bash "$STORE" "$T/over" "$RCU_EXEC" -l "$T/over/latest" -s 1
	if unprivileged unshare -Ur true 2>/dev/null; then
		keeps users setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Ur "$RCU_EXEC" -l "$LOCATION" -s 1
		keeps 'users, with a bind mount' setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Urm bash -ec '
			mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; exec "$@"' bash "$STORE" "$T/open/mine" \
			"$RCU_EXEC" -l "$T/open/mine/latest" -s 1
	fi
	gc_all
	[ "$(numbers)" = "3 " ]
}

@test "readers that start while versions come and go, half of them killed: none loses its tree, none stays for ever" {
	local i
	make_version "$T/source-A" A
	make_version "$T/source-B" B
	repo sync --quiet --type rsync --uri "$T/source-A"
	cat >"$T/readers.py" <<-'END'
		import os, random, subprocess, sys, time
		rcu_exec, location, stop = sys.argv[1:]
		read = 'a=$(cat "$1/version") && sleep 0.02 && b=$(cat "$1/version") && c=$(cat "$1/app-misc/one/one-1.ebuild") &&' \
		    ' [ "$a" = "$b" ] && [ "$c" = "app-misc/one/one-1.ebuild of version $a" ]'
		running, bad, good, killed = [], 0, 0, 0
		while running or not os.path.exists(stop):
		    while len(running) < 16 and not os.path.exists(stop):
		        process = subprocess.Popen([rcu_exec, "-l", location, "--", "sh", "-c", read, "sh", location])
		        end = time.monotonic() + random.random() * 0.01 if random.random() < 0.5 else None
		        running.append((process, end))
		    for process, end in list(running):
		        if end and time.monotonic() > end and process.poll() is None:
		            process.kill()
		        if process.poll() is not None:
		            running.remove((process, end))
		            if process.returncode == -9 and end:
		                killed += 1
		            elif process.returncode == 0:
		                good += 1
		            else:
		                bad += 1
		    time.sleep(0.001)
		print(good, killed, bad)
	END
	background /usr/bin/python3 "$T/readers.py" "$RCU_EXEC" "$LOCATION" "$T/stop" >"$T/counts" 2>"$T/said"
	for i in {1..3}; do
		repo sync --quiet --type rsync --uri "$T/source-B"
		gc_all >/dev/null
		repo sync --quiet --type rsync --uri "$T/source-A"
		gc_all >/dev/null
	done
	touch "$T/stop"
	wait "$BACKGROUND"
	cat "$T/counts" "$T/said"
	read -r good killed bad <"$T/counts"
	[ "$bad" = 0 ]
	[ "$good" -ge 5 ]
	[ "$killed" -ge 5 ]
	gc_all
	[ "$(numbers)" = "$(latest) " ]
	run -0 --separate-stderr repo check
	[ -z "$output" ]
	echo "# $good readers, $killed killed, 0 without their tree" >&3
}

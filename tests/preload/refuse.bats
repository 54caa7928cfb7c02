#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A pinned snapshot against a read-only mount of it: the kernel of this machine is the oracle.
load ../lib

setup() {
	lib_init
	PROBE=$RCU_BUILD/tests/preload/refuse-probe
	SNAPSHOT=$STORE/snapshots/1
	OUTSIDE=$T/outside
	# as deep as the snapshot, so that links which climb out lead to the same place
	MOUNT=$T/mount/by/1
	make_store
}

teardown() {
	chattr -i "$SNAPSHOT/immutable" 2>/dev/null || :
	lib_done
}

# A store by hand, with one of everything in its snapshot.
make_store() {
	mkdir -p "$SNAPSHOT/dir" "$SNAPSHOT/empty" "$STORE/.rcu-repo/pins" "$OUTSIDE" "$MOUNT"
	ln -s snapshots/1 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	: >"$STORE/.rcu-repo/pins/1"
	cd "$SNAPSHOT"
	echo content | tee file dir/file secret mine mine-not immutable >/dev/null
	ln -s file link
	ln -s dir dirlink
	ln -s nothing dangling
	ln -s nodir/x dangling-deep
	ln -s nothing/ dangling-slash
	ln -s loop loop
	ln -s "$OUTSIDE/file" out
	ln -s "$OUTSIDE/new" out-missing
	ln -s "$OUTSIDE" out-dir
	ln -s ../../../outside/file relative-out
	ln -s ../../../outside/new relative-missing
	mkfifo fifo
	/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
	mkdir closed
	touch closed/x
	chmod 600 secret
	chmod 700 closed
	if [ "$(id -u)" = 0 ]; then
		mknod device c 1 3
		chmod 666 device fifo
		chown 65534:65534 mine mine-not
		chmod 400 mine-not
		chattr +i immutable 2>/dev/null || :
	fi
	cd "$T"
}

state() { (cd "$SNAPSHOT" && find . -printf '%p %y %m %U %G %n %s %T@ %C@ %l\n' | sort; cat file dir/file); }

pinned() { env LD_PRELOAD="$RCU_EXEC_SHIM" RCU_EXEC_PINS="$LOCATION=$SNAPSHOT" "$@"; }

# What the kernel says of a read-only mount: on_mount HOW [COMMAND...], in a mount namespace of its own
on_mount() {
	local how=$1
	shift
	unshare --mount --propagation private sh -ec '
		mount --bind "$1" "$2"
		mount -o remount,bind,ro "$2"
		shift
		root=$1 probe=$2 how=$3 outside=$4
		shift 4
		exec "$@" "$probe" "$how" "$root" "$outside"' \
		sh "$SNAPSHOT" "$MOUNT" "$PROBE" "$how" "$OUTSIDE" "$@"
}

# same_as_mount HOW ROOT [COMMAND...]
same_as_mount() {
	local how=$1 root=$2 before
	shift 2
	skip_unless_mount
	before=$(state)
	on_mount "$how" "$@" >"$T/kernel"
	[ "$(state)" = "$before" ]
	"$@" env LD_PRELOAD="$RCU_EXEC_SHIM" RCU_EXEC_PINS="$LOCATION=$SNAPSHOT" \
		"$PROBE" "$how" "$root" "$OUTSIDE" >"$T/shim"
	[ "$(wc -l <"$T/kernel")" -gt 50000 ]
	# older kernels (6.1) look at the mount before they ask for permission
	if grep -qE '^truncate( by .proc on read)? immutable: EROFS' "$T/kernel"; then
		sed -i -E '/^truncate/s/: (EACCES|EPERM)$/: EROFS/' "$T/shim"
	fi
	if ! cmp -s "$T/kernel" "$T/shim"; then
		diff "$T/kernel" "$T/shim" | grep -c '^>'
		diff "$T/kernel" "$T/shim" | head -40
		return 1
	fi
	# the tree is what it was, or something was not refused
	diff <(echo "$before") <(state)
}

as_nobody() {
	for_everybody "$PROBE"
	PROBE=$T/public/refuse-probe
	chown 65534:65534 "$OUTSIDE"
}

@test "the snapshot itself is not moved or removed, whatever slashes stand behind its names" {
	mkdir "$T/dir"
	cat >"$T/moves.py" <<-END
		import errno, os, sys
		location, snapshot, beside = sys.argv[1:]
		def tried(want, call, *arguments):
		    try:
		        call(*arguments)
		        got = "done"
		    except OSError as error:
		        got = errno.errorcode[error.errno]
		    if got != want:
		        sys.exit(f"{call.__name__}{arguments}: {got}, not {want}")
		for name in (location + "/", location + "//", snapshot, snapshot + "/"):
		    mounted = name.startswith(snapshot)
		    tried("EBUSY" if mounted else "ENOTDIR", os.rename, name, beside)
		    tried("EBUSY" if mounted else "ENOTDIR", os.rename, beside + "/dir", name)
		    tried("EBUSY" if mounted else "ENOTDIR", os.rmdir, name)
		    tried("EEXIST", os.mkdir, name)
		    tried("EEXIST", os.symlink, "x", name)
		tried("EROFS", os.mkdir, location + "/new/")
		tried("done", os.rename, beside + "/dir", beside + "/moved/")
	END
	RCU_EXEC_PINS=$LOCATION=$SNAPSHOT LD_PRELOAD=$RCU_EXEC_SHIM \
		/usr/bin/python3 "$T/moves.py" "$LOCATION" "$SNAPSHOT" "$T"
	[ -e "$SNAPSHOT/dir/file" ]
	[ -d "$T/moved" ]
}

@test "as root, by the location" { same_as_mount path "$LOCATION"; }

@test "as root, by the snapshot's own path" { same_as_mount path "$SNAPSHOT"; }

@test "as root, from inside" { same_as_mount cwd "$LOCATION"; }

@test "as root, by a descriptor" { same_as_mount at "$LOCATION"; }

@test "as root, by the location, with the numbers of system calls" {
	PROBE=$RCU_BUILD/tests/preload/refuse-probe-raw
	same_as_mount path "$LOCATION"
}

@test "as root, by a descriptor, with the numbers of system calls" {
	PROBE=$RCU_BUILD/tests/preload/refuse-probe-raw
	same_as_mount at "$LOCATION"
}

@test "unprivileged, by the location" {
	as_nobody
	same_as_mount path "$LOCATION" setpriv --reuid=65534 --regid=65534 --clear-groups
}

@test "unprivileged, from inside" {
	as_nobody
	same_as_mount cwd "$LOCATION" setpriv --reuid=65534 --regid=65534 --clear-groups
}

@test "unprivileged, by a descriptor" {
	as_nobody
	same_as_mount at "$LOCATION" setpriv --reuid=65534 --regid=65534 --clear-groups
}

@test "without a descriptor left" {
	local before
	before=$(state)
	run pinned /usr/bin/python3 -c '
import errno, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
for call in os.unlink, os.rmdir, lambda path: os.chmod(path, 0), lambda path: os.truncate(path, 1), \
        lambda path: os.mkdir(path + "-new"), lambda path: os.rename(path, path + "-new"):
    try:
        call(sys.argv[1])
    except OSError as error:
        print(errno.errorcode[error.errno])
' "$LOCATION/dir/file"
	echo "$output"
	[ "$(sort -u <<<"$output")" = EROFS ]
	[ "${#lines[@]}" = 6 ]
	diff <(echo "$before") <(state)
}

@test "from one snapshot to another it is EXDEV, as between two mounts" {
	mkdir -p "$T/other/snapshots/7"
	ln -s snapshots/7 "$T/other/latest"
	run env LD_PRELOAD="$RCU_EXEC_SHIM" \
		RCU_EXEC_PINS="$LOCATION=$SNAPSHOT"$'\n'"$T/other-location=$T/other/snapshots/7" \
		/usr/bin/python3 -c '
import errno, os, sys
for call in os.rename, os.link:
    try:
        call(sys.argv[1] + "/file", sys.argv[2] + "/file")
    except OSError as error:
        print(errno.errorcode[error.errno])
' "$LOCATION" "$T/other/latest"
	echo "$output"
	# a link is refused by where it would be made, first
	[ "$output" = EXDEV$'\n'EROFS ]
	[ -e "$SNAPSHOT/file" ]
	[ ! -e "$T/other/snapshots/7/file" ]
}

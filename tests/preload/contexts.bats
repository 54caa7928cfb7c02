# SPDX-License-Identifier: LGPL-2.1-or-later
# Calls from where little is allowed; rules of a call that the shim has to keep; other preloads beside it.

load ../lib
load pinned

setup() {
	lib_init
	make_store
}
teardown() { lib_done; }

context() {
	run pinned "$PROBES/contexts" "$@"
	echo "$output"
	[ "$status" = 0 ]
	[ "$output" = ok ]
}

@test "from eight threads" { context threads "$LOCATION/version"; }
@test "from a vfork child" { context vfork "$LOCATION/app-misc/one/Manifest"; }
@test "on a stack of two pages" { context tiny-stack "$LOCATION/app-misc/link"; }
@test "from a signal handler in the middle of the same calls" { context signal-handler "$LOCATION/header"; }
@test "errno after success is the caller's" { context errno "$LOCATION/version"; }
@test "the mode of open arrives, and is not read where there is none" { context modes "$LOCATION/version"; }
@test "__open_2 with O_CREAT ends the program, as in libc" { context checked-open "$LOCATION/new"; }
@test "dlsym and dlvsym of a program find the shim" { context by-name "$LOCATION/version"; }
@test "librcu_exec_stand_aside ends redirection" { context stand-aside "$LOCATION/version"; }
@test "links that the program itself moves are seen" { context own-link "$LOCATION/version"; }

@test "realpath of relative paths, as directories and links change" { context relative-realpath "$LOCATION/version"; }

@test "dlopen searches along the caller's RUNPATH" { context runpath "$LOCATION/version"; }

@test "sockets are found in the pinned snapshot, also where its path is too long for an address" {
	local deep=$T/deep
	while ((${#deep} < 150)); do deep=$deep/a-long-name; done
	mkdir -p "$deep"
	mv "$STORE" "$deep/store"
	ln -sfn "$deep/store/latest" "$T/l"
	cat >"$T/sockets.py" <<-'END'
		import errno, os, socket, sys
		store, location = sys.argv[1:]
		def ends():
		    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
		        yield socket.socket(socket.AF_UNIX, kind), kind
		for n in "1", "10": # by a directory of /proc: the path is too long
		    for end, kind in ends():
		        os.chdir(f"{store}/snapshots/{n}")
		        end.bind(f"socket-{kind.value}")
		        if kind == socket.SOCK_STREAM:
		            end.listen()
		        globals()[f"end_{n}_{kind.value}"] = end
		os.chdir("/")
		if os.fork() == 0:
		    os.execvpe(sys.executable, [sys.executable, "-c", """if True:
		        import errno, socket, sys
		        location = sys.argv[1]
		        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		        end.connect(location + "/socket-1")
		        end.send(b"stream")
		        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		        end.sendto(b"to", location + "/socket-2")
		        end.sendmsg([b"message"], [], 0, location + "/socket-2")
		        for name, want in ("/socket-1", errno.EADDRINUSE), ("/new", errno.EROFS):
		            try:
		                socket.socket(socket.AF_UNIX).bind(location + name)
		            except OSError as error:
		                assert error.errno == want, (name, error)
		    """, location], dict(os.environ, RCU_EXEC_PINS=f"{location}={store}/snapshots/1", LD_PRELOAD=os.environ["RCU_EXEC_SHIM"]))
		assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
		end_1_1.settimeout(0)
		end_1_2.settimeout(0)
		assert end_1_1.accept()[0].recv(9) == b"stream"
		assert [end_1_2.recv(9), end_1_2.recv(9)] == [b"to", b"message"]
	END
	/usr/bin/python3 "$T/sockets.py" "$deep/store" "$T/l"
}

@test "links that a child of the program moves are seen" {
	mkdir "$T/other"
	echo other >"$T/other/version"
	ln -s "$T/other" "$T/way"
	run pinned bash -c 'read -r a <"$0/version"; ln -sfn "$1" "$0"; read -r b <"$0/version"; echo "$a $b"' \
		"$T/way" "$LOCATION"
	echo "$output"
	[ "$output" = "other one" ]
}

@test "links that a child of the program moves are seen where nobody asks about it" {
	mkdir "$T/way"
	echo other >"$T/way/version"
	run pinned /usr/bin/python3 -c '
import os, shutil, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
way, location = sys.argv[1:]
print(open(way + "/version").read().strip())
child = os.fork()
if child == 0:
    shutil.rmtree(way)
    os.symlink(location, way)
    os._exit(0)
try:
    os.waitpid(child, 0)
except ChildProcessError:
    print("ignored")
print(open(way + "/version").read().strip())' "$T/way" "$LOCATION"
	echo "$output"
	[ "$output" = $'other\nignored\none' ]
}

@test "a directory in the place of LOCATION is not taken for it, wherever its links lead" {
	rm "$LOCATION"
	mkdir "$LOCATION"
	ln -s "$STORE/latest/version" "$LOCATION/version"
	ln -s "$STORE/latest/version" "$LOCATION/outside"
	echo own >"$LOCATION/header"
	run pinned /usr/bin/python3 -c '
import os, sys
for name in "version", "outside", "header", "version":
    os.access(sys.argv[1] + "/" + name, os.R_OK)
    print(open(sys.argv[1] + "/" + name).read().strip())
print(sorted(os.listdir(sys.argv[1])))' "$LOCATION"
	echo "$output"
	[ "$output" = $'one\none\nown\none\n'"['header', 'outside', 'version']" ]
}

@test "behind a seccomp filter it makes the program's own system calls and no other" {
	local how file
	for how in confined confined-by-number; do
		for file in app-misc/one/Manifest version; do
			cat "$PINNED/$file" "$PINNED/$file" "$PINNED/$file" >"$T/want"
			run pinned "$PROBES/contexts" "$how" "$LOCATION/$file"
			echo "$how $file: $status $output"
			[ "$status:$output" = "0:$(cat "$T/want")" ]
			[ "$(pinned "$PROBES/contexts" "$how" "$STORE/latest/$file")" = "$(cat "$T/want")" ]
			[ "$(pinned "$PROBES/contexts" "$how" "/proc/version")" != "" ]
		done
		[ "$("$PROBES/contexts" "$how" "$LOCATION/version")" = $'ten\nten\nten' ]
	done
}

@test "started behind a filter by a pinned program: no other system call either" {
	cat "$PINNED/version" "$PINNED/version" >"$T/want"
	run pinned "$PROBES/contexts" confined-start "$LOCATION/version"
	echo "$status $output"
	[ "$status:$output" = "0:$(cat "$T/want")" ]
	run pinned "$PROBES/contexts" confined-start "$STORE/latest/app-misc/one/Manifest"
	[ "$status:$output" = "0:$(cat "$PINNED/app-misc/one/Manifest" "$PINNED/app-misc/one/Manifest")" ]
	# the pin goes along, from one to the next
	mkfifo "$T/fifo"
	exec 7<>"$T/fifo"
	background env RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/1" LD_PRELOAD="$RCU_EXEC_SHIM" \
		"$PROBES/contexts" confined-start "$T/fifo"
	wait_until grep -q confined-child "/proc/$BACKGROUND/cmdline"
	echo >&7
	wait_until grep -q confined-grandchild "/proc/$BACKGROUND/cmdline"
	wait_until grep -q pins/1 "/proc/$BACKGROUND/maps"
	echo >&7
	exec 7>&-
	[ "$("$PROBES/contexts" confined-start "$LOCATION/version")" = $'ten\nten' ]
}

@test "openat2 in a root of its own: absolute paths and links begin there, and .. does not lead out" {
	cat >"$T/in-root.py" <<-'END'
		import ctypes, errno, os, struct, sys
		call = ctypes.CDLL(None, use_errno=True).syscall
		def read(root, path, flags=0, resolve=0x10):
		    dir = os.open(root, os.O_PATH)
		    how = struct.pack("QQQ", flags, 0o644 if flags & os.O_CREAT else 0, resolve)
		    fd = call(437, dir, path.encode(), how, 24)
		    # a rename somewhere else, while a ".." was walked: try again (openat2(2))
		    while fd < 0 and ctypes.get_errno() == errno.EAGAIN:
		        fd = call(437, dir, path.encode(), how, 24)
		    os.close(dir)
		    if fd < 0:
		        return os.strerror(ctypes.get_errno())
		    with open(fd, "rb") as file:
		        return file.read().decode().strip()
		root, store = sys.argv[1:3]
		for path in "/latest/version", "latest/version", "../../latest/version", "snapshots/../../latest/app-misc/one/../../version", \
		        "/rooted", "rooted/../version", "deep/up", "latest/none", "snapshots/10/version":
		    print(path, read(store, path), read(store, path, os.O_RDWR), sep=": ")
		for path in "snapshots/1/version", "latest/version", "snapshots/1/none":
		    print("no links:", path, read(store, path, os.O_RDWR, 4), sep=": ")
		print("new", read(store, "latest/new", os.O_RDWR | os.O_CREAT) if len(sys.argv) > 3 else "Read-only file system", sep=": ")
		for path in store + "/latest/version", "in/location/version", "in/store/latest/version", "/in/absolute/version":
		    print(path.replace(root, "ROOT"), read(root, path), sep=": ")
	END
	ln -s /latest/version "$STORE/rooted"
	mkdir "$STORE/deep" "$T/in"
	ln -s ../../../latest/version "$STORE/deep/up"
	mount_bind "$T" "$T/in" 2>/dev/null || ln -sfn .. "$T/in/x"
	ln -s /store/latest "$T/absolute"
	for n in 1 10; do
		ln -sfn snapshots/$n "$STORE/latest"
		[ $n = 10 ] || /usr/bin/python3 "$T/in-root.py" "$T" "$STORE" | sed "s/Read-only file system/one/" >"$T/want"
	done
	pinned /usr/bin/python3 "$T/in-root.py" "$T" "$STORE" new >"$T/got"
	diff "$T/want" <(sed "s/Read-only file system/one/" "$T/got")
	grep -qx '/latest/version: one: Read-only file system' "$T/got"
	grep -qx 'no links:: snapshots/1/version: Read-only file system' "$T/got"
	grep -qx 'new: Read-only file system' "$T/got"
	grep -qx 'deep/up: one: Read-only file system' "$T/got"
	/usr/bin/python3 "$T/in-root.py" "$T" "$STORE" | grep -q '^/latest/version: ten'
}

@test "freopen without a path does not open a pinned file for writing" {
	context reopen "$LOCATION/version"
	[ "$(cat "$PINNED/version")" = one ]
}

@test "calls that differ from another in name or type only are refused, too" {
	(cd "$PINNED" && find . -exec stat -c '%n %i %s %z' {} + | sort) >"$T/want"
	context variants "$LOCATION/version"
	(cd "$PINNED" && find . -exec stat -c '%n %i %s %z' {} + | sort) >"$T/got"
	diff "$T/want" "$T/got"
}

@test "letters of a template come back from a mapped path" {
	mkdir "$STORE/tmp"
	context templates "$STORE/tmp"
	context templates "$LOCATION/../../tmp"
	context templates "$LOCATION/app-misc/../../../tmp"
	[ -n "$(ls "$STORE/tmp")" ]
}

@test "the same calls without a pin" {
	local what
	for what in threads vfork tiny-stack signal-handler errno modes own-link; do
		[ "$("$PROBES/contexts" $what "$LOCATION/version")" = ok ]
	done
}

# --- other preloads ---

@test "a preload behind the shim, without versions, is called with the pinned path" {
	PRELOADS_BEHIND=:$PROBES/.libs/libothers.so
	run pinned "$PROBES/probe" "$LOCATION/version" access stat realpath
	echo "$output"
	[ "$status" = 0 ]
	grep -qF "others: access $(realpath "$PINNED")/version" <<<"$output"
	# a stat is tried without following first
	grep -qF "others: lstat $(realpath "$PINNED")/version" <<<"$output"
	grep -qF "others: realpath $(realpath "$PINNED")/version" <<<"$output"
	"$PROBES/probe" "$PINNED/version" access stat realpath >"$T/want"
	diff "$T/want" <(grep -v '^others: ' <<<"$output")
}

@test "a preload before the shim is called with the program's path, and passes it on" {
	PRELOADS_BEFORE=$PROBES/.libs/libothers.so:
	run pinned "$PROBES/probe" "$LOCATION/version" access stat realpath
	echo "$output"
	[ "$status" = 0 ]
	grep -qF "others: access $LOCATION/version" <<<"$output"
	grep -qF "others: stat $LOCATION/version" <<<"$output"
	"$PROBES/probe" "$PINNED/version" access stat realpath >"$T/want"
	diff "$T/want" <(grep -v '^others: ' <<<"$output")
}

@test "libfakeroot before the shim and behind it" {
	local lib
	skip_unless_command fakeroot
	lib=$(find /usr/lib -name 'libfakeroot-sysv.so' -print -quit)
	[ -n "$lib" ] || skip "no libfakeroot-sysv.so here"
	[ "$(pinned fakeroot stat -c '%u %s' "$LOCATION/version")" = "0 4" ]
	[ "$(pinned fakeroot cat "$LOCATION/version")" = one ]
	[ "$(PRELOADS_BEFORE=$lib: pinned cat "$LOCATION/version" 2>&1)" = one ]
	[ "$(PRELOADS_BEHIND=:$lib pinned cat "$LOCATION/version" 2>&1)" = one ]
}

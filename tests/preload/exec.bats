#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The pin and the shim go along with every exec, whatever the program did to its descriptors and its environment.
load ../lib
load pinned

ENVIRONMENTS="kept empty null rebuilt"

setup() {
	lib_init
	make_store
	PROBE=$PROBES/exec-probe
}
teardown() { lib_done; }

# What the started program sees is snapshot 1, held, and no descriptor of ours: seen CALL [ENVIRONMENT...]
seen() {
	local call=$1 kind got
	shift
	for kind in ${*:-$ENVIRONMENTS}; do
		got=$(pinned "$PROBE" "$call" "$kind" "$PROBE" look "$LOCATION/version") || :
		[ "$got" = "one held 0" ] || {
			echo "$call, environment $kind: $got"
			return 1
		}
	done
}

@test "execve" { seen execve; }
@test "execv" { seen execv; }
@test "execvp" { seen execvp; }
@test "execvpe" { seen execvpe; }
@test "execl" { seen execl; }
@test "execlp" { seen execlp; }
@test "execle" { seen execle; }
@test "fexecve" { seen fexecve; }
@test "execveat" { seen execveat; }
@test "execveat of a descriptor" { seen execveat-empty; }
@test "posix_spawn" { seen posix_spawn; }
@test "posix_spawnp" { seen posix_spawnp; }
@test "posix_spawn of old programs" { seen posix_spawn-old; }
@test "posix_spawnp of old programs" { seen posix_spawnp-old; }
@test "posix_spawn that closes all descriptors in the child" { seen posix_spawn-closefrom; }
@test "execve in a vfork child" { seen vfork; }
@test "execve in a child with two pages of stack" { seen clone; }
@test "system" { seen system; }
@test "popen" { seen popen; }
@test "_IO_popen" { seen _IO_popen; }

@test "without the shim the probe sees the other snapshot" {
	[ "$("$PROBE" execve kept "$PROBE" look "$LOCATION/version")" = "ten not-held 0" ]
}

@test "a program in the repository is the pinned one: by path" {
	local call
	for call in execve execv execvp execvpe execl execle execlp fexecve execveat posix_spawn \
		posix_spawnp posix_spawn-old vfork system popen; do
		echo "$call"
		[ "$(pinned "$PROBE" $call kept "$LOCATION/tell")" = one ]
	done
}

@test "a program in the repository is the pinned one: through PATH" {
	local call
	for call in execvp execvpe execlp posix_spawnp posix_spawnp-old; do
		echo "$call"
		[ "$(PATH="/nowhere:$LOCATION:$PATH" pinned "$PROBE" $call kept tell)" = one ]
		[ "$(cd "$LOCATION" && PATH=":$PATH" pinned "$PROBE" $call rebuilt tell)" = ten ]
	done
	# an empty entry is the directory where the program is then, and chdir went to the snapshot
	[ "$(PATH=":$PATH" pinned bash -c 'cd "$1" && exec tell' bash "$LOCATION")" = one ]
}

@test "a script whose interpreter is in the repository, by a path through the location" {
	local number call interpreter
	for number in 1 10; do
		printf '#!/bin/sh -e\necho %s "$@"\n' $number >"$STORE/snapshots/$number/interpret"
		printf '#!%s\n' "$LOCATION/interpret" >"$STORE/snapshots/$number/indirect"
		chmod 755 "$STORE/snapshots/$number/interpret" "$STORE/snapshots/$number/indirect"
	done
	for interpreter in "$LOCATION/interpret -x  y " "$STORE/latest/./interpret" "$LOCATION/indirect x"; do
		printf '#! %s\nnonsense\n' "$interpreter" >"$T/script"
		chmod 755 "$T/script"
		want=$("$T/script" first second)
		[ "${want%% *}" = 10 ]
		for call in execve execv execvp execvpe execl execlp execle posix_spawn posix_spawnp posix_spawn-old \
			vfork clone system popen; do
			got=$(PATH=$T:$PATH pinned "$PROBE" $call kept "$T/script" first second)
			echo "$call $interpreter: $got"
			[ "${got//$STORE\/snapshots\/1/$LOCATION}" = "${want/#10/1}" ]
		done
	done
	printf '#!%s\n' "$T/round" >"$T/round"
	printf '#!%s/\n' "$LOCATION/none" >"$T/none"
	printf '#!%s\n' "$LOCATION/version" >"$T/denied"
	chmod 755 "$T/round" "$T/none" "$T/denied"
	for script in round none denied; do
		want=$("$PROBE" execve kept "$T/$script" 2>&1) || :
		[ "$(pinned "$PROBE" execve kept "$T/$script" 2>&1)" = "$want" ]
		[ -n "$want" ]
	done
}

# calls: the lines on stdin are python, after these
calls() {
	cat >"$T/calls.py" <<-'END'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		T, LOCATION, STORE = (os.fsencode(a) for a in sys.argv[1:4])
		def texts(*all): return (ctypes.c_char_p * (len(all) + 1))(*all, None)
		def child(act):
		    ends = os.pipe()
		    pid = os.fork()
		    if pid == 0:
		        os.dup2(ends[1], 1)
		        act()
		        os._exit(ctypes.get_errno())
		    os.close(ends[1])
		    said = open(ends[0], "rb", closefd=False).read().strip()
		    os.close(ends[0])
		    return said, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
	END
	cat >>"$T/calls.py"
	pinned /usr/bin/python3 "$T/calls.py" "$T" "$LOCATION" "$STORE" 2>&1
}

@test "a script that is executed by a descriptor, and whose interpreter is in the repository" {
	for number in 1 10; do
		printf '#!/bin/sh\necho %s "$@"; cat "$1"\n' $number >"$STORE/snapshots/$number/interpret"
		chmod 755 "$STORE/snapshots/$number/interpret"
	done
	printf '#!%s\nnonsense\n' "$LOCATION/interpret" >"$T/script"
	chmod 755 "$T/script"
	calls <<-'END'
		EMPTY = 0x1000
		def run(dir, path, flags, keep=True):
		    os.set_inheritable(dir, keep)
		    return child(lambda: libc.execveat(dir, path, texts(b"zero", b"one"), texts(), flags))
		whole = b"#!" + LOCATION + b"/interpret\nnonsense"
		fd = os.open(T + b"/script", os.O_RDONLY)
		wanted = b"1 /dev/fd/%d one\n" % fd + whole
		assert run(fd, b"", EMPTY) == (wanted, 0), run(fd, b"", EMPTY)
		assert child(lambda: libc.fexecve(fd, texts(b"zero", b"one"), texts())) == (wanted, 0)
		dir = os.open(T, os.O_PATH)
		assert run(dir, b"script", 0) == (b"1 /dev/fd/%d/script one\n" % dir + whole, 0)
		# what the kernel says of a descriptor that the exec closes
		assert run(fd, b"", EMPTY, False) == (b"", 2)
	END
}

@test "posix_spawn: what is relative is so to where the actions before it have gone" {
	mkdir -p "$T/there/deeper"
	for number in 1 10; do
		mkdir "$STORE/snapshots/$number/dir"
		echo "inner $number" >"$STORE/snapshots/$number/dir/inner"
		printf '#!/bin/sh\necho tell %s\n' $number >"$STORE/snapshots/$number/dir/tell"
		chmod 755 "$STORE/snapshots/$number/dir/tell"
	done
	ln -s ../location "$T/there/in"
	[ "$LOCATION" = "$T/location" ] || ln -s "$LOCATION" "$T/location"
	echo plain >"$T/there/plain"
	calls <<-'END'
		def spawn(program, *actions, argv=(b"cat",)):
		    room = ctypes.create_string_buffer(256)
		    libc.posix_spawn_file_actions_init(room)
		    for name, *arguments in actions:
		        error = getattr(libc, "posix_spawn_file_actions_add" + name)(room, *arguments)
		        if error: return error
		    ends = os.pipe()
		    libc.posix_spawn_file_actions_adddup2(room, ends[1], 1)
		    pid = ctypes.c_int()
		    error = libc.posix_spawn(ctypes.byref(pid), program, room, None, texts(*argv), texts())
		    libc.posix_spawn_file_actions_destroy(room)
		    os.close(ends[1])
		    said = open(ends[0], "rb", closefd=False).read().strip()
		    os.close(ends[0])
		    if error == 0: os.waitpid(pid.value, 0)
		    return error or said
		def open_(path, flags=0): return ("open", 0, path, flags, 0o644)
		def to(path): return ("chdir_np", path)
		CAT = b"/bin/cat"
		os.chdir(T)
		there = os.open(T + b"/there/deeper", os.O_PATH | os.O_DIRECTORY)
		for got in (spawn(CAT, open_(b"there/in/dir/inner")),
		            spawn(CAT, to(b"there"), open_(b"in/dir/inner")),
		            spawn(CAT, to(T + b"/there"), to(b"deeper"), open_(b"../in/dir/inner")),
		            spawn(CAT, to(b"there/in"), open_(b"dir/inner")),
		            spawn(CAT, to(b"there"), to(b"in/dir"), open_(b"inner")),
		            spawn(CAT, ("fchdir_np", there), open_(b"../in/dir/inner")),
		            spawn(CAT, to(b"/"), ("fchdir_np", there), to(b".."), to(b"deeper"), open_(b"../in/dir/inner")),
		            spawn(CAT, to(b"there"), argv=(b"cat", b"in/dir/inner"))):
		    assert got == b"inner 1", got
		for got in (spawn(b"there/in/dir/tell", to(b".")), spawn(b"in/dir/tell", to(b"there")),
		            spawn(b"../in/dir/tell", ("fchdir_np", there)), spawn(b"there/in/dir/tell", open_(b"/dev/null"))):
		    assert got == b"tell 1", got
		assert spawn(CAT, to(b"there"), open_(b"plain")) == b"plain"
		assert spawn(CAT, to(b"there"), open_(b"in/dir/inner", os.O_RDWR)) == 30 # EROFS
		assert spawn(CAT, to(b"nowhere"), open_(b"in/dir/inner")) == 2
		assert spawn(b"missing", to(b"there")) == 2
	END
}

@test "a script whose first line has no end, and one whose argument is cut" {
	local number
	for number in 1 10; do
		printf '#!/bin/sh\necho %s\n' $number >"$STORE/snapshots/$number/interpret"
		chmod 755 "$STORE/snapshots/$number/interpret"
	done
	printf '#!%s' "$LOCATION/interpret" >"$T/no-end"
	printf '#!%s %0400d\n' "$LOCATION/interpret" 7 >"$T/cut"
	chmod 755 "$T/no-end" "$T/cut"
	for file in no-end cut; do
		[ "$("$T/$file")" = 10 ]
		[ "$(pinned "$PROBE" execve kept "$T/$file")" = 1 ]
		[ "$(PATH=$T:$PATH pinned "$PROBE" posix_spawnp kept "$file")" = 1 ]
		[ "$(pinned "$PROBE" execveat kept "$T/$file")" = 1 ]
	done
}

@test "make starts programs of the repository by relative paths" {
	skip_unless_command make
	printf 'all:\n\t@location/tell\n\t@./location/tell; true\n' >"$T/Makefile"
	[ "$(dirname "$LOCATION")" = "$T" ]
	unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs the tests
	[ "$(cd "$T" && pinned make -s)" = $'one\none' ]
}

@test "to execute a FIFO does not open it" {
	mkfifo -m 777 "$T/fifo"
	background sh -c ': >"$1"; echo opened >"$2"' sh "$T/fifo" "$T/opened"
	run -126 pinned sh -c 'exec "$1"' sh "$T/fifo"
	sleep 0.2
	[ ! -e "$T/opened" ]
	kill "$BACKGROUND"
}

@test "PATH is searched as libc searches it" {
	mkdir "$T/closed" "$T/text" "$T/good" "$T/odd"
	printf 'echo text\n' >"$T/text/prog"
	printf '#!/bin/sh\necho good\n' >"$T/good/prog"
	printf 'echo odd $1\n' >"$T/odd/prog"
	chmod 755 "$T/good/prog" "$T/odd/prog"
	local call path
	for call in execvp execvpe execlp posix_spawnp posix_spawnp-old; do
		for path in "$T/text:$T/good" "/dev/null:$T/good" "$T/text" "$T/odd:$T/good" "" ":" "$T/good:" \
			"$T/text:$T/nothing"; do
			run env -u LD_PRELOAD PATH="$path" "$PROBE" $call kept prog argument
			want=$status:$output
			run pinned /usr/bin/env PATH="$path" "$PROBE" $call kept prog argument
			echo "$call $path: $want, $status:$output"
			[ "$status:$output" = "$want" ]
		done
	done
}

@test "LD_PRELOAD keeps what others have put there, and the shim stands last" {
	local others=$PROBES/.libs/libothers.so
	run pinned env LD_PRELOAD="$others" "$PROBE" show
	grep -qxF "LD_PRELOAD=$others:$RCU_EXEC_SHIM" <<<"$output"
	run pinned env LD_PRELOAD="$others $RCU_EXEC_SHIM" "$PROBE" show
	grep -qxF "LD_PRELOAD=$others $RCU_EXEC_SHIM" <<<"$output"
	[ "$(grep -c ^LD_PRELOAD= <<<"$output")" = 1 ]
}

@test "what a program knew at its start wins over what its environment says" {
	run pinned env RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/10" "$PROBE" look "$LOCATION/version"
	[ "$output" = "one held 0" ]
	run pinned env RCU_EXEC_PINS= RCU_EXEC_STRICT=1 sh -c 'echo "$RCU_EXEC_PINS"; echo "$RCU_EXEC_STRICT"'
	[ "$output" = "$LOCATION=$STORE/snapshots/1" ]
}

@test "the rest of the environment arrives in its order" {
	run pinned env -i B=1 RCU_EXEC_FDS=7 A=2 B=3 "$PROBE" show
	[ "$(grep -v -e ^RCU_EXEC -e ^LD_PRELOAD <<<"$output")" = "B=3"$'\n'"A=2" ] ||
		[ "$(grep -v -e ^RCU_EXEC -e ^LD_PRELOAD <<<"$output")" = "B=1"$'\n'"A=2"$'\n'"B=3" ]
}

@test "what fails leaves no descriptor behind and says what libc says" {
	printf 'no format\n' >"$T/program"
	: >"$T/text"
	chmod 755 "$T/program"
	chmod 644 "$T/text"
	"$PROBE" fail "$T/text" "$T/program"
	pinned "$PROBE" fail "$T/text" "$T/program"
}

@test "with few descriptors allowed" {
	[ "$(pinned "$PROBE" limit "$PROBE" look "$LOCATION/version")" = "one held 0" ]
}

@test "with two descriptors left" {
	[ "$(pinned "$PROBE" full "$PROBE" look "$LOCATION/version")" = "one held 0" ]
}

@test "with descriptors 0 to 2 closed" {
	pinned "$PROBE" closed "$PROBE" look "$LOCATION/version" "$T/output"
	[ "$(cat "$T/output")" = "one held 0" ]
}

@test "from threads that start programs at one time" {
	pinned "$PROBE" threads "$PROBE" look "$LOCATION/version" /dev/null
}

@test "python, bash, perl and env that drop the environment" {
	local want="one held 0"
	look=("$PROBE" look "$LOCATION/version")
	[ "$(pinned env -i "${look[@]}")" = "$want" ]
	[ "$(pinned bash -c 'env -i "$@"; true' bash "${look[@]}")" = "$want" ]
	[ "$(pinned bash -c 'unset LD_PRELOAD RCU_EXEC_PINS; exec -c "$@"' bash "${look[@]}")" = "$want" ]
	run pinned /usr/bin/python3 -c '
import os, subprocess, sys
look = sys.argv[1:]
subprocess.run(look, env={}, check=True)
subprocess.run(look, env={}, close_fds=True, check=True)
subprocess.run(look, env={}, close_fds=False, check=True)
subprocess.run(" ".join(look), shell=True, env={"PATH": "/bin"}, check=True)
os.waitpid(os.posix_spawn(look[0], look, {}), 0)
os.environ.clear()
os.system(" ".join(look))
' "${look[@]}"
	[ "$(sort -u <<<"$output")" = "$want" ]
	[ "${#lines[@]}" = 6 ]
	skip_unless_command perl
	run pinned perl -e '
$| = 1;
delete $ENV{$_} for keys %ENV;
system(@ARGV);
print `@ARGV`;
system("@ARGV; true");
open(my $pipe, "-|", @ARGV); print <$pipe>; close $pipe;
exec(@ARGV);' "${look[@]}"
	[ "$(sort -u <<<"$output")" = "$want" ]
	[ "${#lines[@]}" = 5 ]
}

@test "a command with quotes survives system and popen with an empty environment" {
	run pinned /usr/bin/python3 -c '
import os
os.environ.clear()
os.system("""printf "%s\\n" "it'"'"'s" '"'"'a "b" $c'"'"' > /dev/stdout; exit 3""")
'
	echo "$output"
	[ "$output" = "it's"$'\n''a "b" $c' ]
}

# --- the lease: what gc asks ---

# On overlayfs a lease does not count mappings (rcu-repo(7)); there reclaim asks /proc as well, which gc.bats tests.
skip_on_overlay() {
	[ "$(stat -f -c %T "$T")" != overlayfs ] || skip "a lease on overlayfs does not count mappings"
}

free_to_reclaim() {
	/usr/bin/python3 -c '
import fcntl, os, sys
try:
    fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_SETLEASE, fcntl.F_WRLCK)
except BlockingIOError:
    sys.exit(1)
' "$STORE/.rcu-repo/pins/1"
}

@test "who closes all, forks, drops its environment and sleeps still holds its pin, until it dies" {
	skip_on_overlay
	free_to_reclaim
	pid=$(pinned "$PROBE" daemon /bin/sleep 1000)
	LIB_JOBS+=("$pid")
	wait_until sh -c '[ "$(cat /proc/'"$pid"'/comm)" = sleep ]'
	run -1 free_to_reclaim
	grep -q /pins/1 "/proc/$pid/maps"
	kill -9 "$pid"
	wait_until gone "$pid"
	wait_until free_to_reclaim
}

@test "over an exec there is no moment without the pin" {
	skip_on_overlay
	# by env, so that what is ended below is the probe, and not a shell before it
	background env "RCU_EXEC_PINS=$LOCATION=$STORE/snapshots/1" "LD_PRELOAD=$RCU_EXEC_SHIM" \
		sh -c ': >"$1"; until [ -e "$2" ]; do sleep 0.01; done; shift 2; exec "$@"' sh \
		"$T/held" "$T/asking" "$PROBE" again 300 "$LOCATION/version" >"$T/seen"
	reader=$BACKGROUND
	wait_until test -e "$T/held"
	# asks for the lease all the time, and says if it ever got it
	background /usr/bin/python3 -c '
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR)
while not os.path.exists(sys.argv[3]):
    for i in range(50):
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except BlockingIOError:
            continue
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        print("granted")
    open(sys.argv[2], "w").close()
' "$STORE/.rcu-repo/pins/1" "$T/asking" "$T/stop" >"$T/answer"
	asker=$BACKGROUND
	wait_until test -s "$T/seen"
	: >"$T/stop"
	wait "$asker"
	[ "$(cat "$T/seen")" = "one held 0" ]
	[ ! -s "$T/answer" ]
	kill "$reader"
}

@test "rcu-repo gc leaves that reader its snapshot, and takes it when the reader dies" {
	local now=(--set sync-rcu-spare-snapshots=0 --set sync-rcu-ttl-days=0)
	rm -r "$STORE" "$LOCATION"
	sync_version one
	pid=$(rcu_exec -l "$LOCATION" -- "$PROBE" daemon \
		"$PROBE" look-later "$LOCATION/version" "$T/output" "$T/go")
	LIB_JOBS+=("$pid")
	sync_version another "${now[@]}"
	repo gc "${now[@]}"
	[ -d "$STORE/snapshots/1" ]
	touch "$T/go"
	wait_until test -s "$T/output"
	[ "$(cat "$T/output")" = "one held 0" ]
	repo gc "${now[@]}"
	[ -d "$STORE/snapshots/1" ]
	kill -9 "$pid"
	wait_until gone "$pid"
	repo gc "${now[@]}"
	[ ! -e "$STORE/snapshots/1" ]
}

@test "a spawned program whose parent has ended holds the pin" {
	skip_on_overlay
	pid=$(pinned /usr/bin/python3 -c '
import os
close = [(os.POSIX_SPAWN_CLOSE, fd) for fd in (0, 1, 2)]
print(os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, file_actions=close))')
	LIB_JOBS+=("$pid")
	run -1 free_to_reclaim
	kill -9 "$pid"
	wait_until gone "$pid"
	wait_until free_to_reclaim
}

# --- a root in which the store has another path, or none ---

# COMMAND, pinned, while $T/root is the machine's root with an empty file system in the place of $T; the store is at
# $T/elsewhere in it. All of that ends with the command, which is the process that this function is run as.
with_root() {
	skip_unless_mount
	mkdir -p "$T/root"
	export T STORE ROOT=$T/root
	exec unshare --mount --propagation private bash -ec '
		mount --rbind / "$ROOT"
		mount -t tmpfs none "$ROOT$T"
		mkdir "$ROOT$T/elsewhere"
		mount --bind "$STORE" "$ROOT$T/elsewhere"
		[ -z "${HIDDEN-}" ] || mount -t tmpfs none "$ROOT$HIDDEN"
		exec "$@"' bash env "RCU_EXEC_PINS=$LOCATION=$STORE/snapshots/1" "LD_PRELOAD=$RCU_EXEC_SHIM" "$@"
}

@test "after chroot a program is redirected and holds its pin, wherever the store is now" {
	local file
	for file in elsewhere/latest/version elsewhere/snapshots/../latest/./version; do
		run with_root "$PROBE" chroot "$T/root" "$PROBE" look "$T/$file"
		echo "$output"
		[ "$output" = "one held 1" ]
	done
}

@test "after chroot it goes on so over further execs, and gc does not get the snapshot" {
	skip_on_overlay
	free_to_reclaim
	background with_root "$PROBE" chroot "$T/root" \
		"$PROBE" again 5 "$T/elsewhere/latest/version" >"$T/seen"
	wait_until test -s "$T/seen"
	[ "$(cat "$T/seen")" = "one held 1" ]
	run -1 free_to_reclaim
	kill "$BACKGROUND"
	wait_until free_to_reclaim
}

@test "chroot to a root in which the store is where it was leaves no descriptor" {
	skip_unless_root
	[ "$(pinned "$PROBE" chroot / "$PROBE" look "$LOCATION/version")" = "one held 0" ]
}

@test "in a sandbox of bubblewrap, at another path and at its own" {
	skip_unless_mount
	skip_unless_command bwrap
	local system=() dir
	for dir in /usr /bin /lib /lib64 "$RCU_BUILD"; do
		[ ! -e "$dir" ] || system+=(--ro-bind "$dir" "$dir")
	done
	run pinned bwrap "${system[@]}" --proc /proc --bind "$STORE" /elsewhere "$PROBE" look /elsewhere/latest/version
	[ "$output" = "one held 1" ]
	run pinned bwrap --dev-bind / / "$PROBE" look "$LOCATION/version"
	[ "$output" = "one held 0" ]
}

@test "in a root without the shim its programs are silent, and refused under --strict" {
	export HIDDEN=${RCU_EXEC_SHIM%/*}
	run with_root "$PROBE" chroot "$T/root" /bin/echo alone
	[ "$status:$output" = 0:alone ]
	export RCU_EXEC_STRICT=1
	run with_root "$PROBE" chroot "$T/root" /bin/echo alone
	[ "$status:$output" = "99:exec-probe: /bin/echo: Operation not permitted" ]
}

# --- --strict ---

strict() { RCU_EXEC_STRICT=1 pinned "$@"; }

# Under --strict refused, else started: EPERM is python's PermissionError
only_lax() {
	run pinned /usr/bin/python3 -c 'import os, sys; os.execv(sys.argv[1], sys.argv[1:])' "$@"
	[ "$status" = 0 ]
	run strict /usr/bin/python3 -c 'import os, sys; os.execv(sys.argv[1], sys.argv[1:])' "$@"
	echo "$output"
	[ "$status" = 1 ]
	grep -q 'Errno 1' <<<"$output"
	run strict /usr/bin/python3 -c 'import os, sys; os.posix_spawnp(sys.argv[1], sys.argv[1:], {})' "$@"
	grep -q 'Errno 1' <<<"$output"
}

@test "strict: what can be pinned is started" {
	strict "$LOCATION/tell"
	strict sh -c 'env -i cat "$1"' sh "$LOCATION/version"
	run strict env -i sh -c 'echo $RCU_EXEC_STRICT'
	[ "$output" = 1 ]
	run -127 strict sh -c "exec /nonexistent"
}

@test "strict: an exec that would lose its hold, for want of a descriptor or of the store" {
	local refused="exec-probe: /bin/true: Operation not permitted"
	strict "$PROBE" chroot / /bin/true
	run strict "$PROBE" none /bin/true
	[ "$status:$output" = "99:$refused" ]
	run strict "$PROBE" chroot / "$PROBE" none /bin/true
	[ "$status:$output" = "99:$refused" ]
	export RCU_EXEC_STRICT=1
	run with_root "$PROBE" chroot "$T/root" /bin/echo held
	[ "$status:$output" = "0:held" ]
	run with_root "$PROBE" chroot-close "$T/root" /bin/true
	[ "$status:$output" = "99:$refused" ]
}

@test "strict: a static program" { only_lax "$PROBES/exec-static"; }

@test "strict: a script whose interpreter is static, and a script of such a script" {
	printf '#!%s\n' "$PROBES/exec-static" >"$T/script"
	printf '#! %s x\n' "$T/script" >"$T/outer"
	chmod 755 "$T/script" "$T/outer"
	only_lax "$T/script"
	only_lax "$T/outer"
}

@test "strict: a set-id program" {
	skip_unless_root
	cp /bin/true "$T/true"
	chown 65534:65534 "$T/true"
	chmod 4755 "$T/true"
	only_lax "$T/true"
	chmod 2755 "$T/true"
	only_lax "$T/true"
	chown 0:0 "$T/true"
	chmod 6755 "$T/true"
	strict "$T/true"
}

# --- LD_PRELOAD without the launcher ---

@test "LD_PRELOAD alone begins anew through the launcher, as the same process" {
	cat >"$T/repos.conf" <<-EOT
		[r]
		location = $LOCATION
		sync-rcu-store-dir = $STORE
		sync-type = rsync
		sync-uri = /nowhere
	EOT
	export RCU_REPO_CONFIG=$T/repos.conf RCU_EXEC_LAUNCHER=$RCU_EXEC
	run bash -c 'echo $$; LD_PRELOAD=$RCU_EXEC_SHIM exec -a "odd name" /usr/bin/python3 -c "
import os, sys
print(os.getpid())
print(open(sys.argv[1] + \"/version\").read().strip())
print(open(\"/proc/self/cmdline\").read().split(chr(0))[0])
print(os.readlink(sys.argv[1] + \"/../store/latest\"))" "$1"' sh "$LOCATION"
	echo "$output"
	[ "${lines[0]}" = "${lines[1]}" ]
	[ "${lines[2]}" = ten ]
	[ "${lines[3]}" = "odd name" ]
}

@test "LD_PRELOAD alone, and no launcher: the program runs" {
	[ "$(RCU_EXEC_LAUNCHER=/nowhere LD_PRELOAD=$RCU_EXEC_SHIM cat "$LOCATION/version")" = ten ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-exec --via=namespace, --via=auto and -w: pins that the kernel enforces. busybox here is Debian's static one: it
# loads no library, so what it sees is what every kind of program sees.

load ../lib
load helpers

setup() {
	lib_init
	skip_unless_command busybox setpriv
	skip_unless_root
	if readelf -l "$(command -v busybox)" | grep -q INTERP; then
		lib_skip_installed "busybox is not a static program here"
	fi
	unshare -m true 2>/dev/null || skip "this machine does not let us make a mount namespace"
}
teardown() { lib_done; }

frozen() { rcu_exec --via=namespace -l "$LOCATION" "$@"; }

# Without privileges, after for_everybody
skip_unless_users() {
	unprivileged unshare -U true 2>/dev/null || skip "this machine has no user namespaces for everybody"
}

# As root of a user namespace that may have no further ones, without capabilities; fails where that cannot be had
not_allowed() {
	unprivileged unshare -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh \
		setpriv --bounding-set -all --inh-caps -all -- "$@"
}

publish() {
	make_version "$SOURCE" "$1"
	repo sync --quiet --type rsync --uri "$SOURCE"
}

# gc with no reason left but pins
gc() { repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0; }
taken() { gc && [ ! -e "$STORE/snapshots/$1" ]; }

@test "a static program stays on its version by every path, while others are published" {
	sync_version A
	background "$RCU_EXEC" --via=namespace -l "$LOCATION" -- busybox sh -c '
		busybox touch "$3/ready"; until [ -e "$3/go" ]; do busybox sleep 0.02; done
		busybox cat "$1/version" "$2/latest/version"
		cd "$2/latest/profiles" && busybox cat ../version ../../../latest/version
		busybox readlink "$1"; busybox readlink "$2/latest"; busybox realpath "$1"; busybox pwd -P' \
		sh "$LOCATION" "$STORE" "$T" >"$T/out"
	wait_until test -e "$T/ready"
	publish B
	publish C
	touch "$T/go"
	wait "$BACKGROUND"
	printf '%s\n' A A A A "$STORE/latest" snapshots/1 "$STORE/snapshots/1" "$STORE/snapshots/1/profiles" |
		diff - "$T/out"
	[ "$(version_of "$LOCATION")" = C ]
}

@test "it becomes the command: pid, status, signals, working directory; no library, no descriptor" {
	sync_version A
	run -7 frozen -- busybox sh -c 'exit 7'
	run -127 frozen -- "$T/nothing"
	[ "$(echo in | frozen cat)" = in ]
	background "$RCU_EXEC" --via=namespace -l "$LOCATION" -- busybox sleep 1000
	wait_until grep -q '^busybox' "/proc/$BACKGROUND/comm"
	kill -TERM "$BACKGROUND"
	status=0
	wait "$BACKGROUND" || status=$?
	[ "$status" = 143 ]
	LD_PRELOAD=libm.so.6 frozen -- env >"$T/env"
	grep -Fx "RCU_EXEC_PINS=$LOCATION=$STORE/snapshots/1" "$T/env"
	grep -Fx LD_PRELOAD=libm.so.6 "$T/env"
	run -1 grep RCU_EXEC_FDS "$T/env"
	frozen -- busybox ls /proc/self/fd 3>&- >"$T/fds"
	run -1 grep -x '1[0-9][0-9]' "$T/fds"
	cd "$STORE/snapshots/1/profiles"
	frozen -- busybox sh -c 'pwd -P; busybox touch x' >"$T/out" 2>"$T/err" || :
	[ "$(cat "$T/out")" = "$STORE/snapshots/1/profiles" ]
	grep -q 'Read-only file system' "$T/err"
	cd "$STORE"
	[ "$(frozen -- busybox readlink latest)" = snapshots/1 ]
	mkdir "$T/gone"
	cd "$T/gone"
	rmdir "$T/gone"
	run -0 frozen -- busybox true
}

@test "the output's end is seen when the command ends, not when the keeper does" {
	sync_version A
	[ "$(frozen -- busybox sh -c '(busybox sleep 1000 >/dev/null 2>&1 3>&- & echo $! >'"$T/pid"'); echo out')" = out ]
	LIB_JOBS+=("$(cat "$T/pid")")
	publish B
	gc
	[ -e "$STORE/snapshots/1" ]
	kill "$(cat "$T/pid")"
	wait_until taken 1
}

@test "writes below are answered as on a read-only mount, and nothing is changed" {
	sync_version A
	picture "$STORE/snapshots" >"$T/before"
	frozen -- bash -c 'cd "$1" || exit
		says() { local want=$1 got; shift; got=$(LC_ALL=C "$@" 2>&1); [[ $got == *"$want"* ]] || echo "$*: $got"; }
		ro="Read-only file system"
		says "$ro" touch new
		says "$ro" rm version
		says "$ro" mkdir new
		says "$ro" chmod 600 version
		says "$ro" ln version other
		says "$ro" bash -c "echo >version"
		says "File exists" mkdir empty
		says "No such file" mkdir no/such
		says "$ro" ln -sfn snapshots/7 "$2/latest"
		exit 0' bash "$LOCATION" "$STORE" >"$T/out"
	[ ! -s "$T/out" ] || { cat "$T/out"; return 1; }
	picture "$STORE/snapshots" | diff "$T/before" -
}

@test "where the command cannot be run nothing stays behind" {
	sync_version A
	run -127 frozen -- "$T/nothing"
	publish B
	wait_until taken 1
	run -126 rcu_exec -w -l "$LOCATION" -- "$T"
	publish C
	wait_until taken 2
}

@test "the keeper is killed: the view stays" {
	local reader
	sync_version A
	background "$RCU_EXEC" --via=namespace -l "$LOCATION" -- busybox sh -c '
		until [ -e "$2/go" ]; do busybox touch "$2/ready"; busybox sleep 0.02; done; busybox cat "$1/version"' \
		sh "$LOCATION" "$T" >"$T/out"
	wait_until test -e "$T/ready"
	for reader in $(repo readers --json | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$'); do # the keeper, and what it keeps it for
		[[ $(readlink "/proc/$reader/exe") != */rcu-exec ]] || kill -9 "$reader"
	done
	publish B
	touch "$T/go"
	wait "$BACKGROUND"
	[ "$(cat "$T/out")" = A ]
}

@test "a daemon that closes everything keeps its snapshot from gc; its death ends the pin" {
	sync_version A
	frozen -- busybox sh -c 'busybox setsid busybox sh -c "
		exec 0<&- 1>&- 2>&-; echo \$\$ >\"\$1/pid\"; exec busybox sleep 1000" sh "$1" &' sh "$T" 3>&-
	wait_until test -s "$T/pid"
	publish B
	gc
	[ -e "$STORE/snapshots/1" ]
	repo readers | grep -q ' 1 '
	kill -9 "$(cat "$T/pid")"
	wait_until taken 1
}

@test "several repositories, a location beside another's store, a location by links" {
	make_version "$T/source-one" A
	make_version "$T/source-two" A
	two() {
		local name
		for name in one two; do
			rcu_repo sync --quiet --location "$T/stores/$name" --store "$T/stores/.$name" --type rsync --uri "$T/source-$name"
		done
	}
	two
	ln -s "$T/stores/one" "$T/link"
	background "$RCU_EXEC" --via=namespace -l "$T/stores/two" -l "$T/link" -- busybox sh -c '
		busybox touch ready; until [ -e go ]; do busybox sleep 0.02; done
		busybox cat link/version stores/one/version stores/two/version stores/.one/latest/version' >"$T/out"
	wait_until test -e "$T/ready"
	make_version "$T/source-one" B
	make_version "$T/source-two" B
	two
	touch "$T/go"
	wait "$BACKGROUND"
	printf '%s\n' A A A A | diff - "$T/out"
	cat "$T/stores/one/version" "$T/stores/two/version" | diff - <(printf 'B\nB\n')
}

@test "the same store by another mount is frozen, too; mounts in it and of outside are seen" {
	skip_unless_mount
	sync_version A
	mkdir -p "$T/outside"
	mount --bind "$T" "$T"
	LIB_MOUNTS+=("$T")
	mount --make-shared "$T"
	cd "$T"
	mount_bind "$T/store" "$T/again"
	mount_tmpfs "$STORE/snapshots/1/empty" 1m
	echo mounted >"$STORE/snapshots/1/empty/file"
	background "$RCU_EXEC" --via=namespace -l "$LOCATION" -- busybox sh -c '
		busybox touch ready; until [ -e go ]; do busybox sleep 0.02; done
		busybox cat location/version again/latest/version location/empty/file outside/new
		busybox touch location/empty/new || echo refused' >"$T/out" 2>&1
	wait_until test -e "$T/ready"
	mount_tmpfs "$T/outside" 1m
	echo new >"$T/outside/new"
	ln -sfn snapshots/2 "$STORE/latest"
	touch "$T/go"
	wait "$BACKGROUND"
	printf '%s\n' A A mounted new "touch: location/empty/new: Read-only file system" refused | diff - "$T/out"
}

@test "rcu-repo in it sees the store as it is, and so does --fresh; -s has its number" {
	sync_version A
	make_version "$SOURCE" B
	export RCU_REPO RCU_EXEC
	frozen -- bash -c '
		"$RCU_REPO" sync --quiet --location "$1" --type rsync --uri "$2"
		cat "$1/version"
		"$RCU_REPO" list --location "$1" | grep -c .
		"$RCU_EXEC" -l "$1" cat "$1/version"
		"$RCU_EXEC" -l "$1" --fresh cat "$1/version"
		"$RCU_EXEC" -l "$1" -s 2 cat "$1/version"
		"$RCU_EXEC" -l "$1" -s 2 --via=namespace busybox cat "$1/version"
		"$RCU_EXEC" -l "$1" --fresh --via=namespace busybox cat "$1/version"
		"$RCU_EXEC" -l "$1" --via=namespace busybox cat "$1/version"' bash "$LOCATION" "$SOURCE" >"$T/out"
	printf '%s\n' A 3 A B B B B A | diff - "$T/out"
}

@test "auto: a static command is pinned by a namespace, a dynamic one by the library" {
	sync_version A
	publish B
	run -0 --separate-stderr rcu_exec -l "$LOCATION" -s 1 busybox cat "$LOCATION/version"
	[ "$output$stderr" = A ]
	rcu_exec -l "$LOCATION" env | grep -q '^LD_PRELOAD='
	cp "$(command -v busybox)" "$T/sh"
	printf '#!%s/sh\nread x <"$1"; echo $x\n' "$T" >"$T/script"
	chmod 755 "$T/script"
	run -0 --separate-stderr rcu_exec -l "$LOCATION" -s 1 --strict "$T/script" "$LOCATION/version"
	[ "$output$stderr" = A ]
	run -0 --separate-stderr rcu_exec --via=preload -l "$LOCATION" -s 1 busybox cat "$LOCATION/version"
	[ "$output" = B ]
	[[ $stderr == *"static program"*unpinned* ]]
}

# What the shim hands to rcu-exec, as COMMAND of bash: deeper [RCU-EXEC OPTION...] COMMAND
deeper() {
	local command=${!#}
	RCU_EXEC_LAUNCHER=${LAUNCHER-$RCU_EXEC} rcu_exec -l "$LOCATION" -s 1 "${@:1:$#-1}" -- bash -c "$command" bash "$LOCATION"
}

@test "auto, deeper: every way to execute a static program" {
	sync_version A
	publish B
	[ "$(deeper 'busybox cat "$1/version"; :')" = A ]
	[ "$(deeper 'exec -a cat busybox "$1/version"')" = A ]
	# rcu-exec may be built with a sanitizer, which has to know that it is not the first library
	[ "$(deeper 'env -i ASAN_OPTIONS="$ASAN_OPTIONS" "$(command -v busybox)" cat "$1/version"')" = A ]
	[ "$(deeper 'cd "$1/profiles" && busybox cat ../version && busybox pwd -P' | tr '\n' ' ')" = \
		"A $STORE/snapshots/1/profiles " ]
	deeper '/usr/bin/python3 -c "
import os, subprocess, sys
file = sys.argv[1] + \"/version\"
little = {\"ASAN_OPTIONS\": os.environ.get(\"ASAN_OPTIONS\", \"\")}
def wait(pid): assert os.waitpid(pid, 0)[1] == 0
sys.stdout.flush()
wait(os.posix_spawn(\"$(command -v busybox)\", [\"cat\", file], little))
wait(os.posix_spawnp(\"busybox\", [\"busybox\", \"cat\", file], os.environ))
subprocess.run([\"busybox\", \"cat\", file], check=True)
os.system(\"busybox cat \" + file)
os.execve(\"$(command -v busybox)\", [\"cat\", file], little)" "$1"' >"$T/out"
	printf '%s\n' A A A A A | diff - "$T/out"
}

@test "auto, deeper: pid, status, signal mask, descriptors, errors are the program's own" {
	sync_version A
	publish B
	deeper 'echo $$; exec busybox sh -c "echo \$\$"' | uniq -c | grep -q '^ *2 '
	run -7 deeper 'busybox sh -c "exit 7"; exit $?'
	[ "$(deeper 'exec 5<<<five; busybox cat /proc/self/fd/5')" = five ]
	deeper 'busybox ls /proc/self/fd' 3>&- >"$T/fds"
	run -1 grep -x '1[0-9][0-9]' "$T/fds"
	deeper '/usr/bin/python3 -c "
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.execvp(\"busybox\", [\"busybox\", \"grep\", \"SigBlk\", \"/proc/self/status\"])"' | grep 0000000000000200
	cp "$(command -v busybox)" "$T/noexec"
	chmod 644 "$T/noexec"
	run -126 deeper "'$T/noexec' true"
	run -127 deeper "'$T/nothing' true"
}

@test "auto, deeper: not under --via=preload, and not without a launcher; --strict says EPERM then" {
	sync_version A
	publish B
	[ "$(deeper --via=preload 'busybox cat "$1/version"; :')" = B ]
	[ "$(deeper --via=preload 'env -i ASAN_OPTIONS="$ASAN_OPTIONS" bash -c "$(command -v busybox) cat \"\$1/version\"; :" b "$1"')" = B ]
	[ "$(LAUNCHER=/nowhere deeper 'busybox cat "$1/version"; :')" = B ]
	[ "$(deeper --strict 'busybox cat "$1/version"; :')" = A ]
	run -126 --separate-stderr deeper --strict --via=preload 'busybox cat "$1/version"'
	[[ $stderr == *"Operation not permitted"* ]]
}

@test "auto, deeper: where no namespace is allowed a static program runs as it is, in silence; EPERM under --strict" {
	for_everybody
	sync_version A
	publish B
	not_allowed true 2>/dev/null || skip "this machine cannot be told to refuse them"
	export RCU_EXEC_LAUNCHER=$RCU_EXEC
	run -0 --separate-stderr not_allowed "$RCU_EXEC" -l "$LOCATION" -s 1 -- bash -c 'busybox cat "$1/version"; cat "$1/version"' b "$LOCATION"
	[ "$output" = "B
A" ]
	[ -z "$stderr" ]
	run -126 --separate-stderr not_allowed "$RCU_EXEC" --strict -l "$LOCATION" -s 1 -- bash -c 'busybox true' b "$LOCATION"
	[[ $stderr == *"Operation not permitted"* ]]
}

@test "unprivileged: the same, as the same user" {
	for_everybody
	skip_unless_users
	sync_version A
	publish B
	run -0 --separate-stderr unprivileged "$RCU_EXEC" -l "$LOCATION" -s 1 -- busybox sh -c '
		busybox cat "$1/version"; busybox id -u; busybox grep CapEff /proc/self/status; busybox touch "$1/x" || :' sh "$LOCATION"
	[ "${lines[0]} ${lines[1]}" = "A 65534" ]
	[[ ${lines[2]} =~ ^CapEff:.0+$ ]]
	[[ $stderr == *"Read-only file system" ]]
	unprivileged "$RCU_EXEC" --via=namespace -l "$LOCATION" -s 1 -- bash -c 'cat "$1/version"' bash "$LOCATION" | grep -x A
	background setpriv --reuid=65534 --regid=65534 --clear-groups "$RCU_EXEC" -l "$LOCATION" -s 1 -- busybox sleep 1000
	wait_until grep -q '^busybox' "/proc/$BACKGROUND/comm"
	gc
	[ -e "$STORE/snapshots/1" ]
	kill "$BACKGROUND"
	wait_until taken 1
}

@test "unprivileged: rcu-repo in it says that it cannot look behind" {
	for_everybody
	skip_unless_users
	sync_version A
	refused 1 "is frozen by rcu-exec, and only root" unprivileged "$RCU_EXEC" --via=namespace -l "$LOCATION" \
		-- "$RCU_REPO" list --location "$LOCATION"
	refused 125 "is frozen by rcu-exec, and only root" unprivileged "$RCU_EXEC" --via=namespace -l "$LOCATION" \
		-- "$RCU_EXEC" --fresh -l "$LOCATION" true
}

@test "unprivileged: a set-id program runs unpinned with one line, or not at all" {
	for_everybody "$(command -v busybox)"
	skip_unless_users
	sync_version A
	chmod u+s "$T/public/busybox"
	for via in auto namespace; do
		run -0 --separate-stderr unprivileged "$RCU_EXEC" --via=$via -l "$LOCATION" -- "$T/public/busybox" true
		[[ $stderr == *"gains privileges"*"runs unpinned"* ]]
		[ "${#stderr_lines[@]}" = 1 ]
	done
	refused 125 "cannot be pinned" unprivileged "$RCU_EXEC" --strict -l "$LOCATION" -- "$T/public/busybox" true
	refused 125 "cannot be pinned" unprivileged "$RCU_EXEC" -w -l "$LOCATION" -- "$T/public/busybox" true
}

@test "a working directory that the user may not enter is no obstacle" {
	for_everybody
	skip_unless_users
	sync_version A
	mkdir -m 700 "$T/private"
	cd "$T/private"
	[ "$(unprivileged "$RCU_EXEC" -l "$LOCATION" -- busybox cat "$LOCATION/version")" = A ]
	[ "$(unprivileged "$RCU_EXEC" -l "$LOCATION" -- sh -c 'busybox cat "$1/version"' sh "$LOCATION")" = A ]
	cd "$T"
}

@test "where no keeper can be started a static program runs as where no namespace is allowed" {
	for_everybody
	skip_unless_users
	sync_version A
	no_keeper() { unprivileged unshare -r sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' sh "$@"; }
	run -0 --separate-stderr no_keeper "$RCU_EXEC" -l "$LOCATION" -- busybox cat "$LOCATION/version"
	[ "$output" = A ]
	[[ $stderr == *"keeper of the pins: cannot be started"*"runs unpinned" ]]
	run -0 --separate-stderr no_keeper "$RCU_EXEC" -l "$LOCATION" -- sh -c 'busybox cat "$1/version"' sh "$LOCATION"
	[ "$output" = A ]
	[ -z "$stderr" ]
	refused 125 "keeper of the pins" no_keeper "$RCU_EXEC" --strict -l "$LOCATION" -- busybox true
}

@test "in a user namespace below a frozen view --fresh says that it cannot look behind" {
	skip_unless_users
	sync_version A
	run rcu_exec --via=namespace -l "$LOCATION" -- unshare -Urm "$RCU_EXEC" --fresh -l "$LOCATION" true
	[ "$status" = 125 ]
	[[ $output == *"frozen by rcu-exec"* ]]
}

@test "where no namespace is allowed: one line, 125 under --strict and where it was asked for" {
	for_everybody
	sync_version A
	not_allowed true 2>/dev/null || skip "this machine cannot be told to refuse them"
	run -0 --separate-stderr not_allowed "$RCU_EXEC" -l "$LOCATION" -- busybox cat "$LOCATION/version"
	[ "$output" = A ]
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"static program"*"not allowed"*"runs unpinned" ]]
	refused 125 "cannot be pinned" not_allowed "$RCU_EXEC" --strict -l "$LOCATION" -- busybox true
	refused 125 "not allowed here" not_allowed "$RCU_EXEC" --via=namespace -l "$LOCATION" -- true
	refused 125 "not allowed here" not_allowed "$RCU_EXEC" -w -l "$LOCATION" -- true
}

# behind NUMBER: COMMAND, for which a system call is as on a kernel that does not have it
behind() {
	/usr/bin/python3 - "$@" <<-'END'
		import ctypes, os, struct, sys
		libc = ctypes.CDLL(None, use_errno=True)
		code = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7fff0000)]
		rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
		program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(rules))
		libc.prctl(38, 1, 0, 0, 0)
		if libc.prctl(22, 2, program, 0, 0) != 0: sys.exit("no filter")
		os.execv(sys.argv[2], sys.argv[2:])
	END
}

@test "auto: a kernel that lacks what a view is made with is one that allows none" {
	local number
	publish A
	for number in 430 442; do # fsopen, mount_setattr
		run -0 behind $number "$RCU_EXEC" -l "$LOCATION" busybox cat "$LOCATION/version"
		echo "$output"
		[[ $output == "rcu-exec: "*"busybox: is a static program"*"not allowed here: Function not implemented: it runs unpinned"$'\n'* ]]
		run -125 behind $number "$RCU_EXEC" --strict -l "$LOCATION" busybox true
		run -0 behind $number "$RCU_EXEC" -l "$LOCATION" /bin/cat "$LOCATION/version"
		[ "$output" = A ]
	done
}

@test "as the first process of a container, or as a reaper, the command has no child but its own" {
	local reap='import os, sys
pid = os.fork()
if pid == 0: os._exit(3)
waited = []
try:
    while True: waited.append(os.wait())
except ChildProcessError:
    print(waited == [(pid, 768)], open(sys.argv[1] + "/version").read().strip())'
	publish A
	skip_unless_command timeout
	run -0 timeout -s KILL 60 unshare --pid --fork --kill-child --mount-proc "$RCU_EXEC" --via=namespace -l "$LOCATION" \
		/usr/bin/python3 -c "$reap" "$LOCATION"
	echo "$output"
	[ "$output" = "True A" ]
	run -0 timeout -s KILL 60 /usr/bin/python3 -c 'import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])' "$RCU_EXEC" --via=namespace -l "$LOCATION" /usr/bin/python3 -c "$reap" "$LOCATION"
	echo "$output"
	[ "$output" = "True A" ]
}

@test "-w: a view of its own, gone with the command; the snapshot and others see nothing" {
	skip_unless_overlay
	sync_version A
	picture "$STORE/snapshots" >"$T/before"
	rcu_exec -w -l "$LOCATION" -- bash -c 'cd "$1" && echo mine >version && rm -r app-misc && mkdir app-misc new &&
		busybox touch app-misc/x && cat "$1/version" "$2/latest/version" && ls app-misc && pwd -P &&
		cat profiles/repo_name && until [ -e "$3/go" ]; do touch "$3/ready"; sleep 0.02; done' \
		bash "$LOCATION" "$STORE" "$T" >"$T/out" 3>&- &
	LIB_JOBS+=($!)
	wait_until test -e "$T/ready"
	[ "$(version_of "$LOCATION")" = A ]
	publish B
	gc
	[ -e "$STORE/snapshots/1" ]
	touch "$T/go"
	wait $!
	printf '%s\n' mine mine x "$STORE/snapshots/1" "profiles/repo_name of version A" | diff - "$T/out"
	picture "$STORE/snapshots/1" | diff <(grep "^$STORE/snapshots/1" "$T/before") -
	wait_until taken 1
	is_empty "$STORE/.rcu-repo/staging"
	cd "$STORE/snapshots/2/profiles"
	[ "$(rcu_exec -w -l "$LOCATION" -- sh -c 'echo mine >repo_name; cat ../latest/x "$1/profiles/repo_name"' sh "$LOCATION" 2>&1 |
		tail -n 1)" = mine ]
	[ "$(version_of "$LOCATION")" = B ]
}

@test "-w, unprivileged: of one's own tree; of another's it says why not" {
	skip_unless_overlay
	for_everybody
	skip_unless_users
	sync_version A
	refused 125 "belongs to somebody else" unprivileged "$RCU_EXEC" -w -l "$LOCATION" -- touch "$T/ran"
	chown -R 65534:65534 "$STORE"
	chown -h 65534:65534 "$LOCATION"
	status=0
	unprivileged "$RCU_EXEC" -w -l "$LOCATION" -- bash -c 'cd "$1" && echo mine >version && rm -r app-misc &&
		mkdir app-misc && ls app-misc && cat version' bash "$LOCATION" >"$T/out" 2>"$T/err" || status=$?
	if [ "$status" = 125 ]; then
		grep -q "needs Linux 6.6" "$T/err"
		skip "this kernel has no user attributes on tmpfs"
	fi
	[ "$(cat "$T/out")" = mine ]
	[ "$(version_of "$LOCATION")" = A ]
}

@test "what is refused" {
	sync_version A
	publish B
	refused 125 "not auto, preload or namespace" rcu_exec --via=magic -l "$LOCATION" true
	refused 125 "only a namespace can do that" rcu_exec -w --via=preload -l "$LOCATION" true
	mkdir -p "$T/deep"
	ln -s "$STORE/latest" "$T/deep/location"
	refused 125 "of the same store is asked for" rcu_exec --via=namespace -l "$LOCATION" -l "$T/deep/location" \
		-s "$LOCATION=1" -s "$T/deep/location=2" touch "$T/ran"
	[ ! -e "$T/ran" ]
}

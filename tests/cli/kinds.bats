#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every kind of program, each a real one: is it pinned, and does what it holds stay? The table is printed at the end.

load ../lib
load helpers

setup_file() { : >"$BATS_FILE_TMPDIR/table"; }

teardown_file() {
	printf '# %-44s %-9s %s\n' "kind of program" pinned "kept from gc" >&3
	sed 's/^/# /' "$BATS_FILE_TMPDIR/table" >&3
}

setup() {
	lib_init
	skip_unless_command busybox setcap cc
	skip_unless_root
	if readelf -l "$(command -v busybox)" | grep -q INTERP; then
		lib_skip_installed "busybox is not a static program here"
	fi
	unshare -m true 2>/dev/null || skip "this machine does not let us make a mount namespace"
	export RCU_EXEC_LAUNCHER=$RCU_EXEC
	make_version "$SOURCE" A
	repo sync --quiet --type rsync --uri "$SOURCE"
}
teardown() { lib_done; }

# A program without a libc that prints a file by raw system calls, closes everything, and sleeps: raw PROGRAM
raw() {
	cat >"$T/raw.c" <<-'END'
		static long call(long n, long a, long b, long c)
		{
			long r;
			__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
			return r;
		}
		__attribute__((used)) static void start(long *stack)
		{
			char room[256];
			long time[2] = { 1000, 0 };
			char **argv = (char **)(stack + 1);
			long fd = call(2, (long)argv[1], 0, 0);

			call(1, 1, (long)room, call(0, fd, (long)room, sizeof(room)));
			if (argv[2]) {
				call(436, 0, ~0U, 0); /* close_range */
				call(35, (long)time, 0, 0); /* nanosleep */
			}
			call(60, fd < 0, 0, 0);
		}
		__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
	END
	cc -O1 -static -nostdlib -fno-stack-protector -o "$1" "$T/raw.c"
}

# Is snapshot 1 seen, and kept while the process lives whose id is in $PID_FILE? judge KIND COMMAND...
#
# COMMAND begins with rcu-exec, prints the version, writes a process id to $PID_FILE ($T/pid), and stays.
judge() {
	local kind=$1 pinned=no kept=no
	shift
	background "$@" >"$T/version.out" 2>"$T/err"
	wait_until test -s "$T/version.out"
	wait_until test -s "${PID_FILE:=$T/pid}"
	make_version "$SOURCE" B
	repo sync --quiet --type rsync --uri "$SOURCE"
	[ "$(head -n 1 "$T/version.out")" = A ] && pinned=yes
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 >"$T/gc"
	[ -e "$STORE/snapshots/1" ] && kept=yes
	printf '%-44s %-9s %s\n' "$kind" $pinned $kept >>"$BATS_FILE_TMPDIR/table"
	[ "$pinned $kept" = "${WANT-yes yes}" ] || {
		echo "$kind: pinned $pinned, kept $kept"
		cat "$T/err"
		return 1
	}
	kill -9 "$(cat "$PID_FILE")"
	wait_until taken
}

taken() {
	repo gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ ! -e "$STORE/snapshots/1" ]
}

# what each of them does at last: the version after the first one was pinned, its id, and stay
STAY='cat "$1/version"; echo $$ >"$2"; exec sleep 1000'
STAY_STATIC='busybox cat "$1/version"; echo $$ >"$2"; exec busybox sleep 1000'

@test "dynamic" {
	judge "dynamic (bash, cat)" "$RCU_EXEC" -l "$LOCATION" -- bash -c "$STAY" b "$LOCATION" "$T/pid"
}

@test "static: busybox as the command" {
	judge "static (busybox)" "$RCU_EXEC" -l "$LOCATION" -- busybox sh -c "$STAY_STATIC" sh "$LOCATION" "$T/pid"
}

@test "static: busybox, deeper in the tree" {
	judge "static, started by a dynamic one" "$RCU_EXEC" -l "$LOCATION" -- \
		bash -c 'busybox sh -c "$@" & wait' b "$STAY_STATIC" sh "$LOCATION" "$T/pid"
}

@test "static: a script whose interpreter is static" {
	cp "$(command -v busybox)" "$T/sh"
	printf '#!%s/sh\n%s\n' "$T" "$STAY_STATIC" >"$T/script"
	chmod 755 "$T/script"
	judge "script with a static interpreter" "$RCU_EXEC" -l "$LOCATION" -- \
		bash -c '"$0" "$@"; :' "$T/script" "$LOCATION" "$T/pid"
}

# A dynamic program of another C library, which prints a file, writes its id and stays: by_musl PROGRAM
by_musl() {
	cat >"$T/musl.c" <<-'END'
		#include <fcntl.h>
		#include <stdio.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			char text[64];
			int fd = open(argv[1], O_RDONLY), length = fd < 0 ? -1 : (int)read(fd, text, sizeof(text));
			if (length <= 0 || write(1, text, (size_t)length) != length)
				return 1;
			FILE *id = argc > 2 ? fopen(argv[2], "w") : NULL;
			if (!id)
				return 0;
			fprintf(id, "%d\n", (int)getpid());
			fclose(id);
			for (fd = 0; fd < 256; fd++)
				close(fd);
			pause();
		}
	END
	musl-gcc -O1 -o "$1" "$T/musl.c"
	readelf -l "$1" | grep -q ld-musl
}

@test "musl: dynamic, as the command, closes everything" {
	skip_unless_command musl-gcc
	by_musl "$T/musl"
	judge "musl, dynamic" "$RCU_EXEC" -l "$LOCATION" -- "$T/musl" "$LOCATION/version" "$T/pid"
}

@test "musl: deeper in the tree" {
	skip_unless_command musl-gcc
	by_musl "$T/musl"
	judge "musl, started by a dynamic one" "$RCU_EXEC" -l "$LOCATION" -- \
		bash -c '"$0" "$@"; :' "$T/musl" "$LOCATION/version" "$T/pid"
}

@test "musl: where no namespace may be made rcu-exec says why, and --strict refuses" {
	skip_unless_command musl-gcc
	by_musl "$T/musl"
	run -0 --separate-stderr "$RCU_EXEC" --via=preload -l "$LOCATION" -- "$T/musl" "$LOCATION/version"
	[ "$output" = A ]
	[ "$stderr" = "rcu-exec: $T/musl: is for musl's C library, and the shim is for glibc's: it runs unpinned" ]
	refused 125 "is for musl's C library, and the shim is for glibc's: it cannot be pinned" \
		"$RCU_EXEC" --strict --via=preload -l "$LOCATION" -- "$T/musl" "$LOCATION/version"
	# deeper in the tree its exec is refused
	refused 126 "" "$RCU_EXEC" --strict --via=preload -l "$LOCATION" -- bash -c '"$0" "$1"' "$T/musl" "$LOCATION/version"
}

@test "32 bits" {
	[ -r "$RCU_BUILD/preload/m32/librcu-exec.so" ] || skip "configured without --enable-multilib"
	judge "32 bits, in a namespace" env -u RCU_EXEC_SHIM "$RCU_EXEC" --via=namespace -l "$LOCATION" -- \
		bash -c 'SMALL_BARE=1 "$0" "$1" bash -c "echo \$\$ >\"\$0\"; exec sleep 1000" "$2" | sed -u "s/.*: //"' \
		"$RCU_BUILD/tests/preload/small32" "$LOCATION" "$T/pid"
}

@test "a file capability, by root" {
	cp "$(command -v bash)" "$T/capable"
	setcap cap_net_raw+ep "$T/capable" || skip "this file system has no capabilities"
	judge "file capability, by root" "$RCU_EXEC" -l "$LOCATION" -- "$T/capable" -c "$STAY" b "$LOCATION" "$T/pid"
}

# A version whose programs and plugins need a library beside them: libraries VERSION
libraries() {
	make_version "$SOURCE" "$1"
	mkdir "$SOURCE/lib" "$SOURCE/bin"
	echo "const char *say(void) { return \"$1\"; }" >"$T/say.c"
	echo 'const char *say(void); const char *plugin(void) { return say(); }' >"$T/plugin.c"
	echo '#include <stdio.h>
		const char *say(void); int main(void) { return puts(say()) < 0; }' >"$T/program.c"
	cc -shared -fPIC -o "$SOURCE/lib/libsay.so" "$T/say.c"
	cc -shared -fPIC -o "$SOURCE/lib/plugin.so" "$T/plugin.c" -L"$SOURCE/lib" -lsay -Wl,-rpath,'$ORIGIN'
	cc -o "$SOURCE/bin/by-origin" "$T/program.c" -L"$SOURCE/lib" -lsay -Wl,-rpath,'$ORIGIN/../lib'
	cc -o "$SOURCE/bin/by-location" "$T/program.c" -L"$SOURCE/lib" -lsay -Wl,-rpath,"$LOCATION/lib"
	repo sync --quiet --set sync-rcu-max-delete=100% --type rsync --uri "$SOURCE"
}

@test "libraries that a program or a plugin needs: by \$ORIGIN the shim pins them, by LOCATION in a RUNPATH the namespace" {
	local via
	libraries first
	libraries second-one
	echo '#include <dlfcn.h>
		#include <stdio.h>
		int main(int argc, char **argv)
		{
			void *object = dlopen(argv[1], RTLD_NOW);
			const char *(*plugin)(void) = object ? (const char *(*)(void))dlsym(object, "plugin") : 0;
			return !plugin || puts(plugin()) < 0;
		}' >"$T/host.c"
	cc -o "$T/host" "$T/host.c" -ldl
	for via in preload namespace; do
		[ "$("$RCU_EXEC" --via=$via -l "$LOCATION" -s 2 -- "$LOCATION/bin/by-origin")" = first ]
		[ "$("$RCU_EXEC" --via=$via -l "$LOCATION" -s 2 -- bash -c '"$0"' "$LOCATION/bin/by-origin")" = first ]
		[ "$("$RCU_EXEC" --via=$via -l "$LOCATION" -s 2 -- "$T/host" "$LOCATION/lib/plugin.so")" = first ]
	done
	[ "$("$RCU_EXEC" --via=namespace -l "$LOCATION" -s 2 -- "$LOCATION/bin/by-location")" = first ]
	[ "$("$T/host" "$LOCATION/lib/plugin.so")" = second-one ]
}

@test "raw system calls, closes everything" {
	raw "$T/raw"
	judge "raw system calls, closes everything" "$RCU_EXEC" -l "$LOCATION" -- \
		bash -c '"$0" "$1/version" stay & echo $! >"$2.new"; mv "$2.new" "$2"; wait' "$T/raw" "$LOCATION" "$T/pid"
}

@test "a static daemon that outlives its parents" {
	judge "static daemon, closes everything" "$RCU_EXEC" -l "$LOCATION" -- bash -c 'busybox setsid busybox sh -c "
		busybox cat \"\$1/version\"; exec 0<&- 1>&- 2>&-; echo \$\$ >\"\$2\"; exec busybox sleep 1000" sh "$@" &' \
		b "$LOCATION" "$T/pid"
}

@test "a dynamic daemon that closes everything" {
	judge "dynamic daemon, closes everything" "$RCU_EXEC" -l "$LOCATION" -- bash -c 'setsid bash -c "
		cat \"\$1/version\"; exec 0<&- 1>&- 2>&-; echo \$\$ >\"\$2\"; exec sleep 1000" sh "$@" &' \
		b "$LOCATION" "$T/pid"
}

@test "env -i" {
	judge "env -i, dynamic" "$RCU_EXEC" -l "$LOCATION" -- env -i "ASAN_OPTIONS=${ASAN_OPTIONS-}" "$(command -v bash)" -c "PATH=$PATH; $STAY" b "$LOCATION" "$T/pid"
}

@test "env -i, then a static one" {
	judge "env -i, static" "$RCU_EXEC" -l "$LOCATION" -- env -i "ASAN_OPTIONS=${ASAN_OPTIONS-}" "$(command -v busybox)" sh -c "PATH=$PATH; $STAY_STATIC" sh "$LOCATION" "$T/pid"
}

@test "su, by root" {
	skip_unless_command su
	judge "su, by root" "$RCU_EXEC" -l "$LOCATION" -- su -s /bin/sh root -c "set -- '$LOCATION' '$T/pid'; $STAY" 
}

@test "sudo, by root" {
	skip_unless_command sudo
	judge "sudo, by root" "$RCU_EXEC" -l "$LOCATION" -- sudo -n sh -c "$STAY" sh "$LOCATION" "$T/pid"
}

@test "sudo, by root, in a namespace" {
	skip_unless_command sudo
	judge "sudo, by root, --via=namespace" "$RCU_EXEC" --via=namespace -l "$LOCATION" -- \
		sudo -n sh -c "$STAY" sh "$LOCATION" "$T/pid"
}

@test "chroot, to a root that has the store and a static program" {
	mkdir -p "$T/root/bin" "$T/root/$T"
	cp "$(command -v busybox)" "$T/root/bin/"
	mount_bind "$T" "$T/root/$T"
	judge "chroot, static" "$RCU_EXEC" --via=namespace -l "$LOCATION" -- \
		chroot "$T/root" /bin/busybox sh -c "PATH=/bin; $STAY_STATIC" sh "$LOCATION" "$T/pid"
}

@test "unprivileged: a static one" {
	for_everybody
	unprivileged unshare -U true 2>/dev/null || skip "this machine has no user namespaces for everybody"
	mkdir -m 777 "$T/out"
	PID_FILE=$T/out/pid
	export RCU_EXEC_LAUNCHER=$RCU_EXEC
	judge "static, unprivileged" setpriv --reuid=65534 --regid=65534 --clear-groups "$RCU_EXEC" -l "$LOCATION" -- \
		bash -c 'busybox sh -c "$@"; :' b "$STAY_STATIC" sh "$LOCATION" "$PID_FILE"
}

@test "unprivileged: a copy with a file capability runs unpinned, and is refused under --strict" {
	for_everybody "$(command -v busybox)"
	setcap cap_net_raw+ep "$T/public/busybox" || skip "this file system has no capabilities"
	make_version "$SOURCE" C
	repo sync --quiet --type rsync --uri "$SOURCE"
	export RCU_EXEC_LAUNCHER=$RCU_EXEC
	run -0 --separate-stderr unprivileged "$RCU_EXEC" -l "$LOCATION" -s 1 -- "$T/public/busybox" cat "$LOCATION/version"
	[ "$output" = C ]
	[[ $stderr == *"gains privileges"*"runs unpinned" ]]
	run -0 --separate-stderr unprivileged "$RCU_EXEC" -l "$LOCATION" -s 1 -- bash -c '"$0" cat "$1"' "$T/public/busybox" "$LOCATION/version"
	[ "$output$stderr" = C ]
	refused 126 "not permitted" unprivileged "$RCU_EXEC" --strict -l "$LOCATION" -s 1 -- bash -c '"$0" true' "$T/public/busybox"
	refused 125 "cannot be pinned" unprivileged "$RCU_EXEC" --strict -l "$LOCATION" -s 1 -- "$T/public/busybox" true
	printf '%-44s %-9s %s\n' "file capability, unprivileged" "no (said)" - >>"$BATS_FILE_TMPDIR/table"
}

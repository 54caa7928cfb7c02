# SPDX-License-Identifier: LGPL-2.1-or-later
# Ways to make a process, and programs that were linked long ago: pinned, and held by a mapping of their own.

load ../lib
load pinned

setup() {
	lib_init
	make_store
}
teardown() { lib_done; }

@test "every way to make a process: the child is pinned and holds the pin, and so does what it executes" {
	cat >"$T/want" <<-'END'
		fork: one one held one held
		_Fork: one one held one held
		__fork: one one held one held
		vfork: one held
		clone: one held
		clone CLONE_VM CLONE_VFORK: one held
		SYS_fork: one one held one held
		SYS_clone: one one held one held
		SYS_clone3: one one held one held
		posix_spawn none: one held
		posix_spawn RESETIDS: one held
		posix_spawn SETPGROUP: one held group
		posix_spawn SETSIGDEF: one held
		posix_spawn SETSIGMASK: one held masked
		posix_spawn SETSCHEDPARAM: one held
		posix_spawn SETSCHEDULER: one held
		posix_spawn USEVFORK: one held
		posix_spawn SETSID: one held group session
		posix_spawn SETPGROUP SETSIGMASK SETSIGDEF: one held group masked
		parent: one held
	END
	# as a child of the shell, so that it is no group of its own
	pinned "$PROBES/processes" "$LOCATION/version" >"$T/got"
	diff "$T/want" "$T/got"
	sed 's/\bone\b/ten/g; s/ held//g' "$T/want" >"$T/bare"
	"$PROBES/processes" "$LOCATION/version" | diff "$T/bare" -
	# with an environment of its own making, too
	pinned env -u LD_PRELOAD -u RCU_EXEC_PINS "$PROBES/processes" "$LOCATION/version" | diff "$T/want" -
}

@test "versions that programs were linked to before glibc 2.17 are wrapped, and are what they were" {
	local n
	for n in 1 10; do
		ln -s nowhere "$STORE/snapshots/$n/dangling"
		echo "echo script of $n" >"$STORE/snapshots/$n/bare"
		chmod 755 "$STORE/snapshots/$n/bare"
	done
	mkdir "$T/frozen"
	cp -a "$PINNED" "$T/frozen/1"
	"$PROBES/old" "$T/frozen/1/." "" | sed 's/ ENOENT//' >"$T/want"
	pinned "$PROBES/old" "$LOCATION/." librcu-exec.so | sed 's/ ENOENT//' >"$T/got"
	diff "$T/want" "$T/got"
	grep -qx 'realpath_old NULL 0 EINVAL' "$T/got"
	grep -qx 'script of 1' "$T/got"
	[ "$(grep -c 'script of' "$T/got")" = 2 ]
}

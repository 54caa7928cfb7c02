# SPDX-License-Identifier: LGPL-2.1-or-later
# Programs of two word sizes in one tree of processes, each with its own shim, found by $LIB in LD_PRELOAD.

load ../lib
load pinned

setup() {
	lib_init
	[ -r "$RCU_BUILD/preload/m32/librcu-exec.so" ] || skip "configured without --enable-multilib"
	make_version() { mkdir -p "$1"; echo "$2" >"$1/version"; }
	make_store
	cp "$PROBES"/small{64,32,32-large,32-time64} "$T"
	PATH=$T:$PATH
	place "$RCU_EXEC_SHIM" small64
	place "$RCU_BUILD/preload/m32/librcu-exec.so" small32
	RCU_EXEC_SHIM=$T/'$LIB'/librcu-exec.so
}
teardown() { lib_done; }

# place SHIM PROGRAM: where $LIB leads PROGRAM's ld.so
place() {
	local lib
	lib=$("$(readelf -lW "$PROBES/$2" | sed -n 's/.*interpreter: \(.*\)]$/\1/p')" --list-diagnostics 2>/dev/null |
		sed -n 's/^dl_dst_lib="\(.*\)"$/\1/p')
	[ -n "$lib" ] || skip "this ld.so does not say what it takes \$LIB for"
	mkdir -p "$T/$lib"
	cp "$1" "$T/$lib"
}

@test "a 32-bit program is pinned, and holds its snapshot, whatever the size of its off_t and time_t" {
	[ "$(SMALL_BARE=1 small32 "$LOCATION")" = "32 bits: ten" ]
	[ "$(SMALL_BARE=1 small32-large "$LOCATION")" = "32 bits: ten" ]
	[ "$(SMALL_BARE=1 small32-time64 "$LOCATION")" = "32 bits: ten" ]
	[ "$(pinned small32 "$LOCATION")" = "32 bits, held: one" ]
	[ "$(pinned small32-large "$LOCATION")" = "32 bits, held: one" ]
	[ "$(pinned small32-time64 "$LOCATION")" = "32 bits, held: one" ]
	[ "$(pinned small64 "$LOCATION")" = "64 bits, held: one" ]
}

@test "the pin goes from 64 bits to 32 and back, also through an empty environment" {
	run -0 pinned small64 "$LOCATION" small32 "$LOCATION" env -i "$T/small32-large" "$LOCATION" "$T/small64" "$LOCATION"
	echo "$output"
	[ "$output" = "64 bits, held: one"$'\n'"32 bits, held: one"$'\n'"32 bits, held: one"$'\n'"64 bits, held: one" ]
}

@test "the launcher hands a path with \$LIB on as it is" {
	run -0 "$RCU_EXEC" --via=preload -l "$LOCATION" -s 1 small64 "$LOCATION"
	echo "$output"
	[ "$output" = "64 bits, held: one" ]
}

@test "the 32-bit shim exports calls-i386.def, needs no library and no version of any symbol" {
	local shim=$RCU_BUILD/preload/m32/librcu-exec.so
	{
		awk -F '[(,] *' '/^CALL\(/ { print $4 $5 $6 }' "$RCU_SRC/preload/calls-i386.def"
		echo librcu_exec_stand_aside@@LIBRCU_EXEC_1
	} | sort >"$T/want"
	nm -D --defined-only "$shim" | awk '$2 != "A" { print $3 }' | sort >"$T/got"
	diff "$T/want" "$T/got"
	readelf -dW "$shim" >"$T/dynamic"
	[ -z "$(grep -E '\((NEEDED|RPATH|RUNPATH|TEXTREL|VERNEED)\)' "$T/dynamic" | tee /dev/stderr)" ]
}

# By $RCU_EXEC_SHIM as by the name that is built in.
@test "rcu-exec pins a 32-bit program by its shim, as the command and deeper in the tree" {
	RCU_EXEC_SHIM=$T/'$LIB'/librcu-exec.so
	export RCU_EXEC_SHIM
	run -0 "$RCU_EXEC" -l "$LOCATION" -s 1 small32 "$LOCATION"
	echo "$output"
	[ "$output" = "32 bits, held: one" ] # held by a mapping: in a namespace it would not be
	run -0 "$RCU_EXEC" --strict --via=preload -l "$LOCATION" -s 1 small64 "$LOCATION" sh -c 'small32 "$1"; small32-large "$1"' - "$LOCATION"
	echo "$output"
	[ "$output" = "64 bits, held: one"$'\n'"32 bits, held: one"$'\n'"32 bits, held: one" ]
	# a launcher below keeps the name with $LIB, once
	run -0 "$RCU_EXEC" -l "$LOCATION" -s 1 env -u RCU_EXEC_SHIM "$RCU_EXEC" -l "$LOCATION" sh -c 'echo "$LD_PRELOAD"; small32 "$1"' - "$LOCATION"
	echo "$output"
	[ "$output" = "$RCU_EXEC_SHIM"$'\n'"32 bits, held: one" ]
	# a shim of one size: the other is for a namespace, or not to be pinned
	RCU_EXEC_SHIM=$RCU_BUILD/preload/.libs/librcu-exec.so run -125 "$RCU_EXEC" --strict --via=preload -l "$LOCATION" -s 1 small32 "$LOCATION"
	echo "$output"
	[[ $output == "rcu-exec: "*"small32: is a 32-bit program, for which no shim is installed: it cannot be pinned" ]]
}

@test "installed, both are found by one name, and no .la is left" {
	local shims
	skip_unless_command make
	env -u MAKEFLAGS -u MAKELEVEL make -C "$RCU_BUILD" install DESTDIR="$T/root" >"$T/log" 2>&1
	shims=$(find "$T/root" -type d -path '*/rcu-repo' -exec test -e '{}/librcu-exec.so' \; -print)
	[ "$(find "$T/root" -name '*.la')" = "" ]
	# the launcher's own idea of it
	strings -a "$RCU_EXEC" | grep -F "${shims#"$T/root"}/\$LIB/librcu-exec.so"
	[ "$(LD_PRELOAD="$shims/\$LIB/librcu-exec.so" RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/1" small32 "$LOCATION")" = "32 bits, held: one" ]
	[ "$(LD_PRELOAD="$shims/\$LIB/librcu-exec.so" RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/1" small64 "$LOCATION")" = "64 bits, held: one" ]
	env -u MAKEFLAGS -u MAKELEVEL make -C "$RCU_BUILD" uninstall DESTDIR="$T/root" >"$T/log" 2>&1
	[ -z "$(find "$T/root" ! -type d)" ]
}

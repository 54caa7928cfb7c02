#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The wrapped calls against the kernel: the corpus, and a short search for more. `make fuzz` searches for long.

load ../lib

setup() {
	lib_init
	export TMPDIR=$T
	REPLAY=$RCU_BUILD/tests/fuzz/replay
	CORPUS=$RCU_SRC/tests/fuzz/corpus.txt
}
teardown() { lib_done; }

@test "no case of the corpus differs from the kernel" {
	run "$REPLAY" "$CORPUS"
	echo "$output"
	[ "$status" = 0 ]
	[[ $output =~ ^([0-9]+)" cases, "([0-9]+)" steps: no difference"$ ]]
	[ "${BASH_REMATCH[1]}" -ge 100 ]
	echo "# $output" >&3
}

# Where a filter is in force, whatever it allows, openat2(2) is not asked (preload/literal.h).
@test "nor behind a filter of system calls" {
	run /usr/bin/python3 - "$REPLAY" "$CORPUS" <<-'END'
		import ctypes, os, struct, sys
		libc = ctypes.CDLL(None)
		rules = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7fff0000)) # all is allowed
		program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(rules))
		libc.prctl(38, 1, 0, 0, 0)
		if libc.prctl(22, 2, program, 0, 0) != 0: sys.exit(77)
		os.execv(sys.argv[1], sys.argv[1:])
	END
	[ "$status" != 77 ] || skip "no filter is to be had here"
	echo "$output"
	[ "$status" = 0 ]
	[[ $output =~ ": no difference"$ ]]
}

@test "a shim that maps nothing is found out" {
	RCU_FUZZ_BLIND=1 run "$REPLAY" "$CORPUS"
	[ "$status" != 0 ]
	[[ $output == *"a difference in this case:"* ]]
}

@test "new cases, from a fixed seed" {
	[ -x "$RCU_BUILD/tests/fuzz/fuzz_map" ] || skip "this was configured without libFuzzer"
	run env FUZZ_DIR="$T/new" "$RCU_SRC/tests/fuzz/run" -seed=1 -runs=5000 -print_final_stats=1
	echo "$output" | grep -vE '^#[0-9]+'
	[ "$status" = 0 ]
	[[ $output =~ number_of_executed_units:\ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -ge 5000 ]
	echo "# ${BASH_REMATCH[1]} cases" >&3
}

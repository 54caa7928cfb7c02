#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The harness: a test that fails, hangs, is not run or does not exist must never look like one that passed.
load lib
setup() { lib_init; }
teardown() { lib_done; }

# What the TAP driver makes of a program, as test-totals adds it up: driven SCRIPT [NAME=VALUE...]
driven() {
	local script=$1
	shift
	printf '#!/bin/sh\n%s\n' "$script" >"$T/program"
	chmod 755 "$T/program"
	# under a shell that leaves "env" to set what tap-run reads
	env "$@" sh "$RCU_SRC/build-aux/tap-driver.sh" --test-name program --log-file "$T/p.log" \
		--trs-file "$T/p.trs" -- sh "$RCU_SRC/build-aux/tap-run" "$T/program" >"$T/driver.out"
	run sh "$RCU_SRC/build-aux/test-totals" "$T/p.trs"
}

last_line_is() { [ "${lines[-1]}" = "$1" ] || { echo "$output"; return 1; }; }

@test "passed tests are counted" {
	driven 'echo 1..2; echo ok 1; echo ok 2'
	[ "$status" = 0 ]
	last_line_is "2 passed, 0 failed, 0 skipped"
}

@test "a failed test is a failure, and is named" {
	driven 'echo 1..2; echo ok 1; echo not ok 2 - second; exit 1'
	[ "$status" = 1 ]
	[[ $output == *"FAIL:"*"second"* ]]
}

@test "a skip by cmocka 1.1.5 is a skip, and says why" {
	driven 'echo 1..3; echo ok 1 - a; echo "# skip: no moon"; echo "not ok 2 # SKIP b"; echo ok 3 - c'
	[ "$status" = 0 ]
	last_line_is "2 passed, 0 failed, 1 skipped"
	[[ $output == *"SKIP: program 2 - b # SKIP no moon"* ]] || { echo "$output"; return 1; }
}

@test "a skip without a reason is a failure, also behind one that has one" {
	driven 'echo 1..2; echo "# skip: no moon"; echo "not ok 1 # SKIP a"; echo "not ok 2 # SKIP b"'
	[ "$status" = 1 ]
	last_line_is "0 passed, 1 failed, 1 skipped"
	[[ $output == *"FAIL: program 2 - b: skipped without a reason"* ]] || { echo "$output"; return 1; }
}

@test "no unit test skips but by skip.h" {
	run grep -nE '(^|[^_a-z])skip\(' "$RCU_SRC"/tests/unit --include='*.c' -r
	[ "$status" = 1 ] || { echo "$output"; return 1; }
}

@test "a program that dies after its last test is a failure" {
	driven 'echo 1..1; echo ok 1; kill -SEGV $$'
	[ "$status" = 1 ]
	last_line_is "1 passed, 1 failed, 0 skipped"
}

@test "a program that ends before its last test is a failure" {
	driven 'echo 1..2; echo ok 1'
	[ "$status" = 1 ]
}

@test "a program that hangs is a failure" {
	driven 'echo 1..1; echo ok 1; exec sleep 1000' RCU_TEST_TIMEOUT=1
	[ "$status" = 1 ]
}

@test "a suite that prints nothing, or plans nothing, is a failure" {
	driven 'exit 0'
	[ "$status" = 1 ]
	driven 'echo 1..0'
	[ "$status" = 1 ]
	last_line_is "0 passed, 1 failed, 0 skipped"
}

@test "a suite that was not run is a failure" {
	driven 'echo 1..1; echo ok 1'
	run sh "$RCU_SRC/build-aux/test-totals" "$T/p.trs" "$T/other.trs"
	[ "$status" = 1 ]
	[[ $output == *"other was not run"* ]]
}

@test "in CI, what bootstrap installs must be there" {
	run env CI=true bash -c '. "$RCU_SRC/tests/lib.bash"; skip() { echo skipped; }; skip_unless_command no-such-thing'
	[ "$status" = 1 ]
	run env CI= bash -c '. "$RCU_SRC/tests/lib.bash"; skip() { echo skipped; }; skip_unless_command no-such-thing'
	[ "$output" = skipped ]
}

@test "versions cannot be mixed unseen" {
	make_version "$T/a" A
	make_version "$T/b" B
	[ "$(version_of "$T/a")" = A ]
	[ "$(version_of "$T/b")" = B ]
	cp -p "$T/b/tell" "$T/a/tell"
	run version_of "$T/a"
	[ "$status" != 0 ]
}

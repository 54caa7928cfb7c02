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
	grep -qF "others: stat $(realpath "$PINNED")/version" <<<"$output"
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

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Libraries that are in a process beside the shim: allocators, sanitizers, Gentoo's sandbox. Each stands before it and behind it in
# LD_PRELOAD, and what the program sees is what it sees bare on the snapshot.
load ../lib
load pinned

setup() {
	lib_init
	make_store
}
teardown() { lib_done; }

# skip_unless_library NAME: sets LIBRARY to where ld.so finds it
skip_unless_library() {
	LIBRARY=$(/sbin/ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }')
	[ -n "$LIBRARY" ] || lib_skip_installed "there is no $1 here"
}

CALLS=(open fopen stat lstat access readlink realpath opendir scandir glob)

# The probe's calls, and programs that start others, say the same as on the snapshot.
agrees() {
	"$PROBES/probe" "$PINNED/version" "${CALLS[@]}" >"$T/want"
	pinned "$PROBES/probe" "$LOCATION/version" "${CALLS[@]}" >"$T/got" 2>&1
	diff "$T/want" "$T/got"
	[ "$(pinned bash -c '/usr/bin/python3 -c "print(open(\"$1/version\").read(), end=\"\")"; env -i cat "$1/version"' \
		sh "$LOCATION")" = $'one\none' ]
	[ "$(pinned "$PROBES/contexts" threads "$LOCATION/version")" = ok ]
	[ "$(pinned "$PROBES/contexts" errno "$LOCATION/version")" = ok ]
}

beside() {
	skip_unless_library "$1"
	PRELOADS_BEFORE=$LIBRARY:
	agrees
	PRELOADS_BEFORE='' PRELOADS_BEHIND=:$LIBRARY
	agrees
}

@test "libjemalloc" { beside libjemalloc.so.2; }
@test "libtcmalloc" { beside libtcmalloc_minimal.so.4; }

# eatmydata puts its own open in the place of libc's; libc's own calls inside libc go past both
@test "libeatmydata" { beside libeatmydata.so; }

# A program of the compiler's with a sanitizer, which has wrappers of its own: sanitized NAME
sanitized() {
	skip_unless_command gcc
	gcc "-fsanitize=$1" -std=gnu11 -D_GNU_SOURCE -o "$T/sanitized" "$RCU_SRC/tests/preload/contexts.c" -lpthread \
		2>"$T/log" || lib_skip_installed "gcc has no -fsanitize=$1 here"
	local what
	for what in errno modes threads own-link; do
		run pinned env "$2" "$T/sanitized" "$what" "$LOCATION/version"
		echo "$what: $output"
		[ "$status:$output" = 0:ok ]
	done
}

@test "AddressSanitizer" { sanitized address ASAN_OPTIONS=verify_asan_link_order=0; }
@test "ThreadSanitizer" { sanitized thread TSAN_OPTIONS=; }
@test "UndefinedBehaviorSanitizer" { sanitized undefined UBSAN_OPTIONS=; }

# It finds the next definitions with dlvsym, and puts itself first in every LD_PRELOAD. Debian has no package of it.
@test "Gentoo's sandbox" {
	command -v sandbox >/dev/null || skip "Gentoo's sandbox is not here, and no package of Debian's"
	pinned sandbox bash -c '
		cat "$1/version"
		/usr/bin/python3 -c "import os, sys; print(os.stat(sys.argv[1] + \"/version\").st_ino)" "$1"
		echo new >"$1/new" || echo refused' bash "$LOCATION" >"$T/got" 2>"$T/said"
	diff - "$T/got" <<-EOT
		one
		$(stat -c %i "$PINNED/version")
		refused
	EOT
	[ ! -e "$PINNED/new" ]
}

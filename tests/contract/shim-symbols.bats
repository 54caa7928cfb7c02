# SPDX-License-Identifier: LGPL-2.1-or-later
# What the shim exports and imports: calls.def and nothing else; and calls.def against this machine's libc.

load ../lib

setup() {
	lib_init
	skip_unless_command nm readelf
	[ -r "$RCU_EXEC_SHIM" ]
}
teardown() { lib_done; }

# symbol@@version of each row, sorted
rows() { rows_of preload/calls.def; }
rows_of() { awk -F '[(,] *' '/^CALL\(/ { print $4 $5 $6 }' "$RCU_SRC/$1" | sort; }

# the symbols of the rows of excused.def that begin with KIND: listed EXCUSED|MISSING
listed() {
	awk -v kind="$1(" 'index($0, kind) == 1 { sub(/^[^"]*"[^"]*", /, ""); sub(/\)$/, ""); gsub(/ /, "\n"); print }' \
		"$RCU_SRC/preload/excused.def" | sort
}

this_libc() { ldd /bin/sh | awk '$1 == "libc.so.6" { print $3 }'; }

# What programs can be linked to: functions; a symbol of version GLIBC_PRIVATE is for libc's own parts.
functions() {
	nm -D --defined-only "$1" | awk '$2 ~ /[TWi]/ && $3 !~ /@+GLIBC_PRIVATE$/ { sub(/@.*/, "", $3); print $3 }' | sort -u
}

defined() { nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' | sort; }

@test "the shim exports calls.def, with libc's versions, and one symbol of its own" {
	{ rows; echo librcu_exec_stand_aside@@LIBRCU_EXEC_1; } | sort >"$T/want"
	defined "$RCU_EXEC_SHIM" >"$T/got"
	diff "$T/want" "$T/got"
	[ "$(wc -l <"$T/want")" -gt 100 ]
}

@test "the guard exports its own calls.def, a part of the shim's, and needs no library" {
	local guard=$RCU_REPO_GUARD_LIBRARY
	rows_of guard/calls.def >"$T/want"
	defined "$guard" >"$T/got"
	diff "$T/want" "$T/got"
	[ "$(wc -l <"$T/want")" -gt 70 ]
	rows | comm -23 "$T/want" - >"$T/odd"
	[ ! -s "$T/odd" ]
	[ -z "$(readelf -d "$guard" | grep NEEDED)" ]
	[ "$(nm -D --undefined-only "$guard" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' | paste -sd ' ')" = \
		"__errno_location environ" ]
}

@test "every row of calls.def is in this libc, with that version, and the default where the row says so" {
	local libc
	libc=$(this_libc)
	[ -r "$libc" ] || skip "no libc.so.6 found here: $libc"
	defined "$libc" | sort -u >"$T/libc"
	# what this libc is too old for is listed, not hidden
	rows | comm -23 - "$T/libc" >"$T/missing"
	cat "$T/missing"
	[ ! -s "$T/missing" ]
}

@test "no call stands twice, and each row is one line" {
	rows >"$T/rows"
	[ -z "$(uniq -d "$T/rows")" ]
	[ "$(grep -c 'CALL(' "$RCU_SRC/preload/calls.def")" -eq $(($(wc -l <"$T/rows") + 1)) ] # the comment names it once
	[ -z "$(awk -F '[(,] *' '/^CALL\(/ { print $3 }' "$RCU_SRC/preload/calls.def" | sort | uniq -d)" ]
}

@test "every version of a wrapped symbol that this libc exports is wrapped" {
	local libc
	libc=$(this_libc)
	[ -r "$libc" ] || skip "no libc.so.6 found here: $libc"
	defined "$libc" | grep -v '@.*PRIVATE' | sort -u >"$T/libc"
	rows | sed 's/@.*//' | sort -u | while read -r symbol; do grep -E "^$symbol@" "$T/libc"; done | sort >"$T/all"
	rows | diff - "$T/all"
}

# judged LIBC: each function is in one of the lists, and in no more than one
judged() {
	functions "$1" >"$T/functions"
	[ "$(wc -l <"$T/functions")" -gt 1500 ]
	comm -12 "$T/wrapped" "$T/functions" >"$T/in-wrapped"
	comm -12 "$T/excused" "$T/functions" >"$T/in-excused"
	comm -12 "$T/missing" "$T/functions" >"$T/in-missing"
	echo "# $1: $(sort -u "$T"/in-* | wc -l) symbols name files, start programs or close descriptors:" \
		"$(wc -l <"$T/in-wrapped") wrapped, $(wc -l <"$T/in-excused") excused, $(wc -l <"$T/in-missing") missing" >&3
	sort -u "$T/wrapped" "$T/excused" "$T/missing" "$T/no-path" | comm -13 - "$T/functions" >"$T/unknown"
	sed 's/^/in no list: /' "$T/unknown"
	[ ! -s "$T/unknown" ]
}

@test "every function that this libc exports is wrapped, excused, or takes no path" {
	local libc rows
	listed EXCUSED >"$T/excused"
	listed MISSING >"$T/missing"
	grep -v '^#' "$RCU_SRC/tests/contract/no-path.list" | tr ' ' '\n' | sort >"$T/no-path"
	for libc in "$(this_libc)" /lib32/libc.so.6; do
		rows=calls.def
		[ "$libc" != /lib32/libc.so.6 ] || rows=calls-i386.def
		rows_of preload/$rows | sed 's/@.*//' | sort -u >"$T/wrapped"
		[ -z "$(sort -m "$T/wrapped" "$T/excused" "$T/missing" "$T/no-path" | uniq -d | tee /dev/stderr)" ]
		if [ -r "$libc" ]; then judged "$libc"; fi
	done
}

@test "calls-i386.def is what calls.def and the 32-bit libc make" {
	[ -r /lib32/libc.so.6 ] || skip "no 32-bit libc here"
	nm -D --defined-only /lib32/libc.so.6 |
		awk -f "$RCU_SRC/build-aux/calls-i386.awk" - "$RCU_SRC/preload/calls.def" | diff "$RCU_SRC/preload/calls-i386.def" -
}

@test "each row of excused.def is one line, and has a reason" {
	[ "$(grep -cE '^(EXCUSED|MISSING)\("[^"]{10,}", [A-Za-z0-9_ ]+\)$' "$RCU_SRC/preload/excused.def")" \
		= "$(grep -cE '^[A-Z]+\(' "$RCU_SRC/preload/excused.def")" ]
}

@test "the shim imports almost nothing, and nothing that a libc must have but errno" {
	nm -D --undefined-only "$RCU_EXEC_SHIM" | awk '{ print $1, $2 }' | sort >"$T/got"
	cat "$T/got"
	grep -qx 'U __errno_location' "$T/got"
	[ -z "$(grep -vE '^(U __errno_location|w __libc_stack_end|w _r_debug|w __libc_single_threaded|w dladdr|w dlsym|w dlvsym|[Uw] environ)$' "$T/got")" ]
}

@test "the shim needs no library, is started first, and has nothing writable that could be sealed" {
	readelf -dW "$RCU_EXEC_SHIM" >"$T/dynamic"
	cat "$T/dynamic"
	[ -z "$(grep -E '\((NEEDED|RPATH|RUNPATH|TEXTREL|VERNEED)\)' "$T/dynamic")" ]
	grep -E 'FLAGS_1.*NOW.*INITFIRST' "$T/dynamic"
	readelf -lW "$RCU_EXEC_SHIM" >"$T/segments"
	cat "$T/segments"
	grep -q GNU_RELRO "$T/segments"
	[ -z "$(grep -E '^ *TLS' "$T/segments")" ]
	grep -E 'GNU_STACK.* RW ' "$T/segments"
	# no IFUNC
	[ -z "$(readelf -sW "$RCU_EXEC_SHIM" | grep IFUNC)" ]
	[ -z "$(readelf -rW "$RCU_EXEC_SHIM" | grep IRELATIV)" ]
}

@test "no body has a buffer of PATH_MAX: frames of a fixed size stay small" {
	skip_unless_command objdump
	# alloca by the length at hand does not count: it is no constant
	objdump -d --no-show-raw-insn "$RCU_EXEC_SHIM" >"$T/code"
	awk '/^[0-9a-f]+ <.*>:$/ { name = $2 }
		match($0, /sub +\$0x[0-9a-f]+,%rsp/) {
			hex = substr($0, RSTART, RLENGTH); sub(/.*0x/, "", hex); sub(/,.*/, "", hex)
			if (length(hex) > 3 && hex !~ /^ffffffff/) { print name, hex; bad = 1 }
		} END { exit bad }' "$T/code"
}

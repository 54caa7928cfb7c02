#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The rules of HACKING.md that a machine can judge.

load ../lib

setup() {
	lib_init
	cd "$RCU_SRC"
	ODD=$T/odd
}
teardown() { lib_done; }

# What we wrote ourselves: not what autoreconf made, nor a build inside the source tree
sources() {
	find core preload guard helper man tests bench .ci -type f ! -name '*.o' ! -name '*.lo' ! -name '*.a' ! -name '*.la' \
		! -path '*/.libs/*' ! -path '*/.deps/*' ! -name '.dirstamp' ! -name '*.log' ! -name '*.trs' |
		while read -r file; do
			# what was compiled beside its source
			[ "$(head -c 4 "$file" | tr -d '\0')" = $'\177ELF' ] || echo "$file"
		done
	find build-aux -name '*.awk'
	ls configure.ac Makefile.am bootstrap build-aux/tap-run build-aux/test-totals ./*.md
	find . -maxdepth 1 -name .gitignore -o -maxdepth 1 -name .clang-format
}

c_sources() { find core preload guard helper -name '*.[ch]'; }

# without comments, strings and characters: what is said about strcpy is no call of it
code() {
	awk '{ text = text $0 "\n" }
	END {
		while (match(text, /\/\*|\/\/|"|'\''/)) {
			printf "%s", substr(text, 1, RSTART - 1)
			mark = substr(text, RSTART, RLENGTH)
			text = substr(text, RSTART + RLENGTH)
			if (mark == "/*")
				skip = index(text, "*/") + 1
			else if (mark == "//")
				skip = index(text, "\n") - 1
			else
				for (skip = 1; (c = substr(text, skip, 1)) != mark && c != ""; skip++)
					if (c == "\\")
						skip++
			skipped = substr(text, 1, skip)
			gsub(/[^\n]/, "", skipped)
			printf " %s", skipped
			text = substr(text, skip + 1)
		}
		printf "%s", text
	}' "$1"
}

# none_in WHAT: nothing was written to $ODD
none_in() {
	if [ -s "$ODD" ]; then
		echo "$1:"
		cat "$ODD"
		return 1
	fi
}

@test "every file says its licence" {
	local file
	[ "$(sources | wc -l)" -ge 80 ]
	sources | while read -r file; do
		head -n 5 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' || echo "$file"
	done >"$ODD"
	none_in "no SPDX line"
}

@test "no function is longer than 120 lines, few than 60" {
	c_sources | grep '\.c$' | xargs awk -f build-aux/function-lengths.awk >"$T/lengths"
	[ "$(wc -l <"$T/lengths")" -ge 200 ]
	# every body that there is was measured
	[ "$(wc -l <"$T/lengths")" = "$(c_sources | grep '\.c$' | xargs cat | grep -c '^{$')" ]
	awk '$1 > 60' "$T/lengths" | sort -rn | sed 's/^/# longer than 60 lines: /' >&3
	awk '$1 > 120' "$T/lengths" >"$ODD"
	none_in "longer than 120 lines"
}

@test "what is banned does not occur" {
	local file
	c_sources | while read -r file; do
		code "$file" | grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|tmpnam|mktemp|alloca|system) *\(' |
			sed "s|^|$file:|"
	done | grep -vE '^preload/[a-z_]*\.c:.*next\(\)->|^guard/[a-z_]*\.c:.*NEXT\(' >"$ODD" || :
	none_in "banned functions"
}

@test "core includes nothing that does I/O, but for sys.h, hold and loads" {
	grep -nE '^#include' core/*.[ch] | grep -vE '^core/(sys\.h|(hold|loads)\.[ch]):' |
		grep -vE '<(std(bool|def|int)|string|errno|limits|elf)\.h>|"core/[a-z_]+\.h"' >"$ODD" || :
	none_in "includes of core"
	grep -nE '^#include "core/(sys|hold|loads)\.h"' core/*.[ch] | grep -vE '^core/(hold|loads)\.c:' >"$ODD" || :
	none_in "users of sys.h, hold.h and loads.h in core"
}

@test "preload and helper include core and themselves, guard the lookup too, core itself" {
	grep -nE '^#include "' core/*.[ch] | grep -v '"core/' >"$ODD" || :
	grep -nE '^#include "' preload/*.[ch] | grep -vE '"(core|preload)/' >>"$ODD" || :
	grep -nE '^#include "' guard/*.[ch] | grep -vE '"(core|guard)/|"preload/lookup\.h"' >>"$ODD" || :
	find helper -name '*.[ch]' -exec grep -nE '^#include "' {} + | grep -vE '"(core|helper)/|"config\.h"' >>"$ODD" || :
	none_in "includes across the borders"
}

@test "only mains, and what command files are made of, print or exit" {
	local file
	find helper -name '*.c' | grep -vE '/(cmd-[a-z]+|command|session|look|progress|aside|rcu-repo|rcu-exec|err|alloc|options|table)\.c$' |
		while read -r file; do
			code "$file" | grep -nE '\b(printf|puts|putchar|fputs|fprintf|perror|warn|note|err_print|exit|abort) *\(' |
				sed "s|^|$file:|"
		done >"$ODD"
	none_in "printing or ending in library files"
}

@test "no symbol of ours begins with rcu_, urcu_ or cds_" {
	skip_unless_command nm
	local object
	for object in "$RCU_BUILD"/helper/libhelper.a "$RCU_BUILD"/core/libcore.a "$RCU_BUILD"/helper/rcu-repo \
		"$RCU_BUILD"/helper/rcu-exec "$RCU_BUILD"/preload/.libs/librcu-exec.so "$RCU_BUILD"/guard/.libs/librcu-guard.so; do
		nm --defined-only "$object" | awk 'NF == 3 { print $3 }' >"$T/symbols"
		[ -s "$T/symbols" ]
		grep -E '^_*(rcu|urcu|cds)_' "$T/symbols" | sed "s|^|${object##*/}: |" >>"$ODD" || :
	done
	none_in "symbols in liburcu's name space"
	# names that leave no symbol: types, macros, members
	c_sources | xargs grep -noE '\b(rcu|urcu|cds|RCU|URCU|CDS)_[A-Za-z0-9_]+' |
		grep -vE ':RCU_(EXEC|REPO)_' >"$ODD" || :
	none_in "names in liburcu's name space"
}

@test "nothing is left for later" {
	sources | grep -v '^tests/contract/' | xargs grep -nwE 'TODO|FIXME|XXX' >"$ODD" || :
	none_in "notes of things undone"
}

# bash does not count a failure of `! command` as one (set -e), so such a line tests nothing unless it is the last
@test "no line of a test is a bare ! command" {
	find tests -name '*.bats' -exec awk '
		held && !/^}/ { print held }
		{ held = /^[ \t]*! [a-z]/ ? FILENAME ":" FNR ":" $0 : "" }' {} + >"$ODD"
	none_in "lines that cannot fail"
}

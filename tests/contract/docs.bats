#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual pages say what the programs say, and what calls.def says.

load ../lib

setup() {
	lib_init
	MAN=$RCU_SRC/man
}
teardown() { lib_done; }

# page NAME.SECTION: as one reads it, in lines so long that no synopsis is broken
page() {
	mandoc -T utf8 -O width=400 "$MAN/$1" | sed 's/.\x08//g'
}

# section PAGE TITLE: the lines below .Sh TITLE
section() {
	page "$1" | awk -v title="$2" '/^[^ ]/ { inside = $0 == title; next } inside && NF { $1 = $1; print }'
}

# helps: what --help says, of the program and of each of its commands
helps() {
	"$RCU_BUILD/helper/$1" --help
	if [ "$1" = rcu-repo ]; then
		local command
		for command in $(commands); do
			"$RCU_REPO" "$command" --help
		done
	fi
}

# The commands that rcu-repo knows, from its own help
commands() {
	"$RCU_REPO" --help | awk '/^Commands:/ { inside = 1; next } !NF { inside = 0 } inside { print $1 }'
}

# synopses PROGRAM: the lines of --help that are a synopsis (helper/commands/command.h)
synopses() {
	"$RCU_BUILD/helper/$1" --help | sed -n "s/^  \($1 .*\)/\1/p"
}

# Long and short options as words, one a line: from --help, the first words of the lines that begin with one
options_of_help() {
	helps "$1" | sed -n 's/^  *\(\(-[A-Za-z], \)\{0,1\}--[a-z][a-z-]*\).*/\1/p' | tr -d ',' | tr ' ' '\n' | sed '/^$/d' | sort -u
}

# ... and from the tags of a page: .It Fl r , -repo Ar REPO
options_of_page() {
	awk '/^\.It Fl / {
		for (i = 2; i <= NF; i++) {
			if ($i ~ /^[A-Z][a-z]$/)
				flag = $i == "Fl"
			else if (flag && $i ~ /^-?[A-Za-z]/)
				print "-" $i
		}
	}' "$MAN/$1" | sort -u
}

# same WHAT FILE FILE: the two lists are equal, else say how they differ
same() {
	if ! diff -u "$2" "$3" >"$T/diff"; then
		echo "$1 differ:"
		cat "$T/diff"
		return 1
	fi
	[ -s "$2" ] || { echo "no $1 found"; return 1; }
}

@test "mandoc finds nothing to warn of in any page" {
	skip_unless_command mandoc
	run mandoc -T lint -W warning "$MAN"/*.[1-8]
	echo "$output"
	[ "$status" = 0 ]
	[ -z "$output" ]
}

@test "the synopsis of rcu-repo --help is that of rcu-repo(8)" {
	skip_unless_command mandoc
	section rcu-repo.8 SYNOPSIS >"$T/page"
	synopses rcu-repo >"$T/help"
	same synopses "$T/page" "$T/help"
}

@test "the synopsis of rcu-exec --help is that of rcu-exec(1)" {
	skip_unless_command mandoc
	section rcu-exec.1 SYNOPSIS >"$T/page"
	synopses rcu-exec >"$T/help"
	same synopses "$T/page" "$T/help"
}

@test "rcu-repo COMMAND --help has the command's line of the synopsis" {
	synopses rcu-repo >"$T/all"
	[ "$(commands | wc -l)" -ge 8 ]
	local command
	for command in $(commands); do
		"$RCU_REPO" "$command" --help | sed -n 's/^  \(rcu-repo .*\)/\1/p' >"$T/one"
		[ "$(wc -l <"$T/one")" = 1 ]
		grep -Fxf "$T/one" "$T/all"
	done
}

@test "rcu-repo(8) describes each command of --help, and no other" {
	commands | sort >"$T/help"
	awk '/^\.Ss Commands/ { inside = 1 } /^\.Ss Options/ { inside = 0 }
	     inside && sub(/^\.It Cm /, "") { print $1 }' "$MAN/rcu-repo.8" | sort >"$T/page"
	same commands "$T/page" "$T/help"
}

@test "rcu-repo(8) describes each option of --help, and no other" {
	options_of_help rcu-repo >"$T/help"
	options_of_page rcu-repo.8 >"$T/page"
	same options "$T/page" "$T/help"
}

@test "rcu-exec(1) describes each option of --help, and no other" {
	options_of_help rcu-exec >"$T/help"
	options_of_page rcu-exec.1 >"$T/page"
	same options "$T/page" "$T/help"
}

@test "-h, --help, -V and --version answer on stdout with status 0" {
	local program option
	for program in rcu-repo rcu-exec; do
		for option in -h --help -V --version; do
			"$RCU_BUILD/helper/$program" $option >"$T/out" 2>"$T/err"
			[ -s "$T/out" ]
			[ ! -s "$T/err" ]
		done
		"$RCU_BUILD/helper/$program" --version | grep -E "^($program|$program \(rcu-repo\)) [0-9]+\.[0-9]+\.[0-9]+"
	done
}

@test "rcu-repo(8) describes each key of the configuration" {
	sed -n '/^\.Sh CONFIGURATION/,/^\.Sh ENVIRONMENT/s/^\.It Li //p' "$MAN/rcu-repo.8" >"$T/page"
	local key
	# the names that users and Portage rely on
	for key in location sync-type sync-uri sync-rcu sync-rcu-store-dir sync-rcu-spare-snapshots \
		sync-rcu-ttl-days sync-allow-hardlinks sync-rcu-durability sync-rcu-verify sync-rcu-hooks \
		sync-rcu-max-delete; do
		grep -Fx -- "$key" "$T/page"
	done
	# and every one that the parser asks for
	grep -ohE '"(auto-)?sync(-[a-z]+)*"' "$RCU_SRC/helper/config/repos.c" | tr -d '"' | sort -u >"$T/code"
	[ "$(wc -l <"$T/code")" -ge 10 ]
	while read -r key; do
		grep -Fx -- "$key" "$T/page"
	done <"$T/code"
}

@test "each variable that a program reads is in a page" {
	local name
	grep -ohE 'getenv\("[A-Z_]+"\)|environment\("[A-Z_]+"|define ENV_[A-Z]+[^"]*"[A-Z_]+"' \
		$(find "$RCU_SRC/helper" -name "*.[ch]") "$RCU_SRC"/core/*.h |
		grep -oE '"[A-Z_]+"' | tr -d '"' >"$T/names"
	grep -ohE '"RCU_[A-Z_]+=' "$RCU_SRC"/preload/*.c $(find "$RCU_SRC/helper" -name "*.c") | tr -d '"=' >>"$T/names"
	sort -u "$T/names" >"$T/code"
	[ "$(wc -l <"$T/code")" -ge 5 ]
	while read -r name; do
		grep -qE "^\.(It )?Ev .*\b$name\b" "$MAN"/*.[1-8] || { echo "no page has $name"; return 1; }
	done <"$T/code"
}

@test "librcu-exec(7) lists the calls of preload/calls.def" {
	local awk=${AWK:-awk}
	"$awk" -f "$RCU_SRC/build-aux/calls-man.awk" "$RCU_SRC/preload/calls.def" "$MAN/librcu-exec.7" >"$T/renewed"
	same "lists of calls (make man-calls)" "$MAN/librcu-exec.7" "$T/renewed"
	# and not by the same mistake on both sides: count the symbols by other means
	sed -n 's/^CALL([^,]*, [^,]*, \([^,]*\),.*/\1/p' "$RCU_SRC/preload/calls.def" | sort -u >"$T/def"
	sed -n '/calls.def: begin/,/calls.def: end/s/^\.Li //p' "$MAN/librcu-exec.7" | tr -d ',' | tr -s ' ' '\n' |
		sed '/^$/d' | sort >"$T/page"
	same symbols "$T/page" "$T/def"
}

@test "the layout in rcu-repo(7) has each name that the code makes in a store" {
	local name
	grep -ohE 'define STORE_[A-Z_]+ (STORE_OURS )?"[^"]+"' "$RCU_SRC"/core/names.h $(find "$RCU_SRC/helper" -name "*.h") |
		grep -oE '"[^"]+"' | tr -d '"/' | sort -u >"$T/code"
	[ "$(wc -l <"$T/code")" -ge 10 ]
	while read -r name; do
		grep -qE "^\.It Pa (STORE/)?$name(/| |\$)" "$MAN/rcu-repo.7" || { echo "no $name"; return 1; }
	done <"$T/code"
}

@test "links in the documents lead to files" {
	local file target
	for file in README HACKING SECURITY NEWS; do
		grep -oE '\]\([^)]+\)' "$RCU_SRC/$file.md" | sed 's/^](\(.*\))$/\1/' | grep -v '^https\{0,1\}:' |
			while read -r target; do
				[ -e "$RCU_SRC/$target" ] || { echo "$file.md: $target"; exit 1; }
			done
	done
}

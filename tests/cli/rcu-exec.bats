#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-exec: what is pinned, and what it says where it cannot. What a pinned program sees: tests/preload.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# What rcu-exec refuses of its own: exit 125, one line, the command did not run
cannot_pin() {
	local regex=$1
	shift
	refused 125 "$regex" rcu_exec "$@" touch "$T/ran"
	[ ! -e "$T/ran" ]
	[ "$(wc -l <"$T/refused.err")" = 1 ]
	grep -q '^rcu-exec: ' "$T/refused.err"
}

@test "the command stays on its version while others are published, and so do its children" {
	sync_version A
	make_version "$SOURCE" B
	rcu_exec -l "$LOCATION" -- bash -c '. "$RCU_SRC/tests/lib.bash"; version_of "$1"
		"$RCU_REPO" sync --quiet --location "$1" --type rsync --uri "$2"
		version_of "$1"; bash -c "cat \"\$1/version\"" bash "$1"; env -i cat "$1/version"' bash "$LOCATION" "$SOURCE" >"$T/out"
	[ "$(tr '\n' ' ' <"$T/out")" = "A A A A " ]
	[ "$(version_of "$LOCATION")" = B ]
}

@test "it becomes the command: pid, status, signals, stdin" {
	sync_version A
	run -7 rcu_exec -l "$LOCATION" -- sh -c 'exit 7'
	[ "$(echo in | rcu_exec -l "$LOCATION" cat)" = in ]
	background "$RCU_EXEC" -l "$LOCATION" -- sleep 1000
	wait_until grep -q '^sleep' "/proc/$BACKGROUND/comm"
	kill -TERM "$BACKGROUND"
	status=0
	wait "$BACKGROUND" || status=$?
	[ "$status" = 143 ]
	rcu_exec -l "$LOCATION" -- sh -c 'kill -0 $$ && test ! -e /proc/self/fd/48'
}

@test "-p prints location, tab, snapshot" {
	two_repositories
	rcu_repo sync
	make_version "$T/source-two" B
	rcu_repo sync two
	printf '%s\t%s\n' "$T/one" "$T/store-one/snapshots/1" "$T/two" "$T/store-two/snapshots/2" >"$T/expected"
	rcu_exec -p | cmp - "$T/expected"
	rcu_exec --print -r two | cmp - <(tail -n 1 "$T/expected")
	rcu_exec -p -r one -l "$T/two" | cmp - "$T/expected"
	rcu_exec -p -r two -s 1 | grep snapshots/1
	rcu_exec -p -s two=1 | grep store-two/snapshots/1
	rcu_exec -p -l "$T/two" -s "$T/two=1" | grep store-two/snapshots/1
}

@test "-p writes a tab, a newline and a percent sign of a path as %XX" {
	local odd="$T/a"$'\t'"b"$'\n'"c%d=e"
	mkdir -p "$odd"
	sync_version A
	ln -s "$STORE/latest" "$odd/location"
	rcu_exec -p -l "$odd/location" >"$T/out"
	printf '%s\t%s\n' "$T/a%09b%0Ac%25d=e/location" "$STORE/snapshots/1" | cmp - "$T/out"
}

@test "options that contradict one another are refused" {
	sync_version A
	run -125 "$RCU_EXEC" -l "$LOCATION" --via=preload --via=namespace true
	[ "$output" = "rcu-exec: --via: both preload and namespace" ]
	run -125 "$RCU_EXEC" -l "$LOCATION" -s 1 -s 2 true
	[ "$output" = "rcu-exec: --snapshot: both 1 and 2 of $LOCATION" ]
	rcu_exec -l "$LOCATION" --via=preload --via=preload -s 1 -s "$LOCATION=1" true
}

@test "RCU_EXEC_PINS names the pins, and LD_PRELOAD has the shim last" {
	sync_version A
	LD_PRELOAD=libm.so.6 rcu_exec -l "$LOCATION" -- env >"$T/env"
	grep -Fx "RCU_EXEC_PINS=$LOCATION=$STORE/snapshots/1" "$T/env"
	grep -Fx "LD_PRELOAD=libm.so.6:$RCU_EXEC_SHIM" "$T/env"
}

@test "rcu-exec under rcu-exec keeps the outer pin, unless -s or --fresh says otherwise" {
	sync_version A
	make_version "$SOURCE" B
	rcu_exec -l "$LOCATION" -- bash -c '. "$RCU_SRC/tests/lib.bash"
		"$RCU_REPO" sync --quiet --location "$1" --type rsync --uri "$2"
		rcu_exec -l "$1" cat "$1/version"
		rcu_exec -l "$1" --fresh cat "$1/version"
		rcu_exec -l "$1" -s 2 cat "$1/version"
		rcu_exec -l "$1" -s 2 "$RCU_EXEC" -l "$1" cat "$1/version"
		rcu_exec -l "$1" -p' bash "$LOCATION" "$SOURCE" >"$T/out"
	printf '%s\n' A B B B "$LOCATION	$STORE/snapshots/1" | cmp - "$T/out"
}

@test "-s and --fresh under an outer pin are about it, though no configuration knows of it" {
	sync_version A
	make_version "$SOURCE" B
	rcu_exec -l "$LOCATION" -- bash -c '. "$RCU_SRC/tests/lib.bash"
		"$RCU_REPO" sync --quiet --location "$1" --type rsync --uri "$2"
		rcu_exec cat "$1/version"
		rcu_exec --fresh cat "$1/version"
		rcu_exec -s 2 cat "$1/version"
		rcu_exec -s "$1=2" cat "$1/version"
		rcu_exec --via=namespace --fresh cat "$1/version"' bash "$LOCATION" "$SOURCE" >"$T/out"
	printf '%s\n' A B B B B | cmp - "$T/out"
}

@test "an outer pin stays though the inner one is of another repository, and without a configuration" {
	two_repositories
	rcu_repo sync
	rcu_exec -r one -- "$RCU_EXEC" -r two -- env | grep -A1 ^RCU_EXEC_PINS= >"$T/pins"
	[ "$(wc -l <"$T/pins")" = 2 ]
	: >"$T/empty.conf"
	RCU_REPO_CONFIG=$T/empty.conf rcu_exec -l "$T/one" -- "$RCU_EXEC" -p | grep "store-one/snapshots/1"
}

@test "the pin is held all the way: gc never takes the snapshot of a reader that is just starting" {
	sync_version A --set sync-rcu-spare-snapshots=0
	background bash -c 'for i in $(seq 40); do "$1" update --quiet --location "$2" \
			--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0 -- sh -c "echo $i >>header" || exit
		done; touch "$3"' bash "$RCU_REPO" "$LOCATION" "$T/done"
	while [ ! -e "$T/done" ]; do
		rcu_exec -l "$LOCATION" -- "$RCU_EXEC" -l "$LOCATION" -- bash -c \
			'a=$(cat "$1/header" | cksum); b=$(cat "$1/header" | cksum); [ -n "$a" ] && [ "$a" = "$b" ]' bash "$LOCATION"
		gone "$BACKGROUND" && break
	done
	wait_until gone "$BACKGROUND"
	[ -e "$T/done" ]
}

@test "a location that is missing, a dangling link, a file, a directory, a link elsewhere" {
	: >"$T/file"
	mkdir "$T/dir"
	ln -s "$T/none" "$T/dangling"
	ln -s "$T/dir" "$T/elsewhere"
	cannot_pin 'none: does not exist' -l "$T/none"
	cannot_pin 'dangling: is a dangling link' -l "$T/dangling"
	cannot_pin 'file: is a file, not an RCU location' -l "$T/file"
	cannot_pin 'dir: is a directory, not an RCU location' -l "$T/dir"
	cannot_pin 'elsewhere: is a link that leads elsewhere' -l "$T/elsewhere"
}

@test "a repository that is not there, a number that is gone, nothing to pin" {
	two_repositories
	rcu_repo sync
	cannot_pin 'three: no such repository' -r three
	cannot_pin 'snapshot|7' -r one -s 7
	cannot_pin 'say of which repository' -s 1
	cannot_pin 'one: no snapshot is kept as x' -r one -s x
	: >"$T/repos.conf"
	cannot_pin 'nothing to pin'
	echo nonsense >"$T/repos.conf"
	cannot_pin 'repos.conf:1: '
}

@test "wrong options" {
	sync_version A
	cannot_pin 'magic: not auto' -l "$LOCATION" --via=magic
	cannot_pin 'nonsense: unknown option' --nonsense
	refused 125 'a command is needed' rcu_exec -l "$LOCATION"
	rcu_exec -l "$LOCATION" --via=auto true
	rcu_exec -l "$LOCATION" --via=preload -- true
}

@test "126 for what cannot be executed, 127 for what is not there" {
	sync_version A
	: >"$T/plain"
	run -127 rcu_exec -l "$LOCATION" -- no-such-command
	[[ $output == *"no-such-command: cannot be run"* ]]
	run -127 rcu_exec -l "$LOCATION" -- "$T/none"
	run -126 rcu_exec -l "$LOCATION" -- "$T/plain"
	printf '#!/no/such/interpreter\n' >"$T/script"
	chmod 755 "$T/script"
	run -126 rcu_exec -l "$LOCATION" -- "$T/script"
	run -126 rcu_exec -l "$LOCATION" -- "$T"
}

@test "a command in the location, its interpreter and what PATH finds there are of the pinned version" {
	local version
	for version in A B; do
		make_version "$SOURCE" $version
		mkdir "$SOURCE/bin"
		cp /bin/sh "$SOURCE/bin/sh"
		printf '#!/bin/sh\necho %s "$0" "$@"\n' $version >"$SOURCE/bin/say"
		printf '#!%s/bin/interpreter\n' "$LOCATION" >"$SOURCE/bin/script"
		cp "$SOURCE/bin/script" "$T/script"
		chmod 755 "$SOURCE/bin"/* "$T/script"
		cc -DVERSION="\"$version\"" -x c -o "$SOURCE/bin/interpreter" - <<<'#include <stdio.h>
			int main(int c, char **v) { return printf("%s %d\n", VERSION, c) < 0; }'
		[ $version = B ] || cp "$SOURCE/bin/say" "$SOURCE/bin/only-in-a"
		repo sync --quiet --set sync-rcu-max-delete=100% --type rsync --uri "$SOURCE"
	done
	run -0 rcu_exec -l "$LOCATION" -s 1 -- "$LOCATION/bin/say" x "y z"
	[ "$output" = "A $STORE/snapshots/1/bin/say x y z" ]
	[ "$(rcu_exec -l "$LOCATION" -s 1 -- "$LOCATION/bin/script")" = "A 2" ]
	[ "$(rcu_exec -l "$LOCATION" -s 1 -- "$T/script")" = "A 2" ]
	[ "$(rcu_exec -l "$LOCATION" -- "$T/script")" = "B 2" ]
	[[ $(PATH=$LOCATION/bin:$PATH rcu_exec -l "$LOCATION" -s 1 -- say) == "A "* ]]
	[[ $(PATH=/bin:$LOCATION/bin rcu_exec --via=preload --strict -l "$LOCATION" -s 1 -- only-in-a) == "A "* ]]
	[[ $(rcu_exec -l "$LOCATION" -s 1 -- "$LOCATION/bin/only-in-a") == "A "* ]]
	[[ $(cd "$LOCATION/bin" && rcu_exec -l "$LOCATION" -s 1 -- ./say) == "A "* ]]
	refused 127 "cannot be run" rcu_exec -l "$LOCATION" -s 2 -- "$LOCATION/bin/only-in-a"
	refused 126 "cannot be run" rcu_exec -l "$LOCATION" -s 1 -- "$LOCATION/version"
	# it is the command all the same: pid, name, and nothing of us in its arguments
	background "$RCU_EXEC" -l "$LOCATION" -s 1 -- "$LOCATION/bin/sh" -c 'sleep 1000; :'
	wait_until grep -q '^sh$' "/proc/$BACKGROUND/comm"
	wait_until grep -q pins/1 "/proc/$BACKGROUND/maps"
	[ "$(tr '\0' ' ' <"/proc/$BACKGROUND/cmdline")" = "$LOCATION/bin/sh -c sleep 1000; : " ]
	[ "$(readlink "/proc/$BACKGROUND/exe")" = "$STORE/snapshots/1/bin/sh" ]
}

@test "a script without #! is run by the shell, as by execvp" {
	sync_version A
	echo 'echo "$0 $1"' >"$T/script"
	chmod 755 "$T/script"
	[ "$(rcu_exec -l "$LOCATION" -- "$T/script" x)" = "$T/script x" ]
}

@test "a command that cannot load the shim, and may not have a namespace: one line; 125 under --strict" {
	skip_unless_command cc
	sync_version A
	echo 'int main(void) { return 0; }' >"$T/static.c"
	cc -static -o "$T/static" "$T/static.c" || skip "there is no static libc here"
	printf '#!%s\n' "$T/static" >"$T/script"
	chmod 755 "$T/script"
	run -0 --separate-stderr rcu_exec --via=preload -l "$LOCATION" -- "$T/static"
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == "rcu-exec: $T/static: is a static program"* ]]
	run -0 --separate-stderr rcu_exec --via=preload -l "$LOCATION" -- "$T/script"
	[[ $stderr == "rcu-exec: $T/script: is a static program"* ]]
	refused 125 'is a static program' rcu_exec --via=preload --strict -l "$LOCATION" -- "$T/static"
	run -0 --separate-stderr rcu_exec --strict -l "$LOCATION" -- true
	[ -z "$stderr" ]
}

@test "a set-user-ID command" {
	skip_unless_root
	sync_version A
	cp /bin/true "$T/setid"
	chown 1 "$T/setid"
	chmod 4755 "$T/setid"
	refused 125 'gains privileges' rcu_exec --via=preload --strict -l "$LOCATION" -- "$T/setid"
	run -0 --separate-stderr rcu_exec --via=preload -l "$LOCATION" -- "$T/setid"
	[[ $stderr == *"gains privileges"*"unpinned" ]]
}

@test "the shim is missing, or its name is one that ld.so would split" {
	sync_version A
	RCU_EXEC_SHIM=$T/none.so cannot_pin "none.so: the shim cannot be loaded" -l "$LOCATION"
	RCU_EXEC_SHIM=relative.so cannot_pin "must be an absolute path" -l "$LOCATION"
	mkdir "$T/a b" "$T/a:b"
	cp "$RCU_EXEC_SHIM" "$T/a b/shim.so"
	cp "$RCU_EXEC_SHIM" "$T/a:b/shim.so"
	RCU_EXEC_SHIM="$T/a b/shim.so" cannot_pin "must be an absolute path" -l "$LOCATION"
	RCU_EXEC_SHIM="$T/a:b/shim.so" cannot_pin "must be an absolute path" -l "$LOCATION"
}

@test "the shim is something else" {
	sync_version A
	RCU_EXEC_SHIM=/etc/passwd cannot_pin "/etc/passwd: the shim cannot be loaded.*RCU_EXEC_SHIM" -l "$LOCATION"
	RCU_EXEC_SHIM=/bin/true cannot_pin "/bin/true: the shim cannot be loaded" -l "$LOCATION"
	RCU_EXEC_SHIM=$T cannot_pin "$T: the shim cannot be loaded" -l "$LOCATION"
}

@test "a working directory in another snapshot of the repository is the same one in the pinned" {
	local way
	sync_version A
	make_version "$SOURCE" B
	mkdir "$SOURCE/fresh"
	repo sync --type rsync --uri "$SOURCE"
	cd "$LOCATION/profiles"
	for way in preload namespace; do
		[ $way = preload ] || rcu_exec --via=namespace -l "$LOCATION" true 2>/dev/null || continue
		[ "$(rcu_exec --via=$way -l "$LOCATION" -s 1 cat ../version)" = A ]
		[ "$(rcu_exec --via=$way -l "$LOCATION" -s 1 /bin/pwd -P)" = "$STORE/snapshots/1/profiles" ]
		[ "$(rcu_exec --via=$way -l "$LOCATION" -s 2 cat ../version)" = B ]
	done
	[ "$(rcu_exec -p -l "$LOCATION" -s 1)" = "$LOCATION"$'\t'"$STORE/snapshots/1" ]
	cd "$LOCATION/fresh"
	cannot_pin "snapshots/2/fresh: the working directory is in snapshot 2, not in 1: No such file" -l "$LOCATION" -s 1
	cd "$STORE"
	[ "$(rcu_exec -l "$LOCATION" -s 1 /bin/pwd -P)" = "$STORE" ]
	cd "$T"
}

@test "one location by two names is one pin, and two numbers of it are refused" {
	sync_version A
	sync_version B
	ln -s "$LOCATION" "$T/other-name"
	[ "$(rcu_exec -l "$LOCATION" -l "$T/other-name" -s "$LOCATION=1" cat "$T/other-name/version")" = A ]
	[ "$(rcu_exec -p -l "$LOCATION" -l "$T/other-name" -s "$LOCATION=1" | wc -l)" = 1 ]
	cannot_pin "other-name: snapshot 2: 1 of the same store is asked for, too" \
		-l "$LOCATION" -l "$T/other-name" -s "$LOCATION=1" -s "$T/other-name=2"
}

@test "more pins than a process can have" {
	local i options=()
	skip_unless_command cp
	sync_version A
	for i in $(seq 33); do
		cp -a "$STORE" "$T/store$i"
		ln -s "$T/store$i/latest" "$T/location$i"
		options+=(-l "$T/location$i")
	done
	cannot_pin 'more than 32' "${options[@]}"
	unset 'options[65]' 'options[64]'
	rcu_exec "${options[@]}" -- cat "$T/location1/version" "$T/location32/version"
}

@test "a store without pin files, of another user: a warning, 125 under --strict" {
	for_everybody
	make_version "$STORE/snapshots/3" A
	ln -s snapshots/3 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	run -0 --separate-stderr unprivileged "$RCU_EXEC" -l "$LOCATION" -- cat "$LOCATION/version"
	[ "$output" = A ]
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"not held against reclaim"* ]]
	refused 125 'cannot be held' unprivileged "$RCU_EXEC" --strict -l "$LOCATION" -- true
	# who may write to it makes them
	rcu_exec --strict -l "$LOCATION" -- true
	unprivileged "$RCU_EXEC" --strict -l "$LOCATION" -- true
}

@test "closed standard descriptors stay closed, and none becomes another file" {
	sync_version A
	rcu_exec -l "$LOCATION" -- sh -c 'ls -l /proc/$$/fd >"$1"' sh "$T/fds" <&- >&- 2>&-
	[ "$(grep -cE ' [012] -> .*(pins|store)' "$T/fds")" = 0 ]
	[ "$(pinned_version_of "$LOCATION" -l "$LOCATION" <&-)" = A ]
}

@test "names with spaces, newlines, equal signs and 255 bytes" {
	local name
	mkdir "$T/at"
	for name in 'a b' $'new\nline' 'a=b%41' "$(printf 'n%.0s' {1..255})"; do
		LOCATION=$T/at/$name
		STORE=$T/at/store-${#name}
		sync_version A
		[ "$(rcu_exec -l "$LOCATION" -- "$RCU_EXEC" -l "$LOCATION" -- cat "$LOCATION/version")" = A ]
		name=${LOCATION//%/%25}
		[ "$(rcu_exec -p -l "$LOCATION" -s "$LOCATION=1")" = "${name//$'\n'/%0A}	$STORE/snapshots/1" ]
	done
}

@test "LD_PRELOAD alone pins from the configuration, and names nothing where there is none" {
	two_repositories
	rcu_repo sync
	export RCU_EXEC_LAUNCHER=$RCU_EXEC
	LD_PRELOAD=$RCU_EXEC_SHIM env | grep -x "RCU_EXEC_PINS=$T/one=$T/store-one/snapshots/1"
	LD_PRELOAD=$RCU_EXEC_SHIM bash -c 'cat "$1/version"; exit 7' bash "$T/two" >"$T/out" || [ $? = 7 ]
	[ "$(cat "$T/out")" = A ]
	RCU_REPO_CONFIG=/dev/null LD_PRELOAD=$RCU_EXEC_SHIM env 2>"$T/err" | grep -x 'RCU_EXEC_PINS='
	[ ! -s "$T/err" ]
	rm "$T/two"
	LD_PRELOAD=$RCU_EXEC_SHIM env 2>"$T/err" | grep -x 'RCU_EXEC_PINS='
	grep 'runs unpinned' "$T/err"
	[ "$(wc -l <"$T/err")" = 1 ]
}

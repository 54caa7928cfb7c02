# SPDX-License-Identifier: LGPL-2.1-or-later
# wordexp(3) of texts of every kind, pinned on the location and bare on the snapshot: the words, errors and flags are libc's own.

load ../lib
load pinned

# Two places that differ in what latest names: pinned to 1 in the second, a program shall see what is in the first.
setup() {
	lib_init
	room bare 1
	room swap 10
	mkdir "$T/empty"
	cd "$T/empty"
}
teardown() { lib_done; }

room() {
	local STORE=$T/$1/store LOCATION=$T/$1/location PINNED
	make_store
	mkdir "$PINNED/with space" "$PINNED/[odd]" "$PINNED/ten-only" "$STORE/snapshots/10/ten"
	touch "$PINNED/with space/a b" "$PINNED/[odd]/x" "$PINNED/star*" "$PINNED/back\\slash" "$PINNED/new
line"
	ln -sfn "snapshots/$2" "$STORE/latest"
}

# words bare|swap OPTION... TEXT...: %T stands for the tree
words() {
	local room=$1 STORE=$T/$1/store LOCATION=$T/$1/location
	shift
	export TREE=$LOCATION PRE='app-' SPLIT='a b*' STAR='*' HOME=$LOCATION
	if [ $room = swap ]; then
		pinned "$PROBES/words" "${@//%T/$TREE}"
	else
		"$PROBES/words" "${@//%T/$TREE}"
	fi 2>"$T/$room.err" | sed "s|$T/$room|ROOM|g"
}

same() {
	words bare "$@" >"$T/want"
	words swap "$@" >"$T/got"
	diff "$T/want" "$T/got" && diff "$T/bare.err" <(sed "s|$T/swap|$T/bare|" "$T/swap.err")
}

TEXTS=(
	'%T/*' '%T/v*' '%T/*/*/*' '%T/nothing-like-*' '%T/[[:lower:]]*' '%T/[v]ersion' '%T/[' '%T/[]' '%T/vers?on'
	'$TREE/*' '${TREE}/v*' '"$TREE"/v*' "'%T'/v*" '${TREE%/*}/*/v*' '${NONE:-$TREE/v*}' '${NONE:-x}*' '${#TREE}*'
	'~/v*' '~/*/*' 'x=~/v*' 'a x=~/v*' '\~/v*' '~nobody-like-that*'
	'%T/"v*"' '%T/\*' '%T/v"*"*' "%T/v'*'*" '%T/with\ space/*' '"%T/with space"/*' '%T/with?space/*' '%T/\[odd\]/*' '%T/[[]odd]/*'
	'%T/back\\*' '%T/star\*' '%T/star\**' '%T/new*'
	'%T/$PRE*' '%T/*$PRE' '%T/$SPLIT' '$SPLIT*' '%T/$STAR' '%T/$STAR*' '%T/${PRE}m?sc*/*'
	'%T/* %T/v* none' ' %T/* ' '' "''" '""*' 'one	two	%T/v*' "a''b '' %T/v*" '$*' '$? $# $*x' '$?*'
	'%T/$((1*2))*' '%T/$[1*2]' '$((2*(3+1)))*' '%T/$(echo v)*' '%T/`echo v`*' '$(echo "*)" %T/v*)' '"$(cat %T/version)"*' '`cat %T/version`' 'x*`echo y`'
	'%T/*|x' '|' '%T/v* |' '%T/*;' '(%T/*)' '%T/{v}*' '%T/*{v}' '%T/v*
' '%T/"v*' "%T/'v*" '%T/v*\' '$(echo' '`echo' '${TREE' '${TREE:x}' '$((1*2)' '${NONE?message %T}*' '${NONE:=*}' '%T/*"a b"'
)

@test "the words are those of the pinned snapshot, as they were spelled" {
	run -0 words swap '%T/v*' '%T/*/*/M*' '"%T"/with\ space/?\ *' '%T/t*'
	echo "$output"
	[ "$output" = "0 [ROOM/location/version]
0 [ROOM/location/app-misc/one/Manifest]
0 [ROOM/location/with space/a b]
0 [ROOM/location/tell] [ROOM/location/ten-only]" ]
	run -0 "$PROBES/words" "$T/swap/location/t*"
	[ "$output" = "0 [$T/swap/location/tell] [$T/swap/location/ten]" ]
}

@test "every kind of text" {
	local text
	for text in "${TEXTS[@]}"; do
		same "$text" || { echo "text: $text"; return 1; }
	done
}

@test "in a working directory that is the location, and in the store" {
	cd "$T/bare/location"
	words bare '*' 'v*' './*/*' '../*' >"$T/want"
	(cd "$T/swap/store/snapshots/1" && words swap '*' 'v*' './*/*' '../*') >"$T/got"
	diff "$T/want" "$T/got"
	cd "$T/swap/store"
	[ "$(words swap 'latest/v*' 'latest/te*')" = $'0 [latest/version]\n0 [latest/tell] [latest/ten-only]' ]
}

@test "other separators" {
	local text separators
	for separators in "" : " " "v" "," $'\n' " :"; do
		for text in '%T/*' '%T/v*' 'a:%T/v*' 'a %T/v*:b' '%T/v* %T/*' '$PRE,%T/v*' '%T/*"x y"' '%T/v*$PRE%T/t*'; do
			export IFS=$separators
			same "$text" || { echo "text: $text, separators: $separators"; return 1; }
			unset IFS
		done
	done
}

@test "flags: append, reuse, places, no commands, undefined" {
	local option
	# libc's own falls over an error behind -ar
	same -ar x '%T/v*' 'x=~/*' '%T/*'
	for option in -a -r -d -n -u -ad -rd -nu -adnu; do
		same $option "${TEXTS[@]}"
		same $option x '%T/v*' 'y=~' 'z=~/v*' '$NONE*' '%T/*' '%T/*|' '`echo x`*' "'" '%T/t*'
	done
	[ "$(words swap -ad x '%T/v*' | tail -n 1)" = "0 [x] [ROOM/location/version] places free" ]
	[ "$(words swap -n '%T/v* `true`')" = 4 ]
}

@test "a command sees the pinned snapshot, and its descriptors are its own" {
	run -0 words swap '$(cat %T/version)' '%T/[v]*`cat %T/version`' '"$(cat $TREE/version)"*'
	echo "$output"
	[ "${lines[0]}" = "0 [one]" ]
	[ "${lines[2]}" = "0 [one*]" ]
	RCU_EXEC_STRICT=1 run -0 words swap '$(cat %T/version)'
	[ "$output" = "0 [one]" ]
	words bare '$(ls /proc/self/fd)' >"$T/want"
	words swap '$(ls /proc/self/fd)' >"$T/got"
	diff "$T/want" "$T/got"
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every wrapped call by every spelling of a path, pinned to snapshot 1 after `latest` has gone on to 10, against the kernel: the same
# call, bare, with the same spelling, in a mount namespace where `latest` never left snapshot 1 and that is read-only. Reading calls
# are probe's, the others differential's; that both together are all of calls.def is tested, too.

load ../lib

setup_file() {
	export ROOM=$BATS_FILE_TMPDIR/room
	export PLACE=$ROOM/place OUTSIDE=$ROOM/outside MODEL=$ROOM/model
	export STORE=$ROOM/store LOCATION=$ROOM/place/location
	export CELLS=$BATS_FILE_TMPDIR/cells PROBE_FROZEN=1
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/file" "$BATS_FILE_TMPDIR" 2>/dev/null || :
	mkdir -p "$PLACE" "$OUTSIDE" "$MODEL" "$ROOM/etc" "$STORE/snapshots" "$STORE/.rcu-repo/pins" "$CELLS"
	mkdir -p "$ROOM/bound-store" "$ROOM/bound-place"
	touch "$STORE/.rcu-repo/pins/1" "$STORE/.rcu-repo/pins/10"
	snapshot 1
	snapshot 10
	ln -s snapshots/10 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	ln -s ../store/latest "$PLACE/relative"
	ln -s place "$ROOM/parent-link"
	ln -s store "$ROOM/store-link"
	ln -s place/location "$ROOM/usr-portage"
	ln -s "$ROOM/usr-portage" "$ROOM/alias"
	ln -s ../usr-portage/dir/sub "$ROOM/etc/make.profile"
	# for when the room is the root: its own name in itself
	mkdir -p "$ROOM${ROOM%/*}" "$BATS_FILE_TMPDIR/shim"
	[ ! -f "$RCU_EXEC_SHIM" ] || cp "$RCU_EXEC_SHIM" "$BATS_FILE_TMPDIR/shim"
	ln -s / "$ROOM$ROOM"
	each
}

snapshot() {
	local root=$STORE/snapshots/$1
	mkdir -p "$root/dir/sub"
	echo "file of $1" >"$root/file"
	echo "inner of $1" >"$root/dir/inner"
	printf '#!/bin/sh\necho tell of %s\n' "$1" >"$root/tell"
	echo "alone in $1" >"$root/only-in-$1"
	[ "$1" = 1 ] || mkdir "$root/link"
	[ "$1" = 10 ] || ln -s file "$root/link"
	ln -s dir "$root/dirlink"
	chmod 755 "$root/tell"
	setfattr -n user.version -v "$1" "$root/file" "$root/dir" 2>/dev/null || :
}

# each PREFIX [OPTION...]: all calls on all targets, a line each; the target is in front. Run in a mount namespace of its own, by $WITH.
each() {
	cat >"$BATS_FILE_TMPDIR/each" <<-'END'
		prefix=$1
		shift
		exec 9<"$STORE"
		for target in /file /dir /missing /link /dirlink/ /only-in-1 /tell; do
			set -- "$@" "$prefix$target"
			$WITH "$RCU_BUILD/tests/preload/probe" "$@" "$WHICH" </dev/null | sed "s|^|$target |"
			$WITH "$RCU_BUILD/tests/preload/differential" "$@" "$OUTSIDE" </dev/null 2>/dev/null | sed "s|^|$target |"
			# without the path again
			n=$(($# - 1))
			while [ $n -gt 0 ]; do
				set -- "$@" "$1"
				shift
				n=$((n - 1))
			done
			shift
		done
	END
	cat >"$BATS_FILE_TMPDIR/freeze" <<-'END'
		frozen=$ROOM/frozen
		mkdir -p "$frozen"
		mount -t tmpfs -o mode=755 tmpfs "$frozen"
		mkdir "$frozen/snapshots"
		cp -a "$STORE/.rcu-repo" "$frozen"
		ln -s snapshots/1 "$frozen/latest"
		mount --bind "$STORE/snapshots" "$frozen/snapshots"
		mount --bind "$STORE/snapshots/1" "$frozen/snapshots/1"
		mount -o remount,bind,ro "$frozen/snapshots/1"
		mount --move "$frozen" "$STORE"
	END
	cat >"$BATS_FILE_TMPDIR/bind" <<-'END'
		mount --rbind "$STORE" "$ROOM/bound-store"
		mount --rbind "$PLACE" "$ROOM/bound-place"
		# what a program needs, for when the room is the root
		for dir in /bin /lib /lib64 /usr /dev /proc "$BATS_FILE_TMPDIR/shim"; do
			[ -d "$dir" ] || continue
			mkdir -p "$ROOM$dir"
			mount --rbind "$dir" "$ROOM$dir"
		done
	END
}

setup() { lib_init; STORE=$ROOM/store LOCATION=$PLACE/location; }
teardown() { lib_done; }

room_state() {
	(cd "$STORE/snapshots" && find . -printf '%p %y %m %U %G %n %s %T@ %C@ %l\n' | sort && cat ./*/file ./*/dir/inner)
}

in_namespace() { unshare --mount --propagation private sh -ec "$@"; }

# spell COLUMN PREFIX [OPTION...]
spell() {
	local column=$1 prefix=$2 before
	shift 2
	skip_unless_mount
	WHICH=all
	case " $* " in *" -d "*) WHICH=at ;; esac
	export WHICH
	before=$(room_state)
	WITH="" in_namespace '. "$0/freeze"; . "$0/bind"; prefix=$1; shift; exec sh "$0/each" "$prefix" "$@"' \
		"$BATS_FILE_TMPDIR" "$prefix" "$@" >"$T/want"
	WITH="env LD_PRELOAD=${SHIM-$BATS_FILE_TMPDIR/shim/${RCU_EXEC_SHIM##*/}} RCU_EXEC_PINS=$LOCATION=$STORE/snapshots/1" \
		in_namespace '. "$0/bind"; prefix=$1; shift; exec sh "$0/each" "$prefix" "$@"' \
		"$BATS_FILE_TMPDIR" "$prefix" "$@" >"$T/got"
	[ "$(wc -l <"$T/want")" = "$(wc -l <"$T/got")" ]
	[ "$(wc -l <"$T/want")" -gt 200 ]
	# side effects: none on the snapshots, whoever wrote
	diff <(echo "$before") <(room_state)
	paste -d '\n' "$T/want" "$T/got" | awk -v cells="$CELLS/$column" '
		{ call = $2; sub(/\+.*/, "", call) }
		NR % 2 { want = $0; next }
		{ same = want == $0; count[call]++; if (!(call in state)) state[call] = "+" }
		!same { print "wanted: " want; print "got:    " $0; state[call] = "X"; failed = 1 }
		END { for (call in count) print call, state[call], count[call] >cells; exit failed }'
}

@test "by LOCATION" { spell location "$LOCATION"; }
@test "by STORE/latest" { spell latest "$STORE/latest"; }
@test "by the canonical path itself" { spell canonical "$STORE/snapshots/1"; }
@test "below a linked parent" { spell parent-link "$ROOM/parent-link/location"; }
@test "below a linked store" { spell store-link "$ROOM/store-link/latest"; }
@test "by a link like /usr/portage" { spell usr-portage "$ROOM/usr-portage"; }
@test "by a link to that" { spell alias "$ROOM/alias"; }
@test "by a link like make.profile, and up from there" { spell make.profile "$ROOM/etc/make.profile/../.."; }
@test "with slashes and dots" { spell slashes "//${LOCATION//\//\/\/.\//}//."; }
@test "with .. across links" { spell dotdot "$LOCATION/dir/sub/../../dirlink/.."; }
@test "with .. from another snapshot" { spell dotdot-store "$STORE/snapshots/10/dir/../../../latest"; }
@test "relative to /" { spell cwd-root "${LOCATION#/}" -c /; }
@test "relative to the location's parent" { spell cwd-parent location -c "$PLACE"; }
@test "relative to the store" { spell cwd-store latest -c "$STORE"; }
@test "relative to another snapshot" { spell cwd-snapshot ../../latest -c "$STORE/snapshots/10"; }
@test "relative to the location" { spell cwd-location . -c "$LOCATION"; }
@test "relative to a directory in the location" { spell cwd-inside .. -c "$LOCATION/dir"; }
@test "relative to a descriptor of the location's parent" { spell fd-parent location -d "$PLACE"; }
@test "relative to a descriptor of the store" { spell fd-store ./latest -d "$STORE"; }
@test "relative to a descriptor of the location" { spell fd-location . -d "$LOCATION"; }
@test "relative to a descriptor in the location" { spell fd-inside .. -d "$LOCATION/dir"; }
@test "relative to a descriptor in another snapshot" { spell fd-snapshot ../../latest -d "$STORE/snapshots/10"; }
@test "absolute, with a descriptor that does not matter" { spell fd-ignored "$LOCATION" -d /; }
@test "by /proc/self/cwd" { spell proc-cwd /proc/self/cwd/latest -c "$STORE"; }
@test "by /proc/self/fd/N" { spell proc-fd /proc/self/fd/9/latest; }
@test "by /proc/self/root" { spell proc-root "/proc/self/root$LOCATION"; }
@test "through a bind mount of the store" { spell bind-store "$ROOM/bound-store/latest"; }
@test "below a bind-mounted parent" { spell bind-parent "$ROOM/bound-place/location"; }
@test "in another root, by the same name" { spell chroot "$LOCATION" -r "$ROOM"; }
@test "in another root, by a name of that" { spell chroot-inside /place/relative -r "$ROOM"; }
@test "outside, where writing succeeds" { spell outside "$MODEL" -o "$MODEL"; }

# --- the table ---

# What needs mounts of its own: places.bats has them, by the location.
ELSEWHERE='^(pivot_root|move_mount|fsconfig)$'

# Those of the family view take no path.
ids() { awk -F '[(,] *' '/^CALL\(/ && $2 != "view" { print $3 }' "$RCU_SRC/preload/calls.def"; }

@test "every call of calls.def has a case" {
	ids | grep -Ev "$ELSEWHERE" | sort >"$T/want"
	{
		"$RCU_BUILD/tests/preload/probe" --list
		"$RCU_BUILD/tests/preload/differential" --list
	} | sort -u >"$T/got"
	diff "$T/want" "$T/got"
}

@test "the table: calls x spellings" {
	local columns column call i=0 letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij
	skip_unless_mount
	columns=$(ls -tr "$CELLS")
	for column in $columns; do
		echo "# ${letters:i++:1} = $column" >&3
	done
	printf '# %-40s%s\n' call "${letters:0:i}" >&3
	for call in $(ids | grep -Ev "$ELSEWHERE"); do
		printf '# %-40s' "$call" >&3
		for column in $columns; do
			awk -v call="$call" '$1 == call { cell = $2 } END { printf "%s", cell == "" ? "." : cell }' "$CELLS/$column" >&3
		done
		echo >&3
	done
	awk '{ cells++; calls += $3; bad += $2 == "X" }
		END { printf "# %d cells: %d equal, %d wrong (X); %d answers compared\n", cells, cells - bad, bad, calls }' \
		"$CELLS"/* >&3
	[ "$i" = 31 ]
	# each call was made in most spellings; "." is a call without a descriptor in a spelling with one
	for call in $(ids | grep -Ev "$ELSEWHERE"); do
		[ "$(grep -l "^$call " "$CELLS"/* | wc -l)" -ge 20 ] || echo "$call"
	done >"$T/few"
	diff /dev/null "$T/few"
	[ "$(cat "$CELLS"/* | grep -c ' X ')" = 0 ]
}

@test "without the shim it fails: the swap is seen" {
	skip_unless_mount
	SHIM="" run spell bare "$LOCATION"
	[ "$status" != 0 ]
	[[ $output == *"file of 10"* ]]
	rm "$CELLS/bare"
}

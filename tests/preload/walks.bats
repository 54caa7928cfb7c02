# SPDX-License-Identifier: LGPL-2.1-or-later
# Walks that come to the location by links which libc follows: what a pinned walk tells is what a bare one tells of a place like it,
# where latest names the pinned snapshot.

load ../lib
load pinned

setup() {
	lib_init
	PROBE=$PROBES/probe
}
teardown() { lib_done; }

# place ROOM N: a store whose latest is N, its location, and links to it from elsewhere
place() {
	local n
	mkdir -p "$1/place/beside" "$1/store/snapshots" "$1/store/.rcu-repo/pins"
	for n in 1 10; do
		mkdir -p "$1/store/snapshots/$n/dir/sub"
		echo "inner of $n" >"$1/store/snapshots/$n/dir/sub/inner"
		echo "$n" >"$1/store/snapshots/$n/file-of-$n"
		ln -s ../../latest/dir "$1/store/snapshots/$n/up"
		ln -s nowhere "$1/store/snapshots/$n/dangling"
		touch "$1/store/.rcu-repo/pins/$n"
	done
	ln -s "snapshots/$2" "$1/store/latest"
	echo beside >"$1/place/beside/file"
	ln -s "$1/place/location/dir" "$1/place/beside/into"
	ln -s "$1/store/latest" "$1/place/location"
	ln -s beside "$1/place/link"
}

# pinned_in ROOM COMMAND...: to its snapshot 1
pinned_in() { STORE=$1/store LOCATION=$1/place/location pinned "${@:2}"; }

# What CALL tells of PATH, following links, without the numbers of the inodes
walked() { PROBE_FOLLOW=1 "$PROBE" "$2" "$1" | sed -E "s|$T/[a-z]*/||g; s| [0-9]+ ([0-7]{5,6})\\]| \\1]|g"; }

@test "ftw and nftw follow links into the pinned snapshot, wherever they begin" {
	local call start
	place "$T/bare" 1
	place "$T/swapped" 10
	for call in ftw ftw64 nftw nftw64 nftw_old nftw64_old; do
		for start in place place/location place/link place/beside/into place/location/up store/latest/up/.. place/location/dangling; do
			walked $call "$T/bare/$start" >"$T/want"
			pinned_in "$T/swapped" walked $call "$T/swapped/$start" >"$T/got"
			diff "$T/want" "$T/got"
			walked $call "$T/swapped/$start" >"$T/unpinned"
			[ -s "$T/want" ]
		done
		walked $call "$T/swapped/place" | grep -q file-of-10
		walked $call "$T/bare/place" | grep -q file-of-1
	done
}

@test "a walk of many levels with one descriptor" {
	local deep=$T/bare/store/snapshots/1/deep level
	place "$T/bare" 1
	place "$T/swapped" 10
	for deep in "$T/bare/store/snapshots/1/deep" "$T/swapped/store/snapshots/1/deep"; do
		for level in a b c d e f; do
			mkdir -p "$deep/$level/one/two/three"
			touch "$deep/$level/x" "$deep/$level/one/y" "$deep/$level/one/two/three/z"
		done
	done
	for call in nftw nftw_old nftw64 nftw64_old; do
		walked $call "$T/bare/place/location/deep" >"$T/want"
		pinned_in "$T/swapped" walked $call "$T/swapped/place/location/deep" >"$T/got"
		diff "$T/want" "$T/got"
		grep -q 'three/z' "$T/got"
	done
}

# fts_told PROGRAM ROOM OPTION...: what a walk tells; %T is the room
fts_told() {
	local program=$1 room=$2
	shift 2
	if [ "$room" = swap ]; then
		pinned_in "$T/swap" "$program" "${@//%T/$T/$room}"
	else
		"$program" "${@//%T/$T/$room}"
	fi | sed "s|$T/$room|ROOM|g"
}

# The two rooms alike in times, too
fts_rooms() {
	place "$T/bare" 1
	place "$T/swap" 10
	for room in bare swap; do
		ln -s "$T/$room/place/location" "$T/$room/place/beside/whole"
		ln -s dir "$T/$room/store/snapshots/1/dirlink"
		mkdir -p "$T/$room/store/snapshots/1/dir/skip/below" "$T/$room/place/empty"
		mkfifo "$T/$room/store/snapshots/1/dir/pipe"
		find "$T/$room" -depth -exec touch -h -d @1500000000 {} +
	done
}

# fts_same PROGRAM
fts_same() {
	local options how
	local roots=(%T/place %T/place/location %T/place/link/ %T/place/beside/into %T/place/beside/whole/dir %T/store/latest/up/.. %T/place/location/dangling
		%T/place/empty %T/none %T/place/beside/file %T/place/location/.)
	for options in physical logical physical,nochdir logical,nochdir physical,comfollow physical,comfollow,seedot logical,seedot physical,nostat \
		physical,nostat,nochdir logical,nostat logical,xdev physical,comfollow,xdev,nostat,seedot unknown; do
		for how in -s -sc -sn -sf -sa "-sk skip" "-sfc" "-scak dir"; do
			fts_told "$1" bare -o $options $how "${roots[@]}" >"$T/want"
			fts_told "$1" swap -o $options $how "${roots[@]}" >"$T/got"
			diff "$T/want" "$T/got" || { echo "$options $how"; return 1; }
		done
	done
	# each by itself, relative, and unsorted
	for room in bare swap; do
		cd "$T/$room/place"
		for root in . .. location link ../store/latest/dir beside/into/sub/ ""; do
			fts_told "$1" $room -o logical "$root"
			fts_told "$1" $room -o physical,comfollow -c "$root" | sort
			fts_told "$1" $room -o physical -fcs "$root" location
		done >"$T/$room.relative"
	done
	diff "$T/bare.relative" "$T/swap.relative"
	grep -q file-of-1 "$T/bare.relative"
}

@test "fts tells what it would without a swap: every option, instruction and kind of root" {
	fts_rooms
	fts_same "$PROBES/fts"
	fts_told "$PROBES/fts" swap -o logical %T/place/beside >"$T/pinned"
	grep -q whole/file-of-1 "$T/pinned"
	"$PROBES/fts" -o logical "$T/swap/place/beside" >"$T/unpinned"
	grep -q whole/file-of-10 "$T/unpinned"
}

@test "fts of 32-bit programs, in its three forms" {
	local RCU_EXEC_SHIM=$RCU_BUILD/preload/m32/librcu-exec.so form
	[ -r "$RCU_EXEC_SHIM" ] || skip "configured without --enable-multilib"
	fts_rooms
	for form in "" -large -time64; do
		fts_same "$PROBES/fts32$form" || { echo "form: $form"; return 1; }
	done
}

@test "fts goes where no path leads: deeper than PATH_MAX" {
	local level room
	fts_rooms
	for room in bare swap; do
		(
			cd "$T/$room/store/snapshots/1/dir"
			for level in {1..30}; do
				mkdir "$(printf 'd%0200d' "$level")"
				cd "$(printf 'd%0200d' "$level")"
				echo "$level" >file
				touch -d @1500000000 file
			done
		)
	done
	for options in physical physical,comfollow logical physical,comfollow,nochdir; do
		fts_told "$PROBES/fts" bare -so $options %T/place/location %T/place/location/dir >"$T/want"
		fts_told "$PROBES/fts" swap -so $options %T/place/location %T/place/location/dir >"$T/got"
		diff "$T/want" "$T/got"
	done
	fts_told "$PROBES/fts" swap -so physical,comfollow %T/place/location >"$T/got"
	[ "$(grep -c 'd0000' "$T/got")" -gt 60 ]
}

@test "fts tells several roots as they were spelled" {
	make_version() { mkdir -p "$1/dir"; echo "$2" >"$1/dir/$2"; }
	make_store
	cat >"$T/walk.py" <<-'END'
		import ctypes, sys
		libc = ctypes.CDLL(None, use_errno=True)
		class Entry(ctypes.Structure): pass
		Entry._fields_ = [("cycle", ctypes.c_void_p), ("parent", ctypes.c_void_p), ("link", ctypes.c_void_p),
		    ("number", ctypes.c_long), ("pointer", ctypes.c_void_p), ("accpath", ctypes.c_char_p),
		    ("path", ctypes.c_char_p), ("errno", ctypes.c_int), ("symfd", ctypes.c_int), ("pathlen", ctypes.c_ushort)]
		libc.fts_open.restype = ctypes.c_void_p
		libc.fts_read.restype = ctypes.POINTER(Entry)
		libc.fts_read.argtypes = libc.fts_close.argtypes = [ctypes.c_void_p]
		def walk(roots, options):
		    fts = libc.fts_open((ctypes.c_char_p * (len(roots) + 1))(*[r.encode() for r in roots], None), options, None)
		    while entry := libc.fts_read(fts):
		        yield entry.contents.path.decode()
		        assert entry.contents.pathlen == len(entry.contents.path)
		    assert libc.fts_close(fts) == 0
		first, second = walk(sys.argv[1:], 0x10 | 0x01), walk(sys.argv[1:], 0x10 | 0x04 | 0x01)
		for path, other in zip(first, second, strict=True): # two at a time
		    assert path == other
		    print(path)
	END
	mkdir "$T/outside"
	pinned /usr/bin/python3 "$T/walk.py" "$LOCATION" "$T/outside" "$STORE/latest/dir/" "$STORE/snapshots/10/dir" >"$T/got"
	cat >"$T/want" <<-END
		$LOCATION
		$LOCATION/dir
		$LOCATION/dir/one
		$LOCATION/dir
		$LOCATION
		$T/outside
		$T/outside
		$STORE/latest/dir/
		$STORE/latest/dir/one
		$STORE/latest/dir/
		$STORE/snapshots/10/dir
		$STORE/snapshots/10/dir/ten
		$STORE/snapshots/10/dir
	END
	diff "$T/want" "$T/got"
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# Every wrapped call that reads, by every spelling of a path: pinned to snapshot 1 while latest names snapshot 10, it has to
# answer as the same call, without the shim, on the canonical path of snapshot 1.

load ../lib

setup_file() {
	# room: the place of everything; its parent has a second name, too
	export ROOM=$BATS_FILE_TMPDIR/room
	export PLACE=$ROOM/place
	export STORE=$ROOM/store LOCATION=$ROOM/place/location
	export PROBE=$RCU_BUILD/tests/preload/probe
	export CELLS=$BATS_FILE_TMPDIR/cells
	export LONG255=$(printf 'n%.0s' {1..255})
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/file" "$BATS_FILE_TMPDIR" 2>/dev/null || :
	mkdir -p "$PLACE" "$STORE/snapshots" "$STORE/.rcu-repo/pins" "$CELLS"
	touch "$STORE/.rcu-repo/pins/1" "$STORE/.rcu-repo/pins/10"
	snapshot 1
	snapshot 10
	ln -s snapshots/10 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	ln -s place "$ROOM/parent-link"
	ln -s store "$ROOM/store-link"
	ln -s place/location "$ROOM/alias"
	ln -s "$ROOM/alias" "$ROOM/alias-of-alias"
	ln -s "$LOCATION/dir" "$ROOM/into"
	outside "$ROOM/outside"
}

snapshot() {
	local root=$STORE/snapshots/$1
	mkdir -p "$root/dir/sub" "$root/two words" "$root/empty"
	echo "file of $1" >"$root/file"
	echo "inner of $1" >"$root/dir/inner"
	echo "deep of $1" >"$root/dir/sub/deep"
	echo "spaces of $1" >"$root/two words/a b"
	echo "newline of $1" >"$root/new"$'\n'"line"
	echo "long of $1" >"$root/$LONG255"
	echo "alone in $1" >"$root/only-in-$1"
	ln -s dir/inner "$root/link"
	ln -s dir "$root/dirlink"
	ln -s nowhere "$root/dangling"
	ln -s loop "$root/loop"
	ln -s "../../latest/dir" "$root/up"
	ln -s "$LOCATION/dir" "$root/abs"
	ln -s "$LOCATION/link" "$root/abs-to-link"
	find "$root" -type f -exec setfattr -n user.version -v "$1" {} + 2>/dev/null || :
}

outside() {
	mkdir -p "$1/dir"
	echo outside >"$1/dir/file"
	ln -s dir/file "$1/link"
	ln -s nowhere "$1/dangling"
	ln -s loop "$1/loop"
	ln -s latest "$1/latest"
	mkdir "$1/snapshots"
	echo x >"$1/new"$'\n'"line"
	echo x >"$1/$LONG255"
}

setup() { lib_init; STORE=$ROOM/store LOCATION=$PLACE/location; }
teardown() { lib_done; }

# pinned COMMAND [ARG...]: to snapshot 1
pinned() {
	RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/1" LD_PRELOAD=$RCU_EXEC_SHIM "$@"
}

# What is looked at below the root of the tree, and where that is on the canonical path (the second only where links on
# the way lead through latest again: unpinned, those lead elsewhere).
TARGETS=(
	"/" "/." "/file" "/dir" "/dir/" "/dir/inner" "/dir/sub/../inner" "/link" "/dirlink" "/dirlink/" "/dirlink/sub/deep"
	"/dirlink/../file" "/dangling" "/loop" "/missing" "/missing/below" "/file/below" "/file/" "/only-in-1" "/only-in-10"
	"/two words/a b" "/new"$'\n'"line" "/dir//./sub/.//deep" "/empty"
)
LEADING_BACK=("/up/inner" "/up/sub/" "/abs/inner" "/abs/../file" "/abs/sub/../../link")

# spell COLUMN PREFIX [CANONICAL [PROBE-OPTION...]]: all targets under PREFIX against CANONICAL (snapshot 1), all calls; with -d
# only those that take a descriptor. What differs is printed; one line a call goes to the table.
spell() {
	local column=$1 prefix=$2 canonical=${3:-$STORE/snapshots/1} which=all target
	shift $(($# > 3 ? 3 : $#))
	[ "${1-}" = -d ] && which=at
	: >"$T/want"
	: >"$T/got"
	for target in "${TARGETS[@]}" "/$LONG255" "/${LONG255}n"; do
		"$PROBE" "$canonical$target" "$which" | sed "s|^|$column |" >>"$T/want"
		pinned "$PROBE" "$@" "$prefix$target" "$which" | sed "s|^|$column |" >>"$T/got"
	done
	for target in "${LEADING_BACK[@]}"; do
		"$PROBE" "$(leads_to "$canonical" "$target")" "$which" | sed "s|^|$column |" >>"$T/want"
		pinned "$PROBE" "$@" "$prefix$target" "$which" | sed "s|^|$column |" >>"$T/got"
	done
	[ -s "$T/want" ]
	paste -d '\n' "$T/want" "$T/got" | awk -v cells="$CELLS/$column" '
		NR % 2 { want = $0; next }
		{ same = want == $0; state[$2] = ($2 in state && state[$2] == "X") || !same ? "X" : "+" }
		!same { print "wanted: " want; print "got:    " $0; bad = 1 }
		END { for (call in state) print call, state[call] >cells; exit bad }'
	[ "$(wc -l <"$T/want")" = "$(wc -l <"$T/got")" ]
}

# leads_to CANONICAL TARGET: where a target of LEADING_BACK ends in the pinned tree. A link to LOCATION leads to the store's own path,
# whatever path led to the link.
leads_to() {
	case $2 in
	/up/*) echo "$1/dir/${2#/*/}" ;;
	/abs/inner) echo "$STORE/snapshots/1/dir/inner" ;;
	/abs/..*) echo "$STORE/snapshots/1${2#/abs/..}" ;;
	/abs/sub/../..*) echo "$STORE/snapshots/1${2#/abs/sub/../..}" ;;
	esac
}

@test "by LOCATION" { spell location "$LOCATION"; }
@test "by STORE/latest" { spell latest "$STORE/latest"; }
@test "by the canonical path itself" { spell canonical "$STORE/snapshots/1"; }
@test "by a link into the location's parent" { spell parent-link "$ROOM/parent-link/location"; }
@test "by a link to the store" { spell store-link "$ROOM/store-link/latest"; }
@test "by another link to the location" { spell alias "$ROOM/alias"; }
@test "by a link to a link to the location" { spell alias-of-alias "$ROOM/alias-of-alias"; }
@test "by a link into the tree and out again" { spell into "$ROOM/into/.."; }
@test "with slashes and dots" { spell slashes "//${LOCATION//\//\/\/.\//}//."; }
@test "with .. below the location" { spell dotdot "$LOCATION/dir/sub/../../dirlink/.."; }
@test "with .. from another snapshot" { spell dotdot-store "$STORE/snapshots/10/dir/../../../latest"; }
@test "relative to /" { spell cwd-root "${LOCATION#/}" "" -c /; }
@test "relative to the location's parent" { spell cwd-parent "location" "" -c "$PLACE"; }
@test "relative to the store" { spell cwd-store "latest" "" -c "$STORE"; }
@test "relative to a snapshot" { spell cwd-snapshot "../../latest" "" -c "$STORE/snapshots/10"; }
@test "relative to the location" { spell cwd-location "." "" -c "$LOCATION"; }
@test "relative to a directory in the location" { spell cwd-inside ".." "" -c "$LOCATION/dir"; }
@test "relative to a descriptor of the location's parent" { spell fd-parent "location" "" -d "$PLACE"; }
@test "relative to a descriptor of the store" { spell fd-store "./latest" "" -d "$STORE"; }
@test "relative to a descriptor of the location" { spell fd-location "." "" -d "$LOCATION"; }
@test "relative to a descriptor in another snapshot" { spell fd-snapshot "../../latest" "" -d "$STORE/snapshots/10"; }
@test "absolute, with a descriptor that does not matter" { spell fd-ignored "$LOCATION" "" -d /; }
@test "by /proc/self/cwd" { spell proc-cwd "/proc/self/cwd/latest" "" -c "$STORE"; }
@test "by /proc/self/root" { spell proc-root "/proc/self/root$LOCATION"; }

@test "through a bind mount of the store" {
	skip_unless_mount
	mount_bind "$STORE" "$ROOM/bound"
	spell bind-store "$ROOM/bound/latest" "$ROOM/bound/snapshots/1"
}

@test "through a bind mount of the location's parent" {
	skip_unless_mount
	mount_bind "$PLACE" "$ROOM/bound-place"
	spell bind-parent "$ROOM/bound-place/location"
}

@test "the table: calls x spellings" {
	local columns column call i=0 letters=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij
	columns=$(ls -tr "$CELLS")
	for column in $columns; do
		echo "# ${letters:i++:1} = $column" >&3
	done
	printf '# %-28s%s\n' call "${letters:0:i}" >&3
	while read -r call; do
		printf '# %-28s' "$call" >&3
		for column in $columns; do
			awk -v call="$call" '$1 == call { cell = $2 } END { printf "%s", cell == "" ? "." : cell }' \
				"$CELLS/$column" >&3
		done
		echo >&3
	done < <(cut -d' ' -f1 "$CELLS"/* | sort -u)
	[ "$i" -ge 24 ]
	! grep -q 'X$' "$CELLS"/*
}

# --- the entry itself ---

# entry PREFIX PROBE-OPTION...: latest, not followed, is the pinned snapshot's name and as long; everything else of it is the
# kernel's answer.
entry() {
	local prefix=$1 call
	shift
	local nofollow="lstat lstat64 __lxstat __lxstat64 readlink __readlink_chk syscall+readlink"
	local nofollow_at="fstatat+NOFOLLOW fstatat64+NOFOLLOW __fxstatat __fxstatat64 statx+NOFOLLOW readlinkat __readlinkat_chk"
	[ "${1-}" = -d ] && nofollow=
	"$PROBE" "$@" "$prefix" all | sed 's|size 12|size 11|; s| = 12 | = 11 |g; s|snapshots/10|snapshots/1|g' >"$T/want"
	pinned "$PROBE" "$@" "$prefix" all >"$T/got"
	for call in $nofollow $nofollow_at; do
		grep "^$call " "$T/got" | grep -E 'size 11|snapshots/1( |$)' || return
		diff <(grep "^$call " "$T/want") <(grep "^$call " "$T/got") || return
	done
}

@test "readlink and lstat of STORE/latest agree with the pin" {
	entry "$STORE/latest"
	entry "$STORE/./snapshots/../latest"
	entry "$ROOM/store-link/latest"
	entry latest -c "$STORE"
	entry latest -d "$STORE"
	entry ../latest -d "$STORE/snapshots"
}

@test "a descriptor of STORE/latest itself says the same, also when another link has taken its place" {
	cat >"$T/opened.py" <<-'END'
		import ctypes, os, struct, sys
		libc = ctypes.CDLL(None, use_errno=True)
		store, parent = sys.argv[1:3]
		def opened(path):
		    return os.open(path, os.O_PATH | os.O_NOFOLLOW)
		def says(fd):
		    text, st, stx = (ctypes.create_string_buffer(256) for _ in range(3))
		    length = libc.readlinkat(fd, b"", text, 256)
		    assert libc.fstatat(fd, b"", st, 0x1000) == 0 and libc.statx(fd, b"", 0x1000, 0x7ff, stx) == 0
		    number = libc.syscall(267, fd, b"", text, 256)
		    return text.raw[:length], length, number, struct.unpack_from("q", st, 48)[0], struct.unpack_from("q", stx, 40)[0]
		first, beside = opened(store + "/latest"), opened(parent + "/link")
		assert says(first) == (b"snapshots/1", 11, 11, 11, 11), says(first)
		assert says(beside) == (b"dir/file", 8, 8, 8, 8), says(beside)
		print("opened", flush=True)
		sys.stdin.readline()
		assert says(first) == (b"snapshots/1", 11, 11, 11, 11), says(first)
		assert says(opened(store + "/latest")) == says(first)
	END
	mkfifo "$T/go"
	pinned /usr/bin/python3 "$T/opened.py" "$STORE" "$ROOM/outside" <"$T/go" >"$T/out" &
	exec 7>"$T/go"
	wait_until grep -q opened "$T/out"
	ln -s snapshots/10 "$STORE/next"
	mv -T "$STORE/next" "$STORE/latest"
	echo >&7
	exec 7>&-
	wait $!
	! /usr/bin/python3 "$T/opened.py" "$STORE" "$ROOM/outside" 2>/dev/null </dev/null
}

@test "openat2 below a directory, and without links" {
	cat >"$T/openat2.py" <<-'END'
		import ctypes, errno, os, struct, sys
		libc = ctypes.CDLL(None, use_errno=True)
		store, place, location = sys.argv[1:4]
		NO_SYMLINKS, BENEATH = 4, 8
		def opened(dir, path, resolve, flags=0):
		    how = struct.pack("QQQ", flags, 0, resolve)
		    fd = libc.syscall(437, dir, path.encode(), how, ctypes.c_size_t(24))
		    if fd < 0:
		        return errno.errorcode[ctypes.get_errno()]
		    with open(fd) as file:
		        return file.read().strip()
		at_store, at_place, at_snapshots = (os.open(d, os.O_PATH) for d in (store, place, store + "/snapshots"))
		if opened(-100, "/etc/passwd", 0) == "ENOSYS": sys.exit(0)
		said = [opened(at_store, "latest/file", BENEATH), opened(at_store, "snapshots/../latest/dir/inner", BENEATH),
		    opened(at_place, "location/file", BENEATH), opened(-100, location + "/file", BENEATH),
		    opened(at_snapshots, "../latest/file", BENEATH), opened(at_store, "latest/only-in-10", BENEATH),
		    opened(at_store, "latest/file", NO_SYMLINKS), opened(-100, location + "/file", 0),
		    opened(at_store, "latest/file", BENEATH, os.O_RDWR)]
		want = ["file of 1", "inner of 1", "EXDEV", "EXDEV", "EXDEV", "ENOENT", "ELOOP", "file of 1", "EROFS"]
		assert said == want, said
	END
	pinned /usr/bin/python3 "$T/openat2.py" "$STORE" "$PLACE" "$LOCATION"
}

@test "LOCATION itself, not followed, is the link that it is" {
	"$PROBE" "$LOCATION" readlink lstat __lxstat readlinkat llistxattr >"$T/want"
	pinned "$PROBE" "$LOCATION" readlink lstat __lxstat readlinkat llistxattr >"$T/got"
	diff "$T/want" "$T/got"
	grep -F "$STORE/latest" "$T/got"
}

@test "a ring for reading past every wrapper is not to be had" {
	PROBE_RING=1 "$PROBE" / syscall >"$T/bare"
	PROBE_RING=1 pinned "$PROBE" / syscall >"$T/got"
	cat "$T/bare" "$T/got"
	grep -q '^syscall+io_uring = -1 errno 38$' "$T/got"
}

@test "a name latest that is no pinned store's is left alone" {
	local path
	for path in "$ROOM/outside/latest" "$ROOM/outside/dir/../latest"; do
		same_as_bare "$path"
	done
}

# --- paths outside ---

# The same line for each call with and without the shim.
RESOLVING='realpath realpath_old __realpath_chk canonicalize_file_name' # by libc's own walk

same_as_bare() {
	: >"$T/got" # T may be what is looked at
	"$PROBE" "$@" all >"$T/want"
	pinned "$PROBE" "$@" all >"$T/got"
	[ -s "$T/want" ]
	diff "$T/want" "$T/got"
}

@test "paths outside the location: the same answers and errors" {
	local path
	for path in /etc/passwd /etc /etc/ / . .. ./ ../. // /proc/version /dev/stdin /dev/null /missing /missing/below \
		/etc/passwd/below "$ROOM" "$PLACE" "$STORE" "$STORE/snapshots" "$STORE/snapshots/10/file" "$ROOM/outside" \
		"$ROOM/outside/link" "$ROOM/outside/link/" "$ROOM/outside/dangling" "$ROOM/outside/loop" \
		"$ROOM/outside/loop/below" "$ROOM/outside/dir/../link" "$ROOM/outside/new"$'\n'"line" \
		"$ROOM/outside/$LONG255" "$ROOM/outside/${LONG255}n" "$ROOM/outside/${LONG255}n/below"; do
		same_as_bare "$path"
	done
	same_as_bare -c "$ROOM/outside" link
	same_as_bare -d "$ROOM/outside" dir/file
	same_as_bare -d "$ROOM/outside" latest
}

@test "the empty path and NULL" {
	same_as_bare ""
	same_as_bare "@NULL@"
	same_as_bare -d "$STORE" ""
	same_as_bare -d "$ROOM/outside/dir" ""
}

# padded LENGTH PATH: PATH with slashes and dots in front, LENGTH bytes long
padded() {
	local more=$(($1 - ${#2}))
	((more % 2)) && printf /
	head -c $((more / 2 * 2)) < <(yes /. | tr -d '\n')
	printf %s "$2"
}

@test "paths as long as PATH_MAX and longer, outside" {
	local length
	for length in 4094 4095 4096 4097 5000 70000; do
		same_as_bare "$(padded $length "$ROOM/outside/dir/file")"
		same_as_bare "$(padded $length "$ROOM/outside/missing")"
	done
}

@test "paths as long as PATH_MAX and longer, through the location" {
	local length target path
	for length in 4094 4095; do
		for target in file dir link missing; do
			"$PROBE" "$STORE/snapshots/1/$target" open stat lstat openat opendir fopen readlink access >"$T/want"
			pinned "$PROBE" "$LOCATION$(padded $((length - ${#LOCATION})) "/$target")" \
				open stat lstat openat opendir fopen readlink access >"$T/got"
			diff "$T/want" "$T/got"
		done
	done
	for length in 4096 4097 5000; do
		path=$LOCATION$(padded $((length - ${#LOCATION})) /file)
		"$PROBE" "$path" all | grep -vE "^(${RESOLVING// /|})[ +]" >"$T/want"
		pinned "$PROBE" "$path" all | grep -vE "^(${RESOLVING// /|})[ +]" >"$T/got"
		diff "$T/want" "$T/got"
	done
	# libc's own walk knows no such limit
	for length in 4096 5000 9000 20000; do
		for target in file dir/sub/deep link only-in-1 missing; do
			"$PROBE" "$STORE/snapshots/1/$target" $RESOLVING >"$T/want"
			pinned "$PROBE" "$LOCATION$(padded $((length - ${#LOCATION})) "/$target")" $RESOLVING >"$T/got"
			diff "$T/want" "$T/got"
			pinned "$PROBE" -c "$PLACE" "location$(padded $((length - 8)) "/$target")" $RESOLVING >"$T/got"
			diff "$T/want" "$T/got"
		done
	done
	for path in "/$(padded 5000 "/$LONG255" | tr . x)" "$(padded 5000 "/$LONG255" | tr / x)"; do
		"$PROBE" "$path" $RESOLVING >"$T/want"
		pinned "$PROBE" "$path" $RESOLVING >"$T/got"
		diff "$T/want" "$T/got"
	done
}

@test "a mapped path that has become longer than PATH_MAX still leads there" {
	local short=$T/l deep=$T path
	while ((${#deep} < 3000)); do deep=$deep/$LONG255; done
	mkdir -p "$deep/store/snapshots/1" "$deep/store/snapshots/10" "$deep/store/.rcu-repo/pins"
	echo one >"$deep/store/snapshots/1/file"
	echo ten >"$deep/store/snapshots/10/file"
	ln -s snapshots/10 "$deep/store/latest"
	ln -s "$deep/store/latest" "$short"
	path=$short$(padded $((4000 - ${#short})) /file)
	"$PROBE" "$deep/store/snapshots/1/file" open stat lstat access fopen getxattr >"$T/want"
	RCU_EXEC_PINS="$short=$deep/store/snapshots/1" LD_PRELOAD=$RCU_EXEC_SHIM \
		"$PROBE" "$path" open stat lstat access fopen getxattr >"$T/got"
	diff "$T/want" "$T/got"
}

# --- the test itself ---

@test "without the shim, and with nothing pinned, the swap is seen" {
	[ "$(cat "$LOCATION/file")" = "file of 10" ]
	[ "$(RCU_EXEC_PINS= LD_PRELOAD=$RCU_EXEC_SHIM cat "$LOCATION/file")" = "file of 10" ]
	[ "$(pinned cat "$LOCATION/file")" = "file of 1" ]
}

# what creates, changes or removes is tested by its refusals
WRITING='^(creat|creat64|mk.*|__xmk.*|unlink.*|rmdir|remove|rename.*|link|linkat|symlink.*|.*chmod.*|.*chown.*|truncate.*|.*utime.*|.*setxattr|.*removexattr|updwtmp.*|utmpx?name|pututx?line|acct|ioctl|bind)$'
# what needs a mount namespace of its own: places.bats
PLACES='^(mount|umount|umount2|pivot_root|move_mount|fspick|fsconfig|mount_setattr|setns)$'

ids() { awk -F '[(,] *' '/^CALL\(/ && $2 != "exec" && $2 != "view" { print $3 }' "$RCU_SRC/preload/calls.def"; }

@test "every reading call of calls.def is probed" {
	ids | grep -Ev "$WRITING" | grep -Ev "$PLACES" | sort >"$T/want"
	"$PROBE" --list | sort -u >"$T/got"
	diff "$T/want" "$T/got"
}

@test "every call of calls.def that changes what is where has a test" {
	local id
	for id in $(ids | grep -E "$PLACES"); do
		grep -qE "libc\\.$id\\(" "$RCU_SRC/tests/preload/places.bats" || echo "$id"
	done >"$T/missing"
	cat "$T/missing"
	[ ! -s "$T/missing" ]
}

@test "every writing call of calls.def is made by a probe" {
	local id
	for id in $(ids | grep -E "$WRITING"); do
		grep -qE "[^a-z_.]$id\\(" "$RCU_SRC"/tests/preload/{refuse-probe,contexts}.c || echo "$id"
	done >"$T/missing"
	cat "$T/missing"
	[ ! -s "$T/missing" ]
}

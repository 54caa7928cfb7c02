# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# lib.bash: what every bats test here begins with.
#
#     load ../lib
#     setup() { lib_init; }
#     teardown() { lib_done; }
#
#     @test "sync publishes what the source has" {
#         sync_version A                      # $SOURCE is version A, then rcu-repo sync
#         [ "$(version_of "$LOCATION")" = A ] # fails where two versions are mixed
#     }
#
# From the environment (tests/local.mk): RCU_BUILD and RCU_SRC, the build and the source directory; RCU_EXEC_SHIM;
# RCU_REPO_GUARD_LIBRARY.
# After lib_init: $T, a directory of this test alone, readable by all; $SOURCE, $STORE and $LOCATION in it, none
# of which exist yet.
#
# A test that cannot run on this machine says so by one of the skip_unless_ functions.  Nothing here or in a test
# sleeps for a time in the hope that something will have happened: wait_until asks.

RCU_REPO=$RCU_BUILD/helper/rcu-repo
export RCU_REPO_GUARD_LIBRARY=${RCU_REPO_GUARD_LIBRARY-$RCU_BUILD/guard/.libs/librcu-guard.so}
RCU_EXEC=$RCU_BUILD/helper/rcu-exec

lib_init() {
	bats_require_minimum_version 1.5.0
	umask 022
	T=$BATS_TEST_TMPDIR
	# bats makes these for us alone; tests that drop privileges look into them
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$T"
	SOURCE=$T/source
	STORE=$T/store
	LOCATION=$T/location
	LIB_JOBS=()
	LIB_MOUNTS=()
	cd "$T" || return
}

# Ends what `background` started and undoes mounts.  Bats removes $T.
lib_done() {
	local job i
	cd /
	for job in "${LIB_JOBS[@]}"; do
		kill -9 "$job" 2>/dev/null || :
		wait "$job" 2>/dev/null || :
	done
	for ((i = ${#LIB_MOUNTS[@]} - 1; i >= 0; i--)); do
		umount -l "${LIB_MOUNTS[i]}" || :
	done
}

# --- the programs ---

rcu_repo() { "$RCU_REPO" "$@"; }
rcu_exec() { "$RCU_EXEC" "$@"; }

# rcu_repo for the one repository of this test: repo COMMAND [ARG...]
repo() {
	local command=$1
	shift
	"$RCU_REPO" "$command" --location "$LOCATION" --store "$STORE" "$@"
}

# A command that must fail: refused STATUS REGEX COMMAND [ARG...].  REGEX is looked for in each line of stderr.
refused() {
	local want=$1 regex=$2 got=0
	shift 2
	"$@" >"$T/refused.out" 2>"$T/refused.err" || got=$?
	if [ "$got" != "$want" ] || ! grep -Eq -- "$regex" "$T/refused.err"; then
		echo "wanted exit $want and /$regex/, got exit $got from: $*"
		cat "$T/refused.out" "$T/refused.err"
		return 1
	fi
}

# --- versions: trees that cannot be mixed without it being seen ---

# make_version DIR NAME: DIR becomes version NAME (any word).  Each file tells its version, SUMS has the checksums of
# all, and times follow from NAME: two versions differ in every file's time (rsync compares size and whole
# seconds), the same version made twice does not.
make_version() {
	local dir=$1 name=$2 file seconds
	seconds=$((1500000000 + $(printf %s "$name" | cksum | cut -d' ' -f1) % 100000000))
	rm -rf "$dir"
	mkdir -p "$dir/profiles" "$dir/app-misc/one" "$dir/app-misc/two words" "$dir/empty"
	for file in profiles/repo_name app-misc/one/one-1.ebuild app-misc/one/Manifest \
		"app-misc/two words/a b" header; do
		echo "$file of version $name" >"$dir/$file"
	done
	printf '#!/bin/sh\necho %s\n' "$name" >"$dir/tell"
	chmod 755 "$dir/tell"
	ln -s one/one-1.ebuild "$dir/app-misc/link"
	echo "$name" >"$dir/version"
	(cd "$dir" && find . -type f -print0 | sort -z | xargs -0 sha256sum >../.sums && mv ../.sums SUMS)
	find "$dir" -depth -exec touch -h -d "@$seconds" {} +
}

# Prints the version that DIR holds; fails, and says what, where something is missing or of another version.  Every
# file is opened by its whole path below DIR, so that a swap under it shows.
version_of() {
	local dir=$1 sum name got
	while read -r sum name; do
		got=$(sha256sum <"$dir/$name") || return
		if [ "${got%% *}" != "$sum" ]; then
			echo "mixed: $dir/$name"
			return 1
		fi
	done <"$dir/SUMS"
	cat "$dir/version"
}

# version_of in a process of its own under rcu-exec: pinned_version_of DIR [RCU-EXEC OPTION...]
pinned_version_of() {
	local dir=$1
	shift
	rcu_exec "$@" -- bash -c '. "$RCU_SRC/tests/lib.bash"; version_of "$1"' bash "$dir"
}

# sync_version NAME [OPTION...]: $SOURCE becomes version NAME, then rcu-repo sync
sync_version() {
	make_version "$SOURCE" "$1"
	shift
	repo sync --type rsync --uri "$SOURCE" "$@"
}

# The number that latest names.
latest() {
	local target
	target=$(readlink "$STORE/latest")
	echo "${target#snapshots/}"
}

# --- processes ---

# background COMMAND [ARG...]: starts it, its pid is in $BACKGROUND; lib_done ends it.  Descriptor 3 is bats's own
# and would keep it waiting.
background() {
	"$@" 3>&- &
	BACKGROUND=$!
	LIB_JOBS+=("$BACKGROUND")
}

# wait_until COMMAND [ARG...]: until it succeeds.  The limit only ends a test that has failed already.
wait_until() {
	local end=$((SECONDS + 120))
	until "$@"; do
		if ((SECONDS > end)); then
			echo "waited in vain for: $*"
			return 1
		fi
		sleep 0.02
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# for_everybody [PROGRAM...]: copies the programs, the shim and what else is named to $T/public, and lets RCU_REPO,
# RCU_EXEC and RCU_EXEC_SHIM name the copies. The build directory may be one that only we can enter (/root).
for_everybody() {
	skip_unless_root
	mkdir -p "$T/public"
	cp "$RCU_REPO" "$RCU_EXEC" "$RCU_EXEC_SHIM" "$RCU_REPO_GUARD_LIBRARY" "$@" "$T/public"
	RCU_REPO=$T/public/rcu-repo
	RCU_EXEC=$T/public/rcu-exec
	export RCU_EXEC_SHIM=$T/public/librcu-exec.so
	export RCU_REPO_GUARD_LIBRARY=$T/public/librcu-guard.so
}

# As a user with no privileges at all, after for_everybody: unprivileged COMMAND [ARG...]
unprivileged() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# --- what a machine may not have ---

# In CI everything that bootstrap installs is there, and a skip would hide that a test never runs.
lib_skip_installed() {
	if [ "${CI-}" = true ]; then
		echo "in CI this test has to run: $1"
		return 1
	fi
	skip "$1"
}

skip_unless_command() {
	local command
	for command; do
		command -v "$command" >/dev/null || lib_skip_installed "there is no $command here"
	done
}

skip_unless_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

# May we mount? A container often may not.
skip_unless_mount() {
	skip_unless_root
	local dir
	dir=$(mktemp -d -p "$T")
	mount -t tmpfs tmpfs "$dir" 2>/dev/null || skip "this machine does not let us mount"
	umount "$dir"
}

# mount_tmpfs DIR SIZE: lib_done unmounts it
mount_tmpfs() {
	mkdir -p "$1"
	mount -t tmpfs -o "size=$2,mode=755" tmpfs "$1"
	LIB_MOUNTS+=("$1")
}

# mount_overlay DIR: an empty overlay on a tmpfs, as the root of a container is one on a disk
mount_overlay() {
	mount_tmpfs "$1.layers" 64m
	mkdir -p "$1" "$1.layers/lower" "$1.layers/upper" "$1.layers/work"
	mount -t overlay -o "lowerdir=$1.layers/lower,upperdir=$1.layers/upper,workdir=$1.layers/work" \
		overlay "$1"
	LIB_MOUNTS+=("$1")
}

skip_unless_overlay() { grep -qw overlay /proc/filesystems || skip "this kernel has no overlayfs"; }

# mount_bind WHAT DIR
mount_bind() {
	mkdir -p "$2"
	mount --bind "$1" "$2"
	LIB_MOUNTS+=("$2")
}

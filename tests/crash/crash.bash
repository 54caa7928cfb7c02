# SPDX-License-Identifier: LGPL-2.1-or-later
# crash.bash: what the bats tests of this folder share. Two versions, A and B, as sources; what must be true of a store
# after any crash; ways to kill at a random moment. (Each call in its turn: tests/crash/faults.)

# How many random moments
CRASH_RUNS=${CRASH_RUNS:-40}

crash_init() {
	lib_init
	A=$T/A
	B=$T/B
	crash_version "$A" A
	crash_version "$B" B
}

# make_version, with more files, some of which in A have other names than in B, so that a mixed tree is seen by those, too; and
# with a big one: crash_version DIR NAME [BYTES]
crash_version() {
	local i
	make_version "$1" "$2"
	mkdir "$1/many"
	# Not most of them: that would be more than sync-rcu-max-delete.
	for i in {1..25}; do echo "$i of version $2" >"$1/many/$2$i"; done
	for i in {26..60}; do echo "$i of version $2" >"$1/many/$i"; done
	ln "$1/many/${2}1" "$1/many/linked"
	head -c "${3-0}" /dev/urandom >"$1/many/big"
	(cd "$1" && find . -type f ! -name SUMS -print0 | sort -z | xargs -0 sha256sum >../.sums && mv ../.sums SUMS)
	find "$1" -depth -exec touch -h -d "@$((1400000000 + $(printf %d "'$2") * 1000))" {} +
}

other() { if [ "$1" = A ]; then echo B; else echo A; fi; }

# Prints the version that DIR holds, wholly and with nothing beside it; fails, and says what, where it is mixed.
whole() {
	(
		cd "$1" || exit
		sha256sum --quiet --strict -c SUMS >&2 || exit
		diff <(find . -type f ! -name SUMS | sort) <(cut -c 67- SUMS | sort) >&2 || exit
		[ -d empty ] && [ "$(readlink app-misc/link)" = one/one-1.ebuild ] || exit
		[ "$(find . -type f -links +1 ! -name linked -name "*1" | wc -l)" -ge 1 ] || exit
		cat version
	) || {
		echo "not whole: $1"
		return 1
	}
}

# Whatever was killed: what readers see is one whole version, and so is each snapshot that there is.
sound() {
	local snapshot version
	version=$(whole "$LOCATION") || { echo "$version"; return 1; }
	for snapshot in "$STORE"/snapshots/*; do
		[ -d "$snapshot" ] || continue
		whole "$snapshot" >/dev/null || { whole "$snapshot"; return 1; }
	done
}

# Of nothing that was killed is anything left. A temporary file of a small one (NAME.new) stays until that is written
# again, so there is one at most.
no_junk() {
	local name ours='lock|(location|high-water|reservation|migration|latest|pin)\.new|location|high-water|pins|meta|record|spare|staging|trash'
	repo gc --set sync-rcu-ttl-days=0 >"$T/gc.out" || return
	find "$STORE"/.rcu-repo/staging "$STORE"/.rcu-repo/trash -mindepth 1 -maxdepth 1 >"$T/junk.out"
	find "$STORE" -mindepth 1 -maxdepth 1 ! -name latest ! -name snapshots ! -name .rcu-repo >>"$T/junk.out"
	find "$STORE/.rcu-repo" -mindepth 1 -maxdepth 1 -printf '%P\n' | { grep -vxE "$ours" || :; } >>"$T/junk.out"
	find "$(dirname "$LOCATION")" -mindepth 1 -maxdepth 1 -name '.*' >>"$T/junk.out"
	[ ! -s "$T/junk.out" ] || { echo "left over:"; cat "$T/junk.out"; return 1; }
}

sync_from() { repo sync --type rsync --uri "$1" "${@:2}"; }

# The next sync succeeds, is seen, and leaves nothing. How long it took is in $LONG, in milliseconds.
recovers() {
	local want=$1 begin=${EPOCHREALTIME/./}
	sync_from "$T/$want" >"$T/sync.out" 2>&1 || { cat "$T/sync.out"; return 1; }
	LONG=$(((${EPOCHREALTIME/./} - begin) / 1000 + 1))
	[ "$(whole "$LOCATION")" = "$want" ] || { echo "after the next sync: $(whole "$LOCATION"), not $want"; return 1; }
	sound && no_junk
}

# milliseconds COMMAND [ARG...]: how long it takes, undisturbed
milliseconds() {
	local begin=${EPOCHREALTIME/./}
	"$@" >/dev/null 2>&1
	echo $(((${EPOCHREALTIME/./} - begin) / 1000 + 1))
}

# A random moment within so many milliseconds and somewhat beyond, as seconds for timeout(1)
moment() {
	local micro=$(((RANDOM * 32768 + RANDOM) % ($1 * 1400)))
	printf '%d.%06d' $((micro / 1000000)) $((micro % 1000000))
}

# kill_at SECONDS COMMAND [ARG...]: kill -9 of that process alone, at that moment
kill_at() {
	local seconds=$1
	shift
	timeout --foreground -s KILL "$seconds" "$@" >>"$T/killed.out" 2>&1 || :
}

# Runs COMMAND in the background, and fails, later, by `watched`, if LOCATION was missing at any moment meanwhile.
watch_location() {
	rm -f "$T/missing.out"
	background bash -c 'while :; do [ -e "$1/version" ] || { echo missing >"$2"; exit; }; done' bash "$LOCATION" \
		"$T/missing.out"
	WATCHER=$BACKGROUND
}

watched() {
	[ ! -e "$T/missing.out" ] || { echo "$LOCATION was missing for a moment"; return 1; }
	kill -0 "$WATCHER"
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# run.sh: what the storm and the demo share: a world of their own, the publisher, a reader once.  To be sourced;
# RCU_BUILD and RCU_SRC as in tests/lib.bash.

RCU_REPO=$RCU_BUILD/helper/rcu-repo
RCU_EXEC=$RCU_BUILD/helper/rcu-exec
STORM=$RCU_SRC/tests/storm
. "$STORM/trees.sh"

# world_make: $WORLD, a new directory with trees/, and names for the rest; world_end removes it. In memory, where there is room
# and nothing else is said: then the publisher does not wait for a disk.
world_make() {
	umask 022
	if [ -z "${TMPDIR-}" ] && [ -w /dev/shm ] && [ "$(df --output=avail /dev/shm | tail -n 1)" -gt 500000 ]; then
		WORLD=$(mktemp -d /dev/shm/rcu-storm.XXXXXX) || return
	else
		WORLD=$(mktemp -d "${TMPDIR:-/tmp}/rcu-storm.XXXXXX") || return
	fi
	# readers that drop their privileges (apt's methods) look into it
	chmod 755 "$WORLD"
	export STORM_TREES=$WORLD/trees
	STORE=$WORLD/store
	LOCATION=$WORLD/location
	PUBLISHER=
}

world_end() {
	cd /
	[ -z "$PUBLISHER" ] || kill "$PUBLISHER" 2>/dev/null
	wait
	rm -rf "$WORLD"
}

# publisher_start RATE SPARES PART...: returns when the first snapshot is out.
publisher_start() {
	local rate=$1 spares=$2 line=
	shift 2
	mkfifo "$WORLD/publisher.out"
	"$RCU_BUILD/tests/storm/publisher" -r "$rate" -s "$spares" "$STORE" "$STORM_TREES" "$@" \
		>"$WORLD/publisher.out" 2>"$WORLD/publisher.err" &
	PUBLISHER=$!
	exec {PUBLISHER_OUT}<"$WORLD/publisher.out"
	rm "$WORLD/publisher.out"
	read -r line <&"$PUBLISHER_OUT"
	[ "$line" = ready ] || {
		cat "$WORLD/publisher.err" >&2
		return 1
	}
}

# publisher_stop: $PUBLISHED is how many there were, $RATE how many a second.  Fails if the publisher did.
publisher_stop() {
	PUBLISHED=0 RATE=0
	kill "$PUBLISHER" 2>/dev/null
	read -r PUBLISHED RATE <&"$PUBLISHER_OUT"
	exec {PUBLISHER_OUT}<&-
	wait "$PUBLISHER" || {
		PUBLISHER=
		cat "$WORLD/publisher.err" >&2
		return 1
	}
	PUBLISHER=
}

# read_bare NAME, read_pinned NAME: the reader once; what it said is in $WORLD/log.
read_bare() {
	"$STORM/readers/$1" "$LOCATION" >"$WORLD/log" 2>&1 </dev/null
}
read_pinned() {
	"$RCU_EXEC" -l "$LOCATION" -- "$STORM/readers/$1" "$LOCATION" >"$WORLD/log" 2>&1 </dev/null
}

# reader_has NAME part|needs: what its head says
reader_has() { sed -n "s/^# $2: //p" "$STORM/readers/$1"; }

# reader_missing NAME: prints what it needs and this machine does not have, if anything
reader_missing() {
	local need
	for need in $(reader_has "$1" needs); do
		if [ "$need" = root ]; then
			[ "$(id -u)" = 0 ] || echo "root"
		else
			command -v "$need" >/dev/null || echo "$need"
		fi
	done
}

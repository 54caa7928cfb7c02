# SPDX-License-Identifier: LGPL-2.1-or-later
# pinned.bash: a store with snapshots 1 and 10, latest naming 10, and programs that are pinned to 1.

PROBES=$RCU_BUILD/tests/preload

# As a store that rcu-repo made; $SOURCE is not needed.
make_store() {
	mkdir -p "$STORE/snapshots" "$STORE/.rcu-repo/pins"
	touch "$STORE/.rcu-repo/pins/1" "$STORE/.rcu-repo/pins/10"
	make_version "$STORE/snapshots/1" one
	make_version "$STORE/snapshots/10" ten
	ln -s snapshots/10 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	PINNED=$STORE/snapshots/1
}

pinned() {
	RCU_EXEC_PINS="$LOCATION=$STORE/snapshots/1" LD_PRELOAD="${PRELOADS_BEFORE-}$RCU_EXEC_SHIM${PRELOADS_BEHIND-}" "$@"
}

# What COMMAND says of the location, pinned, is what it says of the snapshot, bare: equal 'COMMAND with $TREE in it'
equal() {
	TREE=$PINNED bash -c "$1" >"$T/want" 2>&1
	TREE=$LOCATION pinned bash -c "$1" >"$T/got" 2>&1
	sed -i "s|$PINNED|TREE|g; s|$LOCATION|TREE|g" "$T/want" "$T/got"
	[ -s "$T/want" ]
	diff "$T/want" "$T/got"
}

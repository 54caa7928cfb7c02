#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The model of the protocol, rcu.pml, in all its states: small ones here, larger ones by `make model`; and that each
# fault planted in it is found.

load ../lib

# -DCOLLAPSE: a third of the memory, twice the time
MODEL_CFLAGS=$([ "${MODEL_LARGE-}" != yes ] || echo -DCOLLAPSE)
MODEL_DEPTH=$([ "${MODEL_LARGE-}" = yes ] && echo 2000000 || echo 50000)
MODEL=$RCU_SRC/tests/model/rcu.pml

setup() {
	lib_init
	skip_unless_command spin gcc cc
}
teardown() { lib_done; }

# built -D...: pan, for safety, or for liveness where LTL is set
built() {
	spin -a "$@" "$MODEL" >"$T/spin.out" || { cat "$T/spin.out"; return 1; }
	if [ -n "${LTL-}" ]; then
		cc ${OPTIMIZE--O2} -w -DNFAIR=3 $MODEL_CFLAGS -o pan pan.c
	else
		cc ${OPTIMIZE--O2} -w -DSAFETY -DNOCLAIM $MODEL_CFLAGS -o pan pan.c
	fi
}

# search WANT -D...: every state of the model has been seen, and there are 0 faults in it; or 1 is found
search() {
	local want=$1 states
	shift
	built "$@" || return
	if [ -n "${LTL-}" ]; then ./pan -a -f -N "$LTL" -m$MODEL_DEPTH; else ./pan -m$MODEL_DEPTH; fi >"$T/pan.out" 2>&1
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$T/pan.out")
	echo "# ${LTL-safety} ${*#-D}: $states states, $(sed -n 's/.*errors: /errors: /p' "$T/pan.out")" >&3
	grep -q "errors: $want\$" "$T/pan.out" || { cat "$T/pan.out"; return 1; }
	if [ "$want" = 0 ] && grep -E 'max search depth too small|out of memory|Search not completed' "$T/pan.out"; then
		return 1
	fi
}

# most of the time is the compiler's
found() { OPTIMIZE=-O0 search 1 "$@"; }
none() { search 0 "$@"; }

@test "no reader ever holds a snapshot that is reclaimed or recycled" {
	none -DREADERS=2 -DASKERS=0
	[ "${MODEL_LARGE-}" != yes ] || none -DREADERS=2 -DASKERS=1
	none -DREADERS=1 -DASKERS=1 -DTOP=2 -DANY -DHOLDS=2
	[ "${MODEL_LARGE-}" != yes ] || none -DREADERS=1 -DASKERS=1 -DANY -DCRASHES=2
	[ "${MODEL_LARGE-}" != yes ] || none -DREADERS=2 -DASKERS=0 -DHOLDS=2 -DCRASHES=2
	[ "${MODEL_LARGE-}" != yes ] || none -DREADERS=3 -DASKERS=0 -DTOP=2
}

@test "what begin staged is published, or staged, or kept: a commit that is killed anywhere loses nothing" {
	none -DREADERS=1 -DASKERS=0 -DCOMMITS=1 -DANY -DCRASHES=2
	[ "${MODEL_LARGE-}" != yes ] || none -DREADERS=2 -DASKERS=0 -DCOMMITS=1 -DANY
	LTL=reclaimed none -DREADERS=1 -DASKERS=0 -DCOMMITS=1
}

@test "every reader gets in, and what is not the latest is reclaimed in the end" {
	LTL=get_in none -DREADERS=1 -DASKERS=0
	LTL=reclaimed none -DREADERS=1 -DASKERS=0
	LTL=reclaimed none -DREADERS=1 -DASKERS=1 -DTOP=2
	[ "${MODEL_LARGE-}" != yes ] || LTL=get_in none -DREADERS=2 -DASKERS=0
	[ "${MODEL_LARGE-}" != yes ] || LTL=reclaimed none -DREADERS=2 -DASKERS=0
}

@test "planted faults are found" {
	local fault
	for fault in NO_LOOK NO_EXISTS NO_RENAME NO_LEASE EARLY_SWAP RECYCLE_LATEST; do
		found -DREADERS=1 -DASKERS=0 -DANY "-D$fault"
	done
	for fault in NO_WITHDRAW NO_KEEP; do found -DREADERS=1 -DASKERS=0 -DANY -DCOMMITS=1 "-D$fault"; done
	# this one needs somebody else who makes the kernel break the lease
	found -DREADERS=2 -DASKERS=0 -DTOP=2 -DNO_RECHECK
	LTL=get_in found -DREADERS=1 -DASKERS=0 -DTOP=2 -DNO_RECOVER
	LTL=reclaimed found -DREADERS=1 -DASKERS=0 -DTOP=2 -DNO_RECOVER
	LTL=reclaimed found -DREADERS=1 -DASKERS=0 -DTOP=2 -DNO_CLOSE
}

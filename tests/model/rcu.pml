/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rcu.pml: the pin / publish / reclaim protocol, for spin(1). The names of the steps (R1, P4, C3 ...) stand in the
 * comments of core/hold.c, helper/store/publish.c, helper/store/reclaim.c and helper/store/reservation.c; a change there is
 * a change here.
 *
 * There are TOP numbers. Readers choose (the latest, or any: -s), pin, hold, let go. Writers have the lock, which is
 * the kernel's and taken for granted here: they publish, roll back and reclaim, one after the other, and may be killed
 * (CRASHES times) or stopped between any two steps; being stopped is nothing else than that others go on. An asker is
 * what `status` and a dry run do without the lock: take the lease for a moment. The kernel ends a lease by force when
 * an opener has waited for long enough: here, at any moment after somebody tried to open.
 *
 * One step is one system call, or the part of one that is atomic: an open is a look-up of the name (R2) and, later,
 * the open of what was found (R3).
 *
 * COMMITS times `begin` stages a tree, which exists once, and reserves it; what is published next is that one (commit).
 *
 * Safety: assertions. Who holds N has the tree that was published as N, from the moment that he believes it to the
 * moment that he lets go; no tree is written to or deleted meanwhile; latest names a whole tree, always. The tree that
 * exists once is not reclaimed before it was the latest.
 * Liveness (ltl): every reader gets in; what is not the latest is reclaimed in the end, when readers end.
 *
 * Planted faults, each of which must be found: NO_LOOK, NO_RECHECK, NO_EXISTS, NO_RENAME, NO_LEASE, EARLY_SWAP,
 * RECYCLE_LATEST, and with a commit NO_WITHDRAW, NO_KEEP (safety), NO_RECOVER, NO_CLOSE (liveness).
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef ASKERS
#define ASKERS 1
#endif
#ifndef TOP
#define TOP 3
#endif
#ifndef HOLDS
#define HOLDS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 1
#endif
#ifndef COMMITS
#define COMMITS 0
#endif
#define WORK (TOP + 1) /* the tree that `begin` stages; the others have the number that they are made for */

mtype = { FREE, HELD, BREAKING };

/* by number; 0 is none */
byte tree[TOP + 1];  /* snapshots/N is this tree */
bool pin[TOP + 1];   /* there is pins/N */
bool dead[TOP + 1];  /* there is pins/N.dead: the same inode, renamed */
byte opens[TOP + 1]; /* open descriptions of that inode, mappings included */
mtype lease[TOP + 1] = FREE;

byte content[WORK + 1]; /* by tree: whole, as that number; 0: in the making, or on its way out */
byte spare;            /* a recycled tree in staging; 0: none */
byte latest = 1;
byte highest = 1;
byte in;   /* readers that have got in */
byte ended; /* readers that have ended */

#if COMMITS > 0
bool staged; /* WORK is in staging, and reserved */
byte work;   /* it is reserved, and snapshots/N, with this N: so say the reservation and meta/N together */
byte kept;   /* this number is kept */
bool once;   /* nobody has ever seen it as the latest */
byte commits = COMMITS;
#define BUSY staged
#else
#define BUSY false
#endif

byte crashes = CRASHES;
byte rollbacks = ROLLBACKS;

inline drop(n)
{
	opens[n]--;
}

/* An open by another than the lease's holder begins to break the lease, and says EWOULDBLOCK. */
inline open_pin(n, got)
{
	atomic {
		if
		:: lease[n] == FREE -> opens[n]++; got = true
		:: else -> lease[n] = BREAKING; got = false
		fi
	}
}

proctype reader()
{
	byte n, holds = 0;
	bool got;

choose:	n = 0; /* what a process has forgotten is no state of its own */
	got = false;
	if
	:: d_step { n = latest; assert(tree[n] != 0 && content[tree[n]] == n) } /* R1: readlink of latest */
#ifdef ANY
	:: atomic { highest > 1; select(n : 1 .. highest) } /* -s N */
#endif
	fi;
	if
	:: !pin[n] -> goto choose /* R2: the name is looked up */
	:: else
	fi;
	atomic {
		open_pin(n, got); /* R3: what was found is opened, O_NONBLOCK */
		if
		:: got
		:: else -> goto choose
		fi
	};
#ifndef NO_RECHECK
	if
	:: !pin[n] -> drop(n); goto choose /* R4: has the inode still its name? */
	:: else
	fi;
#endif
#ifndef NO_EXISTS
	if
	:: tree[n] == 0 -> drop(n); goto choose /* R5: is there such a snapshot? */
	:: else
	fi;
#endif
	/* R6: it is mapped; from here on the reader believes that it holds N */
	d_step {
		assert(tree[n] != 0 && content[tree[n]] == n);
		if
		:: holds == 0 -> in++
		:: else
		fi
	};
	/* R7: it ends. A number never comes back, so what is right now was right all the while. */
	d_step {
		assert(tree[n] != 0 && content[tree[n]] == n);
		drop(n);
		holds++
	};
	if
	:: holds < HOLDS -> goto choose
	:: else -> ended++
	fi
}

/* Whoever asks about a pin, with no lock: reclaim_pinned(). */
proctype asker()
{
	byte n;
	bool got;

	atomic {
		select(n : 1 .. TOP);
		if
		:: pin[n]
		:: else -> goto done
		fi
	};
	atomic {
		open_pin(n, got);
		if
		:: got
		:: else -> goto done
		fi
	};
	atomic {
		if
		:: opens[n] == 1 && lease[n] == FREE -> lease[n] = HELD
		:: else -> drop(n); goto done
		fi
	};
	d_step {
		lease[n] = FREE;
		drop(n)
	};
done:	skip
}

/* lease-break-time is over. */
active proctype kernel()
{
	byte n;

end:	do
	:: atomic { lease[1] == BREAKING -> lease[1] = FREE }
#if TOP > 1
	:: atomic { lease[2] == BREAKING -> lease[2] = FREE }
#endif
#if TOP > 2
	:: atomic { lease[3] == BREAKING -> lease[3] = FREE }
#endif
#if TOP > 3
	:: atomic { lease[4] == BREAKING -> lease[4] = FREE }
#endif
	od
}

/* kill -9: what the kernel gives back is given back; the next writer gets the lock. */
#define MAY_DIE                                                                \
	if                                                                     \
	:: atomic { crashes > 0 -> crashes--; died() }; goto begin             \
	:: true                                                                \
	fi

inline died()
{
	if
	:: asked != 0 -> drop(asked);
		if
		:: leased -> lease[asked] = FREE
		:: else
		fi
	:: else
	fi;
	asked = 0;
	leased = false
}

/* C7 or C8: pins/N has its name again, or has none; then the lease is given back. */
inline let_go(n)
{
	d_step {
		if
		:: lease[n] != FREE && leased -> lease[n] = FREE
		:: else
		fi;
		leased = false;
		drop(n);
		asked = 0
	}
}

/* C1 to C4: asked is n where nobody holds n and nobody can come to hold it; else 0. */
inline seize(n)
{
	/* C1: the pin file is opened. (Nobody but us renames, and we have the lock: look-up and open are one.) */
	atomic {
		got = false;
		if
		:: pin[n] -> open_pin(n, got)
		:: else
		fi;
		if
		:: got -> asked = n; got = false
		:: else
		fi
	};
	if
	:: asked == n ->
		MAY_DIE;
#ifndef NO_LEASE
		/* C2: F_SETLEASE: granted where ours is the only open description */
		atomic {
			if
			:: opens[n] == 1 && lease[n] == FREE -> lease[n] = HELD; leased = true
#ifdef NO_CLOSE
			:: else -> asked = 0
#else
			:: else -> let_go(n)
#endif
			fi
		}
#endif
	:: else
	fi;
	if
	:: asked == n ->
		MAY_DIE;
#ifndef NO_RENAME
		d_step { pin[n] = false; dead[n] = true }; /* C3: no pins/N any more */
		MAY_DIE;
#endif
#ifndef NO_LOOK
#ifndef NO_LEASE
		/* C4: the look: F_GETLEASE */
		if
		:: lease[n] != HELD ->
			d_step { dead[n] = false; pin[n] = true };
			let_go(n)
		:: else -> MAY_DIE
		fi
#endif
#endif
	:: else
	fi
}

inline bury(n)
{
	d_step { dead[n] = false; pin[n] = false }; /* C7: pins/N.dead goes */
	MAY_DIE;
	let_go(n) /* C8 */
}

/* L1: store_lock(): what a dead reclaimer renamed away comes back, or goes with its snapshot. */
inline recover()
{
	atomic {
		n = 1;
		do
#ifndef NO_RECOVER
		:: n <= TOP && dead[n] ->
			if
			:: tree[n] != 0 -> d_step { dead[n] = false; pin[n] = true }
			:: else -> dead[n] = false
			fi;
			MAY_DIE
		:: n <= TOP && !dead[n] -> n++
#endif
		:: else -> break
		od;
		n = 0
	}
}

/* L2: store_lock(): what a commit left on its way is staged again, by C1 to C8, or kept where somebody has pinned it. */
inline withdraw()
{
#if COMMITS > 0
	if
	:: work != 0 && work != latest ->
#ifdef NO_WITHDRAW
		work = 0
#else
		n = work;
		seize(n);
		if
		:: asked == n ->
			d_step { content[WORK] = 0; tree[n] = 0; staged = true; work = 0 }; /* C6 */
			MAY_DIE;
			bury(n)
		:: else ->
#ifndef NO_KEEP
			kept = n;
			MAY_DIE;
#endif
			work = 0
		fi
#endif
	:: work != 0 && work == latest -> work = 0
	:: else
	fi;
	n = 0
#else
	skip
#endif
}

inline swap(n)
{
	d_step {
		assert(tree[n] != 0 && content[tree[n]] == n);
#if COMMITS > 0
		once = once && tree[n] != WORK;
#endif
		latest = n
	}
}

inline publish()
{
	/* a new tree, or a recycled one; P1: the number is used up, whatever comes */
	d_step {
		highest++;
		n = highest;
		if
		:: BUSY -> t = WORK
		:: !BUSY && spare != 0 -> t = spare; spare = 0
		:: else -> t = n
		fi
	};
	MAY_DIE;
#ifdef EARLY_SWAP
	latest = n;
	d_step { content[t] = n; tree[n] = t }
#else
	content[t] = n; /* P3: the tree is whole. P2 is nobody's here. */
	MAY_DIE;
	/* P4: snapshots/N is there; P6: its pin file was made ahead */
#if COMMITS > 0
	d_step {
		tree[n] = t;
		if
		:: BUSY -> staged = false; work = n
		:: else
		fi
	};
#else
	tree[n] = t;
#endif
	MAY_DIE;
	swap(n); /* P8 */
#if COMMITS > 0
	MAY_DIE;
	work = 0; /* it is not reserved any more */
#endif
#endif
	MAY_DIE
}

/* rollback: under the lock, to what is there */
inline roll_back()
{
	rollbacks--;
	if
	:: atomic { tree[1] != 0 -> swap(1) }
#if TOP > 1
	:: atomic { tree[2] != 0 -> swap(2) }
#endif
#if TOP > 2
	:: atomic { tree[3] != 0 -> swap(3) }
#endif
	fi;
	MAY_DIE
}

inline reclaim()
{
	n = 1;
	do
	:: n > TOP -> break
	:: d_step { n <= TOP && (tree[n] == 0 || n == latest) -> n++ }
#if COMMITS > 0
	:: d_step { n <= TOP && tree[n] != 0 && n != latest && n == kept -> n++ }
#endif
#ifdef RECYCLE_LATEST
	:: n <= TOP && tree[n] != 0 && n == latest && spare == 0 -> d_step { spare = tree[n]; tree[n] = 0; content[spare] = 0 }; n++
#endif
	:: else ->
		seize(n);
		if
		:: asked == n ->
			/* C5: latest is read once more (for Portage, which knows no lock and is not in this model) */
			assert(n != latest);
#if COMMITS > 0
			assert(!once || tree[n] != WORK);
#endif
			/* C6: the snapshot is renamed: to trash, or to staging, where it becomes the next one */
			if
			:: d_step { content[tree[n]] = 0; tree[n] = 0 }
			:: d_step { spare == 0 -> spare = tree[n]; tree[n] = 0; content[spare] = 0 }
			fi;
			MAY_DIE;
			bury(n)
		:: else
		fi;
		n++
	od
}

#if COMMITS > 0
inline begin_work()
{
	d_step {
		commits--;
		content[WORK] = 0;
		staged = true;
		once = true
	}
}
#endif

active proctype writer()
{
	byte n, t, asked = 0;
	bool got, leased = false;

begin:	recover();
	withdraw();
	t = 0;
	if
	:: highest < TOP -> publish()
	:: rollbacks > 0 && !BUSY -> roll_back()
	:: reclaim()
#if COMMITS > 0
	:: commits > 0 && !BUSY && spare != WORK -> begin_work()
#endif
	fi;
	goto begin
}

init {
	byte i = 1;

	atomic {
		tree[1] = 1;
		content[1] = 1;
		do
		:: i <= TOP -> pin[i] = true; i++ /* made ahead */
		:: else -> break
		od;
		i = 0;
		do
		:: i < READERS -> run reader(); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < ASKERS -> run asker(); i++
		:: else -> break
		od
	}
}

#if COMMITS > 0
#define alone(n) (tree[n] == 0 || n == latest || n == kept)
#else
#define alone(n) (tree[n] == 0 || n == latest)
#endif
#if TOP == 2
#define clean (alone(1) && alone(2))
#elif TOP == 3
#define clean (alone(1) && alone(2) && alone(3))
#else
#define clean (alone(1) && alone(2) && alone(3) && alone(4))
#endif

ltl get_in { <> (in == READERS) }
ltl reclaimed { <> [] clean }

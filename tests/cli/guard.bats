#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What runs in a staging tree cannot write to a snapshot (P15, P16): helper/guard.h, guard/guard.h.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# Nothing here is about a loss of power.
repo() {
	local command=$1
	shift
	"$RCU_REPO" "$command" --location "$LOCATION" --store "$STORE" --set sync-rcu-durability=none "$@"
}

# Everything that a snapshot promises to keep: names, kinds, modes, owners, times (ns), link targets, contents, extended attributes, ACLs.
promise() {
	(
		cd "$1"
		find . -printf '%p %y %m %U %G %T@ %l\n' | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
		getfattr -hdR -m - . 2>/dev/null
	) >"$2"
}

# A tree with all that can be written to, and a git repository in it that has something to fetch.
make_tree() {
	make_version "$SOURCE" A
	skip_unless_command git setfattr /usr/bin/python3
	setfattr -n user.color -v blue "$SOURCE/header"
	truncate -s 1M "$SOURCE/sparse"
	mkdir "$T/upstream"
	(
		export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a
		cd "$T/upstream" && git init -qb main && echo 1 >f && git add f && git commit -qm 1
		git clone -q "$T/upstream" "$SOURCE/clone" && git -C "$SOURCE/clone" fetch -q
		echo 2 >f && git commit -qam 2
	)
	(mkdir "$T/tar" && cd "$T/tar" && echo tar >header && echo tar >version && tar cf "$T/x.tar" header version)
	mkdir "$T/other" && cp -a "$SOURCE/." "$T/other" && rm -r "$T/other/clone"
	chmod 600 "$T/other/header" && echo "other version" >"$T/other/version" && touch "$T/other/SUMS"
}

# One writer a line: a name, and what sh does in the tree. $T is the test's directory.
writers() {
	cat <<'END'
append      echo more >>header
truncate    : >header
rsync-a     rsync -a --exclude clone "$T/other/" .
rsync-perms rsync -r --perms --exclude clone "$T/other/" .
rsync-sum   rsync -rt --checksum --exclude clone "$T/other/" .
rsync-place rsync -r --inplace --exclude clone "$T/other/" .
rsync-add   rsync -r --append --exclude clone "$T/other/" .
git-fetch   git -C clone fetch -q
git-reset   git -C clone reset -q --hard FETCH_HEAD
git-switch  git -C clone checkout -qb side
tar         tar xf "$T/x.tar"
tar-over    tar xf "$T/x.tar" --overwrite
sed         sed -i s/version/changed/ header
chmod       chmod 600 header
touch       touch header version
touch-link  touch -h -d @7 app-misc/link
chown-link  chown -h "$(id -u):$(id -g)" app-misc/link && touch -h -d @8 app-misc/link
python      /usr/bin/python3 -c 'import os; os.utime("header", (1, 2)); os.chmod("version", 0o600); os.truncate("SUMS", 5)'
python-fd   /usr/bin/python3 -c 'import os; f = os.open("header", os.O_RDONLY); os.fchmod(f, 0o640); os.utime(f, (3, 4))'
python-open /usr/bin/python3 -c 'open("header", "r+").write("X"); open("version", "a").write("Y")'
setfattr    setfattr -n user.color -v red header
delfattr    setfattr -x user.color header 2>&1 || setfattr -n user.x -v y header
dd          dd if=/dev/zero of=sparse bs=4k seek=3 count=1 conv=notrunc 2>/dev/null
link        ln header linked && echo more >>linked
away        mv header "$T/away" && echo more >>"$T/away" && rm "$T/away"
empty-env   env -i /bin/sh -c 'echo more >>version'
perl        perl -e 'open(F, "+<", "header"); print F "Z"; chmod 0600, "version"; utime 5, 6, "SUMS"'
END
}

# each FUNCTION: calls FUNCTION NAME COMMAND for each writer
each() {
	local name command
	while read -r name command; do
		"$1" "$name" "$command" </dev/null || return
	done < <(writers)
}

in_update() {
	local before=$STORE/snapshots/$(latest)
	promise "$before" "$T/before"
	repo update -- env T="$T" sh -c "$2" >"$T/log" 2>&1 || { echo "$1: $(cat "$T/log")"; return 1; }
	promise "$before" "$T/after"
	diff "$T/before" "$T/after" || { echo "$1 has reached a snapshot"; return 1; }
}

@test "no writer in update reaches a snapshot" {
	make_tree
	repo sync --type rsync --uri "$SOURCE"
	each in_update
	is_empty "$STORE/.rcu-repo/staging"
}

# That the test above can fail: the same in a hard-linked clone, without a guard.  What writes a new file and renames is harmless there.
in_clone() {
	rm -rf "$T/clone"
	cp -a "$SOURCE" "$T/snapshot.$1"
	cp -al "$T/snapshot.$1" "$T/clone"
	promise "$T/snapshot.$1" "$T/before"
	(cd "$T/clone" && T=$T sh -c "$2") >/dev/null 2>&1
	promise "$T/snapshot.$1" "$T/after"
	cmp -s "$T/before" "$T/after" || echo "$1" >>"$T/reached"
}

@test "without a guard they do reach it" {
	make_tree
	each in_clone
	cat "$T/reached"
	for name in append truncate rsync-perms rsync-sum rsync-place rsync-add git-fetch tar-over chmod touch touch-link \
		python python-fd python-open setfattr dd link away empty-env perl; do
		grep -qx "$name" "$T/reached" || { echo "harmless: $name"; return 1; }
	done
}

@test "what is not written to stays shared, what is written to keeps the rest of its metadata" {
	make_tree
	chmod 640 "$SOURCE/header"
	repo sync --type rsync --uri "$SOURCE"
	repo update -- sh -c 'rm sparse; truncate -s 1M sparse'
	repo update -- sh -c 'echo more >>header; chmod 600 sparse'
	[ "$STORE/snapshots/1/version" -ef "$STORE/snapshots/3/version" ]
	[ "$(getfattr --only-values -n user.color "$STORE/snapshots/3/header")" = blue ]
	[ "$(stat -c %a "$STORE/snapshots/3/header")" = 640 ]
	[ "$(stat -c '%s %y' "$STORE/snapshots/2/sparse")" = "$(stat -c '%s %y' "$STORE/snapshots/3/sparse")" ]
	[ "$(stat -c %b "$STORE/snapshots/3/sparse")" = 0 ]
	# a broken link is no change of the directory
	[ "$(stat -c %y "$STORE/snapshots/2")" = "$(stat -c %y "$STORE/snapshots/3")" ]
}

@test "a snapshot itself answers as a read-only file system" {
	sync_version A
	promise "$STORE/snapshots/1" "$T/before"
	repo update -- sh -c 'cd "$1" && for command in "echo x >>header" "echo x >new" "rm header" "chmod 600 header" "mkdir new" \
		"touch header" "ln header new" "mv header new" "touch ."; do sh -c "$command" 2>&1 || :; done >"$2"; cd "$3" && echo x >x' \
		sh "$STORE/snapshots/1" "$T/said" "$T"
	[ "$(grep -c 'Read-only file system' "$T/said")" = 9 ]
	promise "$STORE/snapshots/1" "$T/after"
	diff "$T/before" "$T/after"
}

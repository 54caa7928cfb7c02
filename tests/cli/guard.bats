#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What runs in a staging tree cannot write to a snapshot (P15, P16): helper/programs/guard.h, guard/guard.h.

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
	# for each writer its own, in which nothing was written to before
	mv "$SOURCE" "$T/base"
	mkdir "$SOURCE"
	each copy_for
}

copy_for() { cp -a "$T/base" "$SOURCE/$1"; }

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
git-reset   git -C clone fetch -q && git -C clone reset -q --hard FETCH_HEAD
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
child       /usr/bin/python3 -c 'import subprocess; subprocess.run(["/bin/sh", "-c", "echo more >>header"], env={}, check=True)'
spawn       /usr/bin/python3 -c 'import os; os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "echo more >>header"], {}), 0)'
system      perl -e '%ENV = (); system("echo more >>header; echo \$0 >>header"); exec("echo", "more")'
popen       awk 'BEGIN { print "more" >>"header"; print "more" | "cat >>version" }'
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

# In the staging tree, behind the guard: a writer in its directory, and then a look at the snapshot's.
behind_guard() {
	promise "$SNAPSHOT/$1" "$T/before.$1"
	(cd "$1" && T=$T sh -c "$2") >"$T/log" 2>&1 || { echo "$1 has failed: $(cat "$T/log")"; return 1; }
	promise "$SNAPSHOT/$1" "$T/after.$1"
	diff "$T/before.$1" "$T/after.$1" || { echo "$1 has reached a snapshot"; return 1; }
}

# And it did write.
has_written() {
	promise "$LOCATION/$1" "$T/written"
	cmp -s "$T/written" "$T/after.$1" || return 0
	echo "$1 has written nothing"
	return 1
}

# all_behind WAY: all writers in one update; `way` says that it was this way
all_behind() {
	make_tree
	export T RCU_REPO_GUARD_WAY=$1 SNAPSHOT=$STORE/snapshots/1
	repo sync --type rsync --uri "$SOURCE"
	promise "$SNAPSHOT" "$T/before"
	export -f promise writers each behind_guard way
	repo update -- bash -c 'way && each behind_guard' >"$T/way" 2>&1 || { cat "$T/way"; return 1; }
	grep -qx "$1" "$T/way"
	promise "$SNAPSHOT" "$T/after"
	diff "$T/before" "$T/after"
	[ "$(latest)" = 2 ]
	is_empty "$STORE/.rcu-repo/staging"
	each has_written
	# what the guard said of the changes is in the record, and is all of them
	repo check
	# a note of an overlay is nothing for a snapshot
	[ -z "$(getfattr -hdR -m 'overlay' "$STORE/snapshots/2")" ]
}

way() {
	if grep -q ' - overlay overlay .*\.guard/upper' /proc/self/mountinfo; then
		echo kernel
	elif [[ $LD_PRELOAD == *librcu-guard.so* ]]; then
		echo preload
	else
		echo copy
	fi
}

# Can the kernel guard what we run?
skip_unless_kernel_way() {
	skip_unless_overlay
	repo update -- sh -c 'echo x >x'
	export -f way
	[ "$(RCU_REPO_GUARD_WAY=kernel repo update -- bash -c way 2>&1 | head -n 1)" = kernel ] ||
		skip "no overlay can be mounted in a namespace here"
	rm -rf "$STORE" "$LOCATION"
}

@test "no writer behind the library reaches a snapshot" {
	all_behind preload
}

@test "no writer behind an overlay reaches a snapshot" {
	skip_unless_kernel_way
	all_behind kernel
}

# That the test above can fail: the same in a hard-linked clone, without a guard.  What writes a new file and renames is harmless there.
in_clone() {
	rm -rf "$T/clone"
	cp -a "$T/base" "$T/snapshot.$1"
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
		python python-fd python-open setfattr dd link away empty-env child spawn system popen perl; do
		grep -qx "$name" "$T/reached" || { echo "harmless: $name"; return 1; }
	done
}

@test "what is not written to stays shared, what is written to keeps the rest of its metadata" {
	local way
	make_version "$SOURCE" A
	skip_unless_command setfattr
	setfattr -n user.color -v blue "$SOURCE/header"
	chmod 640 "$SOURCE/header"
	for way in preload kernel; do
		rm -rf "$STORE" "$LOCATION"
		repo sync --type rsync --uri "$SOURCE"
		repo update -- truncate -s 1M sparse
		RCU_REPO_GUARD_WAY=$way repo update -- sh -c 'echo more >>header; chmod 600 sparse'
		[ "$STORE/snapshots/1/version" -ef "$STORE/snapshots/3/version" ]
		[ "$(getfattr --only-values -n user.color "$LOCATION/header")" = blue ]
		[ "$(stat -c %a "$LOCATION/header")" = 640 ]
		[ "$(stat -c '%s %y' "$STORE/snapshots/2/sparse")" = "$(stat -c '%s %y' "$LOCATION/sparse")" ]
		[ "$(stat -c %b "$LOCATION/sparse")" = 0 ]
		# neither a broken link nor a copy in an overlay is a change of the directory
		[ "$(stat -c %y "$STORE/snapshots/2")" = "$(stat -c %y "$LOCATION/")" ]
	done
}

@test "a snapshot itself answers as a read-only file system" {
	local way
	sync_version A
	promise "$STORE/snapshots/1" "$T/before"
	for way in preload kernel; do
		RCU_REPO_GUARD_WAY=$way repo update -- sh -c 'cd "$1" && for command in "echo x >>header" "echo x >new" "rm header" "chmod 600 header" "mkdir new" \
			"touch header" "ln header new" "mv header new" "touch ." "sed -i s/of/if/ header"; do sh -c "$command" 2>&1 || :; done >"$2"' \
			sh "$STORE/snapshots/1" "$T/said"
		[ "$(grep -c 'Read-only file system' "$T/said")" = 10 ]
		promise "$STORE/snapshots/1" "$T/after"
		diff "$T/before" "$T/after"
	done
}

@test "what the library cannot be loaded into is not started behind it, and held by the kernel" {
	skip_unless_command busybox
	ldd "$(command -v busybox)" && skip "busybox is no static program here"
	sync_version A
	promise "$STORE/snapshots/1" "$T/before"
	RCU_REPO_GUARD_WAY=preload repo update -- sh -c 'busybox sh -c "echo x >>header"; echo $? >"$1"; cd / && echo x >>"$RCU_REPO_STAGING/version"' \
		sh "$T/status"
	[ "$(cat "$T/status")" = 126 ]
	[ "$(latest)" = 2 ]
	[ "$STORE/snapshots/1/header" -ef "$STORE/snapshots/2/header" ]
	# as the command itself it gets a full copy
	RCU_REPO_GUARD_WAY=preload repo update -- busybox sh -c 'echo x >>header; chmod 600 version'
	[ "$(stat -c %a "$LOCATION/version")" = 600 ]
	skip_unless_overlay
	RCU_REPO_GUARD_WAY=kernel repo update -- busybox sh -c 'echo y >>header; chmod 640 version; rm tell; mkdir tell; echo z >tell/z'
	[ -e "$LOCATION/tell/z" ]
	promise "$STORE/snapshots/1" "$T/after"
	diff "$T/before" "$T/after"
}

@test "chattr reaches no snapshot" {
	skip_unless_root
	skip_unless_command chattr
	sync_version A
	chattr +d "$STORE/snapshots/1/version" 2>/dev/null || skip "no such attributes on this file system"
	chattr -d "$STORE/snapshots/1/version"
	flags() { lsattr "$1" | cut -d' ' -f1; }
	[[ $(flags "$STORE/snapshots/1/header") != *d* ]]
	export -f flags
	RCU_REPO_GUARD_WAY=preload repo update -- bash -c 'chattr +d header && [[ $(flags header) == *d* ]]'
	[[ $(flags "$STORE/snapshots/1/header") != *d* ]]
}

@test "hard links in the tree: two names become two files when one is written to, in both ways" {
	local way
	for way in preload kernel; do
		rm -rf "$STORE" "$LOCATION"
		make_version "$SOURCE" A
		ln "$SOURCE/header" "$SOURCE/second"
		repo sync --type rsync --uri "$SOURCE"
		RCU_REPO_GUARD_WAY=$way repo update -- sh -c 'echo more >>header; echo a >new; ln new newer'
		grep more "$LOCATION/header"
		[ "$(grep -c more "$LOCATION/second")" = 0 ]
		[ "$LOCATION/second" -ef "$STORE/snapshots/1/second" ]
		[ "$LOCATION/new" -ef "$LOCATION/newer" ]
		repo check
	done
}

@test "an overlay's layer: what was removed, replaced, emptied, renamed" {
	make_version "$SOURCE" A
	mkdir -p "$SOURCE/deep/er/est" && echo 1 >"$SOURCE/deep/er/est/one" && echo 2 >"$SOURCE/deep/two"
	skip_unless_command setfattr
	setfattr -n user.gone -v x "$SOURCE/deep"
	cat >"$T/change" <<-'END'
		rm header
		rm -r app-misc/one && mkdir -p app-misc/one/sub && echo n >app-misc/one/sub/n
		rm -r deep/er && mkdir -p deep/er/est && echo other >deep/er/est/other
		rm tell && mkdir tell && echo t >tell/t
		rm -r empty && echo file >empty
		setfattr -x user.gone deep && setfattr -n user.come -v y deep
		mv profiles elsewhere
		rm app-misc/link && ln -s nowhere app-misc/link
		mkfifo fifo
		echo more >>"app-misc/two words/a b"
		chmod 700 deep/er
		mkdir gone && rmdir gone
		touch -d @99 deep .
	END
	for way in copy kernel; do
		rm -rf "$STORE" "$LOCATION"
		repo sync --type rsync --uri "$SOURCE"
		RCU_REPO_GUARD_WAY=$way repo update -- sh -e "$T/change"
		repo check
		# times of what is made anew differ
		(cd "$LOCATION/" && find . -printf '%p %y %m %l\n' | LC_ALL=C sort; find . -type f -exec cksum {} + | sort
		getfattr -hdR -m - .; stat -c '%n %Y' deep . version) >"$T/$way"
		is_empty "$STORE/.rcu-repo/staging"
	done
	diff "$T/copy" "$T/kernel"
}

@test "an unprivileged user, in both ways" {
	for_everybody
	cp -r "$RCU_SRC/tests" "$T/public/"
	install -d -o 65534 "$T/his"
	make_version "$SOURCE" A
	local way
	for way in preload kernel; do
		cat >"$T/script" <<-'END'
			set -e
			repo() { command=$1; shift; "$RCU_REPO" $command --location "$T/his/l.$way" --store "$T/his/s.$way" --set sync-rcu-durability=none "$@"; }
			repo sync --type rsync --uri "$T/source"
			RCU_REPO_GUARD_WAY=$way repo update -- sh -c 'echo more >>header; chmod 600 version; touch -h -d @5 app-misc/link; rm SUMS; echo "$LD_PRELOAD"; grep -c "guard/upper" /proc/self/mountinfo || :'
		END
		RCU_REPO=$RCU_REPO T=$T way=$way unprivileged bash "$T/script" >"$T/log" 2>&1 || { cat "$T/log"; return 1; }
		if [ "$way" = kernel ]; then
			[ "$(grep -cx 1 "$T/log")" = 1 ] || { unprivileged unshare -Ur true || skip "no user namespaces here"; cat "$T/log"; return 1; }
		fi
		[ "$(version_of "$T/his/s.$way/snapshots/1")" = A ]
		[ "$(stat -c %a "$T/his/s.$way/snapshots/1/version")" = 644 ]
		[ "$(stat -c %a "$T/his/l.$way/version")" = 600 ]
		[ ! -e "$T/his/l.$way/SUMS" ]
		[ "$T/his/s.$way/snapshots/1/tell" -ef "$T/his/s.$way/snapshots/2/tell" ]
	done
}

@test "a process that is left behind: seen by the kernel whatever it holds, and harmless where it holds nothing" {
	skip_unless_kernel_way
	sync_version A
	export RCU_REPO_GUARD_WAY=kernel
	refused 1 'process [0-9]+ \(sleep\) is still at work in it' repo update -- sh -c \
		'echo x >x; (exec sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&-) & echo $! >"$1"' sh "$T/pid"
	kill "$(cat "$T/pid")"
	[ "$(latest)" = 1 ]
	# It knows the path, and writes to it afterwards: in its namespace that is the read-only store.
	repo update -- sh -c 'echo x >x; (cd /; exec sh -c "while [ ! -e $1 ]; do sleep 0.1; done; echo bad >>$RCU_REPO_STAGING/x
		echo done >$2" </dev/null >/dev/null 2>&1 3>&- 4>&-) &' sh "$T/go" "$T/done"
	[ "$(cat "$LOCATION/x")" = x ]
	touch "$T/go"
	wait_until test -e "$T/done"
	[ "$(cat "$LOCATION/x")" = x ]
}

# kill -9 at each system call of a break: the file is the old one or the new one, whole, and no other name is in the tree.
@test "a command that is killed in the middle of a break leaves whole files, and nothing else" {
	skip_unless_command strace
	make_version "$SOURCE" A
	skip_unless_command setfattr
	for ((i = 0; i < 60; i++)); do echo old >"$SOURCE/f$i"; done
	setfattr -n user.color -v blue "$SOURCE"/f*
	repo sync --type rsync --uri "$SOURCE"
	promise "$STORE/snapshots/1" "$T/before"
	cat >"$T/killed" <<-'END'
		names=$(find . | sort) killed=0
		for call in flock newfstatat openat ioctl copy_file_range fchownat llistxattr lsetxattr fchmodat utimensat renameat; do
			for when in 1 2 3 4 5 6 7 8 9; do
				strace -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$when \
					perl -e 'open(F, ">>", $ARGV[0]); print F "more\n"; close F' f$killed 2>/dev/null
				[ $? = 137 ] || break
				case $(cat f$killed) in old | "old
		more") ;; *) echo "$call $when: f$killed"; exit 7 ;; esac
				[ "$(find . | sort)" = "$names" ] || exit 8
				[ "$(getfattr --only-values -n user.color f$killed)" = blue ] || exit 9
				killed=$((killed + 1))
			done
		done
		echo "killed $killed"
		[ "$killed" -ge 20 ] || exit 8
		echo x >x
	END
	RCU_REPO_GUARD_WAY=preload repo update -- sh "$T/killed" >"$T/log" 2>&1 || { cat "$T/log"; return 1; }
	promise "$STORE/snapshots/1" "$T/after"
	diff "$T/before" "$T/after"
	is_empty "$STORE/.rcu-repo/staging"
}

@test "many that break one link at once lose nothing" {
	make_version "$SOURCE" A
	: >"$SOURCE/log"
	repo sync --type rsync --uri "$SOURCE"
	RCU_REPO_GUARD_WAY=preload repo update -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		(for file in log header version; do echo "line $i" >>$file; done) & done; wait'
	for file in log header version; do
		[ "$(grep -c '^line' "$LOCATION/$file")" = 12 ]
		[ "$(grep -c '^line' "$STORE/snapshots/1/$file")" = 0 ]
	done
}

@test "hooks run behind the kernel's guard, on the tree itself" {
	skip_unless_kernel_way
	sync_version A
	make_version "$SOURCE" B
	promise "$STORE/snapshots/1" "$T/before"
	mkdir "$T/hooks"
	printf '#!/bin/sh\necho more >>tell; grep -c guard/upper /proc/self/mountinfo >&2; stat -c %%i app-misc/one >"%s"\n' "$T/inode" \
		>"$T/hooks/a"
	chmod 755 "$T/hooks/a"
	repo sync --type rsync --uri "$SOURCE" --set sync-rcu-hooks="$T/hooks" 2>"$T/log"
	grep -qx 1 "$T/log"
	grep -qx more "$LOCATION/tell"
	# it was not copied
	[ "$(stat -c %i "$LOCATION/app-misc/one")" = "$(cat "$T/inode")" ]
	promise "$STORE/snapshots/1" "$T/after"
	diff "$T/before" "$T/after"
	is_empty "$STORE/.rcu-repo/staging"
}

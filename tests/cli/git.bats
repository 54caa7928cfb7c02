#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-type git: the real git, upstreams on this machine

load ../lib
load helpers

setup() {
	lib_init
	skip_unless_command git
	export HOME=$T GIT_CONFIG_NOSYSTEM=1
	UP=$T/upstream
	git config --global user.name Somebody
	git config --global user.email somebody@example.org
	git config --global init.defaultBranch main
	git config --global safe.directory '*'
	git init -q "$UP"
}
teardown() { lib_done; }

# commit NAME: the upstream becomes version NAME, and one commit more
commit() {
	local name=$1
	shift
	make_version "$T/version" "$name"
	find "$UP" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
	cp -a "$T/version/." "$UP"
	git -C "$UP" add -A
	git -C "$UP" commit -q -m "$name" "$@"
}

sync_git() { repo sync --type git --uri "file://$UP" "$@"; }
inode() { stat -c %i "$1"; }

@test "versions are published one after the other; unchanged files stay, with their times" {
	local before
	commit A
	echo same >"$UP/same"
	chmod 755 "$UP/same"
	git -C "$UP" add same && git -C "$UP" commit -q -m same
	sync_git
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(stat -c %A "$LOCATION/same" "$LOCATION/tell" "$LOCATION/version" | tr '\n' ' ')" = '-rwxr-xr-x -rwxr-xr-x -rw-r--r-- ' ]
	[ "$(readlink "$LOCATION/app-misc/link")" = one/one-1.ebuild ]
	[ ! -e "$LOCATION/empty" ]
	before=$(stat -c '%i %y' "$LOCATION/same")
	cp -a "$STORE/snapshots/1" "$T/before"
	cp "$UP/same" "$T/same"
	commit B
	cp -p "$T/same" "$UP/same"
	git -C "$UP" add same && git -C "$UP" commit -q -m same
	sync_git
	[ "$(version_of "$LOCATION")" = B ]
	[ "$(stat -c '%i %y' "$LOCATION/same")" = "$before" ]
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	sync_git 2>&1 | grep 'nothing changed: snapshot 2'
	is_empty "$STORE/.rcu-repo/staging"
}

@test "what git made is known to be its commit, durable or not: nothing is compared" {
	local durability name id
	for durability in none full; do
		for name in A B; do
			commit "$name"
			sync_git --set "sync-rcu-durability=$durability"
			id=$(sed 's,.*/,,' "$LOCATION/.git")
			[ "$(cat "$STORE/.rcu-repo/git/worktrees/$id/number")" = "$(latest)" ]
		done
	done
}

@test "additions, deletions, and every change of a kind" {
	commit A
	mkdir -p "$UP/d/e/f" "$UP/to-file"
	echo 1 >"$UP/d/e/f/deep"
	echo 1 >"$UP/to-file/x"
	echo 1 >"$UP/to-dir"
	echo 1 >"$UP/to-link"
	ln -s version "$UP/to-plain"
	echo 1 >"$UP/mode"
	echo 1 >"$UP/"$'new\nline \t"quoted" \\ \xff'
	git -C "$UP" add -A && git -C "$UP" commit -q -m kinds
	sync_git
	rm -r "$UP/d/e" "$UP/to-file" "$UP/to-dir" "$UP/to-link" "$UP/to-plain" "$UP/"new*
	echo 2 >"$UP/to-file"
	mkdir "$UP/to-dir"
	echo 2 >"$UP/to-dir/y"
	ln -s /no/such "$UP/to-link"
	echo 2 >"$UP/to-plain"
	chmod 755 "$UP/mode"
	echo 2 >"$UP/"$'other\nline'
	git -C "$UP" add -A && git -C "$UP" commit -q -m other-kinds
	sync_git
	git clone -q "file://$UP" "$T/clone"
	diff -r --no-dereference -x .git "$T/clone" "$LOCATION/."
	[ -x "$LOCATION/mode" ]
	[ ! -e "$LOCATION/d" ]
	[ "$(cat "$STORE/snapshots/1/d/e/f/deep" "$STORE/snapshots/1/to-file/x")" = "$(printf '1\n1')" ]
	[ "$(readlink "$STORE/snapshots/1/to-plain")" = version ]
}

@test "git works in every snapshot, for a reader who may not write, and nothing of git's is in one" {
	local n
	commit A
	sync_git --set sync-depth=0
	commit B
	sync_git --set sync-depth=0
	for n in 1 2; do
		[ "$(find "$STORE/snapshots/$n" -name .git -type f)" = "$STORE/snapshots/$n/.git" ]
		[ -z "$(git -C "$STORE/snapshots/$n" status --porcelain)" ]
	done
	[ "$(git -C "$LOCATION" log --format=%s | tr '\n' ' ')" = 'B A ' ]
	[ "$(git -C "$STORE/snapshots/1" log --format=%s)" = A ]
	[ "$(git -C "$STORE/snapshots/1" show HEAD:version)" = A ]
	[ -z "$(find "$STORE/snapshots" -name FETCH_HEAD -o -name logs)" ]
	for_everybody
	cp -a "$STORE/snapshots/2" "$T/before"
	[ -z "$(HOME=$T unprivileged git -C "$LOCATION" status --porcelain)" ]
	[ "$(HOME=$T unprivileged git -C "$LOCATION" log -1 --format=%s)" = B ]
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/2/")" ]
}

@test "objects live as long as a snapshot needs them, and no longer than that" {
	commit A
	sync_git
	commit B
	sync_git
	commit C
	sync_git --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=1
	[ "$(ls "$STORE/snapshots" | tr '\n' ' ')" = '2 3 ' ]
	commit D
	sync_git
	[ "$(ls "$STORE/.rcu-repo/git/worktrees" | wc -l)" = 3 ]
	git --git-dir="$STORE/.rcu-repo/git" gc -q --prune=now
	[ "$(git -C "$STORE/snapshots/2" log -1 --format=%s)" = B ]
	[ -z "$(git -C "$STORE/snapshots/2" status --porcelain)" ]
	git -C "$STORE/snapshots/2" fsck
	[ "$(git --git-dir="$STORE/.rcu-repo/git" for-each-ref | wc -l)" = 4 ]
}

@test "an upstream that was pushed to by force, one that is shallow, another branch, another upstream" {
	commit A
	commit B
	sync_git
	git -C "$UP" reset -q --hard HEAD~1
	commit C
	sync_git
	[ "$(version_of "$LOCATION")" = C ]
	git -C "$UP" branch side HEAD~1
	sync_git --set 'sync-git-clone-extra-opts=--single-branch -b side'
	[ "$(version_of "$LOCATION")" = A ]
	git clone -q --depth=1 "file://$UP" "$T/shallow"
	repo sync --type git --uri "file://$T/shallow" --set sync-depth=0
	[ "$(version_of "$LOCATION")" = C ]
	UP=$T/unrelated
	git init -q "$UP"
	commit D
	sync_git
	[ "$(version_of "$LOCATION")" = D ]
	[ "$(version_of "$STORE/snapshots/2")" = C ]
}

@test "depth: 1, unless it says otherwise" {
	commit A
	commit B
	commit C
	sync_git
	[ "$(git -C "$LOCATION" rev-list --count HEAD)" = 1 ]
	sync_git --set sync-depth=0
	[ "$(git -C "$LOCATION" rev-list --count HEAD)" = 3 ]
}

@test "what somebody else changed in the tree since is made good; what hooks add stays" {
	commit A
	sync_git
	repo update -- sh -c 'echo bad >>header; chmod 755 version; rm tell; mkdir -p own/dir; echo x >own/dir/file; rm -rf profiles; echo y >profiles
		t=$(stat -c %y app-misc/one/Manifest); echo "app-misc/one/Manifest of versioN A" >app-misc/one/Manifest; touch -d "$t" app-misc/one/Manifest'
	[ "$(latest)" = 2 ]
	sync_git
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$LOCATION/own" ]
	[ ! -x "$LOCATION/version" ]
	[ "$(latest)" = 3 ]
	repo update -- sh -c 'echo bad >>header; echo x >own'
	commit B
	sync_git
	[ "$(version_of "$LOCATION")" = B ]
	[ ! -e "$LOCATION/own" ]
	[ -z "$(git -C "$LOCATION" status --porcelain)" ]
	mkdir "$T/hooks"
	printf '#!/bin/sh\n[ -e made ] || echo made >made\n' >"$T/hooks/a"
	chmod 755 "$T/hooks/a"
	commit A
	sync_git --set "sync-rcu-hooks=$T/hooks"
	commit B
	sync_git --set "sync-rcu-hooks=$T/hooks"
	[ "$STORE/snapshots/$(latest)/made" -ef "$STORE/snapshots/$(($(latest) - 1))/made" ]
	[ "$(version_of "$LOCATION")" = B ]
}

@test "from rsync to git and back, and from a clone of Portage's" {
	sync_version A
	commit B
	sync_git
	[ "$(version_of "$LOCATION")" = B ]
	sync_version A
	[ ! -e "$LOCATION/.git" ]
	STORE=$T/store2 LOCATION=$T/clone
	git clone -q "file://$UP" "$LOCATION"
	commit C
	sync_git
	[ "$(version_of "$LOCATION")" = C ]
	[ -f "$LOCATION/.git" ]
	[ -d "$STORE/snapshots/1/.git" ]
}

@test "attributes and configurations run nothing, and hooks neither" {
	commit A
	git config --global filter.evil.smudge "touch $T/ran; cat"
	git config --global filter.evil.clean cat
	git config --global core.hooksPath "$T/evil"
	mkdir "$T/evil"
	printf '#!/bin/sh\ntouch %q\n' "$T/ran" | tee "$T/evil/post-checkout" "$T/evil/reference-transaction" "$T/evil/post-index-change" >"$T/evil/pre-auto-gc"
	chmod 755 "$T/evil"/*
	git config --global core.fsmonitor "$T/evil/post-checkout"
	mv "$T/evil" "$T/off"
	echo '* filter=evil' >"$UP/.gitattributes"
	git -C "$UP" -c core.fsmonitor= add -A && git -C "$UP" -c core.fsmonitor= commit -q -m evil
	rm -f "$T/ran"
	mv "$T/off" "$T/evil"
	sync_git
	echo more >>"$UP/header"
	mv "$T/evil" "$T/off"
	git -C "$UP" -c core.fsmonitor= commit -q -a -m more
	mv "$T/off" "$T/evil"
	rm -f "$T/ran"
	sync_git
	grep more "$LOCATION/header"
	[ ! -e "$T/ran" ]
}

@test "a hostile tree: a file in .git, a link to write through" {
	local blob tree link
	commit A
	sync_git
	blob=$(echo hook | git -C "$UP" hash-object -w --stdin)
	link=$(printf %s "$T" | git -C "$UP" hash-object -w --stdin)
	tree=$(printf '100644 blob %s\tHEAD\n' "$blob" | git -C "$UP" mktree)
	tree=$(printf '040000 tree %s\t.git\n' "$tree" | git -C "$UP" mktree)
	git -C "$UP" update-ref HEAD "$(git -C "$UP" commit-tree -m evil "$tree")"
	run -1 sync_git
	tree=$(printf '100644 blob %s\tescaped\n' "$blob" | git -C "$UP" mktree)
	tree=$(printf '120000 blob %s\ta\n040000 tree %s\ta\n' "$link" "$tree" | git -C "$UP" mktree)
	git -C "$UP" update-ref HEAD "$(git -C "$UP" commit-tree -m evil "$tree")"
	sync_git || :
	[ ! -e "$T/escaped" ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a submodule is an empty directory, as after git clone" {
	commit A
	git -C "$UP" update-index --add --cacheinfo "160000,$(git -C "$UP" rev-parse HEAD),sub"
	git -C "$UP" commit -q -m sub
	sync_git
	is_empty "$LOCATION/sub"
	[ -z "$(git -C "$LOCATION" status --porcelain)" ]
	git -C "$UP" rm -q --cached sub
	git -C "$UP" commit -q -m none
	sync_git
	[ ! -e "$LOCATION/sub" ]
}

@test "the commit's signature: good, missing, of another key" {
	skip_unless_command gpg
	export GNUPGHOME=$T/gnupg
	mkdir -m 700 "$GNUPGHOME"
	local who
	for who in good other; do
		gpg -q --batch --passphrase '' --quick-gen-key "$who@example.org" ed25519 sign never 2>/dev/null
		gpg -q --armor --export "$who@example.org" >"$T/$who.asc"
	done
	verified() { sync_git --set sync-git-verify-commit-signature=yes --set "sync-openpgp-key-path=$T/good.asc"; }
	commit A --gpg-sign=good@example.org
	verified
	commit B
	refused 1 'it has no signature' verified
	git -C "$UP" commit -q --amend -m B --gpg-sign=other@example.org
	refused 1 'of no key in sync-openpgp-key-path' verified
	[ "$(version_of "$LOCATION")" = A ]
	commit C --gpg-sign=good@example.org
	git -C "$UP" cat-file commit HEAD | sed 's/^C$/c/' >"$T/forged"
	git -C "$UP" update-ref HEAD "$(git -C "$UP" hash-object -t commit -w "$T/forged")"
	refused 1 'its signature is bad' verified
	commit D --gpg-sign=good@example.org
	verified
	[ "$(version_of "$LOCATION")" = D ]
	refused 2 'sync-openpgp-key-path = : not set' sync_git --set sync-git-verify-commit-signature=yes
	gpgconf --kill gpg-agent
}

@test "an upstream that is not there, hangs, or is no repository: published state as before" {
	commit A
	sync_git
	refused 1 'git fetch: exit status 128' repo sync --type git --uri "file://$T/none"
	refused 1 'git fetch: exit status 128' repo sync --type git --uri "$T"
	refused 1 'git fetch: exit status 128' repo sync --type git --uri "git://127.0.0.1:1/none"
	refused 1 'git fetch: not done after 1 second' repo sync --type git --uri "ext::sleep 1000" \
		--set 'sync-git-env=GIT_ALLOW_PROTOCOL=ext' --set sync-rcu-timeout=1
	refused 1 'git fetch: exit status 128' repo sync --type git --uri "ext::touch $T/ran"
	[ ! -e "$T/ran" ]
	refused 2 'begins with -' repo sync --type git --uri "--upload-pack=touch $T/ran"
	refused 2 'sync-git-clone-extra-opts = .*--template' sync_git --set 'sync-git-clone-extra-opts=--template=/x'
	refused 2 'sync-git-env: nothing is no NAME=value' sync_git --set sync-git-env=nothing
	[ "$(version_of "$LOCATION")" = A ]
	commit B
	sync_git
	[ "$(version_of "$LOCATION")" = B ]
}

@test "killed, or out of disk, in any step: published state as before, and the next sync is whole" {
	local step real
	real=$(command -v git)
	commit A
	sync_git
	commit B
	mkdir "$T/bin"
	for step in fetch rev-parse diff-tree update-ref update-index checkout-index; do
		printf '#!/bin/sh\ncase " $* " in *" %s "*) kill -9 $PPID; sleep 0.2; exit 1 ;; esac\nexec %q "$@"\n' "$step" "$real" >"$T/bin/git"
		chmod 755 "$T/bin/git"
		run -137 env PATH="$T/bin:$PATH" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type git --uri "file://$UP"
		printf '#!/bin/sh\ncase " $* " in *" %s "*) %q "$@"; exit 9 ;; esac\nexec %q "$@"\n' "$step" "$real" "$real" >"$T/bin/git"
		run -1 env PATH="$T/bin:$PATH" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type git --uri "file://$UP"
		[ "$(version_of "$LOCATION")" = A ]
	done
	rm -r "$T/bin"
	# what a git leaves that is killed itself
	touch "$STORE/.rcu-repo/git/shallow.lock" "$STORE/.rcu-repo/git/packed-refs.lock" "$STORE/.rcu-repo/git/refs/rcu/upstream.lock" \
		"$STORE/.rcu-repo/git/objects/pack/tmp_pack_x" "$STORE/.rcu-repo/git/objects/pack/.tmp-9-pack-x.pack"
	mkdir -p "$STORE/.rcu-repo/git/objects/incoming-x/pack" "$STORE/.rcu-repo/git/objects/tmp_objdir-incoming-x" "$STORE/.rcu-repo/git/objects/ab"
	touch "$STORE/.rcu-repo/git/objects/ab/tmp_obj_x" "$STORE/.rcu-repo/git/objects/incoming-x/pack/x" \
		"$(ls "$STORE/.rcu-repo/git/objects/pack/"*.pack | head -n 1 | sed 's/pack$/keep/')"
	sync_git
	[ "$(version_of "$LOCATION")" = B ]
	[ -z "$(git -C "$LOCATION" status --porcelain)" ]
	[ "$(ls "$STORE/.rcu-repo/git/worktrees" | wc -l)" = 2 ]
	[ -z "$(find "$STORE/.rcu-repo/git" -name '*.lock' -o -name '*.keep' -o -name '*tmp*' -o -name 'incoming-*')" ]
}

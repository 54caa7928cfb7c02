#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-user, by each transport: he fetches, and we publish (P8).

load ../lib
load helpers

setup() {
	lib_init
	for_everybody
	export HOME=$T
	HIS=(--set sync-user=nobody)
}
teardown() {
	[ ! -d "$T/gnupg" ] || gpgconf --homedir "$T/gnupg" --kill gpg-agent || :
	lib_done
}

# The tree is his, each entry of it, and nothing else of the store but what is named.
is_his() {
	[ -z "$(find "$STORE/snapshots/$(latest)" ! -user 65534)" ]
	[ "$(stat -c %u "$STORE" "$STORE/snapshots" "$STORE/latest" "$STORE/.rcu-repo" "$STORE/.rcu-repo/staging" | sort -u)" = 0 ]
	[ -z "$(find "$STORE/.rcu-repo" ! -user 0 ! -path "$STORE/.rcu-repo/${1-none}" ! -path "$STORE/.rcu-repo/${1-none}/*" \
		! -path "$STORE/.rcu-repo/spare/*")" ]
}

# recorded PROGRAM...: each that is run says as whom, what it can do in the store, and how often who runs it has its lock open
# (as far as he can be looked into), in $T/seen
recorded() {
	local program
	mkdir -p "$T/bin"
	rm -f "$T/seen"
	touch "$T/seen"
	chmod 666 "$T/seen"
	for program; do
		printf '#!/bin/sh\necho "%s $(id -u) $(id -G) $HOME $(touch %q %q 2>/dev/null && echo writes) $(readlink /proc/$PPID/fd/* | grep -c /lock)" >>%q\nexec %q "$@"\n' \
			"$program" "$STORE/x" "$STORE/.rcu-repo/x" "$T/seen" "$(PATH=${PATH#"$T/bin:"} command -v "$program")" >"$T/bin/$program"
		chmod 755 "$T/bin/$program"
	done
	PATH=$T/bin:${PATH#"$T/bin:"}
}

# Nothing was run but as him, without another group, and where he can do nothing.
by_him_alone() { [ "$(cut -d' ' -f2- "$T/seen" | sort -u)" = "65534 65534 $(getent passwd nobody | cut -d: -f6)  0" ]; }

# two_versions TYPE URI MAKE: MAKE NAME makes version NAME of what is at URI; fetched by us, by him, and by us again
two_versions() {
	local type=$1 uri=$2 make=$3
	"$make" A
	repo sync --type "$type" --uri "$uri"
	"$make" B
	repo sync --type "$type" --uri "$uri" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = B ]
	"$make" C
	repo sync --type "$type" --uri "$uri" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = C ]
	repo sync --type "$type" --uri "$uri" "${HIS[@]}" 2>&1 | grep 'nothing changed'
	is_his "${4-none}"
	repo check
}

make_source() { make_version "$SOURCE" "$1"; }
make_commit() {
	git config --file "$HOME/.gitconfig" safe.directory '*'
	[ -d "$T/upstream" ] || git init -q -b main "$T/upstream"
	make_source "$1"
	rsync -a --delete --exclude=/.git "$SOURCE/" "$T/upstream/"
	# git has no empty directory
	rmdir "$T/upstream/empty"
	git -C "$T/upstream" add -A
	git -C "$T/upstream" -c user.name=t -c user.email=t@localhost commit -q -m "$1"
	chown -R 65534 "$T/upstream"
}
make_archive() {
	make_source "$1"
	tar -C "$T" -caf "$T/new.tar.gz" source
	mv "$T/new.tar.gz" "$T/it.tar.gz"
}
make_image() {
	make_source "$1"
	mksquashfs "$SOURCE" "$T/new.sqfs" -quiet -no-progress -all-root >/dev/null
	mv "$T/new.sqfs" "$T/it.sqfs"
}

@test "rsync" {
	recorded rsync
	two_versions rsync "$SOURCE" make_source
	# the first one was ours
	sed -i 1d "$T/seen"
	by_him_alone
	make_source D
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = D ]
	chmod 700 "$SOURCE"
	make_source E
	chmod 600 "$SOURCE/header"
	refused 1 'rsync: exit status 23' repo sync --type rsync --uri "$SOURCE" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = D ]
}

@test "local" {
	two_versions local "$SOURCE" make_source
	make_source D
	ln "$SOURCE/header" "$SOURCE/hard"
	chmod 4755 "$SOURCE/tell"
	chown 12 "$SOURCE/version"
	setfattr -n user.test -v value "$SOURCE/version" 2>/dev/null || :
	touch -h -d @5 "$SOURCE/app-misc/link"
	repo sync --type local --uri "$SOURCE" "${HIS[@]}"
	is_his
	[ -z "$(rsync -rlHXptDcn --delete --modify-window=-1 -i "$SOURCE/" "$LOCATION/")" ]
	chmod 600 "$SOURCE/header"
	refused 1 'cannot copy .*: Permission denied' repo sync --type local --uri "$SOURCE" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = D ]
	is_empty "$STORE/.rcu-repo/staging"
	# and by us it is what it was
	repo sync --type local --uri "$SOURCE"
	[ "$(stat -c %u "$LOCATION/version")" = 12 ]
}

@test "git" {
	skip_unless_command git
	local before
	make_commit A
	repo sync --type git --uri "$T/upstream"
	recorded git
	HIS+=(--set "sync-git-env=GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*")
	make_commit B
	rm -f "$T/seen"
	touch "$T/seen"
	chmod 666 "$T/seen"
	repo sync --type git --uri "$T/upstream" "${HIS[@]}"
	by_him_alone
	[ "$(version_of "$LOCATION")" = B ]
	[ -z "$(find "$STORE/.rcu-repo/git" ! -user 65534)" ]
	rm "$T/bin/git"
	hash -r
	make_commit C
	repo sync --type git --uri "$T/upstream" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = C ]
	[ -z "$(find "$STORE/.rcu-repo/git" ! -user 65534)" ]
	[ -z "$(git -C "$LOCATION/" status --porcelain)" ]
	[ "$(git -C "$STORE/snapshots/1" log --format=%s)" = A ]
	# what he could write to we do not run git in
	make_commit D
	before=$(picture "$STORE/.rcu-repo/git")
	refused 1 "$STORE/.rcu-repo/git: it belongs to user 65534, and what fetches is user 0: remove it" repo sync --type git --uri "$T/upstream"
	[ "$(picture "$STORE/.rcu-repo/git")" = "$before" ]
	[ "$(version_of "$LOCATION")" = C ]
	rm -r "$STORE/.rcu-repo/git"
	repo sync --type git --uri "$T/upstream"
	[ "$(version_of "$LOCATION")" = D ]
}

@test "git: one that hangs, fails, or is killed" {
	skip_unless_command git
	make_commit A
	HIS+=(--set "sync-git-env=GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*")
	repo sync --type git --uri "$T/upstream" "${HIS[@]}"
	make_commit B
	mkdir "$T/bin"
	by_git() {
		printf '#!/bin/sh\ncase " $* " in *" fetch "*) touch "$GIT_DIR/objects/pack/tmp_pack_x"; %s ;; esac\nexec %q "$@"\n' "$1" "$(PATH=${PATH#"$T/bin:"} command -v git)" >"$T/bin/git"
		chmod 755 "$T/bin/git"
		refused 1 "$2" env PATH="$T/bin:$PATH" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type git \
			--uri "$T/upstream" "${HIS[@]}" --set sync-rcu-timeout=1
		[ -z "$(find "$STORE/.rcu-repo/git" -name 'tmp_*')" ]
	}
	by_git 'exec sleep 1000' 'not done after 1 second'
	by_git 'exit 9' 'sync-user: git fetch: exit status 9'
	by_git 'kill -9 $$' 'git fetch: killed by signal 9'
	# shellcheck disable=SC2016
	by_git 'kill -9 $PPID; sleep 0.2; exit 1' 'git: killed by signal 9'
	[ "$(version_of "$LOCATION")" = A ]
	is_empty "$STORE/.rcu-repo/staging"
	repo sync --type git --uri "$T/upstream" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = B ]
}

@test "webrsync, from a tar" {
	two_versions webrsync "$T/it.tar.gz" make_archive
	chmod 600 "$T/it.tar.gz"
	refused 1 'it.tar.gz: exit status 1: it cannot be opened' repo sync --type webrsync --uri "$T/it.tar.gz" "${HIS[@]}"
	mkfifo "$T/fifo"
	refused 1 'fifo: exit status 2: not an ordinary file' repo sync --type webrsync --uri "$T/fifo" "${HIS[@]}"
	make_archive D
	repo sync --type webrsync --uri "$T/it.tar.gz"
	[ "$(version_of "$LOCATION")" = D ]
	# cut off: his tree goes
	head -c 500 "$T/it.tar.gz" >"$T/cut.tar.gz"
	refused 1 'sync-user: ' repo sync --type webrsync --uri "$T/cut.tar.gz" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = D ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "webrsync, from a squashfs" {
	skip_unless_command mksquashfs unsquashfs
	make_image A
	recorded unsquashfs
	repo sync --type webrsync --uri "$T/it.sqfs" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = A ]
	is_his
	by_him_alone
}

@test "webrsync, by http, with a signature: he asks the network, and we judge" {
	skip_unless_command curl gpg gpgv /usr/bin/python3
	export GNUPGHOME=$T/gnupg
	mkdir -m 700 "$GNUPGHOME"
	gpg -q --batch --passphrase '' --quick-gen-key good@example.org ed25519 sign never 2>/dev/null
	gpg -q --armor --export good@example.org >"$T/good.asc"
	chmod 600 "$T/good.asc"
	mkdir "$T/www"
	serve "$T/www"
	signed() {
		repo sync "$@" --type webrsync --uri "http://127.0.0.1:$PORT/it.tar.gz" "${HIS[@]}" \
			--set sync-webrsync-verify-signature=yes --set "sync-openpgp-key-path=$T/good.asc"
	}
	make_archive A
	cp "$T/it.tar.gz" "$T/www"
	refused 1 'it has no signature' signed
	gpg -q --batch -u good@example.org --detach-sign -o "$T/www/it.tar.gz.sig" "$T/it.tar.gz"
	recorded curl gpgv gpg
	# that there is no .gpgsig and no .asc is no failure
	[ -z "$(signed --quiet 2>&1)" ]
	[ "$(version_of "$LOCATION")" = A ]
	is_his
	[ "$(sed -n 's/^curl \([0-9]*\) .*/\1/p' "$T/seen" | sort -u)" = 65534 ]
	[ "$(sed -n 's/^gpgv* \([0-9]*\) .*/\1/p' "$T/seen" | sort -u)" = 0 ]
	make_archive B
	cp "$T/it.tar.gz" "$T/www"
	refused 1 'the signature is bad' signed
	[ "$(version_of "$LOCATION")" = A ]
}

@test "command: a copy that he may write to, also of what was ours" {
	make_source A
	repo sync --type rsync --uri "$SOURCE"
	make_source B
	echo "id -u >$T/seen; cp --preserve=mode,timestamps,links -R $SOURCE/. ." >"$T/script"
	touch "$T/seen"
	chmod 666 "$T/seen"
	repo sync --type command --set "sync-rcu-command=sh -e '$T/script'" "${HIS[@]}"
	[ "$(cat "$T/seen")" = 65534 ]
	[ "$(version_of "$LOCATION")" = B ]
	[ "$(version_of "$STORE/snapshots/1")" = A ]
	is_his
	# and now in a tree that is his
	make_source C
	repo sync --type command --set "sync-rcu-command=sh -e '$T/script'" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = C ]
	[ "$(version_of "$STORE/snapshots/2")" = B ]
	is_his
}

@test "who is not root cannot be somebody else, by any transport" {
	local type
	mkdir "$T/mine"
	chown 65534 "$T/mine"
	make_source A
	make_archive A
	for type in rsync local webrsync command git; do
		refused 2 'sync-user = daemon: only root can become another user' unprivileged "$RCU_REPO" sync --location "$T/mine/it" \
			--store "$T/mine/store" --type "$type" --uri "$T/source" --set sync-rcu-command=true --set sync-user=daemon
	done
	is_empty "$T/mine"
}

@test "what hooks have made in the tree, as who we are, is not in his way" {
	make_source A
	mkdir "$T/hooks"
	printf '#!/bin/sh\nmkdir -p cache/deep && date +%%N >cache/deep/made && echo hooked >version\n' >"$T/hooks/make"
	chmod 755 "$T/hooks/make"
	hooked() { repo sync --type rsync --uri "$SOURCE" "${HIS[@]}" --set "sync-rcu-hooks=$T/hooks"; }
	hooked
	[ "$(cat "$LOCATION/version")" = hooked ]
	make_source B
	hooked
	[ -s "$LOCATION/cache/deep/made" ]
	grep B "$LOCATION/header"
	repo update -- sh -c 'mkdir -p app-misc/ours/deep; chown 0 app-misc/one'
	echo more >>"$SOURCE/header"
	hooked
	[ "$(stat -c %u "$LOCATION/app-misc/one")" = 65534 ]
	repo check
	# also when there are none any more
	make_source B
	repo sync --type rsync --uri "$SOURCE" "${HIS[@]}"
	[ "$(version_of "$LOCATION")" = B ]
	[ ! -e "$LOCATION/cache" ]
}

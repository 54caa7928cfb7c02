#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What was fetched, judged before it is published: by its age, and by gemato and the signed Manifest of the whole tree.
#
# What gemato thinks of a tree only gemato can say: those tests need it. The others are about us: whom we call, and what
# becomes of the tree when that program fails, hangs, or is not there.

load ../lib
load helpers

setup() { lib_init; }
teardown() {
	[ ! -d "$T/gnupg" ] || gpgconf --homedir "$T/gnupg" --kill gpg-agent || :
	lib_done
}

skip_unless_gemato() {
	skip_unless_command gpg
	command -v gemato >/dev/null || skip "there is no gemato here, and Debian has none"
}

# A key for each of them, $T/NAME.asc
keys() {
	local who
	export GNUPGHOME=$T/gnupg
	mkdir -m 700 "$GNUPGHOME"
	for who; do
		gpg -q --batch --passphrase '' --quick-gen-key "$who@example.org" ed25519 sign never 2>/dev/null
		gpg -q --armor --export "$who@example.org" >"$T/$who.asc"
	done
}

# manifest_version NAME OPTION...: $SOURCE is version NAME, with Manifests that gemato makes
manifest_version() {
	make_version "$SOURCE" "$1"
	shift
	rm "$SOURCE/app-misc/one/Manifest" # for gemato's own
	sed -i '/one.Manifest/d' "$SOURCE/SUMS"
	mkdir "$SOURCE/metadata"
	gemato create -q -p ebuild "$@" "$SOURCE"
}

# signed_version NAME [KEY]
signed_version() { manifest_version "$1" -t -s -k "${2-good}@example.org"; }

judged() {
	repo sync --type rsync --uri "$SOURCE" --set sync-rsync-verify-metamanifest=yes \
		--set "sync-openpgp-key-path=$T/good.asc" --set sync-openpgp-key-refresh=false-nowarn "$@"
}

# Nothing was published, and the tree that was refused is there for a look.
as_before() {
	[ "$(version_of "$LOCATION")" = "$1" ]
	[ -d "$(sed -n 's/.*the tree stays for a look: //p' "$T/refused.err")" ]
}

@test "gemato: a signed tree is published; one that is not what was signed is not, whatever the address" {
	skip_unless_gemato
	keys good other
	signed_version A
	judged
	[ "$(version_of "$LOCATION")" = A ]
	signed_version B
	echo changed >>"$SOURCE/header"
	refused 1 'the tree is not what its Manifest says: gemato: exit status 1' judged
	as_before A
	refused 1 'gemato: exit status 1' judged --uri "file://$SOURCE"
	signed_version B
	rm "$SOURCE/header"
	refused 1 'gemato: exit status 1' judged
	signed_version B
	echo more >"$SOURCE/app-misc/more"
	refused 1 'gemato: exit status 1' judged
	signed_version B other
	refused 1 'gemato: exit status 1' judged
	as_before A
	make_version "$SOURCE" B
	rm "$SOURCE/app-misc/one/Manifest"
	refused 1 'gemato: exit status 1' judged
	manifest_version B -t -S
	refused 1 'gemato: exit status 1' judged
	manifest_version B -s -k good@example.org
	refused 1 'its Manifest: it says no time' judged
	as_before A
	signed_version B
	judged --uri "file://$SOURCE"
	[ "$(version_of "$LOCATION")" = B ]
	judged --set sync-rsync-verify-jobs=0 2>&1 | grep 'nothing changed'
}

@test "gemato: an older version that was signed is refused; our own key ring, where no keys are named" {
	skip_unless_gemato
	keys good
	echo "$(gpg -q --list-keys --with-colons good@example.org | sed -n 's/^fpr:*\(.*\):$/\1/p'):6:" |
		gpg -q --import-ownertrust 2>/dev/null
	signed_version A
	cp -a "$SOURCE" "$T/older"
	sleep 1.1
	signed_version B
	repo sync --type rsync --uri "$SOURCE" --set sync-rsync-verify-metamanifest=yes
	[ "$(version_of "$LOCATION")" = B ]
	refused 1 'the source: it is of .*Z, and what is published of .*Z' judged --uri "$T/older"
	as_before B
	judged --uri "$T/older" --set sync-rcu-allow-older=yes
	[ "$(version_of "$LOCATION")" = A ]
}

@test "gemato: keys are refreshed from the keyserver, and one that was revoked is good no more" {
	skip_unless_gemato
	skip_unless_command dirmngr /usr/bin/python3
	keys good
	signed_version A
	cp "$T/good.asc" "$T/served"
	serve "$T" '
    def do_GET(self):
        with open("served", "rb") as f:
            key = f.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/pgp-keys")
        self.end_headers()
        self.wfile.write(key)'
	refreshed() {
		judged --set sync-openpgp-key-refresh=keyserver \
			--set "sync-openpgp-keyserver=hkp://127.0.0.1:$PORT"
	}
	refreshed
	[ "$(version_of "$LOCATION")" = A ]
	signed_version B
	sed 's/^:---/---/' "$GNUPGHOME"/openpgp-revocs.d/*.rev | gpg -q --batch --import 2>/dev/null
	gpg -q --armor --export good@example.org >"$T/served"
	refused 1 'gemato: exit status 1' refreshed
	as_before A
	# what nobody asked the network for
	judged
	[ "$(version_of "$LOCATION")" = B ]
}

# gemato_with SCRIPT: from now on there is a program of that name; its arguments, a call a line, are in $T/called
gemato_with() {
	mkdir -p "$T/bin"
	{
		printf '#!/bin/bash\nexport T=%q\necho "$(id -u) $*" >>"$T/called"\n' "$T"
		echo "$1"
	} >"$T/bin/gemato"
	chmod 755 "$T/bin/gemato"
	PATH=$T/bin:${PATH#"$T/bin:"}
	rm -f "$T/called"
}

# dated_version NAME DAYS: $SOURCE is version NAME with a Manifest of so many days ago
dated_version() {
	make_version "$SOURCE" "$1"
	printf -- '-----BEGIN PGP SIGNED MESSAGE-----\nTIMESTAMP 2099-01-01T00:00:00Z\n\nTIMESTAMP %s\n-----BEGIN PGP SIGNATURE-----\n' \
		"$(date -u -d "$2 days ago" +%Y-%m-%dT%H:%M:%SZ)" >"$SOURCE/Manifest"
}

@test "whom we call, by each key of the configuration" {
	local staging="$STORE/.rcu-repo/staging/[^ ]*$"
	gemato_with 'exit 0'
	dated_version A 0
	echo key >"$T/good.asc"
	judged
	grep -E "^[0-9]+ verify --quiet --require-signed-manifest --no-refresh-keys --openpgp-key=$T/good.asc --jobs=1 -- $staging" "$T/called"
	[ "$(wc -l <"$T/called")" = 1 ]
	gemato_with 'exit 0'
	judged --set sync-rsync-verify-jobs=3 --set sync-openpgp-key-path=
	grep -E "^[0-9]+ verify --quiet --require-signed-manifest --jobs=3 -- $staging" "$T/called"
	# the keys that the network knows are those that count
	gemato_with '[ "$1" = verify ] || { echo refreshed; exit; }; sed s/^/key:/ "$(sed "s/.*--openpgp-key=\([^ ]*\).*/\1/" <<<"$*")" >>"$T/called"'
	judged --set sync-openpgp-key-refresh=yes --set sync-rsync-verify-jobs=0
	grep -E "^[0-9]+ gpg-wrap --quiet --openpgp-key $T/good.asc -- gpg --batch --no-autostart --export$" "$T/called"
	grep -E "^[0-9]+ verify .* --no-refresh-keys --openpgp-key=/proc/[0-9]+/fd/[0-9]+ -- $staging" "$T/called"
	grep -x 'key:refreshed' "$T/called"
	gemato_with 'exit 0'
	judged --set sync-openpgp-key-refresh=keyserver --set sync-openpgp-keyserver=hkps://keys.example.org
	grep -E "^[0-9]+ gpg-wrap --quiet --openpgp-key $T/good.asc --no-wkd --keyserver=hkps://keys.example.org -- gpg" "$T/called"
	# not asked for, not called
	gemato_with 'exit 0'
	repo sync --type rsync --uri "$SOURCE"
	[ ! -e "$T/called" ]
	judged --set sync-openpgp-key-refresh=no 2>&1 | grep 'sync-openpgp-key-refresh = no: a key that was revoked'
}

@test "one that is not there, fails, is killed or hangs: published state as before" {
	local before
	dated_version A 0
	gemato_with 'exit 0'
	judged
	dated_version B 0
	gemato_with 'exit 1'
	refused 1 'the tree is not what its Manifest says: gemato: exit status 1' judged
	as_before A
	gemato_with 'kill -9 $$'
	refused 1 'gemato: killed by signal 9' judged
	as_before A
	gemato_with 'exec sleep 1000'
	refused 1 'gemato: not done after 1 second' judged --set sync-rcu-hook-timeout=1
	as_before A
	gemato_with 'kill -9 $PPID'
	run -137 judged
	[ "$(version_of "$LOCATION")" = A ]
	before=$(picture "$STORE")
	rm "$T/bin/gemato"
	refused 2 'sync-rsync-verify-metamanifest = yes: gemato is not here' env PATH="$(dirname "$(command -v rsync)"):$T/none" \
		"$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type rsync --uri "$SOURCE" --set sync-rsync-verify-metamanifest=yes
	[ "$(picture "$STORE")" = "$before" ]
	[ "$(latest)" = 1 ]
	gemato_with 'exit 0'
	judged
	[ "$(version_of "$LOCATION")" = B ]
}

@test "the refresh of keys is tried again, and given up; then nothing is published" {
	echo key >"$T/good.asc"
	dated_version A 0
	again() {
		judged --set sync-openpgp-key-refresh=yes --set sync-openpgp-key-refresh-retry-delay-max=0.01 "$@"
	}
	gemato_with '[ "$1" = verify ] || [ "$(wc -l <"$T/called")" = 3 ]'
	again --set sync-openpgp-key-refresh-retry-count=2
	[ "$(version_of "$LOCATION")" = A ]
	dated_version B 0
	gemato_with '[ "$1" = verify ]'
	refused 1 'the keys cannot be refreshed: gemato: exit status 1' again --set sync-openpgp-key-refresh-retry-count=2
	[ "$(wc -l <"$T/called")" = 3 ]
	gemato_with '[ "$1" = verify ]'
	refused 1 'the keys cannot be refreshed' again
	[ "$(wc -l <"$T/called")" = 1 ]
	gemato_with '[ "$1" = verify ]'
	refused 1 'the keys cannot be refreshed' again --set sync-openpgp-key-refresh-retry-count=1000000 \
		--set sync-openpgp-key-refresh-retry-overall-timeout=0.3
	[ "$(version_of "$LOCATION")" = A ]
}

@test "the Manifest's time: too old is a warning, older than what is published is refused, and none is refused" {
	gemato_with 'exit 0'
	dated_version A 5
	judged --set sync-rsync-verify-max-age=6 2>"$T/said"
	run ! grep 'is older than' "$T/said"
	judged --set sync-rsync-verify-max-age=3 2>&1 | grep 'its Manifest is older than 3 days'
	dated_version B 6
	refused 1 'the source: it is of' judged
	as_before A
	make_version "$SOURCE" B
	refused 1 'its Manifest: it says no time' judged
	mkfifo "$SOURCE/Manifest"
	refused 1 'its Manifest: it says no time' judged
	as_before A
	dated_version B 6
	judged --set sync-rcu-allow-older=yes
	[ "$(version_of "$LOCATION")" = B ]
}

@test "gemato is run as who we are, and not as the sync-user" {
	skip_unless_root
	gemato_with 'exit 0'
	dated_version A 0
	judged --set sync-user=nobody
	grep '^0 verify' "$T/called"
	[ "$(stat -c %u "$LOCATION/header")" = 65534 ]
}

# stamped NAME SECONDS: $SOURCE is version NAME, of that time
stamped() {
	make_version "$SOURCE" "$1"
	mkdir "$SOURCE/metadata"
	LC_ALL=C date -u -d "@$2" '+%a, %d %b %Y %H:%M:%S +0000' >"$SOURCE/metadata/timestamp.chk"
}

@test "a mirror that is older than what is published is refused, by rsync and as an archive, unless told" {
	stamped A 1600000000
	repo sync --type rsync --uri "$SOURCE"
	stamped B 1599999999
	refused 1 'the source: it is of 2020-09-13T12:26:39Z, and what is published of 2020-09-13T12:26:40Z' \
		repo sync --type rsync --uri "$SOURCE"
	as_before A
	tar -C "$T" -cf "$T/it.tar" source
	refused 1 'the source: it is of' repo sync --type webrsync --uri "$T/it.tar"
	as_before A
	repo sync --type webrsync --uri "$T/it.tar" --set sync-rcu-allow-older=yes
	[ "$(version_of "$LOCATION")" = B ]
	# the same time, a later one, and none at all
	stamped C 1599999999
	repo sync --type rsync --uri "$SOURCE"
	stamped D 1600000001
	repo sync --type rsync --uri "$SOURCE"
	echo nonsense >"$SOURCE/metadata/timestamp.chk"
	repo sync --type rsync --uri "$SOURCE"
	rm "$SOURCE/metadata/timestamp.chk"
	mkfifo "$SOURCE/metadata/timestamp.chk"
	repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = D ]
}

@test "an ordinary directory that is somebody's checkout is not migrated by rsync, unless told" {
	make_version "$SOURCE" A
	make_version "$LOCATION" old
	mkdir "$LOCATION/.git"
	refused 2 "sync-rsync-vcs-ignore = no: $LOCATION/.git is there: it is somebody's checkout" repo sync --type rsync --uri "$SOURCE"
	[ "$(version_of "$LOCATION")" = old ]
	[ ! -e "$STORE" ]
	repo sync --type rsync --uri "$SOURCE" --set sync-rsync-vcs-ignore=yes
	[ "$(version_of "$LOCATION")" = A ]
	# what came by rsync itself is in nobody's way
	mkdir "$SOURCE/CVS"
	repo sync --type rsync --uri "$SOURCE"
	echo more >"$SOURCE/CVS/Entries"
	repo sync --type rsync --uri "$SOURCE"
	[ -s "$LOCATION/CVS/Entries" ]
}

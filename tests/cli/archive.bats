#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-type webrsync: snapshot archives

load ../lib
load helpers

setup() {
	lib_init
	skip_unless_command tar xz zstd gzip bzip2
	A=$T/tree.tar.xz
}
teardown() { lib_done; }

# pack NAME [FILE]: FILE becomes an archive of version NAME, with one leading directory
pack() {
	make_version "$T/tree-$1" "$1"
	tar -C "$T" --owner=0 --group=0 -caf "${2:-$A}" "tree-$1"
}

sync_archive() { repo sync --type webrsync --uri "$A" "$@"; }

# made PYTHON: $A becomes the archive that these lines make, with `add(name, content, **fields)`
made() {
	A=$T/made.tar
	/usr/bin/python3 - "$A" <<-END
		import io, sys, tarfile
		tar = tarfile.open(sys.argv[1], "w")
		def add(name, content=b"", **fields):
		    entry = tarfile.TarInfo(name)
		    entry.size = len(content)
		    for key, value in fields.items():
		        setattr(entry, key, value)
		    tar.addfile(entry, io.BytesIO(content))
		add("top/good", b"good")
		$1
		tar.close()
	END
}

@test "each kind of archive: a whole version, with its times; unchanged files stay" {
	local kind n=0 name
	for kind in xz zst gz bz2 plain sqfs; do
		n=$((n + 1))
		name=$([ $((n % 2)) = 0 ] && echo B || echo A)
		A=$T/tree.$kind
		make_version "$T/tree-$name" "$name"
		echo same >"$T/tree-$name/same"
		touch -d @1000000000 "$T/tree-$name/same"
		case $kind in
		plain) tar -C "$T" --owner=0 --group=0 -cf "$A" "tree-$name" ;;
		sqfs)
			skip_unless_command mksquashfs unsquashfs
			mksquashfs "$T/tree-$name" "$A" -quiet -no-progress >/dev/null
			;;
		*) tar -C "$T" --owner=0 --group=0 -caf "$T/tree.tar.$kind" "tree-$name" && mv "$T/tree.tar.$kind" "$A" ;;
		esac
		sync_archive
		[ "$(latest)" = "$n" ]
		[ "$(version_of "$LOCATION")" = "$name" ]
		[ -z "$(rsync -rlptHcn --delete -i "$T/tree-$name/" "$LOCATION/")" ]
		[ "$n" = 1 ] || [ "$STORE/snapshots/$n/same" -ef "$STORE/snapshots/1/same" ]
		sync_archive 2>&1 | grep "nothing changed: snapshot $n"
	done
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a file that is nearly the same, kinds that change, hard links, sparse files, odd names" {
	mkdir -p "$T/x/d/e" "$T/x/was-dir/y"
	head -c 600000 /dev/urandom >"$T/x/large"
	truncate -s 3M "$T/x/sparse"
	echo data | dd of="$T/x/sparse" bs=1 seek=1000000 conv=notrunc status=none
	echo one >"$T/x/d/e/one"
	ln "$T/x/d/e/one" "$T/x/hard"
	ln -s d/e "$T/x/link"
	echo 1 >"$T/x/was-file"
	echo 1 >"$T/x/was-dir/y/z"
	: >"$T/x/"$'new\nline'
	: >"$T/x/$(printf 'n%.0s' {1..255})"
	: >"$T/x/$(printf '\303\244\303\266')"
	touch -d @1500000000 "$T/x/large" "$T/x/sparse"
	tar -C "$T" --owner=0 --group=0 --sparse --format=pax -caf "$A" x
	LC_ALL=C sync_archive
	[ -z "$(rsync -rlptHcn --delete -i "$T/x/" "$LOCATION/")" ]
	[ "$LOCATION/hard" -ef "$LOCATION/d/e/one" ]
	cp -a "$STORE/snapshots/1" "$T/before"
	printf X | dd of="$T/x/large" bs=1 seek=500000 conv=notrunc status=none
	printf X | dd of="$T/x/sparse" bs=1 seek=5 conv=notrunc status=none
	touch -d @1500000000 "$T/x/large" "$T/x/sparse"
	rm -r "$T/x/was-dir" "$T/x/was-file" "$T/x/link" "$T/x/hard"
	echo 2 >"$T/x/was-dir"
	mkdir "$T/x/was-file"
	echo 2 >"$T/x/was-file/in"
	mkdir "$T/x/link"
	echo 2 >"$T/x/link/one"
	echo 2 >"$T/x/hard"
	tar -C "$T" --owner=0 --group=0 --sparse --format=pax -caf "$A" x
	sync_archive
	[ -z "$(rsync -rlptHcn --delete -i "$T/x/" "$LOCATION/")" ]
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
}

@test "without a leading directory, and one that has two" {
	make_version "$T/tree" A
	A=$T/flat.tar.gz
	tar -C "$T/tree" -czf "$A" .
	repo sync --type webrsync --uri "$A" --set sync-rcu-strip=no
	[ "$(version_of "$LOCATION")" = A ]
	refused 1 'sync-rcu-strip' sync_archive
	[ "$(latest)" = 1 ]
}

@test "truncated or corrupted anywhere: published state as before" {
	local kind size at
	pack A
	sync_archive
	for kind in tar.xz tar.zst tar.gz tar; do
		A=$T/b.$kind
		pack B
		size=$(stat -c %s "$A")
		for at in 0 1 100 $((size / 2)) $((size - 1)); do
			head -c "$at" "$A" >"$T/cut"
			refused 1 . repo sync --type webrsync --uri "$T/cut"
		done
		[ "$kind" = tar ] && continue
		cp "$A" "$T/bad"
		printf '\377\000\377' | dd of="$T/bad" bs=1 seek=$((size / 2)) conv=notrunc status=none
		refused 1 . repo sync --type webrsync --uri "$T/bad"
	done
	head -c $(($(stat -c %s "$T/b.tar.xz") / 2)) "$T/b.tar.xz" >"$T/cut"
	refused 1 'the archive: it is cut off or damaged \(' repo sync --type webrsync --uri "$T/cut"
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a tar without its end, packed or not; one by each format and program, with more or less behind its end" {
	local first ends packer format cut
	pack A
	sync_archive
	mkdir "$T/b"
	echo B >"$T/b/version"
	head -c 5000 /dev/zero >"$T/b/zeros"
	# not all formats have more than whole seconds
	touch -d @1500000000 "$T/b/version" "$T/b/zeros" "$T/b"
	for format in ustar gnu pax; do
		tar -C "$T" --owner=0 --group=0 --sort=name --format="$format" -b 1 -cf "$T/whole" b
		first=$(($(tar -C "$T" --owner=0 --group=0 --no-recursion --format="$format" -b 1 -c b | wc -c) - 1024))
		ends=$(($(stat -c %s "$T/whole") - 1024))
		for packer in cat gzip bzip2 xz zstd; do
			# between two entries; behind a last one that ends with zeros; with half of the end
			for cut in "$first" "$ends" $((ends + 512)); do
				head -c "$cut" "$T/whole" | "$packer" >"$T/cut"
				refused 1 'it is cut off: its end is missing' repo sync --type webrsync --uri "$T/cut" --set sync-rcu-max-delete=100%
			done
		done
		# no padding, and more than whoever writes one would add
		for cut in 0 512 1000448; do
			(cat "$T/whole" && head -c "$cut" /dev/zero) | xz >"$T/padded"
			repo sync --type webrsync --uri "$T/padded" --set sync-rcu-max-delete=100%
		done
	done
	[ "$(latest)" = 2 ]
	[ "$(cat "$LOCATION/version")" = B ]
	command -v bsdtar && bsdtar -C "$T" -czf "$T/bsdtar" b
	command -v busybox && busybox tar -C "$T" -czf "$T/busybox" b
	command -v git && git -C "$T/b" init -q && git -C "$T/b" add -A &&
		git -C "$T/b" archive --format=tar.gz --prefix=b/ -o "$T/git" "$(git -C "$T/b" write-tree)"
	[ ! -e /usr/bin/python3 ] || /usr/bin/python3 -c "
import tarfile
with tarfile.open('$T/tarfile', 'w:gz') as tar:
    tar.add('$T/b/version', 'b/version')"
	for packer in bsdtar busybox git tarfile; do
		[ ! -s "$T/$packer" ] || repo sync --type webrsync --uri "$T/$packer" --set sync-rcu-max-delete=100%
		[ "$(cat "$LOCATION/version")" = B ]
	done
}

@test "a hostile archive is refused, and nothing is written outside" {
	local bad n=0
	pack A
	sync_archive
	mkdir "$T/outside"
	while read -r bad; do
		[ -n "$bad" ] || continue
		made "$bad"
		echo "$bad"
		refused 1 'the archive: ' sync_archive
		n=$((n + 1))
	done <<-END
		add("top/../../escaped", b"x")
		add("top/..", b"x", type=tarfile.DIRTYPE)
		add("/tmp/escaped-absolute", b"x")
		add("top//tmp/../../x", b"x")
		add("top/l", type=tarfile.SYMTYPE, linkname="$T/outside")
		add("top/l", type=tarfile.SYMTYPE, linkname="../x")
		add("top/d/l", type=tarfile.SYMTYPE, linkname="../../x")
		add("top/d/e/up", type=tarfile.SYMTYPE, linkname="../.."); add("top/q", type=tarfile.SYMTYPE, linkname="d/e/up/../x")
		add("top/l", type=tarfile.SYMTYPE, linkname="d"); add("top/l/through", b"x")
		add("top/h", type=tarfile.LNKTYPE, linkname="/etc/passwd")
		add("top/h", type=tarfile.LNKTYPE, linkname="top/not-there")
		add("top/h", type=tarfile.LNKTYPE, linkname="top/../../etc/passwd")
		add("top/d/e/l", type=tarfile.SYMTYPE, linkname="../../good"); add("top/h", type=tarfile.LNKTYPE, linkname="top/d/e/l")
		add("top/self", type=tarfile.LNKTYPE, linkname="top/self")
		add("top/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
		add("top/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0)
		add("top/fifo", type=tarfile.FIFOTYPE)
		add("top/good", b"again")
		add("top/good/below", b"x")
		add("other/x", b"x")
		add("top", b"x")
		add("top" + "/d" * 10000 + "/deep", b"x")
		add("top/" + "n" * 256, b"x")
	END
	[ "$n" = 23 ]
	[ "$(version_of "$LOCATION")" = A ]
	[ ! -e "$T/escaped" ]
	[ ! -e /tmp/escaped-absolute ]
	is_empty "$T/outside"
	is_empty "$STORE/.rcu-repo/staging"
}

@test "a bomb is refused" {
	pack A
	sync_archive
	made 'add("top/zeros", b"0" * 3000000)'
	refused 1 'more than 2 MiB \(sync-rcu-max-size\)' sync_archive --set sync-rcu-max-size=2
	made '[add("top/%d" % i) for i in range(200)]'
	refused 1 'more than 100 entries \(sync-rcu-max-files\)' sync_archive --set sync-rcu-max-files=100
	made 'add("top" + "/d" * 100 + "/deep", b"x")'
	refused 1 'more than 100 entries \(sync-rcu-max-files\)' sync_archive --set sync-rcu-max-files=100
	[ "$(version_of "$LOCATION")" = A ]
	sync_archive --set sync-rcu-max-delete=100%
}

@test "set-id bits and rights of others to write are taken off; a tree 500 levels deep is fine" {
	made 'add("top/suid", b"x", mode=0o6777); add("top/none", b"x", mode=0); add("top/dir", type=tarfile.DIRTYPE, mode=0o3777); add("top/dir/owned", b"x", uid=12345, gid=54321); add("top" + "/d" * 500 + "/deep", b"x")'
	sync_archive
	[ "$(stat -c %a "$LOCATION/suid" "$LOCATION/none" "$LOCATION/dir" | tr '\n' ' ')" = '755 400 755 ' ]
	[ "$(stat -c %u "$LOCATION/dir/owned")" = "$(id -u)" ]
	sync_archive 2>&1 | grep 'nothing changed'
}

@test "a hostile squashfs image" {
	skip_unless_command mksquashfs unsquashfs
	skip_unless_root
	pack A
	sync_archive
	local kind
	for kind in dev link fifo; do
		rm -rf "$T/x"
		mkdir "$T/x"
		echo x >"$T/x/file"
		case $kind in
		dev) mknod "$T/x/dev" c 1 3 || skip 'no device nodes here' ;;
		link) ln -s ../out "$T/x/l" ;;
		fifo) mkfifo "$T/x/fifo" ;;
		esac
		rm -f "$T/x.sqfs"
		mksquashfs "$T/x" "$T/x.sqfs" -quiet -no-progress >/dev/null
		refused 1 'the archive: ' repo sync --type webrsync --uri "$T/x.sqfs"
	done
	rm "$T/x/fifo" "$T/x.sqfs"
	chmod 6777 "$T/x/file"
	chown 12345 "$T/x/file"
	head -c 2M /dev/urandom >"$T/x/large"
	mksquashfs "$T/x" "$T/x.sqfs" -quiet -no-progress >/dev/null
	refused 1 'sync-rcu-max-size' repo sync --type webrsync --uri "$T/x.sqfs" --set sync-rcu-max-size=1
	head -c 1000000 "$T/x.sqfs" >"$T/cut.sqfs"
	refused 1 . repo sync --type webrsync --uri "$T/cut.sqfs"
	[ "$(version_of "$LOCATION")" = A ]
	repo sync --type webrsync --uri "$T/x.sqfs" --set sync-rcu-max-delete=100%
	[ "$(stat -c %u%a "$LOCATION/file")" = 0755 ]
}

@test "the signature: good, missing, wrong, of another key, of another file" {
	skip_unless_command gpg gpgv
	export GNUPGHOME=$T/gnupg
	local who
	mkdir -m 700 "$GNUPGHOME"
	for who in good other; do
		gpg -q --batch --passphrase '' --quick-gen-key "$who@example.org" ed25519 sign never 2>/dev/null
	done
	gpg -q --armor --export good@example.org >"$T/good.asc"
	gpg -q --export good@example.org >"$T/good.gpg"
	sign() { gpg -q --batch --yes -u "$1@example.org" --detach-sign -o "$A.gpgsig" "${2:-$A}"; }
	verified() { sync_archive --set sync-webrsync-verify-signature=yes --set "sync-openpgp-key-path=$T/good.${1:-asc}"; }
	pack A
	refused 1 'it has no signature' verified
	sign good
	run -0 verified
	[[ $output != *gpgv* ]]
	verified gpg 2>&1 | grep 'nothing changed'
	pack B "$T/b.tar.xz"
	sign good "$T/b.tar.xz"
	refused 1 'gpgv: exit status 1: the signature is bad' verified
	sign other
	refused 1 'gpgv: exit status 2' verified
	# what gpgv itself says is seen then
	(verified 2>&1 || :) | grep '^gpgv: .*No public key'
	echo nonsense >"$A.gpgsig"
	refused 1 'gpgv: exit status 2' verified
	refused 2 'sync-openpgp-key-path = : not set' sync_archive --set sync-webrsync-verify-signature=yes
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	pack B
	sign good
	verified
	[ "$(version_of "$LOCATION")" = B ]
	gpgconf --kill gpg-agent
}

@test "by http: fetched, missing, and a server that hangs" {
	skip_unless_command curl
	pack A
	mkdir -p "$T/www/snapshots"
	cp "$A" "$T/www/snapshots/gentoo-latest.tar.xz"
	serve "$T/www" '
    def do_GET(self):
        if self.path == "/hang":
            time.sleep(1000)
        super().do_GET()'
	repo sync --type webrsync --uri "http://127.0.0.1:$PORT/"
	[ "$(version_of "$LOCATION")" = A ]
	refused 1 'curl: exit status 22: the server has no such file' repo sync --type webrsync --uri "http://127.0.0.1:$PORT/none.tar.xz"
	refused 1 'curl: not done after 1 second' repo sync --type webrsync --uri "http://127.0.0.1:$PORT/hang" --set sync-rcu-timeout=1
	refused 1 'curl: exit status 7' repo sync --type webrsync --uri "http://127.0.0.1:1/x"
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "no such file, no archive, a directory, an address of another kind" {
	pack A
	sync_archive
	refused 1 'cannot be opened' repo sync --type webrsync --uri "$T/none"
	refused 1 'not an ordinary file' repo sync --type webrsync --uri "$T"
	echo 'no archive' >"$T/text"
	refused 1 'the archive' repo sync --type webrsync --uri "$T/text"
	refused 2 'sync-uri = rsync://h/m: not an absolute path' repo sync --type webrsync --uri rsync://h/m
	[ "$(version_of "$LOCATION")" = A ]
}

@test "killed with its download half-way: published state as before" {
	pack A
	sync_archive
	mkdir "$T/bin"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho half; kill -9 $PPID; sleep 0.2; exit 1\n' >"$T/bin/curl"
	chmod 755 "$T/bin/curl"
	run -137 env PATH="$T/bin:$PATH" "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type webrsync --uri http://127.0.0.1/x
	[ "$(version_of "$LOCATION")" = A ]
	pack B
	sync_archive
	[ "$(version_of "$LOCATION")" = B ]
	is_empty "$STORE/.rcu-repo/staging"
}

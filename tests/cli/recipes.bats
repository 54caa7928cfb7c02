#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# contrib/recipes: run for real, and read by the real package managers while they are updated.

load ../lib
load helpers

setup() {
	lib_init
	skip_unless_root
	export HOME=$T
	mkdir "$T/bin" "$T/packages" "$T/none"
	ln -s "$RCU_REPO" "$T/bin/rcu-repo"
	PATH=$RCU_SRC/contrib/recipes:$T/bin:$PATH
	# of each package 3 versions, each of its own content
	names="alpha beta"
}
teardown() {
	[ ! -d "$T/gnupg" ] || gpgconf --homedir "$T/gnupg" --kill gpg-agent || :
	lib_done
}

deb() {
	local dir=$T/work/$1-$2
	mkdir -p "$dir/DEBIAN" "$dir/usr/share/$1"
	echo "$1 $2" >"$dir/usr/share/$1/version"
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@localhost>\nSection: misc\nPriority: optional\nDescription: %s\n' \
		"$1" "$2" "$1" >"$dir/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -z1 --build "$dir" "$T/packages/$1_$2_all.deb" >/dev/null
}

rpm_() {
	local work=$T/work/$1-$2
	mkdir -p "$work"
	echo "$1 $2" >"$work/$1.txt"
	printf 'Name: %s\nVersion: %s\nRelease: 1\nSummary: %s\nLicense: none\nBuildArch: noarch\n%%description\nNone.\n%%install\nmkdir -p %%{buildroot}/usr/share\ncp %s %%{buildroot}/usr/share/\n%%files\n/usr/share/%s.txt\n' \
		"$1" "$2" "$1" "$work/$1.txt" "$1" >"$work/it.spec"
	rpmbuild --quiet -bb --define "_topdir $work/rpm" --define "_rpmdir $work/out" --define "_binary_payload w1.gzdio" \
		"$work/it.spec" >"$work/log" 2>&1 || {
		cat "$work/log"
		return 1
	}
	mv "$work"/out/noarch/*.rpm "$T/packages/"
}

pkg() {
	local dir=$T/work/$1-$2
	mkdir -p "$dir/usr/share"
	echo "$1 $2" >"$dir/usr/share/$1"
	printf 'pkgname = %s\npkgbase = %s\npkgver = %s-1\npkgdesc = %s\nbuilddate = 1500000000\npackager = T\nsize = 1\narch = any\n' \
		"$1" "$1" "$2" "$1" >"$dir/.PKGINFO"
	bsdtar -C "$dir" --zstd -cf "$T/packages/$1-$2-1-any.pkg.tar.zst" .PKGINFO usr
}

# while_updated READ UPDATE...: READ has to be good before, during and after two updates, of which each is `UPDATE 2`,
# `UPDATE 3`; under rcu-exec, as often as it comes to
while_updated() {
	local read=$1 update=$2 i
	"$update" 1
	for i in 1 2; do
		"$read" "$i-first"
	done
	background bash -c '"$@" && touch "$0"' "$T/updated" bash -c "$(declare -f "$update")
		set -e; T='$T' LOCATION='$LOCATION' STORE='$STORE' names='$names'; $update 2; $update 3"
	for ((i = 0; ; i++)); do
		"$read" "$i" || return
		[ ! -e "$T/updated" ] || break
		if gone "$BACKGROUND"; then [ -e "$T/updated" ] || return; fi
	done
	"$read" last
	echo "# $((i + 1)) readers during two updates" >&3
}

update_apt() { apt-reprepro "$LOCATION" "$STORE" "$T/conf" stable "$T"/packages/*_"$1"_all.deb; }
read_apt() {
	local dir=$T/apt-$1
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-END
		Dir::Etc "$dir"; Dir::Etc::sourcelist "$T/sources.list"; Dir::Etc::parts "$T/none"; Dir::Etc::sourceparts "$T/none";
		Dir::Etc::preferencesparts "$T/none"; Dir::Etc::trustedparts "$T/none"; Dir::State "$dir";
		Dir::State::status "$dir/status"; Dir::Cache "$dir/cache"; Dir::Log "$dir/log"; Acquire::Languages "none";
		APT::Update::Error-Mode "any"; quiet "1"; APT::Sandbox::User "root";
	END
	APT_CONFIG=$dir/apt.conf rcu_exec -l "$LOCATION" -- sh -ec "
		apt-get update && apt-get install --yes --download-only $names" >"$dir/log" 2>&1 || {
		cat "$dir/log"
		return 1
	}
	# both of one version
	[ "$(cd "$dir/cache/archives" && ls -- *.deb | cut -d_ -f2 | sort -u | wc -l)" = 1 ]
}

@test "apt-reprepro: apt-get under rcu-exec always has a whole repository" {
	skip_unless_command reprepro apt-get dpkg-deb
	local name version
	for name in $names; do for version in 1 2 3; do deb "$name" "$version"; done; done
	mkdir "$T/conf"
	printf 'Codename: stable\nSuite: stable\nComponents: main\nArchitectures: amd64\nDescription: test\n' >"$T/conf/distributions"
	echo "deb [trusted=yes arch=amd64] copy:$LOCATION stable main" >"$T/sources.list"
	while_updated read_apt update_apt
	[ "$(latest)" = 3 ]
	refused 2 '^usage: apt-reprepro' apt-reprepro "$LOCATION" "$STORE"
	# what fails is not published
	echo nonsense >"$T/packages/broken_4_all.deb"
	run -1 update_apt 4
	[ "$(latest)" = 3 ]
	read_apt after
}

update_debmirror() {
	local deb
	for deb in "$T"/packages/*_"$1"_all.deb; do
		reprepro --silent --basedir "$T/upstream" --confdir "$T/conf" includedeb stable "$deb"
	done
	apt-debmirror "$LOCATION" "$STORE" --method=http --host="127.0.0.1:$PORT" --root=/ --dist=stable \
		--section=main --arch=amd64 --nosource --keyring="$T/${2-good}.gpg" --rsync-extra=none --diff=none
}

@test "apt-debmirror: apt-get under rcu-exec always has a whole repository" {
	skip_unless_command debmirror reprepro apt-get dpkg-deb gpg gpgv /usr/bin/python3
	local name version who
	export GNUPGHOME=$T/gnupg
	mkdir -m 700 "$GNUPGHOME"
	for who in good other; do
		gpg -q --batch --passphrase '' --quick-gen-key "$who@example.org" ed25519 sign never 2>/dev/null
		gpg -q --export "$who@example.org" >"$T/$who.gpg"
	done
	for name in $names; do for version in 1 2 3 4; do deb "$name" "$version"; done; done
	mkdir "$T/conf" "$T/upstream"
	printf 'Codename: stable\nSuite: stable\nComponents: main\nArchitectures: amd64\nDescription: test\nSignWith: good@example.org\n' \
		>"$T/conf/distributions"
	serve "$T/upstream"
	server=$BACKGROUND
	echo "deb [trusted=yes arch=amd64] copy:$LOCATION stable main" >"$T/sources.list"
	while_updated read_apt update_debmirror
	[ "$(latest)" = 3 ]
	[ "$(cd "$LOCATION" && find pool -name '*.deb' | sort | tr '\n' ' ')" = "pool/main/a/alpha/alpha_3_all.deb pool/main/b/beta/beta_3_all.deb " ]
	refused 2 '^usage: apt-debmirror' apt-debmirror "$LOCATION" "$STORE"
	# what is signed by somebody else, and what cannot be reached, is not published
	run -1 update_debmirror 4 other
	kill "$server"
	wait_until gone "$server"
	run -1 update_debmirror 4
	[ "$(latest)" = 3 ]
	read_apt after
}

update_dnf() { dnf-createrepo "$LOCATION" "$STORE" "$T"/packages/*-"$1"-1.noarch.rpm; }
read_dnf() {
	local dir=$T/dnf-$1 name
	mkdir -p "$dir"
	printf '[main]\ncachedir=%s\npersistdir=%s\nlogdir=%s\nreposdir=%s\nvarsdir=%s\npluginconfpath=%s\nplugins=0\ngpgcheck=0\nzchunk=0\n[it]\nname=it\nbaseurl=file://%s\n' \
		"$dir/cache" "$dir/persist" "$dir/log" "$T/none" "$T/none" "$T/none" "$LOCATION" >"$dir/dnf.conf"
	# shellcheck disable=SC2086
	rcu_exec -l "$LOCATION" -- dnf --config "$dir/dnf.conf" --installroot "$dir/root" --releasever 1 --assumeyes --quiet \
		install --downloadonly --destdir "$dir/got" $names >"$dir/out" 2>&1 || {
		cat "$dir/out"
		return 1
	}
	[ "$(cd "$dir/got" && ls | sed 's/[a-z]*-//' | sort -u | wc -l)" = 1 ]
}

@test "dnf-createrepo: dnf under rcu-exec always has a whole repository" {
	skip_unless_command createrepo_c dnf rpmbuild
	local name version
	for name in $names; do for version in 1 2 3; do rpm_ "$name" "$version"; done; done
	while_updated read_dnf update_dnf
	[ "$(latest)" = 3 ]
	refused 2 '^usage: dnf-createrepo' dnf-createrepo "$LOCATION" "$STORE"
}

update_pacman() { pacman-repo-add "$LOCATION" "$STORE" it "$T"/packages/*-"$1"-1-any.pkg.tar.zst; }
read_pacman() {
	local dir=$T/pacman-$1
	mkdir -p "$dir/root" "$dir/db" "$dir/cache"
	printf '[options]\nArchitecture = auto\nSigLevel = Never\n[it]\nServer = file://%s\n' "$LOCATION" >"$dir/pacman.conf"
	rcu_exec -l "$LOCATION" -- sh -ec 'pacman="pacman --config $1/pacman.conf --root $1/root --dbpath $1/db --cachedir $1/cache
			--logfile $1/log --hookdir $2 --gpgdir $2 --noconfirm --noprogressbar"
		shift 2; $pacman -Sy; $pacman -Sw "$@"' sh "$dir" "$T/none" $names >"$dir/out" 2>&1 || {
		cat "$dir/out"
		return 1
	}
	[ "$(cd "$dir/cache" && ls -- *.zst | cut -d- -f2 | sort -u | wc -l)" = 1 ]
}

@test "pacman-repo-add: pacman under rcu-exec always has a whole repository" {
	skip_unless_command repo-add pacman bsdtar zstd
	local name version
	for name in $names; do for version in 1 2 3; do pkg "$name" "$version"; done; done
	while_updated read_pacman update_pacman
	[ "$(latest)" = 3 ]
	# the versions that were replaced are gone, and nothing of repo-add's is left
	[ "$(ls "$LOCATION/" | tr '\n' ' ')" = "alpha-3-1-any.pkg.tar.zst beta-3-1-any.pkg.tar.zst it.db it.db.tar.gz it.files it.files.tar.gz " ]
	refused 2 '^usage: pacman-repo-add' pacman-repo-add "$LOCATION" "$STORE" it
}

@test "a file that is not there: said by its name, and nothing is made" {
	mkdir "$T/conf"
	refused 1 "$T/none/x.rpm: No such file" dnf-createrepo "$LOCATION" "$STORE" "$T/none/x.rpm"
	refused 1 "$T/none/x.pkg: No such file" pacman-repo-add "$LOCATION" "$STORE" it "$T/none/x.pkg"
	refused 1 "$T/none/x.deb: No such file" apt-reprepro "$LOCATION" "$STORE" "$T/conf" stable "$T/none/x.deb"
	refused 1 "$T/none/conf: No such file" apt-reprepro "$LOCATION" "$STORE" "$T/none/conf" stable "$T/conf"
	[ ! -e "$STORE" ]
}

@test "mirror: any repository, whole" {
	make_version "$SOURCE" A
	mirror "$LOCATION" "$STORE" "$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
	make_version "$SOURCE" B
	mirror "$LOCATION" "$STORE" "$SOURCE" --exclude=/empty
	[ "$(version_of "$LOCATION")" = B ]
	[ ! -e "$LOCATION/empty" ]
	refused 2 '^usage: mirror' mirror "$LOCATION" "$STORE"
}

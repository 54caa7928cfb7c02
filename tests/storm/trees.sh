# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# trees.sh: make_trees DIR PART...: the repository in two versions, DIR/A and DIR/B, a folder a part, to be sourced.
#
# The versions cannot be mixed unseen: the package managers' own metadata has the checksums of their packages, and
# what has none (git, wheels, plain files) is compared with DIR/A and DIR/B by the reader afterwards.  Every second
# package keeps its version number, so its file's name stays and its checksum changes (a rebuild); the others get
# a new name (an update).

STORM_PACKAGES=12

make_trees() {
	local dir=$1 version part
	shift
	for version in A B; do
		for part; do
			mkdir -p "$dir/$version/$part"
			"make_$part" "$dir/$version/$part" "$version" || return
		done
	done
}

# package_version A|B NUMBER
package_version() {
	if [ "$1" = B ] && (($2 % 2)); then echo 2.0; else echo 1.0; fi
}

# Some text that no other version and package has: payload A|B NUMBER
payload() {
	seq -f "line %.0f of package $2 in version $1" $((1000 + $2 * 100))
}

# dists/stable with two components and hashes, pool/ with the .debs
make_apt() {
	local dir=$1 version=$2 i v component deb work
	work=$(mktemp -d)
	for ((i = 1; i <= STORM_PACKAGES; i++)); do
		v=$(package_version "$version" "$i")
		component=$( ((i % 3)) && echo main || echo extra)
		deb=$work/storm-$i
		mkdir -p "$deb/DEBIAN" "$deb/usr/share/storm" "$dir/pool/$component"
		payload "$version" "$i" >"$deb/usr/share/storm/$i"
		cat >"$deb/DEBIAN/control" <<-END
			Package: storm-$i
			Version: $v
			Architecture: all
			Maintainer: Storm <storm@localhost>
			Description: package $i, from version $version of the repository
		END
		dpkg-deb --root-owner-group -Zgzip -z1 --build "$deb" \
			"$dir/pool/$component/storm-${i}_${v}_all.deb" >/dev/null || return
	done
	for component in main extra; do
		mkdir -p "$dir/dists/stable/$component/binary-$(dpkg --print-architecture)"
		(cd "$dir" && apt-ftparchive packages "pool/$component") \
			>"$dir/dists/stable/$component/binary-$(dpkg --print-architecture)/Packages" || return
	done
	apt-ftparchive -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
		-o "APT::FTPArchive::Release::Components=main extra" \
		-o "APT::FTPArchive::Release::Architectures=$(dpkg --print-architecture)" \
		release "$dir/dists/stable" >"$work/Release" || return
	mv "$work/Release" "$dir/dists/stable/Release"
	rm -rf "$work"
}

# Packages and a database that repo-add made
make_pacman() {
	local dir=$1 version=$2 i v work
	work=$(mktemp -d)
	for ((i = 1; i <= STORM_PACKAGES; i++)); do
		v=$(package_version "$version" "$i")-1
		mkdir -p "$work/$i/usr/share/storm"
		payload "$version" "$i" >"$work/$i/usr/share/storm/$i"
		cat >"$work/$i/.PKGINFO" <<-END
			pkgname = storm-$i
			pkgbase = storm-$i
			pkgver = $v
			pkgdesc = package $i, from version $version of the repository
			builddate = 1500000000
			packager = Storm <storm@localhost>
			size = 1000
			arch = any
		END
		bsdtar -C "$work/$i" --zstd -cf "$dir/storm-$i-$v-any.pkg.tar.zst" .PKGINFO usr || return
	done
	repo-add -q "$dir/storm.db.tar.gz" "$dir"/*.pkg.tar.zst >/dev/null || return
	rm -rf "$work"
}

# Packages that rpmbuild made, and repodata
make_dnf() {
	local dir=$1 version=$2 i work
	work=$(mktemp -d)
	for ((i = 1; i <= STORM_PACKAGES; i++)); do
		payload "$version" "$i" >"$work/$i.txt"
		cat <<-END
			%package -n storm-$i
			Summary: package $i
			Version: $(package_version "$version" "$i")
			%description -n storm-$i
			From version $version of the repository.
			%files -n storm-$i
			/usr/share/storm/$i.txt
		END
	done >"$work/packages"
	cat >"$work/storm.spec" <<-END
		Name: storm
		Version: 1.0
		Release: 1
		Summary: packages for a storm
		License: LGPL-2.1-or-later
		BuildArch: noarch
		%description
		Nothing.
		$(cat "$work/packages")
		%install
		mkdir -p %{buildroot}/usr/share/storm
		cp $work/*.txt %{buildroot}/usr/share/storm/
	END
	rpmbuild --quiet -bb --define "_topdir $work/rpm" --define "_rpmdir $work/out" \
		--define "_binary_payload w1.gzdio" "$work/storm.spec" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		return 1
	}
	mv "$work"/out/noarch/*.rpm "$dir"
	createrepo_c --quiet "$dir" || return
	rm -rf "$work"
}

# A bare repository of loose objects
make_git() {
	local dir=$1 version=$2 i work
	work=$(mktemp -d)
	(
		export HOME=$work GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Storm GIT_AUTHOR_EMAIL=storm@localhost
		export GIT_COMMITTER_NAME=Storm GIT_COMMITTER_EMAIL=storm@localhost
		git init -q -b main "$work/tree" && cd "$work/tree" && git config gc.auto 0 || exit
		for ((i = 1; i <= 15; i++)); do
			payload "$version" "$i" >"file-$((i % 4))"
			git add . && git commit -q -m "change $i in version $version" || exit
		done
		# hard links would tie A and B to a working tree
		git clone -q --bare --no-hardlinks "$work/tree" "$dir/storm.git"
	) || return
	rm -rf "$work"
}

# Wheels; storm-1 depends on all others of its own version
make_pip() {
	/usr/bin/python3 - "$1" "$2" "$STORM_PACKAGES" <<-'END'
		import base64, hashlib, sys, zipfile
		folder, version, packages = sys.argv[1], sys.argv[2], int(sys.argv[3])
		number = lambda i: "2.0" if version == "B" and i % 2 else "1.0"
		for i in range(1, packages + 1):
		    name, info = f"storm_{i}-{number(i)}", f"storm_{i}-{number(i)}.dist-info"
		    meta = f"Metadata-Version: 2.1\nName: storm-{i}\nVersion: {number(i)}\n"
		    if i == 1:
		        meta += "".join(f"Requires-Dist: storm-{j}=={number(j)}\n" for j in range(2, packages + 1))
		    files = {f"storm_{i}.py": f"VERSION = '{version}'\n" * 500, f"{info}/METADATA": meta,
		             f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
		    record = "".join(f"{f},sha256={base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b'=').decode()},{len(t)}\n"
		                     for f, t in files.items())
		    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
		    with zipfile.ZipFile(f"{folder}/{name}-py3-none-any.whl", "w") as wheel:
		        for f, text in files.items():
		            wheel.writestr(zipfile.ZipInfo(f), text)
	END
}

# Plain files in folders, and their checksums
make_files() {
	local dir=$1 version=$2 i
	for ((i = 1; i <= 80; i++)); do
		mkdir -p "$dir/$((i % 8))/sub"
		payload "$version" "$((i % 30))" >"$dir/$((i % 8))/sub/file $i"
	done
	(cd "$dir" && find . -type f -exec sha256sum {} + | sort -k2) >"$dir.sums" || return
	mv "$dir.sums" "$dir/SUMS"
}

# Few small files that say which version they are of (pinners.c)
make_few() {
	local i
	for i in 1 2 3 4 5 6 7 8; do echo "$2" >"$1/$i"; done
}

# Scripts that do a little work each
make_shell() {
	local dir=$1 version=$2 i
	for ((i = 1; i <= 100; i++)); do
		printf '%s\n' "STORM_SEEN+=$version" 'for ((n = 0; n < 200; n++)); do :; done' >"$dir/part-$i.sh"
	done
}

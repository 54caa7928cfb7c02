# SPDX-License-Identifier: LGPL-2.1-or-later
# Real programs under the shim: what they say of the location is what they say of the pinned snapshot.

load ../lib
load pinned

setup() {
	lib_init
	make_store
}
teardown() { lib_done; }

@test "without the pin the same commands see the other version" {
	[ "$(cat "$LOCATION/version")" = ten ]
	[ "$(version_of "$LOCATION")" = ten ]
	[ "$(pinned cat "$LOCATION/version")" = one ]
}

@test "cat, head, sha256sum, stat, ls, readlink, realpath, test" {
	equal 'cat "$TREE/version" "$TREE/app-misc/link" "$TREE/app-misc/two words/a b"'
	equal 'head -n1 "$TREE/SUMS"; sha256sum "$TREE/header"'
	equal 'stat -c "%i %s %y %F" "$TREE/" "$TREE/header" "$TREE/app-misc/link"; stat -L -c "%i %s" "$TREE/app-misc/link"'
	equal 'ls -liR "$TREE/"'
	equal 'readlink "$TREE/app-misc/link"; readlink -f "$TREE/app-misc/link"; realpath "$TREE" "$TREE/app-misc/link"'
	equal 'for f in header none app-misc; do for t in e f d r x L; do test -$t "$TREE/$f" && echo $f $t; done; done; :'
}

@test "readlink -f of the location and of latest is the canonical snapshot" {
	[ "$(pinned readlink -f "$LOCATION")" = "$(realpath "$PINNED")" ]
	[ "$(pinned readlink -f "$STORE/latest")" = "$(realpath "$PINNED")" ]
	[ "$(pinned readlink "$STORE/latest")" = snapshots/1 ]
	[ "$(pinned readlink "$LOCATION")" = "$STORE/latest" ]
}

@test "bash: source, glob, cd, pwd, read, here and there" {
	equal '. "$TREE/tell"; "$TREE/tell"; bash "$TREE/tell"'
	equal 'shopt -s globstar nullglob; printf "%s\n" "$TREE"/**/*; echo "$TREE"/*/*/M*'
	equal 'cd "$TREE" && /bin/pwd -P && cat version && cd app-misc/one && cat ../../version'
	[ "$(cd / && pinned bash -c 'cd "$0/app-misc/one" && cat ../../../../latest/version' "$LOCATION")" = one ]
	equal 'cd "$TREE/app-misc" && cd .. && pwd -P && ls'
	equal 'read -r line <"$TREE/version"; echo "$line"; mapfile -t all <"$TREE/SUMS"; echo "${all[@]}"'
	equal 'cmp "$TREE/version" <(cat "$TREE/version") && echo same'
}

@test "node: fs.stat, which is a system call by number, and fs.readFile" {
	skip_unless_command node
	equal 'node -e "const fs = require(\"fs\"); for (const f of [\"version\", \"app-misc/link\", \"header\"]) {
		const s = fs.statSync(process.argv[1] + \"/\" + f); console.log(f, s.ino, s.size, fs.existsSync(process.argv[1] + \"/\" + f));
		fs.stat(process.argv[1] + \"/\" + f, (e, t) => console.log(f, t.ino));
		fs.readFile(process.argv[1] + \"/\" + f, (e, t) => console.log(f, t.length));
	}" "$TREE" | sort'
}

@test "python3: open, os.walk, os.scandir, realpath, glob, pathlib, copytree" {
	[ -x /usr/bin/python3 ] || lib_skip_installed "there is no /usr/bin/python3 here"
	cat >"$T/walk.py" <<-'PY'
		import glob, hashlib, os, pathlib, shutil, sys
		tree = sys.argv[1]
		for base, dirs, files in os.walk(tree):
		    dirs.sort()
		    for name in sorted(files):
		        path = os.path.join(base, name)
		        print(path, os.stat(path).st_ino, hashlib.sha256(open(path, 'rb').read()).hexdigest())
		print(os.path.realpath(tree), os.path.realpath(tree + '/app-misc/link'))
		print(sorted(e.name + str(e.inode()) for e in os.scandir(tree)))
		print(sorted(glob.glob(tree + '/*/*/*')), sorted(str(p) for p in pathlib.Path(tree).rglob('*')))
		print(pathlib.Path(tree, 'version').resolve(), os.access(tree + '/tell', os.X_OK), os.path.islink(tree + '/app-misc/link'))
		fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
		print(os.listdir(fd) == os.listdir(tree), os.stat('version', dir_fd=fd).st_ino, os.readlink('app-misc/link', dir_fd=fd))
		os.chdir(tree)
		print(os.getcwd(), open('version').read())
		shutil.copytree(tree, sys.argv[2])
	PY
	/usr/bin/python3 -B "$T/walk.py" "$PINNED" "$T/copy-bare" >"$T/want"
	pinned /usr/bin/python3 -B "$T/walk.py" "$LOCATION" "$T/copy-pinned" >"$T/got"
	sed -i "s|$PINNED|TREE|g; s|$LOCATION|TREE|g" "$T/want" "$T/got"
	diff "$T/want" "$T/got"
	diff -r "$T/copy-bare" "$T/copy-pinned"
	[ "$(version_of "$T/copy-pinned")" = one ]
}

@test "find: print, exec, execdir, xargs" {
	equal 'find "$TREE/" -printf "%p %i %s %T@ %l\n" | sort'
	equal 'find -L "$TREE" -type f -exec cat {} \; | sort'
	equal 'find "$TREE/" -name "*.ebuild" -execdir cat {} +'
	equal 'cd "$TREE" && find . -type f -print0 | xargs -0 cat | sort'
}

@test "tar, cp, grep, rsync: whole trees" {
	equal 'tar -C "$TREE" -cf - . | tar tvf - | sort'
	pinned tar -C "$(dirname "$LOCATION")" -chf "$T/a.tar" "$(basename "$LOCATION")"
	mkdir "$T/from-tar"
	tar -C "$T/from-tar" -xf "$T/a.tar"
	[ "$(version_of "$T/from-tar/$(basename "$LOCATION")")" = one ]
	pinned cp -aL "$LOCATION" "$T/from-cp"
	[ "$(version_of "$T/from-cp")" = one ]
	equal 'grep -r version "$TREE/" | sort'
	equal 'grep -l -R version "$TREE" | sort'
	skip_unless_command rsync
	pinned rsync -a "$LOCATION/" "$T/from-rsync/"
	[ "$(version_of "$T/from-rsync")" = one ]
}

@test "git: log, status, grep, show, clone of a repository in the tree" {
	skip_unless_command git
	local n
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME=$T GIT_OPTIONAL_LOCKS=0
	export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t
	export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
	for n in 1 10; do
		git init -q "$STORE/snapshots/$n/repo"
		cp "$STORE/snapshots/$n/version" "$STORE/snapshots/$n/repo/file"
		git -C "$STORE/snapshots/$n/repo" add file
		git -C "$STORE/snapshots/$n/repo" commit -qm "of $n"
	done
	equal 'git -c safe.directory="*" -C "$TREE/repo" log --format="%H %s"'
	equal 'git -c safe.directory="*" -C "$TREE/repo" show HEAD:file; git -C "$TREE/repo" rev-parse --show-toplevel'
	equal 'cd "$TREE/repo" && git grep -n . && git status --short --branch'
	pinned git clone -q "$LOCATION/repo" "$T/clone"
	[ "$(cat "$T/clone/file")" = one ]
}

@test "a swap in the middle of a program changes nothing" {
	cat >"$T/swap.sh" <<-'SH'
		for i in 1 2 3 4 5; do
			ln -s snapshots/$((i % 2 ? 1 : 10)) "$STORE/next"
			mv -T "$STORE/next" "$STORE/latest"
			cat "$LOCATION/version" "$STORE/latest/version"
			(cd "$LOCATION" && cat version)
			readlink "$STORE/latest"
		done
	SH
	export STORE LOCATION
	pinned bash "$T/swap.sh" | sort -u >"$T/got"
	printf '%s\n' one snapshots/1 | diff - "$T/got"
}

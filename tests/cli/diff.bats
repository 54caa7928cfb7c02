#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo diff

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# publish: $T/tree as it is
publish() { repo sync --quiet --type rsync --uri "$T/tree" --set sync-rcu-spare-snapshots=9; }

# differs A B [LINE...]: exactly these, each "change what kind path" with - for nothing
differs() {
	repo diff "$1" "$2" --json >"$T/json"
	/usr/bin/python3 -c 'import json, sys
for row in json.load(open(sys.argv[1]))["diff"]:
    assert list(row) == ["change", "what", "kind", "path"], row
    print(row["change"], row["what"] or "-", row["kind"], row["path"])' "$T/json" >"$T/got"
	shift 2
	printf '%s\n' "$@" | sed '/^$/d' >"$T/want"
	diff "$T/want" "$T/got"
}

@test "added, removed, changed in content, in metadata, in both, in kind; nothing else" {
	mkdir -p "$T/tree/dir/sub" "$T/tree/same" "$T/tree/gone"
	local name
	for name in dir/content dir/metadata dir/both dir/kind dir/sub/x same/a same/b gone/file; do
		echo "of $name" >"$T/tree/$name"
	done
	ln -s one "$T/tree/link"
	find "$T/tree" -exec touch -h -d @1500000000 {} +
	publish
	differs 1 1
	echo "OF dir/content" >"$T/tree/dir/content"
	touch -d @1500000000 "$T/tree/dir/content"
	chmod 600 "$T/tree/dir/metadata"
	echo "longer than it was" >"$T/tree/dir/both"
	rm "$T/tree/dir/kind"
	mkdir "$T/tree/dir/kind"
	touch "$T/tree/dir/kind/in"
	rm -r "$T/tree/gone"
	ln -sfn two "$T/tree/link"
	touch -h -d @1500000000 "$T/tree/link"
	mkdir "$T/tree/new"
	touch "$T/tree/new/file"
	chmod 700 "$T/tree/same"
	find "$T/tree" -type d -exec touch -d @1500000000 {} +
	repo sync --quiet --type rsync --uri "$T/tree" --set sync-rcu-spare-snapshots=9 --set sync-rsync-extra-opts=--checksum
	differs 1 2 \
		'changed content,metadata file dir/both' \
		'changed content file dir/content' \
		'changed kind directory dir/kind' \
		'added - file dir/kind/in' \
		'changed metadata file dir/metadata' \
		'removed - directory gone' \
		'removed - file gone/file' \
		'changed content link link' \
		'added - directory new' \
		'added - file new/file' \
		'changed metadata directory same'
	# and the other way round
	repo diff 2 1 >"$T/table"
	grep -E '^added +file +gone/file' "$T/table"
	grep -E '^changed +kind +file +dir/kind' "$T/table"
	[ "$(sed 1q "$T/table" | tr -s ' ')" = "CHANGE WHAT KIND PATH" ]
	[ "$(wc -l <"$T/table")" = 12 ]
}

@test "a file that was written anew as it was is the same" {
	make_version "$T/tree" A
	publish
	repo update -- sh -c 'cp -a header x && mv x header && touch -d @1600000000 . && echo new >new && touch -d @1600000000 .'
	differs 1 2 'changed metadata directory .' 'added - file new'
}

@test "names that are long, deep, or no text" {
	local name
	mkdir "$T/tree"
	touch "$T/tree/first"
	publish
	name=$(printf 'n%.0s' {1..250})
	repo update --quiet -- bash -c 'touch new$'"'"'\n'"'"'line by$'"'"'\xff'"'"'tes
		for i in {1..20}; do mkdir "$1" && cd "$1" || exit; done
		touch end' bash "$name"
	repo diff 1 2 >"$T/table"
	[ "$(wc -l <"$T/table")" = 25 ]
	grep -F 'new\x0Aline' "$T/table"
	grep -F 'by\xFFtes' "$T/table"
	grep "$name/end" "$T/table"
	repo diff 1 2 --json | /usr/bin/python3 -c 'import json, sys
paths = [row["path"] for row in json.loads(sys.stdin.buffer.read().decode())["diff"]]
assert "new\nline" in paths and "by\ufffdtes" in paths, paths'
}

@test "by a kept name; what is not there; too few and too many words" {
	sync_version A
	sync_version B
	repo keep 1 --name old
	repo diff old 2 | grep -E '^changed +content,metadata +file +version'
	refused 1 'there is no snapshot 7' repo diff 1 7
	refused 1 'there is no snapshot x' repo diff x 2
	refused 2 'A and B are needed' repo diff 1
	refused 2 'A and B are needed' repo diff 1 2 3
	two_repositories
	rcu_repo sync
	rcu_repo diff one 1 1
}

@test "both snapshots are pinned while they are compared; anybody may" {
	skip_unless_command strace
	for_everybody
	sync_version A
	sync_version B
	run -0 --separate-stderr unprivileged "$RCU_REPO" diff --location "$LOCATION" 1 2
	[ -n "$output" ]
	traced -f -o "$T/trace" -e trace=openat "$RCU_REPO" diff --location "$LOCATION" 1 2
	# the pin is opened before the tree is
	awk '/pins\/1"/ { pin = 1 } /snapshots\/1"/ && !pin { exit 1 }' "$T/trace"
	grep 'pins/2"' "$T/trace"
}

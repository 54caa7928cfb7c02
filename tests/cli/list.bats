#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo list

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# as_json PYTHON: runs it with `rows`, what `list --json` said, on $T/json
as_json() {
	/usr/bin/python3 - "$T/json" <<-END
		import json, sys, datetime
		rows = json.load(open(sys.argv[1]))["snapshots"]
		${1//$'\t'/}
	END
}

@test "a table: number, state, name, times, age, pins" {
	sync_version A
	sync_version B
	reader "$LOCATION" -s 1
	run -0 --separate-stderr repo list
	[ "${#lines[@]}" = 3 ]
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "NUMBER STATE NAME PUBLISHED RETIRED AGE PINS" ]
	[[ ${lines[1]} =~ ^\ *1\ retired\ .*\ 1$ ]]
	[[ ${lines[2]} =~ ^\ *2\ latest\ .*\ 0$ ]]
	[[ ${lines[1]} =~ [0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{8}\ +[0-9]{4} ]]
	repo keep 1 --name older
	run -0 --separate-stderr repo list
	[[ ${lines[1]} =~ ^\ *1\ kept\ *older\ .*\ [0-9]+[sm]\ *1$ ]]
}

@test "--measure: files, and the space of all of them, of its own, and shared" {
	local tree=$T/made
	mkdir "$tree"
	head -c 100000 /dev/urandom >"$tree/a"
	head -c 50000 /dev/urandom >"$tree/b"
	ln "$tree/b" "$tree/c"
	repo sync --type rsync --uri "$tree"
	head -c 20000 /dev/urandom >"$tree/d"
	repo sync --type rsync --uri "$tree"
	run -0 --separate-stderr repo list --measure
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "NUMBER STATE NAME PUBLISHED RETIRED AGE PINS FILES SIZE OWN SHARED" ]
	repo list --measure --json >"$T/json"
	as_json 'assert [r["files"] for r in rows] == [3, 4], rows
		for r in rows:
		    assert r["own"] + r["shared"] == r["size"] >= 150000, r
		assert rows[0]["own"] < 20000 <= rows[1]["own"] < 100000, rows'
}

@test "without --measure no snapshot is looked into" {
	skip_unless_command strace
	sync_version A
	traced -f -o "$T/trace" -e trace=file "$RCU_REPO" list --location "$LOCATION"
	grep -q 'snapshots' "$T/trace"
	[ "$(grep -c app-misc "$T/trace")" = 0 ]
	traced -f -o "$T/trace" -e trace=file "$RCU_REPO" list --location "$LOCATION" --measure
	grep -q app-misc "$T/trace"
}

@test "a damaged file in meta is named, and stops nothing" {
	sync_version A
	sync_version B
	sync_version C
	echo nonsense >"$STORE/.rcu-repo/meta/1"
	run -0 --separate-stderr repo list
	[[ $stderr == *".rcu-repo/meta/1 is damaged"* ]]
	[[ ${lines[1]} =~ ^\ *1\ damaged ]]
	[[ ${lines[2]} =~ ^\ *2\ retired ]]
	[[ ${lines[3]} =~ ^\ *3\ latest ]]
}

@test "--json: numbers are numbers, times are ISO 8601 in UTC, what is not known is null" {
	sync_version A
	sync_version B
	reader "$LOCATION" -s 1
	local option
	repo keep 1
	for option in "" --measure; do
		repo list --json $option >"$T/json"
		as_json 'assert [r["number"] for r in rows] == [1, 2], rows
			assert [r["state"] for r in rows] == ["kept", "latest"], rows
			assert [r["pins"] for r in rows] == [1, 0], rows
			assert rows[1]["retired"] is None
			for r in rows:
			    assert list(r) == ["number", "state", "name", "published", "retired", "age", "pins", "files", "size",
			            "own", "shared"], r
			    for key in ("files", "size", "own", "shared"):
			        assert type(r[key]) is int and r[key] >= 0 if "'"$option"'" else r[key] is None, r
			    assert type(r["age"]) is int and r["name"] is None, r
			    datetime.datetime.strptime(r["published"], "%Y-%m-%dT%H:%M:%SZ")
			assert rows[0]["files"] in (9, None), rows'
	done
}

@test "foreign names are reported, and are no rows" {
	sync_version A
	touch "$STORE/snapshots/lost+found"
	run -0 --separate-stderr repo list
	[ "${#lines[@]}" = 2 ]
	[[ $stderr == *"lost+found"*"left alone"* ]]
}

@test "anybody may look" {
	for_everybody
	sync_version A
	run -0 --separate-stderr unprivileged "$RCU_REPO" list --location "$LOCATION"
	[[ ${lines[1]} == *latest* ]]
}

@test "what cannot be measured is listed all the same, and named" {
	for_everybody
	make_version "$SOURCE" A
	mkdir -m 700 "$SOURCE/closed"
	repo sync --type rsync --uri "$SOURCE"
	run -0 --separate-stderr unprivileged "$RCU_REPO" list --location "$LOCATION" --measure
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[1]} == *latest* ]]
	[[ $stderr == *"snapshot 1 cannot be measured: 1: cannot open closed: Permission denied"* ]] || { echo "$stderr"; return 1; }
	unprivileged "$RCU_REPO" list --location "$LOCATION" --measure --json | /usr/bin/python3 -c 'import json, sys
row, = json.load(sys.stdin)["snapshots"]
assert (row["number"], row["files"], row["size"], row["own"], row["pins"]) == (1, None, None, None, 0), row'
	repo list --measure --json | /usr/bin/python3 -c 'import json, sys
row, = json.load(sys.stdin)["snapshots"]
assert row["files"] == 9, row'
}

@test "a store that is not there, a location that is none" {
	run -1 --separate-stderr repo list
	[ -z "$output" ]
	[ ! -e "$STORE" ]
	mkdir "$T/plain"
	refused 2 'is a directory, not an RCU location' rcu_repo list --location "$T/plain"
	refused 2 'does not exist' rcu_repo list --location "$T/none"
}

@test "a store that Portage made is shown as it is" {
	make_version "$STORE/snapshots/3" A
	ln -s snapshots/3 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	repo list --json >"$T/json"
	/usr/bin/python3 -c 'import json, sys
row, = json.load(open(sys.argv[1]))["snapshots"]
assert (row["number"], row["published"], row["state"]) == (3, None, "latest"), row' "$T/json"
}

@test "an output that cannot be written is an error" {
	[ -e /dev/full ] || skip "there is no /dev/full here"
	sync_version A
	run -1 bash -c '"$1" list --location "$2" >/dev/full' bash "$RCU_REPO" "$LOCATION"
}

@test "an output that is closed is an error, whatever else is closed" {
	local closed
	sync_version A
	for closed in '>&-' '<&- >&-' '>&- 2>&-' '<&- >&- 2>&-'; do
		run -1 bash -c "\"\$1\" list --location \"\$2\" $closed" bash "$RCU_REPO" "$LOCATION"
	done
	run -0 bash -c '"$1" gc --location "$2" <&- >&- 2>&-' bash "$RCU_REPO" "$LOCATION"
	[ -z "$(find "$STORE" -type f -newer "$STORE/latest" -size +1k -path '*pins*')" ]
}

@test "a progress line after a second, on a terminal alone, and none is left" {
	skip_unless_command script
	make_version "$SOURCE" A
	mkfifo "$T/gate"
	repo sync --type rsync --uri "$SOURCE"
	# strace holds one call up for longer than a second
	skip_unless_command strace
	script -qec "ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e trace=statx -e inject=statx:delay_enter=2300000:when=3 \
		'$RCU_REPO' list --measure --location '$LOCATION'" "$T/typed" </dev/null
	grep -F 'rcu-repo: measuring snapshot 1 (1 s)' "$T/typed"
	# wiped before the table
	grep -P '\r\e\[K(.*\r\e\[K)?NUMBER' "$T/typed"
	run -0 --separate-stderr traced -f -o /dev/null -e trace=statx -e inject=statx:delay_enter=1500000:when=3 \
		"$RCU_REPO" list --measure --location "$LOCATION"
	[ -z "$stderr" ]
}

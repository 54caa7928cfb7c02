#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo list

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "a table: number, times, sizes, pins, state" {
	sync_version A
	sync_version B
	reader "$LOCATION" -s 1
	run -0 --separate-stderr repo list
	[ "${#lines[@]}" = 3 ]
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "NUMBER PUBLISHED RETIRED FILES SIZE OWN PINS STATE" ]
	[[ ${lines[1]} =~ ^\ *1\ .*\ 1\ retired$ ]]
	[[ ${lines[2]} =~ ^\ *2\ .*\ 0\ latest$ ]]
	[[ ${lines[1]} =~ [0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{8}\ +[0-9]{4} ]]
}

@test "--json: numbers are numbers, times are ISO 8601 in UTC, what is not known is null" {
	sync_version A
	sync_version B
	reader "$LOCATION" -s 1
	repo list --json >"$T/json"
	/usr/bin/python3 - "$T/json" <<-'END'
		import json, sys, re, datetime
		rows = json.load(open(sys.argv[1]))["snapshots"]
		assert [r["number"] for r in rows] == [1, 2], rows
		assert [r["state"] for r in rows] == ["retired", "latest"], rows
		assert [r["pins"] for r in rows] == [1, 0], rows
		assert rows[1]["retired"] is None
		for r in rows:
		    assert set(r) == {"number", "published", "retired", "files", "size", "own", "pins", "state"}, r
		    for key in ("files", "size", "own"):
		        assert type(r[key]) is int and r[key] >= 0, r
		    datetime.datetime.strptime(r["published"], "%Y-%m-%dT%H:%M:%SZ")
		assert rows[0]["files"] == 9, rows
	END
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
	[[ ${lines[1]} == *latest ]]
}

@test "what cannot be measured is listed all the same, and named" {
	for_everybody
	make_version "$SOURCE" A
	mkdir -m 700 "$SOURCE/closed"
	repo sync --type rsync --uri "$SOURCE"
	run -0 --separate-stderr unprivileged "$RCU_REPO" list --location "$LOCATION"
	[ "${#lines[@]}" = 2 ]
	[[ ${lines[1]} == *latest ]]
	[[ $stderr == *"snapshot 1 cannot be measured: 1: cannot open closed: Permission denied"* ]] || { echo "$stderr"; return 1; }
	unprivileged "$RCU_REPO" list --location "$LOCATION" --json | /usr/bin/python3 -c 'import json, sys
row, = json.load(sys.stdin)["snapshots"]
assert (row["number"], row["files"], row["size"], row["own"], row["pins"]) == (1, None, None, None, 0), row'
	repo list --json | /usr/bin/python3 -c 'import json, sys
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

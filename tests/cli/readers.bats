#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo readers

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

@test "who pins what: snapshot, pid, user, command" {
	sync_version A
	sync_version B
	reader "$LOCATION" -s 1
	local first=$BACKGROUND
	reader "$LOCATION"
	run -0 --separate-stderr repo readers
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "REPO SNAPSHOT PID NSPID USER SINCE VIA COMMAND" ]
	grep -E "^$LOCATION +1 +$first +$(id -un) +[0-9]{4}-[0-9-]+ [0-9:]+ +(mapping|descriptor) +(sleep 1000|bash -c)" <<<"$output"
	grep -E "^$LOCATION +2 +$BACKGROUND " <<<"$output"
	kill -9 "$first"
	wait_until gone "$first"
	repo readers | awk -v pid="$first" '$3 == pid { exit 1 }'
}

@test "--json" {
	sync_version A
	reader "$LOCATION"
	repo readers --json >"$T/json"
	/usr/bin/python3 - "$T/json" "$BACKGROUND" "$LOCATION" <<-'END'
		import json, sys, datetime
		rows = json.load(open(sys.argv[1]))["readers"]
		row, = [r for r in rows if r["pid"] == int(sys.argv[2])]
		assert list(row) == ["repo", "snapshot", "pid", "nspid", "user", "since", "via", "command"], row
		assert row["repo"] == sys.argv[3] and row["snapshot"] == 1, row
		assert row["nspid"] is None and row["via"] in ("mapping", "descriptor"), row
		assert type(row["pid"]) is int and type(row["user"]) is str, row
		datetime.datetime.strptime(row["since"], "%Y-%m-%dT%H:%M:%SZ")
		assert row["command"].startswith(("bash -c", "sleep 1000")), row
	END
}

@test "nobody" {
	sync_version A
	repo readers --json | /usr/bin/python3 -c 'import json, sys
assert json.load(sys.stdin)["readers"] == []'
}

@test "all repositories in one table" {
	two_repositories
	rcu_repo sync
	reader "$T/one"
	reader "$T/two"
	run -0 --separate-stderr rcu_repo readers
	[ "$(grep -c REPO <<<"$output")" = 1 ]
	grep '^one ' <<<"$output"
	grep '^two ' <<<"$output"
	run -0 --separate-stderr rcu_repo readers two
	[ "$(grep -c '^one ' <<<"$output")" = 0 ]
}

@test "processes that we may not look into are counted" {
	for_everybody
	sync_version A
	reader "$LOCATION"
	run -0 --separate-stderr unprivileged "$RCU_REPO" readers --location "$LOCATION"
	[[ $stderr == *"may not look into: "[1-9]* ]]
	[ "$(grep -c "$BACKGROUND" <<<"$output")" = 0 ]
}

@test "a reader in another pid namespace, and what it is called there" {
	skip_unless_root
	unshare --pid --fork true 2>/dev/null || skip "this machine does not let us make a pid namespace"
	sync_version A
	background unshare --pid --fork --kill-child "$RCU_EXEC" -l "$LOCATION" -- bash -c 'touch "$1"; sleep 1000; :' bash "$T/pinned"
	wait_until test -e "$T/pinned"
	repo readers --json | /usr/bin/python3 -c 'import json, sys
rows = json.load(sys.stdin)["readers"]
row, = (row for row in rows if row["command"].startswith("bash -c"))
assert row["nspid"] == 1 and row["pid"] > 1, row'
}

@test "a process in a namespace of rcu-exec holds nothing, and is seen" {
	skip_unless_root
	unshare -m true 2>/dev/null || skip "this machine does not let us make a mount namespace"
	sync_version A
	sync_version B
	background "$RCU_EXEC" --via=namespace -s 1 -l "$LOCATION" -- bash -c 'touch "$1"; sleep 1000; :' bash "$T/pinned"
	wait_until test -e "$T/pinned"
	repo readers --json | /usr/bin/python3 -c 'import json, sys
rows = json.load(sys.stdin)["readers"]
row, = (row for row in rows if row["pid"] == int(sys.argv[1]))
assert (row["snapshot"], row["via"]) == (1, "namespace"), row
assert any(row["via"] == "descriptor" and row["snapshot"] == 1 for row in rows), rows' "$BACKGROUND"
}

@test "names with newlines and escapes make no second line" {
	sync_version A
	rm -f "$T/pinned"
	background "$RCU_EXEC" -l "$LOCATION" -- bash -c 'touch "$1"; while :; do sleep 1; done' \
		bash "$T/pinned" $'new\nline\e[31m'
	wait_until test -e "$T/pinned"
	repo readers | grep -F 'new\x0Aline\x1B[31m'
	repo readers --json | /usr/bin/python3 -c 'import json, sys
row, = (row for row in json.load(sys.stdin)["readers"] if row["pid"] == int(sys.argv[1]))
assert row["command"].endswith("new\nline\x1b[31m"), row' "$BACKGROUND"
}

@test "bytes of any kind, in any locale: a table, and JSON that is one" {
	local locale
	sync_version A
	rm -f "$T/pinned"
	background "$RCU_EXEC" -l "$LOCATION" -- bash -c 'touch "$1"; while :; do sleep 1; done' \
		bash "$T/pinned" $'caf\xc3\xa9 \xff\xfe \x9b31m \xc2\x9b "q" \\'
	wait_until test -e "$T/pinned"
	for locale in C C.UTF-8; do
		LC_ALL=$locale timeout 60 "$RCU_REPO" readers --location "$LOCATION" >"$T/table"
		grep -F '\xFF\xFE \x9B31m \xC2\x9B "q" \' "$T/table"
		LC_ALL=$locale repo readers --json | /usr/bin/python3 -c 'import json, sys
rows = json.loads(sys.stdin.buffer.read().decode())["readers"]
row, = (row for row in rows if row["pid"] == int(sys.argv[1]))
assert row["command"].endswith("caf\u00e9 \ufffd\ufffd \ufffd31m \x9b \"q\" \\"), row' "$BACKGROUND"
	done
}

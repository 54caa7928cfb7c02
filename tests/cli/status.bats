#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rcu-repo status

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

versions() {
	local name
	for name; do
		sync_version "$name" --set sync-rcu-spare-snapshots=9
	done
}

# says PYTHON [OPTION...]: status --json, as `rows`, and of them `items` by name and `snapshots` by number
says() {
	local code=${1//$'\t'/}
	shift
	repo status --json "$@" >"$T/json"
	/usr/bin/python3 - "$T/json" "$BACKGROUND" <<-END
		import json, sys, datetime
		rows = json.load(open(sys.argv[1]))["status"]
		for row in rows:
		    assert list(row) == ["repo", "item", "number", "state", "until", "pins", "size", "by"], row
		    for key, kind in (("number", int), ("pins", int), ("size", int), ("by", str)):
		        assert row[key] is None or type(row[key]) is kind, row
		    if row["until"]:
		        datetime.datetime.strptime(row["until"], "%Y-%m-%dT%H:%M:%SZ")
		snapshots = {row["number"]: row for row in rows if row["item"] == "snapshot"}
		items = {row["item"]: row for row in rows if row["item"] != "snapshot"}
		pid = "pid " + sys.argv[2] + " "
		$code
	END
}

@test "why each snapshot is there, by whom and until when" {
	versions A B C D E F
	repo keep 1 --name old
	reader "$LOCATION" -s 2
	sed -i 's/^retired = .*/retired = 1000000000/' "$STORE/.rcu-repo/meta/"[23]
	sed -i 's/^retired = .*/retired = 4000000000/' "$STORE/.rcu-repo/meta/5"
	says 'states = {n: row["state"] for n, row in snapshots.items()}
		assert states == {1: "kept", 2: "pinned", 3: "free", 4: "young", 5: "spare", 6: "latest"}, states
		assert snapshots[1]["by"] == "keep --name old", rows
		assert snapshots[2]["by"].startswith(pid) and snapshots[2]["pins"] == 1, rows
		assert snapshots[3]["by"] == "the next gc takes it", rows
		assert snapshots[4]["until"] > "2026" and snapshots[5]["until"] is None, rows
		assert items == {}, rows'
	run -0 --separate-stderr repo status
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "REPO ITEM NUMBER STATE UNTIL PINS SIZE BY" ]
	[ "${#lines[@]}" = 7 ]
	# retired long ago, and a pin is all that keeps it
	[[ $stderr == *"snapshot 2, retired "*" is still pinned by pid $BACKGROUND "* ]]
}

@test "a pin is shown whatever else keeps the snapshot" {
	versions A B
	reader "$LOCATION"
	says 'assert snapshots[2]["state"] == "latest" and snapshots[2]["pins"] == 1 and pid in snapshots[2]["by"], rows'
	for _ in 1 2 3 4; do reader "$LOCATION"; done
	says 'assert snapshots[2]["pins"] == 5 and snapshots[2]["by"].endswith("; and 2 more"), rows'
}

@test "the spare: which snapshot it is as, and what it takes" {
	local i
	[ "$(id -u)" = 0 ] || skip "needs root: nobody else sees all processes"
	for i in A B A; do
		sync_version "$i" --set sync-rcu-ttl-days=0
	done
	[ -n "$(ls "$STORE/.rcu-repo/spare")" ] || skip "in a PID namespace nothing is recycled"
	says 'spare = items["spare"]
		assert (spare["number"], spare["state"], spare["size"]) == (3, "ready", None), rows'
	says 'assert items["spare"]["size"] > 0, rows' --measure
	repo gc
	says 'assert "spare" not in items, rows'
}

@test "a hold, a reservation, trash, what a writer left" {
	versions A B
	says 'assert items == {}, rows'
	repo begin --owner $$
	repo rollback --hold
	head -c 100000 /dev/zero >"$STORE/.rcu-repo/trash/left"
	says 'assert items["hold"]["state"] == "held" and items["hold"]["number"] == 1, rows
		assert items["staging"]["state"] == "reserved" and "'$$'" in items["staging"]["by"], rows
		assert items["trash"]["size"] >= 100000, rows
		assert items["staging"]["size"] is None, rows'
	says 'assert items["staging"]["size"] > 0, rows' --measure
	repo abort
	mkdir "$STORE/.rcu-repo/staging/left"
	touch "$STORE/.rcu-repo/trash/left"
	says 'assert items["staging"]["state"] == "left" and "staging/left" in items["staging"]["by"], rows'
	# it was a look
	[ -e "$STORE/.rcu-repo/staging/left" ]
	[ -e "$STORE/.rcu-repo/trash/left" ]
}

@test "a writer at work: each row says which tree it is" {
	versions A
	repo update -- sh -c 'echo x >x; exec "$1" status --location "$2" >"$3"' sh "$RCU_REPO" "$LOCATION" "$T/rows"
	grep -E 'staging +in use .*a writer at work: .rcu-repo/staging/[0-9a-f.]+$' "$T/rows"
	grep staging "$T/rows" | sort >"$T/sorted"
	uniq "$T/sorted" | cmp - "$T/sorted"
	run -0 --separate-stderr repo status
	[[ $output != *staging* ]]
	# refused: it stays for a look, and nobody is at work
	refused 1 'stays for a look' repo update --set sync-rcu-verify=false -- touch y
	run -0 --separate-stderr repo status
	grep -E 'staging +left .*died or was refused' <<<"$output"
}

@test "beside Portage, which knows no pins, a pinned snapshot is in danger" {
	make_version "$STORE/snapshots/3" A
	make_version "$STORE/snapshots/4" B
	ln -s snapshots/4 "$STORE/latest"
	ln -s "$STORE/latest" "$LOCATION"
	says 'assert items == {}, rows'
	reader "$LOCATION"
	says 'assert "may delete pinned snapshots" in items["portage"]["by"], rows'
}

@test "anybody may look; what he may not ask is said" {
	for_everybody
	versions A B
	reader "$LOCATION" -s 1
	run -0 --separate-stderr unprivileged "$RCU_REPO" status --location "$LOCATION" \
		--set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	grep -E 'snapshot +1 unknown .*only the store.s owner may ask' <<<"$output"
	[[ $stderr == *"may not look into: "[1-9]* ]]
}

@test "what is damaged is named, and the rest is shown" {
	versions A B C
	echo nonsense >"$STORE/.rcu-repo/meta/1"
	run -1 --separate-stderr repo status
	grep -E 'snapshot +1 damaged .*meta/1 is damaged' <<<"$output"
	grep -E 'snapshot +3 latest' <<<"$output"
	rm "$STORE/.rcu-repo/meta/1"
	ln -sfn snapshots/77 "$STORE/latest"
	refused 1 'latest names no snapshot' repo status
}

@test "several repositories in one table, names that steer a terminal" {
	two_repositories
	rcu_repo sync
	run -0 --separate-stderr rcu_repo status
	grep '^one ' <<<"$output"
	grep '^two ' <<<"$output"
	printf '[%s]\nlocation = %s\nsync-rcu-store-dir = %s\n' $'it\e[31m' "$T/one" "$T/store-one" >"$T/repos.conf"
	run -0 --separate-stderr rcu_repo status
	[[ $output == *'it\x1B[31m'* ]]
	[[ $output != *$'\e'* ]]
}

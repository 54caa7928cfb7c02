#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sync-type command

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# sync_by SCRIPT [OPTION...]: by this shell script; a file, for quotes are repos.conf's matter
sync_by() {
	echo "$1" >"$T/script"
	shift
	repo sync --type command --uri "an address" --set "sync-rcu-command=sh -e '$T/script'" "$@"
}

@test "a program makes the first version, and brings each copy up to date, in place" {
	make_version "$SOURCE" A
	sync_by "cp -a $SOURCE/. ."
	[ "$(version_of "$LOCATION")" = A ]
	cp -a "$STORE/snapshots/1" "$T/before"
	make_version "$SOURCE" B
	sync_by "rsync -a --inplace --delete $SOURCE/ ./; echo \"\$RCU_REPO_STAGING|\$RCU_REPO_LOCATION|\$RCU_REPO_NAME|\$RCU_REPO_URI|\$RCU_REPO_BASE|\$PWD\" >$T/seen"
	[ "$(version_of "$LOCATION")" = B ]
	[[ $(cat "$T/seen") == "$STORE/.rcu-repo/staging/"*"|$LOCATION|$LOCATION|an address|$STORE/snapshots/1|$STORE/.rcu-repo/staging/"* ]]
	[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/before/" "$STORE/snapshots/1/")" ]
	sync_by true 2>&1 | grep 'nothing changed: snapshot 2'
}

@test "held in each way: no write reaches a snapshot, the tree is no copy, and all that changed is published" {
	make_version "$SOURCE" A
	sync_by "cp -a $SOURCE/. ."
	local way links=0 number=1 deep
	deep=$(cd "$SOURCE" && find . -mindepth 2 -type f -name '[a-z]*' ! -name '* *' | sort | head -n 1)
	for way in kernel preload copy; do
		cp -a "$STORE/snapshots/$number" "$T/$way"
		RCU_REPO_GUARD_WAY=$way sync_by "stat -c %h version >$T/links; echo $way >>$deep; mkdir ${deep%/*}/new-$way; echo x >${deep%/*}/new-$way/f; [ $way = kernel ] || rm -f ${deep%/*}/new-kernel/f" \
			--quiet 2>"$T/said"
		links=$(cat "$T/links")
		[ -z "$(rsync -aHAXcn --delete --modify-window=-1 -i "$T/$way/" "$STORE/snapshots/$number/")" ]
		number=$((number + 1))
		[ "$(latest)" = $number ]
		[ "$(tail -n 1 "$LOCATION/$deep")" = "$way" ]
		[ -d "$LOCATION/${deep%/*}/new-$way" ]
		[ "$STORE/snapshots/1/version" -ef "$LOCATION/version" ]
		# where a way is not possible here, or is not wanted, it is a copy
		case $way in
		copy) [ "$links" = 1 ] ;;
		preload) [ "$links" -gt 1 ] ;;
		kernel) [ "$(id -u)" != 0 ] || [ "$(stat -f -c %T "$T")" = overlayfs ] || [ "$links" -gt 1 ] ;;
		esac
	done
	[ ! -e "$LOCATION/${deep%/*}/new-kernel/f" ]
	repo check
}

@test "one that fails, is killed, hangs or is not there: published state as before" {
	make_version "$SOURCE" A
	sync_by "cp -a $SOURCE/. ."
	refused 1 'sh: exit status 3' sync_by 'echo bad >>header; exit 3'
	refused 1 'sh: killed by signal 9' sync_by 'echo bad >>header; kill -9 $$'
	refused 1 'sh: not done after 1 second' sync_by 'echo bad >>header; exec sleep 1000' --set sync-rcu-timeout=1
	refused 1 'no-such-program: not found' repo sync --type command --set sync-rcu-command=no-such-program
	refused 1 'is empty' sync_by 'find . -mindepth 1 -delete'
	refused 2 'sync-rcu-command = : not set' repo sync --type command
	[ "$(version_of "$LOCATION")" = A ]
	[ "$(latest)" = 1 ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "killed with its rcu-repo half-way: published state as before" {
	make_version "$SOURCE" A
	sync_by "cp -a $SOURCE/. ."
	# shellcheck disable=SC2016
	echo 'echo bad >>header; kill -9 $PPID; sleep 0.2' >"$T/script"
	run -137 "$RCU_REPO" sync --location "$LOCATION" --store "$STORE" --type command --set "sync-rcu-command=sh '$T/script'"
	[ "$(version_of "$LOCATION")" = A ]
	make_version "$SOURCE" B
	sync_by "rsync -a --inplace --delete $SOURCE/ ./"
	[ "$(version_of "$LOCATION")" = B ]
}

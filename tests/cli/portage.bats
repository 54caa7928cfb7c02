#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# One store for Portage and for us: alternately, at the same time, and by contrib/portage.

load ../lib
load helpers

setup() {
	lib_init
	skip_unless_command /usr/bin/python3
}
teardown() { lib_done; }

emerge_sync() { /usr/bin/python3 "$RCU_SRC/tests/cli/portage-steps.py" "$SOURCE" "$LOCATION" "$STORE" "$@"; }
ours_sync() { repo sync --quiet --type rsync --uri "$SOURCE" --set sync-rcu-spare-snapshots=1000; }

# a small change: $SOURCE's two files both become $1
change() {
	printf '%s\n' "$1" >"$SOURCE/one"
	printf '%s\n' "$1" >"$SOURCE/two"
}

@test "fifty rounds, alternately: nothing is lost, no number is used twice, check is clean" {
	local i n file
	mkdir -p "$SOURCE/sub"
	for i in {1..20}; do echo "$i" >"$SOURCE/sub/$i"; done
	change 1000
	ours_sync
	for ((i = 1001; i <= 1050; i++)); do
		# the size changes too, for rsync looks at whole seconds
		change "$i$(printf '%*s' $((i - 1000)) '')."
		if ((i % 2)); then emerge_sync 1000; else ours_sync; fi
		n=$((i - 999))
		[ "$(readlink "$LOCATION")" = "$STORE/latest" ]
		[ "$(readlink "$STORE/latest")" = "snapshots/$n" ]
		diff -r "$SOURCE" "$LOCATION/"
	done
	# each of them is what it was
	for ((i = 1001; i <= 1050; i++)); do
		for file in one two; do
			[ "$(cat "$STORE/snapshots/$((i - 999))/$file")" = "$i$(printf '%*s' $((i - 1000)) '')." ]
		done
	done
	[ "$(ls "$STORE/snapshots" | wc -l)" = 51 ]
	repo check
	# what Portage published can be pinned, and is let go of when its time has come
	rcu_exec -l "$LOCATION" -- true
	repo gc --set sync-rcu-ttl-days=0 >/dev/null
	[ "$(ls "$STORE/snapshots" | sort -n | tr '\n' ' ')" = "50 51 " ]
	is_empty "$STORE/.rcu-repo/staging"
	is_empty "$STORE/.rcu-repo/trash"
}

@test "a store that Portage made, also from an ordinary directory, is ours to go on with" {
	make_version "$SOURCE" A
	make_version "$LOCATION" old
	emerge_sync
	[ "$(version_of "$LOCATION")" = A ]
	ours_sync
	sync_version B
	[ "$(version_of "$LOCATION")" = B ]
	make_version "$SOURCE" C
	emerge_sync
	[ "$(version_of "$LOCATION")" = C ]
}

@test "a whole sync of Portage's during one of ours: one whole result" {
	sync_version A
	make_version "$T/source-portage" B
	make_version "$SOURCE" C
	rsync_with '[ -e "'"$T"'/once" ] || { touch "'"$T"'/once"
			/usr/bin/python3 "$RCU_SRC/tests/cli/portage-steps.py" "'"$T/source-portage"'" "'"$LOCATION"'" "'"$STORE"'" >&2
		}; real_rsync "$@"'
	run repo sync --type rsync --uri "$SOURCE"
	real_rsync_again
	[[ "$(version_of "$LOCATION")" = [BC] ]]
	sync_version D
	[ "$(version_of "$LOCATION")" = D ]
}

@test "a whole sync of ours during one of Portage's: one whole result" {
	sync_version A
	make_version "$SOURCE" B
	PAUSE=$T/pause background /usr/bin/python3 "$RCU_SRC/tests/cli/portage-steps.py" "$SOURCE" "$LOCATION" "$STORE"
	wait_until test -e "$T/pause.here"
	make_version "$T/source-ours" C
	repo sync --type rsync --uri "$T/source-ours"
	[ "$(version_of "$LOCATION")" = C ]
	touch "$T/pause.go"
	wait "$BACKGROUND"
	[ "$(version_of "$LOCATION")" = B ]
	[ "$(version_of "$STORE/snapshots/2")" = C ]
	sync_version D
	[ "$(version_of "$LOCATION")" = D ]
}

# --- contrib/portage ---

# Portage's Python, installed or by RCU_PORTAGE_LIB (a checkout's lib/)
skip_unless_portage() {
	export PYTHONPATH=$RCU_SRC/contrib/portage:${RCU_PORTAGE_LIB-} PYTHONDONTWRITEBYTECODE=1
	/usr/bin/python3 -c 'import portage.repository.storage.interface' 2>/dev/null ||
		skip "Portage's Python modules are not here (RCU_PORTAGE_LIB)"
	export RCU_REPO
}

# storage STEP...: the steps of a sync by the class that Portage's SyncBase chooses, rsync as Portage runs it
storage() {
	/usr/bin/python3 - "$SOURCE" "$LOCATION" "$STORE" "$@" <<-'END'
		import asyncio, subprocess, sys
		import rcu_repo_portage
		import portage
		import portage.sync.syncbase
		from portage.repository.storage.interface import RepoStorageException

		class Repo:
		    name = "test"
		    sync_rcu = True
		    sync_allow_hardlinks = True
		    sync_rcu_spare_snapshots = 1
		    sync_rcu_ttl_days = 0
		    sync_user = None

		repo = Repo()
		source, repo.user_location, repo.sync_rcu_store_dir = sys.argv[1:4]
		base = portage.sync.syncbase.SyncBase("true", "none")
		base.repo = repo
		base.spawn_kwargs = {}
		name = base._select_storage_module()
		assert name == "rcu_repo_portage.storage.RcuRepoStorage", name
		repo.sync_rcu = False
		assert base._select_storage_module().startswith("portage."), "others are Portage's"
		repo.sync_rcu = True

		async def steps():
		    try:
		        storage = portage.load_mod(name)(repo, {})
		        for step in sys.argv[4:]:
		            if step == "rsync":
		                subprocess.run(["rsync", "--recursive", "--links", "--perms", "--times", "--delete",
		                                source + "/", storage.current_update + "/"], check=True)
		            elif step == "current":
		                storage.current_update
		            else:
		                await getattr(storage, step)()
		    except RepoStorageException as error:
		        sys.exit(f"refused: {error}")

		asyncio.run(steps())
	END
}

@test "contrib/portage: emerge --sync keeps its stores by rcu-repo" {
	skip_unless_portage
	make_version "$SOURCE" A
	mkdir "$LOCATION" # Portage makes it before a first sync
	storage init_update rsync commit_update garbage_collection
	[ "$(version_of "$LOCATION")" = A ]
	[ -d "$STORE/.rcu-repo" ]
	make_version "$SOURCE" B
	reader "$LOCATION"
	storage init_update rsync commit_update garbage_collection
	[ "$(version_of "$LOCATION")" = B ]
	# what Portage's own collection would delete under its reader
	make_version "$SOURCE" C
	storage init_update rsync commit_update garbage_collection
	make_version "$SOURCE" D
	storage init_update rsync commit_update garbage_collection
	[ "$(version_of "$STORE/snapshots/2")" = A ]
	[ "$(version_of "$LOCATION")" = D ]
	# and a sync that is given up, or ends in the middle, leaves what is there
	make_version "$SOURCE" E
	storage init_update rsync abort_update
	storage init_update rsync
	run -1 storage current
	[[ $output == *"refused: current update does not exist"* ]]
	[ "$(version_of "$LOCATION")" = D ]
	storage init_update rsync commit_update
	[ "$(version_of "$LOCATION")" = E ]
}

@test "contrib/portage: what a snapshot would swallow is refused, and so is a second writer" {
	skip_unless_portage
	make_version "$SOURCE" A
	make_version "$LOCATION" old
	mkdir "$LOCATION/distfiles"
	run -1 storage init_update rsync commit_update
	[[ $output == *"refused: $LOCATION/distfiles would be in every snapshot"* ]]
	rmdir "$LOCATION/distfiles"
	storage init_update rsync commit_update
	[ "$(version_of "$LOCATION")" = A ]
	repo begin >/dev/null
	run -1 storage init_update
	[[ $output == *"refused: rcu-repo begin exited with status 75"* ]]
}

# emerge_itself ARG...: the real one, of the checkout that RCU_PORTAGE_LIB names, by a Python that has contrib/portage installed
# as its README says; what it keeps of its own on this machine goes with its mounts
emerge_itself() {
	# shellcheck disable=SC2016
	unshare -m sh -euc 'mount -t tmpfs none /var; exec "$@"' sh \
		"$T/venv/bin/python3" -b "$RCU_PORTAGE_LIB/../bin/emerge" "$@" </dev/null
}

portage_root() {
	local site
	/usr/bin/python3 -m venv --without-pip "$T/venv"
	site=$("$T/venv/bin/python3" -c 'import site; print(site.getsitepackages()[0])')
	cp -r "$RCU_SRC/contrib/portage/rcu_repo_portage" "$RCU_SRC/contrib/portage/rcu_repo_portage.pth" "$site"
	export PYTHONPATH=$RCU_PORTAGE_LIB PORTAGE_CONFIGROOT=$T/root
	mkdir -p "$T/root/etc/portage/repos.conf" "$T/root/etc/portage/make.profile"
	echo 'ARCH="amd64"' >"$T/root/etc/portage/make.profile/make.defaults"
	cat >"$T/root/etc/portage/repos.conf/it.conf" <<-END
		[DEFAULT]
		main-repo = it
		[it]
		location = $LOCATION
		sync-type = rsync
		sync-uri = file://$SOURCE
		sync-rcu = yes
		sync-rcu-store-dir = $STORE
		sync-rcu-ttl-days = 0
	END
}

# A version that Portage takes for a repository; SUMS is of the rest
make_repository() {
	make_version "$SOURCE" "$1"
	echo it >"$SOURCE/profiles/repo_name"
	sed -i '/profiles.repo_name/d' "$SOURCE/SUMS"
	mkdir "$SOURCE/metadata"
	echo 'masters =' >"$SOURCE/metadata/layout.conf"
	# each later than the one before
	stamp=$((${stamp-1600000000} + 60))
	LC_ALL=C date -u -d "@$stamp" '+%a, %d %b %Y %H:%M:%S +0000' >"$SOURCE/metadata/timestamp.chk"
	# rsync looks at whole seconds
	touch -d "@$stamp" "$SOURCE/SUMS" "$SOURCE/metadata/timestamp.chk"
}

@test "contrib/portage: emerge --sync itself, with a reader who stays, and rcu-repo sync in turns" {
	skip_unless_portage
	skip_unless_mount
	[ -x "$RCU_PORTAGE_LIB/../bin/emerge" ] || skip "there is no emerge beside Portage's modules (RCU_PORTAGE_LIB)"
	local version
	portage_root
	make_repository A
	emerge_itself --sync it >"$T/log" 2>&1
	[ "$(version_of "$LOCATION")" = A ]
	[ -d "$STORE/.rcu-repo" ]
	reader "$LOCATION"
	for version in B C D E; do
		make_repository "$version"
		emerge_itself --sync --quiet it >"$T/log" 2>&1
		[ "$(version_of "$LOCATION")" = "$version" ]
		make_repository "$version$version"
		# by the same file of Portage's
		rcu_repo sync --quiet it
		[ "$(version_of "$LOCATION")" = "$version$version" ]
	done
	# the reader's is still there; Portage alone would have taken it
	local pinned
	pinned=$(rcu_repo readers --location "$LOCATION" --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["readers"][0]["snapshot"])')
	[ "$(version_of "$STORE/snapshots/$pinned")" = A ]
	rcu_repo check it
	# a source that is not there: Portage says so, and all stays
	mv "$SOURCE" "$SOURCE.gone"
	run emerge_itself --sync --quiet it
	[ "$status" != 0 ]
	[ "$(version_of "$LOCATION")" = EE ]
	is_empty "$STORE/.rcu-repo/staging"
}

@test "emerge-rcu: emerge is pinned, emerge --sync is not" {
	make_version "$T/source-one" A
	config <<-END
		[one]
		location = $T/one
		sync-rcu-store-dir = $T/store-one
		sync-type = rsync
		sync-uri = $T/source-one
	END
	rcu_repo sync
	mkdir "$T/local" "$T/real"
	printf '#!/bin/bash\necho "$* ${RCU_EXEC_PINS-unpinned}"\n' >"$T/real/emerge"
	chmod 755 "$T/real/emerge"
	cp "$RCU_SRC/contrib/portage/emerge-rcu" "$T/local/emerge"
	ln -s "$RCU_EXEC" "$T/local/rcu-exec"
	export PATH=$T/local:$T/real:$PATH
	[ "$(emerge -p world)" = "-p world $T/one=$T/store-one/snapshots/1" ]
	[ "$(emerge --quiet --sync)" = "--quiet --sync unpinned" ]
	[ "$(emerge -- --sync)" = "-- --sync $T/one=$T/store-one/snapshots/1" ]
	PATH=$T/local:/usr/bin:/bin run -127 emerge -p world
	[[ $output == *"emerge: not found"* ]]
}

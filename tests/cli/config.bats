#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Where the configuration comes from, and what is wrong in it. The rules of the format: tests/unit/test_conf.c.

load ../lib
load helpers

setup() { lib_init; }
teardown() { lib_done; }

# A good repository, as text
good() {
	printf '[%s]\nlocation = %s\nsync-rcu-store-dir = %s\nsync-type = rsync\nsync-uri = %s\n' \
		"${1-it}" "$T/${1-it}" "$T/store-${1-it}" "$SOURCE"
}

# refused_line LINE TEXT: the configuration is $(good) and LINE; TEXT is in the message, and nothing was touched
refused_line() {
	{
		good
		printf '%s\n' "$1"
	} >"$T/repos.conf"
	local before
	before=$(picture "$T" ! -name 'refused.*' ! -path "$T")
	refused 2 "$2" rcu_repo --config "$T/repos.conf" sync
	[ "$(wc -l <"$T/refused.err")" = 1 ]
	[ "$(picture "$T" ! -name 'refused.*' ! -path "$T")" = "$before" ]
}

@test "a bad value names file, line, key and value, and nothing is touched" {
	make_version "$SOURCE" A
	refused_line 'sync-rcu-ttl-days = soon' '/repos.conf:6: \[it\] sync-rcu-ttl-days = soon: '
	refused_line 'sync-rcu-spare-snapshots = -1' '/repos.conf:6: .*sync-rcu-spare-snapshots = -1: '
	refused_line 'sync-rcu = perhaps' '/repos.conf:6: .*sync-rcu = perhaps: '
	refused_line 'auto-sync = on' '/repos.conf:6: .*auto-sync = on: '
	refused_line 'sync-rcu-durability = half' '/repos.conf:6: .*sync-rcu-durability = half: '
	refused_line 'sync-allow-hardlinks = no' '/repos.conf:6: .*sync-allow-hardlinks = no: '
	refused_line 'sync-rsync-extra-opts = "x' '/repos.conf:6: .*sync-rsync-extra-opts = "x: '
	refused_line 'sync-rsync-verify-metamanifest = maybe' '/repos.conf:6: .*sync-rsync-verify-metamanifest = maybe: '
	refused_line 'sync-rsync-verify-jobs = -1' '/repos.conf:6: .*sync-rsync-verify-jobs = -1: '
	refused_line 'sync-rsync-verify-max-age = old' '/repos.conf:6: .*sync-rsync-verify-max-age = old: '
	refused_line 'sync-rsync-vcs-ignore = 1' '/repos.conf:6: .*sync-rsync-vcs-ignore = 1: '
	refused_line 'sync-rcu-allow-older = 1' '/repos.conf:6: .*sync-rcu-allow-older = 1: '
	refused_line 'sync-openpgp-key-path = key' '/repos.conf:6: .*sync-openpgp-key-path = key: not an absolute path'
	refused_line 'sync-openpgp-key-refresh = often' '/repos.conf:6: .*sync-openpgp-key-refresh = often: none of'
	refused_line 'sync-openpgp-key-refresh-retry-count = 0.5' '/repos.conf:6: .*retry-count = 0.5: '
	refused_line 'sync-openpgp-key-refresh-retry-delay-mult = 1e3' '/repos.conf:6: .*retry-delay-mult = 1e3: '
	refused_line 'sync-openpgp-key-refresh-retry-overall-timeout = .' '/repos.conf:6: .*retry-overall-timeout = .: '
	refused_line 'nonsense' '/repos.conf:6: neither .*: nonsense'
	refused_line '[it]' '/repos.conf:6: the section is there twice: \[it\]'
	refused_line 'sync-uri = /x' '/repos.conf:6: the key is there twice .*: sync-uri = /x'
	refused_line 'anything = 5%' '/repos.conf:6: anything = 5%: '
	refused_line $'[more]\nlocation = relative' '/repos.conf:7: .*location = relative: '
	refused_line $'[more]\nsync-type = rsync' '/repos.conf:6: \[more\] location = : not set'
	refused_line $'[more]\nlocation = /more' '/repos.conf:6: \[more\] sync-rcu-store-dir = : not set'
}

@test "what a transport cannot use names file, line, key and value as well" {
	# refused_value KEY VALUE LINE TEXT: the good one, with that value instead
	refused_value() {
		good | sed "s|^$1 = .*|$1 = $2|" >"$T/repos.conf"
		refused 2 "/repos.conf:$3: \[it\] $1 = $2: $4" rcu_repo --config "$T/repos.conf" sync
		[ "$(wc -l <"$T/refused.err")" = 1 ]
	}
	make_version "$SOURCE" A
	refused_value sync-type cvs 4 'none of .*rsync'
	refused_value sync-uri ftp://h/x 5 'not an absolute path'
	refused_value sync-uri "$T" 5 'the store is in it'
	refused_line 'sync-rsync-extra-opts = -v --inplace' \
		'/repos.conf:6: \[it\] sync-rsync-extra-opts = -v --inplace: --inplace cannot be used'
	good | grep -v sync-uri >"$T/repos.conf"
	refused 2 '/repos.conf:1: \[it\] sync-uri = : not set' rcu_repo --config "$T/repos.conf" sync
	refused 2 '--set: \[it\] sync-type = cvs: ' rcu_repo --config "$T/repos.conf" sync --set sync-type=cvs
	[ ! -e "$T/store-it" ] && [ ! -e "$T/it" ]
}

@test "a file that cannot be read, or is none" {
	refused 2 'none: cannot be read: No such file' rcu_repo --config "$T/none" sync
	RCU_REPO_CONFIG=$T/none refused 2 'none: cannot be read: No such file' rcu_repo sync
	mkfifo "$T/fifo"
	refused 2 'no repository with sync-rcu in .*fifo' rcu_repo --config "$T/fifo" sync
}

@test "a pipe, as in --config <(command), is read to its end however slow it is" {
	make_version "$SOURCE" A
	rcu_repo --config <(sleep 1; good) sync
	[ "$(version_of "$T/it")" = A ]
}

@test "--config is before RCU_REPO_CONFIG, and each may be a directory of *.conf" {
	make_version "$SOURCE" A
	mkdir "$T/conf.d"
	good one >"$T/conf.d/1.conf"
	printf '[one]\nsync-uri = /none\n' >"$T/conf.d/0.conf"
	good two >"$T/two.conf"
	echo nonsense >"$T/conf.d/2.conf~"
	export RCU_REPO_CONFIG=$T/two.conf
	rcu_repo --config "$T/conf.d" sync
	[ "$(version_of "$T/one")" = A ]
	[ ! -e "$T/two" ]
	rcu_repo sync
	[ "$(version_of "$T/two")" = A ]
}

@test "Portage's files: defaults overlaid by PORTAGE_CONFIGROOT, sync-rcu off unless it says so" {
	[ ! -e /etc/rcu-repo/repos.conf ] || skip "this machine has a configuration of its own"
	make_version "$SOURCE" A
	mkdir -p "$T/prefix/usr/share/portage/config" "$T/root/etc/portage/repos.conf"
	cat >"$T/prefix/usr/share/portage/config/repos.conf" <<-END
		[DEFAULT]
		main-repo = gentoo
		[gentoo]
		location = %(EPREFIX)s/var/db/repos/gentoo
		sync-type = rsync
		sync-uri = rsync://rsync.gentoo.org/gentoo-portage
		sync-rsync-verify-metamanifest = yes
		sync-openpgp-key-refresh-retry-count = 40
	END
	export EPREFIX=$T/prefix PORTAGE_CONFIGROOT=$T/root/
	unset RCU_REPO_CONFIG
	refused 2 'no repository with sync-rcu' rcu_repo sync
	cat >"$T/root/etc/portage/repos.conf/gentoo.conf" <<-END
		[gentoo]
		sync-uri = $SOURCE
		sync-rsync-verify-metamanifest = no
		sync-rcu = yes
		sync-rcu-store-dir = %(EPREFIX)s/var/db/repos/.rcu/gentoo
	END
	mkdir "$SOURCE/distfiles"
	rcu_repo sync
	[ "$(version_of "$T/prefix/var/db/repos/gentoo")" = A ]
	[ ! -e "$T/prefix/var/db/repos/gentoo/distfiles" ]
	[ "$(rcu_exec -p)" = "$T/prefix/var/db/repos/gentoo	$T/prefix/var/db/repos/.rcu/gentoo/snapshots/1" ]
}

@test "--set overrides a key of every repository, also where --location stands for one" {
	two_repositories
	rm -rf "$T/source-one"
	rcu_repo sync --set "sync-uri=$T/source-two"
	[ "$(version_of "$T/one")" = A ]
	sync_version A --set sync-rcu-durability=none
	refused 2 '^rcu-repo: --set: .*sync-rcu-ttl-days = x: ' repo gc --set sync-rcu-ttl-days=x
}

@test "--set of what an option says as well is refused, whichever comes first; of what none says it is taken" {
	make_version "$SOURCE" A
	refused 2 '^rcu-repo: --set: location = /x: --location says it already' repo sync --type rsync --uri "$SOURCE" \
		--set location=/x
	refused 2 '--set: Location = .*: --location says it already' repo list --set "Location=$LOCATION"
	refused 2 '--set: sync-rcu-store-dir = /x: --store says' repo list --set sync-rcu-store-dir=/x
	refused 2 '--set: sync-type = rsync: --type says' repo sync --set sync-type=rsync --type rsync --uri "$SOURCE"
	refused 2 '--set: sync-uri = /x: --uri says' repo sync --set sync-uri=/x --type rsync --uri "$SOURCE"
	[ ! -e "$LOCATION" ] && [ ! -e "$STORE" ]
	rcu_repo sync --location "$LOCATION" --set "sync-rcu-store-dir=$STORE" --set sync-type=rsync \
		--set "sync-uri=$SOURCE"
	[ "$(version_of "$LOCATION")" = A ]
}

@test "one store for two repositories, a store inside a location: nothing is touched" {
	make_version "$SOURCE" A
	{
		good one
		good two | sed 's/store-two/store-one/'
	} >"$T/repos.conf"
	refused 2 '/repos.conf:8: .*in the way of repository one' rcu_repo --config "$T/repos.conf" sync one
	refused 2 'the store is inside the location' rcu_repo sync --location "$T/l" --store "$T/l/s" --type rsync \
		--uri "$SOURCE"
	refused 2 'the location is inside the store' rcu_repo sync --location "$T/s/l" --store "$T/s" --type rsync \
		--uri "$SOURCE"
	[ ! -e "$T/one" ]
	[ ! -e "$T/l" ]
	[ ! -e "$T/s" ]
}

@test "a location inside another repository's location: neither is touched" {
	local before
	make_version "$SOURCE" A
	mkdir -p "$T/one/local/two"
	echo mine >"$T/one/local/two/file"
	{
		good one
		printf '[two]\nlocation = %s\nsync-rcu = no\n' "$T/one/local/two"
	} >"$T/repos.conf"
	before=$(picture "$T/one")
	refused 2 '/repos.conf:7: \[two\] location = .*in the way of repository one' \
		rcu_repo --config "$T/repos.conf" sync one
	[ "$(picture "$T/one")" = "$before" ]
	[ ! -e "$T/store-one" ]
}

# --- keys ---

@test "a key that looks misspelt is told with file, line and the one that is meant, and the sync goes on" {
	make_version "$SOURCE" A
	{
		good
		echo 'sync-rcu-verfiy = /none'
	} >"$T/repos.conf"
	run -0 --separate-stderr rcu_repo --config "$T/repos.conf" sync
	[[ $stderr == *"repos.conf:6: [it] sync-rcu-verfiy: there is no such key: is sync-rcu-verify meant?"* ]]
	[ "$(version_of "$T/it")" = A ]
	run -0 --separate-stderr rcu_repo --config "$T/repos.conf" sync --set sync-rcu-tll-days=1
	[[ $stderr == *"--set: sync-rcu-tll-days: there is no such key: is sync-rcu-ttl-days meant?"* ]]
	# once, of several repositories; and where there is no file
	printf '[more]\nlocation = %s\nsync-rcu-store-dir = %s\n' "$T/more" "$T/store-more" >>"$T/repos.conf"
	run -0 --separate-stderr rcu_repo --config "$T/repos.conf" sync --set sync-rcu-ttl=1
	[ "$(grep -c -- '--set: sync-rcu-ttl: there is no such key: is sync-rcu-ttl-days meant?' <<<"$stderr")" = 1 ]
	run -0 --separate-stderr rcu_repo list --location "$T/it" --set sync-rcu-keep=1
	[ "$stderr" = 'rcu-repo: configuration: --set: sync-rcu-keep: there is no such key' ]
}

@test "a repository with nothing to sync from is left alone, unless it is asked for" {
	make_version "$SOURCE" A
	{
		good
		printf '[more]\nlocation = %s\nsync-rcu-store-dir = %s\nsync-type =\n' "$T/more" "$T/store-more"
	} >"$T/repos.conf"
	rcu_repo --config "$T/repos.conf" sync
	[ "$(version_of "$T/it")" = A ]
	[ ! -e "$T/more" ]
	refused 2 '\[more\] sync-type = ' rcu_repo --config "$T/repos.conf" sync more
}

# --- as whom ---

@test "sync-user: a bad one names file, line and key, and nothing is touched" {
	make_version "$SOURCE" A
	refused_line 'sync-user = no-such-user' '/repos.conf:6: \[it\] sync-user = no-such-user: there is no such user'
	refused_line 'sync-user = root:no-such' '/repos.conf:6: \[it\] sync-user = root:no-such: there is no such group'
}

@test "sync-user fetches, and we publish: the tree is his, the store is not" {
	skip_unless_root
	make_version "$SOURCE" A
	{
		good
		echo 'sync-user = nobody'
	} >"$T/repos.conf"
	rsync_with 'id -u >"$staging/fetched-by"; real_rsync "--filter=P /fetched-by" "$@"'
	rcu_repo --config "$T/repos.conf" sync
	[ "$(version_of "$T/it")" = A ]
	[ "$(cat "$T/it/fetched-by")" = 65534 ]
	[ "$(find "$T/it/" ! -user nobody | wc -l)" = 0 ]
	[ "$(stat -c %u "$T/store-it" "$T/store-it/snapshots" "$T/store-it/latest" "$T/it" | sort -u)" = 0 ]
	make_version "$SOURCE" B
	rcu_repo --config "$T/repos.conf" sync
	[ "$(version_of "$T/it")" = B ]
	# he can do nothing to what is published but what the owner of files can
	refused 1 . unprivileged mv "$T/store-it/snapshots/1" "$T/store-it/snapshots/9"
	rcu_repo --config "$T/repos.conf" gc --set sync-rcu-ttl-days=0 --set sync-rcu-spare-snapshots=0
	[ "$(ls "$T/store-it/snapshots")" = 2 ]
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# reader.sh: sourced by each of readers/ first.
#
# A reader is `readers/NAME LOCATION`: it uses the repository at LOCATION once, as an ordinary user of the program
# would, and exits 0 if all that it got was of one version, else 1.  In its head stand
#     # part: which folder of the repository it reads
#     # needs: the programs it needs; "root" where it needs that
# From the environment: STORM_TREES, where the two versions are (A/PART, B/PART), for comparing.
set -u
LOCATION=$1
T=$(mktemp -d "${TMPDIR:-/tmp}/storm.XXXXXX") || exit
chmod 755 "$T"
trap 'rm -rf "$T"' EXIT
export HOME=$T

# Is the folder $1 the same as part $2 of one of the versions?
whole() {
	local version
	for version in A B; do
		if diff -qr --no-dereference "$STORM_TREES/$version/$2" "$1" >"$T/diff.$version" 2>&1; then
			return 0
		fi
	done
	echo "$1 is of no version:"
	cat "$T/diff.A"
	return 1
}

# Are the files of the folder $1, taken one by one, all in part $2 of one version?
of_one_version() {
	local version file
	for version in A B; do
		for file in "$1"/*; do
			cmp -s "$file" "$(find "$STORM_TREES/$version/$2" -name "${file##*/}")" || continue 2
		done
		return 0
	done
	echo "$1 has files of both versions"
	return 1
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# calls-man.awk: the list of wrapped calls in librcu-exec(7), made from preload/calls.def.
#
#     awk -f calls-man.awk preload/calls.def                          prints the list, in mdoc
#     awk -f calls-man.awk preload/calls.def man/librcu-exec.7        prints the page with its list renewed
#
# The list is kept in the page, so that the page can be read and checked as it lies in the source tree;
# `make man-calls` renews it, and tests/contract/docs.bats fails when it is behind.
#
# A family's heading is the comment `/* family: what it is */` above its rows.

BEGIN {
	first = "^\\.\\\\\" calls.def: begin"
	last = "^\\.\\\\\" calls.def: end"
}

FNR == 1 { file++ }

file == 1 && /^\/\* [a-z_]+: .* \*\/$/ {
	name = $2
	sub(/:$/, "", name)
	heading[name] = $0
	sub(/^\/\* [a-z_]+: /, "", heading[name])
	sub(/ \*\/$/, "", heading[name])
}

file == 1 && /^CALL\(/ {
	split($0, part, /[(,] */)
	family = part[2]
	symbol = part[4]
	if (!(family in symbols))
		families[++family_count] = family
	if (!((family, symbol) in seen))
		symbols[family] = symbols[family] " " symbol
	seen[family, symbol] = 1
}

file == 2 && $0 ~ last { inside = 0 }
file == 2 && !inside { print }
file == 2 && $0 ~ first { inside = 1; print_list() }

END {
	if (file == 1)
		print_list()
}

function print_list(   i, j, count, word, line) {
	print ".Bl -tag -width Ds"
	for (i = 1; i <= family_count; i++) {
		print ".It " (families[i] in heading ? heading[families[i]] : families[i])
		count = split(symbols[families[i]], word, " ")
		line = ".Li"
		for (j = 1; j <= count; j++) {
			if (length(line) + length(word[j]) > 76) {
				print line
				line = ".Li"
			}
			line = line " " word[j] (j < count ? " ," : "")
		}
		print line
	}
	print ".El"
}

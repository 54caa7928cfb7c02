# SPDX-License-Identifier: LGPL-2.1-or-later
# From preload/calls.def, which has the versions of x86_64, to preload/calls-i386.def:
#
#     nm -D --defined-only /lib32/libc.so.6 | awk -f calls-i386.awk - calls.def >calls-i386.def
#
# A row with @@ gets the version that is libc's default for its symbol; a row with @ the newest that is not. Older ones were the
# default before glibc 2.17, the oldest that programs are promised to be pinned with.

FNR == 1 { file++ }

file == 1 && $3 ~ /@@/ { split($3, part, "@@"); fresh[part[1]] = part[2] }
file == 1 && $3 ~ /^[^@]+@[^@]+$/ {
	split($3, part, "@")
	if (!(part[1] in old) || newer(part[2], old[part[1]]))
		old[part[1]] = part[2]
}

file == 2 && FNR == 1 {
	print
	print "/* Made from preload/calls.def and i386's libc by build-aux/calls-i386.awk; tests/contract compares them. */"
}

file == 2 { sub(/^CALL32\(/, "CALL(") }

# other structures than those of fts.c
file == 2 { sub(/^CALL\(fts, fts64_/, "CALL(fts64, fts64_") }

file == 2 && /^CALL\(/ {
	split($0, part, /[(,] */)
	version = part[5] == "@@" ? fresh[part[4]] : old[part[4]]
	if (version == "")
		next
	sub(", " part[6] ",", ", " version ",")
	print
}

# Is version a newer than b?
function newer(a, b,   i, m, n, x, y) {
	m = split(a, x, /[_.]/)
	n = split(b, y, /[_.]/)
	for (i = 2; i <= m || i <= n; i++)
		if (x[i] + 0 != y[i] + 0)
			return x[i] + 0 > y[i] + 0
	return 0
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# From a calls.def to the linker's version script: each symbol under every version that the library defines of it. What is exported without
# being a call of libc's (-v own=SYMBOL) has a version of its own.

BEGIN {
	FS = "[(,][ \t]*"
	count = 0
}

/^CALL\(/ {
	symbol = $4
	version = $6
	if (!(version in symbols)) {
		order[++count] = version
		symbols[version] = ""
	}
	symbols[version] = symbols[version] "\t" symbol ";\n"
}

END {
	if (count == 0) {
		print "calls-map.awk: no CALL row found" > "/dev/stderr"
		exit 1
	}
	print "/* Made from " FILENAME " by build-aux/calls-map.awk. */"
	for (i = 1; i <= count; i++)
		printf "%s {\n%s};\n", order[i], symbols[order[i]]
	print own ? "LIBRCU_EXEC_1 {\nglobal:\n\t" own ";\nlocal:\n\t*;\n};" : "LIBRCU_LOCAL {\nlocal:\n\t*;\n};"
}

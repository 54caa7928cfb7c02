# SPDX-License-Identifier: LGPL-2.1-or-later
# From preload/calls.def to the linker's version script: each symbol under every version that the shim defines of it.
# What is exported without being a call of libc's has a version of its own.

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
	print "/* Made from preload/calls.def by build-aux/calls-map.awk. */"
	for (i = 1; i <= count; i++)
		printf "%s {\n%s};\n", order[i], symbols[order[i]]
	print "LIBRCU_EXEC_1 {\nglobal:\n\tlibrcu_exec_stand_aside;\nlocal:\n\t*;\n};"
}

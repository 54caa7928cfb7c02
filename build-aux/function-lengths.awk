# SPDX-License-Identifier: LGPL-2.1-or-later
# function-lengths.awk: how long is each function of a C file, with its signature? "LINES FILE:LINE NAME" each.
#
# It relies on the layout that .clang-format makes: a signature begins in the first column, the body's braces stand
# alone in it. (A struct's, an array's or an enum's opening brace ends its line.)

FNR == 1 { start = 0 }

# the first line of something at file scope, that may become a function
/^[A-Za-z_]/ && !inside { start = FNR; text = $0 }
/^[^A-Za-z_]/ && !inside && start && !/^\{/ { text = text $0 }
/[;}]$/ && !inside && !/^\{/ { start = 0 }

/^\{$/ && start { inside = 1 }
/^\}/ && inside {
	name = text
	sub(/^.*__attribute__\(\([^)]*\)\) */, "", name)
	sub(/\(.*/, "", name)
	sub(/^.*[ *]/, "", name)
	print FNR - start + 1, FILENAME ":" start, name
	inside = start = 0
}

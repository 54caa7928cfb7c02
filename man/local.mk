# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual pages, in mdoc, as they are installed.
dist_man_MANS += \
	man/librcu-exec.7 \
	man/rcu-exec.1 \
	man/rcu-repo-recipes.7 \
	man/rcu-repo.7 \
	man/rcu-repo.8

EXTRA_DIST += build-aux/calls-man.awk

# Renews the list of wrapped calls in the page, in the source tree.
.PHONY: man-calls
man-calls:
	$(AM_V_GEN)$(AWK) -f $(srcdir)/build-aux/calls-man.awk $(srcdir)/preload/calls.def \
		$(srcdir)/man/librcu-exec.7 > librcu-exec.7.new && \
	mv librcu-exec.7.new $(srcdir)/man/librcu-exec.7

# SPDX-License-Identifier: LGPL-2.1-or-later
# The guard of staging trees: made as the shim is (preload/local.mk), with which it shares core/, the lookup of what is behind it and mem.c.
GUARD_SOURCES = \
	guard/next.c guard/next.h \
	guard/state.c \
	guard/calls.def \
	guard/change.c \
	guard/copy.c \
	guard/entry.c \
	guard/exec.c \
	guard/guard.h \
	guard/open.c \
	guard/own.c \
	guard/place.c \
	guard/raw.c \
	preload/lookup.c preload/lookup.h

pkglib_LTLIBRARIES += guard/librcu-guard.la
guard_librcu_guard_la_SOURCES = $(GUARD_SOURCES) preload/mem.c $(CORE_SOURCES)
guard_librcu_guard_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -U_FORTIFY_SOURCE
guard_librcu_guard_la_CFLAGS = $(preload_librcu_exec_la_CFLAGS)
guard_librcu_guard_la_LDFLAGS = -module -avoid-version -shared -XCClinker -nostdlib -XCClinker -nostartfiles \
	-Wl,-z,now -Wl,-z,relro -Wl,-z,initfirst -Wl,-z,noexecstack -Wl,-z,noseparate-code -Wl,--hash-style=both \
	-Wl,--version-script=guard/librcu-guard.map
EXTRA_guard_librcu_guard_la_DEPENDENCIES = guard/librcu-guard.map

guard/librcu-guard.map: guard/calls.def build-aux/calls-map.awk
	$(AM_V_GEN)$(MKDIR_P) guard && \
	$(AWK) -v own= -f $(top_srcdir)/build-aux/calls-map.awk $(top_srcdir)/guard/calls.def >$@.new && mv $@.new $@
CLEANFILES += guard/librcu-guard.map

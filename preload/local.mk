# SPDX-License-Identifier: LGPL-2.1-or-later
# The shim: a module without DT_NEEDED, so that it works in whatever process it finds itself in.
# In this order, what each process runs and writes at its start is together, on few pages: each page that is touched is a fault.
SHIM_SOURCES = \
	preload/next.c \
	preload/lookup.c preload/lookup.h \
	preload/memory.c preload/memory.h \
	preload/literal.c preload/literal.h \
	preload/map.c preload/map.h \
	preload/state.c preload/state.h \
	preload/at.c \
	preload/dir.c \
	preload/fts.c preload/fts_walk.h \
	preload/give_back.c \
	preload/load.c \
	preload/mounts.c \
	preload/named.c \
	preload/open.c \
	preload/path.c \
	preload/raw.c \
	preload/socket.c \
	preload/stat.c \
	preload/stdio.c \
	preload/template.c \
	preload/two_path.c \
	preload/view.c \
	preload/walk.c \
	preload/words.c \
	preload/as_libc.h \
	preload/calls.def preload/calls-i386.def \
	preload/exec.c preload/exec.h \
	preload/exec_env.c preload/exec_env.h \
	preload/exec_way.c \
	preload/actions.c preload/actions.h \
	preload/copy.h \
	preload/launch.c preload/launch.h \
	preload/layers.c preload/layers.h \
	preload/move.h \
	preload/refuse.c preload/refuse.h \
	preload/script.c preload/script.h \
	preload/wrap.h \
	preload/memory_slots.c

pkglib_LTLIBRARIES = preload/librcu-exec.la
preload_librcu_exec_la_SOURCES = preload/mem.c $(CORE_SOURCES) $(SHIM_SOURCES)
# No canary (it lives in thread-local storage), no call that the compiler makes up out of loops, no sanitizer (a guest cannot
# bring a runtime along), no LTO (names are given by .symver). Unwind tables stay: cancellation of a thread and exceptions
# of a callback pass through our frames.
preload_librcu_exec_la_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -U_FORTIFY_SOURCE -DLAUNCHER_PATH='"$(bindir)/rcu-exec"'
preload_librcu_exec_la_CFLAGS = $(WARN_CFLAGS) -ffreestanding -fno-builtin -fno-stack-protector -fno-strict-aliasing \
	-fno-lto -fvisibility=hidden
# noseparate-code: two mappings for the loader to make in each process that starts, not four
preload_librcu_exec_la_LDFLAGS = -module -avoid-version -shared -XCClinker -nostdlib -XCClinker -nostartfiles \
	-Wl,-z,now -Wl,-z,relro -Wl,-z,initfirst -Wl,-z,noexecstack -Wl,-z,noseparate-code -Wl,--hash-style=both \
	-Wl,--version-script=preload/librcu-exec.map
EXTRA_preload_librcu_exec_la_DEPENDENCIES = preload/librcu-exec.map

preload/librcu-exec.map: preload/calls.def build-aux/calls-map.awk
	$(AM_V_GEN)$(MKDIR_P) preload && \
	$(AWK) -v own=librcu_exec_stand_aside -f $(top_srcdir)/build-aux/calls-map.awk $(top_srcdir)/preload/calls.def >$@.new && mv $@.new $@
CLEANFILES += preload/librcu-exec.map
EXTRA_DIST += build-aux/calls-map.awk

# Nobody links to what is preloaded: no .la stays behind, which libtool would take the names of its files from to remove them.
.PHONY: install-without-la uninstall-without-la install-m64-link uninstall-m64-link
install-exec-hook: install-without-la
install-data-hook: $(INSTALL_M64_LINK)
uninstall-hook: uninstall-without-la $(UNINSTALL_M64_LINK)
install-without-la:
	cd '$(DESTDIR)$(pkglibdir)' && rm -f librcu-exec.la librcu-guard.la
uninstall-without-la:
	cd '$(DESTDIR)$(pkglibdir)' 2>/dev/null && rm -f librcu-exec.so librcu-guard.so || :

# What only they have: forms with 64 bits of off_t or time, whose structures are others.
SHIM32_FILES = preload/fts64.c preload/fts_time64.c preload/time64.c
EXTRA_DIST += $(SHIM32_FILES)

# The same for 32-bit programs, by a compiler that makes both (gcc-multilib). ld.so finds the right one where LD_PRELOAD has $LIB.
if MULTILIB
# $(pkglibdir)/$LIB/librcu-exec.so is then the name of both (rcu-exec.c), wherever $(libdir) is.
m32dir = $(pkglibdir)/$(LIB32)
INSTALL_M64_LINK = install-m64-link
UNINSTALL_M64_LINK = uninstall-m64-link
install-m64-link:
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/$(LIB64)'
	up=`echo '$(LIB64)' | sed 's,[^/][^/]*,..,g'` && cd '$(DESTDIR)$(pkglibdir)/$(LIB64)' && \
		rm -f librcu-exec.so && $(LN_S) "$$up/librcu-exec.so" librcu-exec.so
uninstall-m64-link:
	rm -f '$(DESTDIR)$(pkglibdir)/$(LIB64)/librcu-exec.so'
m32_DATA = preload/m32/librcu-exec.so
# the few functions that the compiler makes calls of, such as 64-bit division: inside the shim
M32_LINK = -shared -nostdlib -nostartfiles -Wl,-z,now -Wl,-z,relro -Wl,-z,initfirst -Wl,-z,noexecstack \
	-Wl,-z,noseparate-code -Wl,--hash-style=both -Wl,--version-script=preload/m32/librcu-exec.map
preload/m32/librcu-exec.so: $(SHIM_SOURCES) $(SHIM32_FILES) preload/mem.c $(CORE_SOURCES) preload/m32/librcu-exec.map
	$(AM_V_GEN)sources=; for source in preload/mem.c $(CORE_SOURCES) $(SHIM32_FILES) $(SHIM_SOURCES); do \
		case $$source in *.c) sources="$$sources $(srcdir)/$$source" ;; esac; \
	done; \
	$(CC) -m32 -fPIC $(DEFS) $(DEFAULT_INCLUDES) $(preload_librcu_exec_la_CPPFLAGS) $(CPPFLAGS) -D_FILE_OFFSET_BITS=64 \
		$(CFLAGS) $(preload_librcu_exec_la_CFLAGS) $(M32_LINK) -o $@.new $$sources -lgcc && mv $@.new $@
preload/m32/librcu-exec.map: preload/calls-i386.def build-aux/calls-map.awk
	$(AM_V_GEN)$(MKDIR_P) preload/m32 && \
	$(AWK) -v own=librcu_exec_stand_aside -f $(top_srcdir)/build-aux/calls-map.awk $(top_srcdir)/preload/calls-i386.def >$@.new && mv $@.new $@
CLEANFILES += preload/m32/librcu-exec.map preload/m32/librcu-exec.so
endif

# After a change of calls.def; LIBC32 is a 32-bit libc.
LIBC32 = /lib32/libc.so.6
calls-i386:
	$(AM_V_GEN)nm -D --defined-only $(LIBC32) | $(AWK) -f $(srcdir)/build-aux/calls-i386.awk - $(srcdir)/preload/calls.def \
		>$(srcdir)/preload/calls-i386.def
.PHONY: calls-i386
EXTRA_DIST += build-aux/calls-i386.awk

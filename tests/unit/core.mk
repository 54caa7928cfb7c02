# SPDX-License-Identifier: LGPL-2.1-or-later
# core/, and the shim's mapping, which has no other way to be tried against the kernel this closely.
core_unit_tests = \
	tests/unit/test_elf_kind \
	tests/unit/test_handover \
	tests/unit/test_hold \
	tests/unit/test_lookup \
	tests/unit/test_map \
	tests/unit/test_names \
	tests/unit/test_pin_text \
	tests/unit/test_preload_list
check_PROGRAMS += $(core_unit_tests)
TESTS += $(core_unit_tests)

CORE_UNIT_LIBS = core/libcore.a $(CMOCKA_LIBS)
tests_unit_test_elf_kind_SOURCES = tests/unit/test_elf_kind.c
tests_unit_test_elf_kind_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_handover_SOURCES = tests/unit/test_handover.c
tests_unit_test_handover_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_hold_SOURCES = tests/unit/test_hold.c
tests_unit_test_hold_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_lookup_SOURCES = tests/unit/test_lookup.c preload/lookup.c
tests_unit_test_lookup_CPPFLAGS = $(AM_CPPFLAGS) -DBUILD_DIR='"$(abs_top_builddir)"'
tests_unit_test_lookup_LDADD = $(CMOCKA_LIBS)
tests_unit_test_map_SOURCES = tests/unit/test_map.c preload/literal.c preload/map.c preload/memory.c preload/memory_slots.c
tests_unit_test_map_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_names_SOURCES = tests/unit/test_names.c
tests_unit_test_names_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_pin_text_SOURCES = tests/unit/test_pin_text.c
tests_unit_test_pin_text_LDADD = $(CORE_UNIT_LIBS)
tests_unit_test_preload_list_SOURCES = tests/unit/test_preload_list.c
tests_unit_test_preload_list_LDADD = $(CORE_UNIT_LIBS)
EXTRA_DIST += tests/unit/skip.h

# test_lookup opens them; -rpath makes libtool build a shared object. No sanitizer: a runtime would add symbols.
check_LTLIBRARIES += tests/unit/lookup_gnu.la tests/unit/lookup_sysv.la
LOOKUP_LDFLAGS = -module -avoid-version -shared -rpath /nowhere \
	-Wl,--version-script=$(top_srcdir)/tests/unit/lookup_object.map
tests_unit_lookup_gnu_la_SOURCES = tests/unit/lookup_object.c
tests_unit_lookup_gnu_la_CFLAGS = $(WARN_CFLAGS)
tests_unit_lookup_gnu_la_LDFLAGS = $(LOOKUP_LDFLAGS) -Wl,--hash-style=gnu
tests_unit_lookup_sysv_la_SOURCES = tests/unit/lookup_object.c
tests_unit_lookup_sysv_la_CFLAGS = $(WARN_CFLAGS)
tests_unit_lookup_sysv_la_LDFLAGS = $(LOOKUP_LDFLAGS) -Wl,--hash-style=sysv
EXTRA_DIST += tests/unit/lookup_object.map

# SPDX-License-Identifier: LGPL-2.1-or-later
# What launcher, shim and helper must agree on.  Built twice: as it is for the programs, and freestanding for the shim.
CORE_SOURCES = \
	core/elf_kind.c core/elf_kind.h \
	core/handover.c core/handover.h \
	core/guard_text.c core/guard_text.h \
	core/hold.c core/hold.h \
	core/loads.c core/loads.h \
	core/names.c core/names.h \
	core/pin_text.c core/pin_text.h \
	core/preload_list.c core/preload_list.h \
	core/sys.h

noinst_LIBRARIES += core/libcore.a
core_libcore_a_SOURCES = $(CORE_SOURCES)

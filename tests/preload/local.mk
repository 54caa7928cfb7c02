# SPDX-License-Identifier: LGPL-2.1-or-later
# The shim in real programs: probes that make one call, and programs of the system.
include $(top_srcdir)/tests/preload/shim.mk
include $(top_srcdir)/tests/preload/exec.mk

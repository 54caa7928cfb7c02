/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aside.h: what both programs do first: they must see the store as it is, and so must what they run, though
 * they may have been started under a pin.
 */
#ifndef HELPER_BASE_ASIDE_H
#define HELPER_BASE_ASIDE_H

#include <stdbool.h>

/* What the environment said before it was cleaned. */
struct aside {
	char *pins;  /* RCU_EXEC_PINS; NULL: not set */
	bool strict; /* RCU_EXEC_STRICT is 1 */
	char *shim;  /* how LD_PRELOAD named the shim that is loaded here; NULL: none is */
};

/*
 * Ends redirection in this process, takes the shim out of LD_PRELOAD and the RCU_EXEC_* variables that the
 * shim reads out of the environment. Also opens what is closed of the descriptors 0 to 2 on /dev/null, until
 * the next exec: else a file of ours could become the standard output.
 */
void stand_aside(struct aside *aside);
void aside_release(struct aside *aside);

#endif

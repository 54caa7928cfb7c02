/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that ld.so never sees. */
#include <stdio.h>

int main(void)
{
	puts("ran");
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lookup_object.c: an object with every kind of symbol that test_lookup asks about; built once with each kind of hash table. */
int plain(void);
int versioned_1(void);
int versioned_2(void);
int only_old_1(void);
int indirect(void);

extern const int data;
const int data = 1;

int plain(void)
{
	return 1;
}

int versioned_1(void)
{
	return 2;
}
__asm__(".symver versioned_1, versioned@LOOKUP_1");

int versioned_2(void)
{
	return 3;
}
__asm__(".symver versioned_2, versioned@@LOOKUP_2");

int only_old_1(void)
{
	return 4;
}
__asm__(".symver only_old_1, only_old@LOOKUP_1");

static int chosen(void)
{
	return 5;
}

__attribute__((used)) static int (*choose(void))(void)
{
	return chosen;
}
int indirect(void) __attribute__((ifunc("choose")));

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Function pointers are table indices from 1 up, but 1 is SIG_IGN, and 2 is
 * SIG_HOLD on some systems.  Linked first, these two take the places, so that
 * no handler has them.
 */

static void reserved_1(void)
{
	__builtin_trap();
}

static void reserved_2(void)
{
	__builtin_unreachable();
}

/*
 * The linker numbers functions in the order in which it meets their addresses.
 * A constructor is something that it keeps and does not export.
 */
__attribute__((constructor)) static void take_places(void)
{
	static void (*volatile places[2])(void);

	places[0] = reserved_1;
	places[1] = reserved_2;
}

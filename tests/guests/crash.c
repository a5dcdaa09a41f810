// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traps.  Argument: which one.  There is no right transcript of native code
 * for this; the host must say what happened, where, and end the process.
 */

#include "transcript.h"

static volatile int zero;
static volatile unsigned int far = 0xfffffff0u;

__attribute__((noinline)) static int overflow(int depth)
{
	volatile char frame[1000];

	frame[depth % 1000] = (char)depth;
	if (zero)
		return 0;
	return overflow(depth + 1) + frame[0];
}

static int takes_two(int one, int two)
{
	return one + two;
}

int main(int argc, char **argv)
{
	const char *which = argc > 1 ? argv[1] : "unreachable";
	int (*volatile function)(int, int) = takes_two;

	say("%s", which);
	if (!strcmp(which, "unreachable"))
		__builtin_trap();
	if (!strcmp(which, "divide"))
		return 100 / zero;
	if (!strcmp(which, "overflow"))
		return (int)0x80000000 / (zero - 1);
	if (!strcmp(which, "load"))
		return *(volatile int *)(size_t)far;
	if (!strcmp(which, "store"))
		*(volatile int *)(size_t)far = 1;
	if (!strcmp(which, "type"))
		return (int)((double (*)(double))(size_t)function)(1.0);
	if (!strcmp(which, "table"))
		return ((int (*)(int, int))(size_t)far)(1, 2);
	if (!strcmp(which, "null"))
		return ((int (*)(int, int))(size_t)zero)(1, 2);
	if (!strcmp(which, "stack"))
		return overflow(0);
	if (!strcmp(which, "child")) {
		pid_t pid = MUST(fork());

		if (!pid)
			__builtin_trap();
		say("the child did not exit: %d", !WIFEXITED(reap(pid)));
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* setjmp and longjmp. */

#include <setjmp.h>

#include "transcript.h"

static jmp_buf outer, inner;

__attribute__((noinline)) static int deep(int depth, int value)
{
	volatile char frame[200];

	frame[0] = (char)depth;
	if (depth < 0)
		return 0;
	if (!depth)
		longjmp(outer, value);
	return deep(depth - 1, value) + frame[0];
}

static void simple(void)
{
	volatile int passes = 0;
	int got = setjmp(outer);

	passes++;
	say("pass %d: setjmp gave %d", passes, got);
	if (passes < 4)
		deep(passes * 20, passes - 1); /* 0 arrives as 1 */
}

static void nested(void)
{
	volatile int steps = 0;

	if (!setjmp(outer)) {
		if (!setjmp(inner)) {
			steps = 1;
			longjmp(inner, 1);
		}
		steps = steps * 10 + 2;
		longjmp(outer, 1);
	}
	say("nested: %d", steps * 10 + 3);
}

static int compare(const void *one, const void *other)
{
	int a = *(const int *)one, b = *(const int *)other;

	if (a == 13 || b == 13)
		longjmp(outer, 13);
	return a - b;
}

/* Out of a library function that called us back. */
static void through_library(void)
{
	int values[] = { 5, 3, 13, 1, 4 };

	switch (setjmp(outer)) {
	case 0:
		qsort(values, 5, sizeof(values[0]), compare);
		say("sorted?");
		break;
	default:
		say("left qsort");
	}
}

/* Many times: the stack must come back each time. */
static void again_and_again(void)
{
	volatile int count = 0;

	setjmp(outer);
	if (count < 20000) {
		count++;
		deep(10, count);
	}
	say("jumps: %d", count);
}

static volatile double kept_float = 1.5;
static volatile long long kept_long = 1LL << 40;

static void values(void)
{
	volatile double local_float = kept_float * 3;
	volatile long long local_long = kept_long + 7;

	if (!setjmp(outer))
		deep(3, 2);
	say("values survive: %d %d", local_float == 4.5, local_long == (1LL << 40) + 7);
}

static void in_child(void)
{
	pid_t pid;

	if (setjmp(outer)) {
		say("jumped in the child");
		_exit(3);
	}
	pid = MUST(fork());
	if (!pid)
		deep(5, 1);
	say("parent: %s", ended(reap(pid)));
}

int main(void)
{
	simple();
	nested();
	through_library();
	again_and_again();
	values();
	in_child();
	say("end");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Never comes to an end by itself.  Argument: how it passes the time.
 *
 *	loop	one loop, no calls
 *	calls	calls and indirect calls
 *	memory	large fills and copies
 *	blocked	in a system call
 *	handle	as loop, but counts SIGTERM, and ends at the third
 */

#include "transcript.h"

static volatile sig_atomic_t terms;
static volatile unsigned int spins;

static void counts(int sig)
{
	(void)sig;
	terms++;
}

__attribute__((noinline)) static unsigned int recurse(unsigned int depth)
{
	return depth ? recurse(depth - 1) + recurse(depth - 1) : spins++;
}

static unsigned int (*volatile indirect)(unsigned int) = recurse;

static void call(void)
{
	for (;;)
		indirect(20);
}

static void fill(void)
{
	size_t size = 8 << 20;
	char *one = malloc(size), *other = malloc(size);

	for (;;) {
		memset(one, spins++, size);
		memcpy(other, one, size);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "loop";
	int pipes[2];
	char byte;

	if (!strcmp(how, "handle"))
		signal(SIGTERM, counts);
	say("%s", how);
	if (!strcmp(how, "calls"))
		call();
	if (!strcmp(how, "memory"))
		fill();
	if (!strcmp(how, "blocked")) {
		MUST(pipe(pipes));
		read(pipes[0], &byte, 1);
	}
	while (terms < 3)
		spins++;
	say("terminated %d times", (int)terms);
	return 0;
}

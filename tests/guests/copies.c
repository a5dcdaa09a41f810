// SPDX-License-Identifier: GPL-2.0-only
/*
 * memcpy, memmove, memset for every length and alignment that they treat in a way of its own, beside
 * loops of bytes; natively the same of the C library.
 */

#include "transcript.h"

#define SIZE 2200
#define MOST 560	/* beyond what guests leave to the host */

static unsigned char memory[SIZE], expected[SIZE];
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile set)(void *, int, size_t) = memset;
static unsigned int seed = 1, sum;

static void fill(void)
{
	for (int i = 0; i < SIZE; i++) {
		seed = seed * 1103515245 + 12345;
		memory[i] = expected[i] = seed >> 16;
	}
}

static void check(const char *what, int to, int from, int n, const void *result)
{
	int wrong = result != memory + to;

	for (int i = 0; i < SIZE; i++) {
		wrong |= memory[i] != expected[i];
		sum = sum * 31 + memory[i];
	}
	if (wrong)
		say("%s of %d from %d to %d is wrong", what, n, from, to);
}

static void try(int to, int from, int n)
{
	fill();
	for (int i = 0; i < n; i++)
		expected[from < to ? to + n - 1 - i : to + i] = expected[from < to ? from + n - 1 - i : from + i];
	check("memmove", to, from, n, move(memory + to, memory + from, n));
	for (int i = 0; i < n; i++)
		expected[to + 1100 + i] = expected[from + i];
	check("memcpy", to + 1100, from, n, copy(memory + to + 1100, memory + from, n));
	for (int i = 0; i < n; i++)
		expected[to + i] = (unsigned char)(n + 300);
	check("memset", to, 0, n, set(memory + to, n + 300, n));
}

int main(void)
{
	static const int distances[] = { -65, -33, -17, -16, -8, -3, -1, 0, 1, 5, 8, 15, 16, 31, 32, 64, 480 };

	for (int n = 0; n < MOST; n += n < 70 ? 1 : 37) {
		for (unsigned int k = 0; k < sizeof(distances) / sizeof(*distances); k++)
			try(66 + n % 8, 66 + n % 8 + distances[k], n);
	}
	say("sum %08x", sum);
	return 0;
}

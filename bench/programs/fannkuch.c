// SPDX-License-Identifier: GPL-2.0-only
/* Fannkuch: permutations of a short array, prefixes reversed; loops and array accesses. */
#include <stdio.h>

#define N	10
#define ROUNDS	3

static void reverse(int *from, int count)
{
	for (int i = 0, j = count - 1; i < j; i++, j--) {
		int kept = from[i];

		from[i] = from[j];
		from[j] = kept;
	}
}

static int flips(const int *permutation)
{
	int copy[N], count = 0;

	for (int i = 0; i < N; i++)
		copy[i] = permutation[i];
	while (copy[0]) {
		reverse(copy, copy[0] + 1);
		count++;
	}
	return count;
}

/* The next permutation: turn ever longer prefixes by one place. */
static int advance(int *permutation, int *turns)
{
	for (int i = 1; i < N; i++) {
		int first = permutation[0];

		for (int j = 0; j < i; j++)
			permutation[j] = permutation[j + 1];
		permutation[i] = first;
		if (++turns[i] <= i)
			return 1;
		turns[i] = 0;
	}
	return 0;
}

int main(void)
{
	int permutation[N], turns[N] = { 0 }, most = 0, sum = 0, sign = 1;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < N; i++)
			permutation[i] = (i + round) % N;
		do {
			int count = flips(permutation);

			if (count > most)
				most = count;
			sum += sign * count;
			sign = -sign;
		} while (advance(permutation, turns));
	}
	printf("%d %d\n", sum, most);
	return 0;
}

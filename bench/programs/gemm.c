// SPDX-License-Identifier: GPL-2.0-only
/* Product of two matrices of doubles: what a native compiler vectorises. */
#include <stdio.h>

#define N	240
#define ROUNDS	200

static double a[N][N], b[N][N], c[N][N];

int main(void)
{
	double trace = 0;

	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			a[i][j] = i * j % 7;
			b[i][j] = (i + j) % 11;
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < N; i++) {
			for (int j = 0; j < N; j++)
				c[i][j] *= 0.5;
			for (int k = 0; k < N; k++)
				for (int j = 0; j < N; j++)
					c[i][j] += 1.5 * a[i][k] * b[k][j];
		}
	}
	for (int i = 0; i < N; i++)
		trace += c[i][i];
	printf("%.3f\n", trace);
	return 0;
}

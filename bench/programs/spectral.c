// SPDX-License-Identifier: GPL-2.0-only
/* Spectral norm: divisions, and integers converted to doubles. */
#include <math.h>
#include <stdio.h>

#define N	1800

static double element(int i, int j)
{
	return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void multiply(const double *from, double *to, int transposed)
{
	for (int i = 0; i < N; i++) {
		to[i] = 0;
		for (int j = 0; j < N; j++)
			to[i] += (transposed ? element(j, i) : element(i, j)) * from[j];
	}
}

int main(void)
{
	static double u[N], v[N], between[N];
	double uv = 0, vv = 0;

	for (int i = 0; i < N; i++)
		u[i] = 1;
	for (int round = 0; round < 12; round++) {
		multiply(u, between, 0);
		multiply(between, v, 1);
		multiply(v, between, 0);
		multiply(between, u, 1);
	}
	for (int i = 0; i < N; i++) {
		uv += u[i] * v[i];
		vv += v[i] * v[i];
	}
	printf("%.9f\n", sqrt(uv / vv));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* The Mandelbrot set: a chain of additions and multiplications of doubles. */
#include <stdio.h>

#define SIZE	2400
#define LIMIT	60

int main(void)
{
	unsigned int hash = 0;

	for (int y = 0; y < SIZE; y++) {
		for (int x = 0; x < SIZE; x++) {
			double cr = 2.0 * x / SIZE - 1.5, ci = 2.0 * y / SIZE - 1;
			double zr = 0, zi = 0, rr = 0, ii = 0;
			int i;

			for (i = 0; i < LIMIT && rr + ii <= 4; i++) {
				zi = 2 * zr * zi + ci;
				zr = rr - ii + cr;
				rr = zr * zr;
				ii = zi * zi;
			}
			hash = hash * 31 + i;
		}
	}
	printf("%u\n", hash);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Quicksort of our own, and the library's with its calls through a pointer. */
#include <stdio.h>
#include <stdlib.h>

#define N	4000000

static int a[N], b[N];

static void quicksort(int *from, int low, int high)
{
	while (low < high) {
		int pivot = from[low + (high - low) / 2], i = low, j = high;

		while (i <= j) {
			while (from[i] < pivot)
				i++;
			while (from[j] > pivot)
				j--;
			if (i <= j) {
				int kept = from[i];

				from[i++] = from[j];
				from[j--] = kept;
			}
		}
		if (j - low < high - i) {
			quicksort(from, low, j);
			low = i;
		} else {
			quicksort(from, i, high);
			high = j;
		}
	}
}

static int compare(const void *x, const void *y)
{
	int a = *(const int *)x, b = *(const int *)y;

	return a < b ? -1 : a > b;
}

int main(void)
{
	unsigned int seed = 1;
	int wrong = 0;

	for (int i = 0; i < N; i++) {
		seed = seed * 1103515245 + 12345;
		a[i] = b[i] = (int)(seed >> 4);
	}
	quicksort(a, 0, N - 1);
	qsort(b, N / 8, sizeof(b[0]), compare);
	for (int i = 1; i < N; i++)
		wrong += a[i - 1] > a[i] || (i < N / 8 && b[i - 1] > b[i]);
	printf("%d %d %d\n", a[0], a[N / 2], wrong);
	return 0;
}

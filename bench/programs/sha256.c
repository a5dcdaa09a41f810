// SPDX-License-Identifier: GPL-2.0-only
/* SHA-256 (FIPS 180-4) of zeros: 32-bit arithmetic under register pressure. */
#include <stdint.h>
#include <stdio.h>

#define BLOCKS	900000

static uint32_t constants[64];

/* Fractional parts of cube roots of the first primes, found with integers only. */
static void make_constants(void)
{
	int n = 0;

	for (uint32_t p = 2; n < 64; p++) {
		uint64_t low = 0, high = 7ull << 32;
		uint32_t d = 2;

		while (d * d <= p && p % d)
			d++;
		if (d * d <= p)
			continue;
		/* The largest root with root^3 <= p * 2^96. */
		while (low < high) {
			uint64_t middle = low + (high - low + 1) / 2;
			unsigned __int128 square = (unsigned __int128)middle * middle;
			unsigned __int128 upper = (square >> 64) * middle;

			upper += (unsigned __int128)(uint64_t)square * middle >> 64;
			if (upper < (unsigned __int128)p << 32)
				low = middle;
			else
				high = middle - 1;
		}
		constants[n++] = (uint32_t)low;
	}
}

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void compress(uint32_t *state, const uint8_t *block)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	for (int i = 0; i < 8; i++)
		v[i] = state[i];
	for (int i = 0; i < 64; i++) {
		uint32_t a = v[0], e = v[4];
		uint32_t one = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			       ((e & v[5]) ^ (~e & v[6])) + constants[i] + w[i];
		uint32_t two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			       ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		for (int j = 7; j; j--)
			v[j] = v[j - 1];
		v[4] += one;
		v[0] = one + two;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

int main(void)
{
	uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t block[64] = { 0 };

	make_constants();
	for (int i = 0; i < BLOCKS; i++) {
		block[i & 63] ^= i;
		compress(state, block);
	}
	printf("%08x %08x\n", (unsigned int)constants[0], (unsigned int)state[0]);
	return 0;
}

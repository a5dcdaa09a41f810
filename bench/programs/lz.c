// SPDX-License-Identifier: GPL-2.0-only
/* A small dictionary compressor and CRC-32: bytes, tables, unpredictable branches. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIZE	(1 << 20)
#define ROUNDS	40
#define LONGEST	255
#define FARTHEST 65535

static uint8_t text[SIZE], packed[2 * SIZE], back[SIZE];
static int last[4096];	/* by hash of three bytes */
static uint32_t crc_table[256];

static int match(int at, int *distance)
{
	uint32_t word = (uint32_t)text[at] << 16 | (uint32_t)text[at + 1] << 8 | text[at + 2];
	uint32_t hash = word * 2654435761u >> 20;
	int other = last[hash], length = 0;

	last[hash] = at;
	if (other < 0 || at - other > FARTHEST)
		return 0;
	while (length < LONGEST && at + length < SIZE && text[other + length] == text[at + length])
		length++;
	*distance = at - other;
	return length >= 4 ? length : 0;
}

/* Tokens: 0 and a byte, or a length and a distance. */
static int pack(void)
{
	int at = 0, out = 0;

	memset(last, -1, sizeof(last));
	while (at < SIZE) {
		int distance = 0, length = at + 3 < SIZE ? match(at, &distance) : 0;

		packed[out++] = length;
		if (length) {
			packed[out++] = distance;
			packed[out++] = distance >> 8;
			at += length;
		} else {
			packed[out++] = text[at++];
		}
	}
	return out;
}

static int unpack(int size)
{
	int at = 0, out = 0;

	while (at < size) {
		int length = packed[at++];

		if (!length) {
			back[out++] = packed[at++];
			continue;
		}
		for (int distance = packed[at] | packed[at + 1] << 8; length--; out++)
			back[out] = back[out - distance];
		at += 2;
	}
	return out;
}

static uint32_t crc(const uint8_t *bytes, int size)
{
	uint32_t sum = ~0u;

	while (size--)
		sum = crc_table[(sum ^ *bytes++) & 255] ^ sum >> 8;
	return ~sum;
}

int main(void)
{
	uint32_t seed = 7, sum = 0;
	int size = 0, good = 1;

	for (uint32_t i = 0; i < 256; i++) {
		crc_table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			crc_table[i] = crc_table[i] >> 1 ^ (crc_table[i] & 1 ? 0xedb88320 : 0);
	}
	for (int i = 0; i < SIZE; i++) {
		seed = seed * 1103515245 + 12345;
		text[i] = "the quick brown fox jumps over "[(seed >> 16) % 31 & ~(seed >> 28 & 7)];
	}
	for (int round = 0; round < ROUNDS; round++) {
		text[round * 1000] ^= 1;
		size = pack();
		good &= unpack(size) == SIZE && !memcmp(text, back, SIZE);
		sum ^= crc(packed, size);
	}
	printf("%d %d %08x\n", size, good, (unsigned int)sum);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * memcpy, memmove, memset for hosts whose unaligned accesses are as fast as others. libc's go
 * byte by byte where source and destination are not aligned alike, and most of what servers copy
 * and clear is short: here both ends are done with accesses that may overlap, and a loop in
 * between only where there is more than 32 bytes.
 */

#include <stdint.h>
#include <string.h>

#include "wjposix.h"

typedef uint64_t __attribute__((aligned(1), may_alias)) u64;
typedef uint32_t __attribute__((aligned(1), may_alias)) u32;

/* No loop below may become a call of what it implements. */
#define NO_CALLS __attribute__((no_builtin))

/* As in libc: from here on the host copies, and returns `to`. */
#define LARGE 512

__attribute__((import_module("env"), import_name("emscripten_memcpy_big")))
void *emscripten_memcpy_big(void *to, const void *from, size_t n);

/* Up to 32 bytes. All is read before anything is written. */
static inline __attribute__((always_inline)) void copy_short(char *to, const char *from, size_t n)
{
	if (n > 16) {
		uint64_t a = *(const u64 *)from, b = *(const u64 *)(from + 8);
		uint64_t c = *(const u64 *)(from + n - 16), d = *(const u64 *)(from + n - 8);

		*(u64 *)to = a;
		*(u64 *)(to + 8) = b;
		*(u64 *)(to + n - 16) = c;
		*(u64 *)(to + n - 8) = d;
	} else if (n >= 8) {
		uint64_t a = *(const u64 *)from, b = *(const u64 *)(from + n - 8);

		*(u64 *)to = a;
		*(u64 *)(to + n - 8) = b;
	} else if (n >= 4) {
		uint32_t a = *(const u32 *)from, b = *(const u32 *)(from + n - 4);

		*(u32 *)to = a;
		*(u32 *)(to + n - 4) = b;
	} else if (n) {
		char a = from[0], b = from[n / 2], c = from[n - 1];

		to[0] = a;
		to[n / 2] = b;
		to[n - 1] = c;
	}
}

/*
 * More than 32 bytes, upwards; the end is read first, so `to` may overlap `from` from below. No more
 * values at a time than registers need not be saved for.
 */
static inline __attribute__((always_inline)) void copy_long(char *to, const char *from, size_t n)
{
	char *end = to + n - 16;
	uint64_t c = *(const u64 *)(from + n - 16), d = *(const u64 *)(from + n - 8);

	do {
		uint64_t a = *(const u64 *)from, b = *(const u64 *)(from + 8);

		*(u64 *)to = a;
		*(u64 *)(to + 8) = b;
		to += 16;
		from += 16;
	} while (to < end);
	*(u64 *)end = c;
	*(u64 *)(end + 8) = d;
}

NO_CALLS void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	if (n <= 32) {
		copy_short(to, from, n);
		return to;
	}
	if (n >= LARGE)
		return emscripten_memcpy_big(to, from, n);
	copy_long(to, from, n);
	return to;
}

NO_CALLS void *memmove(void *destination, const void *source, size_t n)
{
	char *to = destination;
	const char *from = source;
	uint64_t a, b;

	if (n <= 32) {
		copy_short(to, from, n);
		return to;
	}
	if ((uintptr_t)to - (uintptr_t)from >= n) {
		/* Upwards: what is read was not written yet. */
		if (n >= LARGE && (uintptr_t)from - (uintptr_t)to >= n)
			return emscripten_memcpy_big(to, from, n);
		copy_long(to, from, n);
		return to;
	}
	/* Downwards; the beginning is read first. */
	a = *(const u64 *)from;
	b = *(const u64 *)(from + 8);
	do {
		uint64_t c, d;

		n -= 16;
		c = *(const u64 *)(from + n);
		d = *(const u64 *)(from + n + 8);
		*(u64 *)(to + n) = c;
		*(u64 *)(to + n + 8) = d;
	} while (n > 16);
	*(u64 *)to = a;
	*(u64 *)(to + 8) = b;
	return to;
}

NO_CALLS void *memset(void *destination, int value, size_t n)
{
	char *to = destination, *end;
	uint64_t v;

	if (n < 8) {
		if (n >= 4) {
			uint32_t w = (unsigned char)value * 0x01010101u;

			*(u32 *)to = w;
			*(u32 *)(to + n - 4) = w;
		} else if (n) {
			to[0] = value;
			to[n / 2] = value;
			to[n - 1] = value;
		}
		return to;
	}
	v = (unsigned char)value * UINT64_C(0x0101010101010101);
	end = to + n;
	if (n > 32) {
		for (; to < end - 32; to += 32) {
			*(u64 *)to = v;
			*(u64 *)(to + 8) = v;
			*(u64 *)(to + 16) = v;
			*(u64 *)(to + 24) = v;
		}
		*(u64 *)(end - 32) = v;
		*(u64 *)(end - 24) = v;
	} else {
		*(u64 *)to = v;
		if (n > 16)
			*(u64 *)(to + 8) = v;
	}
	if (n > 16)
		*(u64 *)(end - 16) = v;
	*(u64 *)(end - 8) = v;
	return destination;
}

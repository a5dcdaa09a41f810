// SPDX-License-Identifier: GPL-2.0-only
/* The string functions that compilers call and core/ and host/ use; built only without a libc. */
#include "platform_types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t size)
{
	void *ret = dst;

	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(size) : : "memory");
	return ret;
}

void *memmove(void *dst, const void *src, size_t size)
{
	u8 *to = dst;
	const u8 *from = src;

	if (to <= from || to >= from + size)
		return memcpy(dst, src, size);
	while (size--) {
		to[size] = from[size];
		__asm__ volatile("" : : : "memory");	/* or it becomes a call of memmove */
	}
	return dst;
}

void *memset(void *dst, int byte, size_t size)
{
	void *ret = dst;

	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(size) : "a"(byte) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const u8 *p = a, *q = b;

	for (size_t i = 0; i < size; i++) {
		if (p[i] != q[i])
			return p[i] - q[i];
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n]) {
		n++;
		__asm__ volatile("" : : : "memory");	/* or it becomes a call of strlen */
	}
	return n;
}

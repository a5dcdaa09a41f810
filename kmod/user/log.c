// SPDX-License-Identifier: GPL-2.0-only
/* wj_log: one line on descriptor 2, in one write so that lines of processes do not mix. */
#include <linux/time_types.h>
#include <linux/time.h>
#include <stdarg.h>
#include "../host/wj_text.h"
#include "user.h"

#define LINE 1024

struct line {
	char text[LINE];
	size_t used;
};

static void put(struct line *line, char c)
{
	if (line->used < LINE - 1)	/* the newline always fits */
		line->text[line->used++] = c;
}

static void put_number(struct line *line, u64 value, unsigned int base)
{
	char digits[64], *end = digits + sizeof(digits);

	for (const char *digit = wj_digits(end, value, base); digit < end; digit++)
		put(line, *digit);
}

void wj_log(const char *format, ...)
{
	struct line line = { .used = 0 };
	va_list args;

	va_start(args, format);
	for (const char *f = format; *f; f++) {
		unsigned int longs = 0;

		if (*f != '%') {
			put(&line, *f);
			continue;
		}
		while (*++f == 'l')
			longs++;
		switch (*f) {
		case 's': {
			const char *s = va_arg(args, const char *);

			while (*s)
				put(&line, *s++);
			break;
		}
		case 'd': {
			s64 value = longs ? va_arg(args, long) : va_arg(args, int);

			if (value < 0)
				put(&line, '-');
			put_number(&line, value < 0 ? -(u64)value : (u64)value, 10);
			break;
		}
		case 'u':
		case 'x':
			put_number(&line, longs ? va_arg(args, unsigned long) : va_arg(args, unsigned int),
				   *f == 'u' ? 10 : 16);
			break;
		default:
			put(&line, *f);
		}
	}
	va_end(args);
	line.text[line.used++] = '\n';
	syscall3(__NR_write, 2, (long)line.text, line.used);
}

/* There is no vDSO here: every clock is a system call. */
bool wj_clock_read(int id, s64 *sec, s64 *nsec)
{
	(void)id;
	(void)sec;
	(void)nsec;
	return false;
}

u64 wj_clock_ns(void)
{
	struct __kernel_timespec now = { 0 };

	syscall2(__NR_clock_gettime, CLOCK_MONOTONIC, (long)&now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Not in memory.c: tests replace wj_alloc, for whoever else calls it. */
void *wj_memdup(const void *from, size_t size)
{
	void *copy = wj_alloc(size);

	if (copy)
		memcpy(copy, from, size);
	return copy;
}

void wj_random(void *dst, size_t size)
{
	u8 *to = dst;

	while (size) {
		long ret = syscall3(__NR_getrandom, (long)to, size, 0);

		if (ret <= 0)
			continue;
		to += ret;
		size -= ret;
	}
}

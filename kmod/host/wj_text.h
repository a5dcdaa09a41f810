/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text in the C locale: what <ctype.h> and <string.h> would offer, for bytes that may be
 * anything.  Functions that take a length never look for a NUL.
 */
#ifndef WJ_TEXT_H
#define WJ_TEXT_H

#include "platform.h"

/* A piece of somebody else's buffer; not NUL-terminated. */
struct wj_str {
	const char *p;
	size_t n;
};

static inline bool wj_is_digit(char c)
{
	return (u8)(c - '0') < 10;
}

static inline bool wj_is_alpha(char c)
{
	return (u8)((c | 32) - 'a') < 26;
}

static inline bool wj_is_space(char c)
{
	return c == ' ' || (u8)(c - '\t') < 5;
}

static inline u8 wj_lower(u8 c)
{
	return (u8)(c - 'A') < 26 ? (u8)(c + 32) : c;
}

static inline size_t wj_min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline bool wj_str_is(struct wj_str s, const char *text)
{
	size_t n = strlen(text);

	return s.n == n && !memcmp(s.p, text, n);
}

/* Equal but for the case of ASCII letters? */
static inline bool wj_same_nocase(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (wj_lower((u8)a[i]) != wj_lower((u8)b[i]))
			return false;
	return true;
}

static inline bool wj_str_is_nocase(struct wj_str a, struct wj_str b)
{
	return a.n == b.n && wj_same_nocase(a.p, b.p, a.n);
}

static inline struct wj_str wj_str_of(const char *text)
{
	struct wj_str s = { text, strlen(text) };

	return s;
}

/* All of `s` as a decimal number of at most `max`: digits only, no sign, no space. */
static inline bool wj_parse_u32(struct wj_str s, u32 max, u32 *ret)
{
	u64 value = 0;
	size_t i;

	if (!s.n)
		return false;
	for (i = 0; i < s.n; i++) {
		if (!wj_is_digit(s.p[i]))
			return false;
		value = value * 10 + (u64)(s.p[i] - '0');
		if (value > max)
			return false;
	}
	*ret = (u32)value;
	return true;
}

/* `value` in `base`, 2 to 16, as text that ends before `end`: where it begins.  64 bytes always do. */
static inline char *wj_digits(char *end, u64 value, unsigned int base)
{
	do {
		*--end = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return end;
}

/* Takes the next run of non-space bytes off the front of `rest`. */
static inline bool wj_next_word(struct wj_str *rest, struct wj_str *ret)
{
	while (rest->n && wj_is_space(*rest->p)) {
		rest->p++;
		rest->n--;
	}
	ret->p = rest->p;
	while (rest->n && !wj_is_space(*rest->p)) {
		rest->p++;
		rest->n--;
	}
	ret->n = (size_t)(rest->p - ret->p);
	return ret->n != 0;
}

/* Cuts `s` at the first `c`; the rest, or nothing, is left in `tail`. */
static inline bool wj_cut(struct wj_str *s, char c, struct wj_str *tail)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->p[i] != c)
			continue;
		tail->p = s->p + i + 1;
		tail->n = s->n - i - 1;
		s->n = i;
		return true;
	}
	tail->p = s->p + s->n;
	tail->n = 0;
	return false;
}

/* Copies and terminates; false, with `dst` empty, if it does not fit in `size` bytes. */
static inline bool wj_str_copy(char *dst, size_t size, struct wj_str s)
{
	if (!size)
		return false;
	if (s.n >= size) {
		dst[0] = 0;
		return false;
	}
	memcpy(dst, s.p, s.n);
	dst[s.n] = 0;
	return true;
}

#endif

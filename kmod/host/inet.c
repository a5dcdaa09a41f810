// SPDX-License-Identifier: GPL-2.0-only
/* Internet addresses as text; see wj_inet.h. */
#include "wj_inet.h"

static const u8 v4mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool wj_inet_is_v4mapped(const u8 ip[16])
{
	return !memcmp(ip, v4mapped_prefix, sizeof(v4mapped_prefix));
}

bool wj_inet_is_link_local(const u8 ip[16])
{
	/* fe80::/10, ff02::/16 */
	return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || (ip[0] == 0xff && (ip[1] & 15) == 2);
}

static int hex_value(char c)
{
	if (wj_is_digit(c))
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A C number: decimal, 0octal or 0xhex; it ends where `text` does. */
static bool parse_part(struct wj_str text, u64 *ret)
{
	u64 value = 0;
	u32 base = 10;
	size_t i = 0;

	if (!text.n)
		return false;
	if (text.n > 2 && text.p[0] == '0' && (text.p[1] | 32) == 'x') {
		base = 16;
		i = 2;
	} else if (text.n > 1 && text.p[0] == '0') {
		base = 8;
	}
	for (; i < text.n; i++) {
		int digit = hex_value(text.p[i]);

		if (digit < 0 || (u32)digit >= base)
			return false;
		value = value * base + (u32)digit;
		if (value > 0xffffffffu)
			return false;
	}
	*ret = value;
	return true;
}

/* One to four numbers; the last one fills what is left of the 32 bits. */
static bool parse_v4(struct wj_str text, u8 ip[4])
{
	u64 value = 0, part;
	u32 i;

	for (i = 0; i < 4; i++) {
		struct wj_str rest;
		bool more = wj_cut(&text, '.', &rest);

		if (!parse_part(text, &part))
			return false;
		if (!more) {
			if (part >> (8 * (4 - i)))
				return false;
			value |= part;
			ip[0] = (u8)(value >> 24);
			ip[1] = (u8)(value >> 16);
			ip[2] = (u8)(value >> 8);
			ip[3] = (u8)value;
			return true;
		}
		if (part > 255)
			return false;
		value |= part << (8 * (3 - i));
		text = rest;
	}
	return false;
}

/* Four decimal numbers, as at the end of an IPv6 address. */
static bool parse_dotted(struct wj_str text, u8 ip[4])
{
	u32 i, value;

	for (i = 0; i < 4; i++) {
		struct wj_str rest;
		bool more = wj_cut(&text, '.', &rest);

		if (more != (i < 3) || (text.n > 1 && *text.p == '0') ||
		    !wj_parse_u32(text, 255, &value))
			return false;
		ip[i] = (u8)value;
		text = rest;
	}
	return true;
}

static bool parse_v6(struct wj_str text, u8 ip[16])
{
	u8 out[16] = { 0 };
	u32 at = 0;			/* bytes written */
	u32 gap = 17;			/* where :: was, 17: nowhere */
	size_t i = 0;

	if (text.n >= 2 && text.p[0] == ':' && text.p[1] == ':') {
		gap = 0;
		i = 2;
	}
	while (i < text.n) {
		size_t start = i;
		u32 value = 0;

		while (i < text.n && i - start < 4 && hex_value(text.p[i]) >= 0)
			value = value << 4 | (u32)hex_value(text.p[i++]);
		if (i < text.n && text.p[i] == '.') {
			struct wj_str tail = { text.p + start, text.n - start };

			if (at > 12 || !parse_dotted(tail, out + at))
				return false;
			at += 4;
			break;
		}
		if (i == start || at > 14)
			return false;
		out[at++] = (u8)(value >> 8);
		out[at++] = (u8)value;
		if (i == text.n)
			break;
		if (text.p[i++] != ':' || i == text.n)
			return false;
		if (text.p[i] == ':') {
			if (gap <= 16)
				return false;
			gap = at;
			i++;
		}
	}
	if (gap > 16) {
		if (at != 16)
			return false;
	} else {
		if (at > 14)		/* :: stands for at least one group */
			return false;
		memmove(out + 16 - (at - gap), out + gap, at - gap);
		memset(out + gap, 0, 16 - at);
	}
	memcpy(ip, out, 16);
	return true;
}

bool wj_inet_parse(u16 family, struct wj_str text, u8 ip[16])
{
	return family == WJ_AF_INET ? parse_v4(text, ip) : parse_v6(text, ip);
}

static size_t put_number(char *text, u32 value, u32 base)
{
	char digits[12];
	size_t n = 0, i;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (i = 0; i < n; i++)
		text[i] = digits[n - 1 - i];
	return n;
}

static size_t format_v4(const u8 *ip, char *text)
{
	size_t n = 0;
	u32 i;

	for (i = 0; i < 4; i++) {
		if (i)
			text[n++] = '.';
		n += put_number(text + n, ip[i], 10);
	}
	text[n] = 0;
	return n;
}

static size_t format_v6(const u8 *ip, char *text)
{
	u32 groups = wj_inet_is_v4mapped(ip) ? 6 : 8;
	u32 best = 8, best_length = 1;	/* a single zero group is not shortened */
	u32 i, run = 0;
	size_t n = 0;

	for (i = 0; i < groups; i++) {
		run = ip[2 * i] || ip[2 * i + 1] ? 0 : run + 1;
		if (run > best_length) {
			best_length = run;
			best = i + 1 - run;
		}
	}
	for (i = 0; i < groups; i++) {
		if (i == best) {
			text[n++] = ':';
			if (!i)
				text[n++] = ':';
			i += best_length - 1;
			if (i == 7)
				break;
			continue;
		}
		n += put_number(text + n, (u32)ip[2 * i] << 8 | ip[2 * i + 1], 16);
		if (i < 7)
			text[n++] = ':';
	}
	if (groups == 6)
		return n + format_v4(ip + 12, text + n);
	text[n] = 0;
	return n;
}

size_t wj_inet_format(u16 family, const u8 *ip, char text[WJ_INET_TEXT_SIZE])
{
	return family == WJ_AF_INET ? format_v4(ip, text) : format_v6(ip, text);
}

int wj_address_from_text(struct wj_process *p, struct wj_str text, struct wj_address *ret)
{
	struct wj_str zone;
	int err;

	ret->scope = 0;
	memset(ret->ip, 0, sizeof(ret->ip));
	if (parse_v4(text, ret->ip)) {
		ret->family = WJ_AF_INET;
		return 1;
	}
	if (!wj_cut(&text, '%', &zone)) {
		ret->family = WJ_AF_INET6;
		return parse_v6(text, ret->ip);
	}
	if (!parse_v6(text, ret->ip))
		return 0;
	ret->family = WJ_AF_INET6;
	if (wj_parse_u32(zone, 0xffffffffu, &ret->scope))
		return 1;
	if (!wj_inet_is_link_local(ret->ip))
		return -ENODEV;
	err = wj_interface_index(p, zone, &ret->scope);
	if (err)
		return wj_is_restart(err) ? err : -ENODEV;
	return 1;
}

// SPDX-License-Identifier: GPL-2.0-only
/* DNS messages; see wj_dns.h. */
#include "wj_dns.h"

#define HEADER_SIZE		12
#define RECORD_SIZE		10	/* type, class, TTL, size; after the name */
#define LABEL_MAX		63
#define JUMPS_MAX		128	/* compression pointers in a name: one per label */
#define CLASS_IN		1
#define TYPE_OPT		41

#define FLAG_RESPONSE		0x80	/* byte 2 */
#define FLAG_OPCODE		0x78
#define FLAG_AUTHORITATIVE	0x04
#define FLAG_TRUNCATED		0x02
#define FLAG_RECURSE		0x01
#define FLAG_CAN_RECURSE	0x80	/* byte 3 */

static u16 get_be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static void put_be16(u8 *p, u16 value)
{
	p[0] = (u8)(value >> 8);
	p[1] = (u8)value;
}

size_t wj_dns_name_from_text(struct wj_str text, u8 name[WJ_DNS_NAME_MAX])
{
	size_t at = 0, label;
	size_t i = 0;

	while (i < text.n) {
		label = at++;
		while (i < text.n && text.p[i] != '.') {
			u8 c = (u8)text.p[i++];

			/* The root's length byte must fit as well. */
			if (c <= ' ' || c == 0x7f || c == '\\' || at - label > LABEL_MAX ||
			    at >= WJ_DNS_NAME_MAX - 1)
				return 0;
			name[at++] = c;
		}
		if (at == label + 1)
			return 0;
		name[label] = (u8)(at - label - 1);
		i++;			/* the dot; past the end if there was none */
	}
	if (!at)
		return 0;
	name[at++] = 0;
	return at;
}

static bool is_host_char(u8 c)
{
	return wj_is_alpha((char)c) || wj_is_digit((char)c) || c == '-' || c == '_';
}

bool wj_dns_name_to_text(const u8 *name, char text[WJ_DNS_TEXT_SIZE])
{
	size_t at = 0;

	text[0] = 0;
	while (*name) {
		u32 n = *name++, i;

		if (at)
			text[at++] = '.';
		for (i = 0; i < n; i++) {
			if (!is_host_char(*name)) {
				text[0] = 0;
				return false;
			}
			text[at++] = (char)*name++;
		}
	}
	text[at] = 0;
	return at != 0;
}

size_t wj_dns_name_size(const u8 *name)
{
	size_t at = 0;

	while (name[at])
		at += name[at] + 1u;
	return at + 1;
}

bool wj_dns_name_same(const u8 *a, const u8 *b)
{
	size_t n = wj_dns_name_size(a);

	/* Lengths are below 64 and so below 'A': they have no case. */
	return n == wj_dns_name_size(b) && wj_same_nocase((const char *)a, (const char *)b, n);
}

bool wj_dns_name_read(const u8 *message, size_t size, size_t at, u8 name[WJ_DNS_NAME_MAX],
		      size_t *next)
{
	size_t n = 0;
	size_t limit = at;		/* pointers lead to before this */
	u32 jumps = 0;

	while (at < size) {
		u32 length = message[at];

		if (length >= 0xc0) {
			size_t to;

			if (at + 2 > size)
				return false;
			to = (length & 0x3f) << 8 | message[at + 1];
			if (!jumps)
				*next = at + 2;
			/* Each pointer leads further back: there cannot be a loop. */
			if (to >= limit || ++jumps > JUMPS_MAX)
				return false;
			limit = to;
			at = to;
			continue;
		}
		if (length > LABEL_MAX || n + 1 + length > WJ_DNS_NAME_MAX ||
		    at + 1 + length > size)
			return false;
		memcpy(name + n, message + at, length + 1);
		n += length + 1;
		at += length + 1;
		if (length)
			continue;
		if (!jumps)
			*next = at;
		return true;
	}
	return false;
}

size_t wj_dns_query_build(u8 buf[WJ_DNS_QUERY_MAX], u16 id, const u8 *name, u16 type,
			  u16 payload)
{
	size_t n = wj_dns_name_size(name), at = HEADER_SIZE + n;

	memset(buf, 0, WJ_DNS_QUERY_MAX);
	put_be16(buf, id);
	buf[2] = FLAG_RECURSE;
	put_be16(buf + 4, 1);
	memcpy(buf + HEADER_SIZE, name, n);
	put_be16(buf + at, type);
	put_be16(buf + at + 2, CLASS_IN);
	at += 4;
	if (payload) {
		/* Root name, OPT, payload as class, no flags, no options. */
		put_be16(buf + 10, 1);
		put_be16(buf + at + 1, TYPE_OPT);
		put_be16(buf + at + 3, payload);
		at += 11;
	}
	return at;
}

enum wj_dns_check wj_dns_check(const u8 *message, size_t size, u16 id, const u8 *name, u16 type,
			       u8 *rcode)
{
	u8 asked[WJ_DNS_NAME_MAX];
	size_t at = HEADER_SIZE;
	u16 questions;

	if (size < HEADER_SIZE || get_be16(message) != id || !(message[2] & FLAG_RESPONSE) ||
	    message[2] & FLAG_OPCODE)
		return WJ_DNS_FOREIGN;
	*rcode = message[3] & 15;
	questions = get_be16(message + 4);
	/* Servers that could not read the question may leave it out. */
	if (!questions && *rcode != WJ_DNS_NOERROR && *rcode != WJ_DNS_NXDOMAIN)
		return WJ_DNS_REFUSED;
	if (questions != 1 || !wj_dns_name_read(message, size, at, asked, &at) ||
	    at + 4 > size || !wj_dns_name_same(asked, name) ||
	    get_be16(message + at) != type || get_be16(message + at + 2) != CLASS_IN)
		return WJ_DNS_FOREIGN;
	if (*rcode != WJ_DNS_NOERROR && *rcode != WJ_DNS_NXDOMAIN)
		return WJ_DNS_REFUSED;
	if (message[2] & FLAG_TRUNCATED)
		return WJ_DNS_TRUNCATED;
	/* A lame server: it neither knows nor would find out. */
	if (*rcode == WJ_DNS_NOERROR && !get_be16(message + 6) &&
	    !(message[2] & FLAG_AUTHORITATIVE) && !(message[3] & FLAG_CAN_RECURSE) &&
	    !get_be16(message + 10))
		return WJ_DNS_REFUSED;
	return WJ_DNS_ANSWER;
}

struct record {
	u16 type, class;
	size_t data, data_size;
};

/* Reads the record at *at and moves past it. */
static bool read_record(const u8 *message, size_t size, size_t *at, u8 owner[WJ_DNS_NAME_MAX],
			struct record *ret)
{
	size_t next;

	if (!wj_dns_name_read(message, size, *at, owner, &next) || next + RECORD_SIZE > size)
		return false;
	ret->type = get_be16(message + next);
	ret->class = get_be16(message + next + 2);
	ret->data = next + RECORD_SIZE;
	ret->data_size = get_be16(message + next + 8);
	if (ret->data_size > size - ret->data)
		return false;
	*at = ret->data + ret->data_size;
	return true;
}

/* A record whose data is one name, the whole of it. */
static bool read_target(const u8 *message, const struct record *record,
			u8 name[WJ_DNS_NAME_MAX])
{
	size_t end = record->data + record->data_size, next;

	return wj_dns_name_read(message, end, record->data, name, &next) && next == end;
}

static void take_record(const u8 *message, const struct record *record,
			struct wj_dns_records *ret)
{
	size_t want = record->type == WJ_DNS_A ? 4 : 16;

	if (ret->count >= WJ_DNS_RECORDS_MAX)
		return;
	if (record->type == WJ_DNS_PTR) {
		if (!ret->count && read_target(message, record, ret->target))
			ret->count = 1;
		return;
	}
	if (record->data_size == want)
		memcpy(ret->ip[ret->count++], message + record->data, want);
}

/*
 * One pass over the answer section: takes the records at the end of the chain so far and
 * follows the first alias of it.  True if there was one.
 */
static bool scan(const u8 *message, size_t size, size_t at, u32 count, u16 type,
		 u8 owner[WJ_DNS_NAME_MAX], struct wj_dns_records *ret)
{
	struct record record;
	u32 i;

	for (i = 0; i < count; i++) {
		if (!read_record(message, size, &at, owner, &record))
			break;
		if (record.class != CLASS_IN || !wj_dns_name_same(owner, ret->canonical))
			continue;
		if (record.type == type) {
			take_record(message, &record, ret);
		} else if (record.type == WJ_DNS_CNAME && !ret->count &&
			 read_target(message, &record, owner)) {
			memcpy(ret->canonical, owner, wj_dns_name_size(owner));
			return true;
		}
	}
	return false;
}

void wj_dns_records_read(const u8 *message, size_t size, const u8 *name, u16 type,
			 struct wj_dns_records *ret)
{
	u8 owner[WJ_DNS_NAME_MAX];
	size_t at = HEADER_SIZE;
	u32 count, i;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->canonical, name, wj_dns_name_size(name));
	if (size < HEADER_SIZE || !wj_dns_name_read(message, size, at, owner, &at) ||
	    at + 4 > size)
		return;
	count = get_be16(message + 6);
	if (count > WJ_DNS_SCAN_MAX)
		count = WJ_DNS_SCAN_MAX;
	for (i = 0; i < WJ_DNS_CHAIN_MAX; i++)
		if (!scan(message, size, at + 4, count, type, owner, ret))
			return;
	/* Too long a chain, or one in a circle, has no records. */
	ret->count = 0;
}

static size_t put_label(u8 *name, u32 value, u32 base)
{
	char digits[3];
	size_t n = 0, i;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	name[0] = (u8)n;
	for (i = 0; i < n; i++)
		name[1 + i] = (u8)digits[n - 1 - i];
	return n + 1;
}

void wj_dns_reverse_name(const u8 *ip, bool v6, u8 name[WJ_DNS_NAME_MAX])
{
	size_t at = 0;
	u32 i;

	for (i = v6 ? 16 : 4; i-- > 0;) {
		if (v6) {
			at += put_label(name + at, ip[i] & 15, 16);
			at += put_label(name + at, ip[i] >> 4, 16);
		} else {
			at += put_label(name + at, ip[i], 10);
		}
	}
	if (v6)
		memcpy(name + at, "\3ip6\4arpa", 10);
	else
		memcpy(name + at, "\7in-addr\4arpa", 14);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DNS messages (RFC 1035).  Pure: bytes in, bytes out.  Messages from the network are
 * hostile: every read is bounded, every compression pointer leads strictly back.
 *
 * Names are in wire form without compression: length, label, ..., 0.
 */
#ifndef WJ_DNS_H
#define WJ_DNS_H

#include "wj_text.h"

#define WJ_DNS_NAME_MAX		255	/* in wire form */
#define WJ_DNS_TEXT_SIZE	256	/* as text with its NUL */
#define WJ_DNS_QUERY_MAX	(12 + WJ_DNS_NAME_MAX + 4 + 11)

#define WJ_DNS_A		1
#define WJ_DNS_CNAME		5
#define WJ_DNS_PTR		12
#define WJ_DNS_AAAA		28

#define WJ_DNS_NOERROR		0
#define WJ_DNS_FORMERR		1
#define WJ_DNS_SERVFAIL		2
#define WJ_DNS_NXDOMAIN		3

/*
 * From text, with or without a final dot.  Returns the size, or 0 if it is no name: empty
 * or long labels, more than 255 bytes, space or control characters.
 */
size_t wj_dns_name_from_text(struct wj_str text, u8 name[WJ_DNS_NAME_MAX]);
/* False, and an empty text, if a label has anything but letters, digits, - and _. */
bool wj_dns_name_to_text(const u8 *name, char text[WJ_DNS_TEXT_SIZE]);
/* The size of a name in wire form that is known to be one. */
size_t wj_dns_name_size(const u8 *name);
bool wj_dns_name_same(const u8 *a, const u8 *b);
/*
 * Expands the name at `at`; *next is where the message goes on after it.  False if it is
 * not one.
 */
bool wj_dns_name_read(const u8 *message, size_t size, size_t at, u8 name[WJ_DNS_NAME_MAX],
		      size_t *next);

/* A recursive query of class IN, with an EDNS record (RFC 6891) if payload is not 0. */
size_t wj_dns_query_build(u8 buf[WJ_DNS_QUERY_MAX], u16 id, const u8 *name, u16 type,
			  u16 payload);

enum wj_dns_check {
	WJ_DNS_FOREIGN,			/* not an answer to the query: ignore it */
	WJ_DNS_ANSWER,			/* NOERROR or NXDOMAIN */
	WJ_DNS_TRUNCATED,		/* ask again over TCP */
	WJ_DNS_REFUSED,			/* the server cannot say: ask another */
};

/* Is it an answer to the query with this id, name and type?  *rcode is set if so. */
enum wj_dns_check wj_dns_check(const u8 *message, size_t size, u16 id, const u8 *name, u16 type,
			       u8 *rcode);

/* Records of one type, after at most this many CNAMEs. */
#define WJ_DNS_CHAIN_MAX	16
#define WJ_DNS_RECORDS_MAX	48
/* No more records of the answer section are looked at. */
#define WJ_DNS_SCAN_MAX		512

struct wj_dns_records {
	u8 canonical[WJ_DNS_NAME_MAX];	/* the end of the chain */
	u32 count;
	u8 ip[WJ_DNS_RECORDS_MAX][16];	/* A: 4 bytes, AAAA: 16 */
	u8 target[WJ_DNS_NAME_MAX];	/* PTR: the first */
};

/*
 * The records of `type` at `name` in the answer section of a message that
 * wj_dns_check accepted.  Whatever follows the first damaged record is not looked at.
 */
void wj_dns_records_read(const u8 *message, size_t size, const u8 *name, u16 type,
			 struct wj_dns_records *ret);

/* For reverse lookups: 1.0.0.127.in-addr.arpa, ...ip6.arpa. */
void wj_dns_reverse_name(const u8 *ip, bool v6, u8 name[WJ_DNS_NAME_MAX]);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* Internet addresses as text. */
#ifndef WJ_INET_H
#define WJ_INET_H

#include "wj_hostio.h"

/* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" and its NUL */
#define WJ_INET_TEXT_SIZE	46

/*
 * IPv4 as inet_aton reads it (127.1, 0x7f000001, octal), IPv6 as in RFC 4291 section 2.2.
 * All of `text` must be the address.
 */
bool wj_inet_parse(u16 family, struct wj_str text, u8 ip[16]);
/* As inet_ntop, with the shortest form (RFC 5952).  Returns the length. */
size_t wj_inet_format(u16 family, const u8 *ip, char text[WJ_INET_TEXT_SIZE]);

bool wj_inet_is_v4mapped(const u8 ip[16]);
/* Unicast or multicast of link scope: its meaning depends on the interface. */
bool wj_inet_is_link_local(const u8 ip[16]);

/*
 * An address of either family, an IPv6 one perhaps with %interface or %number.  1; 0 if it
 * is none; -ENODEV if the interface does not exist, or a restart code.  port is left alone.
 */
int wj_address_from_text(struct wj_process *p, struct wj_str text, struct wj_address *ret);

#endif

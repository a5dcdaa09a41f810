/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * getaddrinfo and getnameinfo.
 *
 * Both return 0 when they are through, with an EAI_* code (0: success) in *code; or a
 * restart code, with everything released, if a signal wants to be handled first: then they
 * are to be called again.  The constants are musl's and Linux's, so Emscripten's as well.
 */
#ifndef WJ_GETADDRINFO_H
#define WJ_GETADDRINFO_H

#include "wj_netdb.h"
#include "wj_resolv.h"

#define WJ_AI_PASSIVE		0x01
#define WJ_AI_CANONNAME		0x02
#define WJ_AI_NUMERICHOST	0x04
#define WJ_AI_V4MAPPED		0x08
#define WJ_AI_ALL		0x10
#define WJ_AI_ADDRCONFIG	0x20
#define WJ_AI_NUMERICSERV	0x400

#define WJ_NI_NUMERICHOST	0x01
#define WJ_NI_NUMERICSERV	0x02
#define WJ_NI_NOFQDN		0x04
#define WJ_NI_NAMEREQD		0x08
#define WJ_NI_DGRAM		0x10
#define WJ_NI_NUMERICSCOPE	0x100

#define WJ_EAI_BADFLAGS		(-1)
#define WJ_EAI_NONAME		(-2)
#define WJ_EAI_AGAIN		(-3)
#define WJ_EAI_FAIL		(-4)
#define WJ_EAI_NODATA		(-5)
#define WJ_EAI_FAMILY		(-6)
#define WJ_EAI_SOCKTYPE		(-7)
#define WJ_EAI_SERVICE		(-8)
#define WJ_EAI_MEMORY		(-10)
#define WJ_EAI_SYSTEM		(-11)
#define WJ_EAI_OVERFLOW		(-12)

struct wj_gai_hints {
	int flags, family, socktype, protocol;
};

#define WJ_GAI_ADDRESSES	(2 * WJ_DNS_RECORDS_MAX)

/* Every address goes with every service; see wj_gai_entry.  About 2.6 KiB. */
struct wj_gai_result {
	u32 address_count, service_count;
	struct wj_address address[WJ_GAI_ADDRESSES];	/* without port */
	struct {
		int socktype, protocol;
		u16 port;
	} service[2];
	char canonical[WJ_HOST_SIZE];	/* ai_canonname, if it was asked for, else "" */
	int error;			/* -errno that goes with EAI_SYSTEM */
};

/* node and service may be NULL, and so may hints. */
int wj_getaddrinfo(struct wj_process *p, struct wj_resolver *resolver, const char *node,
		   const char *service, const struct wj_gai_hints *hints,
		   struct wj_gai_result *ret, int *code);

/* One struct addrinfo.  wj_address_encode makes ai_addr of the address. */
struct wj_gai_entry {
	struct wj_address address;
	int socktype, protocol;
};

/* The i-th one; false after the last. */
bool wj_gai_entry(const struct wj_gai_result *result, u32 i, struct wj_gai_entry *ret);

/*
 * host and serv may be NULL; they are terminated whenever *code is 0.  Sizes count the
 * NUL.  NI_NOFQDN does nothing, as in musl.
 */
int wj_getnameinfo(struct wj_process *p, struct wj_resolver *resolver,
		   const struct wj_address *address, int flags, char *host, size_t host_size,
		   char *serv, size_t serv_size, int *code);

/* A destination, and the source address that the kernel would use for it. */
struct wj_gai_candidate {
	struct wj_address address;
	bool usable;			/* there is one */
	u8 source[16];			/* of the same family */
};

/*
 * Sorts by RFC 6724 section 6, rules 1, 2, 5, 6, 8, 9 (between IPv6 addresses, up to 64
 * bits) and 10.  What rules 3, 4 and 7 ask for is not known.
 */
void wj_gai_sort(struct wj_gai_candidate *candidate, u32 count);

#endif

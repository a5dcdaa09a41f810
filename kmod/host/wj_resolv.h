/* SPDX-License-Identifier: GPL-2.0-only */
/* The stub resolver: /etc/resolv.conf, and questions to its servers over UDP and TCP. */
#ifndef WJ_RESOLV_H
#define WJ_RESOLV_H

#include "wj_dns.h"
#include "wj_inet.h"

#define WJ_RESOLV_PATH		"/etc/resolv.conf"
#define WJ_RESOLV_FILE_MAX	(64u << 10)
#define WJ_RESOLV_SERVERS	3
#define WJ_RESOLV_SEARCH	8
#define WJ_DNS_PORT		53

/*
 * What a process keeps between lookups.  Zeroed memory will do; nothing to free.  The
 * paths and the port are for tests, NULL and 0 stand for the usual ones.
 */
struct wj_resolver {
	const char *conf_path, *hosts_path, *services_path;
	u16 port;
	u32 timeout_ms;			/* instead of the configured one */
	u32 rotation;			/* lookups so far, for "options rotate" */
	/*
	 * Return EAI_NODATA for names without addresses of the wanted kind.  musl before
	 * 1.2.3 has no text for it, and gets EAI_NONAME.
	 */
	bool report_nodata;
};

struct wj_resolv_conf {
	struct wj_address server[WJ_RESOLV_SERVERS];
	u32 server_count;
	char search[WJ_RESOLV_SEARCH][WJ_DNS_TEXT_SIZE];
	u32 search_count;
	u32 ndots, attempts, timeout_ms;
	bool rotate, edns, tcp_only, no_aaaa;
};

/* Without a file, or without servers in it, the server is 127.0.0.1. */
int wj_resolv_conf_read(struct wj_process *p, const struct wj_resolver *resolver,
			struct wj_resolv_conf *ret);

enum wj_resolv_status {
	WJ_RESOLV_FOUND,
	WJ_RESOLV_NODATA,		/* the name exists */
	WJ_RESOLV_NXDOMAIN,
	WJ_RESOLV_SERVFAIL,		/* no server could say */
	WJ_RESOLV_TIMEOUT,		/* no server answered */
	WJ_RESOLV_REFUSED,		/* no server would say */
};

struct wj_resolv_answer {
	u16 type;			/* set by the caller */
	enum wj_resolv_status status;
	struct wj_dns_records records;
};

/*
 * Asks for the records of one or two types, at the same time.  0 and a status each, or a
 * restart code, -ENOMEM, -EMFILE and the like.
 */
int wj_resolv_query(struct wj_process *p, struct wj_resolver *resolver,
		    const struct wj_resolv_conf *conf, const u8 *name,
		    struct wj_resolv_answer *answer, u32 count);

/*
 * Asks for a host's A (v4) and AAAA (v6) records, trying the search list as resolv.conf(5)
 * says.  answer[0] is A, answer[1] AAAA.  `canonical` is the name at the end of the aliases.
 */
int wj_resolv_host(struct wj_process *p, struct wj_resolver *resolver, struct wj_str host,
		   bool v4, bool v6, struct wj_resolv_answer answer[2],
		   char canonical[WJ_DNS_TEXT_SIZE], enum wj_resolv_status *status);

#endif

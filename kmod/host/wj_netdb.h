/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /etc/hosts and /etc/services.  0; -ENOENT if nothing was found or there is no file; a
 * restart code; or another -errno.
 */
#ifndef WJ_NETDB_H
#define WJ_NETDB_H

#include "wj_inet.h"

#define WJ_HOSTS_PATH		"/etc/hosts"
#define WJ_SERVICES_PATH	"/etc/services"
/* More than this of a file is not read: long lists of blocked names exist. */
#define WJ_HOSTS_FILE_MAX	(64ull << 20)
#define WJ_SERVICES_FILE_MAX	(4ull << 20)

#define WJ_HOST_SIZE		256	/* a host's name and its NUL */
#define WJ_SERVICE_SIZE		33

struct wj_hosts_query {
	struct wj_str name;
	bool v4, v6;			/* which addresses are wanted */
	struct wj_address *address;
	u32 max;
};

/*
 * All addresses of the name, case aside; `canonical` is the first name on the first line
 * that has it.  0 with *count 0: the name is known, but not with such an address.
 */
int wj_hosts_by_name(struct wj_process *p, const char *path,
		     const struct wj_hosts_query *query, u32 *count,
		     char canonical[WJ_HOST_SIZE]);
int wj_hosts_by_address(struct wj_process *p, const char *path,
			const struct wj_address *address, char name[WJ_HOST_SIZE]);

/* protocol: WJ_IPPROTO_TCP or WJ_IPPROTO_UDP */
int wj_service_by_name(struct wj_process *p, const char *path, struct wj_str name,
		       int protocol, u16 *port);
int wj_service_by_port(struct wj_process *p, const char *path, u16 port, int protocol,
		       char name[WJ_SERVICE_SIZE]);

#endif

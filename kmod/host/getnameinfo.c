// SPDX-License-Identifier: GPL-2.0-only
/* getnameinfo; see wj_getaddrinfo.h. */
#include "wj_getaddrinfo.h"

static size_t put_decimal(char *text, u32 value)
{
	char digits[10];
	size_t n = 0, i;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (i = 0; i < n; i++)
		text[i] = digits[n - 1 - i];
	text[n] = 0;
	return n;
}

/* The PTR record of the address; -ENOENT if there is none that is fit to be shown. */
static int ask_dns(struct wj_process *p, struct wj_resolver *resolver,
		   const struct wj_address *address, char name[WJ_HOST_SIZE], int *code)
{
	bool v4mapped = address->family == WJ_AF_INET6 && wj_inet_is_v4mapped(address->ip);
	struct wj_resolv_conf *conf = wj_alloc(sizeof(*conf));
	struct wj_resolv_answer *answer = wj_alloc(sizeof(*answer));
	u8 ignored[16], query[WJ_DNS_NAME_MAX];
	struct wj_str found;
	int r = -ENOMEM;

	if (!conf || !answer)
		goto out;
	wj_dns_reverse_name(v4mapped ? address->ip + 12 : address->ip,
			    address->family == WJ_AF_INET6 && !v4mapped, query);
	r = wj_resolv_conf_read(p, resolver, conf);
	if (r)
		goto out;
	answer->type = WJ_DNS_PTR;
	r = wj_resolv_query(p, resolver, conf, query, answer, 1);
	resolver->rotation++;
	if (r)
		goto out;
	r = -ENOENT;
	if (answer->status == WJ_RESOLV_TIMEOUT || answer->status == WJ_RESOLV_SERVFAIL)
		*code = WJ_EAI_AGAIN;
	if (answer->status != WJ_RESOLV_FOUND ||
	    !wj_dns_name_to_text(answer->records.target, name))
		goto out;
	/* An address where a name is due is a trick. */
	found = wj_str_of(name);
	if (!wj_inet_parse(WJ_AF_INET, found, ignored))
		r = 0;
out:
	wj_free(answer);
	wj_free(conf);
	return r;
}

static int numeric_host(struct wj_process *p, const struct wj_address *address, int flags,
			char name[WJ_HOST_SIZE])
{
	size_t n = wj_inet_format(address->family, address->ip, name);
	int err = -ENODEV;

	if (address->family != WJ_AF_INET6 || !address->scope)
		return 0;
	name[n++] = '%';
	if (!(flags & WJ_NI_NUMERICSCOPE) && wj_inet_is_link_local(address->ip)) {
		err = wj_interface_name(p, address->scope, name + n);
		if (wj_is_restart(err))
			return err;
	}
	if (err)
		put_decimal(name + n, address->scope);
	return 0;
}

static int find_host(struct wj_process *p, struct wj_resolver *resolver,
		     const struct wj_address *address, int flags, char name[WJ_HOST_SIZE],
		     int *code)
{
	int r = -ENOENT;

	*code = WJ_EAI_NONAME;
	if (!(flags & WJ_NI_NUMERICHOST)) {
		r = wj_hosts_by_address(p, resolver->hosts_path, address, name);
		if (r == -ENOENT)
			r = ask_dns(p, resolver, address, name, code);
	}
	if (r != -ENOENT) {
		*code = 0;
		return r;
	}
	if (flags & WJ_NI_NAMEREQD)
		return 0;
	*code = 0;
	return numeric_host(p, address, flags, name);
}

static int find_service(struct wj_process *p, struct wj_resolver *resolver, u16 port, int flags,
			char name[WJ_SERVICE_SIZE])
{
	int protocol = flags & WJ_NI_DGRAM ? WJ_IPPROTO_UDP : WJ_IPPROTO_TCP;
	int r = -ENOENT;

	if (!(flags & WJ_NI_NUMERICSERV))
		r = wj_service_by_port(p, resolver->services_path, port, protocol, name);
	if (r != -ENOENT)
		return r;
	put_decimal(name, port);
	return 0;
}

int wj_getnameinfo(struct wj_process *p, struct wj_resolver *resolver,
		   const struct wj_address *address, int flags, char *host, size_t host_size,
		   char *serv, size_t serv_size, int *code)
{
	char name[WJ_HOST_SIZE];
	int r = 0;

	*code = WJ_EAI_FAMILY;
	if (address->family != WJ_AF_INET && address->family != WJ_AF_INET6)
		return 0;
	*code = 0;
	if (host && host_size) {
		r = find_host(p, resolver, address, flags, name, code);
		if (!r && !*code && !wj_str_copy(host, host_size, wj_str_of(name)))
			*code = WJ_EAI_OVERFLOW;
	}
	if (!r && !*code && serv && serv_size) {
		r = find_service(p, resolver, address->port, flags, name);
		if (!r && !wj_str_copy(serv, serv_size, wj_str_of(name)))
			*code = WJ_EAI_OVERFLOW;
	}
	if (wj_is_restart(r))
		return r;
	if (r)
		*code = r == -ENOMEM ? WJ_EAI_MEMORY : WJ_EAI_SYSTEM;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* getaddrinfo; see wj_getaddrinfo.h. */
#include "wj_getaddrinfo.h"

#define FLAGS (WJ_AI_PASSIVE | WJ_AI_CANONNAME | WJ_AI_NUMERICHOST | WJ_AI_V4MAPPED | \
	       WJ_AI_ALL | WJ_AI_ADDRCONFIG | WJ_AI_NUMERICSERV)

/* ---- Order of destinations: RFC 6724 ---- */

static void mapped(u16 family, const u8 *ip, u8 ret[16])
{
	if (family == WJ_AF_INET6) {
		memcpy(ret, ip, 16);
		return;
	}
	memset(ret, 0, 10);
	memset(ret + 10, 0xff, 2);
	memcpy(ret + 12, ip, 4);
}

/* Section 2.1: the default table.  The last line fits everything. */
static const struct policy {
	u8 prefix[16];
	u8 bits, precedence, label;
} policies[] = {
	{ { [15] = 1 }, 128, 50, 0 },			/* ::1 */
	{ { [10] = 0xff, [11] = 0xff }, 96, 35, 4 },	/* ::ffff:0:0/96 */
	{ { 0 }, 96, 1, 3 },				/* ::/96 */
	{ { 0x20, 0x01 }, 32, 5, 5 },			/* 2001::/32 */
	{ { 0x20, 0x02 }, 16, 30, 2 },			/* 2002::/16 */
	{ { 0x3f, 0xfe }, 16, 1, 12 },			/* 3ffe::/16 */
	{ { 0xfe, 0xc0 }, 10, 1, 11 },			/* fec0::/10 */
	{ { 0xfc }, 7, 3, 13 },				/* fc00::/7 */
	{ { 0 }, 0, 40, 1 },
};

static u32 common_bits(const u8 a[16], const u8 b[16])
{
	u32 bits = 0;

	while (bits < 128 && !((a[bits / 8] ^ b[bits / 8]) & 0x80 >> bits % 8))
		bits++;
	return bits;
}

static const struct policy *policy_of(const u8 ip[16])
{
	u32 i = 0;

	while (common_bits(ip, policies[i].prefix) < policies[i].bits)
		i++;
	return &policies[i];
}

#define SCOPE_LINK	2
#define SCOPE_SITE	5
#define SCOPE_GLOBAL	14

static u32 scope_of(const u8 ip[16])
{
	/* Section 3.2: IPv4's loopback and link-local addresses have link scope. */
	if (wj_inet_is_v4mapped(ip))
		return ip[12] == 127 || (ip[12] == 169 && ip[13] == 254) ? SCOPE_LINK :
									 SCOPE_GLOBAL;
	if (ip[0] == 0xff)
		return ip[1] & 15;
	if (wj_inet_is_link_local(ip) || common_bits(ip, policies[0].prefix) == 128)
		return SCOPE_LINK;
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0)
		return SCOPE_SITE;
	return SCOPE_GLOBAL;
}

/* The rules' answers as one number: more is better. */
static u64 rank(const struct wj_gai_candidate *c)
{
	u8 to[16], from[16];
	const struct policy *policy;
	u32 scope, common = 0;
	u64 key;

	mapped(c->address.family, c->address.ip, to);
	mapped(c->address.family, c->source, from);
	policy = policy_of(to);
	scope = scope_of(to);
	if (c->usable && c->address.family == WJ_AF_INET6)
		common = common_bits(to, from);
	if (common > 64)
		common = 64;
	key = c->usable;						/* rule 1 */
	key = key << 1 | (c->usable && scope == scope_of(from));	/* rule 2 */
	key = key << 1 | (c->usable && policy->label == policy_of(from)->label); /* rule 5 */
	key = key << 8 | policy->precedence;				/* rule 6 */
	key = key << 4 | (15 - scope);					/* rule 8 */
	/* Rule 9.  Between the families rule 6 has decided already. */
	return key << 8 | common;
}

void wj_gai_sort(struct wj_gai_candidate *candidate, u32 count)
{
	u32 i, k;

	/* By insertion, which keeps the order of equals: rule 10. */
	for (i = 1; i < count; i++) {
		struct wj_gai_candidate moving = candidate[i];
		u64 key = rank(&moving);

		for (k = i; k && rank(&candidate[k - 1]) < key; k--)
			candidate[k] = candidate[k - 1];
		candidate[k] = moving;
	}
}

/* Which source address would packets there have?  Connecting a UDP socket sends nothing. */
static int find_source(struct wj_process *p, struct wj_gai_candidate *c)
{
	struct wj_address to = c->address, from;
	long fd, r;

	c->usable = false;
	fd = wj_socket(p, to.family, WJ_SOCK_DGRAM, WJ_IPPROTO_UDP);
	if (fd < 0)
		return wj_is_restart(fd) ? (int)fd : 0;
	to.port = 65535;
	r = wj_connect(p, (int)fd, &to);
	if (!r)
		r = wj_socket_name(p, (int)fd, &from);
	wj_close(p, (int)fd);
	if (!r && from.family == to.family) {
		c->usable = true;
		memcpy(c->source, from.ip, 16);
	}
	return wj_is_restart(r) ? (int)r : 0;
}

static int sort_addresses(struct wj_process *p, struct wj_gai_result *ret)
{
	struct wj_gai_candidate *candidate;
	u32 i, v6 = 0;
	int r = 0;

	for (i = 0; i < ret->address_count; i++)
		v6 += ret->address[i].family == WJ_AF_INET6;
	/* Servers turn the order of A records round to share the load: leave it. */
	if (!v6 || ret->address_count < 2)
		return 0;
	candidate = wj_alloc(ret->address_count * sizeof(*candidate));
	if (!candidate)
		return -ENOMEM;
	for (i = 0; i < ret->address_count && !r; i++) {
		candidate[i].address = ret->address[i];
		r = find_source(p, &candidate[i]);
	}
	if (!r) {
		wj_gai_sort(candidate, ret->address_count);
		for (i = 0; i < ret->address_count; i++)
			ret->address[i] = candidate[i].address;
	}
	wj_free(candidate);
	return r;
}

/* ---- Services ---- */

static void add_service(struct wj_gai_result *ret, int socktype, int protocol, u16 port)
{
	u32 i = ret->service_count++;

	ret->service[i].socktype = socktype;
	ret->service[i].protocol = protocol;
	ret->service[i].port = port;
}

static int find_services(struct wj_process *p, struct wj_resolver *resolver,
			 const char *service, const struct wj_gai_hints *hints,
			 struct wj_gai_result *ret, int *code)
{
	static const struct {
		int socktype, protocol;
	} kinds[] = {
		{ WJ_SOCK_STREAM, WJ_IPPROTO_TCP },
		{ WJ_SOCK_DGRAM, WJ_IPPROTO_UDP },
	};
	struct wj_str name = wj_str_of(service ? service : "0");
	bool numeric;
	u32 value = 0, i;
	int err;

	*code = WJ_EAI_SERVICE;
	/* Other kinds of sockets have no ports that anybody could know by name. */
	if (hints->socktype && hints->socktype != WJ_SOCK_STREAM &&
	    hints->socktype != WJ_SOCK_DGRAM) {
		if (service)
			return 0;
		add_service(ret, hints->socktype, hints->protocol, 0);
		*code = 0;
		return 0;
	}
	for (i = 0; i < name.n && wj_is_digit(name.p[i]); i++)
		;
	numeric = i == name.n;
	if (numeric && !wj_parse_u32(name, 65535, &value))
		return 0;
	if (!numeric && hints->flags & WJ_AI_NUMERICSERV) {
		*code = WJ_EAI_NONAME;
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		u16 port = (u16)value;

		if ((hints->socktype && hints->socktype != kinds[i].socktype) ||
		    (hints->protocol && hints->protocol != kinds[i].protocol))
			continue;
		err = numeric ? 0 : wj_service_by_name(p, resolver->services_path, name,
						       kinds[i].protocol, &port);
		if (!err)
			add_service(ret, kinds[i].socktype, kinds[i].protocol, port);
		else if (err != -ENOENT)
			return err;
	}
	if (ret->service_count)
		*code = 0;
	return 0;
}

/* ---- Addresses ---- */

struct wanted {
	bool v4, v6;
};

static void add_address(struct wj_gai_result *ret, u16 family, const u8 *ip, u32 scope)
{
	struct wj_address *to;

	if (ret->address_count == WJ_GAI_ADDRESSES)
		return;
	to = &ret->address[ret->address_count++];
	memset(to, 0, sizeof(*to));
	to->family = family;
	to->scope = scope;
	memcpy(to->ip, ip, family == WJ_AF_INET ? 4 : 16);
}

static void add_own(struct wj_gai_result *ret, struct wanted want, bool any)
{
	static const u8 v4_any[4], v6_any[16];
	static const u8 v4_loopback[4] = { 127, 0, 0, 1 }, v6_loopback[16] = { [15] = 1 };

	if (want.v4)
		add_address(ret, WJ_AF_INET, any ? v4_any : v4_loopback, 0);
	if (want.v6)
		add_address(ret, WJ_AF_INET6, any ? v6_any : v6_loopback, 0);
}

/* RFC 6761 section 6.3: localhost and what is below it need no server, nor a file. */
static bool is_localhost(struct wj_str host)
{
	static const char name[] = "localhost";
	size_t n = sizeof(name) - 1;

	if (host.n < n || !wj_same_nocase(host.p + host.n - n, name, n))
		return false;
	return host.n == n || host.p[host.n - n - 1] == '.';
}

static int narrow_to_configured(struct wj_process *p, struct wanted *want)
{
	bool v4, v6;
	int r = wj_configured_families(p, &v4, &v6);

	if (wj_is_restart(r))
		return r;
	/* With neither there is only loopback, which needs both: as in glibc. */
	if (r < 0 || v4 == v6)
		return 0;
	want->v4 &= v4;
	want->v6 &= v6;
	return 0;
}

static int code_of(const struct wj_resolver *resolver, enum wj_resolv_status status)
{
	switch (status) {
	case WJ_RESOLV_FOUND:
		return 0;
	case WJ_RESOLV_NODATA:
		return resolver->report_nodata ? WJ_EAI_NODATA : WJ_EAI_NONAME;
	case WJ_RESOLV_NXDOMAIN:
		return WJ_EAI_NONAME;
	case WJ_RESOLV_SERVFAIL:
	case WJ_RESOLV_TIMEOUT:
		return WJ_EAI_AGAIN;
	case WJ_RESOLV_REFUSED:
		break;
	}
	return WJ_EAI_FAIL;
}

static int ask_dns(struct wj_process *p, struct wj_resolver *resolver, struct wj_str host,
		   struct wanted want, struct wj_gai_result *ret, int *code)
{
	struct wj_resolv_answer *answer = wj_alloc(2 * sizeof(*answer));
	enum wj_resolv_status status;
	u32 i;
	int r;

	if (!answer)
		return -ENOMEM;
	r = wj_resolv_host(p, resolver, host, want.v4, want.v6, answer, ret->canonical, &status);
	if (!r) {
		*code = code_of(resolver, status);
		for (i = 0; !*code && i < answer[0].records.count; i++)
			add_address(ret, WJ_AF_INET, answer[0].records.ip[i], 0);
		for (i = 0; !*code && i < answer[1].records.count; i++)
			add_address(ret, WJ_AF_INET6, answer[1].records.ip[i], 0);
	}
	wj_free(answer);
	return r;
}

/* A name that is no address: in the hosts file, else localhost, else the servers'. */
static int find_host(struct wj_process *p, struct wj_resolver *resolver, struct wj_str host,
		     int flags, struct wanted want, struct wj_gai_result *ret, int *code)
{
	struct wj_str plain = host;
	struct wj_hosts_query query = {
		.address = ret->address, .max = WJ_GAI_ADDRESSES,
	};
	int r;

	*code = WJ_EAI_NONAME;
	if (flags & WJ_AI_NUMERICHOST || !host.n || host.n >= WJ_DNS_TEXT_SIZE)
		return 0;
	if (plain.p[plain.n - 1] == '.')
		plain.n--;
	if (!plain.n || plain.n >= WJ_HOST_SIZE || plain.p[plain.n - 1] == '.')
		return 0;
	if (flags & WJ_AI_ADDRCONFIG) {
		r = narrow_to_configured(p, &want);
		if (r || !(want.v4 || want.v6))
			return r;
	}
	query.name = plain;
	query.v4 = want.v4;
	query.v6 = want.v6;
	r = wj_hosts_by_name(p, resolver->hosts_path, &query, &ret->address_count,
			     ret->canonical);
	/* A name of the file's stays out of DNS, even where it lacks the family. */
	if (!r)
		*code = ret->address_count ? 0 : WJ_EAI_NONAME;
	if (r != -ENOENT)
		return r;
	if (is_localhost(plain)) {
		wj_str_copy(ret->canonical, sizeof(ret->canonical), plain);
		add_own(ret, want, false);
		*code = 0;
		return 0;
	}
	return ask_dns(p, resolver, host, want, ret, code);
}

/* AI_V4MAPPED for family INET6: IPv4 addresses in disguise, if there are no others or with
 * AI_ALL.
 */
static void map_addresses(struct wj_gai_result *ret, bool all)
{
	bool v6 = false;
	u32 i, n = 0;

	for (i = 0; i < ret->address_count; i++)
		v6 |= ret->address[i].family == WJ_AF_INET6;
	for (i = 0; i < ret->address_count; i++) {
		struct wj_address *a = &ret->address[i];
		u8 ip[16];

		if (a->family == WJ_AF_INET) {
			if (v6 && !all)
				continue;
			mapped(WJ_AF_INET, a->ip, ip);
			memcpy(a->ip, ip, 16);
			a->family = WJ_AF_INET6;
		}
		ret->address[n++] = *a;
	}
	ret->address_count = n;
}

static int find_addresses(struct wj_process *p, struct wj_resolver *resolver, const char *node,
			  const struct wj_gai_hints *hints, struct wj_gai_result *ret, int *code)
{
	bool map = hints->family == WJ_AF_INET6 && hints->flags & WJ_AI_V4MAPPED;
	struct wanted want = {
		.v4 = hints->family != WJ_AF_INET6 || map,
		.v6 = hints->family != WJ_AF_INET,
	};
	bool any = !node && hints->flags & WJ_AI_PASSIVE;
	struct wj_address address = { 0 };
	int r = 0;

	*code = 0;
	if (!node) {
		add_own(ret, want, any);
	} else {
		struct wj_str host = wj_str_of(node);

		r = wj_address_from_text(p, host, &address);
		if (wj_is_restart(r))
			return r;
		if (r > 0) {
			if (!(address.family == WJ_AF_INET ? want.v4 : want.v6))
				*code = WJ_EAI_NONAME;
			wj_str_copy(ret->canonical, sizeof(ret->canonical), host);
			add_address(ret, address.family, address.ip, address.scope);
			r = 0;
		} else if (r < 0) {
			*code = WJ_EAI_NONAME;
			r = 0;
		} else {
			r = find_host(p, resolver, host, hints->flags, want, ret, code);
		}
	}
	if (r || *code)
		return r;
	if (map)
		map_addresses(ret, hints->flags & WJ_AI_ALL);
	return any ? 0 : sort_addresses(p, ret);
}

static int run(struct wj_process *p, struct wj_resolver *resolver, const char *node,
	       const char *service, const struct wj_gai_hints *hints,
	       struct wj_gai_result *ret, int *code)
{
	int r;

	*code = WJ_EAI_NONAME;
	if (!node && !service)
		return 0;
	*code = WJ_EAI_BADFLAGS;
	if (hints->flags & ~FLAGS || (!node && hints->flags & WJ_AI_CANONNAME))
		return 0;
	*code = WJ_EAI_FAMILY;
	if (hints->family != WJ_AF_UNSPEC && hints->family != WJ_AF_INET &&
	    hints->family != WJ_AF_INET6)
		return 0;
	r = find_services(p, resolver, service, hints, ret, code);
	if (r || *code)
		return r;
	return find_addresses(p, resolver, node, hints, ret, code);
}

int wj_getaddrinfo(struct wj_process *p, struct wj_resolver *resolver, const char *node,
		   const char *service, const struct wj_gai_hints *hints,
		   struct wj_gai_result *ret, int *code)
{
	static const struct wj_gai_hints none;
	int r;

	if (!hints)
		hints = &none;
	memset(ret, 0, sizeof(*ret));
	r = run(p, resolver, node, service, hints, ret, code);
	if (wj_is_restart(r))
		return r;
	if (r) {
		*code = r == -ENOMEM ? WJ_EAI_MEMORY : WJ_EAI_SYSTEM;
		ret->error = r;
	}
	if (*code)
		ret->address_count = 0;
	if (*code || !(hints->flags & WJ_AI_CANONNAME))
		ret->canonical[0] = 0;
	return 0;
}

bool wj_gai_entry(const struct wj_gai_result *result, u32 i, struct wj_gai_entry *ret)
{
	u32 n = result->service_count;

	if (!n || i / n >= result->address_count)
		return false;
	ret->address = result->address[i / n];
	ret->address.port = result->service[i % n].port;
	ret->socktype = result->service[i % n].socktype;
	ret->protocol = result->service[i % n].protocol;
	return true;
}

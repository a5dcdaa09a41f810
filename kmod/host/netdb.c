// SPDX-License-Identifier: GPL-2.0-only
/* /etc/hosts and /etc/services; see wj_netdb.h. */
#include "wj_netdb.h"

static int open_file(struct wj_lines *lines, struct wj_process *p, const char *path, u64 limit)
{
	int err = wj_lines_open(lines, p, path, 0, limit);

	/* As if it were empty; EINVAL: it is not a file. */
	if (err == -ENOTDIR || err == -EACCES || err == -EINVAL)
		return -ENOENT;
	return err;
}

/* The next line without its comment. */
static int next_line(struct wj_lines *lines, struct wj_str *ret)
{
	struct wj_str comment;
	char *text;
	int r = wj_lines_next(lines, &text, &ret->n);

	if (r <= 0)
		return r;
	ret->p = text;
	wj_cut(ret, '#', &comment);
	return 1;
}

static bool has_word(struct wj_str words, struct wj_str name)
{
	struct wj_str word;

	while (wj_next_word(&words, &word))
		if (wj_str_is_nocase(word, name))
			return true;
	return false;
}

static bool add_address(const struct wj_hosts_query *query, u32 *count,
			const struct wj_address *address)
{
	u32 i;

	if (!(address->family == WJ_AF_INET ? query->v4 : query->v6))
		return false;
	for (i = 0; i < *count; i++)
		if (!memcmp(&query->address[i], address, sizeof(*address)))
			return false;
	if (*count < query->max)
		query->address[(*count)++] = *address;
	return true;
}

/* A line: address name alias... */
static int host_line(struct wj_process *p, struct wj_str line,
		     const struct wj_hosts_query *query, u32 *count,
		     char canonical[WJ_HOST_SIZE], bool *known)
{
	struct wj_address address = { 0 };
	struct wj_str literal, first;
	int r;

	if (!wj_next_word(&line, &literal) || !has_word(line, query->name))
		return 0;
	r = wj_address_from_text(p, literal, &address);
	if (r <= 0)
		return wj_is_restart(r) ? r : 0;
	wj_next_word(&line, &first);
	/* A canonical name that is too long gives way to the name that was asked for. */
	if (!*known && !wj_str_copy(canonical, WJ_HOST_SIZE, first))
		wj_str_copy(canonical, WJ_HOST_SIZE, query->name);
	*known = true;
	add_address(query, count, &address);
	return 0;
}

int wj_hosts_by_name(struct wj_process *p, const char *path,
		     const struct wj_hosts_query *query, u32 *count,
		     char canonical[WJ_HOST_SIZE])
{
	struct wj_lines lines;
	struct wj_str line;
	bool known = false;
	int r;

	*count = 0;
	r = open_file(&lines, p, path ? path : WJ_HOSTS_PATH, WJ_HOSTS_FILE_MAX);
	if (r)
		return r;
	while ((r = next_line(&lines, &line)) > 0) {
		r = host_line(p, line, query, count, canonical, &known);
		if (r < 0)
			break;
	}
	wj_lines_close(&lines);
	if (r < 0)
		return r;
	return known ? 0 : -ENOENT;
}

/* IPv4 addresses are compared in their mapped form. */
static void to_mapped(const struct wj_address *address, u8 ip[16])
{
	if (address->family == WJ_AF_INET6) {
		memcpy(ip, address->ip, 16);
		return;
	}
	memset(ip, 0, 10);
	memset(ip + 10, 0xff, 2);
	memcpy(ip + 12, address->ip, 4);
}

int wj_hosts_by_address(struct wj_process *p, const char *path,
			const struct wj_address *address, char name[WJ_HOST_SIZE])
{
	struct wj_lines lines;
	struct wj_str line;
	u8 want[16], have[16];
	int r, err = -ENOENT;

	to_mapped(address, want);
	r = open_file(&lines, p, path ? path : WJ_HOSTS_PATH, WJ_HOSTS_FILE_MAX);
	if (r)
		return r;
	while ((r = next_line(&lines, &line)) > 0) {
		struct wj_address found = { 0 };
		struct wj_str literal, first;

		if (!wj_next_word(&line, &literal) || !wj_next_word(&line, &first))
			continue;
		r = wj_address_from_text(p, literal, &found);
		if (wj_is_restart(r))
			break;
		if (r <= 0)
			continue;
		to_mapped(&found, have);
		if (memcmp(have, want, sizeof(have)) || found.scope != address->scope)
			continue;
		if (wj_str_copy(name, WJ_HOST_SIZE, first)) {
			err = 0;
			break;
		}
	}
	wj_lines_close(&lines);
	return r < 0 ? r : err;
}

/* A line: name port/protocol alias... */
static bool parse_service(struct wj_str line, struct wj_str *name, struct wj_str *aliases,
			  u16 *port, int *protocol)
{
	struct wj_str number, protocol_name;
	u32 value;

	if (!wj_next_word(&line, name) || !wj_next_word(&line, &number) ||
	    !wj_cut(&number, '/', &protocol_name) || !wj_parse_u32(number, 65535, &value))
		return false;
	if (wj_str_is(protocol_name, "tcp"))
		*protocol = WJ_IPPROTO_TCP;
	else if (wj_str_is(protocol_name, "udp"))
		*protocol = WJ_IPPROTO_UDP;
	else
		return false;
	*port = (u16)value;
	*aliases = line;
	return true;
}

static bool same(struct wj_str a, struct wj_str b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

int wj_service_by_name(struct wj_process *p, const char *path, struct wj_str name,
		       int protocol, u16 *port)
{
	struct wj_str line, first, aliases, word;
	struct wj_lines lines;
	int r, found_protocol;
	bool found = false;
	u16 found_port;

	r = open_file(&lines, p, path ? path : WJ_SERVICES_PATH, WJ_SERVICES_FILE_MAX);
	if (r)
		return r;
	while (!found && (r = next_line(&lines, &line)) > 0) {
		if (!parse_service(line, &first, &aliases, &found_port, &found_protocol) ||
		    found_protocol != protocol)
			continue;
		found = same(first, name);
		while (!found && wj_next_word(&aliases, &word))
			found = same(word, name);
	}
	wj_lines_close(&lines);
	if (r < 0)
		return r;
	if (!found)
		return -ENOENT;
	*port = found_port;
	return 0;
}

int wj_service_by_port(struct wj_process *p, const char *path, u16 port, int protocol,
		       char name[WJ_SERVICE_SIZE])
{
	struct wj_str line, first, aliases;
	struct wj_lines lines;
	int r, found_protocol;
	bool found = false;
	u16 found_port;

	r = open_file(&lines, p, path ? path : WJ_SERVICES_PATH, WJ_SERVICES_FILE_MAX);
	if (r)
		return r;
	while (!found && (r = next_line(&lines, &line)) > 0)
		found = parse_service(line, &first, &aliases, &found_port, &found_protocol) &&
			found_port == port && found_protocol == protocol &&
			wj_str_copy(name, WJ_SERVICE_SIZE, first);
	wj_lines_close(&lines);
	if (r < 0)
		return r;
	return found ? 0 : -ENOENT;
}

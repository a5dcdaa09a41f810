// SPDX-License-Identifier: GPL-2.0-only
/* Names of hosts, users and groups: what libc delegates, in the guest's structures. */
#include "host.h"
#include "wj_getaddrinfo.h"
#include "wj_passwd.h"

#define MAX_NAME 1025		/* NI_MAXHOST of Linux */
#define MAX_TEXT 65536

/*
 * A lookup that a signal interrupted begins again: the handler has run by then (in the kernel the
 * launcher is asked to, and the guest is unwinding if p->unwind is set).
 */
static bool again(const struct wj_process *p, long ret)
{
	return wj_is_restart(ret) && !p->unwind;
}

/* An optional guest string in a new buffer: NULL with *err 0 if the pointer is NULL. */
static char *string_arg(struct wj_process *p, u32 address, size_t max, int *err)
{
	char *s;
	s64 n;

	if (!address || *err)
		return NULL;
	s = wj_alloc(max);
	if (!s) {
		*err = -ENOMEM;
		return NULL;
	}
	n = wj_get_string(p, s, max, address);
	if (n >= 0)
		return s;
	wj_free(s);
	*err = n;
	return NULL;
}

static u32 guest_alloc(struct wj_process *p, u32 size)
{
	return wj_call_export(p, p->host->exports.malloc, &size, 1);
}

/*
 * Emscripten's freeaddrinfo frees ai_addr of the first entry and the first entry, nothing else: the
 * first address is a block of its own, everything else is behind the first entry in its block.
 */
static int put_addrinfo(struct wj_process *p, const struct wj_gai_result *result, int flags, u32 to)
{
	const u32 entry_size = WJ_EM_SIZEOF_addrinfo + WJ_EM_SIZEOF_sockaddr_in6;
	u32 n = result->address_count * result->service_count;
	u32 name_size = result->canonical[0] ? strlen(result->canonical) + 1 : 0;
	u32 block = guest_alloc(p, n * entry_size + name_size);
	u32 first_address = guest_alloc(p, WJ_EM_SIZEOF_sockaddr_in6);
	struct wj_gai_entry entry;

	if (!block || !first_address)
		return -ENOMEM;
	for (u32 i = 0; wj_gai_entry(result, i, &entry); i++) {
		u32 at = block + i * entry_size, address = i ? at + WJ_EM_SIZEOF_addrinfo : first_address;
		u8 guest[WJ_EM_SIZEOF_addrinfo] = { 0 }, sockaddr[WJ_SOCKADDR_MAX];
		u32 size = wj_address_encode(&entry.address, sockaddr);

		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_flags) = flags;
		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_family) = entry.address.family;
		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_socktype) = entry.socktype;
		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_protocol) = entry.protocol;
		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_addrlen) = size;
		WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_addr) = address;
		if (!i && name_size)
			WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_canonname) = block + n * entry_size;
		if (i + 1 < n)
			WJ_FIELD(guest, u32, WJ_EM_OFF_addrinfo_ai_next) = at + entry_size;
		if (wj_put(p, at, guest, sizeof(guest)) || wj_put(p, address, sockaddr, size))
			return -EFAULT;
	}
	if (name_size && wj_put(p, block + n * entry_size, result->canonical, name_size))
		return -EFAULT;
	return wj_put_u32(p, to, block);
}

/* (node, service, hints, result) */
s64 wj_host_getaddrinfo(struct wj_process *p, const u64 *a)
{
	struct wj_gai_result *result = wj_alloc(sizeof(*result));
	struct wj_gai_hints hints = { 0 };
	u32 guest_hints[4];
	int err = 0, code = WJ_EAI_MEMORY;
	char *node = string_arg(p, a[0], MAX_NAME, &err);
	char *service = string_arg(p, a[1], 64, &err);
	long ret;

	if (a[2] && !err) {
		err = wj_get(p, guest_hints, a[2], sizeof(guest_hints));
		hints = (struct wj_gai_hints){ guest_hints[0], guest_hints[1], guest_hints[2],
					       guest_hints[3] };
	}
	if (err == -EFAULT) {
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	} else if (err) {
		code = err == -ENAMETOOLONG ? WJ_EAI_NONAME : WJ_EAI_MEMORY;
	} else if (result) {
		do {
			ret = wj_getaddrinfo(p, p->host->resolver, node, service, a[2] ? &hints : NULL,
					     result, &code);
		} while (again(p, ret));
		if (!ret && !code && put_addrinfo(p, result, hints.flags, a[3]))
			code = WJ_EAI_MEMORY;
		if (code == WJ_EAI_SYSTEM)
			wj_set_errno(p, -result->error);
	}
	wj_free(node);
	wj_free(service);
	wj_free(result);
	return code;
}

/* (address, size, host, host size, service, service size, flags) */
s64 wj_host_getnameinfo(struct wj_process *p, const u64 *a)
{
	u8 sockaddr[WJ_SOCKADDR_MAX] = { 0 };
	u32 size = min((u32)a[1], (u32)WJ_SOCKADDR_MAX);
	u32 host_size = a[2] ? min((u32)a[3], (u32)MAX_NAME) : 0;
	u32 service_size = a[4] ? min((u32)a[5], 64u) : 0;
	char *host = host_size ? wj_alloc(host_size) : NULL;
	char *service = service_size ? wj_alloc(service_size) : NULL;
	struct wj_address address;
	int code = WJ_EAI_MEMORY;
	long ret;

	if (wj_get(p, sockaddr, a[0], size)) {
		p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	} else if (!wj_address_decode(sockaddr, size, &address)) {
		code = WJ_EAI_FAMILY;
	} else if ((host || !host_size) && (service || !service_size)) {
		do {
			ret = wj_getnameinfo(p, p->host->resolver, &address, (s32)a[6], host, host_size,
					     service, service_size, &code);
		} while (again(p, ret));
		if (!code && ((host && wj_put(p, a[2], host, strlen(host) + 1)) ||
			      (service && wj_put(p, a[4], service, strlen(service) + 1))))
			p->unwind = WJ_TRAP_OUT_OF_BOUNDS;
	}
	wj_free(host);
	wj_free(service);
	return code;
}

/*
 * struct hostent with all it points to in one block of the guest's, which lives until the next call
 * as in any libc: { hostent, no aliases, address pointers, addresses, name }.
 */
static u32 put_hostent(struct wj_process *p, const char *name, const struct wj_address *addresses, u32 n)
{
	const u32 bytes = addresses[0].family == WJ_AF_INET ? 4 : 16, name_size = strlen(name) + 1;
	const u32 pointers = WJ_EM_SIZEOF_hostent + 4, data = pointers + 4 * (n + 1);
	u32 at = p->host->hostent;
	u8 guest[WJ_EM_SIZEOF_hostent] = { 0 };
	const u32 null = 0;

	if (!at)
		at = p->host->hostent = guest_alloc(p, 4096);
	n = min(n, 64u);
	if (!at || data + n * bytes + name_size > 4096)
		return 0;
	WJ_FIELD(guest, u32, WJ_EM_OFF_hostent_h_name) = at + data + n * bytes;
	WJ_FIELD(guest, u32, WJ_EM_OFF_hostent_h_aliases) = at + WJ_EM_SIZEOF_hostent;
	WJ_FIELD(guest, u32, WJ_EM_OFF_hostent_h_addrtype) = addresses[0].family;
	WJ_FIELD(guest, u32, WJ_EM_OFF_hostent_h_length) = bytes;
	WJ_FIELD(guest, u32, WJ_EM_OFF_hostent_h_addr_list) = at + pointers;
	if (wj_put(p, at, guest, sizeof(guest)) || wj_put_u32(p, at + WJ_EM_SIZEOF_hostent, null) ||
	    wj_put_u32(p, at + pointers + 4 * n, null) ||
	    wj_put(p, at + data + n * bytes, name, name_size))
		return 0;
	for (u32 i = 0; i < n; i++) {
		if (wj_put_u32(p, at + pointers + 4 * i, at + data + i * bytes) ||
		    wj_put(p, at + data + i * bytes, addresses[i].ip, bytes))
			return 0;
	}
	return at;
}

s64 wj_host_gethostbyname(struct wj_process *p, const u64 *a)
{
	struct wj_gai_result *result = wj_alloc(sizeof(*result));
	const struct wj_gai_hints hints = { WJ_AI_CANONNAME, WJ_AF_INET, WJ_SOCK_STREAM, 0 };
	int err = 0, code = WJ_EAI_MEMORY;
	char *name = string_arg(p, a[0], MAX_NAME, &err);
	u32 at = 0;
	long ret;

	if (name && result) {
		do {
			ret = wj_getaddrinfo(p, p->host->resolver, name, NULL, &hints, result, &code);
		} while (again(p, ret));
		if (!ret && !code && result->address_count)
			at = put_hostent(p, result->canonical[0] ? result->canonical : name,
					 result->address, result->address_count);
	}
	wj_free(name);
	wj_free(result);
	return at;
}

/* (address, size, family) */
s64 wj_host_gethostbyaddr(struct wj_process *p, const u64 *a)
{
	struct wj_address address = { .family = a[2] };
	char name[WJ_HOST_SIZE];
	int code;
	long ret;

	if (!(a[2] == WJ_AF_INET && a[1] == 4) && !(a[2] == WJ_AF_INET6 && a[1] == 16))
		return 0;
	if (wj_get(p, address.ip, a[0], a[1]))
		return 0;
	do {
		ret = wj_getnameinfo(p, p->host->resolver, &address, WJ_NI_NAMEREQD, name, sizeof(name),
				     NULL, 0, &code);
	} while (again(p, ret));
	return ret || code ? 0 : put_hostent(p, name, &address, 1);
}

/*
 * getpw*_r and getgr*_r return an errno (the guest's, positive), and set *result to the structure or
 * to NULL.  Strings are built here as the guest's buffer will hold them, pointers moved over.
 */
struct entry_buffer {
	char *text;		/* ours */
	u32 size, address;	/* the guest's */
};

static u32 moved(const struct entry_buffer *b, const char *s)
{
	return b->address + (s - b->text);
}

static s64 entry_result(struct wj_process *p, long ret, u32 structure, u32 result)
{
	if (wj_put_u32(p, result, ret ? 0 : structure))
		return WJ_EM_EFAULT;
	return ret == -ENOENT ? 0 : wj_guest_errno(-ret);
}

static long put_passwd(struct wj_process *p, const struct entry_buffer *b, const struct wj_passwd *pw, u32 to)
{
	u8 guest[WJ_EM_SIZEOF_passwd];

	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_name) = moved(b, pw->name);
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_passwd) = moved(b, pw->passwd);
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_uid) = pw->uid;
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_gid) = pw->gid;
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_gecos) = moved(b, pw->gecos);
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_dir) = moved(b, pw->dir);
	WJ_FIELD(guest, u32, WJ_EM_OFF_passwd_pw_shell) = moved(b, pw->shell);
	if (wj_put(p, b->address, b->text, b->size) || wj_put(p, to, guest, sizeof(guest)))
		return -EFAULT;
	return 0;
}

/* The member pointers take the end of the guest's buffer. */
static long put_group(struct wj_process *p, const struct entry_buffer *b, const struct wj_group *gr,
		      u32 pointers, u32 to)
{
	const char *member = gr->members;
	u8 guest[WJ_EM_SIZEOF_group];

	WJ_FIELD(guest, u32, WJ_EM_OFF_group_gr_name) = moved(b, gr->name);
	WJ_FIELD(guest, u32, WJ_EM_OFF_group_gr_passwd) = moved(b, gr->passwd);
	WJ_FIELD(guest, u32, WJ_EM_OFF_group_gr_gid) = gr->gid;
	WJ_FIELD(guest, u32, WJ_EM_OFF_group_gr_mem) = pointers;
	if (wj_put(p, b->address, b->text, b->size) || wj_put(p, to, guest, sizeof(guest)))
		return -EFAULT;
	for (u32 i = 0; i < gr->member_count; i++) {
		if (wj_put_u32(p, pointers + 4 * i, moved(b, member)))
			return -EFAULT;
		member += strlen(member) + 1;
	}
	return wj_put_u32(p, pointers + 4 * gr->member_count, 0);
}

/* What is looked for: by name, by number, or the next one after *position. */
struct key {
	const char *name;
	u32 id;
	u64 *position;
};

static long find_passwd(struct wj_process *p, const struct key *key, struct entry_buffer *b, u32 to)
{
	struct wj_passwd pw;
	long ret;

	if (key->position)
		ret = wj_getpwent(p, NULL, key->position, b->text, b->size, &pw);
	else if (key->name)
		ret = wj_getpwnam(p, NULL, key->name, b->text, b->size, &pw);
	else
		ret = wj_getpwuid(p, NULL, key->id, b->text, b->size, &pw);
	return ret ? ret : put_passwd(p, b, &pw, to);
}

static long find_group(struct wj_process *p, const struct key *key, struct entry_buffer *b, u32 to)
{
	struct wj_group gr;
	u64 position = key->position ? *key->position : 0;
	u32 room = b->size & ~3u, text = room / 2, pointers;
	long ret;

	/* Half for the text leaves room for a pointer per member, unless names have one letter. */
	if (key->position)
		ret = wj_getgrent(p, NULL, key->position, b->text, text, &gr);
	else if (key->name)
		ret = wj_getgrnam(p, NULL, key->name, b->text, text, &gr);
	else
		ret = wj_getgrgid(p, NULL, key->id, b->text, text, &gr);
	if (ret)
		return ret;
	b->size = text;
	pointers = (b->address + text + 3) & ~3u;
	if (((u64)gr.member_count + 1) * 4 > b->address + (u64)room - pointers) {
		if (key->position)
			*key->position = position;
		return -ERANGE;
	}
	return put_group(p, b, &gr, pointers, to);
}

typedef long (*finder)(struct wj_process *p, const struct key *key, struct entry_buffer *b, u32 to);

static s64 entry(struct wj_process *p, finder find, const struct key *key, u32 to, u32 buffer, u32 size,
		 u32 result)
{
	struct entry_buffer b = { .size = min(size, (u32)MAX_TEXT), .address = buffer };
	long ret = -ENOMEM;

	b.text = wj_alloc(b.size + 1);
	if (b.text) {
		do {
			ret = find(p, key, &b, to);
		} while (again(p, ret));
		wj_free(b.text);
	}
	return entry_result(p, ret, to, result);
}

static s64 entry_by_name(struct wj_process *p, finder find, const u64 *a)
{
	struct key key = { 0 };
	int err = 0;
	char *name = string_arg(p, a[0], MAX_NAME, &err);
	s64 ret;

	if (!name)
		return wj_guest_errno(err == -ENAMETOOLONG ? EINVAL : err ? -err : EINVAL);
	key.name = name;
	ret = entry(p, find, &key, a[1], a[2], a[3], a[4]);
	wj_free(name);
	return ret;
}

s64 wj_host_getpwnam_r(struct wj_process *p, const u64 *a)
{
	return entry_by_name(p, find_passwd, a);
}

s64 wj_host_getgrnam_r(struct wj_process *p, const u64 *a)
{
	return entry_by_name(p, find_group, a);
}

s64 wj_host_getpwuid_r(struct wj_process *p, const u64 *a)
{
	const struct key key = { .id = a[0] };

	return entry(p, find_passwd, &key, a[1], a[2], a[3], a[4]);
}

s64 wj_host_getgrgid_r(struct wj_process *p, const u64 *a)
{
	const struct key key = { .id = a[0] };

	return entry(p, find_group, &key, a[1], a[2], a[3], a[4]);
}

/* (int *position, structure, buffer, size, result) */
static s64 next_entry(struct wj_process *p, finder find, const u64 *a)
{
	u64 position = 0;
	const struct key key = { .position = &position };
	u32 at;
	s64 ret;

	if (wj_get_u32(p, &at, a[0]))
		return WJ_EM_EFAULT;
	position = at;
	ret = entry(p, find, &key, a[1], a[2], a[3], a[4]);
	if (wj_put_u32(p, a[0], position))
		return WJ_EM_EFAULT;
	return ret;
}

s64 wj_host_getpwent(struct wj_process *p, const u64 *a)
{
	return next_entry(p, find_passwd, a);
}

s64 wj_host_getgrent(struct wj_process *p, const u64 *a)
{
	return next_entry(p, find_group, a);
}

/* (user, gid, groups, int *count): the number of groups, or -1 if there are more than *count */
s64 wj_host_getgrouplist(struct wj_process *p, const u64 *a)
{
	int err = 0;
	u32 max, count = 0, *groups = NULL;
	char *user = string_arg(p, a[0], MAX_NAME, &err);
	long ret = -EINVAL;

	if (user && !wj_get_u32(p, &max, a[3])) {
		max = min(max, 65536u);
		groups = wj_alloc(max * 4 + 4);
	}
	if (groups) {
		do {
			ret = wj_getgrouplist(p, NULL, user, a[1], groups, max, &count);
		} while (again(p, ret));
		if (wj_put(p, a[2], groups, min(count, max) * 4) || wj_put_u32(p, a[3], count))
			ret = -EFAULT;
	}
	wj_free(groups);
	wj_free(user);
	return ret ? -1 : (s64)count;
}

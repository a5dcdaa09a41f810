// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users, groups and hosts.  The host answers the re-entrant forms, which write
 * where they are told to; the others keep their answer here.
 */

#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wjposix.h"

/* Enough for a group with some thousand members. */
#define TEXT_BYTES 65536

static struct passwd user;
static struct group group;

/* The text of both, allocated when first needed. */
static char *user_text, *group_text;

static char *text(char **where)
{
	if (!*where)
		*where = malloc(TEXT_BYTES);
	if (!*where)
		errno = ENOMEM;
	return *where;
}

/* ret is the error; found stays NULL if there is no such entry. */
static void *entry(int ret, void *found)
{
	if (ret)
		errno = ret;
	return ret ? NULL : found;
}

struct passwd *getpwnam(const char *name)
{
	struct passwd *found = NULL;

	if (!text(&user_text))
		return NULL;
	return entry(getpwnam_r(name, &user, user_text, TEXT_BYTES, &found), found);
}

struct passwd *getpwuid(uid_t uid)
{
	struct passwd *found = NULL;

	if (!text(&user_text))
		return NULL;
	return entry(getpwuid_r(uid, &user, user_text, TEXT_BYTES, &found), found);
}

struct group *getgrnam(const char *name)
{
	struct group *found = NULL;

	if (!text(&group_text))
		return NULL;
	return entry(getgrnam_r(name, &group, group_text, TEXT_BYTES, &found), found);
}

struct group *getgrgid(gid_t gid)
{
	struct group *found = NULL;

	if (!text(&group_text))
		return NULL;
	return entry(getgrgid_r(gid, &group, group_text, TEXT_BYTES, &found), found);
}

int getpwnam_r(const char *name, struct passwd *result, char *buffer, size_t size,
	       struct passwd **found)
{
	return wj_host_getpwnam_r(P(name), P(result), P(buffer), size, P(found));
}

int getpwuid_r(uid_t uid, struct passwd *result, char *buffer, size_t size, struct passwd **found)
{
	return wj_host_getpwuid_r(uid, P(result), P(buffer), size, P(found));
}

int getgrnam_r(const char *name, struct group *result, char *buffer, size_t size,
	       struct group **found)
{
	return wj_host_getgrnam_r(P(name), P(result), P(buffer), size, P(found));
}

int getgrgid_r(gid_t gid, struct group *result, char *buffer, size_t size, struct group **found)
{
	return wj_host_getgrgid_r(gid, P(result), P(buffer), size, P(found));
}

/* Where the next getpwent and getgrent go on; only the host knows its meaning. */
static int user_position, group_position;

void setpwent(void)
{
	user_position = 0;
}

void endpwent(void)
{
	user_position = 0;
}

struct passwd *getpwent(void)
{
	struct passwd *found = NULL;

	if (!text(&user_text))
		return NULL;
	return entry(wj_host_getpwent(P(&user_position), P(&user), P(user_text), TEXT_BYTES,
				      P(&found)),
		     found);
}

void setgrent(void)
{
	group_position = 0;
}

void endgrent(void)
{
	group_position = 0;
}

struct group *getgrent(void)
{
	struct group *found = NULL;

	if (!text(&group_text))
		return NULL;
	return entry(wj_host_getgrent(P(&group_position), P(&group), P(group_text), TEXT_BYTES,
				      P(&found)),
		     found);
}

int getgrouplist(const char *name, gid_t gid, gid_t *groups, int *count)
{
	return wj_host_getgrouplist(P(name), gid, P(groups), P(count));
}

int initgroups(const char *name, gid_t gid)
{
	/* As many as Linux allows would be 256 KiB; ask how many there are. */
	int count = 32, ret;
	gid_t *groups = NULL;

	for (int attempt = 0; attempt < 3; attempt++) {
		gid_t *more = realloc(groups, count * sizeof(*groups));

		if (!more)
			break;
		groups = more;
		if (getgrouplist(name, gid, groups, &count) >= 0) {
			ret = setgroups(count, groups);
			free(groups);
			return ret;
		}
	}
	free(groups);
	errno = ENOMEM;
	return -1;
}

/* The old interface to hosts, on top of the new one. */

static struct {
	struct hostent host;
	char *aliases[1];
	char *addresses[33];
	unsigned char bytes[32][16];
	char name[256];
} answer;

static int host_error(int error)
{
	switch (error) {
	case EAI_AGAIN:
		return TRY_AGAIN;
	case EAI_NONAME:
		return HOST_NOT_FOUND;
	case EAI_NODATA:
		return NO_DATA;
	default:
		return NO_RECOVERY;
	}
}

struct hostent *gethostbyname2(const char *name, int family)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_CANONNAME };
	struct addrinfo *list, *item;
	int length = family == AF_INET6 ? 16 : 4;
	int count = 0;
	int error = getaddrinfo(name, NULL, &hints, &list);

	if (error) {
		h_errno = host_error(error);
		return NULL;
	}
	for (item = list; item && count < 32; item = item->ai_next) {
		const void *bytes = family == AF_INET6 ?
			(const void *)&((struct sockaddr_in6 *)item->ai_addr)->sin6_addr :
			(const void *)&((struct sockaddr_in *)item->ai_addr)->sin_addr;

		if (item->ai_family != family)
			continue;
		memcpy(answer.bytes[count], bytes, length);
		answer.addresses[count] = (char *)answer.bytes[count];
		count++;
	}
	answer.addresses[count] = NULL;
	strlcpy(answer.name, list->ai_canonname ? list->ai_canonname : name, sizeof(answer.name));
	freeaddrinfo(list);
	answer.host = (struct hostent){ answer.name, answer.aliases, family, length,
					answer.addresses };
	return &answer.host;
}

struct hostent *gethostbyname(const char *name)
{
	return gethostbyname2(name, AF_INET);
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
	struct sockaddr_storage storage = { .ss_family = family };
	socklen_t size;
	void *where;
	int error;

	if (family == AF_INET && length == 4) {
		where = &((struct sockaddr_in *)&storage)->sin_addr;
		size = sizeof(struct sockaddr_in);
	} else if (family == AF_INET6 && length == 16) {
		where = &((struct sockaddr_in6 *)&storage)->sin6_addr;
		size = sizeof(struct sockaddr_in6);
	} else {
		h_errno = NO_RECOVERY;
		return NULL;
	}
	memcpy(where, address, length);
	error = getnameinfo((struct sockaddr *)&storage, size, answer.name, sizeof(answer.name),
			    NULL, 0, NI_NAMEREQD);
	if (error) {
		h_errno = host_error(error);
		return NULL;
	}
	memcpy(answer.bytes[0], address, length);
	answer.addresses[0] = (char *)answer.bytes[0];
	answer.addresses[1] = NULL;
	answer.host = (struct hostent){ answer.name, answer.aliases, family, length,
					answer.addresses };
	return &answer.host;
}

/* The protocols that programs ask for by name. */
static const struct {
	const char *name;
	int number;
} protocols[] = {
	{ "ip", IPPROTO_IP },	  { "icmp", IPPROTO_ICMP },	    { "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },	  { "ipv6", IPPROTO_IPV6 },	    { "ipv6-icmp", IPPROTO_ICMPV6 },
	{ "sctp", IPPROTO_SCTP }, { "udplite", IPPROTO_UDPLITE }, { "raw", IPPROTO_RAW },
};

#define PROTOCOL_COUNT (sizeof(protocols) / sizeof(protocols[0]))

static struct protoent *protocol(size_t index)
{
	static char *aliases[1];
	static struct protoent answered;

	if (index >= PROTOCOL_COUNT)
		return NULL;
	answered = (struct protoent){ (char *)protocols[index].name, aliases,
				      protocols[index].number };
	return &answered;
}

struct protoent *getprotobyname(const char *name)
{
	size_t i = 0;

	while (i < PROTOCOL_COUNT && strcmp(name, protocols[i].name))
		i++;
	return protocol(i);
}

struct protoent *getprotobynumber(int number)
{
	size_t i = 0;

	while (i < PROTOCOL_COUNT && number != protocols[i].number)
		i++;
	return protocol(i);
}

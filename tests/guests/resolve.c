// SPDX-License-Identifier: GPL-2.0-only
/*
 * getaddrinfo and getnameinfo.  Arguments: names to look up; without any, what
 * needs no name server.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "transcript.h"

static const char *gai_name(int error)
{
	switch (error) {
	case 0:
		return "ok";
	case EAI_AGAIN:
		return "EAI_AGAIN";
	case EAI_BADFLAGS:
		return "EAI_BADFLAGS";
	case EAI_FAIL:
		return "EAI_FAIL";
	case EAI_FAMILY:
		return "EAI_FAMILY";
	case EAI_MEMORY:
		return "EAI_MEMORY";
	case EAI_NONAME:
		return "EAI_NONAME";
	case EAI_OVERFLOW:
		return "EAI_OVERFLOW";
	case EAI_SERVICE:
		return "EAI_SERVICE";
	case EAI_SOCKTYPE:
		return "EAI_SOCKTYPE";
	case EAI_SYSTEM:
		return "EAI_SYSTEM";
	default:
		return "another error";
	}
}

static void show(const struct addrinfo *item)
{
	char printed[INET6_ADDRSTRLEN] = "?";
	int port = 0;

	if (item->ai_family == AF_INET) {
		const struct sockaddr_in *address = (const void *)item->ai_addr;

		inet_ntop(AF_INET, &address->sin_addr, printed, sizeof(printed));
		port = ntohs(address->sin_port);
	} else if (item->ai_family == AF_INET6) {
		const struct sockaddr_in6 *address = (const void *)item->ai_addr;

		inet_ntop(AF_INET6, &address->sin6_addr, printed, sizeof(printed));
		port = ntohs(address->sin6_port);
	}
	say("  %s port %d %s protocol %d length %d%s%s", printed, port,
	    item->ai_socktype == SOCK_STREAM ? "stream" : "datagram",
	    item->ai_protocol, (int)item->ai_addrlen, item->ai_canonname ? " canonical " : "",
	    item->ai_canonname ? item->ai_canonname : "");
}

static void look_up(const char *name, const char *service, int flags, int family, int type)
{
	struct addrinfo hints = { .ai_flags = flags, .ai_family = family, .ai_socktype = type };
	struct addrinfo *list = NULL, *item;
	int error = getaddrinfo(name, service, &hints, &list);

	say("%s %s: %s", name ? name : "(null)", service ? service : "(null)", gai_name(error));
	if (error)
		return;
	/* Not every libc lists raw sockets. */
	for (item = list; item; item = item->ai_next)
		if (item->ai_socktype != SOCK_RAW)
			show(item);
	freeaddrinfo(list);
}

static void reverse(const char *address, int port, int flags, size_t size)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	char host[200] = "", service[100] = "";
	int error;

	inet_pton(AF_INET, address, &in.sin_addr);
	error = getnameinfo((struct sockaddr *)&in, sizeof(in), host, size, service,
			    sizeof(service), flags);
	say("getnameinfo %s %d: %s %s %s", address, port, gai_name(error), error ? "" : host,
	    error ? "" : service);
}

static void without_server(void)
{
	look_up("127.0.0.1", "80", 0, AF_UNSPEC, SOCK_STREAM);
	look_up("127.0.0.1", "80", AI_CANONNAME, AF_INET, 0);
	look_up("::1", "8080", AI_NUMERICHOST | AI_NUMERICSERV, AF_UNSPEC, SOCK_STREAM);
	look_up("192.168.1.2", NULL, AI_NUMERICHOST, AF_INET, SOCK_DGRAM);
	look_up("10.1", "1", AI_NUMERICHOST, AF_INET, SOCK_STREAM);
	look_up(NULL, "53", AI_PASSIVE, AF_INET, SOCK_DGRAM);
	look_up(NULL, "53", 0, AF_INET, SOCK_DGRAM);
	look_up(NULL, "53", AI_PASSIVE, AF_INET6, SOCK_STREAM);
	look_up("localhost", "http", 0, AF_INET, SOCK_STREAM);
	look_up("not a number", "80", AI_NUMERICHOST, AF_UNSPEC, SOCK_STREAM);
	look_up("127.0.0.1", "not-a-service", 0, AF_INET, SOCK_STREAM);
	look_up("127.0.0.1", "http", AI_NUMERICSERV, AF_INET, SOCK_STREAM);
	look_up(NULL, NULL, 0, AF_UNSPEC, SOCK_STREAM);
	look_up("127.0.0.1", "80", 0, 99, SOCK_STREAM);
	look_up("::1", "80", 0, AF_INET6, SOCK_STREAM);
	look_up("127.0.0.1", "domain", 0, AF_INET, SOCK_DGRAM);
	reverse("10.20.30.40", 443, NI_NUMERICHOST | NI_NUMERICSERV, 200);
	reverse("10.20.30.40", 443, NI_NUMERICHOST, 200);
	reverse("127.0.0.1", 7, NI_NUMERICHOST | NI_NUMERICSERV, 4);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		without_server();
	for (int i = 1; i < argc; i++)
		look_up(argv[i], "80", AI_CANONNAME, AF_UNSPEC, SOCK_STREAM);
	say("end");
	return 0;
}

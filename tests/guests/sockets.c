// SPDX-License-Identifier: GPL-2.0-only
/* Sockets: Unix and TCP and UDP, options, descriptors passed along, sendfile. */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "transcript.h"

static void pairs(void)
{
	struct iovec parts[2] = { { "two ", 4 }, { "parts", 5 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	char text[64];
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	MUST(sendmsg(fds[0], &message, 0));
	say("peek: %ld", MUST(recv(fds[1], text, sizeof(text), MSG_PEEK)));
	text[MUST(recv(fds[1], text, sizeof(text), 0))] = 0;
	say("received: %s", text);
	say("nothing: %s", outcome(recv(fds[1], text, sizeof(text), MSG_DONTWAIT)));
	MUST(shutdown(fds[0], SHUT_WR));
	say("end: %ld", MUST(recv(fds[1], text, sizeof(text), 0)));
	say("send after that: %s", outcome(send(fds[0], "x", 1, MSG_NOSIGNAL)));
	close(fds[0]);
	close(fds[1]);

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	MUST(send(fds[0], "first", 5, 0));
	MUST(send(fds[0], "second one", 10, 0));
	MUST(recv(fds[1], text, sizeof(text), 0));
	message.msg_iovlen = 1;
	parts[0] = (struct iovec){ text, 3 };
	say("cut short: %ld", MUST(recvmsg(fds[1], &message, 0)));
	say("and says so: %d", !!(message.msg_flags & MSG_TRUNC));
	close(fds[0]);
	close(fds[1]);
}

static void passing(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header;
	int sockets[2], pipes[2], fd;
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = MUST(fork());
	message.msg_control = control.bytes;
	message.msg_controllen = sizeof(control.bytes);
	memset(&control, 0, sizeof(control));
	if (!pid) {
		MUST(pipe(pipes));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &pipes[0], sizeof(int));
		MUST(sendmsg(sockets[1], &message, 0));
		MUST(write(pipes[1], "through", 8));
		_exit(0);
	}
	MUST(recvmsg(sockets[0], &message, MSG_CMSG_CLOEXEC));
	header = CMSG_FIRSTHDR(&message);
	say("control: %d %d %d", header->cmsg_level == SOL_SOCKET,
	    header->cmsg_type == SCM_RIGHTS, header->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	say("no second one: %d, close on exec: %d", CMSG_NXTHDR(&message, header) == NULL,
	    fcntl(fd, F_GETFD) == FD_CLOEXEC);
	char text[8];

	MUST(read(fd, text, sizeof(text)));
	say("a pipe came %s", text);
	reap(pid);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

static void named(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX }, peer;
	int listener = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), client, server;
	struct ucred credentials;
	socklen_t length;

	enter_directory();
	strcpy(address.sun_path, "socket");
	say("nobody there: %s",
	    outcome(connect(listener, (struct sockaddr *)&address, sizeof(address))));
	MUST(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(listener, 5));
	client = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	say("in use: %s", outcome(bind(client, (struct sockaddr *)&address, sizeof(address))));
	MUST(connect(client, (struct sockaddr *)&address, sizeof(address)));
	length = sizeof(peer);
	server = MUST(accept(listener, (struct sockaddr *)&peer, &length));
	say("unnamed peer: family %d length %d", peer.sun_family == AF_UNIX, (int)length);
	length = sizeof(peer);
	MUST(getpeername(client, (struct sockaddr *)&peer, &length));
	say("its name: %s, length %d", peer.sun_path,
	    length == offsetof(struct sockaddr_un, sun_path) + 7);
	length = sizeof(credentials);
	MUST(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
	say("peer credentials: %d %d", credentials.pid == getpid(), credentials.uid == getuid());
	close(client);
	close(server);
	close(listener);
	unlink("socket");
	leave_directory();
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	if (getsockopt(fd, level, name, &value, &length))
		return -1;
	return value;
}

static void options(void)
{
	struct linger linger = { 1, 3 }, got = { 0 };
	struct timeval timeout = { .tv_usec = 20000 }, read_back = { 0 };
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), on = 1;
	socklen_t length;
	char byte;

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	say("options: %d %d %d", option(fd, SOL_SOCKET, SO_REUSEADDR),
	    option(fd, SOL_SOCKET, SO_KEEPALIVE), option(fd, IPPROTO_TCP, TCP_NODELAY));
	say("type %d, error %d, listening %d", option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM,
	    option(fd, SOL_SOCKET, SO_ERROR), option(fd, SOL_SOCKET, SO_ACCEPTCONN));
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	length = sizeof(got);
	MUST(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &length));
	say("linger: %d %d", got.l_onoff, got.l_linger);
	say("bad level: %s", outcome(setsockopt(fd, 9999, 1, &on, sizeof(on))));
	say("bad option: %s", outcome(setsockopt(fd, SOL_SOCKET, 9999, &on, sizeof(on))));
	close(fd);
	fd = MUST(open("/dev/null", O_RDONLY));
	say("not a socket: %s", outcome(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, 4)));
	close(fd);

	fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(bind(fd, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET },
		  sizeof(struct sockaddr_in)));
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	length = sizeof(read_back);
	MUST(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &read_back, &length));
	say("time-out: %d %d, length right %d", (int)read_back.tv_sec,
	    read_back.tv_usec >= 20000 && read_back.tv_usec < 30000,
	    length == sizeof(read_back));
	say("receive: %s", outcome(recv(fd, &byte, 1, 0)));
	close(fd);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void tcp(void)
{
	struct sockaddr_in address = loopback(0), peer;
	int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), client, server;
	socklen_t length = sizeof(address);
	char text[64], printed[INET_ADDRSTRLEN];
	int sent, got = 0, on = 1;
	static char block[100000];
	pid_t pid;

	MUST(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(listener, 16));
	MUST(getsockname(listener, (struct sockaddr *)&address, &length));
	say("bound: family %d port %d length %d", address.sin_family == AF_INET,
	    address.sin_port != 0, (int)length);
	MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
	say("nobody yet: %s", outcome(accept4(listener, NULL, NULL, 0)));
	MUST(fcntl(listener, F_SETFL, 0));

	pid = MUST(fork());
	if (!pid) {
		close(listener);
		client = MUST(socket(AF_INET, SOCK_STREAM, 0));
		MUST(connect(client, (struct sockaddr *)&address, sizeof(address)));
		MUST(write(client, "hello", 5));
		for (;;) {
			sent = MUST(read(client, block, sizeof(block)));
			if (!sent)
				break;
			got += sent;
		}
		_exit(got == 300000 + 3);
	}
	length = sizeof(peer);
	server = MUST(accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC));
	say("peer: %s", inet_ntop(AF_INET, &peer.sin_addr, printed, sizeof(printed)));
	say("close on exec: %d, blocking: %d", fcntl(server, F_GETFD) == FD_CLOEXEC,
	    !(fcntl(server, F_GETFL) & O_NONBLOCK));
	text[MUST(read(server, text, sizeof(text)))] = 0;
	say("received: %s", text);
	MUST(setsockopt(server, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	for (int i = 0; i < 3; i++)
		for (sent = 0; sent < (int)sizeof(block);)
			sent += MUST(write(server, block + sent, sizeof(block) - sent));
	MUST(write(server, "end", 3));
	MUST(shutdown(server, SHUT_WR));
	say("client got it all: %s", ended(reap(pid)));
	close(server);
	close(listener);

	client = MUST(socket(AF_INET, SOCK_STREAM, 0));
	say("nobody listens: %s",
	    outcome(connect(client, (struct sockaddr *)&address, sizeof(address))));
	close(client);
}

static void datagrams(void)
{
	struct sockaddr_in address = loopback(0), from;
	int one = MUST(socket(AF_INET, SOCK_DGRAM, 0)), two = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	socklen_t length = sizeof(address);
	char text[32];
	struct iovec part = { text, sizeof(text) };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from),
				  .msg_iov = &part, .msg_iovlen = 1 };

	MUST(bind(one, (struct sockaddr *)&address, sizeof(address)));
	MUST(getsockname(one, (struct sockaddr *)&address, &length));
	MUST(sendto(two, "datagram", 8, 0, (struct sockaddr *)&address, sizeof(address)));
	length = sizeof(from);
	say("recvfrom: %ld",
	    MUST(recvfrom(one, text, sizeof(text), 0, (struct sockaddr *)&from, &length)));
	say("from loopback: %d", from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	MUST(sendto(one, "answer", 6, 0, (struct sockaddr *)&from, length));
	say("recvmsg: %ld", MUST(recvmsg(two, &message, 0)));
	say("its port: %d, name length %d", from.sin_port == address.sin_port,
	    (int)message.msg_namelen);
	MUST(connect(two, (struct sockaddr *)&address, sizeof(address)));
	MUST(send(two, "", 0, 0));
	say("an empty one: %ld", MUST(recv(one, text, sizeof(text), 0)));
	close(one);
	close(two);
}

static void version_six(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t length = sizeof(address);
	char text[8], printed[INET6_ADDRSTRLEN];
	int one = socket(AF_INET6, SOCK_DGRAM, 0), two;

	if (one < 0 || bind(one, (struct sockaddr *)&address, sizeof(address))) {
		say("no IPv6 here");
		return;
	}
	MUST(getsockname(one, (struct sockaddr *)&address, &length));
	two = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
	MUST(sendto(two, "six", 3, 0, (struct sockaddr *)&address, sizeof(address)));
	say("IPv6: %ld at %s, length %d", MUST(recv(one, text, sizeof(text), 0)),
	    inet_ntop(AF_INET6, &address.sin6_addr, printed, sizeof(printed)), (int)length);
	close(one);
	close(two);
}

static void send_file(void)
{
	int file, fds[2];
	char text[32];
	off_t offset = 4;

	enter_directory();
	file = MUST(open("file", O_CREAT | O_RDWR, 0600));
	MUST(write(file, "0123456789", 10));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	say("sendfile: %ld", MUST(sendfile(fds[0], file, &offset, 100)));
	text[MUST(read(fds[1], text, sizeof(text)))] = 0;
	say("sent %s, offset %d, file offset %d", text, (int)offset,
	    (int)MUST(lseek(file, 0, SEEK_CUR)));
	MUST(lseek(file, 2, SEEK_SET));
	say("without offset: %ld", MUST(sendfile(fds[0], file, NULL, 3)));
	say("file offset: %ld", MUST(lseek(file, 0, SEEK_CUR)));
	say("to a bad descriptor: %s", outcome(sendfile(999, file, NULL, 1)));
	unlink("file");
	close(file);
	close(fds[0]);
	close(fds[1]);
	leave_directory();
}

int main(void)
{
	pairs();
	passing();
	named();
	options();
	tcp();
	datagrams();
	version_six();
	send_file();
	say("end");
	return 0;
}

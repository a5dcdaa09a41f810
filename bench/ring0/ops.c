// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation many times, as a guest and natively: prints nanoseconds per operation, which are
 * instructions where the machine's clock counts those.
 *
 *	ops OPERATION COUNT	getpid null self1 self4k pingpong tcp fork
 *	ops idle		wait for ever
 *	ops filter COMMAND ...	execute it under a seccomp filter (native only)
 *	ops client PORT PATH COUNT PID
 *				HTTP requests on one connection: nanoseconds of everybody, and
 *				processor time of PID, per request (native only)
 */
#ifndef __EMSCRIPTEN__
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec t;

	must(!clock_gettime(clock, &t), "clock_gettime");
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int null, in, out;
static char buffer[4096];

static void op_getpid(void)
{
	must(getpid() > 0, "getpid");
}

static void op_null(void)
{
	must(write(null, buffer, 1) == 1, "write");
}

static void op_self1(void)
{
	must(write(out, buffer, 1) == 1 && read(in, buffer, 1) == 1, "pipe");
}

static void op_self4k(void)
{
	must(write(out, buffer, 4096) == 4096 && read(in, buffer, 4096) == 4096, "pipe");
}

/* 64 bytes there and back; who starts it made `in` and `out`. */
static void op_echo(void)
{
	must(write(out, buffer, 64) == 64 && read(in, buffer, 64) == 64, "echo");
}

static void op_fork(void)
{
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	must(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "fork");
}

static void serve_echo(void)
{
	ssize_t n;

	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		must(write(out, buffer, n) == n, "write");
	_exit(0);
}

static void make_pipes(int self)
{
	int there[2], back[2];

	must(!pipe(there) && !pipe(back), "pipe");
	if (self) {
		in = there[0];
		out = there[1];
		return;
	}
	if (!fork()) {
		in = there[0];
		out = back[1];
		close(there[1]);
		close(back[0]);
		serve_echo();
	}
	close(there[0]);
	close(back[1]);
	in = back[0];
	out = there[1];
}

static void connect_to(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in = out = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(in, (struct sockaddr *)&address, sizeof(address)), "connect");
	must(!setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
}

static void make_connection(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(listener, (struct sockaddr *)&address, size) && !listen(listener, 1), "listen");
	must(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
	if (!fork()) {
		in = out = accept(listener, NULL, NULL);
		must(in >= 0 && !setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "accept");
		serve_echo();
	}
	connect_to(ntohs(address.sin_port));
}

#ifndef __EMSCRIPTEN__
/*
 * A list of system calls that are allowed, compared one by one, and one of them depends on an
 * argument: so the kernel remembers the answer for getpid, but not for write.
 */
static void filter(char **command)
{
	struct sock_filter lines[300] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 77, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .filter = lines };
	unsigned int n = 9;

	for (unsigned int nr = 0; nr < 240; nr++) {
		if (nr != SYS_write && nr != SYS_ptrace)
			lines[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 0);
	}
	lines[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 240, 0, 0);
	for (unsigned int i = 9; i < n; i++)
		lines[i].jt = n - i;
	lines[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1);
	lines[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter");
	execv(command[0], command);
	must(0, command[0]);
}

/* A long no-op that split.c looks for. */
#define WJ_MARK() asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x4a, 0x57, 0x4a, 0x57")

/* The whole response: Content-Length bytes after the empty line. */
static void request(const char *text, size_t size)
{
	static char response[1 << 18];
	size_t got = 0, wanted = 0;

	must(write(out, text, size) == (ssize_t)size, "request");
	while (!wanted || got < wanted) {
		ssize_t n = read(in, response + got, sizeof(response) - 1 - got);
		char *end, *length;

		must(n > 0, "response");
		got += n;
		if (wanted)
			continue;
		response[got] = 0;
		end = strstr(response, "\r\n\r\n");
		if (!end)
			continue;
		length = strstr(response, "Content-Length: ");
		must(length && length < end && !strncmp(response, "HTTP/1.1 200", 12), response);
		wanted = end + 4 - response + strtoul(length + 16, NULL, 10);
	}
	must(got == wanted, "response of another length");
}

static void client(int port, const char *path, unsigned int count, pid_t pid)
{
	/* As in the kernel's posix-timers.h: CPUCLOCK_SCHED of a process. */
	clockid_t clock = ~(clockid_t)pid << 3 | 2;
	int64_t begin, busy;
	char text[256];
	int size = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

	connect_to(port);
	for (unsigned int i = 0; i < count / 4; i++)
		request(text, size);
	begin = now(CLOCK_MONOTONIC);
	busy = now(clock);
	WJ_MARK();
	for (unsigned int i = 0; i < count; i++)
		request(text, size);
	WJ_MARK();
	busy = now(clock) - busy;
	begin = now(CLOCK_MONOTONIC) - begin;
	printf("all %.1f server %.1f\n", (double)begin / count, (double)busy / count);
}
#endif

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*op)(void);
	} ops[] = {
		{ "getpid", op_getpid }, { "null", op_null }, { "self1", op_self1 }, { "self4k", op_self4k },
		{ "pingpong", op_echo }, { "tcp", op_echo }, { "fork", op_fork },
	};
	const char *name = argc > 1 ? argv[1] : "";
	unsigned int count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	void (*op)(void) = NULL;
	int64_t begin;

#ifndef __EMSCRIPTEN__
	if (!strcmp(name, "filter") && argc > 2)
		filter(argv + 2);
	if (!strcmp(name, "client") && argc == 6) {
		client(atoi(argv[2]), argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]));
		return 0;
	}
#endif
	if (!strcmp(name, "idle")) {
		puts("idle");
		fflush(stdout);
		for (;;)
			pause();
	}
	for (unsigned int i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (!strcmp(name, ops[i].name))
			op = ops[i].op;
	}
	if (!op || !count) {
		fprintf(stderr, "unknown operation: %s\n", name);
		return 64;
	}
	null = open("/dev/null", O_WRONLY);
	must(null >= 0, "/dev/null");
	if (!strncmp(name, "self", 4))
		make_pipes(1);
	if (!strcmp(name, "pingpong"))
		make_pipes(0);
	if (!strcmp(name, "tcp"))
		make_connection();
	for (unsigned int i = 0; i < count / 8; i++)
		op();
	begin = now(CLOCK_MONOTONIC);
	for (unsigned int i = 0; i < count; i++)
		op();
	begin = now(CLOCK_MONOTONIC) - begin;
	printf("%s %.1f\n", name, (double)begin / count);
	return 0;
}

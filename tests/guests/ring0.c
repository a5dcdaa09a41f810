// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only matters where guests run in the kernel.  Argument: what to do.
 *
 *	eof PATH	write to a FIFO, close it, never make a system call again
 *	control		close, replace and control every descriptor; then still be fine
 *	nest		open /dev/wasm and try to run a guest inside the guest
 *	floats COUNT	the same sum again and again: always the same bits
 *	fill MEGABYTES	write memory, and compare it
 *	faults COUNT	touch fresh memory and give it back
 *	calls COUNT	system calls, cheap ones
 *	fork COUNT	children, one after the other
 *	touch MB	a page after the other, then wait
 *	session		getsid until it fails
 *	filtered	system calls that a filter may forbid; `handler`: with one for SIGSYS
 *	who		what the process may do
 *	rounding	sums that depend on the rounding of floating point, and exceptions
 *	constants	what it computes with can be found in its code, unless that hides it
 *	indirect	fork by a pointer to the import, below setjmp: no guest code to go on in
 *	spawn COUNT	the same, but each becomes a native program
 *	orphan		fork a child that spins, exit
 *	exec PATH ARG...	become another program
 */

#include <setjmp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "transcript.h"

static volatile unsigned int spins;

__attribute__((noreturn)) static void spin(void)
{
	for (;;)
		spins++;
}

static void eof(const char *path)
{
	int fd = MUST(open(path, O_WRONLY));

	MUST(write(fd, "data\n", 5));
	close(fd);
	spin();
}

static void control(void)
{
	int closed = 0, replaced = 0, controlled = 0, null = MUST(open("/dev/null", O_RDWR));
	char buffer[256];

	for (int fd = 3; fd < 1 << 20; fd += fd < 2048 ? 1 : fd < (1 << 20) - 64 ? 997 : 1) {
		if (fd == null)
			continue;
		closed += !close(fd);
		controlled += !ioctl(fd, 0xc0606a11, buffer);
	}
	for (int fd = 3; fd < 1024; fd++) {
		if (fd == null || fd == 1021 || fd == 1022 || fd == 1023)
			continue;
		replaced += dup2(null, fd) == fd;
	}
	say("closed %d, controlled %d, replaced %d", closed, controlled, replaced);
	say("top: %s %s %s", outcome(dup2(null, 1021)), outcome(dup2(null, 1022)), outcome(dup2(null, 1023)));
	say("and alive");
}

static void nest(void)
{
	int fd = open("/dev/wasm", O_RDWR);
	uint64_t run[16] = { 1 };

	say("open: %s", fd < 0 ? outcome(fd) : "fine");
	say("run: %s", ioctl(fd, 0xc0606a11, run) ? "refused" : "RAN");
}

/* Enough sums at once to keep all floating point registers in use. */
static double sum(unsigned int terms)
{
	volatile double step = 1.0;
	double s0 = 0, s1 = 1, s2 = 2, s3 = 3, s4 = 4, s5 = 5, s6 = 6, s7 = 7, s8 = 8, s9 = 9, sign = 1, odd = step;
	float small = 0;

	for (unsigned int i = 0; i < terms; i++) {
		s0 += sign / odd;
		s1 = s1 * 0.75 + odd;
		s2 = s2 * 0.5 - s1;
		s3 = s3 * 0.25 + s2;
		s4 = s4 * 0.125 - s3;
		s5 = s5 * 0.0625 + s4;
		s6 = s6 * 0.75 - s5;
		s7 = s7 * 0.5 + s6;
		s8 = s8 * 0.25 - s7;
		s9 = s9 * 0.125 + s8;
		small = small * 0.5f + (float)s0;
		sign = -sign;
		odd += 2 * step;
	}
	return s0 * 4 + small + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9;
}

static void floats(unsigned int count)
{
	double first = sum(2000);
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (i % 16 == 0)
			getppid();
		wrong += sum(2000) != first;
	}
	say("wrong sums: %u", wrong);
}

/* Megabytes of memory, each page of its own, written and compared. */
static void fill(unsigned int megabytes)
{
	unsigned int pages = megabytes << 8, wrong = 0;
	unsigned int *memory = malloc((size_t)pages << 12);

	if (!memory)
		exit(1);
	for (unsigned int round = 1; round < 3; round++) {
		for (unsigned int i = 0; i < pages; i++)
			memory[i << 10] = i * round;
		for (unsigned int i = 0; i < pages; i++)
			wrong += memory[i << 10] != i * round;
	}
	say("wrong: %u", wrong);
}

static void faults(unsigned int count)
{
	unsigned int size = 1 << 20, wrong = 0;

	for (unsigned int i = 0; i < count; i++) {
		char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			exit(1);
		for (unsigned int at = 0; at < size; at += 4096) {
			wrong += memory[at] != 0;
			memory[at] = 1;
		}
		munmap(memory, size);
	}
	say("not zero: %u", wrong);
}

static void calls(unsigned int count)
{
	pid_t parent = getppid();
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < count; i++)
		wrong += getppid() != parent;
	say("wrong: %u", wrong);
}

static void forks(unsigned int count)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < count; i++) {
		int status = 0;
		pid_t pid = MUST(fork());

		if (!pid)
			_exit(i & 127);
		wrong += waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != (int)(i & 127);
	}
	say("wrong: %u", wrong);
}

static void touch(unsigned int megabytes)
{
	char *memory = malloc((size_t)megabytes << 20);

	for (size_t at = 0; at < (size_t)megabytes << 20; at += 4096)
		memory[at] = 1;
	say("touched");
	for (;;)
		pause();
}

static void session(void)
{
	unsigned int calls = 0;

	say("calling");
	while (getsid(0) >= 0)
		calls++;
	say("after some calls: %s", calls ? error_name(errno) : "no call");
}

static void who(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(81) };
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	say("pid %d, user %d", (int)getpid(), (int)getuid());
	say("/etc/shadow: %s", outcome(open("/etc/shadow", O_RDONLY)));
	say("port 81: %s", outcome(bind(fd, (struct sockaddr *)&any, sizeof(any))));
	say("setuid: %s", outcome(setuid(0)));
}

static volatile int forbidden;

static void on_sigsys(int sig)
{
	forbidden += sig == SIGSYS;
}

static void filtered(int handler)
{
	int fd = MUST(open("/proc/self/exe", O_RDONLY)), null = MUST(open("/dev/null", O_WRONLY));
	char here[9] = "on stack";

	if (handler)
		signal(SIGSYS, on_sigsys);
	for (int i = 0; i < 3; i++) {
		say("kill: %s", kill(getpid(), 0) ? error_name(errno) : "0");
		say("getsid: %s", getsid(0) < 0 ? error_name(errno) : getsid(0) ? "some" : "0");
		say("lseek: %s, %s", outcome(lseek(fd, 0, SEEK_SET)), lseek(fd, 0, SEEK_END) < 0 ? error_name(errno) : "end");
		say("write: %s, %s", outcome(write(null, here, 8)), outcome(write(null, here, 7)));
		say("nanosleep: %s", outcome(usleep(1000)));
		say("forbidden: %d", forbidden);
	}
}

static void rounding(void)
{
	volatile double tenth = 0.1, fifth = 0.2, zero = 0, one = 1, three = 3;
	double sum = tenth + fifth, third = one / three, huge = one / zero;
	uint64_t bits[3];

	memcpy(&bits[0], &sum, 8);
	memcpy(&bits[1], &third, 8);
	memcpy(&bits[2], &huge, 8);
	getppid();
	third = -one / three;
	say("%llx %llx %llx %d", (unsigned long long)bits[0], (unsigned long long)bits[1],
	    (unsigned long long)bits[2], third + one / three == 0);
}

static void constants(void)
{
	volatile uint32_t narrow = spins;
	volatile uint64_t wide = spins;

	narrow ^= 0x3cd1c2b3u;
	narrow += 0x3cd1c2b4u;
	wide ^= 0x3cd5c6b73cd8c9baull;
	say("%x %llx", narrow, (unsigned long long)wide);
	for (;;)
		pause();
}

static void indirect(void)
{
	pid_t (*volatile call)(void) = fork;
	static jmp_buf here;

	if (!setjmp(here)) {
		pid_t pid = call();

		if (!pid)
			_exit(3);
		say("fork: %s", outcome(pid));
		if (pid > 0)
			say("child: %s", ended(reap(pid)));
		longjmp(here, 1);
	}
	say("and alive");
}

static void spawns(unsigned int count)
{
	char *const arguments[] = { "true", NULL };
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < count; i++) {
		int status = 1;
		pid_t pid = MUST(fork());

		if (!pid) {
			execv("/bin/true", arguments);
			_exit(1);
		}
		wrong += waitpid(pid, &status, 0) != pid || status;
	}
	say("wrong: %u", wrong);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "calls";
	const char *argument = argc > 2 ? argv[2] : "100";
	unsigned int count = strtoul(argument, NULL, 10);

	if (!strcmp(what, "eof"))
		eof(argument);
	if (!strcmp(what, "control"))
		control();
	if (!strcmp(what, "nest"))
		nest();
	if (!strcmp(what, "floats"))
		floats(count);
	if (!strcmp(what, "fill"))
		fill(count);
	if (!strcmp(what, "faults"))
		faults(count);
	if (!strcmp(what, "calls"))
		calls(count);
	if (!strcmp(what, "fork"))
		forks(count);
	if (!strcmp(what, "touch"))
		touch(count);
	if (!strcmp(what, "session"))
		session();
	if (!strcmp(what, "filtered"))
		filtered(!strcmp(argument, "handler"));
	if (!strcmp(what, "who"))
		who();
	if (!strcmp(what, "rounding"))
		rounding();
	if (!strcmp(what, "constants"))
		constants();
	if (!strcmp(what, "indirect"))
		indirect();
	if (!strcmp(what, "exec")) {
		execv(argument, argv + 2);
		say("execv: %s", error_name(errno));
	}
	if (!strcmp(what, "spawn"))
		spawns(count);
	if (!strcmp(what, "orphan")) {
		if (!MUST(fork()))
			spin();
	}
	return 0;
}

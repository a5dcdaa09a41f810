// SPDX-License-Identifier: GPL-2.0-only
/* fork inside of signal handlers, which then return in parent and child, each to where it was. */

#include <setjmp.h>
#include <sys/time.h>

#include "transcript.h"

static volatile pid_t child;
static volatile int handled;
static int pipes[2], told[2];
static volatile int telling;
static sigjmp_buf jump;

static void set_handler(int sig, void (*handler)(int), int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = flags;
	MUST(sigaction(sig, &action, NULL));
}

static void forks(int sig)
{
	(void)sig;
	handled++;
	child = MUST(fork());
	if (child && telling)
		MUST(write(told[1], "x", 1));
}

static void raises(int sig)
{
	(void)sig;
	raise(SIGUSR2);
	handled += 10;
}

static void forks_and_jumps(int sig)
{
	forks(sig);
	if (!child)
		siglongjmp(jump, 5);
}

/* Ends the child with what it has seen, and tells of it. */
static void settle(const char *what, int seen)
{
	int status;

	if (!child)
		_exit(seen);
	status = reap(child);
	say("%s: parent %d, child %s", what, seen, ended(status));
	handled = 0;
}

static void after_kill(void)
{
	set_handler(SIGUSR1, forks, 0);
	raise(SIGUSR1);
	settle("after kill", 20 + handled);
}

static void in_a_loop(void)
{
	const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
	volatile unsigned int spins = 0;

	set_handler(SIGALRM, forks, 0);
	MUST(setitimer(ITIMER_REAL, &soon, NULL));
	while (!handled)
		spins++;
	settle("in a loop", 30 + handled);
}

/* Until a process waits for something. */
static void wait_for(pid_t pid)
{
	char name[32], line[256] = { 0 }, *end;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	do {
		int fd = MUST(open(name, O_RDONLY));

		line[MUST(read(fd, line, sizeof(line) - 1))] = 0;
		close(fd);
		end = strrchr(line, ')');
	} while (!end || end[2] != 'S');
}

/* Somebody else sends SIGUSR1 once we wait; and, when that has been handled, a byte to each. */
static void in_read(const char *what, int flags)
{
	pid_t parent = getpid(), other;
	char bytes[2] = { 0 };
	long got;

	set_handler(SIGUSR1, forks, flags);
	telling = 1;
	other = MUST(fork());
	if (!other) {
		wait_for(parent);
		MUST(kill(parent, SIGUSR1));
		MUST(read(told[0], bytes, 1));
		MUST(write(pipes[1], "ab", 2));
		_exit(0);
	}
	got = read(pipes[0], bytes, 1);
	telling = 0;
	if (child) {
		int status = reap(other);

		if (status)
			say("%s: %s", what, ended(status));
	}
	if (!(flags & SA_RESTART) && got < 0 && errno == EINTR && child)
		MUST(read(pipes[0], bytes, 2));
	settle(what, got < 0 ? (errno == EINTR ? 40 : 41) : 42 + (int)got);
}

static void in_a_handler(void)
{
	set_handler(SIGUSR1, raises, 0);
	set_handler(SIGUSR2, forks, 0);
	raise(SIGUSR1);
	settle("in a nested handler", 50 + handled);
}

static void in_sigsuspend(void)
{
	sigset_t blocked, none, now;
	int result;

	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	set_handler(SIGUSR1, forks, 0);
	MUST(sigprocmask(SIG_BLOCK, &blocked, NULL));
	raise(SIGUSR1);
	result = sigsuspend(&none);
	sigprocmask(SIG_SETMASK, NULL, &now);
	settle("in sigsuspend", 70 + (result == -1) + 2 * (errno == EINTR) + 4 * sigismember(&now, SIGUSR1));
	MUST(sigprocmask(SIG_UNBLOCK, &blocked, NULL));
}

static void jumps_out(void)
{
	int came;

	set_handler(SIGUSR1, forks_and_jumps, 0);
	came = sigsetjmp(jump, 1);
	if (!came)
		raise(SIGUSR1);
	settle("jumps out", 80 + came);
}

static void children_of_children(void)
{
	set_handler(SIGUSR1, forks, 0);
	raise(SIGUSR1);
	if (!child) {
		/* Below it all: a handler again, in a process that began in one. */
		handled = 0;
		raise(SIGUSR1);
		if (!child)
			_exit(7);
		_exit(reap(child) == 7 << 8 ? 90 + handled : 99);
	}
	settle("children of children", 90 + handled);
}

/* The handler interrupts something below setjmp, and that is where both go on. */
static int below(int depth)
{
	return depth ? below(depth - 1) + 1 : (raise(SIGUSR1), 0);
}

static void below_setjmp(void)
{
	static jmp_buf here;
	volatile int came = 0;
	int (*volatile call)(int) = below;

	set_handler(SIGUSR1, forks, 0);
	if (!setjmp(here)) {
		came = call(5);
		longjmp(here, 1);
	}
	settle("below setjmp", 100 + came);
}

int main(void)
{
	MUST(pipe(pipes));
	MUST(pipe(told));
	after_kill();
	in_a_loop();
	in_read("in read", 0);
	in_read("in read, restarted", SA_RESTART);
	in_a_handler();
	in_sigsuspend();
	jumps_out();
	children_of_children();
	below_setjmp();
	return 0;
}

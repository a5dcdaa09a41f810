// SPDX-License-Identifier: GPL-2.0-only
/* Handlers, masks, nesting, restarting, waiting for signals, what comes with them. */

#include <sys/time.h>

#include "transcript.h"

static volatile sig_atomic_t count, depth, deepest;

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigemptyset(&action.sa_mask);
	MUST(sigaction(sig, &action, NULL));
}

static void counts(int sig)
{
	(void)sig;
	count++;
}

static void nests(int sig)
{
	count++;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (count < 4)
		raise(sig);
	depth--;
}

static void simple(void)
{
	struct sigaction old;

	handle(SIGUSR1, counts, 0);
	count = 0;
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	say("five raised, %d handled", (int)count);
	MUST(sigaction(SIGUSR1, NULL, &old));
	say("the handler is known: %d", old.sa_handler == counts);
	say("no such signal: %s", outcome(sigaction(0, NULL, &old)));
	say("nobody handles SIGKILL: %s", signal(SIGKILL, counts) == SIG_ERR ? "right" : "wrong");
	say("signal returns the old one: %d", signal(SIGUSR1, SIG_IGN) == counts);
	raise(SIGUSR1);
	say("ignored: %d", signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

static void nesting(void)
{
	handle(SIGUSR1, nests, 0);
	count = deepest = 0;
	raise(SIGUSR1);
	say("blocked in its own handler: handled %d, depth %d", (int)count, (int)deepest);

	handle(SIGUSR1, nests, SA_NODEFER);
	count = deepest = 0;
	raise(SIGUSR1);
	say("SA_NODEFER: handled %d, depth %d", (int)count, (int)deepest);

	handle(SIGUSR1, counts, SA_RESETHAND);
	count = 0;
	raise(SIGUSR1);
	say("SA_RESETHAND: handled %d, now default %d", (int)count,
	    signal(SIGUSR1, SIG_IGN) == SIG_DFL);
}

static volatile char order[16];
static volatile int order_length;

static void notes(int sig)
{
	order[order_length++] = sig == SIGUSR1 ? '1' : '2';
	if (sig == SIGUSR1) {
		raise(SIGUSR2); /* in the mask: comes when this one is done */
		order[order_length++] = 'e';
	}
}

static void action_mask(void)
{
	struct sigaction action = { .sa_handler = notes };

	handle(SIGUSR2, notes, 0);
	sigaddset(&action.sa_mask, SIGUSR2);
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	say("sa_mask holds the other back: %.*s", order_length, (char *)order);

	order_length = 0;
	sigemptyset(&action.sa_mask);
	MUST(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	say("without it: %.*s", order_length, (char *)order);
}

static void masks(void)
{
	sigset_t set, old, pending;

	handle(SIGUSR1, counts, 0);
	handle(SIGUSR2, counts, 0);
	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	MUST(sigpending(&pending));
	say("blocked: handled %d, pending %d %d", (int)count, sigismember(&pending, SIGUSR1),
	    sigismember(&pending, SIGUSR2));
	MUST(sigprocmask(SIG_SETMASK, &old, &set));
	say("unblocked: handled %d, was blocked %d", (int)count, sigismember(&set, SIGUSR1));
	MUST(sigpending(&pending));
	say("pending now: %d", sigismember(&pending, SIGUSR1));
	sigfillset(&set);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	MUST(sigprocmask(SIG_SETMASK, &old, &set));
	say("SIGKILL and SIGSTOP cannot be blocked: %d %d, others: %d",
	    sigismember(&set, SIGKILL), sigismember(&set, SIGSTOP), sigismember(&set, SIGTERM));
}

/* A child that signals us once we sleep in a system call. */
static pid_t later(int sig)
{
	pid_t parent = getpid(), pid = MUST(fork());

	if (!pid) {
		struct timespec wait = { .tv_nsec = 100000000 };

		nanosleep(&wait, NULL);
		kill(parent, sig);
		_exit(0);
	}
	return pid;
}

static void interrupted(void)
{
	const char *result;
	int pipes[2];
	char byte;
	pid_t pid;

	MUST(pipe(pipes));
	handle(SIGUSR1, counts, 0);
	count = 0;
	pid = later(SIGUSR1);
	result = outcome(read(pipes[0], &byte, 1));
	say("read: %s, handled %d", result, (int)count);
	reap(pid);

	handle(SIGUSR1, counts, SA_RESTART);
	count = 0;
	pid = MUST(fork());
	if (!pid) {
		struct timespec wait = { .tv_nsec = 100000000 };

		nanosleep(&wait, NULL);
		kill(getppid(), SIGUSR1);
		nanosleep(&wait, NULL);
		_exit(write(pipes[1], "x", 1) != 1);
	}
	result = outcome(read(pipes[0], &byte, 1));
	say("read, SA_RESTART: %s %c, handled %d", result, byte, (int)count);
	reap(pid);

	/* poll and sleeping never restart. */
	count = 0;
	pid = later(SIGUSR1);
	result = outcome(nanosleep(&(struct timespec){ .tv_sec = 20 }, NULL));
	say("nanosleep: %s, handled %d", result, (int)count);
	reap(pid);

	count = 0;
	pid = later(SIGUSR1);
	result = outcome(pause());
	say("pause: %s, handled %d", result, (int)count);
	reap(pid);
	close(pipes[0]);
	close(pipes[1]);
}

static void suspended(void)
{
	const char *result;
	sigset_t set, old;

	handle(SIGUSR1, counts, 0);
	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR1);
	say("before sigsuspend: %d", (int)count);
	result = outcome(sigsuspend(&old));
	say("sigsuspend: %s, handled %d", result, (int)count);
	MUST(sigprocmask(SIG_BLOCK, NULL, &set));
	say("the mask is back: %d", sigismember(&set, SIGUSR1));

	raise(SIGUSR1);
	say("sigtimedwait: %d", sigtimedwait(&set, NULL, &(struct timespec){ 0 }) == SIGUSR1);
	say("once more: %s", outcome(sigtimedwait(&set, NULL, &(struct timespec){ 0 })));
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	say("handled in all: %d", (int)count);
}

static volatile sig_atomic_t got_pid, got_status, got_code, got_value, got_number;

static void informed(int sig, siginfo_t *info, void *context)
{
	(void)context;
	got_number = sig == info->si_signo;
	got_pid = info->si_pid;
	got_code = info->si_code;
	if (sig == SIGCHLD)
		got_status = info->si_status;
	else
		got_value = info->si_value.sival_int;
	count++;
}

static void information(void)
{
	struct sigaction action = { .sa_sigaction = informed, .sa_flags = SA_SIGINFO };
	union sigval value = { .sival_int = 0x12345678 };
	sigset_t block, old;
	pid_t pid;

	MUST(sigaction(SIGCHLD, &action, NULL));
	MUST(sigaction(SIGUSR1, &action, NULL));
	MUST(sigaction(SIGUSR2, &action, NULL));
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	for (int kind = 0; kind < 2; kind++) {
		MUST(sigprocmask(SIG_BLOCK, &block, &old));
		count = 0;
		pid = MUST(fork());
		if (!pid) {
			if (kind)
				raise(SIGKILL);
			_exit(42);
		}
		while (!count)
			sigsuspend(&old);
		MUST(sigprocmask(SIG_SETMASK, &old, NULL));
		say("SIGCHLD: number %d pid %d code %d status %d", (int)got_number,
		    got_pid == pid, got_code == (kind ? CLD_KILLED : CLD_EXITED),
		    (int)got_status);
		reap(pid);
	}
	signal(SIGCHLD, SIG_DFL);

	MUST(sigqueue(getpid(), SIGUSR1, value));
	say("sigqueue: value %#x code %d pid %d", (int)got_value, got_code == SI_QUEUE,
	    got_pid == getpid());
	MUST(kill(getpid(), SIGUSR2));
	say("kill: code %d pid %d", got_code == SI_USER, got_pid == getpid());
}

static void real_time(void)
{
	struct sigaction action = { .sa_sigaction = informed, .sa_flags = SA_SIGINFO };
	sigset_t set, old;
	siginfo_t info;
	int sum = 0;

	MUST(sigaction(SIGRTMIN, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	for (int i = 1; i <= 3; i++)
		MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i }));
	MUST(sigwaitinfo(&set, &info));
	sum = info.si_value.sival_int;
	count = 0;
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	say("queued three: first %d, then %d more, last %d", sum, (int)count, (int)got_value);
}

static void inherited(void)
{
	pid_t pid;

	handle(SIGUSR1, counts, 0);
	count = 0;
	pid = MUST(fork());
	if (!pid) {
		raise(SIGUSR1);
		_exit(count);
	}
	say("a child has the handlers: %s, parent's count %d", ended(reap(pid)), (int)count);
	pid = MUST(fork());
	if (!pid)
		abort();
	say("abort: %s", ended(reap(pid)));
	pid = MUST(fork());
	if (!pid) {
		signal(SIGABRT, SIG_IGN);
		abort();
	}
	say("abort, ignored: %s", ended(reap(pid)));
}

static void broken_pipe(void)
{
	int pipes[2];
	pid_t pid;

	MUST(pipe(pipes));
	close(pipes[0]);
	pid = MUST(fork());
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		_exit(write(pipes[1], "x", 1) == 1);
	}
	say("SIGPIPE: %s", ended(reap(pid)));
	signal(SIGPIPE, SIG_IGN);
	say("ignored: %s", outcome(write(pipes[1], "x", 1)));
	close(pipes[1]);
}

/* The loop calls nothing: only a poll at its back edge can let the handler in. */
static void while_computing(void)
{
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	volatile unsigned int spins = 0;

	handle(SIGALRM, counts, 0);
	count = 0;
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
	while (!count)
		spins++;
	say("a loop was interrupted, and went on: %d", spins > 0);
}

/* Many at a time: nothing of the interrupted code may change. */
static void storm(void)
{
	struct itimerval timer = { { 0, 500 }, { 0, 500 } }, off = { 0 };
	unsigned int hash = 0, again = 0;
	double sum = 0, sum_again = 0;

	handle(SIGALRM, counts, SA_RESTART);
	for (int i = 0; i < 3000000; i++) {
		hash = hash * 31 + i;
		sum += i * 0.5;
	}
	count = 0;
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
	while (count < 50) {
		again = 0;
		sum_again = 0;
		for (int i = 0; i < 3000000; i++) {
			again = again * 31 + i;
			sum_again += i * 0.5;
		}
	}
	MUST(setitimer(ITIMER_REAL, &off, NULL));
	say("a storm of signals changed nothing: %d %d", hash == again, sum == sum_again);
}

int main(void)
{
	simple();
	nesting();
	action_mask();
	masks();
	interrupted();
	suspended();
	information();
	real_time();
	inherited();
	broken_pipe();
	while_computing();
	storm();
	say("end");
	return 0;
}

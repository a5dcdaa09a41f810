// SPDX-License-Identifier: GPL-2.0-only
/* siglongjmp out of a signal handler. */

#include <setjmp.h>
#include <sys/time.h>

#include "transcript.h"

static sigjmp_buf buffer;

static void jumps(int sig)
{
	siglongjmp(buffer, sig);
}

static int blocked(int sig)
{
	sigset_t set;

	MUST(sigprocmask(SIG_BLOCK, NULL, &set));
	return sigismember(&set, sig);
}

/* Not in main: Emscripten's setjmp catches what leaves a call, guest/README.md. */
__attribute__((noinline)) static void spin(volatile unsigned int *spins)
{
	for (;;)
		++*spins;
}

int main(void)
{
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	volatile unsigned int spins = 0;
	volatile int rounds = 0;
	sigset_t set;

	signal(SIGUSR1, jumps);
	if (!sigsetjmp(buffer, 1)) {
		raise(SIGUSR1);
		say("not here");
	}
	say("out of raise, blocked %d", blocked(SIGUSR1));

	if (!sigsetjmp(buffer, 0)) {
		raise(SIGUSR1);
		say("not here");
	}
	say("mask not saved, blocked %d", blocked(SIGUSR1));
	sigemptyset(&set);
	MUST(sigprocmask(SIG_SETMASK, &set, NULL));

	signal(SIGALRM, jumps);
	if (!sigsetjmp(buffer, 1)) {
		MUST(setitimer(ITIMER_REAL, &timer, NULL));
		spin(&spins);
	}
	say("out of a loop: %d, blocked %d", spins > 0, blocked(SIGALRM));

	sigsetjmp(buffer, 1);
	if (rounds < 200) {
		rounds++;
		raise(SIGUSR1);
		say("not here");
	}
	say("rounds: %d", rounds);
	say("end");
	return 0;
}

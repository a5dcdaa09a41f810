// SPDX-License-Identifier: GPL-2.0-only
/* Clocks, sleeping, alarms. */

#include <sys/time.h>
#include <sys/times.h>

#include "transcript.h"

static volatile sig_atomic_t count;

static void counts(int sig)
{
	(void)sig;
	count++;
}

static void clocks(void)
{
	static const struct {
		clockid_t clock;
		const char *name;
	} list[] = {
		{ CLOCK_REALTIME, "real" },
		{ CLOCK_MONOTONIC, "monotonic" },
		{ CLOCK_PROCESS_CPUTIME_ID, "process" },
		{ CLOCK_THREAD_CPUTIME_ID, "thread" },
		{ CLOCK_REALTIME_COARSE, "coarse" },
		{ CLOCK_BOOTTIME, "boot" },
	};
	struct timespec one, two, resolution;
	struct timeval now;

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		MUST(clock_gettime(list[i].clock, &one));
		MUST(clock_gettime(list[i].clock, &two));
		MUST(clock_getres(list[i].clock, &resolution));
		say("%s: runs forward %d, in range %d, resolution under 20 ms %d", list[i].name,
		    one.tv_sec < two.tv_sec ||
			    (one.tv_sec == two.tv_sec && one.tv_nsec <= two.tv_nsec),
		    one.tv_nsec >= 0 && one.tv_nsec < 1000000000,
		    resolution.tv_sec == 0 && resolution.tv_nsec <= 20000000);
	}
	say("no such clock: %s", outcome(clock_gettime(77, &one)));
	MUST(gettimeofday(&now, NULL));
	MUST(clock_gettime(CLOCK_REALTIME, &one));
	say("one time of day: %d, after 2023: %d",
	    one.tv_sec - now.tv_sec >= 0 && one.tv_sec - now.tv_sec <= 1,
	    time(NULL) > 1700000000);
}

static void sleeping(void)
{
	struct timespec short_time = { .tv_nsec = 30000000 }, deadline, left;
	long long start = milliseconds();

	MUST(nanosleep(&short_time, NULL));
	say("slept: %d", milliseconds() - start >= 29);
	start = milliseconds();
	usleep(20000);
	say("slept: %d", milliseconds() - start >= 19);
	MUST(clock_gettime(CLOCK_MONOTONIC, &deadline));
	deadline.tv_nsec += 25000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	start = milliseconds();
	say("until: %s", error_name(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline,
						    NULL)));
	say("slept: %d", milliseconds() - start >= 23);
	short_time.tv_nsec = 1000000000;
	say("bad: %s", outcome(nanosleep(&short_time, NULL)));

	/* What is left after an interruption. */
	signal(SIGALRM, counts);
	MUST(setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 30000 }, NULL));
	say("interrupted: %s",
	    outcome(nanosleep(&(struct timespec){ .tv_sec = 10 }, &left)));
	say("left: %d", left.tv_sec == 9 && left.tv_nsec > 0);
}

static void alarms(void)
{
	struct itimerval timer = { { .tv_usec = 5000 }, { .tv_usec = 5000 } }, old, off = { 0 };
	sigset_t set, before;

	signal(SIGALRM, counts);
	say("no alarm: %d", (int)alarm(100));
	say("was set: %d", alarm(0) >= 99);
	say("none again: %d", (int)alarm(0));
	count = 0;
	/* Blocked but while waiting, or the last one could come before the wait. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	MUST(sigprocmask(SIG_BLOCK, &set, &before));
	MUST(setitimer(ITIMER_REAL, &timer, NULL));
	while (count < 5)
		sigsuspend(&before);
	MUST(getitimer(ITIMER_REAL, &old));
	say("interval: %d", old.it_interval.tv_usec == 5000);
	MUST(setitimer(ITIMER_REAL, &off, &old));
	MUST(sigprocmask(SIG_SETMASK, &before, NULL));
	say("ticked: %d", count >= 5);
}

static void processor_time(void)
{
	struct itimerval timer = { .it_value.tv_usec = 30000 };
	volatile unsigned int spins = 0;
	struct tms used;
	clock_t start = clock();

	signal(SIGVTALRM, counts);
	count = 0;
	MUST(setitimer(ITIMER_VIRTUAL, &timer, NULL));
	while (!count)
		spins++;
	say("virtual timer: %d", (int)count);
	/* By how much is not said: the timer counts ticks, the clock what was used of them. */
	say("clock() went on: %d", clock() > start);
	MUST(times(&used));
	say("times: %d", used.tms_utime + used.tms_stime >= 1);
}

int main(void)
{
	clocks();
	sleeping();
	alarms();
	processor_time();
	say("end");
	return 0;
}

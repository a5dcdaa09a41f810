// SPDX-License-Identifier: GPL-2.0-only
/* fork, vfork, and every way to wait. */

#include <pthread.h>
#include <sys/resource.h>

#include "transcript.h"

static int global = 1;
static int *heap;

static void memory_is_copied(void)
{
	int local = 3, status;
	pid_t pid;

	heap = malloc(sizeof(*heap));
	*heap = 2;
	pid = MUST(fork());
	if (!pid) {
		say("child sees %d %d %d", global, *heap, local);
		global = *heap = local = 9;
		_exit(7);
	}
	status = reap(pid);
	say("parent still has %d %d %d, child %s", global, *heap, local, ended(status));
	free(heap);
}

static void ways_to_end(void)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGABRT, SIGUSR1 };
	pid_t pid;

	for (int code = 0; code < 300; code += 100) {
		pid = MUST(fork());
		if (!pid)
			_exit(code);
		say("exit(%d): %s", code, ended(reap(pid)));
	}
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		pid = MUST(fork());
		if (!pid) {
			for (;;)
				pause();
		}
		MUST(kill(pid, signals[i]));
		say("signal: %s", ended(reap(pid)));
	}
}

static void not_yet(void)
{
	int status, hold[2];
	char byte;
	pid_t pid;

	MUST(pipe(hold));
	pid = MUST(fork());
	if (!pid) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1));
	}
	close(hold[0]);
	say("WNOHANG while it runs: %d", (int)waitpid(pid, &status, WNOHANG));
	close(hold[1]);
	say("then: %s", ended(reap(pid)));
	say("again: %s", outcome(waitpid(pid, &status, 0)));
	say("nobody's child: %s", outcome(waitpid(1, &status, 0)));
}

static void stop_and_continue(void)
{
	siginfo_t info;
	int status, hold[2];
	char byte;
	pid_t pid;

	MUST(pipe(hold));
	pid = MUST(fork());
	if (!pid) {
		close(hold[1]);
		raise(SIGSTOP);
		/* It must not have ended before the parent saw that it went on. */
		_exit(4 + read(hold[0], &byte, 1));
	}
	close(hold[0]);
	MUST(waitpid(pid, &status, WUNTRACED));
	say("%s", ended(status));
	MUST(kill(pid, SIGCONT));
	MUST(waitpid(pid, &status, WCONTINUED));
	say("%s", ended(status));
	close(hold[1]);

	memset(&info, 0, sizeof(info));
	MUST(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	say("waitid: own pid %d code %d status %d signal %d", info.si_pid == pid,
	    info.si_code == CLD_EXITED, info.si_status, info.si_signo == SIGCHLD);
	say("and it is still there: %s", ended(reap(pid)));
}

static void many(void)
{
	int sum = 0, status;

	for (int i = 0; i < 40; i++)
		if (!MUST(fork()))
			_exit(i);
	for (int i = 0; i < 40; i++) {
		MUST(wait(&status));
		sum += WEXITSTATUS(status);
	}
	say("40 children, sum %d, then %s", sum, outcome(wait(NULL)));
}

static void generations(void)
{
	pid_t pid = MUST(fork());
	int value;

	if (!pid) {
		for (value = 1; value < 5; value++) {
			pid = MUST(fork());
			if (pid)
				_exit(WEXITSTATUS(reap(pid)) + 10);
		}
		_exit(value);
	}
	say("five generations: %s", ended(reap(pid)));
}

static void vforked(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(5);
	say("vfork: %s", ended(reap(pid)));
}

static int order;

static void prepare(void)
{
	order = order * 10 + 1;
}

static void in_parent(void)
{
	order = order * 10 + 2;
}

static void in_child(void)
{
	order = order * 10 + 3;
}

static void atfork_handlers(void)
{
	pid_t pid;

	pthread_atfork(prepare, in_parent, in_child);
	pid = MUST(fork());
	if (!pid)
		_exit(order);
	say("atfork: parent %d, child %d", order, WEXITSTATUS(reap(pid)));
}

static void families(void)
{
	struct rusage usage;
	int status, parent = getpid();
	pid_t pid = MUST(fork());

	if (!pid) {
		int right = getppid() == parent && getpgrp() == getpgid(0);

		right = right && setsid() == getpid() && getsid(0) == getpid() &&
			getpgrp() == getpid();
		_exit(right);
	}
	memset(&usage, 0xff, sizeof(usage));
	MUST(wait4(pid, &status, 0, &usage));
	say("pids right: %s, faults counted %d", ended(status),
	    usage.ru_minflt >= 0 && usage.ru_stime.tv_sec == 0);

	pid = MUST(fork());
	if (!pid) {
		for (;;)
			pause();
	}
	MUST(setpgid(pid, 0));
	MUST(kill(-pid, SIGTERM));
	say("its group: %s", ended(reap(-pid)));
	say("kill nobody: %s", outcome(kill(pid, 0)));
}

int main(void)
{
	memory_is_copied();
	ways_to_end();
	not_yet();
	stop_and_continue();
	many();
	generations();
	vforked();
	atfork_handlers();
	families();
	say("end");
	return 0;
}

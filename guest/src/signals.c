// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals.  The host keeps the handlers and calls them through the function
 * table; README.md says how.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "wjposix.h"

int kill(pid_t pid, int sig)
{
	return wj_result(wj_host_syscall_kill(pid, sig));
}

/* A guest has one thread: its process is it. */
int raise(int sig)
{
	return kill(getpid(), sig);
}

int pthread_kill(pthread_t thread, int sig)
{
	(void)thread;
	return -wj_host_syscall_kill(getpid(), sig);
}

int __sigaction(int sig, const struct sigaction *restrict act, struct sigaction *restrict old)
{
	return wj_result(wj_host_syscall_sigaction(sig, P(act), P(old)));
}

int sigaction(int, const struct sigaction *restrict, struct sigaction *restrict)
	__attribute__((weak, alias("__sigaction")));

int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	int ret;

	/* The kernel writes 8 of the 128 bytes. */
	if (old)
		memset(old, 0, sizeof(*old));
	ret = -wj_host_syscall_rt_sigprocmask(how, P(set), P(old), WJ_SIGSET_BYTES);
	return ret;
}

int sigpending(sigset_t *set)
{
	memset(set, 0, sizeof(*set));
	return wj_result(wj_host_syscall_rt_sigpending(P(set), WJ_SIGSET_BYTES));
}

int sigsuspend(const sigset_t *set)
{
	return wj_result(wj_host_syscall_rt_sigsuspend(P(set), WJ_SIGSET_BYTES));
}

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
		 const struct timespec *restrict timeout)
{
	return wj_result(
		wj_host_syscall_rt_sigtimedwait(P(set), P(info), P(timeout), WJ_SIGSET_BYTES));
}

int sigqueue(pid_t pid, int sig, const union sigval value)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_value = value;
	info.si_uid = getuid();
	info.si_pid = getpid();
	return wj_result(wj_host_syscall_rt_sigqueueinfo(pid, sig, P(&info)));
}

/*
 * Handlers run on the guest's only stack; running over its end is a trap, not
 * a signal, so an alternate one would help nobody.  Programs may still say that
 * they have one.
 */
int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
	static stack_t current = { .ss_flags = SS_DISABLE };

	if (stack && !(stack->ss_flags & SS_DISABLE) && stack->ss_size < MINSIGSTKSZ) {
		errno = ENOMEM;
		return -1;
	}
	if (old)
		*old = current;
	if (stack)
		current = *stack;
	return 0;
}

int sighold(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, sig) ? -1 : sigprocmask(SIG_BLOCK, &set, NULL);
}

int sigrelse(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, sig) ? -1 : sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int sigignore(int sig)
{
	return signal(sig, SIG_IGN) == SIG_ERR ? -1 : 0;
}

int sigpause(int sig)
{
	sigset_t set;

	sigprocmask(SIG_SETMASK, NULL, &set);
	return sigdelset(&set, sig) ? -1 : sigsuspend(&set);
}

void psignal(int sig, const char *message)
{
	if (message && *message)
		fprintf(stderr, "%s: %s\n", message, strsignal(sig));
	else
		fprintf(stderr, "%s\n", strsignal(sig));
}

unsigned int alarm(unsigned int seconds)
{
	struct itimerval timer = { .it_value.tv_sec = seconds }, old = { 0 };

	setitimer(ITIMER_REAL, &timer, &old);
	/* Less than a second left is not "no alarm was set". */
	return old.it_value.tv_sec + !!old.it_value.tv_usec;
}

_Noreturn void abort(void)
{
	sigset_t set;

	raise(SIGABRT);
	/* Ignored, blocked, or its handler returned. */
	signal(SIGABRT, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGABRT);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGABRT);
	__builtin_trap();
}

_Noreturn void __assert_fail(const char *expression, const char *file, int line,
			     const char *function)
{
	fprintf(stderr, "Assertion failed: %s (%s: %s: %d)\n", expression, file, function, line);
	abort();
}

/* sigsetjmp and siglongjmp of include/setjmp.h */
void __wj_save_mask(unsigned long *saved, int save)
{
	saved[0] = save;
	if (save)
		wj_host_syscall_rt_sigprocmask(SIG_BLOCK, 0, P(saved + 1), WJ_SIGSET_BYTES);
}

void __wj_restore_mask(const unsigned long *saved)
{
	if (saved[0])
		wj_host_syscall_rt_sigprocmask(SIG_SETMASK, P(saved + 1), 0, WJ_SIGSET_BYTES);
}

// SPDX-License-Identifier: GPL-2.0-only
/* Processes: fork and its relatives, waiting, scheduling, prctl. */

#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wjposix.h"

struct atfork {
	struct atfork *next, *prev;
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
};

static struct atfork *atfork_first, *atfork_last;

int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	struct atfork *entry = malloc(sizeof(*entry));

	if (!entry)
		return ENOMEM;
	*entry = (struct atfork){ NULL, atfork_last, prepare, parent, child };
	if (atfork_last)
		atfork_last->next = entry;
	else
		atfork_first = entry;
	atfork_last = entry;
	return 0;
}

pid_t fork(void)
{
	struct atfork *entry;
	int saved_errno;
	pid_t pid;

	/* POSIX: prepare handlers last registered first, the others in order. */
	for (entry = atfork_last; entry; entry = entry->prev)
		if (entry->prepare)
			entry->prepare();
	pid = wj_host_fork();
	saved_errno = errno;
	for (entry = atfork_first; entry; entry = entry->next) {
		void (*handler)(void) = pid ? entry->parent : entry->child;

		if (handler)
			handler();
	}
	errno = saved_errno;
	return pid;
}

/* The child of a vfork may only exec or exit, which it can after a fork too. */
pid_t vfork(void)
{
	return wj_host_fork();
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	return wj_host_execve(P(path), P(argv), P(envp));
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	return wj_result(wj_host_syscall_wait4(pid, P(status), options, P(usage)));
}

pid_t wait3(int *status, int options, struct rusage *usage)
{
	return wait4(-1, status, options, usage);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	return wj_result(wj_host_syscall_waitid(type, id, P(info), options, 0));
}

/* libc has a weak system call that says 42. */
pid_t getpid(void)
{
	return wj_host_syscall_getpid();
}

pid_t gettid(void)
{
	return wj_host_syscall_gettid();
}

clock_t times(struct tms *buffer)
{
	return wj_result(wj_host_syscall_times(P(buffer)));
}

int daemon(int nochdir, int noclose)
{
	int null;

	switch (fork()) {
	case -1:
		return -1;
	case 0:
		break;
	default:
		_exit(0);
	}
	if (setsid() < 0)
		return -1;
	if (!nochdir && chdir("/"))
		return -1;
	if (noclose)
		return 0;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -1;
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (null > 2)
		close(null);
	return 0;
}

/* prctl takes up to four arguments; reading those not passed does no harm. */
int prctl(int operation, ...)
{
	unsigned long argument[4];
	va_list list;

	va_start(list, operation);
	for (int i = 0; i < 4; i++)
		argument[i] = va_arg(list, unsigned long);
	va_end(list);
	return wj_result(wj_host_syscall_prctl(operation, argument[0], argument[1], argument[2],
					       argument[3]));
}

int prlimit(pid_t pid, int resource, const struct rlimit *new_limit, struct rlimit *old_limit)
{
	return wj_result(wj_host_syscall_prlimit64(pid, resource, P(new_limit), P(old_limit)));
}

int getdtablesize(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -1;
	return limit.rlim_cur < 0x7fffffff ? (int)limit.rlim_cur : 0x7fffffff;
}

int sched_yield(void)
{
	return wj_result(wj_host_syscall_sched_yield());
}

int sched_get_priority_max(int policy)
{
	return wj_result(wj_host_syscall_sched_get_priority_max(policy));
}

int sched_get_priority_min(int policy)
{
	return wj_result(wj_host_syscall_sched_get_priority_min(policy));
}

int sched_getparam(pid_t pid, struct sched_param *param)
{
	return wj_result(wj_host_syscall_sched_getparam(pid, P(param)));
}

int sched_getscheduler(pid_t pid)
{
	return wj_result(wj_host_syscall_sched_getscheduler(pid));
}

int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
	return wj_result(wj_host_syscall_sched_setscheduler(pid, policy, P(param)));
}

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	return wj_result(wj_host_syscall_sched_setaffinity(pid, size, P(set)));
}

/* The system call returns how many bytes it wrote, the function clears the rest. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	int ret = wj_result(wj_host_syscall_sched_getaffinity(pid, size, P(set)));

	if (ret < 0)
		return -1;
	for (size_t i = ret; i < size; i++)
		((char *)set)[i] = 0;
	return 0;
}

/* sysconf(_SC_NPROCESSORS_ONLN) asks this. */
int emscripten_num_logical_cores(void)
{
	unsigned char mask[128];
	int bytes = wj_host_syscall_sched_getaffinity(0, sizeof(mask), P(mask));
	int count = 0;

	for (int i = 0; i < bytes; i++)
		count += __builtin_popcount(mask[i]);
	return count ? count : 1;
}

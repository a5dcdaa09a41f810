// SPDX-License-Identifier: GPL-2.0-only
/* Waiting: epoll and the file descriptors made for it, and sleeping. */

#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "wjposix.h"

int epoll_create1(int flags)
{
	return wj_result(wj_host_syscall_epoll_create1(flags));
}

int epoll_create(int size)
{
	if (size <= 0) {
		errno = EINVAL;
		return -1;
	}
	return epoll_create1(0);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	return wj_result(wj_host_syscall_epoll_ctl(epoll, operation, fd, P(event)));
}

int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout,
		const sigset_t *mask)
{
	return wj_result(wj_host_syscall_epoll_pwait(epoll, P(events), count, timeout, P(mask),
						     WJ_SIGSET_BYTES));
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
	return epoll_pwait(epoll, events, count, timeout, NULL);
}

int eventfd(unsigned int initial, int flags)
{
	return wj_result(wj_host_syscall_eventfd2(initial, flags));
}

int eventfd_read(int fd, eventfd_t *value)
{
	return read(fd, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

int eventfd_write(int fd, eventfd_t value)
{
	return write(fd, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return wj_result(wj_host_syscall_signalfd4(fd, P(mask), WJ_SIGSET_BYTES, flags));
}

int timerfd_create(int clock, int flags)
{
	return wj_result(wj_host_syscall_timerfd_create(clock, flags));
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	return wj_result(wj_host_syscall_timerfd_settime(fd, flags, P(value), P(old)));
}

int timerfd_gettime(int fd, struct itimerspec *value)
{
	return wj_result(wj_host_syscall_timerfd_gettime(fd, P(value)));
}

int inotify_init1(int flags)
{
	return wj_result(wj_host_syscall_inotify_init1(flags));
}

int inotify_init(void)
{
	return inotify_init1(0);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	return wj_result(wj_host_syscall_inotify_add_watch(fd, P(path), mask));
}

int inotify_rm_watch(int fd, int watch)
{
	return wj_result(wj_host_syscall_inotify_rm_watch(fd, watch));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	return wj_result(
		wj_host_syscall_ppoll(P(fds), count, P(timeout), P(mask), WJ_SIGSET_BYTES));
}

/* nanosleep(), sleep() and usleep() of libc end here.  Returns the error. */
int __clock_nanosleep(clockid_t clock, int flags, const struct timespec *request,
		      struct timespec *remaining)
{
	return -wj_host_syscall_clock_nanosleep(clock, flags, P(request), P(remaining));
}

int clock_nanosleep(clockid_t, int, const struct timespec *, struct timespec *)
	__attribute__((weak, alias("__clock_nanosleep")));

void emscripten_thread_sleep(double milliseconds)
{
	struct timespec request;

	request.tv_sec = milliseconds / 1000;
	request.tv_nsec = (milliseconds - 1000.0 * request.tv_sec) * 1e6;
	__clock_nanosleep(CLOCK_MONOTONIC, 0, &request, &request);
}

int timespec_get(struct timespec *now, int base)
{
	return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

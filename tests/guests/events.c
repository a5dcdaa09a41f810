// SPDX-License-Identifier: GPL-2.0-only
/* epoll, poll, select, and the descriptors made for them. */

#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "transcript.h"

static void watch(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	MUST(epoll_ctl(epoll, operation, fd, &event));
}

static void with_epoll(void)
{
	struct epoll_event events[8] = { 0 };
	int pipes[2], epoll = MUST(epoll_create1(EPOLL_CLOEXEC)), count;
	char byte;

	MUST(pipe2(pipes, O_NONBLOCK));
	watch(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 0x123456789abcdefULL);
	say("twice: %s", outcome(epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], events)));
	say("nothing yet: %ld", MUST(epoll_wait(epoll, events, 8, 0)));
	MUST(write(pipes[1], "ab", 2));
	for (int i = 0; i < 2; i++) {
		memset(events, 0, sizeof(events));
		count = MUST(epoll_wait(epoll, events, 8, 1000));
		say("level: %d, in %d, data %d", count, events[0].events == EPOLLIN,
		    events[0].data.u64 == 0x123456789abcdefULL);
	}

	watch(epoll, EPOLL_CTL_MOD, pipes[0], EPOLLIN | EPOLLET, 2);
	for (int i = 0; i < 2; i++)
		say("edge: %ld", MUST(epoll_wait(epoll, events, 8, 0)));
	MUST(write(pipes[1], "c", 1));
	say("next edge: %ld", MUST(epoll_wait(epoll, events, 8, 1000)));

	watch(epoll, EPOLL_CTL_MOD, pipes[0], EPOLLIN | EPOLLONESHOT, 3);
	for (int i = 0; i < 2; i++)
		say("one shot: %ld", MUST(epoll_wait(epoll, events, 8, 0)));

	watch(epoll, EPOLL_CTL_ADD, pipes[1], EPOLLOUT, 4);
	watch(epoll, EPOLL_CTL_MOD, pipes[0], EPOLLIN, 5);
	say("two ready: %ld", MUST(epoll_wait(epoll, events, 8, 0)));
	say("room for one: %ld", MUST(epoll_wait(epoll, events, 1, 0)));
	say("room for none: %s", outcome(epoll_wait(epoll, events, 0, 0)));
	MUST(epoll_ctl(epoll, EPOLL_CTL_DEL, pipes[1], NULL));
	close(pipes[1]);
	while (read(pipes[0], &byte, 1) == 1)
		;
	count = MUST(epoll_wait(epoll, events, 8, 1000));
	say("hung up: %d %d", count, !!(events[0].events & EPOLLHUP));
	say("not a descriptor: %s", outcome(epoll_ctl(epoll, EPOLL_CTL_ADD, 999, events)));
	close(pipes[0]);
	close(epoll);
}

static void with_eventfd(void)
{
	int fd = MUST(eventfd(3, EFD_NONBLOCK)), other;
	eventfd_t value = 0;
	pid_t pid;

	MUST(eventfd_read(fd, &value));
	say("eventfd: %d", (int)value);
	say("empty: %s", outcome(eventfd_read(fd, &value)));
	MUST(eventfd_write(fd, 1ULL << 40));
	MUST(eventfd_read(fd, &value));
	say("64 bits: %d", value == 1ULL << 40);
	close(fd);

	fd = MUST(eventfd(0, EFD_SEMAPHORE));
	other = MUST(eventfd(0, 0));
	pid = MUST(fork());
	if (!pid) {
		eventfd_write(fd, 2);
		eventfd_read(other, &value);
		_exit((int)value);
	}
	MUST(eventfd_read(fd, &value));
	MUST(eventfd_read(fd, &value));
	say("semaphore: %d", (int)value);
	MUST(eventfd_write(other, 21));
	say("across processes: %s", ended(reap(pid)));
	close(fd);
	close(other);
}

static void with_timerfd(void)
{
	struct itimerspec once = { .it_value = { .tv_nsec = 50000000 } };
	struct itimerspec again = { { .tv_nsec = 5000000 }, { .tv_nsec = 5000000 } }, left;
	int fd = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
	long long start = milliseconds(), waited;
	uint64_t count = 0;

	MUST(timerfd_settime(fd, 0, &once, NULL));
	MUST(timerfd_gettime(fd, &left));
	say("armed: %d", left.it_value.tv_sec == 0 && left.it_value.tv_nsec > 0);
	MUST(read(fd, &count, sizeof(count)));
	waited = milliseconds() - start;
	say("expired %d times, not too early: %d", (int)count, waited >= 49);
	MUST(timerfd_settime(fd, 0, &again, &left));
	usleep(40000);
	MUST(read(fd, &count, sizeof(count)));
	say("several times: %d", count >= 6);
	close(fd);
}

static void with_signalfd(void)
{
	struct signalfd_siginfo info;
	sigset_t set, old;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	fd = MUST(signalfd(-1, &set, SFD_NONBLOCK));
	say("no signal: %s", outcome(read(fd, &info, sizeof(info))));
	raise(SIGUSR1);
	MUST(read(fd, &info, sizeof(info)));
	say("signalfd: %d, from us: %d", info.ssi_signo == SIGUSR1,
	    (int)info.ssi_pid == (int)getpid());
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	close(fd);
}

static void with_inotify(void)
{
	_Alignas(8) char buffer[1024];
	int fd = MUST(inotify_init1(IN_CLOEXEC)), watched, offset = 0, length;

	enter_directory();
	watched = MUST(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE));
	close(MUST(open("new", O_CREAT | O_WRONLY, 0600)));
	unlink("new");
	length = MUST(read(fd, buffer, sizeof(buffer)));
	while (offset < length) {
		const struct inotify_event *event = (void *)(buffer + offset);

		say("inotify: own watch %d, %#x %s", event->wd == watched, event->mask,
		    event->name);
		offset += sizeof(*event) + event->len;
	}
	MUST(inotify_rm_watch(fd, watched));
	close(fd);
	leave_directory();
}

static void with_poll(void)
{
	struct timespec short_time = { .tv_nsec = 1000000 };
	struct pollfd fds[3];
	int pipes[2];
	sigset_t set;

	MUST(pipe(pipes));
	fds[0] = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = pipes[1], .events = POLLOUT };
	fds[2] = (struct pollfd){ .fd = 999, .events = POLLIN };
	say("poll: %ld", MUST(poll(fds, 3, 0)));
	say("events: %d %d %d", fds[0].revents, fds[1].revents == POLLOUT,
	    fds[2].revents == POLLNVAL);
	MUST(write(pipes[1], "x", 1));
	fds[2].fd = -1;
	say("poll: %ld", MUST(poll(fds, 3, 0)));
	sigemptyset(&set);
	fds[0].revents = 0;
	say("ppoll: %ld", MUST(ppoll(fds, 1, &short_time, &set)));
	close(pipes[1]);
	say("poll: %ld", MUST(poll(fds, 1, -1)));
	say("readable and hung up: %d", fds[0].revents == (POLLIN | POLLHUP));
	close(pipes[0]);
	say("time out: %ld", MUST(poll(NULL, 0, 10)));
}

static void with_select(void)
{
	struct timespec nothing = { 0 };
	struct timeval timeout = { .tv_usec = 20000 };
	fd_set readable, writable;
	int pipes[2], high;
	sigset_t set;

	MUST(pipe(pipes));
	high = MUST(fcntl(pipes[0], F_DUPFD, 200));
	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(high, &readable);
	FD_SET(pipes[1], &writable);
	say("select: %ld", MUST(select(high + 1, &readable, &writable, NULL, &timeout)));
	say("sets: %d %d", !!FD_ISSET(high, &readable), !!FD_ISSET(pipes[1], &writable));
	FD_SET(high, &readable);
	say("time out: %ld", MUST(select(high + 1, &readable, NULL, NULL, &timeout)));
	MUST(write(pipes[1], "x", 1));
	sigemptyset(&set);
	FD_SET(high, &readable);
	say("pselect: %ld", MUST(pselect(high + 1, &readable, NULL, NULL, &nothing, &set)));
	close(high);
	close(pipes[0]);
	close(pipes[1]);
}

static volatile sig_atomic_t handled;

static void counts(int sig)
{
	(void)sig;
	handled++;
}

/* The mask changes for the wait only, and the handler runs in between. */
static void masked_wait(void)
{
	int epoll = MUST(epoll_create1(0));
	struct epoll_event event;
	const char *result;
	sigset_t set, old;

	signal(SIGUSR1, counts);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR1);
	say("epoll_wait: %ld", MUST(epoll_wait(epoll, &event, 1, 10)));
	result = outcome(epoll_pwait(epoll, &event, 1, 5000, &old));
	say("epoll_pwait: %s, handled %d", result, (int)handled);
	MUST(sigprocmask(SIG_SETMASK, &old, NULL));
	close(epoll);
}

int main(void)
{
	with_epoll();
	with_eventfd();
	with_timerfd();
	with_signalfd();
	with_inotify();
	with_poll();
	with_select();
	masked_wait();
	say("end");
	return 0;
}
